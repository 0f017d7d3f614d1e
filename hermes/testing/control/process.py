"""
Processes that can be killed: their time stops, and what they were about to do is never done.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from attrs import define, field
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IReactorTime)
class HeapClock:
    """
    A clock that is advanced by hand, for thousands of calls that wait at once.

    @ivar made: how many calls it was ever asked for.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._heap: list[tuple[float, int, DelayedCall]] = []
        self.made = 0

    def seconds(self) -> float:
        return self._now

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kw: Any) -> IDelayedCall:
        call = DelayedCall(
            self._now + delay, callable, args, kw, lambda cancelled: None, self._moved, lambda: self._now
        )
        self._push(call)
        return call

    def _push(self, call: DelayedCall) -> None:
        self.made += 1
        heappush(self._heap, (call.getTime(), self.made, call))

    def _moved(self, call: DelayedCall) -> None:
        # The old place in the heap is passed over.
        self._push(call)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        return list({id(call): call for _, _, call in self._heap if call.active()}.values())

    def _first(self) -> DelayedCall | None:
        while self._heap:
            time, _, call = self._heap[0]
            if call.active() and call.getTime() == time:
                return call
            heappop(self._heap)
        return None

    def following(self, otherwise: float) -> float:
        """
        When the next call is due.

        @param otherwise: where none waits.
        """
        call = self._first()
        return otherwise if call is None else call.getTime()

    def advance(self, seconds: float) -> None:
        """
        Let time pass, and make the calls that are due.
        """
        end = self._now + seconds
        while (call := self._first()) is not None and call.getTime() <= end:
            heappop(self._heap)
            self._now = max(self._now, call.getTime())
            call.called = 1
            call.func(*call.args, **call.kw)
        self._now = end


@implementer(IReactorTime)
class ProcessClock:
    """
    The clock of one process. When it is killed, nothing that it has asked for comes any more.

    @ivar killed: whether it was.
    """

    def __init__(self, clock: Any) -> None:
        """
        @param clock: advanced by hand, for all processes.
        """
        self.killed = False
        self._clock = clock
        self._calls: dict[IDelayedCall, None] = {}

    def seconds(self) -> float:
        now: float = self._clock.seconds()
        return now

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kw: Any) -> IDelayedCall:
        def run() -> None:
            self._calls.pop(call, None)
            if not self.killed:
                callable(*args, **kw)

        call: IDelayedCall = self._clock.callLater(delay, run)
        self._calls[call] = None
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        return [call for call in self._calls if call.active()]

    def kill(self) -> None:
        """
        Nothing more happens.
        """
        self.killed = True
        for call in self.getDelayedCalls():
            call.cancel()
        self._calls.clear()


@define(eq=False)
class Stops:
    """
    A L{hermes.control.stops.StopAt}: stops at points that are named before, for ever; or slows down.

    @ivar at: at which points to stop, each with how many times it is passed before.
    @ivar stopped: the points where it stopped.
    @ivar passed: those that were passed, in order.
    @ivar whenStopped: called with the point.
    @ivar on: what is called when a point is passed.
    """

    at: dict[str, int] = field(factory=dict)
    stopped: list[str] = field(factory=list)
    passed: list[str] = field(factory=list)
    whenStopped: Callable[[str], object] = lambda point: None
    on: dict[str, Callable[[], object]] = field(factory=dict)

    def __call__(self, point: str) -> Deferred[None]:
        if point in self.on:
            self.on[point]()
        left = self.at.get(point)
        if left is None or self.stopped:
            self.passed.append(point)
            return succeed(None) if not self.stopped else Deferred()
        if left > 0:
            self.at[point] = left - 1
            self.passed.append(point)
            return succeed(None)
        self.stopped.append(point)
        self.whenStopped(point)
        return Deferred()
