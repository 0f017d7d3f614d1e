"""
An HTTP/2 stream as an exchange: its body streams as a Twisted transport, both ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from h2.errors import ErrorCodes
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HopUnavailable, StreamReset
from hermes.http2.heads import readContentLength
from hermes.http2.state import Lane
from hermes.interfaces import IBorrowingProtocol, IClientExchange, IServerExchange
from hermes.values import Address, Buffer, Headers, Identity, RequestHead, ResponseHead

if TYPE_CHECKING:
    from hermes.http2.connection import Connection

HIGH_WATER = 64 << 10
"""
Bytes that may wait on an exchange before its producer is paused.
"""


class Exchange:
    """
    What both ends share: see L{hermes.interfaces.IExchange}.
    """

    log: ClassVar[Logger] = Logger()
    version = "2"
    disconnecting = False

    def __init__(self, connection: Connection, lane: Lane, request: RequestHead, window: int) -> None:
        self.request = request
        self.identity: Identity = connection.identity
        self.source: Address | None = connection.source
        self.trailers: Headers = ()
        self.bufferedBytes = 0
        self._connection = connection
        self._lane = lane
        lane.exchange = self
        # Receiving.
        self._protocol: IProtocol | None = None
        self._receive: Callable[[Buffer], None] | None = None
        self._borrows = False
        self._paused = False
        self._inbox: deque[bytes] = deque()
        self.heldBytes = 0
        self._window = window
        self._consumed = 0
        self._bodyLeft: int | None = None
        self._peerEnded = False
        self._peerEndTold = False
        # Sending.
        self._pending: deque[bytes] = deque()
        self.waiting = False
        self._producer: IPushProducer | None = None
        self._streaming = True
        self._producerPaused = False
        self._ending = False
        self._ended = False
        self._lastTrailers: Headers | None = None
        self._lost: Failure | None = None
        self._lostCallback: Callable[[Failure], None] | None = None

    @property
    def gone(self) -> bool:
        """
        Whether the exchange is over.
        """
        return self._lost is not None

    def attach(self, protocol: object) -> None:
        assert IProtocol.providedBy(protocol)
        self._protocol = protocol
        self._lostCallback = None
        self._borrows = IBorrowingProtocol.providedBy(protocol)
        protocol.makeConnection(cast(ITransport, self))
        self._receive = cast("Callable[[Buffer], None]", protocol.dataReceived)
        if self._lost is not None:
            protocol.connectionLost(self._lost)
        else:
            self._deliver()

    def notifyLost(self, callback: Callable[[Failure], None]) -> None:
        if self._lost is not None:
            callback(self._lost)
        else:
            self._lostCallback = callback

    # Receiving

    def expectBody(self, headers: Headers, none: bool = False) -> None:
        """
        Check the body against C{content-length} (RFC 9113 section 8.1.1).

        @param none: there is no body whatever the field says (the response to HEAD, 204, 304).
        """
        length = readContentLength(headers)
        self._bodyLeft = 0 if none else length

    def bodyReceived(self, data: memoryview) -> None:
        size = len(data)
        if self._bodyLeft is not None:
            self._bodyLeft -= size
            if self._bodyLeft < 0:
                self.reset(ErrorCodes.PROTOCOL_ERROR)
                return
        if self._paused or self._receive is None or self._inbox:
            self._inbox.append(bytes(data))
            self.heldBytes += size
            self._connection.held(size)
        else:
            self._consumed += size
            self._receive(data if self._borrows else bytes(data))
            if self._consumed >= self._window >> 2:
                self._credit()

    def _credit(self) -> None:
        if self._paused or self._peerEnded or self._lost is not None:
            return
        lane, size = self._lane, self._consumed
        if lane.overhead:
            size += lane.overhead
            lane.overhead = 0
        window = self._connection.streamWindow
        if window > self._window:
            size += window - self._window
            self._window = window
        self._consumed = 0
        if size:
            self._connection.credit(lane, size)

    def bodyEnded(self) -> None:
        if self._bodyLeft:
            self.reset(ErrorCodes.PROTOCOL_ERROR)
            return
        self._peerEnded = True
        if not self._inbox:
            self._tellPeerEnd()

    def _deliver(self) -> None:
        while self._inbox and not self._paused and self._receive is not None and self._lost is None:
            data = self._inbox.popleft()
            size = len(data)
            self.heldBytes -= size
            self._connection.held(-size)
            self._consumed += size
            self._receive(data)
        if self._lost is not None:
            return
        if self._peerEnded and not self._inbox:
            self._tellPeerEnd()
        elif self._consumed >= self._window >> 2:
            self._credit()

    def _tellPeerEnd(self) -> None:
        protocol = self._protocol
        if self._peerEndTold or protocol is None:
            return
        self._peerEndTold = True
        if IHalfCloseableProtocol.providedBy(protocol):
            protocol.readConnectionLost()
        else:
            self.loseWriteConnection()
        self._finishIfDone()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        if self._paused:
            self._paused = False
            self._deliver()

    def stopProducing(self) -> None:
        self.loseConnection()

    # Sending

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
        data = bytes(buffers[0]) if len(buffers) == 1 else b"".join(buffers)
        self._pending.append(data[sent:] if sent else data)
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
        while self._pending and limit > 0:
            data = self._pending[0]
            view = memoryview(data)[:limit]
            sent = self._connection.send(self._lane, (view,), len(view))
            if not sent:
                return False
            limit -= sent
            self.bufferedBytes -= sent
            if sent == len(data):
                self._pending.popleft()
            else:
                # A memoryview would keep the whole alive; pieces of a frame's size keep this linear.
                self._pending[0] = data[sent:]
        if self._pending:
            return True
        self._drained()
        return False

    def _drained(self) -> None:
        if self._producer is not None and not self._ending:
            if self._producerPaused or not self._streaming:
                self._producerPaused = False
                self._producer.resumeProducing()
        elif self._ending and self._producer is None:
            self._end()

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
            producer.resumeProducing()
        elif self.bufferedBytes > HIGH_WATER:
            self._producerPaused = True
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self._producer = None
        if self._ending and not self._pending:
            self._end()

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
        protocol = self._protocol
        if protocol is not None and IHalfCloseableProtocol.providedBy(protocol):
            protocol.writeConnectionLost()
        self._finishIfDone()

    def _finishIfDone(self) -> None:
        if self._ended and (self._peerEndTold or (self.disconnecting and self._peerEnded)):
            self.lost(Failure(ConnectionDone()))

    # Ending

    def loseConnection(self) -> None:
        """
        End our direction after what is buffered, and read on to the peer's end without listening.
        """
        if self.disconnecting or self._lost is not None:
            return
        self.disconnecting = True
        self._connection.held(-self.heldBytes)
        self._consumed += self.heldBytes
        self.heldBytes = 0
        self._inbox.clear()
        self._receive = _discard
        self._borrows = True
        self._paused = False
        self.loseWriteConnection()
        self._finishIfDone()
        if self._lost is None:
            self._credit()
            self._connection.lingering(self)

    def abortConnection(self) -> None:
        self.reset(self._abortCode())

    def _abortCode(self) -> int:
        if self.request.method == b"CONNECT" and self.request.protocol in (None, b"connect-tcp"):
            # RFC 9113 section 8.5: what ails the TCP connection.
            return ErrorCodes.CONNECT_ERROR
        return ErrorCodes.CANCEL

    def reset(self, code: int) -> None:
        if self._lost is None:
            self._connection.resetLane(self._lane, code)
            self.lost(Failure(StreamReset(code)))

    def lost(self, reason: Failure) -> None:
        """
        The stream is over, for whatever reason.
        """
        if self._lost is not None:
            return
        self._lost = reason
        self._connection.held(-self.heldBytes)
        self._inbox.clear()
        self._pending.clear()
        self.heldBytes = self.bufferedBytes = 0
        producer, self._producer = self._producer, None
        protocol, callback = self._protocol, self._lostCallback
        self._lostCallback = None
        self._connection.forget(self)
        self._answerLost(reason)
        if producer is not None and not reason.check(ConnectionDone):
            producer.stopProducing()
        if protocol is not None:
            protocol.connectionLost(reason)
        elif callback is not None:
            callback(reason)

    def _answerLost(self, reason: Failure) -> None:
        pass

    def getPeer(self) -> IAddress:
        return self._connection.getPeer()

    def getHost(self) -> IAddress:
        return self._connection.getHost()


def _discard(data: Buffer) -> None:
    pass


@implementer(IServerExchange, IConsumer)
class ServerExchange(Exchange):
    """
    The server's end of a stream.
    """

    responded = False

    def respond(self, head: ResponseHead, end: bool = False) -> None:
        if self._lost is not None:
            return
        if head.status >= 200:
            if self.responded:
                raise RuntimeError("this exchange has been answered")
            self.responded = True
            if self.request.method == b"CONNECT" and head.status < 300:
                self._bodyLeft = None
        self._connection.respond(self._lane, head, end)
        if end:
            self._ending = self._ended = True
            if self._peerEnded:
                self._peerEndTold = True
            self._finishIfDone()


@implementer(IClientExchange, IConsumer)
class ClientExchange(Exchange):
    """
    The client's end of a stream.
    """

    def __init__(self, connection: Connection, lane: Lane, request: RequestHead, window: int, ended: bool) -> None:
        super().__init__(connection, lane, request, window)
        self._ending = self._ended = ended
        self._answer: Deferred[ResponseHead] = Deferred(lambda _: self.reset(ErrorCodes.CANCEL))
        self._answered = False

    def response(self) -> Deferred[ResponseHead]:
        return self._answer

    def responseReceived(self, head: ResponseHead) -> None:
        """
        The final response head came.
        """
        tunnel = self.request.method == b"CONNECT" and 200 <= head.status < 300
        if not tunnel:
            self.expectBody(head.headers, self.request.method == b"HEAD" or head.status in (204, 304))
        self._answered = True
        self._answer.callback(head)

    @property
    def answered(self) -> bool:
        """
        Whether the final response head has come.
        """
        return self._answered

    def _answerLost(self, reason: Failure) -> None:
        if not self._answered:
            self._answered = True
            error = reason.value
            if isinstance(error, StreamReset):
                self._answer.errback(reason)
            else:
                self._answer.errback(HopUnavailable("the next hop closed the connection before it answered"))
