"""
The sending half of an HTTP/2 stream: a Twisted transport that a peer's windows hold back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from twisted.internet.interfaces import IHalfCloseableProtocol, IProducer, IProtocol, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.http2.state import Lane
from hermes.values import Buffer, Headers

if TYPE_CHECKING:
    from hermes.http2.protocol import Connection

HIGH_WATER = 64 << 10
"""
Bytes that may wait on an exchange before its producer is paused.
"""

_PIECE = 16 << 10


class Outbound:
    """
    What is written is sent at once as far as the windows and the transport take it; the rest waits in order.

    @ivar waiting: the connection will call L{flush} when there is room.
    """

    log: ClassVar[Logger] = Logger()

    # Defaults stand in the class: an exchange that is over soon has few entries of its own.
    bufferedBytes = 0
    waiting = False
    _protocol: IProtocol | None = None
    _lost: Failure | None = None
    _pending: Collection[bytearray] = ()
    # How much of the first piece has been sent.
    _offset = 0
    _producer: IPushProducer | None = None
    _streaming = True
    _producerPaused = False
    _ending = False
    _ended = False
    _lastTrailers: Headers | None = None

    def __init__(self, connection: Connection, lane: Lane) -> None:
        self._connection = connection
        self._lane = lane

    def write(self, data: Buffer) -> None:
        self.writeSequence((data,))

    def writeSequence(self, iovec: Iterable[Buffer]) -> None:
        if self._ending or self._lost is not None:
            return
        buffers = iovec if isinstance(iovec, list | tuple) else list(iovec)
        size = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        if not size:
            return
        sent = 0 if self._pending else self._connection.send(self._lane, buffers, size)
        if sent < size:
            self._queue(buffers, sent, size)

    def _queue(self, buffers: list[Buffer] | tuple[Buffer, ...], sent: int, size: int) -> None:
        pending = self._pending
        if not isinstance(pending, deque):
            pending = self._pending = deque()
        if len(pending) > 1 and size <= _PIECE and len(pending[-1]) < _PIECE:
            # Small writes gather into frames of some size. The first piece is left as it is: it may be lent.
            for buffer in buffers:
                pending[-1] += buffer
        else:
            pending.append(bytearray().join(_unsent(buffers, sent) if sent else buffers))
        self.bufferedBytes += size - sent
        self._connection.wait(self)
        if self.bufferedBytes > HIGH_WATER and self._producer is not None and not self._producerPaused:
            self._producerPaused = True
            if self._streaming:
                self._producer.pauseProducing()

    def flush(self, limit: int) -> bool:
        """
        Send at most about C{limit} bytes of what waits. Whether more could go at once if there were time.
        """
        pending = self._pending
        while isinstance(pending, deque) and pending and limit > 0:
            data = pending[0]
            view = memoryview(data)[self._offset : self._offset + limit]
            sent = self._connection.send(self._lane, (view,), len(view))
            if not sent:
                return False
            limit -= sent
            self.bufferedBytes -= sent
            self._offset += sent
            if self._offset == len(data):
                pending.popleft()
                self._offset = 0
        if pending:
            return True
        self._drained()
        return False

    def _drained(self) -> None:
        if self._ending:
            self._end()
        elif self._producer is not None:
            if not self._streaming:
                self._connection.soon(self._pull)
            elif self._producerPaused:
                self._producerPaused = False
                self._producer.resumeProducing()

    def _pull(self) -> None:
        # A producer that is pulled writes once each time; the other streams get their turn in between.
        producer = self._producer
        if producer is not None and not self._streaming and not self._pending and not self._ending:
            producer.resumeProducing()
            if not self._pending and producer is self._producer:
                self._connection.soon(self._pull)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if self._lost is not None:
            producer.stopProducing()
            return
        self._producer = producer = cast(IPushProducer, producer)
        self._streaming = streaming
        self._producerPaused = False
        if not streaming:
            self._pull()
        elif self.bufferedBytes > HIGH_WATER:
            self._producerPaused = True
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self._producer = None

    def writeTrailers(self, trailers: Headers) -> None:
        if not self._ending:
            self._lastTrailers = trailers
            self.loseWriteConnection()

    def loseWriteConnection(self) -> None:
        if self._ending or self._lost is not None:
            return
        self._ending = True
        if not self._pending:
            self._end()

    def _end(self) -> None:
        if self._ended or self._lost is not None:
            return
        self._ended = True
        self._connection.end(self._lane, self._lastTrailers)
        self._tellEnd()
        self._finishIfDone()

    def _abandon(self) -> None:
        """
        The peer wants no more of what we send, and that is no error.
        """
        self._ending = self._ended = True
        self._pending = ()
        self.bufferedBytes = 0
        producer, self._producer = self._producer, None
        if producer is not None:
            self._tell(producer.stopProducing)
        self._tellEnd()

    def _tellEnd(self) -> None:
        protocol = self._protocol
        if protocol is not None and IHalfCloseableProtocol.providedBy(protocol):
            self._tell(protocol.writeConnectionLost)

    def _finishIfDone(self) -> None:
        raise NotImplementedError

    def _tell(self, method: Callable[..., object], *arguments: object) -> None:
        # What fails in the protocol of one stream is no matter of the others.
        try:
            method(*arguments)
        except Exception:
            self.log.failure("telling {protocol} of its stream's end", protocol=self._protocol)


def _unsent(buffers: Iterable[Buffer], sent: int) -> list[memoryview]:
    """
    What is left of C{buffers} after their first C{sent} bytes.
    """
    left = []
    for buffer in buffers:
        size = len(buffer)
        if sent < size:
            left.append(memoryview(buffer)[sent:])
            sent = 0
        else:
            sent -= size
    return left
