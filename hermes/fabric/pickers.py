"""
Which of some endpoints, all of them fit, gets the next flow. Each picker is made anew when what it picks from changes.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from itertools import accumulate, cycle, islice
from random import Random
from typing import TypeAlias

from hermes.fabric.places import Endpoint

Pick: TypeAlias = Callable[[bytes | None], Endpoint]
"""
Gives the endpoint for a key; what balances without keys passes it over.
"""

Weighted: TypeAlias = "Sequence[tuple[Endpoint, float]]"
"""
At least one endpoint, each with its weight at present, above 0.
"""


def only(endpoint: Endpoint) -> Pick:
    """
    Where there is no choice.
    """
    return lambda key: endpoint


def _even(weighted: Weighted) -> bool:
    return all(weight == weighted[0][1] for _, weight in weighted)


def roundRobin(weighted: Weighted, rng: Random) -> Pick:
    """
    Each in turn, in proportion to the weights and well mixed. Proxies that start together do not all start with the
    same one.
    """
    if not _even(weighted):
        return _EarliestDeadline(weighted, rng).pick
    endpoints = [endpoint for endpoint, _ in weighted]
    following = islice(cycle(endpoints), rng.randrange(len(endpoints)), None).__next__
    return lambda key: following()


class _EarliestDeadline:
    """
    An endpoint of weight w is due every 1/w; whoever is due first is next.
    """

    def __init__(self, weighted: Weighted, rng: Random) -> None:
        self._due = [
            (rng.random() / weight, number, 1 / weight, endpoint) for number, (endpoint, weight) in enumerate(weighted)
        ]
        heapify(self._due)

    def pick(self, key: bytes | None) -> Endpoint:
        due, number, period, endpoint = self._due[0]
        heapreplace(self._due, (due + period, number, period, endpoint))
        return endpoint


def leastRequest(weighted: Weighted, rng: Random) -> Pick:
    """
    The less busy of two drawn at random ("the power of two choices"): near to the least busy of all, at a cost that
    does not grow with their number, and without all proxies running to the same one.
    """
    if _even(weighted):
        return _TwoChoices([endpoint for endpoint, _ in weighted], rng).pick
    return _TwoWeightedChoices(weighted, rng).pick


class _TwoChoices:
    def __init__(self, endpoints: Sequence[Endpoint], rng: Random) -> None:
        self._endpoints = endpoints
        self._count = len(endpoints)
        self._random = rng.random

    def pick(self, key: bytes | None) -> Endpoint:
        count = self._count
        first = int(self._random() * count)
        second = int(self._random() * (count - 1))
        if second >= first:
            second += 1
        one, other = self._endpoints[first], self._endpoints[second]
        return one if one.active <= other.active else other


class _TwoWeightedChoices:
    def __init__(self, weighted: Weighted, rng: Random) -> None:
        self._weighted = weighted
        self._bounds = list(accumulate(weight for _, weight in weighted))
        self._random = rng.random

    def _draw(self) -> tuple[Endpoint, float]:
        bounds = self._bounds
        return self._weighted[bisect(bounds, self._random() * bounds[-1], 0, len(bounds) - 1)]

    def pick(self, key: bytes | None) -> Endpoint:
        (one, weight), (other, otherWeight) = self._draw(), self._draw()
        return one if (one.active + 1) * otherWeight <= (other.active + 1) * weight else other


def atRandom(weighted: Weighted, rng: Random) -> Pick:
    """
    Any, in proportion to the weights.
    """
    draw = rng.random
    endpoints = [endpoint for endpoint, _ in weighted]
    if _even(weighted):
        count = len(endpoints)
        return lambda key: endpoints[int(draw() * count)]
    bounds = list(accumulate(weight for _, weight in weighted))
    total, last = bounds[-1], len(bounds) - 1
    return lambda key: endpoints[bisect(bounds, draw() * total, 0, last)]
