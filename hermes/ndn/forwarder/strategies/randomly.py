"""
Random: any next hop (NFD's random, version 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.ndn.forwarder.fib import FIBEntry, NextHop
from hermes.ndn.forwarder.pitentry import PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.strategies.base import Strategy, noParameters
from hermes.ndn.forwarder.strategies.suppression import entrySuppressed, pending
from hermes.ndn.interfaces import IStrategy, IStrategyType
from hermes.ndn.packet.peek import InterestView

if TYPE_CHECKING:
    from hermes.ndn.forwarder.actions import Actions


class Randomly(Strategy):
    """
    A new Interest goes to any of the next hops whose links are up, each as likely as the other, whatever it costs. One
    that the consumer sends again goes to another; when all were asked, to the one that was asked first. How often it
    goes again is bounded (L{hermes.ndn.forwarder.strategies.suppression}).

    Beyond what NFD's does: another one is asked at once after a Nack, when the link that an Interest was sent over goes
    down, and when it has got lost there.
    """

    def afterInterest(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        forwarder = self.forwarder
        asked = bool(entry.outs) and pending(entry, forwarder.now)
        if asked and entrySuppressed(entry, forwarder.now):
            return
        found = forwarder.lookup(entry)
        hops = () if found is None else self.ordered(found)
        if self.askUnused(hops, port, view, entry, forwarder.now):
            return
        if asked:
            self.askOldest(hops, port, view, entry)
            return
        # Those whose links are down.
        for hop in hops:
            upstream = hop.port
            if (upstream is not port or upstream.adHoc) and forwarder.sendInterest(entry, upstream, view, port):
                return
        self.refuse(port, entry)

    def afterNack(self, port: Port, reason: int, view: InterestView, entry: PITEntry) -> None:
        # Also after one for a loop: another draw may lead out of it.
        if not self.askAnother(entry):
            self.passNack(entry)

    def onLost(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        self.askAnother(entry)

    def ordered(self, found: FIBEntry) -> Sequence[NextHop]:
        """
        Next hops, in any order.
        """
        hops = found.hops
        return hops if len(hops) == 1 else self.forwarder.random.sample(hops, len(hops))


@implementer(IPlugin, IStrategyType)
class RandomType:
    """
    C{random}.
    """

    type = "random"
    name = "/localhost/nfd/strategy/random"
    version = 1

    def strategy(self, forwarder: Actions, parameters: Sequence[bytes] = ()) -> IStrategy:
        noParameters(self.type, parameters)
        return Randomly(forwarder)
