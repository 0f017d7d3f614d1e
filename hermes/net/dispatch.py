"""
A shorter way from the kernel's event to our transports, and the end of a turn of the reactor.

Twisted's epoll reactor calls each C{doRead} and C{doWrite} inside a logging context, made anew for every event. Our
transports log with their own prefix and have no use for it.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EINTR
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger
from twisted.python.log import callWithLogger

_BROKEN = EPOLLHUP | EPOLLERR
_log = Logger()


def installLeanDispatch(reactor: Any, sometimes: Callable[[], object] | None = None, every: int = 16) -> bool:
    """
    Make an epoll reactor call descriptors directly that have C{leanDispatch} set; all others it calls as before. To be
    called before the reactor runs.

    The reactor then has C{atTurnsEnd} too: what is given to it is called once all that has arrived is dealt with,
    before the reactor waits again. What was written to one connection in many pieces can so be sent in one.

    @param sometimes: is called once in so many turns in which something had arrived. It must not raise.
    @param every: in how many.
    @return: whether it was done: C{False} for any other reactor.
    """
    if not isinstance(reactor, EPollReactor):
        return False
    inner: Any = reactor
    poller, selectables, general = inner._poller, inner._selectables, inner._doReadOrWrite
    ending: list[Callable[[], object]] = []
    turns = 0

    def endTurn() -> None:
        # What is called may ask for more, which belongs to the same turn.
        while ending:
            calls = ending[:]
            ending.clear()
            for call in calls:
                try:
                    call()
                except Exception:
                    _log.failure("{call} failed at the end of a turn", call=call)

    def doPoll(timeout: float | None) -> None:
        nonlocal turns
        if ending:
            # Timers have asked for it. What is called may set another, due before those that were known, or stop all.
            endTurn()
            due = 0.0 if inner._justStopped else inner.timeout()
            if due is not None and (timeout is None or due < timeout):
                timeout = due
        try:
            events = poller.poll(-1 if timeout is None else timeout, len(selectables) or 1)
        except OSError as error:
            if error.errno == EINTR:
                return
            raise
        for number, event in events:
            selectable = selectables.get(number)
            if selectable is None:
                continue
            if event & _BROKEN or not getattr(selectable, "leanDispatch", False):
                # An error or the end is rare, and the reactor knows what it means.
                callWithLogger(selectable, general, selectable, number, event)
                continue
            try:
                if event & EPOLLIN:
                    selectable.doRead()
                # What was read may have ended the connection, or filled its descriptor's number anew.
                if event & EPOLLOUT and selectables.get(number) is selectable:
                    selectable.doWrite()
            except BaseException:
                _log.failure("{prefix} failed", prefix=selectable.logPrefix())
                selectable.abortConnection()
        if ending:
            endTurn()
        if sometimes is not None and events:
            turns += 1
            if turns == every:
                turns = 0
                sometimes()

    inner.atTurnsEnd = ending.append
    inner.doPoll = inner.doIteration = doPoll
    return True
