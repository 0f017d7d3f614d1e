"""
Where a flow goes: routes, tried in order, the first that matches decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

from attrs import frozen

from hermes.errors import BadRequest, NoRoute
from hermes.fabric.requestindex import NOWHERE, RequestIndex
from hermes.matching import IP, NAMED, IPAddress, Match, TargetPattern, canonicalHost
from hermes.values import Flow, RequestHead


@frozen
class Route:
    """
    A match and what is done with the flows it takes.

    @ivar name: how it is called in logs and messages.
    @ivar to: the upstream where the flow ends, or L{None} for the target as it was asked for.
    @ivar via: the names of the hops between, in order.
    @ivar nested: whether the tunnel through the last hop runs inside the one through the hop before it, and so on.
    @ivar backup: other ways, each as C{via}, to be tried in order where that can't be had.
    @ivar deny: the reason why such flows are refused, or L{None}.
    @ivar allowSpecial: whether special-purpose targets (loopback, private) may be dialed from here.
    @ivar actions: what is done to HTTP requests beside: L{hermes.http.actions.RequestActions}; or L{None}. Not looked
        at here, save for C{instead}: what is done in place of sending them on, in words.
    @ivar split: names of upstreams and their weights, in place of C{to}.
    @ivar requestsOnly: whether nothing but HTTP requests is taken, whatever the match says, because what is done is
        done to them.
    """

    match: Match
    name: str = ""
    to: str | None = None
    via: tuple[str, ...] = ()
    nested: bool = False
    backup: tuple[tuple[str, ...], ...] = ()
    deny: str | None = None
    allowSpecial: bool = False
    actions: Any = None
    split: tuple[tuple[str, int], ...] = ()
    requestsOnly: bool = False


class Denied(NoRoute):
    """
    A route denies the flow.

    @ivar routeName: which.
    """

    def __init__(self, message: str, routeName: str) -> None:
        super().__init__(message)
        self.routeName = routeName


@frozen(eq=False)
class Decision:
    """
    What a route says of a flow. There are two of each route at most, so a decision can be the key of what was prepared
    for it.

    @ivar route: the route that decided.
    @ivar allowSpecial: whether a special-purpose target may be dialed: the route says so, or names it.
    """

    route: Route
    allowSpecial: bool


# A route's place, what to check of the target once more (a port), or None.
Posting: TypeAlias = "tuple[int, TargetPattern | None]"


@frozen
class _Compiled:
    """
    A route, ready to be tried.

    @ivar conditional: whether anything but the target matters.
    @ivar named: the special-purpose targets that it names.
    """

    route: Route
    conditional: bool
    named: tuple[TargetPattern, ...]
    plain: Decision
    special: Decision


class _Index:
    """
    Finds the routes that a flow can match without trying the others: each route is filed under its targets, or where it
    has none under its users, nodes or listeners, or else under everything.
    """

    def __init__(self) -> None:
        self.hosts: dict[str | IPAddress, list[Posting]] = defaultdict(list)
        self.suffixes: dict[str, list[Posting]] = defaultdict(list)
        # By IP version and prefix length, longest first does not matter; then by network number.
        self.networks: dict[tuple[int, int], dict[int, list[Posting]]] = {}
        self.ports: dict[int, list[Posting]] = defaultdict(list)
        self.users: dict[str | None, list[Posting]] = defaultdict(list)
        self.nodes: dict[str | None, list[Posting]] = defaultdict(list)
        self.listeners: dict[str | None, list[Posting]] = defaultdict(list)
        self.everything: list[Posting] = []

    def add(self, place: int, match: Match) -> None:
        for pattern in match.targets:
            self._addTarget(place, pattern)
        if match.targets:
            return
        for names, table in (
            (match.users, self.users),
            (match.nodes, self.nodes),
            (match.listeners, self.listeners),
        ):
            if names:
                for name in names:
                    table[name].append((place, None))
                return
        self.everything.append((place, None))

    def _addTarget(self, place: int, pattern: TargetPattern) -> None:
        posting = (place, pattern)
        if pattern.host is not None:
            self.hosts[pattern.host].append(posting)
        elif pattern.suffix is not None:
            self.suffixes[pattern.suffix].append(posting)
        elif pattern.network is not None:
            network = pattern.network
            table = self.networks.setdefault((network.version, network.prefixlen), defaultdict(list))
            table[int(network.network_address)].append(posting)
        elif pattern.port is not None:
            self.ports[pattern.port].append(posting)
        else:
            self.everything.append(posting)

    def candidates(self, flow: Flow, host: str | IPAddress) -> list[Posting]:
        """
        The postings that may match, in the order of the routes.
        """
        found = [
            postings
            for postings in (
                self.hosts.get(host),
                self.ports.get(flow.target.port),
                self.users.get(flow.identity.user) if self.users else None,
                self.nodes.get(flow.identity.node) if self.nodes else None,
                self.listeners.get(flow.listener) if self.listeners else None,
                self.everything,
            )
            if postings
        ]
        if isinstance(host, str):
            if self.suffixes:
                dot = host.find(".")
                while dot >= 0:
                    if postings := self.suffixes.get(host[dot:]):
                        found.append(postings)
                    dot = host.find(".", dot + 1)
        else:
            number, version, width = int(host), host.version, host.max_prefixlen
            for (networkVersion, prefix), table in self.networks.items():
                if networkVersion == version and (
                    postings := table.get(number >> (width - prefix) << (width - prefix))
                ):
                    found.append(postings)
        if len(found) == 1:
            return found[0]
        return sorted((posting for postings in found for posting in postings), key=_place)


def _place(posting: Posting) -> int:
    return posting[0]


class Router:
    """
    The routes of a node, compiled: the cost of a decision grows with the routes that name the flow's target, not with
    all of them.

    @ivar routes: as they were given.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._index = _Index()
        self._requests = RequestIndex()
        self._compiled: list[_Compiled] = []
        # Those that name IP packets.
        self._packets: list[int] = []
        for place, route in enumerate(self.routes):
            match = route.match
            if not (match.requestsOnly or route.requestsOnly):
                self._index.add(place, match)
            self._requests.add(place, match)
            if IP in match.protocols and not (match.requestsOnly or route.requestsOnly):
                self._packets.append(place)
            named = route.allowSpecial or route.to is not None or bool(route.split)
            self._compiled.append(
                _Compiled(
                    route,
                    bool(match.users or match.nodes or match.listeners or match.protocols or match.sources),
                    tuple(pattern for pattern in match.targets if pattern.special),
                    Decision(route, named),
                    Decision(route, True),
                )
            )
        self._requests.seal()

    def decide(self, flow: Flow) -> Decision:
        """
        The first route that takes C{flow}.

        @raise NoRoute: where it denies, or there is none.
        """
        host = canonicalHost(flow.target.host)
        port = flow.target.port
        toBeNamed = flow.protocol in NAMED
        taken: _Compiled | None = None
        takenPlace = -1
        for place, pattern in self._index.candidates(flow, host):
            if taken is not None:
                # Another target of the same route may be the one that allows.
                if place != takenPlace:
                    break
                if pattern is not None and pattern.special and pattern.matches(host, port):
                    return taken.special
                continue
            if pattern is not None and not pattern.matches(host, port):
                continue
            compiled = self._compiled[place]
            route = compiled.route
            if (compiled.conditional or toBeNamed) and not route.match.takesSender(flow):
                continue
            if route.deny is not None:
                raise Denied(f"{flow.target} is denied by {_called(route, place)}: {route.deny}", route.name)
            if pattern is not None and pattern.special:
                return compiled.special
            if compiled.plain.allowSpecial:
                return compiled.plain
            taken, takenPlace = compiled, place
        if taken is None:
            raise NoRoute(f"no route takes {flow.protocol} to {flow.target} from {flow.identity}")
        return taken.plain

    def authorisePackets(self, flow: Flow) -> Decision:
        """
        Whether C{flow}, IP packets that are judged one by one later, may be opened at all: whether a route that names
        the protocol takes its sender for some target and denies nothing.

        @return: what the first such route says.
        @raise NoRoute: where there is none.
        """
        denied: Denied | None = None
        for place in self._packets:
            compiled = self._compiled[place]
            route = compiled.route
            if not route.match.takesSender(flow):
                continue
            if route.deny is None:
                return compiled.plain
            if denied is None:
                denied = Denied(f"IP packets are denied by {_called(route, place)}: {route.deny}", route.name)
        raise denied or NoRoute(f"no route takes IP packets from {flow.identity}")

    def decideRequest(self, flow: Flow, head: RequestHead) -> Decision:
        """
        The first route that takes an HTTP request.

        @param flow: who asks, from where; its target is what the request's authority says.
        @raise NoRoute: where it denies, or there is none.
        @raise BadRequest: where the routes depend on how somebody reads the path.
        """
        place = self._requests.find(flow, head) if flow.protocol == "http" else NOWHERE
        if place == NOWHERE:
            raise NoRoute(f"no route takes {flow.protocol} to {flow.target} from {flow.identity}")
        compiled = self._compiled[place]
        route = compiled.route
        if route.deny is not None:
            raise Denied(f"{flow.target} is denied by {_called(route, place)}: {route.deny}", route.name)
        if compiled.named and not compiled.plain.allowSpecial:
            host, port = canonicalHost(flow.target.host), flow.target.port
            if any(pattern.matches(host, port) for pattern in compiled.named):
                return compiled.special
        return compiled.plain

    def explain(self, flow: Flow, head: RequestHead | None = None) -> list[str]:
        """
        For each route, a sentence that says whether it takes C{flow}, or why not; after the one that decides, they say
        that they are not reached.

        @param head: of the request, where the flow is one.
        """
        lines: list[str] = []
        decided = False
        for place, route in enumerate(self.routes):
            called = _called(route, place)
            try:
                refusal = route.match.refusal(flow, head)
            except BadRequest as error:
                lines.append(f"{called}: {'can not be told' if decided else 'the request is refused'}: {error}")
                decided = True
                continue
            if refusal is None and route.requestsOnly and head is None:
                refusal = "it takes HTTP requests only"
            if refusal is not None:
                lines.append(f"{called}: does not match: {refusal}")
            elif decided:
                lines.append(f"{called}: would match, but is not reached")
            else:
                decided = True
                lines.append(f"{called}: matches: {_action(route)}")
        if not decided:
            lines.append("no route matches: denied")
        return lines


def _called(route: Route, place: int) -> str:
    return f"route {route.name}" if route.name else f"route {place + 1}"


def _action(route: Route) -> str:
    if route.deny is not None:
        return f"denied: {route.deny}"
    instead = getattr(route.actions, "instead", None)
    if instead is not None:
        return str(instead)
    if route.split:
        action = "to " + " or ".join(f"{name} ({weight})" for name, weight in route.split)
    else:
        action = f"to {route.to}" if route.to is not None else "to the target as asked for"
    if route.via:
        action += f" via {', '.join(route.via)}" + (", nested" if route.nested else "")
        action += "".join(f", or {', '.join(way)}" for way in route.backup)
    return action
