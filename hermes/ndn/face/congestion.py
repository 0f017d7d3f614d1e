"""
Congestion marks (NDNLPv2, section "Congestion marking"): set where what waits to be sent stays long, and more often the
longer it does, as CoDel drops (RFC 8289 section 3.3).
"""

from __future__ import annotations

from math import sqrt
from typing import Final

THRESHOLD: Final = 65_536
"""
Bytes that may wait before a link counts as congested (as NFD).
"""

INTERVAL: Final = 0.1
"""
Seconds for which they must wait before the first mark (as NFD).
"""


class CongestionMarker:
    """
    Says when to mark.

    @ivar threshold: bytes that may wait.
    @ivar interval: seconds between the first marks.
    """

    __slots__ = ("_marked", "_next", "interval", "threshold")

    def __init__(self, threshold: int = THRESHOLD, interval: float = INTERVAL) -> None:
        self.threshold = threshold
        self.interval = interval
        # Marks since the queue is too long, and when the next is due; none while it is not.
        self._marked = 0
        self._next: float | None = None

    def isDue(self, queued: int, now: float) -> bool:
        """
        Whether the next packet is to be marked.

        @param queued: bytes that wait now.
        @param now: in seconds.
        """
        if queued <= self.threshold:
            self._next = None
            self._marked = 0
            return False
        if self._next is None:
            self._next = now + self.interval
            return False
        if now < self._next:
            return False
        self._marked += 1
        self._next += self.interval / sqrt(self._marked + 1)
        return True
