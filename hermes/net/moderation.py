"""
Scheduled in batches for as long as that pays: moderation of wake-ups, as network cards moderate their interrupts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, NamedTuple

from twisted.logger import Logger

from hermes.net.scheduling import scheduleInBatches, scheduleNormally

TURNS: Final = 16
"""
A look is taken once in so many turns of the reactor: a node with nothing to do never looks.
"""

_SHORTEST = 0.01
_BUSY = 0.12
_IDLE = 0.04
_PATIENCE = 0.001
_DEBT = 0.03
_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_log = Logger()


class Usage(NamedTuple):
    """
    What the kernel has counted for a thread since it began (proc_pid_schedstat(5)).

    @ivar ran: seconds on a core.
    @ivar waited: seconds in which it could have run and another was on the core.
    @ivar slices: how many times it was put on a core.
    """

    ran: float
    waited: float
    slices: int


class ThreadUsage:
    """
    Reads the L{Usage} of the thread that calls. It is opened when it is called first, as a daemon is another process
    than the one that has read the configuration.
    """

    def __init__(self, path: str = "/proc/thread-self/schedstat") -> None:
        self._path = path
        self._descriptor = -1

    def __call__(self) -> Usage:
        """
        @raise OSError: if this kernel does not count.
        @raise ValueError: if it says something else.
        """
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        ran, waited, slices = os.pread(self._descriptor, 96, 0).split()
        return Usage(int(ran) / 1e9, int(waited) / 1e9, int(slices))

    def close(self) -> None:
        """
        Give the descriptor back.
        """
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Moderation:
    """
    Schedules the reactor's thread in batches (L{scheduleInBatches}) while it is busy, and as an ordinary one while it
    is not, or where it has to wait for its core too long: more than a millisecond a time, as where a program computes
    beside it and gives the core up only at the end of its slice. Programs that send to the node and wait for it give
    it up sooner. After such a disappointment it is an ordinary thread for a second before it tries again, for two after
    the next, and so on, to a minute.

    A thread that has been given another policy than the ordinary one keeps it.

    @ivar batches: whether it is scheduled in batches now.
    """

    def __init__(
        self, now: Callable[[], float] = monotonic, usage: Callable[[], Usage] | None = None, kernel: Any = os
    ) -> None:
        """
        @param now: the time, in seconds.
        @param usage: what the kernel counts for the thread.
        @param kernel: stands in for the C{os} module.
        """
        self.batches = False
        self._now = now
        self._usage = ThreadUsage() if usage is None else usage
        self._kernel = kernel
        self._works = True
        self._at: float | None = None
        self._before = Usage(0, 0, 0)
        self._debt = 0.0
        self._pause = _PAUSE
        self._notBefore = self._began = 0.0

    def look(self) -> None:
        """
        Decide anew. To be called by the thread, once in L{TURNS} turns.
        """
        if not self._works:
            return
        now = self._now()
        if self._at is not None and now - self._at < _SHORTEST:
            return
        try:
            usage = self._usage()
            if self._at is not None:
                self._decide(now, now - self._at, usage)
        except (OSError, ValueError) as error:
            self._works = False
            _log.info("the scheduler's policy is not moderated: {error}", error=error)
            return
        self._at, self._before = now, usage

    def _decide(self, now: float, passed: float, usage: Usage) -> None:
        busy = (usage.ran - self._before.ran) / passed
        if not self.batches:
            if busy >= _BUSY and now >= self._notBefore:
                self._works = self.batches = scheduleInBatches(self._kernel)
                self._debt, self._began = 0.0, now
            return
        # One long wait is nobody's fault; one after the other adds up.
        self._debt += usage.waited - self._before.waited - (usage.slices - self._before.slices) * _PATIENCE
        if busy >= _IDLE and self._debt < _DEBT:
            self._debt = max(0.0, self._debt)
            return
        self.batches = False
        scheduleNormally(self._kernel)
        if self._debt > 0:
            # It may be idle for no other reason than that it waits.
            if now - self._began > _LONGEST_PAUSE:
                self._pause = _PAUSE
            self._notBefore = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
