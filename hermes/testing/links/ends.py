"""
The ends of a connection through an impaired link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress, IConnector, IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from hermes.testing.links.stream import ImpairedStreamLink


@implementer(IHalfCloseableProtocol, IPushProducer)
class LinkEnd(Protocol):
    """
    One end of a connection through the link; what it reads is for the other.

    @ivar other: the other end; L{None} before it is dialed.
    @ivar early: what has arrived here before there was a connection.
    @ivar onTheWay: bytes that were read here and have not arrived at the other end.
    @ivar earliest: when the next of them may arrive.
    @ivar budget: bytes after which the connection is cut; L{None} for none.
    @ivar full: the other end does not take what is read here.
    @ivar held: the link does not.
    @ivar ended: all was read.
    @ivar finished: all was written.
    """

    transport: Any

    def __init__(self, link: ImpairedStreamLink, direction: int) -> None:
        """
        @param direction: 0 for what a client sends, 1 for what the target sends.
        """
        self.link = link
        self.direction = direction
        self.other: LinkEnd | None = None
        self.early: list[bytes] = []
        self.onTheWay = 0
        self.earliest = 0.0
        self.budget: int | None = None
        self.isConnected = False
        self.gone = False
        self.full = False
        self.held = False
        self.ended = False
        self.finished = False

    def connectionMade(self) -> None:
        self.isConnected = True
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        early, self.early = self.early, []
        for data in early:
            self.take(data)

    def dataReceived(self, data: bytes) -> None:
        self.link.carry(self, data)

    def readConnectionLost(self) -> None:
        self.ended = True
        self.link.carry(self, b"")

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.gone = True
        self.link.ended(self)

    # What is written here comes from the other end: where it is not taken, that end is not read.

    def pauseProducing(self) -> None:
        if self.other is not None:
            self.other.full = True
            self.other.adjust()

    def resumeProducing(self) -> None:
        if self.other is not None:
            self.other.full = False
            self.other.adjust()

    def stopProducing(self) -> None:
        pass

    def adjust(self) -> None:
        """
        Read, or do not.
        """
        if self.isConnected and not self.gone and not self.ended:
            if self.full or self.held:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()

    def take(self, data: bytes) -> None:
        """
        What the other end has sent arrives; nothing is its end.
        """
        if self.gone:
            return
        if not self.isConnected:
            self.early.append(data)
        elif data:
            self.transport.write(data)
        else:
            self.finished = True
            # With a producer that it has paused, Twisted would resume that in place of sending FIN.
            self.transport.unregisterProducer()
            self.transport.loseWriteConnection()
            other = self.other
            if other is not None and other.finished:
                self.transport.loseConnection()
                if not other.gone:
                    other.transport.loseConnection()

    def reset(self) -> None:
        """
        End it as an error.
        """
        if self.isConnected and not self.gone:
            self.transport.abortConnection()


class Connecting(ClientFactory):
    noisy = False

    def __init__(self, near: LinkEnd, far: LinkEnd) -> None:
        self._near = near
        self._far = far

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        return None if self._near.gone else self._far

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._near.reset()


class Accepting(Factory):
    noisy = False

    def __init__(self, link: ImpairedStreamLink) -> None:
        self._link = link

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        return AcceptedEnd(self._link)


class AcceptedEnd(LinkEnd):
    """
    A client's end.
    """

    def __init__(self, link: ImpairedStreamLink) -> None:
        super().__init__(link, 0)

    def connectionMade(self) -> None:
        super().connectionMade()
        self.link.accepted(self)
