"""
What the listeners for streams have in common: bind, accept without reading, keep account of what is open, end it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, ITransport
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import ListenError
from hermes.interfaces import IBorrowingProtocol, IListener, IListenerContext, IServerCredentials
from hermes.portlistener import PortListener
from hermes.proxied import handOver, sourceOf
from hermes.values import Address


@implementer(IProtocol)
class Accepted:
    """
    A connection that was accepted and whose protocol is not known yet: nothing is read from it.

    @ivar transport: an L{hermes.interfaces.IAttachable} whose protocol can be replaced.
    """

    def __init__(self, listener: StreamListener) -> None:
        self._listener = listener
        self._early = b""
        self._ended: Callable[[Failure], None] | None = None
        self._successor: IProtocol | None = None
        self.transport: Any = None
        self.lost: Failure | None = None

    @property
    def source(self) -> Address | None:
        """
        The client's address, PROXY protocol applied; L{None} where it has none.
        """
        return sourceOf(self.transport)

    def makeConnection(self, transport: ITransport) -> None:
        self.transport = transport
        self.transport.pauseProducing()
        self._listener.connectionAccepted(self)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        # What came along with a PROXY protocol header; a flow that is opened at once is there before it.
        if self._successor is None:
            self._early += data
        else:
            deliver(self._successor, data)

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(reason)

    def notifyLost(self, callback: Callable[[Failure], None]) -> None:
        """
        Call C{callback} if the connection is lost before a protocol is attached.
        """
        self._ended = callback

    def attach(self, protocol: IProtocol) -> None:
        """
        Make C{protocol} the reader. Where the connection is lost already, it is told so.
        """
        self._ended = None
        if self.lost is not None:
            protocol.connectionLost(self.lost)
            return
        self._successor = protocol
        early, self._early = self._early, b""
        handOver(self.transport, protocol, early)


def deliver(protocol: IProtocol, data: bytes) -> None:
    """
    Give C{protocol} bytes in the way that it takes them.
    """
    protocol.dataReceived(memoryview(data) if IBorrowingProtocol.providedBy(protocol) else data)  # type: ignore[arg-type]


class AcceptingFactory(Factory):
    """
    Gives a listener its connections.
    """

    noisy = False

    def __init__(self, listener: StreamListener) -> None:
        self._listener = listener

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return Accepted(self._listener)


@implementer(IListener)
class StreamListener(PortListener):
    """
    A listener for streams. A subclass says in L{accept} what becomes of a connection.

    @ivar context: what it stands on.
    @ivar accepted: how many connections were accepted.
    """

    log = Logger()

    def __init__(
        self, name: str, bind: str, context: IListenerContext, tls: bool = False, proxyProtocol: bool = False
    ) -> None:
        """
        @param tls: whether connections begin with TLS, with the node's certificate.
        @param proxyProtocol: whether they begin, before TLS, with a PROXY protocol header.
        """
        PortListener.__init__(self, name, bind, context.network)
        self.context = context
        self.accepted = 0
        self._tls = tls
        self._proxyProtocol = proxyProtocol
        # Transports forget their protocols when they end, and nothing else keeps them.
        self._transports: WeakSet[Any] = WeakSet()

    def accept(self, accepted: Accepted) -> None:
        """
        A connection was accepted: give it a protocol, now or later, with L{Accepted.attach}, or abort its transport.
        """
        raise NotImplementedError("a subclass says what becomes of a connection")

    @property
    def connections(self) -> list[Any]:
        """
        The transports of the connections that are open.
        """
        return [transport for transport in self._transports if not getattr(transport, "disconnected", False)]

    def start(self) -> Deferred[None]:
        try:
            credentials = self._requireCredentials() if self._tls else None
        except ListenError as error:
            return fail(error)
        return self.listen(self.factory(), credentials, self._proxyProtocol)

    def _requireCredentials(self) -> IServerCredentials:
        credentials = self.credentials()
        if credentials is None:
            raise ListenError(f"can't listen on {self.bind} with TLS: the node has no identity")
        return credentials

    def reserve(self, leaving: Sequence[IListener] = ()) -> Callable[[], None]:
        """
        See L{IListener}.
        """
        if self._tls:
            self._requireCredentials()
        return super().reserve(leaving)

    def credentials(self) -> IServerCredentials | None:
        """
        For TLS: the node's certificate, or L{None} where it has none.
        """
        credentials: IServerCredentials | None = self.context.credentials
        return credentials

    def factory(self) -> IProtocolFactory:
        """
        What makes the first protocol of each connection.
        """
        return AcceptingFactory(self)

    def connectionAccepted(self, accepted: Accepted) -> None:
        """
        A transport is up.
        """
        self.accepted += 1
        self._transports.add(accepted.transport)
        self.accept(accepted)

    def drain(self) -> None:
        """
        A byte stream can't be asked to finish: it ends when its ends do.
        """

    def abort(self) -> None:
        for transport in self.connections:
            transport.abortConnection()
