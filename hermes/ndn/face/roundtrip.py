"""
How long an answer takes, and how long to wait for one (RFC 6298).
"""

from __future__ import annotations

from typing import Final

INITIAL: Final = 1.0
LEAST: Final = 0.2
MOST: Final = 60.0
"""
Seconds to wait: before anything is known; at least; at most.
"""


class RoundTrip:
    """
    An estimate of the round trip, in seconds.

    @ivar timeout: how long to wait.
    @ivar smoothed: the round trip, or L{None} where nothing is known yet.
    """

    __slots__ = ("_variation", "smoothed", "timeout")

    def __init__(self) -> None:
        self.timeout = INITIAL
        self.smoothed: float | None = None
        self._variation = 0.0

    def measured(self, duration: float) -> None:
        """
        One took so long. Not to be told of what was sent twice: nobody knows which of them was answered.
        """
        if self.smoothed is None:
            self.smoothed = duration
            self._variation = duration / 2
        else:
            self._variation += (abs(self.smoothed - duration) - self._variation) / 4
            self.smoothed += (duration - self.smoothed) / 8
        self.timeout = min(max(self.smoothed + 4 * self._variation, LEAST), MOST)

    def backOff(self) -> None:
        """
        None came in time: wait longer for the next.
        """
        self.timeout = min(self.timeout * 2, MOST)
