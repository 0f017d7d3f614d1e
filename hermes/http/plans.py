"""
From a decision to what answers the requests that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime
from zope.interface import implementer

from hermes.errors import FlowError, HopUnavailable, NoRoute
from hermes.fabric.paths import DIRECT
from hermes.fabric.router import Decision, Router
from hermes.http.hops import HopSender
from hermes.interfaces import IAssistant, IDatagramReceiver, IDialer, IHop, IRequestSender, IRequestUpstream
from hermes.messages import Request, Response
from hermes.values import Flow


@frozen(eq=False)
class Plan:
    """
    What is done with the requests of one decision.

    @ivar send: answers a request.
    @ivar routeName: the route's name.
    @ivar upstream: the name of the upstream where they end, or L{DIRECT}.
    @ivar hops: the names of the hops between.
    """

    send: Callable[[Request], Deferred[Response]]
    routeName: str
    upstream: str
    hops: tuple[str, ...] = ()


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


class Plans:
    """
    A router, and what its routes name: one generation of a node's configuration, as requests see it.

    @ivar router: decides.
    @ivar assistants: the assisting components, by name.
    """

    def __init__(
        self,
        router: Router,
        upstreams: Mapping[str, Any],
        assistants: Mapping[str, IAssistant],
        direct: Callable[[bool], IDialer],
        origins: Callable[[IDialer], IRequestSender],
        clock: IReactorTime,
    ) -> None:
        """
        @param upstreams: what routes name: L{IHop}s, and what provides L{IRequestUpstream}.
        @param direct: makes the dialer that connects to targets as they were asked for; its argument says whether
            special-purpose ones are allowed.
        @param origins: makes what sends requests to their own targets, over the streams of a dialer.
        """
        self.router = router
        self.assistants = assistants
        self._upstreams = upstreams
        self._direct = direct
        self._origins = origins
        self._clock = clock
        self._senders: dict[Any, IRequestSender] = {}
        self._prepared: dict[Decision, Plan] = {}

    def decide(self, request: Request) -> Plan:
        """
        What answers C{request}.

        @raise FlowError: where no route takes it, or one denies it.
        """
        flow = request.flow
        decision = self.router.decide(flow)
        if flow.via and flow.identity.node is not None:
            return self._onward(decision, flow.via)
        plan = self._prepared.get(decision)
        if plan is None:
            plan = self._prepared[decision] = self._prepare(decision)
        return plan

    def _onward(self, decision: Decision, via: tuple[str, ...]) -> Plan:
        """
        This node is in the middle of a way that another one chose.
        """
        if not IHop.providedBy(self._upstreams.get(via[0])):
            raise NoRoute(f"{via[0]!r} is not a hop that this proxy knows")
        return Plan(self._alongHops(via, False).send, decision.route.name, via[-1], via)

    def _prepare(self, decision: Decision) -> Plan:
        route = decision.route
        sender, upstream, hops = self._sender(route.to, route.via, route.nested, decision.allowSpecial)
        return Plan(sender.send, route.name, upstream, hops)

    def _sender(
        self, to: str | None, via: tuple[str, ...], nested: bool, allowSpecial: bool
    ) -> tuple[IRequestSender, str, tuple[str, ...]]:
        """
        What sends requests to an upstream, the upstream's name for the record, and the hops between.
        """
        last: Any = None
        names = via
        if to is not None:
            last = self._upstreams.get(to)
            if last is None:
                raise HopUnavailable(f"the upstream {to!r} is not configured")
            if IHop.providedBy(last):
                # The target stays as it was asked for, and the last hop resolves it.
                names, last = (*names, to), None
        if last is None:
            if names:
                return self._alongHops(names, nested), to or names[-1], names
            return self._atTargets(self._direct(allowSpecial), allowSpecial), DIRECT, ()
        if not IRequestUpstream.providedBy(last):
            raise FlowError(f"the upstream {to!r} takes no requests")
        carrier = self._carrier(names, nested) if names else None
        return last.sender(carrier), to or "", names

    def _alongHops(self, names: tuple[str, ...], nested: bool) -> IRequestSender:
        """
        What sends requests to their own targets through hops. Nodes of ours are given the requests as they are; through
        other proxies there are tunnels.
        """
        key = (names, nested)
        sender = self._senders.get(key)
        if sender is None:
            carrier: Any = self._carrier(names, nested)
            if self._hop(names[-1] if nested else names[0]).takesExchanges:
                rest = () if nested else names[1:]
                sender = HopSender(carrier if not rest else self._hop(names[0]).dialer, rest, self._clock)
            else:
                sender = self._origins(carrier)
            self._senders[key] = sender
        return sender

    def _atTargets(self, dialer: IDialer, key: object) -> IRequestSender:
        sender = self._senders.get(key)
        if sender is None:
            sender = self._senders[key] = self._origins(dialer)
        return sender

    def _carrier(self, names: tuple[str, ...], nested: bool) -> IDialer:
        carrier: IDialer = self._hop(names[0]).dialer
        if nested:
            for name in names[1:]:
                carrier = self._hop(name).through(carrier)
        elif len(names) > 1:
            carrier = Onward(carrier, names[1:])
        return carrier

    def _hop(self, name: str) -> IHop:
        hop = self._upstreams.get(name)
        if not IHop.providedBy(hop):
            raise HopUnavailable(f"the hop {name!r} is not configured")
        return hop
