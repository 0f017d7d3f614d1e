"""
Processes that can be killed: their time stops, and what they were about to do is never done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock
from zope.interface import implementer


@implementer(IReactorTime)
class ProcessClock:
    """
    The clock of one process. When it is killed, nothing that it has asked for comes any more.

    @ivar killed: whether it was.
    """

    def __init__(self, clock: Clock) -> None:
        self.killed = False
        self._clock = clock
        self._calls: dict[IDelayedCall, None] = {}

    def seconds(self) -> float:
        return self._clock.seconds()

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
