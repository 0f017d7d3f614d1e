"""
When nodes were last heard of: a thousand nodes say so all the time, and nobody waits for it to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.values import NodeEntry

INTERVAL: Final = 30.0
"""
Seconds after which it is written, at the latest.
"""


class LastSeen:
    """
    Collects, and writes all at once. What can't be written is kept until it can.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        write: Callable[[Mapping[str, float]], Deferred[object]],
        interval: float = INTERVAL,
    ) -> None:
        """
        @param write: writes times by the names of nodes, the greater of two, in one transaction.
        """
        self._clock = clock
        self._write = write
        self._interval = interval
        self._waiting: dict[str, float] = {}
        self._writing: dict[str, float] = {}
        self._call: IDelayedCall | None = None
        self._ended: Deferred[None] | None = None
        self._stopped = False

    def seen(self, name: str, when: float) -> None:
        """
        See L{hermes.interfaces.store.IStore.seen}.
        """
        if self._stopped:
            return
        self._waiting[name] = max(when, self._waiting.get(name, when))
        self._arm()

    def forget(self, name: str) -> None:
        """
        This node is no more.
        """
        self._waiting.pop(name, None)

    def merged(self, entry: NodeEntry) -> NodeEntry:
        """
        The entry with what is not written yet.
        """
        latest = max(self._waiting.get(entry.name, 0.0), self._writing.get(entry.name, 0.0))
        return evolve(entry, lastSeen=latest) if latest > entry.lastSeen else entry

    def flush(self) -> Deferred[None]:
        """
        Write what there is, now. Fires when it is written, or could not be.
        """
        if self._ended is not None:
            waiting: Deferred[None] = Deferred()
            self._ended.chainDeferred(waiting)
            return waiting.addCallback(lambda _: self.flush())
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if not self._waiting:
            return succeed(None)
        self._writing, self._waiting = self._waiting, {}
        self._ended = Deferred()
        return self._write(self._writing).addErrback(self._failed).addCallback(self._done)

    def stop(self) -> Deferred[None]:
        """
        Write what there is, and nothing after it.
        """
        self._stopped = True

        def end(_: None) -> None:
            if self._call is not None:
                self._call.cancel()
                self._call = None

        return self.flush().addCallback(end)

    def _arm(self) -> None:
        if self._call is None and self._ended is None:
            self._call = self._clock.callLater(self._interval, self._due)

    def _due(self) -> None:
        self._call = None
        self.flush()

    def _failed(self, failure: Failure) -> None:
        self.log.warn("when nodes were last seen could not be written: {reason}", reason=failure.getErrorMessage())
        for name, when in self._writing.items():
            self._waiting[name] = max(when, self._waiting.get(name, when))

    def _done(self, _: object) -> None:
        self._writing = {}
        ended, self._ended = self._ended, None
        if self._waiting:
            self._arm()
        if ended is not None:
            ended.callback(None)
