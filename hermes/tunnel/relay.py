"""
Two stream transports, joined: for streams that no flow stands behind.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBorrowingProtocol
from hermes.values import Buffer


@implementer(IProtocol, IBorrowingProtocol, IHalfCloseableProtocol, IPushProducer)
class RelayEnd:
    """
    The protocol at one end. It is paused until the other end is up.
    """

    other: RelayEnd

    def __init__(self) -> None:
        self.transport: Any = None
        self.lost: Failure | None = None
        self._readEnded = False
        self._writeEnded = False
        self._early = b""

    def makeConnection(self, transport: ITransport) -> None:
        self.transport = transport
        other = self.other
        if other.transport is not None:
            self.transport.registerProducer(other, True)
            other.transport.registerProducer(self, True)
            other._joined(self.transport)
        elif other.lost is not None:
            self._follow(other.lost)
        else:
            self.transport.pauseProducing()

    def connectionMade(self) -> None:
        pass

    def _joined(self, transport: Any) -> None:
        """
        This end waited, and now the other is up.
        """
        early, self._early = self._early, b""
        transport.write(early)
        if self._readEnded:
            self.other._endWriting()
        self.transport.resumeProducing()

    def dataReceived(self, data: Buffer) -> None:
        if self.other.transport is not None:
            self.other.transport.write(data)
        elif self.other.lost is None:
            # The transport was told to pause; this is what it had in its hands.
            self._early += bytes(data)

    def readConnectionLost(self) -> None:
        self._readEnded = True
        if self.other.transport is not None:
            self.other._endWriting()
        if self._writeEnded and self.transport is not None:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def _endWriting(self) -> None:
        if not self._writeEnded:
            self._writeEnded = True
            self.transport.unregisterProducer()
            if self._readEnded:
                self.transport.loseConnection()
            else:
                self.transport.loseWriteConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = Failure(ConnectionDone()) if reason is None else reason
        self.transport = None
        if self.other.transport is not None:
            self.other._follow(self.lost)

    def _follow(self, reason: Failure) -> None:
        """
        The other end is gone: so is this one.
        """
        if reason.check(ConnectionDone) is None:
            self.transport.abortConnection()
        else:
            if not self._writeEnded:
                self.transport.unregisterProducer()
            self.transport.loseConnection()

    def pauseProducing(self) -> None:
        if self.transport is not None:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        if self.transport is not None:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """
        The other end's transport is gone; its protocol is told why, and ends this one.
        """


def relay() -> tuple[RelayEnd, RelayEnd]:
    """
    Protocols for two stream transports (L{hermes.interfaces.IStreamTransport}), which are joined once both are up.
    """
    one, two = RelayEnd(), RelayEnd()
    one.other, two.other = two, one
    return one, two
