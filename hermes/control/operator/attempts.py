"""
How often somebody may be wrong: tokens are not to be guessed, and questions that cost something not asked without end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

MAX_SOURCES: Final = 10_000
"""
How many sources are remembered; the one that was quiet for longest is forgotten for a new one.
"""


class Attempts:
    """
    An allowance for each source, which fills again with time. The addresses of one IPv6 network of 64 bits are one
    source: whoever has one of them has them all.
    """

    def __init__(self, seconds: Callable[[], float], most: int, every: float) -> None:
        """
        @param seconds: tells time that never jumps.
        @param most: how many a source has, after a long pause.
        @param every: seconds until it has one more.
        """
        self._seconds = seconds
        self._most = most
        self._every = every
        # By source: when it has its whole allowance again.
        self._full: OrderedDict[str, float] = OrderedDict()

    def left(self, origin: str) -> bool:
        """
        Whether the source has an attempt left.
        """
        full = self._full.get(_source(origin), 0.0)
        return full - self._seconds() <= (self._most - 1) * self._every

    def wait(self, origin: str) -> int:
        """
        Seconds until it has one, at least 1.
        """
        full = self._full.get(_source(origin), 0.0)
        return max(1, int(full - self._seconds() - (self._most - 1) * self._every) + 1)

    def add(self, origin: str) -> None:
        """
        It has used one.
        """
        source = _source(origin)
        self._full[source] = max(self._full.pop(source, 0.0), self._seconds()) + self._every
        while len(self._full) > MAX_SOURCES:
            self._full.popitem(last=False)


def _source(origin: str) -> str:
    try:
        address = ip_address(origin)
    except ValueError:
        return origin
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped is not None else str(ip_network((int(address), 64), strict=False))
    return origin
