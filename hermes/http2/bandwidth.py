"""
How large a flow-control window a path needs: its bandwidth-delay product, measured. Sans-IO.
"""

from __future__ import annotations

# A sample that fills two thirds of the window was limited by it.
_FULL = 2 / 3
# How long to wait after a sample that showed the window to be large enough.
_REST = 0.5


class WindowEstimator:
    """
    While data flows in, send a PING; what arrives until its acknowledgement is one sample of the bandwidth-delay
    product. While samples fill the window and the bandwidth grows, the window doubles.

    @ivar window: bytes; how large a stream's window should be now.
    """

    def __init__(self, initial: int, maximum: int) -> None:
        self.window = initial
        self._maximum = maximum
        self._bytes = 0
        self._sentAt: float | None = None
        self._nextAt = 0.0
        self._bandwidth = 0.0
        self.roundTrip: float | None = None

    def received(self, size: int, now: float) -> bool:
        """
        Data arrived. Whether a PING should be sent now.
        """
        self._bytes += size
        if self._sentAt is not None or self.window >= self._maximum or now < self._nextAt:
            return False
        self._sentAt = now
        self._bytes = 0
        return True

    def acknowledged(self, now: float) -> bool:
        """
        The PING came back. Whether L{window} has grown.
        """
        if self._sentAt is None:
            return False
        elapsed = max(now - self._sentAt, 1e-6)
        self._sentAt = None
        self.roundTrip = elapsed
        bandwidth = self._bytes / elapsed
        if self._bytes >= self.window * _FULL and bandwidth > self._bandwidth:
            self._bandwidth = bandwidth
            self.window = min(max(self._bytes, self.window) * 2, self._maximum)
            return True
        self._nextAt = now + _REST
        return False
