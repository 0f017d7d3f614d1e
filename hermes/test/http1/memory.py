"""
A stream transport in memory that keeps its promises to the letter: it lends what it delivers and takes it back, copies
what it is lent, and remembers what it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IAttachable, IBorrowingProtocol, IExchangeHandler, IServerExchange
from hermes.values import Identity, ResponseHead


@implementer(IAttachable)
class MemoryTransport:
    """
    One end. Without C{peer}, what is written collects in C{written}.
    """

    def __init__(self, clock: Clock, identity: Identity | None = None) -> None:
        self.clock = clock
        self.protocol: Any = None
        self.written = bytearray()
        self.waiting = bytearray()
        self.peer: MemoryTransport | None = None
        self.paused = False
        self.readClosed = self.writeClosed = self.closing = self.aborted = self.disconnected = False
        self.eofPending = False
        self.producer: Any = None
        self.full = False
        self.attachments = 0
        if identity is not None:
            self.identity = identity

    # Reading.

    def attach(self, protocol: Any) -> None:
        self.attachments += 1
        self.protocol = protocol
        self.paused = False
        protocol.makeConnection(self)

    def receive(self, data: bytes) -> None:
        """
        Bytes come from the network.
        """
        self.waiting += data
        self.flush()

    def receiveEnd(self) -> None:
        """
        The network says that the peer has ended its direction.
        """
        self.eofPending = True
        self.flush()

    def flush(self) -> None:
        """
        Deliver what is wanted.
        """
        while self.waiting and not self.paused and not self.disconnected and not self.closing:
            lent = bytearray(self.waiting)
            self.waiting.clear()
            received = self.protocol.dataReceived
            if IBorrowingProtocol.providedBy(self.protocol):
                received(memoryview(lent))
                # Whoever kept it finds this.
                lent[:] = b"\xee" * len(lent)
            else:
                received(bytes(lent))
        if self.eofPending and not self.waiting and not self.readClosed and not self.disconnected:
            self.readClosed = True
            half = IHalfCloseableProtocol(self.protocol, None)
            if half is None:
                self._lose(Failure(ConnectionDone()))
                return
            half.readConnectionLost()
            if self.writeClosed:
                self._lose(Failure(ConnectionDone()))

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        if self.paused:
            self.paused = False
            self.clock.callLater(0, self.flush)

    def stopProducing(self) -> None:
        self.loseConnection()

    # Writing.

    @property
    def bufferedBytes(self) -> int:
        return len(self.written) if self.full else 0

    def write(self, data: Any) -> None:
        if self.writeClosed or self.disconnected or self.closing or self.aborted:
            return
        self.written += data

    def writeSequence(self, data: Iterable[Any]) -> None:
        for part in data:
            self.write(part)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None, "a producer is registered already"
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def loseWriteConnection(self) -> None:
        if not self.writeClosed:
            self.writeClosed = True
            if self.readClosed:
                self.clock.callLater(0, self._lose, Failure(ConnectionDone()))

    def loseConnection(self) -> None:
        if not self.closing:
            self.closing = self.writeClosed = True
            self.clock.callLater(0, self._lose, Failure(ConnectionDone()))

    def abortConnection(self) -> None:
        self.aborted = self.writeClosed = True
        self.clock.callLater(0, self._lose, Failure(ConnectionAborted()))

    def _lose(self, reason: Failure) -> None:
        if not self.disconnected:
            self.disconnected = self.writeClosed = True
            producer, self.producer = self.producer, None
            if producer is not None:
                producer.stopProducing()
            self.protocol.connectionLost(reason)

    def lose(self, reason: Failure | None = None) -> None:
        """
        The connection is lost.
        """
        self._lose(reason if reason is not None else Failure(ConnectionDone()))

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 4321)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.2", 80)

    def takeWritten(self) -> bytes:
        """
        What was written since the last call.
        """
        data = bytes(self.written)
        self.written.clear()
        return data


def pump(clock: Clock, one: MemoryTransport, other: MemoryTransport) -> None:
    """
    Carry bytes between two ends until nothing moves.
    """
    moved = True
    while moved:
        clock.advance(0)
        moved = False
        for near, far in ((one, other), (other, one)):
            data = near.takeWritten()
            if data and not far.disconnected:
                moved = True
                far.receive(data)
            if near.aborted and not far.disconnected:
                moved = True
                far.lose(Failure(ConnectionAborted()))
            elif (near.writeClosed or near.closing) and not far.eofPending and not far.disconnected:
                moved = True
                far.receiveEnd()


class Reader(Protocol):
    """
    Collects what it reads. It takes L{bytes}.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        self.data += data

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        assert self.lost is None
        self.lost = reason


@implementer(IHalfCloseableProtocol, IBorrowingProtocol)
class HalfReader(Reader):
    """
    Collects what it is lent, and hears of half-closes.
    """

    ended = 0

    def dataReceived(self, data: Any) -> None:
        assert isinstance(data, memoryview)
        self.data += data

    def readConnectionLost(self) -> None:
        self.ended += 1

    def writeConnectionLost(self) -> None:
        pass


@implementer(IExchangeHandler)
class Handler:
    """
    Keeps the exchanges; answers each at once where C{answer} is given.
    """

    def __init__(self, answer: ResponseHead | None = None) -> None:
        self.answer = answer
        self.exchanges: list[Any] = []

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        self.exchanges.append(exchange)
        if self.answer is not None:
            exchange.respond(self.answer, end=True)
