"""
The overlay as a graph: the document's nodes and links, and what the nodes say of them.

What nodes say is not believed more than it must be: a number that is none is left out, a text is bounded, and a node
tells of its own links only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from math import isfinite
from typing import Any, Final

from attrs import field, frozen
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.config import ConfigError
from hermes.control.compiler.graph import MESH as _MESH
from hermes.control.compiler.graph import weightsOf
from hermes.control.compiler.measuring import Measurements
from hermes.control.controller import Controller
from hermes.control.document import loadOverlay
from hermes.control.errors import ControlError, NodeCallFailed, UnknownNode
from hermes.control.loss import lossOf
from hermes.control.operator.words import wordOf
from hermes.control.status import NodeStatus, OverlayStatus
from hermes.control.values import LinkFigure

INTERVAL: Final = 2.0
PER_NODE: Final = 0.02
"""
Nodes are asked again after so many seconds, and so many more for each; and only while somebody looks.
"""

ANSWER: Final = 5.0
"""
Seconds that a node has for its answer.
"""

AT_ONCE: Final = 32
"""
How many nodes are asked at the same time.
"""

MESH: Final = _MESH
"""
Of a document without links, everybody may connect to everybody. With more nodes than this only links that are used are
shown.
"""

REFUSALS: Final = 50
MAX_TEXT: Final = 300


@frozen
class Shape:
    """
    What a version says of nodes and links.

    @ivar addresses: of the nodes, by name; empty for one that nobody connects to.
    @ivar links: the weight of each link, L{None} where it has none, by the names of its nodes in alphabetical order.
    @ivar full: whether links that are not named may be used too.
    @ivar costs: what links cost that have no weight, as they were measured for this version; likewise.
    """

    addresses: Mapping[str, str] = field(factory=dict)
    links: Mapping[tuple[str, str], int | None] = field(factory=dict)
    full: bool = False
    costs: Mapping[tuple[str, str], int] = field(factory=dict)

    def cost(self, a: str, b: str) -> int | None:
        """
        What the ways of this version were chosen by; L{None} for a link that was not measured.
        """
        weight = self.links.get((a, b))
        return self.costs.get((a, b)) if weight is None else weight


def shapeOf(document: str, measurements: str = "") -> Shape:
    """
    @param document: an overlay document; from what is none, no shape is made out.
    @param measurements: what it was compiled with.
    """
    try:
        config = loadOverlay(document).config
    except ConfigError:
        return Shape()
    addresses = {str(name): str(node.address or "") for name, node in sorted(config.nodes.items())}
    costs = Measurements.fromText(measurements).costs
    weights = weightsOf(config)
    if weights is not None:
        return Shape(addresses, weights, costs=costs)
    pairs: dict[tuple[str, str], int | None] = {}
    if len(addresses) <= MESH:
        pairs = {(a, b): None for a in addresses for b in addresses if a < b and (addresses[a] or addresses[b])}
    return Shape(addresses, pairs, True, costs)


class GraphReader:
    """
    Asks nodes, not more often than it must, however many look.
    """

    log = Logger()

    def __init__(
        self,
        controller: Controller,
        clock: IReactorTime,
        inThread: Callable[..., Deferred[Any]],
        figures: Callable[[], Mapping[tuple[str, str], LinkFigure]] = dict,
    ) -> None:
        """
        @param inThread: calls a function where it may take a while, with arguments.
        @param figures: gives what nodes have told of links by themselves (L{hermes.control.linkcosts.LinkCosts.known}).
        """
        self._controller = controller
        self._clock = clock
        self._inThread = inThread
        self._figures = figures
        self._shape: tuple[int, Shape] | None = None
        self._rates = Rates()
        self._made: dict[str, Any] = {}
        self._madeAt: float | None = None
        self._waiting: list[Deferred[dict[str, Any]]] | None = None

    def read(self) -> Deferred[dict[str, Any]]:
        """
        The graph, as plain values; a few seconds old at most. See C{docs/reference/controller-api.md}.
        """
        if self._madeAt is not None and self._clock.seconds() - self._madeAt < self._made["interval"]:
            return succeed(self._made)
        answer: Deferred[dict[str, Any]] = Deferred()
        if self._waiting is not None:
            self._waiting.append(answer)
            return answer
        self._waiting = [answer]
        Deferred.fromCoroutine(self._read()).addBoth(self._done)
        return answer

    def _done(self, result: Any) -> None:
        waiting, self._waiting = self._waiting or [], None
        if not isinstance(result, Failure):
            self._made, self._madeAt = result, self._clock.seconds()
        for each in waiting:
            each.callback(result)

    async def _read(self) -> dict[str, Any]:
        status = await self._controller.status()
        shape = await self._shapeOf(status)
        semaphore = DeferredSemaphore(AT_ONCE)
        names = [node.name for node in status.nodes if node.state.connected]
        told = await gatherResults([semaphore.run(self._ask, name) for name in names], consumeErrors=True)
        return self._make(status, shape, dict(zip(names, told, strict=True)))

    async def _shapeOf(self, status: OverlayStatus) -> Shape:
        if status.version is None:
            return Shape()
        if self._shape is None or self._shape[0] != status.version:
            record = await self._controller.version(status.version)
            self._shape = status.version, await self._inThread(shapeOf, record.document, record.measurements)
        return self._shape[1]

    def _ask(self, name: str) -> Deferred[tuple[Mapping[str, Any], float] | None]:
        def failed(failure: Failure) -> None:
            if failure.check(NodeCallFailed, UnknownNode, ControlError, TimeoutError) is None:
                self.log.failure("asking {node} failed", failure, node=name)

        asked = self._controller.nodeStatus(name).addTimeout(
            ANSWER, self._clock, lambda _, seconds: Failure(TimeoutError(f"no answer in {seconds:g} s"))
        )

        def told(found: Any) -> tuple[Mapping[str, Any], float] | None:
            return (found, self._clock.seconds()) if isinstance(found, Mapping) else None

        return asked.addCallbacks(told, failed)

    def _make(
        self, status: OverlayStatus, shape: Shape, told: Mapping[str, tuple[Mapping[str, Any], float] | None]
    ) -> dict[str, Any]:
        known = {node.name for node in status.nodes} | shape.addresses.keys()
        links: dict[tuple[str, str], dict[str, Any]] = {(a, b): _link(shape, a, b) for a, b in sorted(shape.links)}
        refusals: list[dict[str, Any]] = []
        current: dict[tuple[str, str], tuple[float, Counts]] = {}
        for name, answer in told.items():
            if answer is None:
                continue
            found, at = answer
            refusals += _refusals(name, found)
            for end in _ends(name, found, known):
                a, b = sorted((name, end["to"]))
                link = links.get((a, b))
                if link is None:
                    if not shape.full or not end["connections"]:
                        continue
                    link = links[a, b] = _link(shape, a, b)
                current[name, end["to"]] = at, end.pop("counts")
                link["ends"].append(end)
        for link in links.values():
            for end in link["ends"]:
                end |= self._rates.rate(end["from"], end["to"], current[end["from"], end["to"]])
        self._rates.keep(current)
        up = {node.name for node in status.nodes if node.state.connected}
        figures = self._figures()
        for pair, link in links.items():
            used = any(end["connections"] for end in link["ends"])
            dead = not figures[pair].up if pair in figures else not up >= set(pair) and not used
            link["state"] = "down" if dead else "up" if used else "idle"
        nodes = [_node(node, shape, told.get(node.name)) for node in status.nodes]
        drawn = [status.version, [node["name"] for node in nodes], sorted(links)]
        return {
            "version": status.version,
            "interval": round(INTERVAL + PER_NODE * len(nodes), 2),
            "shape": sha256(repr(drawn).encode()).hexdigest()[:16],
            "nodes": nodes,
            "links": [links[pair] for pair in sorted(links)],
            "refusals": sorted(refusals, key=lambda each: each["time"], reverse=True)[:REFUSALS],
        }


@frozen
class Counts:
    """
    How much a node has carried to a neighbour and from it since it started: bytes; and segments of TCP, those that were
    sent once more among them.
    """

    sent: float
    received: float
    segments: float
    resent: float


class Rates:
    """
    From how much was carried to how much is.
    """

    def __init__(self) -> None:
        self._before: Mapping[tuple[str, str], tuple[float, Counts]] = {}

    def rate(self, node: str, to: str, now: tuple[float, Counts]) -> dict[str, float | None]:
        """
        Bytes a second to and from the other end; L{None} the first time, and where a node counts anew. The share of
        segments that were lost: of those since the last time, or where they are few, of all; L{None} where there are
        none.
        """
        at, counts = now
        since, before = self._before.get((node, to), (at, counts))
        elapsed = at - since
        moved = [counts.sent - before.sent, counts.received - before.received]
        loss = lossOf(counts.segments, counts.resent, before.segments, before.resent)
        known = elapsed > 0 and min(moved) >= 0
        return {
            "sentPerSecond": round(moved[0] / elapsed, 1) if known else None,
            "receivedPerSecond": round(moved[1] / elapsed, 1) if known else None,
            "loss": None if loss is None else round(loss, 5),
        }

    def keep(self, now: Mapping[tuple[str, str], tuple[float, Counts]]) -> None:
        """
        What the next are compared with.
        """
        self._before = now


def _link(shape: Shape, a: str, b: str) -> dict[str, Any]:
    return {"between": [a, b], "weight": shape.links.get((a, b)), "cost": shape.cost(a, b), "ends": []}


def _node(node: NodeStatus, shape: Shape, answer: tuple[Mapping[str, Any], float] | None) -> dict[str, Any]:
    found: Mapping[str, Any] = {} if answer is None else answer[0]
    state = node.state
    return {
        "name": node.name,
        "state": wordOf(node),
        "address": shape.addresses.get(node.name, ""),
        "runs": state.runs,
        "wanted": node.wanted,
        "problem": node.problem,
        "uptimeSeconds": number(found.get("uptimeSeconds")),
        "flowsOpen": number(_inner(found, "flows").get("open")),
        "requestsOpen": number(_inner(found, "requests").get("open")),
    }


def _ends(name: str, found: Mapping[str, Any], known: set[str]) -> list[dict[str, Any]]:
    """
    What a node tells of the ways to its neighbours.
    """
    carried = _inner(found, "carried")
    ends: list[dict[str, Any]] = []
    for upstream in _each(found.get("upstreams")):
        to = upstream.get("name")
        if upstream.get("type") != "hop" or not isinstance(to, str) or to not in known or to == name:
            continue
        if any(end["to"] == to for end in ends):
            continue
        endpoints = _each(upstream.get("endpoints"))
        trips = [trip for each in endpoints if (trip := number(each.get("roundTripSeconds"))) is not None]
        moved = _inner(carried, to)
        ends.append(
            {
                "from": name,
                "to": to,
                "connections": sum(int(number(each.get("connections")) or 0) for each in endpoints),
                "streams": sum(int(number(each.get("streams")) or 0) for each in endpoints),
                "roundTripSeconds": min(trips, default=None),
                "counts": Counts(
                    number(moved.get("bytesSent")) or 0.0,
                    number(moved.get("bytesReceived")) or 0.0,
                    sum(number(each.get("segmentsSent")) or 0.0 for each in endpoints),
                    sum(number(each.get("segmentsResent")) or 0.0 for each in endpoints),
                ),
            }
        )
    return ends


def _refusals(name: str, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    refusals: list[dict[str, Any]] = []
    for each in _each(found.get("refusals"))[-REFUSALS:]:
        target = text(each.get("target"))
        if not target:
            authority, path = text(each.get("authority")), text(each.get("path"))
            target = f"{text(each.get('method'))} {text(each.get('scheme'))}://{authority}{path}"
        refusals.append(
            {
                "time": text(each.get("time")),
                "node": name,
                "listener": text(each.get("listener")),
                "user": text(each.get("user")) or text(each.get("node")),
                "source": text(each.get("source")),
                "target": target[:MAX_TEXT],
                "route": text(each.get("route")),
                "error": text(each.get("error")),
            }
        )
    return refusals


def number(value: Any) -> float | None:
    """
    A number that can be drawn, 0 or more; or L{None}.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if isfinite(found) and 0 <= found < 1e18 else None


def text(value: Any) -> str:
    """
    Text, bounded; empty where it is none.
    """
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _inner(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, Mapping) else {}


def _each(found: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(found, list | tuple):
        return ()
    return [each for each in found[:10_000] if isinstance(each, Mapping)]
