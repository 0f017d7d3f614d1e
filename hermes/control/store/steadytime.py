"""
Time that nobody can set: it goes on while the machine is suspended, and does not jump when its clock is corrected.

The reactor's own time is the wall clock: where that is set back by an hour, what was to be done in five seconds is done
in an hour and five seconds. A lease runs out all the same.
"""

from __future__ import annotations

import ctypes
import heapq
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

# As the kernel's headers have them; Python has timerfd from 3.13 on.
_NONBLOCK: Final = os.O_NONBLOCK | os.O_CLOEXEC
_TIMES: Final = struct.Struct("@llll")
_libc = ctypes.CDLL(None, use_errno=True)


@implementer(IReadDescriptor)
class _Timer:
    """
    A descriptor that can be read once a time has come (timerfd_create(2)).
    """

    def __init__(self, reactor: Any, due: Callable[[], None]) -> None:
        """
        @raise OSError: there is none.
        """
        self._reactor = reactor
        self._due = due
        self._descriptor: int = _libc.timerfd_create(CLOCK, _NONBLOCK)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        reactor.addReader(self)

    def arm(self, delay: float) -> None:
        """
        In so many seconds.
        """
        # Nothing at all would disarm it.
        nanoseconds = max(1, int(delay * 1e9))
        times = _TIMES.pack(0, 0, *divmod(nanoseconds, 1_000_000_000))
        _libc.timerfd_settime(self._descriptor, 0, times, None)

    def close(self) -> None:
        self._reactor.removeReader(self)
        os.close(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "SteadyTime"

    def doRead(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._descriptor, 8)
        self._due()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor ends.
        """


@implementer(IReactorTime)
class SteadyTime:
    """
    Calls at times of L{CLOCK}. It holds a descriptor only while something is to be called.
    """

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: list[tuple[float, int, DelayedCall]] = []
        self._count = 0
        self._timer: _Timer | None = None

    def seconds(self) -> float:
        return time.clock_gettime(CLOCK)

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kw: Any) -> IDelayedCall:
        call = DelayedCall(self.seconds() + delay, callable, args, kw, self._forget, self._again, seconds=self.seconds)
        self._again(call)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        return [call for _, _, call in self._calls]

    def _forget(self, call: DelayedCall) -> None:
        """
        It is about to be cancelled. There are never many.
        """
        self._calls = [each for each in self._calls if each[2] is not call]
        heapq.heapify(self._calls)
        self._arm()

    def _again(self, call: DelayedCall) -> None:
        """
        It has a time, or another one.
        """
        self._calls = [each for each in self._calls if each[2] is not call]
        self._count += 1
        self._calls.append((call.getTime(), self._count, call))
        heapq.heapify(self._calls)
        self._arm()

    def _arm(self) -> None:
        if not self._calls:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.close()
            return
        if self._timer is None:
            self._timer = _Timer(self._reactor, self._run)
        self._timer.arm(self._calls[0][0] - self.seconds())

    def _run(self) -> None:
        now = self.seconds()
        due: list[DelayedCall] = []
        while self._calls and self._calls[0][0] <= now:
            due.append(heapq.heappop(self._calls)[2])
        for call in due:
            # One that was called before may have cancelled this one; and one that was put off says so only now.
            if not call.active():
                continue
            if call.getTime() > now:
                self._again(call)
                continue
            call.called = 1
            try:
                call.func(*call.args, **call.kw)
            except Exception:
                self.log.failure("what was to be called has failed")
        self._arm()
