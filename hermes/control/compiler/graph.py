"""
The nodes and the links between them: which way is the cheapest, and which is free where that is not.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from attrs import field, frozen

from hermes.control.compiler.measuring import DOWN
from hermes.control.document.schema import OverlayConfig

DEFAULT_COST: Final = 10
"""
What a link costs at least that has no weight and was not measured.
"""

MESH: Final = 12
"""
Of a document without links, everybody may connect to everybody. With more nodes than this that is too many to measure:
only the ways that are used are, and those that stand ready.
"""

FAR: Final = 1 << 60


def weightsOf(config: OverlayConfig) -> Mapping[tuple[str, str], int | None] | None:
    """
    The weight of each link, L{None} where it is measured, by the names of its nodes in alphabetical order. No mapping
    where no links are named: then everybody may connect to everybody, and all is measured.
    """
    if config.links is None:
        return None
    weights: dict[tuple[str, str], int | None] = {}
    for link in config.links:
        a, b = sorted(map(str, link.between))
        given = [weight for weight in (link.weight, weights.get((a, b))) if weight is not None]
        weights[a, b] = min(given, default=None)
    return weights


@frozen
class NextHops:
    """
    Where a node sends what is for some destination.

    @ivar first: the next node on the cheapest way; L{None} where this node is at the destination, or there is no way.
    @ivar backup: the next node where that is down; L{None} where there is no other that would not come back.
    @ivar nearer: whether the backup is nearer to the destination than this node.
    """

    first: str | None = None
    backup: str | None = None
    nearer: bool = False

    @property
    def onward(self) -> NextHops:
        """
        The same for what other nodes send through this one: each hop is nearer than the one before. So whatever is
        down, nothing goes round.
        """
        return self if self.nearer or self.backup is None else NextHops(self.first)

    @property
    def all(self) -> tuple[str, ...]:
        """
        Both, as far as there are.
        """
        return tuple(each for each in (self.first, self.backup) if each is not None)


class Graph:
    """
    The overlay as a graph. Among ways that cost the same the names decide, so that the same document gives the same
    ways.

    @ivar nodes: in order.
    """

    def __init__(self, config: OverlayConfig, costs: Mapping[tuple[str, str], int] = {}) -> None:
        """
        @param costs: of links that have no weight, by the names of their nodes, in alphabetical order. One that is
            missing costs as much as the dearest that is up: what is not known is no reason to leave what is.
        """
        self.nodes = tuple(sorted(config.nodes))
        self._to: dict[str, dict[str, int]] = {name: {} for name in self.nodes}
        self._from: dict[str, dict[str, int]] = {name: {} for name in self.nodes}
        self._between: dict[str, dict[str, int]] = {}
        addressed = {name for name, node in config.nodes.items() if node.address is not None}
        weights = weightsOf(config)
        few = weights is not None or len(self.nodes) <= MESH
        if weights is None:
            weights = {(a, b): None for a in self.nodes for b in self.nodes if a < b}
        self._measured = frozenset(pair for pair, weight in weights.items() if weight is None and few)
        known = [cost for pair, cost in costs.items() if cost < DOWN and weights.get(pair, 0) is None]
        otherwise = max(known, default=0)
        for (a, b), weight in weights.items():
            cost = weight if weight is not None else costs.get((a, b), max(otherwise, DEFAULT_COST))
            # Whoever has no address is connected to by nobody.
            if b in addressed:
                self._add(a, b, cost)
            if a in addressed:
                self._add(b, a, cost)

    def _add(self, a: str, b: str, cost: int) -> None:
        cost = min(cost, self._to[a].get(b, FAR))
        self._to[a][b] = self._from[b][a] = cost

    def neighbours(self, node: str) -> Mapping[str, int]:
        """
        Whom a node may connect to, and what that costs.
        """
        return self._to[node]

    def measures(self, node: str) -> list[str]:
        """
        To whom a node is connected though it may send nothing that way, so that it is known what that would cost: where
        a link has no weight.
        """
        return [other for other in self._to[node] if tuple(sorted((node, other))) in self._measured]

    def distances(self, ends: Collection[str], without: Collection[str] = ()) -> dict[str, int]:
        """
        What it costs from each node to the nearest of C{ends}; nodes that can't get there are left out.

        @param without: nodes that are not passed through.
        """
        found: dict[str, int] = {}
        queue = [(0, end) for end in sorted(ends)]
        while queue:
            cost, node = heapq.heappop(queue)
            if node in found:
                continue
            found[node] = cost
            if node in without:
                continue
            for before, step in self._from[node].items():
                if before not in found:
                    heapq.heappush(queue, (cost + step, before))
        return found

    def nextHops(self, ends: Collection[str]) -> dict[str, NextHops]:
        """
        For each node where it sends what is for C{ends}.

        A backup is a neighbour whose own way does not come back (RFC 5286, inequality 1), and which if possible does
        not lead through the first either (inequality 3): so two nodes that have both left their first for it never send
        to each other.
        """
        distance = self.distances(ends)
        toward = self._toward
        hops: dict[str, NextHops] = {}
        for node in self.nodes:
            if node in ends or node not in distance:
                hops[node] = NextHops()
                continue
            steps = sorted((cost + distance[to], to) for to, cost in self._to[node].items() if to in distance)
            first = steps[0][1]
            free = [(cost, to) for cost, to in steps[1:] if distance[to] < toward(node).get(to, FAR) + distance[node]]
            safe = [
                (cost, to)
                for cost, to in free
                if first in ends or distance[to] < toward(first).get(to, FAR) + distance[first]
            ]
            others = safe or free
            backup = others[0][1] if others else None
            hops[node] = NextHops(first, backup, backup is not None and distance[backup] < distance[node])
        return hops

    def _toward(self, node: str) -> dict[str, int]:
        """
        What it costs from each node to C{node}.
        """
        found = self._between.get(node)
        if found is None:
            found = self._between[node] = self.distances((node,))
        return found

    def path(self, start: str, ends: Collection[str], without: Collection[str] = ()) -> tuple[str, ...] | None:
        """
        The nodes after C{start} on the cheapest way to one of C{ends}; L{None} where there is none.

        @param without: nodes that it does not lead through.
        """
        distance = self.distances(ends, without)
        if start not in distance:
            return None
        way: list[str] = []
        node = start
        while node not in ends:
            steps = [
                (cost + distance[to], to)
                for to, cost in self._to[node].items()
                if to in distance and (to in ends or to not in without)
            ]
            if not steps:
                return None
            node = min(steps)[1]
            if node in way:
                return None
            way.append(node)
        return tuple(way)


@frozen
class Flows:
    """
    Who sends to whom, for one destination.

    @ivar hops: see L{Graph.nextHops}.
    @ivar into: by node, those that send to it.
    """

    hops: Mapping[str, NextHops]
    into: Mapping[str, tuple[str, ...]] = field(factory=dict)

    @classmethod
    def toward(cls, graph: Graph, ends: Collection[str], starts: Iterable[str]) -> Flows:
        """
        The ways from C{starts}, first ones and backups.
        """
        hops = graph.nextHops(ends)
        into: dict[str, set[str]] = {}
        seen: set[tuple[str, bool]] = set()
        left = [(start, False) for start in starts]
        while left:
            node, passing = left.pop()
            if (node, passing) in seen:
                continue
            seen.add((node, passing))
            for to in (hops[node].onward if passing else hops[node]).all:
                into.setdefault(to, set()).add(node)
                left.append((to, True))
        return cls(hops, {node: tuple(sorted(senders)) for node, senders in into.items()})
