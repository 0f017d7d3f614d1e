"""
How a response that is read ahead is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import RequestBroken
from hermes.interfaces import IBody, IBodySink

if TYPE_CHECKING:
    from hermes.http.spool import Spool


PIECE: Final = 65_536
"""
So many bytes a reader gets at once, at most.
"""


@implementer(IBody)
class SpoolReader:
    """
    The body as one of those read it who asked for it.

    @ivar position: the offset of the next byte that it reads.
    """

    def __init__(self, spool: Spool, first: int, stop: int | None, length: int | None) -> None:
        """
        @param stop: the offset behind the last byte that it reads; L{None} for all that comes.
        """
        self.position = first
        self.length = length
        self._spool = spool
        self._stop = stop
        self._sink: IBodySink | None = None
        self._paused = False
        self._over = False
        self._pumping = False

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        if self._over:
            sink.bodyFailed(Failure(RequestBroken("the request was sent again")))
        else:
            self.pump()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self.pump()

    def stopProducing(self) -> None:
        if not self._over:
            self._over = True
            self._spool.left(self)

    def fail(self, reason: Failure) -> None:
        """
        It reads no more.
        """
        sink = self._sink
        if not self._over:
            self._over = True
            if sink is not None:
                sink.bodyFailed(reason)

    def pump(self) -> None:
        """
        Deliver what there is.
        """
        sink = self._sink
        if sink is None or self._pumping:
            return
        self._pumping = True
        try:
            while not self._paused and not self._over:
                if not self._step(sink):
                    break
        finally:
            self._pumping = False

    def _step(self, sink: IBodySink) -> bool:
        spool, stop = self._spool, self._stop
        if self.position == stop:
            self.stopProducing()
            sink.bodyEnded(())
            return False
        try:
            data = spool.piece(self.position)
        except OSError:
            spool.log.failure("a spooled response can't be read")
            spool.stop()
            return False
        if data is None:
            trailers = spool.trailers(self.position)
            if trailers is not None:
                self.stopProducing()
                sink.bodyEnded(trailers)
            elif spool.failure is not None:
                self.stopProducing()
                sink.bodyFailed(spool.failure)
            return False
        if stop is not None and len(data) > stop - self.position:
            data = data[: stop - self.position]
        self.position += len(data)
        sink.dataReceived(data)
        return True
