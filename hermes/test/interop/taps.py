"""
A wire that can be looked at.
"""

from __future__ import annotations

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from hermes.test.interop.streams import Stream


class Tapped(Stream):
    """
    One side of a L{Tap}: passes on what it gets.
    """

    def __init__(self, record: bytearray) -> None:
        super().__init__()
        self.other: Tapped | None = None
        self._record = record

    def keep(self, data: bytes) -> None:
        self._record += data
        if self.other is None:
            self.received += data
        else:
            self.other.write(data)

    def pair(self, other: Tapped) -> None:
        """
        Pass on to another.
        """
        self.other = other
        other.write(self._take(len(self.received)))
        if self.reason is not None:
            other.socket.abortConnection()
        elif self.readEnded:
            other.finish()

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        if self.other is not None:
            self.other.finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        if self.other is not None and self.other.reason is None:
            self.other.socket.abortConnection()


class Tap:
    """
    A wire in the middle: connections to its port go on to another port, and what passes is kept.

    @ivar forth: what clients sent.
    @ivar back: what the server sent.
    """

    def __init__(self) -> None:
        self.forth = bytearray()
        self.back = bytearray()
        self.port = 0

    def __contains__(self, data: bytes) -> bool:
        """
        Whether these bytes have passed, in either direction.
        """
        return data in self.forth or data in self.back
