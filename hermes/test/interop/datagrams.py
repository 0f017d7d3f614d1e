"""
UDP sockets of the tests' own process.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol


class Datagrams(DatagramProtocol):
    """
    A UDP socket.

    @ivar received: the datagrams that have come and were not read, with their senders.
    """

    def __init__(self, peer: tuple[str, int] | None = None) -> None:
        self.received: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._peer = peer
        self._waiting: deque[Deferred[tuple[bytes, tuple[str, int]]]] = deque()

    @property
    def port(self) -> int:
        """
        Its own port.
        """
        port: int = self.transport.getHost().port  # type: ignore[union-attr]
        return port

    def startProtocol(self) -> None:
        if self._peer is not None:
            self.transport.connect(*self._peer)  # type: ignore[union-attr]

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        if self._waiting:
            self._waiting.popleft().callback((datagram, addr))
        else:
            self.received.append((datagram, addr))

    def write(self, datagram: bytes) -> None:
        """
        Send to the peer.
        """
        # Twisted ignores an empty one.
        self.transport.socket.send(datagram)  # type: ignore[union-attr]

    def next(self) -> Deferred[tuple[bytes, tuple[str, int]]]:
        """
        The next datagram, and who sent it.
        """
        waiting: Deferred[tuple[bytes, tuple[str, int]]] = Deferred()
        if self.received:
            waiting.callback(self.received.popleft())
        else:
            self._waiting.append(waiting)
        return waiting

    async def read(self) -> bytes:
        """
        The next datagram.
        """
        return (await self.next())[0]


class DatagramEcho(Datagrams):
    """
    Sends every datagram back.
    """

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        super().datagramReceived(datagram, addr)
        self.transport.socket.sendto(datagram, addr)  # type: ignore[union-attr]
