"""
How a window grows while nothing is known of the network: HyStart++ (RFC 9406), which sees by the round trips that a
queue begins to fill, before it is full and hundreds of segments are lost at once. Sans-IO.
"""

from __future__ import annotations

from math import inf
from typing import Final

SAMPLES: Final = 8
LEAST_DELAY: Final = 0.004
MOST_DELAY: Final = 0.016
DIVISOR: Final = 8
CAREFUL_GROWTH: Final = 0.25
CAREFUL_ROUNDS: Final = 5
"""
RFC 9406 section 4.3: how many round trips of a round are looked at; by how much they have to be longer, in seconds, and
as a part of those before; how much slower it goes on then, and for how many rounds.
"""


class SlowStart:
    """
    One more for each answer, until the threshold is reached, something is lost, or round trips become longer.

    @ivar threshold: where it ends.
    """

    def __init__(self, threshold: float = inf, careful: bool = True) -> None:
        """
        @param careful: whether round trips are looked at.
        """
        self.threshold = threshold
        self._careful = careful
        # Answers until the round ends; the shortest round trips of this round and of the one before.
        self._left = 0
        self._seen = 0
        self._least = inf
        self._before = inf
        # While it goes on slowly: for how many rounds more, and the round trip that made it do so.
        self._rounds: int | None = None
        self._baseline = inf

    def growth(self, size: float, roundTrip: float) -> float:
        """
        A segment has come.

        @param size: of the window.
        @param roundTrip: as measured, in seconds; 0 where it was not.
        @return: how much the window is to grow; 0 where slow start has ended.
        """
        if size >= self.threshold:
            return 0.0
        if self._careful:
            self._look(size, roundTrip)
            if size >= self.threshold:
                return 0.0
        return 1.0 if self._rounds is None else CAREFUL_GROWTH

    def _look(self, size: float, roundTrip: float) -> None:
        if self._left <= 0:
            self._newRound(size)
        self._left -= 1
        if not roundTrip:
            return
        self._least = min(self._least, roundTrip)
        self._seen += 1
        if self._seen < SAMPLES:
            return
        if self._rounds is None:
            longer = min(max(self._before / DIVISOR, LEAST_DELAY), MOST_DELAY)
            if self._least >= self._before + longer:
                self._rounds, self._baseline = CAREFUL_ROUNDS, self._least
        elif self._least < self._baseline:
            # It was something else.
            self._rounds = None

    def _newRound(self, size: float) -> None:
        if self._rounds is not None:
            self._rounds -= 1
            if not self._rounds:
                self.threshold = size
        self._before, self._least = self._least, inf
        self._seen = 0
        self._left = int(size)
