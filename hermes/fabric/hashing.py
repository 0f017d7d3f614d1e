"""
Endpoints by a key: the same key goes to the same endpoint, on every node and after every restart, and when an endpoint
goes, only its own keys go elsewhere.

Tables are made of all endpoints of a level, fit or not, in the order of their addresses: so that they are the same
wherever the same endpoints are configured. Those that are out are then left out of them.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Sequence
from hashlib import blake2b
from operator import itemgetter
from random import Random
from typing import Final

from attrs import define

from hermes.fabric.places import Endpoint

POINTS: Final = 160
"""
Points on the ring for an endpoint of the least weight.
"""

MAX_POINTS: Final = 65_536
"""
Points on the ring, all endpoints together; with more weight than that, each has fewer.
"""

TABLE_SIZES: Final = (2_039, 8_191, 16_381, 65_537)
"""
Slots of a Maglev table; primes. The smallest that has a hundred for each endpoint is taken: shares are then within a
few percent of what they should be.
"""

_SLOTS_EACH: Final = 100
_SCALE: Final = 1 << 64


def digest(key: bytes) -> int:
    """
    64 bits for a key, the same everywhere.
    """
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


def rendezvous(endpoints: Collection[Endpoint], key: bytes) -> list[Endpoint]:
    """
    In the order in which a key goes on to another endpoint where its own can't be reached: the same on every node.
    """
    return sorted(endpoints, key=lambda endpoint: digest(key + b"\0" + endpoint.address.encode()))


class Ring:
    """
    Consistent hashing: each endpoint has points on a ring, and a key belongs to the next point.
    """

    def __init__(self, endpoints: Sequence[Endpoint], rng: Random) -> None:
        """
        @param endpoints: at least one.
        @param rng: where flows without a key go.
        """
        least = min(endpoint.weight for endpoint in endpoints)
        each = POINTS / least
        each *= min(1.0, MAX_POINTS / (each * sum(endpoint.weight for endpoint in endpoints)))
        points = [
            (point, endpoint.address, endpoint)
            for endpoint in endpoints
            for point in _pointsOf(endpoint.address, max(1, round(each * endpoint.weight)))
        ]
        self._points = sorted(points, key=itemgetter(0, 1))
        self._rng = rng
        self._kept: frozenset[Endpoint] = frozenset()
        self.keep(endpoints)

    def keep(self, fit: Collection[Endpoint]) -> None:
        """
        Pick from these, at least one.
        """
        kept = frozenset(fit)
        if kept == self._kept:
            return
        self._kept = kept
        points = [(point, endpoint) for point, _, endpoint in self._points if endpoint in kept]
        self._bounds = [point for point, _ in points]
        # Behind the last point comes the first.
        self._owners = [endpoint for _, endpoint in points] + [points[0][1]]

    def pick(self, key: bytes | None) -> Endpoint:
        """
        The endpoint for a key; any where there is none.
        """
        at = self._rng.getrandbits(64) if key is None else digest(key)
        return self._owners[bisect(self._bounds, at)]


def _pointsOf(address: str, count: int) -> list[int]:
    points: list[int] = []
    for number in range((count + 7) // 8):
        block = blake2b(b"%s#%d" % (address.encode(), number)).digest()
        points += [int.from_bytes(block[place : place + 8], "big") for place in range(0, 64, 8)]
    return points[:count]


class Maglev:
    """
    A lookup table (Eisenbud et al., "Maglev", NSDI 2016, section 3.4): shares are more even than a ring's and looking
    up costs the same for any number of endpoints. When an endpoint goes, those of the others keep all their keys: its
    slots are filled from the table that the others have without it.
    """

    def __init__(self, endpoints: Sequence[Endpoint], rng: Random) -> None:
        """
        @param endpoints: at least one.
        @param rng: where flows without a key go.
        """
        self._endpoints = sorted(endpoints, key=lambda endpoint: endpoint.address)
        wanted = _SLOTS_EACH * len(endpoints)
        self._size = next((size for size in TABLE_SIZES if size >= wanted), TABLE_SIZES[-1])
        self._all = self._table = self._fill(self._endpoints)
        self._kept = frozenset(endpoints)
        self._rng = rng

    def keep(self, fit: Collection[Endpoint]) -> None:
        """
        Pick from these, at least one.
        """
        kept = frozenset(fit)
        if kept == self._kept:
            return
        self._kept = kept
        if len(kept) == len(self._endpoints):
            self._table = self._all
            return
        spare = self._fill([endpoint for endpoint in self._endpoints if endpoint in kept])
        self._table = [
            endpoint if endpoint in kept else other for endpoint, other in zip(self._all, spare, strict=True)
        ]

    def pick(self, key: bytes | None) -> Endpoint:
        """
        The endpoint for a key; any where there is none.
        """
        at = self._rng.getrandbits(64) if key is None else digest(key)
        return self._table[at % self._size]

    def _fill(self, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
        size = self._size
        table: list[Endpoint | None] = [None] * size
        most = max(endpoint.weight for endpoint in endpoints)
        # Each endpoint has a permutation of the slots, and takes in turn the next of its own that is free; one of less
        # weight sits out some turns.
        turns = []
        for endpoint in endpoints:
            block = blake2b(endpoint.address.encode(), digest_size=16).digest()
            offset = int.from_bytes(block[:8], "big") % size
            skip = int.from_bytes(block[8:], "big") % (size - 1) + 1
            turns.append(_Turn(endpoint, offset, skip, endpoint.weight / most))
        filled = 0
        while True:
            for turn in turns:
                turn.credit += turn.share
                if turn.credit < 1:
                    continue
                turn.credit -= 1
                at, skip = turn.at, turn.skip
                while table[at] is not None:
                    at = (at + skip) % size
                table[at] = turn.endpoint
                turn.at = (at + skip) % size
                filled += 1
                if filled == size:
                    return table  # type: ignore[return-value]  # every slot is taken


@define
class _Turn:
    """
    Whose turn it is in filling a table, and which slots it prefers.
    """

    endpoint: Endpoint
    at: int
    skip: int
    share: float
    credit: float = 0.0


def fraction(key: bytes) -> float:
    """
    A key as a number from 0 up to 1.
    """
    return digest(b"level\0" + key) / _SCALE
