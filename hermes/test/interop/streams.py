"""
Streams of the tests' own process.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPullProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

# Its type depends on the platform.
reactor: Any = theReactor


@implementer(IHalfCloseableProtocol)
class Stream(Protocol):
    """
    One end of a stream, for tests that say step by step what happens.

    @ivar received: what has come and was not read.
    @ivar digest: of all that has come.
    @ivar count: how many bytes have come.
    @ivar readEnded: whether the peer's direction has ended.
    @ivar writeEnded: whether ours has.
    @ivar reason: why the connection ended; L{None} as long as it has not.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.digest = hashlib.sha256()
        self.count = 0
        self.readEnded = False
        self.writeEnded = False
        self.reason: BaseException | None = None
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    @property
    def socket(self) -> Any:
        """
        The transport.
        """
        assert self.transport is not None
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        self.keep(data)
        self.digest.update(data)
        self.count += len(data)
        self._changed()

    def keep(self, data: bytes) -> None:
        """
        Keep what came, to be read.
        """
        self.received += data

    def readConnectionLost(self) -> None:
        self.readEnded = True
        self._closeWhenBothEnded()
        self._changed()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.readEnded = True
        self.reason = reason.value
        self._changed()

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for condition, met in waiting:
            if condition():
                met.callback(None)
            elif self.reason is not None:
                met.errback(AssertionError(f"the connection ended: {self.reason!r}; unread: {bytes(self.received)!r}"))
            else:
                self._waiting.append((condition, met))

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """
        Wait until something is so. Errback where the connection ends before.
        """
        met: Deferred[None] = Deferred()
        self._waiting.append((condition, met))
        self._changed()
        return met

    async def read(self, size: int) -> bytes:
        """
        Read so many bytes.
        """
        await self.until(lambda: len(self.received) >= size)
        return self._take(size)

    async def readThrough(self, delimiter: bytes) -> bytes:
        """
        Read to the end of C{delimiter}.
        """
        await self.until(lambda: delimiter in self.received)
        return self._take(self.received.index(delimiter) + len(delimiter))

    async def readToEnd(self) -> bytes:
        """
        Read until the peer's direction has ended.
        """
        await self.until(lambda: self.readEnded)
        return self._take(len(self.received))

    async def ended(self) -> BaseException:
        """
        Wait until the connection has ended, and tell why.
        """
        await self.until(lambda: self.reason is not None)
        assert self.reason is not None
        return self.reason

    def _take(self, size: int) -> bytes:
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def write(self, data: bytes) -> None:
        """
        Write.
        """
        self.socket.write(data)

    def finish(self) -> None:
        """
        End our direction.
        """
        self.writeEnded = True
        self.socket.loseWriteConnection()
        self._closeWhenBothEnded()

    def _closeWhenBothEnded(self) -> None:
        # Twisted leaves that to the protocol.
        if self.readEnded and self.writeEnded:
            self.socket.loseConnection()


class Counter(Stream):
    """
    Keeps no more than the digest and the count.
    """

    def keep(self, data: bytes) -> None:
        pass


@implementer(IPullProducer)
class Endless:
    """
    Sends for as long as somebody takes it.

    @ivar sent: how many bytes were given to the transport.
    """

    chunk = bytes(range(256)) * 256

    def __init__(self, stream: Stream) -> None:
        self.sent = 0
        self._transport = stream.socket
        self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        self.sent += len(self.chunk)
        self._transport.write(self.chunk)

    def stop(self) -> None:
        """
        Send nothing more.
        """
        self._transport.unregisterProducer()

    def stopProducing(self) -> None:
        pass


class Answering(Stream):
    """
    Ends when its peer does.
    """

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        self.finish()


class Echo(Answering):
    """
    Sends back what it gets. Keeps nothing.
    """

    def keep(self, data: bytes) -> None:
        self.socket.write(data)


class Server(Factory):
    """
    Accepts streams.

    @ivar accepted: the connections that were accepted and that nobody has asked for yet.
    """

    noisy = False

    def __init__(self, make: Callable[[], Stream]) -> None:
        self.accepted: deque[Stream] = deque()
        self._make = make
        self._waiting: deque[Deferred[Stream]] = deque()
        self.streams: list[Stream] = []
        self.port = 0

    def buildProtocol(self, addr: IAddress | None) -> Stream:
        stream = self._make()
        self.streams.append(stream)
        # It has no transport yet.
        reactor.callLater(0, self._made, stream)
        return stream

    def _made(self, stream: Stream) -> None:
        if self._waiting:
            self._waiting.popleft().callback(stream)
        else:
            self.accepted.append(stream)

    def next(self) -> Deferred[Stream]:
        """
        The next connection.
        """
        waiting: Deferred[Stream] = Deferred()
        if self.accepted:
            waiting.callback(self.accepted.popleft())
        else:
            self._waiting.append(waiting)
        return waiting


def inOrder(reason: BaseException) -> bool:
    """
    Whether a connection ended as it should.
    """
    return isinstance(reason, ConnectionDone)
