"""
When what faces have to send leaves: together, at the end of a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class IFlushed(Protocol):
    """
    What has something to send.
    """

    def flush(self) -> None:
        """
        Send it.
        """


class Turn:
    """
    Flushes faces. In a reactor with turns (L{hermes.net.dispatch}) that is once all that has arrived is dealt with; in
    any other, once the batch that is being received is, or at once.
    """

    __slots__ = ("_atTurnsEnd", "_depth", "_waiting")

    def __init__(self, clock: Any) -> None:
        self._atTurnsEnd: Callable[[Callable[[], object]], object] | None = getattr(clock, "atTurnsEnd", None)
        self._waiting: list[IFlushed] = []
        self._depth = 0

    def add(self, face: IFlushed) -> None:
        """
        C{face} has something to send now, and had not before.
        """
        waiting = self._waiting
        waiting.append(face)
        if len(waiting) == 1:
            if self._atTurnsEnd is not None:
                self._atTurnsEnd(self.flush)
            elif not self._depth:
                self.flush()

    def begin(self) -> None:
        """
        A batch is being received.
        """
        self._depth += 1

    def end(self) -> None:
        """
        It was.
        """
        self._depth -= 1
        if not self._depth and self._atTurnsEnd is None:
            self.flush()

    def flush(self) -> None:
        """
        Send what there is.
        """
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            for face in waiting:
                face.flush()
