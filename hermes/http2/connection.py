"""
HTTP/2 connections, server and client.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve
from h2.errors import ErrorCodes
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hermes.http2.exchange import ClientExchange, Exchange, ServerExchange
from hermes.http2.handler import EngineSettings, HeaderList
from hermes.http2.heads import readContentLength, readRequest, readResponse, writeRequest
from hermes.http2.protocol import Connection
from hermes.http2.state import Lane
from hermes.interfaces import IExchangeHandler
from hermes.values import RequestHead

MAX_OPEN = 1 << 20
"""
How many streams a client opens on one connection where the peer names no bound.
"""

MAX_INFORMATIONAL = 32
"""
How many informational responses a request may get.
"""


class ServerConnection(Connection):
    """
    A server's connection: hands each request to an L{IExchangeHandler}.
    """

    def __init__(
        self,
        handler: IExchangeHandler,
        clock: IReactorTime,
        settings: EngineSettings | None = None,
        keepalive: float = 30.0,
        handshakeTimeout: float = 10.0,
    ) -> None:
        super().__init__(clock, settings or EngineSettings(), keepalive, handshakeTimeout)
        self._handler = handler

    def headersReceived(self, lane: Lane, fields: HeaderList, ended: bool) -> None:
        exchange = lane.exchange
        if isinstance(exchange, Exchange):
            self._trailersReceived(lane, exchange, fields, ended)
            return
        head = readRequest(fields, self._engine.settings.extendedConnect)
        exchange = ServerExchange(self, lane, head, self._engine.settings.streamWindow)
        if head.method == b"CONNECT":
            readContentLength(head.headers)
        else:
            exchange.expectBody(head.headers)
        if ended:
            exchange.bodyless = True
            exchange.bodyEnded()
        if exchange.gone:
            return
        try:
            self._handler.exchangeReceived(exchange)
        except Exception:
            self.log.failure("{handler} failed on {exchange.request}", handler=self._handler, exchange=exchange)
            exchange.reset(ErrorCodes.INTERNAL_ERROR)


class ClientConnection(Connection):
    """
    A client's connection: opens exchanges.
    """

    client = True

    def __init__(
        self,
        clock: IReactorTime,
        settings: EngineSettings | None = None,
        keepalive: float = 30.0,
        handshakeTimeout: float = 10.0,
    ) -> None:
        super().__init__(
            clock, evolve(settings or EngineSettings(), extendedConnect=False), keepalive, handshakeTimeout
        )
        self.ready: Deferred[ClientConnection] = Deferred(self._cancelled)
        self.changed: Callable[[ClientConnection], None] = lambda connection: None
        self._isReady = False

    @property
    def capacity(self) -> int:
        """
        How many exchanges can be opened now.
        """
        if not self._isReady or self.draining or self._engine.closed or self._engine.state.exhausted:
            return 0
        return min(self._engine.state.peerMaxStreams, MAX_OPEN) - len(self._engine.lanes)

    @property
    def extendedConnect(self) -> bool:
        """
        Whether the peer takes extended CONNECT (RFC 8441).
        """
        return self._engine.peerOffersConnect

    def open(self, head: RequestHead, end: bool = False) -> ClientExchange:
        """
        Open an exchange; L{capacity} must allow it.
        """
        lane = self._engine.openLane(writeRequest(head), end)
        exchange = ClientExchange(self, lane, head, self._engine.settings.streamWindow, end)
        self._flushSoon()
        return exchange

    def settingsReceived(self) -> None:
        super().settingsReceived()
        if not self._isReady:
            self._isReady = True
            self.ready.callback(self)
        else:
            self.changed(self)

    def _cancelled(self, _: object) -> None:
        self._isReady = True
        self.abort()

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if not self._isReady:
            self._isReady = True
            self.ready.errback(reason)

    def _laneClosed(self) -> None:
        super()._laneClosed()
        self.changed(self)

    def headersReceived(self, lane: Lane, fields: HeaderList, ended: bool) -> None:
        exchange = lane.exchange
        assert isinstance(exchange, ClientExchange)
        if exchange.answered:
            self._trailersReceived(lane, exchange, fields, ended)
            return
        head = readResponse(fields)
        if head.status < 200:
            lane.receiving = False
            lane.informational += 1
            if ended or lane.informational > MAX_INFORMATIONAL:
                raise ValueError("an informational response that ends the stream, or one too many")
            exchange.informed(head)
            return
        exchange.responseReceived(head, ended)
        if ended:
            exchange.bodyEnded()
            self._laneEnded(lane)
            if not lane.sending:
                # Nobody need attach to it: it is over now.
                lane.exchange = None
