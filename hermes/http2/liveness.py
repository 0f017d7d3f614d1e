"""
An HTTP/2 connection in time: its handshake, its keepalive, its path's measure, its end.
"""

from __future__ import annotations

from typing import ClassVar

from h2.errors import ErrorCodes
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.http2.bandwidth import WindowEstimator
from hermes.http2.scheduler import Scheduler
from hermes.values import Address

MAX_STREAM_WINDOW = 16 << 20
"""
What a stream's window may grow to, bytes, as the path's bandwidth-delay product is measured.
"""

PATIENCE = 10.0
"""
Seconds that a peer is given to take our last words.
"""

BANDWIDTH_PING = b"hermesbw"
_KEEPALIVE_PING = b"hermeska"
_DRAIN_PING = b"hermesdr"


class Liveness(Scheduler):
    """
    @ivar draining: nothing new is to be opened; the connection ends with its last stream.
    @ivar asked: the peer has asked for that.
    @ivar streamWindow: how large a stream's window should be, bytes.
    @ivar closed: fires with L{None} when the connection has ended.
    """

    log: ClassVar[Logger] = Logger()
    client = False

    def __init__(
        self, clock: IReactorTime, streamWindow: int, keepalive: float, handshakeTimeout: float, idleTime: float
    ) -> None:
        """
        @param idleTime: seconds; for servers. A client's connections are its pool's to close.
        """
        super().__init__(clock)
        self._keepalive = keepalive
        self._idleTime = idleTime
        self._idleSince = 0.0
        self._idleTimer: IDelayedCall | None = None
        self._handshakeTimeout = handshakeTimeout
        self._estimator = WindowEstimator(streamWindow, max(MAX_STREAM_WINDOW, streamWindow))
        self._heardAt = 0.0
        self._pinged = False
        self._timer: IDelayedCall | None = None
        self._closeTimer: IDelayedCall | None = None
        self._pings: dict[bytes, list[Deferred[float]]] = {}
        self._pingCount = 0
        self._closing = False
        # The last GOAWAY of a drain has been sent.
        self._final = False
        self.draining = False
        self.asked = False
        self.streamWindow = streamWindow
        self.source: Address | None = None
        self.closed: Deferred[None] = Deferred()

    def _begin(self) -> None:
        """
        The connection is up.
        """
        self._heardAt = self._clock.seconds()
        self._timer = self._clock.callLater(self._handshakeTimeout, self._handshakeTimedOut)
        if not self.client:
            self._idleSince = self._heardAt
            self._idleTimer = self._clock.callLater(self._idleTime, self._idled)

    def _end(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        for timer in (self._timer, self._closeTimer, self._idleTimer):
            if timer is not None and timer.active():
                timer.cancel()
        pings, self._pings = self._pings, {}
        for waiting in pings.values():
            for deferred in waiting:
                deferred.errback(reason)
        self.closed.callback(None)

    def settingsReceived(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(self._keepalive, self._keepAlive)
        for lane in self._engine.lanes.values():
            self.windowOpened(lane)

    def pingAcknowledged(self, payload: bytes) -> None:
        self._pinged = False
        if payload == BANDWIDTH_PING:
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

    def ping(self) -> Deferred[float]:
        """
        Measure the round trip to the peer, for L{roundTrip} too. Fires with seconds.
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

        def measured(now: float) -> float:
            self._estimator.roundTrip = now - sentAt
            return now - sentAt

        return deferred.addCallback(measured)

    @property
    def roundTrip(self) -> float | None:
        """
        The last round trip that was measured, by L{ping} or while data flowed, seconds; or L{None}.
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

    def _idled(self) -> None:
        # Streams touch no timer: what they have done is looked at here.
        self._idleTimer = None
        left = self._idleTime
        if not self._engine.lanes:
            left += self._idleSince - self._clock.seconds()
        if left > 0:
            self._idleTimer = self._clock.callLater(left, self._idled)
        else:
            self.drain()

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

    def _laneClosed(self) -> None:
        if not self._engine.lanes:
            if self.draining and self._final:
                self._close()
            elif self._idleTimer is not None:
                self._idleSince = self._clock.seconds()

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
            self._loseExchanges(Failure(carrierEnded()))

    def _loseExchanges(self, reason: Failure) -> None:
        raise NotImplementedError


def carrierEnded() -> ConnectionAborted:
    """
    What ends the streams of a connection that has ended in order: for them it was not in order.
    """
    return ConnectionAborted("the connection that carried the stream has ended")
