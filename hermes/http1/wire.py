"""
How a connection writes, and the one timer that it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol

from hermes.values import Buffer

_SMALL: Final = 8 << 10

MAX_CORKED: Final = 64
"""
Pieces that wait for the end of a turn; a transport that knows nothing of them can't tell its producer to pause.
"""


class Wire(Protocol):
    """
    The lower part of a connection.
    """

    transport: Any

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._lost = False
        self._timer: IDelayedCall | None = None
        self._expiresAt = 0.0
        self._expired: Callable[[], object] | None = None
        # Where the reactor has turns: see L{hermes.net.dispatch}.
        self._atTurnsEnd: Callable[[Callable[[], object]], object] | None = getattr(clock, "atTurnsEnd", None)
        self._corked: list[bytes] = []

    def _emit(self, buffers: Sequence[Buffer]) -> None:
        """
        Send; what is small waits for the end of the turn, so that a head, its body and its end are one write.
        """
        size = sum(map(len, buffers))
        if self._atTurnsEnd is not None and size <= _SMALL:
            if not self._corked:
                self._atTurnsEnd(self._uncork)
            self._corked += map(bytes, buffers)
            if len(self._corked) > MAX_CORKED:
                self._uncork()
        elif self._corked:
            corked, self._corked = self._corked, []
            self.transport.writeSequence([*corked, *buffers])
        else:
            self.transport.writeSequence(buffers)

    def _later(self, call: Callable[[], object]) -> None:
        if self._atTurnsEnd is not None:
            self._atTurnsEnd(call)
        else:
            self._clock.callLater(0, call)

    def _uncork(self) -> None:
        if self._corked:
            corked, self._corked = self._corked, []
            if not self._lost:
                self.transport.write(b"".join(corked))

    # Time.

    def _startTimer(self, delay: float, expired: Callable[[], object]) -> None:
        # A timer that fires too early looks again: most are stopped before, and many an exchange has two.
        self._expiresAt = at = self._clock.seconds() + delay
        self._expired = expired
        timer = self._timer
        if timer is None:
            self._timer = self._clock.callLater(delay, self._expire)
        elif timer.getTime() > at:
            timer.cancel()
            self._timer = self._clock.callLater(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        expired = self._expired
        if expired is None:
            return
        left = self._expiresAt - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._expire)
        else:
            self._expired = None
            expired()

    def _stopTimer(self) -> None:
        self._expired = None

    def _dropTimer(self) -> None:
        """
        There will be no more.
        """
        self._expired = None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
