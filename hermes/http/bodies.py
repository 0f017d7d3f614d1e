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
from hermes.values import Buffer, Headers

INTERNAL_ERROR: Final = 0x2
CANCEL: Final = 0x8


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
        self.started = True
        self._sink = sink
        self.dataReceived = sink.dataReceived
        self._exchange.attach(self)
        if self._paused:
            self._exchange.pauseProducing()

    def pauseProducing(self) -> None:
        self._paused = True
        if self.started:
            self._exchange.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        if self.started:
            self._exchange.resumeProducing()

    def stopProducing(self) -> None:
        if not self.ended:
            self.ended = True
            self._sink = None
            self.dataReceived = _discard
            self._stopped()

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
            self.ended = True
            sink, self._sink = self._sink, None
            sink.bodyEnded(self._exchange.trailers)

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        if not self.ended:
            self.ended = True
            sink, self._sink = self._sink, None
            sink.bodyFailed(reason)


class ResponseBody(ExchangeBody):
    """
    The body of a response, on a client's exchange.
    """

    __slots__ = ()

    def _stopped(self) -> None:
        self._exchange.reset(CANCEL)


class RequestBody(ExchangeBody):
    """
    The body of a request, on a server's exchange.
    """

    __slots__ = ("_lost",)

    def __init__(self, exchange: IExchange, lost: Callable[[Failure], None], length: int | None = None) -> None:
        """
        @param lost: called when the exchange is over, once this has been started.
        """
        super().__init__(exchange, length)
        self._lost = lost

    def _stopped(self) -> None:
        # The response goes on; what still comes is not listened to, within the connection's bounds.
        if self.started and self._paused:
            self._paused = False
            self._exchange.resumeProducing()

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self._lost(reason)


@implementer(IBodySink)
class RequestSink:
    """
    Sends a request's body on, on a client's exchange.

    @ivar ended: whether all of it, or what there is, was written.
    """

    __slots__ = ("__provides__", "_exchange", "_record", "ended")

    def __init__(self, exchange: IExchange, body: IBody, record: RequestRecord) -> None:
        self._exchange: Any = exchange
        self._record = record
        self.ended = False
        exchange.registerProducer(body, True)

    def dataReceived(self, data: Buffer) -> None:
        self._record.bytesIn += len(data)
        self._exchange.write(data)

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


@implementer(IBodySink)
class ResponseSink:
    """
    Sends a response's body to the client, on a server's exchange.
    """

    __slots__ = ("__provides__", "_ended", "_exchange", "_record")

    def __init__(
        self, exchange: IExchange, body: IBody, record: RequestRecord, ended: Callable[[Failure | None], None]
    ) -> None:
        """
        @param ended: called once all of the body was written, or with why it was not.
        """
        self._exchange: Any = exchange
        self._record = record
        self._ended = ended
        exchange.registerProducer(body, True)

    def dataReceived(self, data: Buffer) -> None:
        self._record.bytesOut += len(data)
        self._exchange.write(data)

    def bodyEnded(self, trailers: Headers) -> None:
        self._exchange.unregisterProducer()
        if trailers:
            self._exchange.writeTrailers(trailers)
        if self._exchange.request.method == b"CONNECT":
            self._exchange.loseWriteConnection()
        else:
            # Whatever is still to come of the request is of no use.
            self._exchange.loseConnection()
        self._ended(None)

    def bodyFailed(self, reason: Failure) -> None:
        self._exchange.unregisterProducer()
        # The body may look whole to the client, where it had no length: it must not.
        self._exchange.reset(INTERNAL_ERROR)
        self._ended(reason)
