"""
The client's end of an HTTP/1.1 connection.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, HermesError, HopUnavailable, StreamReset
from hermes.http1.connection import Connection
from hermes.http1.engine import BodyEnd, ClientEngine, Event, Phase
from hermes.http1.exchange import CANCEL, INTERNAL_ERROR, PROTOCOL_ERROR, Exchange
from hermes.http1.head import Response
from hermes.http1.limits import DEFAULT_LIMITS, Limits
from hermes.interfaces import IClientExchange
from hermes.values import RequestHead, ResponseHead


@implementer(IClientExchange)
class ClientExchange(Exchange):
    """
    The client's end of an exchange.
    """

    _connection: HTTP1ClientProtocol
    _answer: ResponseHead | Failure | None = None
    _onAnswer: tuple[Callable[[ResponseHead], None], Callable[[Failure], None]] | None = None
    _informational: Callable[[ResponseHead], None] | None = None
    reused = False

    def notifyInformational(self, callback: Callable[[ResponseHead], None]) -> None:
        self._informational = callback

    def notifyDraining(self, callback: Callable[[], None]) -> None:
        """
        A connection of HTTP/1.1 ends with its exchange: nobody asks.
        """

    def informed(self, head: ResponseHead) -> None:
        """
        An informational head.
        """
        self.reused = False
        if self._informational is not None:
            self._informational(head)

    def response(self) -> Deferred[ResponseHead]:
        waiting: Deferred[ResponseHead] = Deferred(lambda _: self.reset(CANCEL))

        def failed(failure: Failure) -> None:
            # It may have been cancelled.
            if not waiting.called:
                waiting.errback(failure)

        self.whenAnswered(waiting.callback, failed)
        return waiting

    def whenAnswered(self, answered: Callable[[ResponseHead], None], failed: Callable[[Failure], None]) -> None:
        self._onAnswer = answered, failed
        if self._answer is not None:
            self._fire()

    def answered(self, answer: ResponseHead | Failure) -> None:
        """
        The final response head, or why there is none.
        """
        if self._answer is None:
            self._answer = answer
            if self._onAnswer is not None:
                self._fire()

    def _fire(self) -> None:
        told, answer = self._onAnswer, self._answer
        assert told is not None and answer is not None
        self._onAnswer = None
        try:
            if isinstance(answer, Failure):
                told[1](answer)
            else:
                told[0](answer)
        except Exception:
            self.log.failure("telling of an answer failed")

    def lost(self, reason: Failure) -> None:
        if not reason.check(ConnectionDone):
            if self._resetCode is not None:
                reason = Failure(StreamReset(self._resetCode))
            elif not reason.check(StreamReset):
                self.reused = self.reused and not self._connection.begun
                self.answered(Failure(HopUnavailable("the next hop closed the connection before it answered")))
                reason = Failure(StreamReset(INTERNAL_ERROR, "the connection was lost"))
            self.answered(reason)
        super().lost(reason)


class HTTP1ClientProtocol(Connection):
    """
    Requests on one connection, one after the other.

    @ivar idle: called with this connection whenever it is ready for the next request.
    @ivar idleSince: since when it waits for one, in seconds of the clock: for whoever made it.
    """

    _engine: ClientEngine
    idleSince = 0.0
    idle: Callable[[HTTP1ClientProtocol], object] | None = None

    def __init__(self, clock: IReactorTime, limits: Limits = DEFAULT_LIMITS, absolute: bool = False) -> None:
        """
        @param absolute: the peer is a proxy that takes its targets in absolute-form.
        """
        super().__init__(ClientEngine(limits, absolute), clock, limits)
        self._used = False

    @property
    def usable(self) -> bool:
        """
        Whether a request can be sent now.
        """
        return self._exchange is None and not (self._lost or self._closing or self._handedOver or self._readEnded)

    def request(self, head: RequestHead, end: bool = False) -> ClientExchange:
        """
        Send a request head.

        @param end: the request has no body.
        @raise Malformed: where the head can't be written; nothing was sent.
        """
        if not self.usable:
            raise RuntimeError("this connection takes no request now")
        data = self._engine.request(head, end)
        self._stopTimer()
        exchange = ClientExchange(self, head, self.identity, self.source)
        exchange.reused, self._used = self._used, True
        self._exchange = exchange
        if self._engine.writer is None and not self._engine.asking:
            self.transport.write(data)
            exchange.writeFinished()
        else:
            self._emit((data,))
        return exchange

    @property
    def begun(self) -> bool:
        """
        Whether something has come that is not read yet: the start of a response.
        """
        return len(self._engine.inbox) > 0

    def drain(self) -> None:
        """
        Close once what is under way has ended: at once where nothing is.
        """
        self._engine.close = True
        if self._exchange is None:
            self._closeGently()

    # Reading.

    def _wants(self) -> bool:
        engine, exchange = self._engine, self._exchange
        if self._closing or exchange is None or exchange.readEnded or engine.phase is Phase.TUNNEL:
            return False
        if engine.phase is Phase.HEAD or engine.reader is None or exchange.abandoned:
            return True
        return exchange.protocol is not None and not exchange.readPaused

    def pump(self) -> None:
        super().pump()
        if self._exchange is not None or self._closing or self._handedOver or self._lost:
            return
        if self._readEnded or len(self._engine.inbox):
            # Nobody asked: whatever it says, it is not an answer to the next request.
            self._closeGently()

    def _received(self, event: Event) -> None:
        exchange = self._exchange
        assert isinstance(exchange, ClientExchange)
        if isinstance(event, Response):
            if event.head.status >= 200:
                self._responded(exchange, event)
            else:
                exchange.informed(event.head)
        elif isinstance(event, memoryview):
            self._bodyReceived(exchange, event)
        elif isinstance(event, BodyEnd):
            exchange.bodyEnded(event.trailers)
            if self._engine.close and not exchange.writeEnded:
                # The server has said all it will, and takes nothing more.
                exchange.writeFinished()
            self._advance()

    def _responded(self, exchange: ClientExchange, response: Response) -> None:
        tunnel = self._engine.phase is Phase.TUNNEL
        if not tunnel and exchange.request.method == b"CONNECT":
            self._held.clear()
            exchange.writeFinished()
        if tunnel:
            # The request goes first, even to a server that did not wait for it.
            self._uncork()
            self._held.release(self.transport, exchange.producer)
        exchange.bodyless = not tunnel and response.body is None
        if response.body is not None:
            exchange.bodyLength = response.body.remaining
        exchange.answered(response.head)
        if tunnel and exchange.protocol is not None and not self._handedOver:
            exchange.handOver()

    def _tooMuch(self) -> None:
        # There is nothing of ours left to arrive.
        self.transport.abortConnection()

    def _endOfInput(self) -> bool:
        phase = self._engine.phase
        if phase is Phase.BODY:
            # Where the end of the connection ends the body, there is one more event.
            self._engine.eof()
            return True
        if phase is Phase.HEAD:
            self.transport.abortConnection()
        return False

    def _malformed(self, error: HermesError) -> None:
        exchange = self._exchange
        self._exchange = None
        self.transport.abortConnection()
        if isinstance(exchange, ClientExchange):
            exchange.reused = False
            exchange.answered(
                Failure(error if isinstance(error, FlowError) else HopUnavailable(f"not HTTP/1.1: {error}"))
            )
            exchange.lost(Failure(StreamReset(PROTOCOL_ERROR, str(error))))

    # For exchanges.

    def _exchangeEnded(self) -> None:
        if self._engine.close or self._readEnded or len(self._engine.inbox):
            self._closeGently()
        elif self.idle is not None:
            self.idle(self)
