"""
What strategies remember of prefixes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

LIFETIME: Final = 300.0
"""
Seconds for which something is remembered after it was used last: as NFD's ASF does.
"""

MAX_ENTRIES: Final = 10_000


class Measurements(Generic[T]):
    """
    What one strategy has measured, by prefix. What was not used for the longest goes after a while, or when there is
    too much.
    """

    __slots__ = ("_entries", "_lifetime", "_make", "_maxEntries")

    def __init__(self, make: Callable[[bytes], T], lifetime: float = LIFETIME, maxEntries: int = MAX_ENTRIES) -> None:
        """
        @param make: makes what begins a prefix, given as a name's value.
        """
        self._make = make
        self._lifetime = lifetime
        self._maxEntries = maxEntries
        # Each and when it was used last; the one that was not used for the longest is the first.
        self._entries: OrderedDict[bytes, list[Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[T]:
        return (entry for entry, _ in self._entries.values())

    def of(self, prefix: bytes, now: float) -> T:
        """
        What there is of a prefix; made where there is nothing.

        @param now: the time, in seconds of the clock.
        """
        entries = self._entries
        found = entries.get(prefix)
        if found is not None and now - found[1] <= self._lifetime:
            found[1] = now
            entries.move_to_end(prefix)
            kept: T = found[0]
            return kept
        entry = self._make(prefix)
        entries[prefix] = [entry, now]
        entries.move_to_end(prefix)
        while True:
            oldest, (_, used) = next(iter(entries.items()))
            if now - used <= self._lifetime and len(entries) <= self._maxEntries:
                return entry
            del entries[oldest]
