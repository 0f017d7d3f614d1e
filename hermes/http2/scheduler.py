"""
What an HTTP/2 connection sends, and when: at once where the windows and the transport take it, else in turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime, ITransport

from hermes.http2.engine import Engine
from hermes.http2.outbound import Outbound
from hermes.http2.state import Lane
from hermes.values import Buffer

_SLICE = 256 << 10
_SMALL = 8 << 10
_WORTH = 4 << 10


class Scheduler:
    """
    A transport's push producer that is made of many streams.
    """

    transport: ITransport
    _engine: Engine
    _write: Callable[[list[Buffer]], None]

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # Where the reactor has turns: see L{hermes.net.dispatch}.
        self._atTurnsEnd: Callable[[Callable[[], object]], object] | None = getattr(clock, "atTurnsEnd", None)
        self._flushing = False
        self._waiting: deque[Outbound] = deque()
        # The transport has taken all that it takes for now.
        self._blocked = False
        self._connected = False
        self._receiving = False

    def _flush(self) -> None:
        # What waits while the transport is full is the engine's to bound.
        if not self._blocked:
            output = self._engine.takeOutput()
            if output:
                self._write([output])

    def _flushSoon(self) -> None:
        # Inside dataReceived, one write at its end carries all that was decided; elsewhere, one at the end of the turn.
        if self._receiving or not self._connected:
            return
        if self._atTurnsEnd is None:
            self._flush()
        elif not self._flushing:
            self._flushing = True
            self._atTurnsEnd(self._flushTurn)

    def _flushTurn(self) -> None:
        self._flushing = False
        if self._connected and self._engine.unsent:
            self._flush()

    def soon(self, call: Callable[[], object]) -> None:
        """
        Call at the reactor's next turn.
        """
        self._clock.callLater(0, call)

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
            # Behind a head that has not gone: one write carries both.
            gathers = size <= _SMALL and size <= window and self._atTurnsEnd is not None
            if gathers and engine.addData(lane, buffers, size):
                return size
            self._flush()
        if size <= window:
            self._write([engine.frameData(lane, size), *buffers])
            return size
        if window <= 0:
            return 0
        if size < _WORTH * len(buffers):
            # Many small ones: a copy of all costs less than to cut each.
            buffers = (b"".join(buffers),)
        left = iter(buffers)
        view = memoryview(next(left))
        iovec: list[Buffer] = []
        sent = 0
        while window > 0 and sent < size:
            step = min(window, size - sent)
            iovec.append(engine.frameData(lane, step))
            sent += step
            while step > len(view):
                if view:
                    iovec.append(view)
                    step -= len(view)
                view = memoryview(next(left))
            iovec.append(view[:step])
            view = view[step:]
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

    def windowOpened(self, lane: Lane | None) -> None:
        # dataReceived pumps when it is done.
        if lane is not None and isinstance(lane.exchange, Outbound) and lane.exchange.bufferedBytes:
            self.wait(lane.exchange)

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
