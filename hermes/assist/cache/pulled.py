"""
A body that is read piece by piece from where it is kept, as fast as its reader takes it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBody, IBodySink
from hermes.values import Buffer, Headers

PIECE: Final = 1 << 16
"""
So many bytes a reader gets at once, at most.
"""


@implementer(IBody)
class PulledBody(ABC):
    """
    @ivar position: where the next piece begins.
    @ivar stop: where the body ends; L{None} as long as nobody knows.
    """

    def __init__(self, start: int, stop: int | None) -> None:
        self.position = start
        self.stop = stop
        self._start = start
        self._sink: IBodySink | None = None
        self._held: Buffer | None = None
        self._paused = False
        self._waiting = False
        self._pumping = False
        self._over = False

    @property
    def length(self) -> int | None:
        """
        See L{IBody}.
        """
        return None if self.stop is None else self.stop - self._start

    @abstractmethod
    def piece(self, start: int, size: int) -> Buffer | Deferred[Buffer] | None:
        """
        The next bytes, at least one; L{None} where there are none yet: L{pump} is called when there are.

        @param size: how many at most; more are cut.
        """

    def over(self) -> None:
        """
        Nothing more is read. Called once.
        """

    def trailers(self) -> Headers:
        """
        What follows the last piece.
        """
        return ()

    def start(self, sink: IBodySink) -> None:
        if not self._over:
            self._sink = sink
            self.pump()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self.pump()

    def stopProducing(self) -> None:
        self._end()

    def pump(self) -> None:
        """
        Deliver what there is.
        """
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._sink is not None and not self._paused and not self._waiting:
                if self.position == self.stop:
                    sink = self._end()
                    if sink is not None:
                        sink.bodyEnded(self.trailers())
                    return
                found, self._held = self._held, None
                if found is None:
                    got = self.piece(self.position, PIECE)
                    if got is None:
                        return
                    if isinstance(got, Deferred):
                        self._waiting = True
                        got.addCallbacks(self._got, self.fail)
                        continue
                    found = got
                if self.stop is not None and len(found) > self.stop - self.position:
                    found = memoryview(found)[: self.stop - self.position]
                self.position += len(found)
                self._sink.dataReceived(found)
        finally:
            self._pumping = False

    def fail(self, reason: Failure) -> None:
        """
        There will be no more.
        """
        sink = self._end()
        if sink is not None:
            sink.bodyFailed(reason)

    def _got(self, data: Buffer) -> None:
        self._waiting = False
        self._held = data
        self.pump()

    def _end(self) -> IBodySink | None:
        sink, self._sink = self._sink, None
        self._held = None
        if not self._over:
            self._over = True
            self.over()
        return sink
