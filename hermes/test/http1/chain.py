"""
A proxy of one server's end and one client's end, and nothing between that could save a message which either misreads.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, StreamReset
from hermes.http1.client import HTTP1Client
from hermes.http1.server import HTTP1ServerProtocol
from hermes.interfaces import IExchangeHandler, IServerExchange
from hermes.test.http1.memory import MemoryTransport
from hermes.test.http1.test_client import MemoryEndpoint
from hermes.values import ResponseHead

CANCEL = 8


@implementer(IProtocol, IHalfCloseableProtocol)
class Pour:
    """
    Reads one body and writes another.
    """

    def __init__(self, source: Any, sink: Any) -> None:
        self._source = source
        self._sink = sink

    def makeConnection(self, transport: object) -> None:
        pass

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        self._sink.write(data)

    def readConnectionLost(self) -> None:
        self._sink.writeTrailers(self._source.trailers)

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        if not reason.check(ConnectionDone):
            self._sink.reset(CANCEL)


@implementer(IExchangeHandler)
class Chain:
    """
    Sends each request on as it was read.

    @ivar failures: why requests were not answered by the origin.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.endpoint = MemoryEndpoint(self.clock)
        self.client = HTTP1Client(self.endpoint, self.clock)
        self.failures: list[BaseException] = []

    def connect(self, secure: bool = False) -> MemoryTransport:
        """
        A client's connection.
        """
        transport = MemoryTransport(self.clock)
        transport.attach(HTTP1ServerProtocol(self, self.clock, secure=secure))
        return transport

    def send(self, transport: MemoryTransport, data: bytes, step: int = 0) -> bytes:
        """
        Let a connection read C{data}, C{step} bytes at a time, or all.

        @return: what it answers.
        """
        for start in range(0, len(data), step or max(len(data), 1)):
            transport.receive(data[start : start + (step or len(data))])
            self.turn()
        return bytes(transport.written)

    def turn(self) -> None:
        """
        Let happen what can happen now.
        """
        for _ in range(4):
            self.clock.advance(0)

    @property
    def origin(self) -> bytes:
        """
        All that has reached the origin, on all connections.
        """
        return b"".join(bytes(transport.written) for transport in self.endpoint.transports)

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        Deferred.fromCoroutine(self._forward(exchange)).addErrback(self._failed, exchange)

    async def _forward(self, exchange: Any) -> None:
        onward: Any = await self.client.exchange(exchange.request, exchange.bodyless)
        answer = onward.response()
        if not exchange.bodyless:
            exchange.attach(Pour(exchange, onward))
        head = await answer
        exchange.respond(head, end=onward.bodyless)
        if not onward.bodyless:
            onward.attach(Pour(onward, exchange))

    def _failed(self, failure: Failure, exchange: Any) -> None:
        failure.trap(FlowError, StreamReset)
        error = failure.value
        assert error is not None
        self.failures.append(error)
        exchange.respond(ResponseHead(getattr(error, "status", 502)), end=True)
