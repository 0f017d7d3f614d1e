"""
An HTTP/2 connection as a Twisted protocol, server and client: the engine on a transport, with time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar, cast

from attrs import evolve
from h2.errors import ErrorCodes
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import StreamReset
from hermes.http2.bandwidth import WindowEstimator
from hermes.http2.engine import Engine
from hermes.http2.exchange import ClientExchange, Exchange, ServerExchange
from hermes.http2.handler import EngineSettings, HeaderList
from hermes.http2.heads import (
    MalformedHead,
    readContentLength,
    readRequest,
    readResponse,
    readTrailers,
    writeRequest,
    writeResponse,
)
from hermes.http2.outbound import Outbound
from hermes.http2.state import Lane
from hermes.interfaces import IBorrowingProtocol, IExchangeHandler, IStreamTransport
from hermes.proxied import sourceOf
from hermes.values import ANONYMOUS, Address, Buffer, Identity, RequestHead, ResponseHead

MAX_STREAM_WINDOW = 16 << 20
"""
What a stream's window may grow to, bytes, as the path's bandwidth-delay product is measured.
"""

MAX_HELD = 64 << 20
"""
Bytes that may wait on one connection, all stalled readers together. Beyond it the connection's window is not credited.
"""

MAX_OPEN = 1 << 20
"""
How many streams a client opens on one connection where the peer names no bound.
"""

MAX_INFORMATIONAL = 32
"""
How many informational responses a request may get.
"""

_SLICE = 256 << 10
_BANDWIDTH_PING = b"hermesbw"
_KEEPALIVE_PING = b"hermeska"
_DRAIN_PING = b"hermesdr"
_LINGER = 10.0


def _carrierEnded() -> ConnectionAborted:
    return ConnectionAborted("the connection that carried the stream has ended")


@implementer(IBorrowingProtocol, IHalfCloseableProtocol, IPushProducer)
class Connection:
    """
    What both ends share. Also the engine's handler.

    @ivar identity: the peer's, from its certificate.
    @ivar source: the peer's address.
    """

    log: ClassVar[Logger] = Logger()
    client = False
    transport: ITransport

    def __init__(
        self, clock: IReactorTime, settings: EngineSettings, keepalive: float, handshakeTimeout: float
    ) -> None:
        self._clock = clock
        self._keepalive = keepalive
        self._handshakeTimeout = handshakeTimeout
        self._engine = Engine(self.client, self, settings)
        self._estimator = WindowEstimator(settings.streamWindow, max(MAX_STREAM_WINDOW, settings.streamWindow))
        self._waiting: deque[Outbound] = deque()
        self._lingers: dict[Exchange, IDelayedCall] = {}
        self._blocked = False
        self._connected = False
        self._closing = False
        self._final = False
        self._receiving = False
        self._held = 0
        self._heardAt = 0.0
        self._pinged = False
        self._timer: IDelayedCall | None = None
        self._closeTimer: IDelayedCall | None = None
        self._pings: dict[bytes, list[Deferred[float]]] = {}
        self._pingCount = 0
        self.draining = False
        self.identity: Identity = ANONYMOUS
        self.source: Address | None = None
        self.streamWindow = settings.streamWindow
        self.closed: Deferred[None] = Deferred()
        self._write: Callable[[list[Buffer]], None]

    # IProtocol

    def makeConnection(self, transport: ITransport) -> None:
        self.transport = transport
        self._connected = True
        self.identity = getattr(transport, "identity", ANONYMOUS)
        self.source = sourceOf(transport)
        if IStreamTransport.providedBy(transport):
            self._write = cast("Callable[[list[Buffer]], None]", transport.writeSequence)
        else:
            self._write = lambda iovec: transport.write(b"".join(iovec))
        transport.registerProducer(self, True)  # type: ignore[attr-defined]
        self._heardAt = self._clock.seconds()
        self._timer = self._clock.callLater(self._handshakeTimeout, self._handshakeTimedOut)
        self._flush()

    def dataReceived(self, data: Buffer) -> None:
        now = self._heardAt = self._clock.seconds()
        self._receiving = True
        try:
            self._engine.receive(memoryview(data), now)
        finally:
            self._receiving = False
        if self._engine.unsent:
            self._flush()
        if self._waiting and not self._blocked:
            self._pump()

    def readConnectionLost(self) -> None:
        # A peer that sends no more can't even acknowledge: HTTP/2 has no half-open connection.
        self._close()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        if not self._connected:
            return
        self._connected = False
        self._engine.stop()
        for timer in (self._timer, self._closeTimer):
            if timer is not None and timer.active():
                timer.cancel()
        # In order for TCP, and not for the streams that were open.
        lost = Failure(_carrierEnded()) if reason.check(ConnectionDone) else reason
        self._loseExchanges(lost)
        pings, self._pings = self._pings, {}
        for waiting in pings.values():
            for deferred in waiting:
                deferred.errback(lost)
        self.closed.callback(None)

    def _flush(self) -> None:
        # What waits while the transport is full is the engine's to bound.
        if not self._blocked:
            output = self._engine.takeOutput()
            if output:
                self._write([output])

    def _close(self, patience: float | None = None) -> None:
        """
        End the connection after what is still to be sent.

        @param patience: seconds after which a peer that does not take it is not waited for.
        """
        if self._connected and not self._closing:
            self._engine.stop()
            self._blocked = False
            self._flush()
            self._closing = True
            if patience is not None:
                self._closeTimer = self._clock.callLater(patience, self.abort)
            # A transport waits for its producer before it closes.
            self.transport.unregisterProducer()  # type: ignore[attr-defined]
            self.transport.loseConnection()
            self._loseExchanges(Failure(_carrierEnded()))

    def _loseExchanges(self, reason: Failure) -> None:
        for lane in list(self._engine.lanes.values()):
            self._engine.dropLane(lane)
            if isinstance(lane.exchange, Exchange):
                lane.exchange.lost(reason)
        for exchange in list(self._lingers):
            exchange.lost(reason)

    # What exchanges ask for

    def send(self, lane: Lane, buffers: list[Buffer] | tuple[Buffer, ...], size: int) -> int:
        """
        Send DATA at once, as much as the windows and the transport take.

        @param buffers: borrowed; C{size} bytes in all.
        @return: how many bytes were sent.
        """
        if self._blocked or not self._connected:
            return 0
        engine = self._engine
        window = engine.sendWindow(lane)
        if engine.unsent:
            self._flush()
        if size <= window:
            self._write([engine.frameData(lane, size), *buffers])
            return size
        if window <= 0:
            return 0
        view = memoryview(buffers[0] if len(buffers) == 1 else b"".join(buffers))
        iovec: list[Buffer] = []
        sent = 0
        while window > 0 and sent < size:
            step = min(window, size - sent)
            iovec.append(engine.frameData(lane, step))
            iovec.append(view[sent : sent + step])
            sent += step
            window = engine.sendWindow(lane)
        self._write(iovec)
        return sent

    def wait(self, exchange: Outbound) -> None:
        """
        Flush the exchange when there is room.
        """
        if not exchange.waiting:
            exchange.waiting = True
            self._waiting.append(exchange)

    def credit(self, lane: Lane, size: int) -> None:
        """
        Let the peer send C{size} bytes more on a stream.
        """
        self._engine.credit(lane, size)
        self._flushSoon()

    def held(self, size: int) -> None:
        """
        C{size} more bytes wait for a reader; negative, fewer.
        """
        self._held += size
        if self._held > MAX_HELD:
            self._engine.data.hold = True
        elif self._engine.data.hold and self._held < MAX_HELD // 2:
            self._engine.data.release()
            self._flushSoon()

    def respond(self, lane: Lane, head: ResponseHead, end: bool) -> None:
        """
        Send a response head.
        """
        self._engine.sendHeaders(lane, writeResponse(head), end)
        self._flushSoon()
        self._laneEnded(lane)

    def end(self, lane: Lane, trailers: tuple[tuple[bytes, bytes], ...] | None) -> None:
        """
        End our side of a stream.
        """
        if trailers:
            self._engine.sendHeaders(lane, trailers, True)
        else:
            self._engine.endLane(lane)
        self._flushSoon()
        self._laneEnded(lane)

    def resetLane(self, lane: Lane, code: int) -> None:
        """
        Reset a stream.
        """
        self._engine.resetLane(lane, code)
        self._flushSoon()

    def lingering(self, exchange: Exchange) -> None:
        """
        An exchange that nobody listens to waits for its peer's end, for a while.
        """
        self._lingers[exchange] = self._clock.callLater(_LINGER, exchange.lingered)

    def soon(self, call: Callable[[], object]) -> None:
        """
        Call at the reactor's next turn.
        """
        self._clock.callLater(0, call)

    def forget(self, exchange: Exchange) -> None:
        """
        An exchange is over.
        """
        exchange.waiting = False
        timer = self._lingers.pop(exchange, None)
        if timer is not None and timer.active():
            timer.cancel()
        self._laneClosed()

    def _flushSoon(self) -> None:
        # Inside dataReceived, one write at its end carries all that was decided.
        if not self._receiving and self._connected:
            self._flush()

    def _laneEnded(self, lane: Lane) -> None:
        # The stream may be over while what came on it still waits for its reader.
        if lane.ended and not lane.sending:
            self._laneClosed()

    def _laneClosed(self) -> None:
        if self.draining and self._final and not self._engine.lanes:
            self._close()

    def getPeer(self) -> IAddress:
        return self.transport.getPeer()

    def getHost(self) -> IAddress:
        return self.transport.getHost()

    # The transport's producer

    def pauseProducing(self) -> None:
        self._blocked = True

    def resumeProducing(self) -> None:
        self._blocked = False
        if self._engine.unsent:
            self._flush()
        if self._waiting:
            self._pump()

    def stopProducing(self) -> None:
        self._blocked = True

    def _pump(self) -> None:
        # Round robin, a slice each, until nothing waits or nothing goes.
        waiting = self._waiting
        while waiting and not self._blocked and self._connected and self._engine.connectionWindow:
            exchange = waiting.popleft()
            if not exchange.waiting:
                continue
            if exchange.flush(_SLICE) or (
                exchange.bufferedBytes and (self._blocked or not self._engine.connectionWindow)
            ):
                waiting.append(exchange)
            else:
                # Either all has gone, or the stream's own window is closed: windowOpened brings it back.
                exchange.waiting = False
        if self._engine.unsent:
            self._flushSoon()

    # The engine's handler

    def headersReceived(self, lane: Lane, fields: HeaderList, ended: bool) -> None:
        raise NotImplementedError

    def _trailersReceived(self, lane: Lane, exchange: Exchange, fields: HeaderList, ended: bool) -> None:
        if not ended:
            raise MalformedHead("trailers without END_STREAM")
        if exchange.isTunnel:
            raise MalformedHead("trailers in a tunnel")
        exchange.trailers = readTrailers(fields)
        exchange.bodyEnded()
        self._laneEnded(lane)

    def bodyReceived(self, lane: Lane, data: memoryview) -> None:
        exchange = lane.exchange
        if isinstance(exchange, Exchange):
            exchange.bodyReceived(data)
        if self._estimator.received(len(data), self._heardAt):
            self._engine.ping(_BANDWIDTH_PING)

    def bodyEnded(self, lane: Lane) -> None:
        exchange = lane.exchange
        if isinstance(exchange, Exchange):
            exchange.bodyEnded()
        self._laneEnded(lane)

    def streamReset(self, lane: Lane, code: int, remote: bool) -> None:
        exchange = lane.exchange
        if not isinstance(exchange, Exchange):
            return
        if remote:
            exchange.resetReceived(code)
        else:
            exchange.lost(Failure(StreamReset(code)))

    def windowOpened(self, lane: Lane | None) -> None:
        # dataReceived pumps when it is done.
        if lane is not None and isinstance(lane.exchange, Exchange) and lane.exchange.bufferedBytes:
            self.wait(lane.exchange)

    def settingsReceived(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(self._keepalive, self._keepAlive)
        for lane in self._engine.lanes.values():
            self.windowOpened(lane)

    def pingAcknowledged(self, payload: bytes) -> None:
        self._pinged = False
        if payload == _BANDWIDTH_PING:
            if self._estimator.acknowledged(self._clock.seconds()):
                self.streamWindow = self._estimator.window
        elif payload == _DRAIN_PING:
            if self.draining and not self._final:
                self._engine.goAway()
                self._engine.refusing = self._final = True
                self._laneClosed()
        elif payload in self._pings:
            for deferred in self._pings.pop(payload):
                deferred.callback(self._clock.seconds())

    def goAwayReceived(self, lastStreamID: int, code: int, debug: bytes) -> None:
        if code != ErrorCodes.NO_ERROR:
            self.log.info(
                "HTTP/2 peer {peer} sent GOAWAY: {reason} (error code {code})",
                peer=self.source,
                reason=debug.decode("ascii", "replace"),
                code=code,
            )
        self.draining = self._final = True
        for streamID, lane in list(self._engine.lanes.items()):
            if streamID > lastStreamID and streamID % 2 == int(self.client) and isinstance(lane.exchange, Exchange):
                self._engine.dropLane(lane)
                lane.exchange.lost(Failure(StreamReset(ErrorCodes.REFUSED_STREAM, "refused by GOAWAY")))
        self._laneClosed()

    def connectionFailed(self, code: int, message: str) -> None:
        self.log.warn(
            "HTTP/2 connection with {peer} ended by us: {reason} (error code {code})",
            peer=self.source,
            reason=message,
            code=code,
        )
        self._close(_LINGER)

    # Time

    def ping(self) -> Deferred[float]:
        """
        Measure the round trip to the peer. Fires with seconds.
        """
        if not self._connected:
            return fail(ConnectionDone())
        sentAt = self._clock.seconds()
        payload = b"%08x" % (self._pingCount & 0xFFFFFFFF)
        self._pingCount += 1
        deferred: Deferred[float] = Deferred()
        self._pings.setdefault(payload, []).append(deferred)
        self._engine.ping(payload)
        self._flushSoon()
        return deferred.addCallback(lambda now: now - sentAt)

    @property
    def roundTrip(self) -> float | None:
        """
        The last round trip that was measured while data flowed, seconds, or L{None}.
        """
        return self._estimator.roundTrip

    def _handshakeTimedOut(self) -> None:
        self._engine.goAway(ErrorCodes.SETTINGS_TIMEOUT, b"no SETTINGS in time")
        self.abort()

    def _keepAlive(self) -> None:
        idle = self._clock.seconds() - self._heardAt
        if idle < self._keepalive:
            self._pinged = False
            self._timer = self._clock.callLater(self._keepalive - idle, self._keepAlive)
        elif self._pinged:
            self.log.info("HTTP/2 peer {peer} does not answer; connection dropped", peer=self.source)
            self.abort()
        else:
            self._pinged = True
            self._engine.ping(_KEEPALIVE_PING)
            self._flushSoon()
            self._timer = self._clock.callLater(self._keepalive, self._keepAlive)

    def drain(self) -> Deferred[None]:
        """
        Ask the peer to open nothing new, and close once all streams have ended. Fires when the connection is closed.
        """
        if not self.draining and self._connected:
            self.draining = True
            if not self.client:
                # Streams that are on their way are still taken; what comes after a round trip is not.
                self._engine.goAway(last=2**31 - 1)
                self._engine.ping(_DRAIN_PING)
            else:
                self._engine.goAway()
                self._final = True
            self._flushSoon()
            self._laneClosed()
        return self.closed

    def abort(self) -> None:
        """
        End the connection and all its streams now.
        """
        if self._connected:
            self._engine.stop()
            self._flush()
            abort = getattr(self.transport, "abortConnection", self.transport.loseConnection)
            abort()

    @property
    def openExchanges(self) -> int:
        """
        How many streams are open.
        """
        return len(self._engine.lanes)


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
            return
        exchange.responseReceived(head, ended)
        if ended:
            exchange.bodyEnded()
            self._laneEnded(lane)
