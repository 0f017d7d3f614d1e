"""
A request's body that can be sent more than once.
"""

from __future__ import annotations

from collections import deque

from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HermesError
from hermes.interfaces import IBody, IBodySink
from hermes.values import Buffer, Headers


class Abandoned(HermesError):
    """
    A body is sent no further, though there would be more of it.
    """


@implementer(IBodySink)
class KeptBody:
    """
    Keeps what is read of a body, up to a bound, while it is sent. Each time that it is sent, a L{Replay} of its own
    reads it, one after the other: first what is kept, then what comes. Past the bound nothing is kept, and no other one
    can be had.

    @ivar length: see L{IBody}.
    @ivar trailers: once it has ended.
    @ivar failure: once it has failed.
    """

    def __init__(self, source: IBody, limit: int) -> None:
        """
        @param limit: in bytes.
        """
        self._source = source
        self._limit = limit
        self._kept: list[bytes] = []
        self._size = 0
        self._whole = True
        self._started = False
        self._stopped = False
        self._reader: Replay | None = None
        self.length: int | None = source.length
        self.trailers: Headers | None = None
        self.failure: Failure | None = None

    @property
    def replayable(self) -> bool:
        """
        Whether all that was read is kept, so that it can be sent once more.
        """
        return self._whole and self.failure is None

    @property
    def over(self) -> bool:
        """
        Nothing more comes.
        """
        return self._stopped or self.trailers is not None or self.failure is not None

    def replay(self) -> Replay:
        """
        The body, from its beginning, for its only reader: one before must have been stopped.
        """
        if not self.replayable or self._reader is not None:
            raise ValueError("the body can't be read from its beginning now")
        self._reader = Replay(self, self._kept)
        return self._reader

    def finish(self) -> None:
        """
        It is not sent once more: nothing need be kept for that.
        """
        self._whole = False
        # The list was the readers' common one: what is left of it is the last reader's.
        self._kept = []
        if self._reader is None:
            self._stop()

    def close(self) -> None:
        """
        It is not sent, or no further.
        """
        reader = self._reader
        if reader is not None:
            reader.abandon()
        self.finish()

    def want(self) -> None:
        """
        The reader has had all that there is.
        """
        if self.over:
            return
        if self._started:
            self._source.resumeProducing()
        else:
            self._started = True
            self._source.start(self)

    def rest(self) -> None:
        """
        The reader takes nothing now.
        """
        if self._started and not self.over:
            self._source.pauseProducing()

    def left(self, reader: Replay) -> None:
        """
        C{reader} has stopped, or has had all.
        """
        if self._reader is not reader:
            return
        self._reader = None
        if self._whole:
            self.rest()
        else:
            self._stop()

    def _stop(self) -> None:
        if not self.over:
            self._stopped = True
            self._source.stopProducing()

    def dataReceived(self, data: Buffer) -> None:
        if self._stopped:
            return
        reader = self._reader
        if self._whole:
            self._size += len(data)
            if self._size <= self._limit:
                self._kept.append(bytes(data))
            else:
                self.finish()
        if reader is not None:
            reader.received(data)

    def bodyEnded(self, trailers: Headers) -> None:
        self.trailers = trailers
        if self._reader is not None:
            self._reader.deliver()

    def bodyFailed(self, reason: Failure) -> None:
        self.failure = reason
        if self._reader is not None:
            self._reader.deliver()


@implementer(IBody)
class Replay:
    """
    One reading of a L{KeptBody}.
    """

    def __init__(self, body: KeptBody, kept: list[bytes]) -> None:
        """
        @param kept: what has come of it.
        """
        self._body = body
        self._sink: IBodySink | None = None
        self._waiting = deque(kept)
        self._paused = False
        self._over = False
        self._delivering = False
        self.length = body.length

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        self.deliver()

    def pauseProducing(self) -> None:
        self._paused = True
        if self._sink is not None and not self._over:
            self._body.rest()

    def resumeProducing(self) -> None:
        self._paused = False
        self.deliver()

    def stopProducing(self) -> None:
        if not self._over:
            self._over = True
            self._waiting.clear()
            self._body.left(self)

    def abandon(self) -> None:
        """
        This reading comes to nothing: whoever reads is told that there is no more.
        """
        if not self._over:
            sink = self._sink
            self.stopProducing()
            if sink is not None:
                sink.bodyFailed(Failure(Abandoned("the body is sent no further")))

    def received(self, data: Buffer) -> None:
        """
        A piece has come.
        """
        if self._sink is None or self._paused or self._waiting:
            self._waiting.append(bytes(data))
        else:
            self._sink.dataReceived(data)

    def deliver(self) -> None:
        """
        Pass on what waits, and then ask for more.
        """
        sink = self._sink
        if sink is None or self._delivering:
            return
        self._delivering = True
        try:
            while self._waiting and not self._paused and not self._over:
                sink.dataReceived(self._waiting.popleft())
        finally:
            self._delivering = False
        if self._paused or self._over:
            return
        body = self._body
        if body.failure is not None:
            self.stopProducing()
            sink.bodyFailed(body.failure)
        elif body.trailers is not None:
            self.stopProducing()
            sink.bodyEnded(body.trailers)
        else:
            body.want()
