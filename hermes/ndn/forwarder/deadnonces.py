"""
Nonces of Interests that the PIT has forgotten: one that comes back has looped.
"""

from __future__ import annotations

from typing import Final

LIFETIME: Final = 6.0
"""
Seconds for which a Nonce is known at least, unless there are too many: as in NFD.
"""

CAPACITY: Final = 200_000
"""
How many are known, at most, unless the list is told otherwise.
"""


class DeadNonceList:
    """
    Pairs of a name and a Nonce, for a while.

    They are kept as hashes, which are keyed with Python's own secret, in two generations: the older one is forgotten as
    a whole. So nothing has to be done for each at its end, and one is known for one to two times L{LIFETIME}; for less
    where half the capacity came within that time. An Interest that is taken for another, by chance, is treated as one
    that has looped; that happens to one in 10^13.
    """

    __slots__ = ("_half", "_new", "_old", "_turn")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._half = max(1, capacity // 2)
        self._old: set[int] = set()
        self._new: set[int] = set()
        self._turn = 0.0

    def __len__(self) -> int:
        return len(self._old) + len(self._new)

    def add(self, name: bytes, nonce: int, now: float) -> None:
        """
        A Nonce is dead.

        @param now: the time, in seconds of the clock.
        """
        new = self._new
        if now >= self._turn or len(new) >= self._half:
            self._old = set() if now >= self._turn + LIFETIME else new
            new = self._new = set()
            self._turn = now + LIFETIME
        new.add(hash((name, nonce)))

    def has(self, name: bytes, nonce: int, now: float) -> bool:
        """
        Whether it is.
        """
        if now >= self._turn + LIFETIME:
            return False
        both = hash((name, nonce))
        return both in self._new or both in self._old
