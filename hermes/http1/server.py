"""
The server's end of an HTTP/1.1 connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HermesError, StreamReset
from hermes.http1.connection import Connection
from hermes.http1.engine import BodyEnd, Event, Phase, ServerEngine
from hermes.http1.errors import Malformed
from hermes.http1.exchange import CANCEL, PROTOCOL_ERROR, Exchange
from hermes.http1.head import Request, writeResponse
from hermes.http1.limits import DEFAULT_LIMITS, Limits
from hermes.interfaces import IExchangeHandler, IServerExchange
from hermes.values import Buffer, Headers, Identity, ResponseHead

_REFUSED = ((b"connection", b"close"), (b"content-length", b"0"))


@implementer(IServerExchange)
class ServerExchange(Exchange):
    """
    The server's end of an exchange.
    """

    _connection: HTTP1ServerProtocol
    _callback: Callable[[Failure], None] | None = None

    def respond(self, head: ResponseHead, end: bool = False) -> None:
        if self.lostReason is None and self._resetCode is None:
            self._connection.respond(self, head, end)

    def askToFinish(self) -> None:
        """
        A connection of HTTP/1.1 ends with its exchange, where that is a tunnel.
        """

    def notifyLost(self, callback: Callable[[Failure], None]) -> None:
        if self.protocol is not None:
            return
        if self.lostReason is not None:
            callback(self.lostReason)
        else:
            self._callback = callback

    def ended(self, reason: Failure) -> None:
        self._callback = None
        super().ended(reason)

    def lost(self, reason: Failure) -> None:
        callback, self._callback = self._callback, None
        pending = self.lostReason is None and self.protocol is None
        super().lost(reason)
        if pending and callback is not None and self.lostReason is not None:
            callback(self.lostReason)


class HTTP1ServerProtocol(Connection):
    """
    Turns the requests on one connection into exchanges, one after the other.

    A tunnel (C{CONNECT}, C{Upgrade}) is best answered before a protocol is attached: C{respond}, then C{attach}. The
    transport below is then attached to the protocol itself, where it can be, and the protocol's C{transport} is that.
    Attached first, the protocol keeps the exchange as its transport, with one call between.
    """

    _engine: ServerEngine

    def __init__(
        self,
        handler: IExchangeHandler,
        clock: IReactorTime,
        identity: Identity | None = None,
        limits: Limits = DEFAULT_LIMITS,
        secure: bool | None = None,
    ) -> None:
        """
        @param identity: who the peer is; without it, the transport's C{identity}.
        @param secure: whether C{scheme} is C{https} where a request does not say; without it, whether the transport is
            TLS.
        """
        super().__init__(ServerEngine(limits, b"http"), clock, limits)
        self._handler = handler
        self._identity = identity
        self._secure = secure
        self._idle = False

    @property
    def identity(self) -> Identity:
        return self._identity if self._identity is not None else super().identity

    def connectionMade(self) -> None:
        secure = self._secure
        if secure is None:
            # TLS of hermes.net, TLS of Twisted.
            secure = any(hasattr(self.transport, name) for name in ("negotiatedProtocol", "getPeerCertificate"))
        self._engine.scheme = b"https" if secure else b"http"
        self._startTimer(self._limits.headTime, self._headTimedOut)

    def drain(self) -> None:
        """
        Answer what is being answered, and then close: at once where nothing is. Tunnels go on.
        """
        self._engine.close = True
        if self._exchange is None and not len(self._engine.inbox):
            self._closeGently()

    # Reading.

    def _wants(self) -> bool:
        engine, exchange = self._engine, self._exchange
        if self._closing or engine.phase in (Phase.ASKED, Phase.TUNNEL):
            return False
        if exchange is None:
            return True
        if exchange.readEnded:
            return False
        if engine.reader is None:
            # A body of nothing is nobody's to wait for.
            return True
        if exchange.protocol is None:
            return exchange.writeEnded
        return exchange.abandoned or not exchange.readPaused

    def dataReceived(self, data: Any) -> None:
        super().dataReceived(data)
        if self._idle and len(self._engine.inbox):
            # The first bytes of a request: what was left of the idle time is over.
            self._idle = False
            self._startTimer(self._limits.headTime, self._headTimedOut)

    def _received(self, event: Event) -> None:
        exchange = self._exchange
        if isinstance(event, Request):
            self._stopTimer()
            self._idle = False
            self._begin(event)
        elif exchange is None:
            raise AssertionError("a body without an exchange")
        elif isinstance(event, memoryview):
            self._bodyReceived(exchange, event)
        elif isinstance(event, BodyEnd):
            exchange.bodyEnded(event.trailers)
            self._advance()

    def _begin(self, request: Request) -> None:
        exchange = self._exchange = ServerExchange(self, request.head, self.identity, self.source)
        exchange.readEnded = exchange.bodyless = request.body is None and not request.tunnel
        if request.body is not None:
            exchange.bodyLength = request.body.remaining
        try:
            self._handler.exchangeReceived(exchange)
        except Exception:
            self.log.failure("handler failed to take an exchange")
            if self._engine.responded:
                exchange.reset(CANCEL)
            else:
                exchange.respond(ResponseHead(500), end=True)

    def _endOfInput(self) -> bool:
        exchange = self._exchange
        if exchange is None:
            if len(self._engine.inbox):
                raise Malformed("the connection ended before the head")
            self._closing = True
            self._uncork()
            self.transport.loseConnection()
            return False
        self._engine.eof()
        return False

    def steer(self) -> None:
        super().steer()
        if self._readEnded and self._engine.phase is Phase.ASKED and not len(self._engine.inbox):
            # Nobody asks for a tunnel, sends nothing into it, and ends it: this client has gone.
            self.transport.abortConnection()
        elif self._readEnded and self._exchange is not None and self._expired is None and not self._engine.responded:
            self._startTimer(self._limits.goneTime, self._clientGone)

    def _clientGone(self) -> None:
        if not self._engine.responded:
            self.transport.abortConnection()

    def _malformed(self, error: HermesError) -> None:
        self.log.info("{peer} sent what is no HTTP/1.1: {error}", peer=self.transport.getPeer(), error=error)
        exchange = self._exchange
        if self._engine.responded:
            self.transport.abortConnection()
            return
        self._emit((writeResponse(ResponseHead(getattr(error, "status", 400)), _REFUSED, frozenset()),))
        self._exchange = None
        self._closeGently()
        if exchange is not None:
            exchange.lost(Failure(StreamReset(PROTOCOL_ERROR, str(error))))

    def _headTimedOut(self) -> None:
        if len(self._engine.inbox):
            self._malformed(Malformed("the request took too long", 408))
        else:
            self._closeGently()

    # For exchanges.

    def attached(self, exchange: Exchange) -> None:
        if exchange is self._exchange and not len(self._engine.inbox):
            data = self._engine.goOn()
            if data:
                self._emit((data,))
        super().attached(exchange)

    def respond(self, exchange: ServerExchange, head: ResponseHead, end: bool) -> None:
        """
        Send a response head.
        """
        if exchange is not self._exchange:
            raise RuntimeError("this exchange has its response")
        engine = self._engine
        asked = engine.asking
        try:
            data = engine.respond(head, end, exchange.protocol is not None)
        except Malformed as error:
            self.log.error("response can't be written: {error}", error=error)
            exchange.abortConnection()
            return
        if data:
            self._emit((data,))
        if not engine.responded:
            return
        if engine.phase is Phase.TUNNEL:
            self._uncork()
            self._held.release(self.transport, exchange.producer)
            if exchange.protocol is not None:
                exchange.handOver()
        else:
            self._held.clear()
            if engine.writer is None:
                self._uncork()
                exchange.writeFinished()
                self._bodyWritten()
            elif asked:
                # A tunnel that is refused is a request without a body.
                self.pump()

    def writeBody(self, exchange: Exchange, buffers: Sequence[Buffer]) -> None:
        if not self._engine.responded and not self._engine.asking:
            raise RuntimeError("the response head comes before its body")
        super().writeBody(exchange, buffers)

    def endBody(self, exchange: Exchange, trailers: Headers) -> None:
        if not self._engine.responded and not self._engine.asking:
            # Closed without an answer; silence on this connection would be taken for one.
            exchange.abortConnection()
            return
        super().endBody(exchange, trailers)

    def _bodyWritten(self) -> None:
        exchange = self._exchange
        self._advance()
        if exchange is None or exchange.readEnded:
            return
        if exchange.protocol is None:
            # Nobody reads the rest of the request.
            self.abandoned(exchange)
        else:
            self.pump()

    def _exchangeEnded(self) -> None:
        if self._engine.close:
            self._closeGently()
            return
        self._engine.startNext()
        self._idle = not len(self._engine.inbox)
        self._startTimer(self._limits.idleTime if self._idle else self._limits.headTime, self._headTimedOut)
        if not self._idle or self._readEnded or not self._reading:
            self.pump()
