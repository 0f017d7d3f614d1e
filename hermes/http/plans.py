"""
From a decision to what answers the requests that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.errors import FlowError, HopUnavailable, NoRoute
from hermes.fabric.alternatives import Alternatives
from hermes.fabric.paths import DIRECT, Onward
from hermes.fabric.router import Decision, Route, Router
from hermes.http.actions import RequestActions, Split
from hermes.http.alternatives import AlternativeSender
from hermes.http.chain import chain
from hermes.http.changing import Changing, OwnAnswers
from hermes.http.hops import HopSender
from hermes.http.mirror import COPY_TIME, Mirroring
from hermes.http.reliable import Delivery, Reliable
from hermes.http.tries import Permit
from hermes.interfaces import IAssistant, IDialer, IHop, IRequestSender, IRequestUpstream, Send
from hermes.messages import Request, Response

MAX_ONWARDS: Final = 1024
"""
Ways that other nodes have chosen for which what carries them out is remembered.
"""


@frozen(eq=False)
class Plan:
    """
    What is done with the requests of one decision.

    @ivar send: answers a request.
    @ivar routeName: the route's name.
    @ivar upstream: the name of the upstream where they end, or L{DIRECT}; empty where that differs, or there is none.
    @ivar hops: the names of the hops between.
    """

    send: Send
    routeName: str
    upstream: str = ""
    hops: tuple[str, ...] = ()


@frozen
class Way:
    """
    Where requests go.

    @ivar sender: sends them there.
    @ivar upstream: the name of the upstream where they end, or L{DIRECT}.
    @ivar hops: the names of the hops between.
    @ivar permit: whether the upstream bears a retry now; L{None} where it always does.
    """

    sender: IRequestSender
    upstream: str
    hops: tuple[str, ...] = ()
    permit: Permit | None = None


@implementer(IRequestSender)
class SplitSender:
    """
    Sends each request one of several ways.
    """

    def __init__(self, ways: Mapping[str, Way], senders: Mapping[str, IRequestSender], split: Split) -> None:
        """
        @param ways: by name.
        @param senders: what sends along each, by the same names.
        """
        self._ways = ways
        self._senders = senders
        self._split = split

    def send(self, request: Request) -> Deferred[Response]:
        name = self._split.choose()
        way, record = self._ways[name], request.record
        record.upstream, record.hops = way.upstream, way.hops
        return self._senders[name].send(request)


@implementer(IRequestSender)
class TimedSender:
    """
    Minds the deadline that a request brings along.
    """

    def __init__(self, sender: IRequestSender, reliable: Reliable) -> None:
        """
        @param reliable: sends the requests that have a deadline, through the same sender.
        """
        self._send = sender.send
        self._sendTimed = reliable.send

    def send(self, request: Request) -> Deferred[Response]:
        return self._send(request) if request.deadline is None else self._sendTimed(request)


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
        random: Random | None = None,
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
        self._random = random or Random()
        self._onwards: dict[tuple[Decision, tuple[str, ...]], Plan] = {}
        self._onwardSenders: dict[tuple[str, ...], IRequestSender] = {}
        self._senders: dict[Any, IRequestSender] = {}
        self._carriers: dict[tuple[tuple[str, ...], bool], IDialer] = {}
        self._prepared: dict[Decision, Plan] = {}

    def decide(self, request: Request) -> Plan:
        """
        What answers C{request}.

        @raise FlowError: where no route takes it, or one denies it.
        """
        flow = request.flow
        decision = self.router.decideRequest(flow, request.head)
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
        plan = self._onwards.get((decision, via))
        if plan is None:
            if len(self._onwards) >= MAX_ONWARDS:
                self._onwards.clear()
                self._onwardSenders.clear()
            actions = decision.route.actions
            delivery = None if actions is None else actions.delivery
            sender = self._timed(Way(self._alongOnward(via), via[-1], via), delivery)
            plan = self._onwards[decision, via] = Plan(sender.send, decision.route.name, via[-1], via)
        return plan

    def _prepare(self, decision: Decision) -> Plan:
        route = decision.route
        actions: RequestActions | None = route.actions
        if actions is None:
            way = self._way(route, route.to, decision.allowSpecial)
            return Plan(self._timed(way).send, route.name, way.upstream, way.hops)
        if actions.redirect is not None or actions.respond is not None:
            way = Way(OwnAnswers(actions, route.match), "")
        elif actions.split:
            # Chosen once for each request: what is sent again, or goes on, is from the same.
            ways = {name: self._way(route, name, decision.allowSpecial) for name, _ in actions.split}
            senders = {name: self._timed(way, actions.delivery) for name, way in ways.items()}
            way = Way(SplitSender(ways, senders, Split(actions.split, self._random)), "")
        else:
            way = self._way(route, route.to, decision.allowSpecial)
        sender = way.sender if actions.split else self._timed(way, actions.delivery)
        if actions.mirror is not None:
            mirror = self._way(route, actions.mirror.to, decision.allowSpecial)
            copies = self._timed(mirror, Delivery(timeout=COPY_TIME))
            sender = Mirroring(sender, copies, actions.mirror.share, self._random)
        send: Send = sender.send
        if actions.assist:
            send = chain(self._named(route, actions.assist), send)
        if actions.rewrite is not None or actions.headers is not None or actions.responseHeaders is not None:
            send = Changing(send, actions, route.match).send
        return Plan(send, route.name, way.upstream, way.hops)

    def _named(self, route: Route, names: tuple[str, ...]) -> list[IAssistant]:
        try:
            return [self.assistants[name] for name in names]
        except KeyError as error:
            raise FlowError(f"route {route.name}: no assisting component is called {error}") from None

    def _timed(self, way: Way, delivery: Delivery | None = None) -> IRequestSender:
        """
        The sender with what the route asks for that requests are answered, or at least with the deadline that they
        bring.
        """
        if delivery is not None:
            return Reliable(way.sender, delivery, self._clock, self._random, way.permit)
        return TimedSender(way.sender, Reliable(way.sender, Delivery(), self._clock, self._random))

    def _way(self, route: Route, to: str | None, allowSpecial: bool) -> Way:
        last: Any = None
        names = route.via
        if to is not None:
            last = self._upstreams.get(to)
            if last is None:
                raise HopUnavailable(f"the upstream {to!r} is not configured")
            if IHop.providedBy(last):
                # The target stays as it was asked for, and the last hop resolves it.
                names, last = (*names, to), None
        backup = [way + names[len(route.via) :] for way in route.backup]
        if last is None:
            if names:
                sender = self._alongHops(names, route.nested)
                if backup:
                    ways = [sender] + [self._alongHops(way, route.nested) for way in backup]
                    sender = AlternativeSender(ways, self._clock)
                return Way(sender, to or names[-1], names)
            return Way(self._atTargets(self._direct(allowSpecial), allowSpecial), DIRECT)
        if not IRequestUpstream.providedBy(last):
            raise FlowError(f"the upstream {to!r} takes no requests")
        carrier = self._carrier(names, route.nested) if names else None
        if carrier is not None and backup:
            carriers = [carrier] + [self._carrier(way, route.nested) for way in backup]
            carrier = Alternatives(carriers, self._clock)
        return Way(last.sender(carrier), to or "", names, getattr(last, "permit", None))

    def _alongHops(self, names: tuple[str, ...], nested: bool) -> IRequestSender:
        """
        What sends requests to their own targets through hops. Nodes of ours are given the requests as they are; through
        other proxies there are tunnels.
        """
        key = (names, nested)
        sender = self._senders.get(key)
        if sender is None:
            carrier = self._carrier(names, nested)
            if nested:
                sender = self._through(self._hop(names[-1]), carrier, ())
            else:
                sender = self._through(self._hop(names[0]), carrier, names[1:])
            self._senders[key] = sender
        return sender

    def _alongOnward(self, via: tuple[str, ...]) -> IRequestSender:
        """
        The same for a way that another node has chosen. There may be many: they are not kept among our own.
        """
        if len(via) == 1:
            return self._alongHops(via, False)
        sender = self._onwardSenders.get(via)
        if sender is None:
            hop, rest = self._hop(via[0]), via[1:]
            sender = self._onwardSenders[via] = self._through(hop, Onward(hop.dialer, rest), rest)
        return sender

    def _through(self, hop: IHop, carrier: Any, rest: tuple[str, ...]) -> IRequestSender:
        """
        @param hop: where C{carrier} goes.
        @param rest: the names of the hops that it is told of.
        """
        if not hop.takesExchanges:
            return self._origins(carrier)
        return HopSender(hop.dialer if rest else carrier, rest, self._clock)

    def _atTargets(self, dialer: IDialer, key: object) -> IRequestSender:
        sender = self._senders.get(key)
        if sender is None:
            sender = self._senders[key] = self._origins(dialer)
        return sender

    def _carrier(self, names: tuple[str, ...], nested: bool) -> IDialer:
        # One for all routes: connections through it are theirs together.
        carrier = self._carriers.get((names, nested))
        if carrier is None:
            carrier = self._hop(names[0]).dialer
            if nested:
                for name in names[1:]:
                    carrier = self._hop(name).through(carrier)
            elif len(names) > 1:
                carrier = Onward(carrier, names[1:])
            self._carriers[names, nested] = carrier
        return carrier

    def _hop(self, name: str) -> IHop:
        hop = self._upstreams.get(name)
        if not IHop.providedBy(hop):
            raise HopUnavailable(f"the hop {name!r} is not configured")
        return hop
