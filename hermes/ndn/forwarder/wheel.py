"""
Many things that end at some time, and one timer for all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import inf
from typing import Final, Generic, Protocol, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Timed(Protocol):
    """
    What a wheel holds; hashed by identity.

    @ivar due: when it ends, in seconds of the clock. It may be moved to later while it is in the wheel, which then
        takes notice by itself; to move it to earlier, it is removed and put in again.
    @ivar slot: the wheel's own; L{None} while it is not in one.
    """

    due: float
    slot: dict[Timed, None] | None


TimedT = TypeVar("TimedT", bound=Timed)

_TICKS: Final = 100
"""
Slots a second.
"""

_NEAR: Final = 64 * _TICKS
_COARSE: Final = 1 * _TICKS
"""
What is due in more ticks than the first waits in slots as wide as the second, so that there are never many of them.
"""

_TURN: Final = 2000
"""
So many end in one turn of the reactor, at most; the rest follows in the next.
"""


class TimerWheel(Generic[TimedT]):
    """
    A wheel with slots of 10 ms: to put something in or to take it out costs a dict entry, and there is one delayed
    call, for the first slot that may hold anything.

    What ends does so never early, and at most a slot late: 10 ms; a second where it was put in more than a minute
    before.
    """

    __slots__ = ("_call", "_clock", "_drained", "_ended", "_order", "_rest", "_slots", "_when")

    def __init__(self, clock: IReactorTime, ended: Callable[[TimedT], None]) -> None:
        """
        @param ended: called with what has come to its end, and is out of the wheel by then.
        """
        self._clock = clock
        self._ended = ended
        self._slots: dict[int, dict[Timed, None]] = {}
        self._order: list[int] = []
        # What is due and has not ended yet, and the slot that it is said to be in: always empty.
        self._drained: dict[Timed, None] = {}
        self._rest: list[TimedT] = []
        self._call: IDelayedCall | None = None
        self._when: float = inf

    def __len__(self) -> int:
        return sum(map(len, self._slots.values())) + len(self._rest)

    def insert(self, item: TimedT, due: float, now: float) -> None:
        """
        Put something in.

        @param due: when it ends.
        @param now: the time, in seconds of the clock.
        """
        tick = int(due * _TICKS) + 1
        if tick - now * _TICKS > _NEAR:
            tick += -tick % _COARSE
        slot = self._slots.get(tick)
        if slot is None:
            slot = self._slots[tick] = {}
            heapq.heappush(self._order, tick)
            if tick < self._when:
                self._arm(tick)
        slot[item] = None
        item.slot = slot
        item.due = due

    def remove(self, item: TimedT) -> None:
        """
        Take it out, where it is in.
        """
        slot = item.slot
        if slot is not None:
            item.slot = None
            slot.pop(item, None)

    def stop(self) -> None:
        """
        Forget everything.
        """
        for slot in self._slots.values():
            for item in slot:
                item.slot = None
        self._slots.clear()
        for item in self._rest:
            item.slot = None
        self._order.clear()
        self._rest.clear()
        self._disarm()

    def _disarm(self) -> None:
        call, self._call = self._call, None
        self._when = inf
        if call is not None and call.active():
            call.cancel()

    def _arm(self, tick: float) -> None:
        self._disarm()
        self._when = tick
        self._call = self._clock.callLater(max(0.0, tick / _TICKS - self._clock.seconds()), self._turn)

    def _turn(self) -> None:
        """
        The first slot is due, or some of the last is left.
        """
        self._call = None
        self._when = inf
        now = self._clock.seconds()
        order, rest, drained = self._order, self._rest, self._drained
        # callLater's time is the sum of two floats.
        ticks = now * _TICKS + 1e-3
        while order and order[0] <= ticks and len(rest) < _TURN:
            for item in self._slots.pop(heapq.heappop(order)):
                item.slot = drained
                rest.append(item)  # type: ignore[arg-type]
        work, self._rest = rest[:_TURN], rest[_TURN:]
        work.reverse()
        try:
            while work:
                ending = work.pop()
                if ending.slot is not drained:
                    continue
                if ending.due > now:
                    self.insert(ending, ending.due, now)
                    continue
                ending.slot = None
                self._ended(ending)
        finally:
            work.reverse()
            self._rest[:0] = work
            if self._rest:
                self._arm(0)
            elif order and order[0] < self._when:
                self._arm(order[0])
