"""
Time in a reactor that has turns.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock


class TurningClock(Clock):
    """
    Time of a reactor that has turns, see L{hermes.net.dispatch}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ending: list[Callable[[], object]] = []
        self.atTurnsEnd = self.ending.append

    def endTurn(self) -> bool:
        """
        Do what was left for the end of the turn; whether there was anything.
        """
        any_ = bool(self.ending)
        while self.ending:
            calls = self.ending[:]
            self.ending.clear()
            for call in calls:
                call()
        return any_
