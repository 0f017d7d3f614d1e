"""
C{spread}: names are spread over all next hops, and each name has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.ndn.forwarder.actions import Actions
from hermes.ndn.forwarder.pitentry import PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.strategies.base import Strategy, namedParameters
from hermes.ndn.interfaces import IStrategy, IStrategyType
from hermes.ndn.packet.peek import InterestView


class Spread(Strategy):
    """
    A cache behind each next hop holds a part of the names, and no name twice.
    """

    def __init__(self, forwarder: Actions, components: int) -> None:
        """
        @param components: names with so many components in common stay together.
        """
        super().__init__(forwarder)
        self._components = components

    def afterInterest(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        found = self.forwarder.lookup(entry)
        hops = () if found is None else found.hops
        alike = view.name[: view.ends[min(self._components, len(view.ends)) - 1]]
        first = crc32(alike) % max(1, len(hops))
        for hop in (*hops[first:], *hops[:first]):
            # The one whose turn it is; where its link is down, or it is the one that asks, the one after it.
            if hop.port.up and hop.port is not port and self.forwarder.sendInterest(entry, hop.port, view, port):
                return
        self.refuse(port, entry)


@implementer(IPlugin, IStrategyType)
class SpreadType:
    """
    How it is found, and what it is called.
    """

    type = "spread"
    name = "/example/strategy/spread"
    version = 1

    def strategy(self, forwarder: Actions, parameters: Sequence[bytes] = ()) -> IStrategy:
        numbers = namedParameters(self.type, parameters, ("components",))
        if not numbers.get("components", 1):
            raise ValueError("the parameter components of the strategy spread is at least 1")
        return Spread(forwarder, numbers.get("components", 2))
