"""
Scheduled in batches for as long as that pays: moderation of wake-ups, as network cards moderate their interrupts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, NamedTuple

from twisted.logger import Logger

from hermes.net.received import received
from hermes.net.scheduling import scheduleInBatches, scheduleNormally

TURNS: Final = 16
"""
A look is taken once in so many turns of the reactor: a node with nothing to do never looks.
"""

SHORTEST: Final = 0.01
"""
Seconds from one look to the next, at least.
"""

SPAN: Final = 0.05
"""
Seconds for which it is measured what a byte costs, one way and the other.
"""

BUSY: Final = 0.12
IDLE: Final = 0.04
"""
Which part of the time a thread runs that is busy; and below which one is not that is scheduled in batches, and so has
less to do.
"""

CHEAPER: Final = 0.85
SLOWER: Final = 0.8
"""
It pays where a byte costs less than this part of what it did, and no less than this part of what came in a second does.
"""

PATIENCE: Final = 0.001
DEBT: Final = 0.03
"""
Seconds that it may wait for its core, each time; and by how much all the waiting together may exceed that.
"""

TERM: Final = 0.2
LONGEST_TERM: Final = 5.0
"""
Seconds after which it is measured again whether it pays: at first, as what is under way may just have begun, and twice
as many each time that it did, at most.
"""

PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""
Seconds until it is tried again where it did not pay: at first, and at most.
"""

_log = Logger()


class Usage(NamedTuple):
    """
    What the kernel has counted for a thread since it began (proc_pid_schedstat(5)), or has in some time.

    @ivar ran: seconds on a core.
    @ivar waited: seconds in which it could have run and another was on the core.
    @ivar slices: how many times it was put on a core.
    """

    ran: float
    waited: float
    slices: int

    def since(self, before: Usage) -> Usage:
        """
        What came since then.
        """
        return Usage(self.ran - before.ran, self.waited - before.waited, self.slices - before.slices)


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


class Span:
    """
    Some time, and what was done in it.

    @ivar seconds: how long it was.
    """

    __slots__ = ("_bytes", "_ran", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ran = 0.0
        self._bytes = 0

    def add(self, seconds: float, ran: float, bytes: int) -> None:
        """
        @param ran: how much of it the thread was on a core.
        @param bytes: what it has received.
        """
        self.seconds += seconds
        self._ran += ran
        self._bytes += bytes

    def betterThan(self, other: Span) -> bool:
        """
        Whether bytes cost less than there, and as many came.
        """
        # Each without a division: either may have had none.
        cheaper = self._ran * other._bytes < CHEAPER * other._ran * self._bytes
        return cheaper and self._bytes * other.seconds >= SLOWER * other._bytes * self.seconds


class Moderation:
    """
    Schedules the reactor's thread in batches (L{scheduleInBatches}) where it is busy and that pays: what it receives
    costs less then, and no less of it comes. That is so for many small packets between programs that take turns. It is
    not so for bulk, which comes in large pieces anyway, and out of the cache if it waits.

    Nor where it has to wait for its core too long, as beside a program that computes and gives the core up only at the
    end of its slice. Programs that send to the node and wait for it give it up sooner.

    Where it does not pay, it is tried again after a second, after two the next time, and so on, to a minute. A thread
    that has been given another policy than the ordinary one keeps it.

    @ivar batches: whether it is scheduled in batches now.
    """

    def __init__(
        self,
        now: Callable[[], float] = monotonic,
        usage: Callable[[], Usage] | None = None,
        read: Callable[[], int] = lambda: received.bytes,
        kernel: Any = os,
    ) -> None:
        """
        @param now: the time, in seconds.
        @param usage: what the kernel counts for the thread.
        @param read: how many bytes have been received.
        @param kernel: stands in for the C{os} module.
        """
        self.batches = False
        self._now = now
        self._usage = ThreadUsage() if usage is None else usage
        self._read = read
        self._kernel = kernel
        self._works = True
        # The look before.
        self._at: float | None = None
        self._before = Usage(0, 0, 0)
        self._bytes = 0
        # What is measured now; what that is compared with; when that is enough.
        self._span = Span()
        self._reference: Span | None = None
        self._until = 0.0
        self._term = TERM
        self._debt = 0.0
        self._pause = PAUSE
        self._notBefore = 0.0

    def look(self) -> None:
        """
        Decide anew. To be called by the thread, once in L{TURNS} turns.
        """
        if not self._works:
            return
        now = self._now()
        if self._at is not None and now - self._at < SHORTEST:
            return
        try:
            usage = self._usage()
            bytes = self._read()
            if self._at is not None:
                passed = now - self._at
                used = usage.since(self._before)
                self._span.add(passed, used.ran, bytes - self._bytes)
                if self.batches:
                    self._doubt(now, used.ran / passed, used)
                else:
                    self._consider(now, used.ran / passed)
        except (OSError, ValueError) as error:
            self._works = False
            _log.info("the scheduler's policy is not moderated: {error}", error=error)
            return
        self._at, self._before, self._bytes = now, usage, bytes

    def _consider(self, now: float, busy: float) -> None:
        """
        An ordinary thread.
        """
        if busy < BUSY:
            self._span = Span()
        elif self._span.seconds >= SPAN:
            span, self._span = self._span, Span()
            if now >= self._notBefore:
                self._reference, self._debt = span, 0.0
                self._works = self.batches = scheduleInBatches(self._kernel)

    def _doubt(self, now: float, busy: float, used: Usage) -> None:
        """
        One that is scheduled in batches.
        """
        # One long wait is nobody's fault; one after the other adds up.
        self._debt += used.waited - used.slices * PATIENCE
        if busy < IDLE:
            # It may be idle for no other reason than that it waits.
            self._end(now, disappointed=self._debt > 0)
        elif self._debt > DEBT:
            self._end(now, disappointed=True)
        elif self._reference is not None and self._span.seconds >= SPAN:
            reference, self._reference = self._reference, None
            if self._span.betterThan(reference):
                self._pause = PAUSE
                self._until = now + self._term
                self._term = min(2 * self._term, LONGEST_TERM)
            else:
                self._end(now, disappointed=True)
        elif self._reference is None and now >= self._until:
            self._end(now, disappointed=False)
        else:
            self._debt = max(0.0, self._debt)

    def _end(self, now: float, disappointed: bool) -> None:
        self.batches = False
        self._span = Span()
        self._works = scheduleNormally(self._kernel)
        if disappointed:
            self._term = TERM
            self._notBefore = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
