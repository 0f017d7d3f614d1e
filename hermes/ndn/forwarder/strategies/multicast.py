"""
Multicast: every next hop (NFD's multicast, version 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.ndn.forwarder.pitentry import PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.strategies.base import Strategy, noParameters
from hermes.ndn.forwarder.strategies.suppression import faceSuppressed
from hermes.ndn.interfaces import IStrategy, IStrategyType
from hermes.ndn.packet.peek import InterestView

if TYPE_CHECKING:
    from hermes.ndn.forwarder.actions import Actions


class Multicast(Strategy):
    """
    An Interest goes to all next hops but the one that it came from; again, when it is sent again, to each as often as
    L{hermes.ndn.forwarder.strategies.suppression} lets it; and to next hops that are added while it is pending. Where
    there is none, it waits for one.
    """

    def afterInterest(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        forwarder = self.forwarder
        found = forwarder.lookup(entry)
        if found is None:
            return
        now = forwarder.now
        outs = entry.outs
        for hop in found.hops:
            upstream = hop.port
            if upstream is port and not upstream.adHoc:
                continue
            out = outs.get(upstream)
            if out is None or not faceSuppressed(out, now):
                forwarder.sendInterest(entry, upstream, view, port)

    def onNewNextHop(self, port: Port, entry: PITEntry) -> None:
        for record in entry.ins:
            if record.port is not port or port.adHoc:
                if port not in entry.outs:
                    self.forwarder.sendInterest(entry, port, record.view, record.port)
                return


@implementer(IPlugin, IStrategyType)
class MulticastType:
    """
    C{multicast}.
    """

    type = "multicast"
    name = "/localhost/nfd/strategy/multicast"
    version = 4

    def strategy(self, forwarder: Actions, parameters: Sequence[bytes] = ()) -> IStrategy:
        noParameters(self.type, parameters)
        return Multicast(forwarder)
