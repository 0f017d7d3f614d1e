"""
Two HTTP/2 connections joined in memory, and a handler that keeps what it is handed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.http2.connection import ClientConnection, ServerConnection
from hermes.http2.handler import EngineSettings
from hermes.interfaces import IBorrowingProtocol, IExchangeHandler, IServerExchange, IStreamTransport
from hermes.values import Buffer


@implementer(IStreamTransport)
class Wire:
    """
    One end of a connection in memory. What is written is kept until the other end is pumped.
    """

    disconnecting = False

    def __init__(self) -> None:
        self.out: deque[bytes] = deque()
        self.written = 0
        self.producer: IPushProducer | None = None
        self.paused = False
        self.blocked = False
        self.closed = False
        self.aborted = False

    @property
    def bufferedBytes(self) -> int:
        return sum(map(len, self.out)) if self.blocked else 0

    def write(self, data: Buffer) -> None:
        self.writeSequence([data])

    def writeSequence(self, iovec: Iterable[Buffer]) -> None:
        if not self.closed:
            data = b"".join(iovec)
            self.written += len(data)
            self.out.append(data)
            if self.blocked and self.producer is not None:
                self.producer.pauseProducing()

    def block(self) -> None:
        """
        Let the kernel's buffer be full.
        """
        self.blocked = True

    def unblock(self) -> None:
        """
        Let it be empty again.
        """
        self.blocked = False
        assert self.producer is not None
        self.producer.resumeProducing()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        self.producer = producer  # type: ignore[assignment]

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        self.closed = True

    def loseWriteConnection(self) -> None:
        self.closed = True

    def abortConnection(self) -> None:
        self.closed = self.aborted = True

    def getPeer(self) -> IAddress:
        return IPv4Address("TCP", "192.0.2.1", 1111)

    def getHost(self) -> IAddress:
        return IPv4Address("TCP", "192.0.2.2", 2222)

    def take(self) -> bytes:
        """
        What was written since.
        """
        data = b"".join(self.out)
        self.out.clear()
        return data


@implementer(IExchangeHandler)
class Keeper:
    """
    Keeps the exchanges.
    """

    def __init__(self) -> None:
        self.exchanges: list[IServerExchange] = []

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        self.exchanges.append(exchange)


@implementer(IProtocol, IHalfCloseableProtocol, IBorrowingProtocol)
class Reader:
    """
    Keeps what it reads.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.pieces = 0
        self.readLost = 0
        self.writeLost = 0
        self.lost: Failure | None = None
        self.transport: object = None

    def makeConnection(self, transport: object) -> None:
        self.transport = transport

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: Buffer) -> None:
        self.data += data
        self.pieces += 1

    def readConnectionLost(self) -> None:
        self.readLost += 1

    def writeConnectionLost(self) -> None:
        self.writeLost += 1

    def connectionLost(self, reason: Failure) -> None:
        assert self.lost is None, "told twice"
        self.lost = reason


class Pair:
    """
    A client and a server, joined.

    @ivar clock: the time of both.
    """

    def __init__(
        self,
        serverSettings: EngineSettings | None = None,
        clientSettings: EngineSettings | None = None,
        pump: bool = True,
    ) -> None:
        self.clock = Clock()
        self.handler = Keeper()
        self.server = ServerConnection(self.handler, self.clock, serverSettings)
        self.client = ClientConnection(self.clock, clientSettings)
        self.serverWire, self.clientWire = Wire(), Wire()
        self.client.ready.addErrback(lambda _: None)
        self.client.makeConnection(self.clientWire)
        self.server.makeConnection(self.serverWire)
        if pump:
            self.pump()

    def pump(self, step: int = 1 << 20) -> None:
        """
        Carry bytes both ways, C{step} at a time, until there are none.
        """
        moved = True
        while moved:
            moved = False
            for wire, peer in ((self.clientWire, self.server), (self.serverWire, self.client)):
                if wire.blocked:
                    continue
                data = wire.take()
                for offset in range(0, len(data), step):
                    moved = True
                    # The buffer is overwritten afterwards, as a transport's is.
                    borrowed = bytearray(data[offset : offset + step])
                    view = memoryview(borrowed)
                    peer.dataReceived(view)
                    borrowed[:] = b"\xee" * len(borrowed)
        for wire, peer in ((self.clientWire, self.server), (self.serverWire, self.client)):
            if wire.closed and not wire.out:
                peer.connectionLost(Failure(ConnectionDone()))
