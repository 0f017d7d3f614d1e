"""
The bodies of exchanges as L{IBody}, and exchanges as what takes a body. The data itself passes through no more than one
call of ours: what an exchange calls for each piece is the sink's own method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBody, IBodySink, IBorrowingProtocol, IExchange
from hermes.messages import RequestRecord
from hermes.values import Buffer, Headers, ResponseHead

INTERNAL_ERROR: Final = 0x2
CANCEL: Final = 0x8

SMALL: Final = 32 << 10
"""
Bytes of a response's body that are written without asking whether the client takes them.
"""


def _discard(data: Buffer) -> None:
    pass


@implementer(IProtocol, IBorrowingProtocol, IHalfCloseableProtocol, IBody)
class ExchangeBody:
    """
    The peer's body on an exchange; towards the exchange, the protocol that reads it.

    @ivar length: what C{Content-Length} says.
    @ivar ended: whether it has been read to its end, or will not be.
    """

    __slots__ = ("__provides__", "_exchange", "_paused", "_sink", "dataReceived", "ended", "length", "started")

    def __init__(self, exchange: IExchange, length: int | None = None) -> None:
        self._exchange: Any = exchange
        self._sink: Any = None
        self._paused = False
        self.length = length
        self.ended = False
        self.started = False
        self.dataReceived: Callable[[Buffer], None] = _discard

    # IBody

    def start(self, sink: IBodySink) -> None:
        if self.ended:
            # It was stopped.
            return
        self.started = True
        self._sink = sink
        self.dataReceived = sink.dataReceived
        if self._paused:
            # Before anything can be delivered.
            self._exchange.pauseProducing()
        self._exchange.attach(self)

    def pauseProducing(self) -> None:
        self._paused = True
        if self.started and self._exchange is not None:
            self._exchange.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        if self.started and self._exchange is not None:
            self._exchange.resumeProducing()

    def stopProducing(self) -> None:
        if not self.ended:
            self._finish()
            self._stopped()

    def _finish(self) -> Any:
        # Whoever took the body is let go of: it holds what holds this.
        self.ended = True
        sink, self._sink = self._sink, None
        self.dataReceived = _discard
        return sink

    def _stopped(self) -> None:
        """
        Nobody wants the rest.
        """
        raise NotImplementedError

    # IProtocol

    def makeConnection(self, transport: ITransport) -> None:
        pass

    def connectionMade(self) -> None:
        pass

    def readConnectionLost(self) -> None:
        if not self.ended:
            sink = self._finish()
            sink.bodyEnded(self._exchange.trailers)

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        if not self.ended:
            sink = self._finish()
            sink.bodyFailed(reason)
        self._exchange = None


class ResponseBody(ExchangeBody):
    """
    The body of a response, on a client's exchange.
    """

    __slots__ = ("_declined", "_over")

    def __init__(
        self,
        exchange: IExchange,
        length: int | None = None,
        over: Callable[[], None] | None = None,
        declined: bool = False,
    ) -> None:
        """
        @param over: called when the exchange is over.
        @param declined: the request's body will not be sent: the exchange ends with the response.
        """
        super().__init__(exchange, length)
        self._over = over
        self._declined = declined

    def readConnectionLost(self) -> None:
        exchange = self._exchange
        super().readConnectionLost()
        if self._declined:
            exchange.reset(CANCEL)

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if self._over is not None:
            self._over()

    def _stopped(self) -> None:
        self._exchange.reset(CANCEL)


class RequestBody(ExchangeBody):
    """
    The body of a request, on a server's exchange.

    A client that waits for 100 (RFC 9110 section 10.1.1) is told to go on when somebody further on wants the body, and
    not before.

    @ivar held: the client waits, and has not been told to go on.
    @ivar unwanted: this was stopped before its end.
    """

    __slots__ = ("_lost", "_stoppedEarly", "_waited", "held", "unwanted")

    def __init__(
        self,
        exchange: IExchange,
        lost: Callable[[Failure], None],
        stopped: Callable[[], None],
        waited: Callable[[], None],
        length: int | None = None,
        held: bool = False,
    ) -> None:
        """
        @param lost: called when the exchange is over, once this has been started.
        @param stopped: called when this is stopped before its end.
        @param waited: called when this is started and the client has not been told to go on: somebody is to call
            L{proceed}, soon.
        """
        super().__init__(exchange, length)
        self._lost = lost
        self._stoppedEarly = stopped
        self._waited = waited
        self.held = held
        self.unwanted = False

    def start(self, sink: IBodySink) -> None:
        if self.ended:
            return
        if self.held:
            self._sink = sink
            self._waited()
        else:
            super().start(sink)

    def proceed(self) -> None:
        """
        Tell the client to go on. An exchange of HTTP/1.1 does so itself once there is a reader.
        """
        if not self.held or self.ended:
            return
        self.held = False
        if self._exchange.version != "1.1":
            self._exchange.respond(ResponseHead(100))
        sink = self._sink
        if sink is not None:
            super().start(sink)

    def _stopped(self) -> None:
        # The response goes on; what still comes is not listened to.
        if self.started:
            self._exchange.ignore()
        self.unwanted = True
        self._stoppedEarly()

    def connectionLost(self, reason: Failure) -> None:
        # First of all: what is told by and by that the body is cut short answers with an error, which is not ours.
        self._lost(reason)
        super().connectionLost(reason)


@implementer(IBodySink)
class RequestSink:
    """
    Sends a request's body on, on a client's exchange.

    @ivar begun: whether something of it has come.
    @ivar ended: whether all of it, or what there is, was written.
    """

    __slots__ = ("__provides__", "_body", "_exchange", "_record", "begun", "ended")

    def __init__(self, exchange: IExchange, body: IBody, record: RequestRecord) -> None:
        self._exchange: Any = exchange
        self._body = body
        self._record = record
        self.begun = False
        self.ended = False
        exchange.registerProducer(body, True)

    def dataReceived(self, data: Buffer) -> None:
        self.begun = True
        self._record.bytesIn += len(data)
        self._exchange.write(data)

    def over(self) -> None:
        """
        Nobody takes any more of it.
        """
        if not self.ended:
            self.ended = True
            self._exchange.unregisterProducer()
            self._body.stopProducing()

    def bodyEnded(self, trailers: Headers) -> None:
        self.ended = True
        self._exchange.unregisterProducer()
        if trailers:
            self._exchange.writeTrailers(trailers)
        else:
            self._exchange.loseWriteConnection()

    def bodyFailed(self, reason: Failure) -> None:
        self.ended = True
        self._exchange.unregisterProducer()
        self._exchange.reset(CANCEL)
