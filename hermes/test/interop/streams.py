"""
Clients and servers of the tests' own process: streams, datagrams, a little HTTP.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IListeningPort, IPullProducer
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.resource import IResource
from twisted.web.server import Site
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

    def stopProducing(self) -> None:
        pass


class Echo(Stream):
    """
    Sends back what it gets, and ends when its peer does. Keeps nothing.
    """

    def keep(self, data: bytes) -> None:
        self.socket.write(data)

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        self.finish()


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


class Local:
    """
    Makes what belongs to one test, and ends it with that.
    """

    def __init__(self, case: TestCase) -> None:
        self._case = case

    async def server(self, make: Callable[[], Stream] = Stream) -> Server:
        """
        Listen for streams.
        """
        server = Server(make)
        server.port = await self._listen(server)

        def close() -> Deferred[Any] | None:
            open = [stream for stream in server.streams if stream.transport is not None and stream.reason is None]
            for stream in open:
                stream.socket.abortConnection()
            return open[-1].until(lambda: all(stream.reason is not None for stream in open)) if open else None

        self._case.addCleanup(close)
        return server

    async def site(self, resource: IResource) -> int:
        """
        Serve HTTP.

        @return: the port.
        """
        return await self._listen(Site(resource))

    async def _listen(self, factory: Any) -> int:
        port: IListeningPort = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self._case.addCleanup(port.stopListening)
        address: Any = port.getHost()
        return int(address.port)

    async def connect(self, port: int, make: Callable[[], Stream] = Stream) -> Stream:
        """
        Connect.
        """
        stream: Stream = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), make())

        def close() -> Deferred[None] | None:
            if stream.reason is not None:
                return None
            stream.socket.abortConnection()
            return stream.until(lambda: stream.reason is not None)

        self._case.addCleanup(close)
        return stream

    async def tap(self, to: int) -> Tap:
        """
        Record what passes on its way to a port.
        """
        tap = Tap()

        async def follow() -> None:
            while True:
                accepted = await server.next()
                onward = await self.connect(to, lambda: Tapped(tap.back))
                assert isinstance(accepted, Tapped)
                assert isinstance(onward, Tapped)
                accepted.pair(onward)
                onward.pair(accepted)

        server = await self.server(lambda: Tapped(tap.forth))
        tap.port = server.port
        following = Deferred.fromCoroutine(follow())
        following.addErrback(lambda failure: failure.trap(CancelledError, ConnectError))
        self._case.addCleanup(following.cancel)
        return tap

    def datagrams(self, to: int | None = None, make: type[Datagrams] = Datagrams) -> Datagrams:
        """
        Open a UDP socket.

        @param to: the port that it is for; L{None} for a server.
        """
        protocol = make(None if to is None else ("127.0.0.1", to))
        port = reactor.listenUDP(0, protocol, interface="127.0.0.1", maxPacketSize=65536)
        self._case.addCleanup(port.stopListening)
        return protocol


def inOrder(reason: BaseException) -> bool:
    """
    Whether a connection ended as it should.
    """
    return isinstance(reason, ConnectionDone)
