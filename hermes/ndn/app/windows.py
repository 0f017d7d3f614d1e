"""
How many Interests may be on their way: a fixed number, AIMD, or CUBIC (RFC 9438), with the options of NDN's
C{ndncatchunks}. Sans-IO; the unit is one segment.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

from hermes.ndn.app.slowstart import SlowStart

DEFAULT_SIZE = 20
INITIAL = 2.0
"""
The fixed window, and what the others begin with.
"""

LEAST = 2.0
"""
What they are reduced to, at least.
"""

CUBIC_C = 0.4


class Window(Protocol):
    """
    @ivar size: how many may be on their way; the part below a whole does not count.
    """

    size: float

    def received(self, now: float, smoothed: float, measured: float) -> None:
        """
        A segment has come.

        @param smoothed: the round trip, in seconds; 0 where it is not known.
        @param measured: that of this segment; 0 where it was sent twice.
        """

    def lost(self, now: float) -> None:
        """
        The network has shown that it is too much: at most once for each window.
        """


class FixedWindow:
    """
    A number that stays.
    """

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        if size < 1:
            raise ValueError(f"a window of {size} segments lets nothing through")
        self.size: float = size

    def received(self, now: float, smoothed: float, measured: float) -> None:
        """
        Nothing changes.
        """

    def lost(self, now: float) -> None:
        """
        Nothing changes.
        """


class AimdWindow:
    """
    Slow start, then C{step} more for each round trip; less by C{beta} after a loss.
    """

    def __init__(
        self,
        initial: float = INITIAL,
        threshold: float = inf,
        step: float = 1.0,
        beta: float = 0.5,
        resetToInitial: bool = False,
        careful: bool = True,
    ) -> None:
        """
        @param threshold: where slow start ends.
        @param careful: whether it ends before something is lost, where it can be seen: see L{SlowStart}.
        @param resetToInitial: begin with C{initial} again after a loss.
        @raise ValueError: if the window could not grow, or not shrink.
        """
        _check(initial, beta)
        if step <= 0:
            raise ValueError("a window grows in steps above 0")
        self.size = initial
        self._initial = initial
        self._slowStart = SlowStart(threshold, careful)
        self._step = step
        self._beta = beta
        self._resetToInitial = resetToInitial

    def received(self, now: float, smoothed: float, measured: float) -> None:
        """
        See L{Window}.
        """
        growth = self._slowStart.growth(self.size, measured)
        self.size += growth * self._step if growth else self._step / int(self.size)

    def lost(self, now: float) -> None:
        """
        See L{Window}.
        """
        threshold = max(LEAST, self.size * self._beta)
        self._slowStart = SlowStart(threshold, careful=False)
        self.size = self._initial if self._resetToInitial else threshold


class CubicWindow:
    """
    Slow start, then along a cubic function of the time since the last loss, which is flat where that was; never slower
    than AIMD would be (RFC 9438 section 4).
    """

    def __init__(
        self,
        initial: float = INITIAL,
        threshold: float = inf,
        beta: float = 0.7,
        fastConvergence: bool = False,
        careful: bool = True,
    ) -> None:
        """
        @param threshold: where slow start ends.
        @param careful: whether it ends before something is lost, where it can be seen: see L{SlowStart}.
        @param fastConvergence: leave more to others where the window was reduced twice in a row (section 4.7).
        @raise ValueError: if the window could not shrink.
        """
        _check(initial, beta)
        self.size = initial
        self._slowStart = SlowStart(threshold, careful)
        self._begin = initial
        self._beta = beta
        self._fastConvergence = fastConvergence
        self._most = 0.0
        self._reduced: float | None = None
        # What AIMD would have: alpha_cubic of section 4.3.
        self._step = 3 * (1 - beta) / (1 + beta)

    def received(self, now: float, smoothed: float, measured: float) -> None:
        """
        See L{Window}.
        """
        if self._reduced is None:
            growth = self._slowStart.growth(self.size, measured)
            if growth:
                self.size += growth
                return
            # Slow start has ended without a loss.
            self._most = self._begin = self.size
            self._reduced = now
        elapsed = now - self._reduced
        begin = self._begin
        plateau = (max(self._most - begin, 0) / CUBIC_C) ** (1 / 3)
        target = CUBIC_C * (elapsed - plateau) ** 3 + self._most
        if smoothed > 0:
            target = max(target, begin + self._step * elapsed / smoothed)
        # At most half as much again within a round trip (section 4.2).
        target = min(target, 1.5 * self.size)
        if target > self.size:
            self.size += (target - self.size) / self.size

    def lost(self, now: float) -> None:
        """
        See L{Window}.
        """
        if self._fastConvergence and self.size < self._most:
            self._most = self.size * (1 + self._beta) / 2
        else:
            self._most = self.size
        self._begin = self.size = max(LEAST, self.size * self._beta)
        self._reduced = now


def _check(initial: float, beta: float) -> None:
    if initial < 1:
        raise ValueError(f"a window of {initial:g} segments lets nothing through")
    if not 0 < beta < 1:
        raise ValueError("a window is reduced to a part of it between 0 and 1")
