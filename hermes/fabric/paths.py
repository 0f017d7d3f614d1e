"""
From a decision to the dialer that carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime
from zope.interface import Interface, implementer

from hermes.errors import FlowError, HopUnavailable, NoRoute, NotImplementedHere
from hermes.fabric.alternatives import Alternatives
from hermes.fabric.router import Decision, Router
from hermes.interfaces import IDatagramReceiver, IDialer, IHop, IPacketReceiver
from hermes.matching import IP
from hermes.values import Flow

DIRECT = "direct"
"""
How the upstream of a flow that ends at its own target is called.
"""


class IEndpoints(Interface):
    """
    An upstream whose endpoints this node picks.
    """

    def through(dialer: IDialer) -> IDialer:
        """
        A dialer for the same endpoints, picked in the same way, that reaches each as a target of C{dialer}.
        """


@implementer(IDialer)
@frozen(eq=False)
class Onward:
    """
    Dials through a hop that is told what is left of the way.

    @ivar dialer: goes to the hop.
    @ivar via: the names of the hops that come after it.
    """

    dialer: IDialer
    via: tuple[str, ...]

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        return self.dialer.connectStream(evolve(flow, via=self.via), protocol)

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        return self.dialer.connectDatagrams(evolve(flow, via=self.via), receiver)

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        return self.dialer.connectPackets(evolve(flow, via=self.via), receiver)


@frozen
class Path:
    """
    How flows of one decision are carried.

    @ivar dialer: opens the far side.
    @ivar upstream: the name of the upstream where they end, or L{DIRECT}.
    @ivar hops: the names of the hops between.
    @ivar via: what is left of the way when the first hop takes over.
    """

    dialer: IDialer
    upstream: str
    hops: tuple[str, ...] = ()
    via: tuple[str, ...] = ()

    def flow(self, flow: Flow) -> Flow:
        """
        C{flow} as the dialer is to see it.
        """
        return flow if flow.via == self.via else evolve(flow, via=self.via)


class Paths:
    """
    A router and the upstreams that its routes name: one generation of a node's configuration.

    @ivar router: decides.
    @ivar upstreams: by name.
    @ivar dialing: how many flows are being opened with this generation.
    """

    def __init__(
        self,
        router: Router,
        upstreams: Mapping[str, IDialer | IHop],
        direct: Callable[[bool], IDialer],
        clock: IReactorTime,
        ends: Mapping[str, IDialer] = {},
    ) -> None:
        """
        @param ends: listeners in which flows can end, by name.
        @param direct: makes the dialer that connects to targets as they were asked for; its argument says whether
            special-purpose ones are allowed.
        """
        self.router = router
        self.upstreams = dict(upstreams)
        self.dialing = 0
        self._direct = direct
        self._clock = clock
        self._ends = ends
        self._directDialers: dict[bool, IDialer] = {}
        self._prepared: dict[Decision, Path] = {}

    def decide(self, flow: Flow) -> tuple[Decision, Path]:
        """
        Where C{flow} goes, and how.

        @raise FlowError: where nothing takes it.
        """
        packets = flow.protocol == IP
        decision = self.router.authorisePackets(flow) if packets else self.router.decide(flow)
        if flow.via and flow.identity.node is not None:
            return decision, self._onward(flow.via)
        if packets:
            raise NotImplementedHere("a tunnel of IP packets that ends here is no byte stream")
        path = self._prepared.get(decision)
        if path is None:
            path = self._prepared[decision] = self._prepare(decision)
        return decision, path

    def _onward(self, via: tuple[str, ...]) -> Path:
        """
        This node is in the middle of a way that another one chose.
        """
        hop = self.upstreams.get(via[0])
        if not IHop.providedBy(hop):
            raise NoRoute(f"{via[0]!r} is not a hop that this proxy knows")
        return Path(hop.dialer, via[-1], via, via[1:])

    def _prepare(self, decision: Decision) -> Path:
        route = decision.route
        names = route.via
        last: IDialer | IHop | None = None
        if route.to is not None:
            last = self.upstreams.get(route.to)
            if last is None:
                last = self._ends.get(route.to)
            if last is None:
                raise HopUnavailable(f"the upstream {route.to!r} is not configured")
            if IHop.providedBy(last):
                # The target stays as it was asked for, and the last hop resolves it.
                names = (*names, route.to)
                last = None
        if not names:
            if last is not None:
                return Path(last, route.to or "")  # type: ignore[arg-type]
            return Path(self._directDialer(decision.allowSpecial), DIRECT)
        carrier, via = self._carrier(names, route.nested)
        if route.backup:
            # Each may tell its first hop of others.
            ways = [(carrier, via)] + [
                self._carrier(way + names[len(route.via) :], route.nested) for way in route.backup
            ]
            carrier, via = Alternatives([Onward(each, rest) if rest else each for each, rest in ways], self._clock), ()
        if last is None:
            return Path(carrier, route.to or names[-1], names, via)
        if not IEndpoints.providedBy(last):
            raise FlowError(f"the upstream {route.to!r} can't be reached through hops")
        return Path(last.through(Onward(carrier, via) if via else carrier), route.to or "", names, via)

    def onward(self, names: tuple[str, ...], nested: bool) -> tuple[IDialer, tuple[str, ...]]:
        """
        What opens tunnels over the named hops, and what the first of them is to be told of the way.

        @raise FlowError: where one is not configured.
        """
        return self._carrier(names, nested)

    def _carrier(self, names: tuple[str, ...], nested: bool) -> tuple[IDialer, tuple[str, ...]]:
        """
        What dials through the named hops, and the names that the first of them is to be told.
        """
        carrier = self._hop(names[0]).dialer
        if not nested:
            return carrier, names[1:]
        for name in names[1:]:
            carrier = self._hop(name).through(carrier)
        return carrier, ()

    def _hop(self, name: str) -> IHop:
        hop = self.upstreams.get(name)
        if not IHop.providedBy(hop):
            raise HopUnavailable(f"the hop {name!r} is not configured")
        return hop

    def _directDialer(self, allowSpecial: bool) -> IDialer:
        dialer = self._directDialers.get(allowSpecial)
        if dialer is None:
            dialer = self._directDialers[allowSpecial] = self._direct(allowSpecial)
        return dialer
