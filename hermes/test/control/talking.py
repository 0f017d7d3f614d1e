"""
Somebody who says something through a proxy, and hears it again.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure


class Talking(Protocol):
    """
    Asks a proxy for a tunnel, and says something through it.

    @ivar lost: fires when the connection has ended.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.received = b""
        self.heard: Deferred[bytes] = Deferred()
        self.lost: Deferred[None] = Deferred()
        self._wanted = b"\r\n\r\n"

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(f"CONNECT {self.target} HTTP/1.1\r\nHost: {self.target}\r\n\r\n".encode())

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self._wanted in self.received:
            received, self.received = self.received, b""
            heard, self.heard = self.heard, Deferred()
            heard.callback(received)

    def say(self, data: bytes) -> Deferred[bytes]:
        """
        Say something, and hear it again.
        """
        assert self.transport is not None
        self._wanted = data
        self.transport.write(data)
        return self.heard

    def hangUp(self) -> Deferred[None]:
        """
        End the connection: see C{lost}.
        """
        assert self.transport is not None
        self.transport.loseConnection()
        return self.lost

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)
        if not self.heard.called:
            self.heard.errback(reason)
            self.heard.addErrback(lambda _: None)
