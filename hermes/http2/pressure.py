"""
What waits for stalled readers on one connection, and what is done so that it stays bounded and hurts nobody else.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hermes.http2.engine import Engine

PRESSED = 32 << 20
"""
Bytes that may wait on one connection before the windows of all its streams are lowered.
"""

TIGHT = 32 << 10
"""
What each stream may send then before it is consumed, bytes: SETTINGS_INITIAL_WINDOW_SIZE, which moves the windows of
open streams too (RFC 9113 section 6.9.2).
"""

MAX_HELD = 128 << 20
"""
Bytes that may wait on one connection in any case. Beyond it the connection's own window is not renewed, and all its
streams stop: the last resort.
"""

_PATIENCE = 10.0


class Pressure:
    """
    Readers that stall are their own streams' business, as long as what waits for them is little. Beyond L{PRESSED}, the
    peer is told to send less on every stream: those that are read go on, with smaller windows, and those that are not
    take no more memory. Until the peer has acknowledged that, the connection's window is not renewed either.

    @ivar held: bytes that wait.
    @ivar tightened: by how much the windows of streams are lower than they would be, bytes.
    """

    def __init__(
        self,
        engine: Engine,
        streamWindow: int,
        clock: IReactorTime,
        creditAll: Callable[[], None],
        flush: Callable[[], None],
    ) -> None:
        """
        @param streamWindow: what a stream may send without pressure.
        @param creditAll: gives every stream the credit for what it has consumed.
        @param flush: sends what the engine has written.
        """
        self.held = 0
        self.tightened = 0
        self._engine = engine
        self._streamWindow = streamWindow
        self._clock = clock
        self._creditAll = creditAll
        self._flush = flush
        # Our first SETTINGS wait for their acknowledgement; windows can't be moved before.
        self._unacknowledged = 1
        self._timer: IDelayedCall | None = None

    def add(self, size: int) -> None:
        """
        C{size} more bytes wait; negative, fewer.
        """
        self.held += size
        data = self._engine.data
        if self.held > PRESSED and not self.tightened and not self._unacknowledged and self._streamWindow > TIGHT:
            self._tighten()
        if self.held > MAX_HELD:
            data.hold = True
        elif data.hold and not self._unacknowledged and self.held < MAX_HELD // 2:
            data.release()
            self._flush()

    def _tighten(self) -> None:
        self.tightened = self._streamWindow - TIGHT
        self._engine.data.hold = True
        self._change(TIGHT)
        # What was consumed and not credited would be more than a tight window: nobody would send again.
        self._creditAll()
        self._timer = self._clock.callLater(_PATIENCE, self._relax)

    def _relax(self) -> None:
        if self.held > PRESSED // 4 or self._unacknowledged:
            self._timer = self._clock.callLater(_PATIENCE, self._relax)
            return
        self._timer = None
        self.tightened = 0
        self._change(self._streamWindow)

    def _change(self, window: int) -> None:
        self._unacknowledged += 1
        self._engine.changeWindow(window)
        self._flush()

    def acknowledged(self) -> None:
        """
        The peer holds to our last SETTINGS.
        """
        self._unacknowledged = max(0, self._unacknowledged - 1)
        # A first tightening may have waited for this.
        self.add(0)
        if self._engine.data.hold and not self._unacknowledged and self.held <= MAX_HELD:
            self._engine.data.release()
            self._flush()

    def stop(self) -> None:
        """
        The connection is gone.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._unacknowledged = 1
