"""
Best route: the cheapest next hop, and others where Interests are sent again (NFD's best-route, version 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.ndn.forwarder.pitentry import PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.strategies.base import DUPLICATE, Strategy, noParameters
from hermes.ndn.forwarder.strategies.suppression import entrySuppressed, pending
from hermes.ndn.interfaces import IStrategy, IStrategyType
from hermes.ndn.packet.peek import InterestView

if TYPE_CHECKING:
    from hermes.ndn.forwarder.actions import Actions


class BestRoute(Strategy):
    """
    A new Interest goes to the cheapest next hop. One that the consumer sends again goes to the cheapest that was not
    asked yet; when all were, to the one that was asked first. How often it goes again is bounded
    (L{hermes.ndn.forwarder.strategies.suppression}).

    Beyond what NFD's does: a next hop whose link is down is only taken where none is up; and the next one is asked at
    once after a Nack, when the link that an Interest was sent over goes down, and when it has got lost there.
    """

    def afterInterest(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        forwarder = self.forwarder
        asked = bool(entry.outs) and pending(entry, forwarder.now)
        if asked and entrySuppressed(entry, forwarder.now):
            return
        found = forwarder.fib.longest(view.name, view.ends) if not view.hint else forwarder.lookup(entry)
        hops = found.hops if found is not None else ()
        if asked:
            if not self.askUnused(hops, port, view, entry, forwarder.now):
                self.askOldest(hops, port, view, entry)
            return
        send = forwarder.sendInterest
        for hop in hops:
            upstream = hop.port
            if (
                upstream.up
                and (upstream is not port or upstream.adHoc)
                and send(entry, upstream, view, port) is not None
            ):
                return
        for hop in hops:
            upstream = hop.port
            if (upstream is not port or upstream.adHoc) and send(entry, upstream, view, port) is not None:
                return
        self.refuse(port, entry)

    def afterNack(self, port: Port, reason: int, view: InterestView, entry: PITEntry) -> None:
        if reason == DUPLICATE or not self.askAnother(entry):
            self.passNack(entry)

    def onLost(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        self.askAnother(entry)


@implementer(IPlugin, IStrategyType)
class BestRouteType:
    """
    C{best-route}.
    """

    type = "best-route"
    name = "/localhost/nfd/strategy/best-route"
    version = 5

    def strategy(self, forwarder: Actions, parameters: Sequence[bytes] = ()) -> IStrategy:
        noParameters(self.type, parameters)
        return BestRoute(forwarder)
