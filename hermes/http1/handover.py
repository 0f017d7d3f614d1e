"""
From HTTP to a tunnel: the connection's transport gets a new reader, and nothing of ours stays between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from hermes.interfaces import IBorrowingProtocol, IStreamTransport
from hermes.values import Buffer


@implementer(IHalfCloseableProtocol)
class Successor:
    """
    Stands for a tunnel's protocol where it can't simply become the transport's own: bytes that came behind the head
    are delivered first, the protocol may have been connected before, and the peer may already have ended its direction.
    """

    transport: Any = None

    def __init__(self, protocol: IProtocol, leftover: bytes, ended: bool, connect: bool) -> None:
        """
        @param leftover: what came behind the head.
        @param ended: whether the peer has ended its direction.
        @param connect: whether the protocol is still to be connected.
        """
        self._protocol = protocol
        self._leftover = leftover
        self._ended = ended
        self._connect = connect
        self.dataReceived = protocol.dataReceived
        if IBorrowingProtocol.providedBy(protocol):
            alsoProvides(self, IBorrowingProtocol)

    def makeConnection(self, transport: Any) -> None:
        """
        Connect the protocol, and bring it up to now.
        """
        self.transport = transport
        if self._connect:
            self._protocol.makeConnection(transport)
        leftover, self._leftover = self._leftover, b""
        if leftover:
            deliver(self._protocol, leftover)
        if self._ended:
            self.readConnectionLost()

    def readConnectionLost(self) -> None:
        """
        As a transport tells it: a protocol that knows no half-close is closed.
        """
        halfCloseable = IHalfCloseableProtocol(self._protocol, None)
        if halfCloseable is not None:
            halfCloseable.readConnectionLost()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Pass it on.
        """
        halfCloseable = IHalfCloseableProtocol(self._protocol, None)
        if halfCloseable is not None:
            halfCloseable.writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:
        """
        Pass it on.
        """
        self._protocol.connectionLost(reason)


def dataTaker(reader: Any, lends: bool) -> Callable[[Buffer], None]:
    """
    What takes data for C{reader} in the form that it takes.

    @param lends: the data will be lent, as a L{memoryview}; else it is L{bytes}.
    """
    received: Callable[[Buffer], None] = reader.dataReceived
    borrows = IBorrowingProtocol.providedBy(reader)
    if borrows is lends:
        return received
    form = memoryview if borrows else bytes
    return lambda data: received(form(data))


def deliver(protocol: IProtocol, data: Buffer) -> None:
    """
    Give a protocol data in the form that it takes.
    """
    if IBorrowingProtocol.providedBy(protocol):
        protocol.dataReceived(memoryview(data))  # type: ignore[arg-type]  # what the mark is for
    else:
        protocol.dataReceived(bytes(data))


@implementer(IStreamTransport)
class PlainTransport:
    """
    Makes an L{IStreamTransport} of a transport of Twisted's own, which keeps what is written to it and so can't be lent
    anything.
    """

    bufferedBytes = 0

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._readEnded = False
        self._writeEnded = False
        # A wrapper of Twisted's passes what it doesn't know to the socket below it, and TLS would lose its end.
        self._halfCloses = hasattr(transport, "loseWriteConnection") and not hasattr(transport, "getPeerCertificate")

    def __getattr__(self, name: str) -> Any:
        # Whatever else the transport has: getPeer, setTcpNoDelay, negotiatedProtocol.
        return getattr(self._transport, name)

    def write(self, data: Buffer) -> None:
        """
        Copy and write.
        """
        self._transport.write(bytes(data))

    def writeSequence(self, data: Iterable[Buffer]) -> None:
        """
        Copy and write.
        """
        self._transport.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """
        A transport that can't close one direction closes both; one that has both closed does not notice by itself.
        """
        self._writeEnded = True
        if self._halfCloses and not self._readEnded:
            self._transport.loseWriteConnection()
        else:
            self._transport.loseConnection()

    def readEnded(self) -> None:
        """
        The protocol was told that the peer has ended its direction.
        """
        self._readEnded = True
        if self._writeEnded:
            self._transport.loseConnection()

    def abortConnection(self) -> None:
        """
        A transport that can't abort closes.
        """
        abort = getattr(self._transport, "abortConnection", None) or self._transport.loseConnection
        abort()

    def getPeer(self) -> Any:
        """
        The peer's address.
        """
        return self._transport.getPeer()

    def getHost(self) -> Any:
        """
        Our address.
        """
        return self._transport.getHost()

    def loseConnection(self) -> None:
        """
        Close, after what is buffered.
        """
        self._transport.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Pass it on.
        """
        self._transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        Pass it on.
        """
        self._transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """
        Pass it on.
        """
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Pass it on.
        """
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """
        Pass it on.
        """
        self._transport.stopProducing()
