"""
A body on its way into a store, and to those who read it meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.assist.cache.pulled import PulledBody
from hermes.assist.cache.store import IObjectFiller, IObjectStore
from hermes.assist.cache.stored import StoredResponse
from hermes.errors import RequestBroken
from hermes.interfaces import IBody, IBodySink
from hermes.values import Buffer, Headers, fieldValue

MAX_TAIL: Final = 1 << 18
"""
So many bytes the slowest reader of a body that is not stored any more may be behind, before its sender is paused.
"""


@implementer(IBodySink, IObjectFiller)
class Fill:
    """
    Reads a body into a store. Readers come and go, each at its own pace: they read what the store has been given. The
    sender is paused for the store alone, never for a reader, as long as the body is stored.

    Where it turns out that it can't be stored (it is too large, or there is no room), the rest goes to those who read
    already, kept only until the slowest of them has it.

    @ivar stored: the response; complete in the store once this has ended.
    @ivar received: how many bytes have come.
    @ivar keepsOn: whether it is read to its end though nobody reads along.
    """

    def __init__(
        self, store: IObjectStore, stored: StoredResponse, body: IBody, keepsOn: bool, ended: Callable[[], None]
    ) -> None:
        """
        @param ended: called when the response is in the store, or will never be.
        """
        self.stored = stored
        self.received = 0
        self.keepsOn = keepsOn
        self.trailers: Headers = ()
        self.complete = False
        self._expected = stored.length
        self._largest = store.largest
        self._body = body
        self._ended = ended
        self._writer = store.writer(stored, self)
        self._storing = True
        # Bytes that the store was not given, and where they begin.
        self._tail: deque[bytes] = deque()
        self._tailAt = 0
        self._readers: set[FillBody] = set()
        self._failure: Failure | None = None
        self._paused = False
        self._over = False
        self._settled = False
        self._released = False

    @property
    def joinable(self) -> bool:
        """
        Whether somebody else may still read from the start.
        """
        return self.complete or (self._storing and self._failure is None)

    def start(self) -> None:
        """
        Begin to read.
        """
        self._body.start(self)

    def body(self, start: int, stop: int | None) -> FillBody:
        """
        A reader.

        @param stop: L{None} for the end, wherever that is.
        """
        reader = FillBody(self, start, self.received if stop is None and self.complete else stop)
        self._readers.add(reader)
        return reader

    def unwanted(self) -> None:
        """
        What is read must not be stored: its URL was changed meanwhile.
        """
        if self._storing and not self._over:
            self._passOn()
            self._writer.abandon()
            self._left()

    def stop(self) -> None:
        """
        Nothing more is to be read; readers hear of it.
        """
        if not self._over:
            self._body.stopProducing()
            self.bodyFailed(Failure(RequestBroken("the cache has given up")))

    def dataReceived(self, data: Buffer) -> None:
        data = bytes(data)
        self.received += len(data)
        if self._storing and self.received > self._largest:
            self._passOn(len(data))
            self._writer.abandon()
        if self._storing:
            if not self._writer.write(data):
                self._pause()
        else:
            self._tail.append(data)
        for reader in [*self._readers]:
            reader.pump()
        if not self._storing:
            self._left()
            self.trim()

    def bodyEnded(self, trailers: Headers) -> None:
        if self._expected is not None and self._expected != self.received:
            self.bodyFailed(Failure(RequestBroken("the body is not as long as its length said")))
            return
        self._over = True
        self.complete = True
        self.trailers = trailers
        self._close(True)
        for reader in [*self._readers]:
            reader.ends(self.received)
        self._release()

    def bodyFailed(self, reason: Failure) -> None:
        self._over = True
        self._failure = reason
        self._close(self._worthKeeping())
        for reader in [*self._readers]:
            reader.pump()
        self._release()

    def writerReady(self) -> None:
        if self._storing:
            self._resume()

    def writerFailed(self, reason: Failure) -> None:
        self._passOn()

    def piece(self, start: int, size: int) -> Buffer | Deferred[Buffer] | None:
        """
        For a reader.
        """
        given = self.received if self._storing else self._tailAt
        if start < given:
            return self._writer.read(start, min(size, given - start))
        position = self._tailAt
        for data in self._tail:
            if start < position + len(data):
                return memoryview(data)[start - position :]
            position += len(data)
        if self._failure is not None:
            self._failure.raiseException()
        return None

    def left(self, reader: FillBody) -> None:
        """
        A reader reads no more.
        """
        self._readers.discard(reader)
        if not self._over:
            if not self._left():
                self.trim()
        else:
            self._release()

    def trim(self) -> None:
        """
        Forget what every reader has, and let the sender go on or wait accordingly.
        """
        if self._storing or self._over:
            return
        slowest = min((reader.position for reader in self._readers), default=self._tailAt)
        while self._tail and self._tailAt + len(self._tail[0]) <= slowest:
            self._tailAt += len(self._tail.popleft())
        if self.received - max(slowest, self._tailAt) > MAX_TAIL:
            self._pause()
        else:
            self._resume()

    def _worthKeeping(self) -> bool:
        stored = self.stored
        return bool(
            self.received
            and self._expected is not None
            and stored.status == 200
            and stored.freshness.strong is not None
            and fieldValue(stored.headers, b"accept-ranges") != b"none"
        )

    def _close(self, keep: bool) -> None:
        """
        The last byte has come.
        """
        if self._storing and keep:
            self._storing = False
            self._tailAt = self.received
            self.stored.total = self._expected
            self._writer.commit().addCallback(lambda _: self._settle())
            return
        if self._storing:
            self._storing = False
            self._tailAt = self.received
            self._writer.abandon()
        self._settle()

    def _settle(self) -> None:
        if not self._settled:
            self._settled = True
            self._ended()
        self._release()

    def _passOn(self, unwritten: int = 0) -> None:
        """
        From here on, nothing is stored.

        @param unwritten: how many bytes of what was received the store was not given.
        """
        self._storing = False
        self._tailAt = self.received - unwritten
        self._settle()

    def _left(self) -> bool:
        """
        Stop where nobody wants the rest.
        """
        if self._readers or self._over or (self.keepsOn and self._storing):
            return False
        self._over = True
        self._failure = Failure(RequestBroken("nobody reads on"))
        self._body.stopProducing()
        self._close(self._worthKeeping())
        self._release()
        return True

    def _release(self) -> None:
        if self._over and self._settled and not self._readers and not self._released:
            self._released = True
            self._tail.clear()
            self._writer.release()

    def _pause(self) -> None:
        if not self._paused and not self._over:
            self._paused = True
            self._body.pauseProducing()

    def _resume(self) -> None:
        if self._paused and not self._over:
            self._paused = False
            self._body.resumeProducing()


class FillBody(PulledBody):
    """
    One reader of a L{Fill}.
    """

    def __init__(self, fill: Fill, start: int, stop: int | None) -> None:
        super().__init__(start, stop)
        self._fill = fill
        self._toEnd = stop is None

    def piece(self, start: int, size: int) -> Buffer | Deferred[Buffer] | None:
        try:
            return self._fill.piece(start, size)
        except Exception:
            self.fail(Failure())
            return None

    def pump(self) -> None:
        super().pump()
        self._fill.trim()

    def ends(self, received: int) -> None:
        """
        The body is C{received} bytes long.
        """
        if self.stop is None:
            self.stop = received
        self.pump()

    def over(self) -> None:
        self._fill.left(self)

    def trailers(self) -> Headers:
        return self._fill.trailers if self._toEnd else ()
