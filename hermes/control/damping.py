"""
When a change may be made that nobody has asked for.
"""

from __future__ import annotations

from typing import Final

SETTLE: Final = 5.0
"""
Seconds for which a change must have been called for.
"""

LONGEST: Final = 3600.0
"""
Seconds that pass at most from one change to the next, or as many as are asked for.
"""


class Damping:
    """
    From any change to one of these, some seconds pass; twice as many after each, whatever came of it, until for as long
    again none was called for.
    """

    def __init__(self) -> None:
        self._calledSince: float | None = None
        # The version that is committed, and when it came, or a change of ours was made.
        self._number: int | None = None
        self._changedAt = 0.0
        self._made = 0
        self._madeAt = 0.0

    def committed(self, number: int | None, now: float) -> None:
        """
        What is committed, as often as somebody looks; C{None} where nothing is known to be.
        """
        if number == self._number:
            return
        if self._number is None or number is None:
            # A new time as the leader: what was learned in an earlier one is old.
            self._made = 0
        self._number, self._changedAt = number, now
        self._calledSince = None

    def notCalledFor(self) -> None:
        """
        All is as it should be.
        """
        self._calledSince = None

    def calledFor(self, now: float, least: float) -> float:
        """
        A change is called for, now or still.

        @param least: seconds from one change to the next, the first time.
        @return: seconds until it may be made; none are left where it is 0 or less.
        """
        wait = self._wait(least)
        if self._calledSince is None:
            self._calledSince = now
            if now - self._madeAt > 2 * wait:
                self._made = 0
                wait = self._wait(least)
        return max(self._calledSince + SETTLE, self._changedAt + wait) - now

    def made(self, now: float) -> None:
        """
        It was made, or tried.
        """
        self._made += 1
        self._calledSince = None
        self._changedAt = self._madeAt = now

    def _wait(self, least: float) -> float:
        return float(min(least * 2 ** min(self._made, 30), max(least, LONGEST)))
