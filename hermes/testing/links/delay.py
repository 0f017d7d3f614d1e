"""
What is on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final, Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

SLACK: Final = 0.0002
"""
Seconds: what would be due so soon after is delivered with what is due now.
"""

T = TypeVar("T")


class DelayLine(Generic[T]):
    """
    Holds items until they are due, and delivers them in order: one timer, however many wait.
    """

    def __init__(self, clock: IReactorTime, deliver: Callable[[T], None]) -> None:
        self._clock = clock
        self._deliver = deliver
        self._items: list[tuple[float, int, T]] = []
        self._count = 0
        self._timer: Any = None
        self._wakesAt = 0.0
        self._frozen = False

    def put(self, due: float, item: T) -> None:
        """
        @param due: in seconds of the clock. What is due at the same time is delivered in the order in which it came.
        """
        self._count += 1
        heappush(self._items, (due, self._count, item))
        self._schedule()

    def freeze(self) -> None:
        """
        Deliver nothing until L{thaw}.
        """
        self._frozen = True
        self._schedule()

    def thaw(self) -> None:
        """
        Deliver again; first what was due meanwhile.
        """
        self._frozen = False
        self._schedule()

    def clear(self) -> None:
        """
        Drop all that waits.
        """
        self._items.clear()
        self._schedule()

    def __len__(self) -> int:
        return len(self._items)

    def _schedule(self) -> None:
        wanted = bool(self._items) and not self._frozen
        due = self._items[0][0] if wanted else 0.0
        if self._timer is not None:
            if wanted and self._wakesAt <= due:
                return
            self._timer.cancel()
            self._timer = None
        if wanted:
            self._wakesAt = due
            self._timer = self._clock.callLater(max(0.0, due - self._clock.seconds()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        items, deliver = self._items, self._deliver
        now = self._clock.seconds() + SLACK
        while items and items[0][0] <= now and not self._frozen:
            deliver(heappop(items)[2])
        if self._timer is None:
            self._schedule()
