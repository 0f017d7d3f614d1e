"""
What is found by the longest prefix of a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

from hermes.ndn.packet.name import componentEnds

T = TypeVar("T")

_LANDINGS: Final = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
"""
Numbers of components at which it is known whether anything longer goes on from there.
"""

_FEW: Final = 4
"""
With so many different lengths of prefixes it costs less to try each than to look at the landings first.
"""


def endsOf(name: bytes) -> Sequence[int]:
    """
    Where each component of a name's value ends.

    @raise hermes.ndn.packet.errors.PacketError: if it is malformed.
    """
    return componentEnds(name, 0, len(name))


class PrefixTable(Generic[T]):
    """
    Values by name prefix, found by the longest one of a name.

    A prefix is the value of a name, and all of them are in one dict, so that a lookup costs the same with ten and with
    a million: one look for each I{different number of components} that prefixes have, the longest first. Where they
    have many, it is seen at 2, 4, 8, 16... components whether there is anything longer under this name, so that a name
    which is much longer than what is found costs few looks, whatever else is in the table.
    """

    __slots__ = ("_counts", "_depths", "_get", "_landings", "_root", "_values")

    def __init__(self) -> None:
        self._values: dict[bytes, T] = {}
        self._get = self._values.get
        # The empty prefix is of every name.
        self._root: T | None = None
        # How many prefixes there are of each number of components above 0, and those numbers, the greatest first.
        self._counts: dict[int, int] = {}
        self._depths: tuple[int, ...] = ()
        # How many longer prefixes each prefix with a number of components from _LANDINGS has.
        self._landings: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[bytes]:
        """
        The prefixes, in no order.
        """
        return iter(self._values)

    def values(self) -> Iterator[T]:
        """
        What is in the table, in no order.
        """
        return iter(self._values.values())

    def get(self, prefix: bytes) -> T | None:
        """
        The value of exactly this prefix.
        """
        return self._get(prefix)

    def set(self, prefix: bytes, value: T) -> None:
        """
        Give a prefix a value.

        @raise hermes.ndn.packet.errors.PacketError: if it is not the value of a name.
        """
        if prefix not in self._values:
            self._count(prefix, 1)
        self._values[prefix] = value
        if not prefix:
            self._root = value

    def remove(self, prefix: bytes) -> T | None:
        """
        Take a prefix out.

        @return: what its value was.
        """
        value = self._values.pop(prefix, None)
        if value is not None:
            self._count(prefix, -1)
            if not prefix:
                self._root = None
        return value

    def _count(self, prefix: bytes, change: int) -> None:
        ends = endsOf(prefix)
        depth = len(ends)
        if not depth:
            return
        counts = self._counts
        counts[depth] = counts.get(depth, 0) + change
        if not counts[depth]:
            del counts[depth]
        if len(counts) != len(self._depths) or depth not in self._depths:
            self._depths = tuple(sorted(counts, reverse=True))
        landings = self._landings
        for landing in _LANDINGS:
            if landing >= depth:
                break
            shorter = prefix[: ends[landing - 1]]
            landings[shorter] = landings.get(shorter, 0) + change
            if not landings[shorter]:
                del landings[shorter]

    def longest(self, name: bytes, ends: Sequence[int]) -> T | None:
        """
        The value of the longest prefix of a name.

        @param name: the value of the name.
        @param ends: where in it each component ends.
        """
        depths = self._depths
        if not depths:
            return self._root
        length = len(ends)
        if len(depths) > _FEW:
            landings = self._landings
            for landing in _LANDINGS:
                if landing >= length:
                    break
                if name[: ends[landing - 1]] not in landings:
                    length = landing
                    break
        get = self._get
        for depth in depths:
            if depth <= length:
                value = get(name[: ends[depth - 1]])
                if value is not None:
                    return value
        return self._root

    def all(self, name: bytes, ends: Sequence[int]) -> Iterator[T]:
        """
        The values of all prefixes of a name, the longest first.
        """
        length = len(ends)
        for depth in self._depths:
            if depth <= length:
                value = self._get(name[: ends[depth - 1]])
                if value is not None:
                    yield value
        if self._root is not None:
            yield self._root
