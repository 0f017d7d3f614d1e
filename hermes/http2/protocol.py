"""
An HTTP/2 connection as a Twisted protocol: the engine on a transport, its streams as exchanges. What both ends share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from h2.errors import ErrorCodes
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import StreamReset
from hermes.http2.engine import Engine
from hermes.http2.exchange import Exchange
from hermes.http2.handler import EngineSettings, HeaderList
from hermes.http2.heads import MalformedHead, readTrailers, writeResponse
from hermes.http2.liveness import BANDWIDTH_PING, PATIENCE, Liveness, carrierEnded
from hermes.http2.pressure import Pressure
from hermes.http2.state import Lane
from hermes.interfaces import IBorrowingProtocol, IStreamTransport
from hermes.proxied import sourceOf
from hermes.values import ANONYMOUS, Buffer, Identity, ResponseHead

LINGER = 1.0
"""
Seconds that a peer is given to end a body that nobody listens to, before it is told that the rest is not wanted. Some
clients wait for that word (RFC 9113 section 8.1).
"""


@implementer(IBorrowingProtocol, IHalfCloseableProtocol, IPushProducer)
class Connection(Liveness):
    """
    Also the engine's handler.

    @ivar identity: the peer's, from its certificate.
    @ivar source: the peer's address.
    """

    def __init__(
        self, clock: IReactorTime, settings: EngineSettings, keepalive: float, handshakeTimeout: float
    ) -> None:
        super().__init__(clock, settings.streamWindow, keepalive, handshakeTimeout, settings.idleTime)
        self._engine = Engine(self.client, self, settings)
        self._lingers: dict[Exchange, IDelayedCall] = {}
        self._pressure = Pressure(self._engine, settings.streamWindow, clock, self._creditAll, self._flushSoon)
        self.identity: Identity = ANONYMOUS

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
        self._begin()
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
        self._pressure.stop()
        self._engine.stop()
        lost = Failure(carrierEnded()) if reason.check(ConnectionDone) else reason
        self._loseExchanges(lost)
        self._end(lost)

    def _loseExchanges(self, reason: Failure) -> None:
        for lane in list(self._engine.lanes.values()):
            self._engine.dropLane(lane)
            if isinstance(lane.exchange, Exchange):
                lane.exchange.lost(reason)
        for exchange in list(self._lingers):
            exchange.lost(reason)

    def getPeer(self) -> IAddress:
        return self.transport.getPeer()

    def getHost(self) -> IAddress:
        return self.transport.getHost()

    @property
    def openExchanges(self) -> int:
        """
        How many streams are open.
        """
        return len(self._engine.lanes)

    # What exchanges ask for

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
        self._pressure.add(size)

    @property
    def heldBytes(self) -> int:
        """
        Bytes that wait for stalled readers, all streams together.
        """
        return self._pressure.held

    @property
    def tightened(self) -> int:
        """
        By how much streams' windows are lower than they would be without stalled readers, bytes.
        """
        return self._pressure.tightened

    def _creditAll(self) -> None:
        for lane in list(self._engine.lanes.values()):
            if isinstance(lane.exchange, Exchange):
                lane.exchange.credit()

    def settingsAcknowledged(self) -> None:
        self._pressure.acknowledged()

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
        self._lingers[exchange] = self._clock.callLater(LINGER, exchange.lingered)

    def forget(self, exchange: Exchange) -> None:
        """
        An exchange is over.
        """
        exchange.waiting = False
        timer = self._lingers.pop(exchange, None)
        if timer is not None and timer.active():
            timer.cancel()
        self._laneClosed()

    def _laneEnded(self, lane: Lane) -> None:
        # The stream may be over while what came on it still waits for its reader.
        if lane.ended and not lane.sending:
            self._laneClosed()

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
            self._engine.ping(BANDWIDTH_PING)

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

    def goAwayReceived(self, lastStreamID: int, code: int, debug: bytes) -> None:
        if code != ErrorCodes.NO_ERROR:
            self.log.info(
                "HTTP/2 peer {peer} sent GOAWAY: {reason} (error code {code})",
                peer=self.source,
                reason=debug.decode("ascii", "replace"),
                code=code,
            )
        self.draining = self._final = self.asked = True
        for streamID, lane in list(self._engine.lanes.items()):
            if not isinstance(lane.exchange, Exchange):
                continue
            if streamID <= lastStreamID or streamID % 2 != int(self.client):
                lane.exchange.draining()
            else:
                self._engine.dropLane(lane)
                lane.exchange.lost(Failure(StreamReset(ErrorCodes.REFUSED_STREAM, "refused by GOAWAY", drained=True)))
        self._laneClosed()

    def connectionFailed(self, code: int, message: str) -> None:
        self.log.warn(
            "HTTP/2 connection with {peer} ended by us: {reason} (error code {code})",
            peer=self.source,
            reason=message,
            code=code,
        )
        self._close(PATIENCE)
