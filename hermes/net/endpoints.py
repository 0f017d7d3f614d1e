"""
Twisted endpoints on our own sockets and transports.
"""

from __future__ import annotations

from collections.abc import Callable
from socket import AF_INET6, socket
from typing import Any, ClassVar

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, HopUnavailable
from hermes.net.connecting import connectSocket
from hermes.net.failures import flowError
from hermes.net.happyeyeballs import CONNECT_TIMEOUT, connectAny, connectTarget
from hermes.net.listening import ListeningPort
from hermes.net.names import twistedAddress
from hermes.net.sockets import Bound, parsePlace
from hermes.net.tls import TLSTransport
from hermes.net.transport import StreamTransport, addressOf
from hermes.proxied import HEADER_TIME, ProxyHeaderProtocol, ProxyProtocolFactory, twistedPeer
from hermes.values import Target
from hermes.wire.proxyprotocol import ProxyHeader

MAX_HANDSHAKES = 1024
"""
How many TLS handshakes one port has under way; one more ends the oldest. Those who are slow to show who they are cost
no more than this.
"""


@implementer(IStreamServerEndpoint)
class StreamServerEndpoint:
    """
    Listens where a configuration says. Protocols get a L{StreamTransport}, or, once the handshake is done, a
    L{TLSTransport}.
    """

    def __init__(
        self, reactor: Any, bind: str, open: Callable[[], Bound], tls: Any = None, proxyProtocol: bool = False
    ) -> None:
        """
        @param bind: what the configuration says, for the error's text.
        @param open: binds the socket.
        @param tls: L{hermes.net.certificates.ServerCredentials}.
        @param proxyProtocol: whether connections begin with a PROXY protocol header, before TLS.
        """
        self._reactor = reactor
        self._bind = bind
        self._open = open
        self._tls = tls
        self._proxyProtocol = proxyProtocol

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Errback with L{CannotListenError}.
        """
        try:
            bound = self._open()
        except OSError as error:
            return fail(self._cannotListen(error))
        factory: IProtocolFactory = protocolFactory
        serve: PlainServer | TLSServer
        if self._tls is None:
            serve = PlainServer(self._reactor)
            if self._proxyProtocol:
                factory = ProxyProtocolFactory(factory, self._reactor)
        else:
            serve = (ProxiedTLSServer if self._proxyProtocol else TLSServer)(self._reactor, self._tls)
        port = ListeningPort(bound, self._reactor, factory, serve)
        try:
            port.startListening()
        except OSError as error:
            bound.close()
            return fail(self._cannotListen(error))
        return succeed(port)

    def _cannotListen(self, error: OSError) -> CannotListenError:
        place = parsePlace(self._bind)
        # The path is in the error no more than the port is; here both are.
        reason = OSError(error.errno, error.strerror)
        if isinstance(place, str):
            return CannotListenError("unix", place.replace("\0", "@"), reason)
        return CannotListenError(place.host, place.port, reason)


class PlainServer:
    """
    Connects what a port accepts with a protocol.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __call__(self, sock: socket, peer: Any, factory: IProtocolFactory) -> None:
        protocol = factory.buildProtocol(peer)
        if protocol is None:
            sock.close()
        else:
            StreamTransport(sock, self._reactor, _hostFor(sock, peer), peer, tuned=True).attach(protocol)


class TLSServer:
    """
    The same once the peer has shown who it is.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(self, reactor: Any, credentials: Any) -> None:
        self._reactor = reactor
        self._credentials = credentials
        # In the order in which they began.
        self._handshakes: dict[TLSTransport, Deferred[None]] = {}

    def __call__(self, sock: socket, peer: Any, factory: IProtocolFactory, early: bytes = b"") -> None:
        """
        @param early: what was read already.
        """
        if len(self._handshakes) >= MAX_HANDSHAKES:
            next(iter(self._handshakes.values())).cancel()
        transport = TLSTransport(sock, self._reactor, self._credentials, _hostFor(sock, peer), peer, tuned=True)
        handshake = self._handshakes[transport] = transport.handshake(early=early)
        handshake.addBoth(self._ended, transport)
        handshake.addCallbacks(self._attach, self._failed, (transport, factory), errbackArgs=(peer,))
        handshake.addErrback(self._broken, transport)

    def _ended(self, result: Any, transport: TLSTransport) -> Any:
        self._handshakes.pop(transport, None)
        return result

    def _attach(self, result: None, transport: TLSTransport, factory: IProtocolFactory) -> None:
        protocol = factory.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.abortConnection()
        else:
            transport.attach(protocol)

    def _failed(self, failure: Failure, peer: Any) -> None:
        failure.trap(FlowError)
        # Anybody can fail a handshake: it is not the operator's concern.
        self.log.debug("TLS handshake with {peer} failed: {error}", peer=peer, error=str(failure.value))

    def _broken(self, failure: Failure, transport: TLSTransport) -> None:
        self.log.failure("failed to serve a connection", failure)
        transport.abortConnection()


class ProxiedTLSServer(TLSServer):
    """
    The same behind a load balancer, which writes a PROXY protocol header before the client's TLS begins.
    """

    def __call__(self, sock: socket, peer: Any, factory: IProtocolFactory, early: bytes = b"") -> None:
        def received(transport: StreamTransport, header: ProxyHeader, rest: bytes) -> None:
            transport.pauseProducing()
            client = peer if header.source is None else twistedPeer(header.source)
            # The reactor is still in the middle of the event that brought the header.
            self._reactor.callLater(0, self._begin, transport, client, factory, rest)

        reading = ProxyHeaderProtocol(received, self._reactor, HEADER_TIME)
        StreamTransport(sock, self._reactor, _hostFor(sock, peer), peer, tuned=True).attach(reading)

    def _begin(self, transport: StreamTransport, client: Any, factory: IProtocolFactory, early: bytes) -> None:
        if not transport.disconnected:
            super().__call__(transport.release(), client, factory, early)


def _hostFor(sock: socket, peer: Any) -> Any:
    """
    Our address where the socket would write it otherwise than the peer's: IPv4 on a socket of both families. Else
    L{None}: the socket is asked when somebody wants to know.
    """
    if sock.family == AF_INET6 and isinstance(peer, IPv4Address):
        return twistedAddress(sock, sock.getsockname(), "TCP")
    return None


@implementer(IStreamClientEndpoint)
class StreamClientEndpoint:
    """
    Connects to a place that the configuration names.
    """

    def __init__(
        self,
        reactor: Any,
        place: Target | str,
        tls: Any = None,
        timeout: float = CONNECT_TIMEOUT,
        mark: int | None = None,
    ) -> None:
        """
        @param place: a target or a Unix socket's path, see L{parsePlace}.
        @param tls: L{hermes.net.certificates.ClientCredentials}.
        @param timeout: for connecting, in seconds; resolving before and the handshake after it have their own.
        @param mark: see L{hermes.net.sockets.setMark}.
        """
        self._reactor = reactor
        self._place = place
        self._tls = tls
        self._timeout = timeout
        self._mark = mark

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Errback with L{FlowError}. Can be cancelled.
        """

        def attach(transport: StreamTransport) -> IProtocol:
            try:
                protocol = protocolFactory.buildProtocol(transport.getPeer())
            except BaseException:
                transport.abortConnection()
                raise
            if protocol is None:
                transport.abortConnection()
                raise HopUnavailable("the connection is not wanted any more")
            transport.attach(protocol)
            return protocol

        opening = openTransport(self._reactor, self._place, True, self._tls, self._timeout, self._mark)
        return opening.addCallback(attach)


def openTransport(
    reactor: Any,
    place: Target | str,
    allowSpecial: bool,
    tls: Any = None,
    timeout: float = CONNECT_TIMEOUT,
    mark: int | None = None,
) -> Deferred[StreamTransport]:
    """
    Connect to a target or a Unix socket's path. Can be cancelled.

    @param allowSpecial: whether special-purpose addresses are connected to.
    @param tls: L{hermes.net.certificates.ClientCredentials}.
    @param timeout: for connecting, in seconds.
    @param mark: see L{hermes.net.sockets.setMark}.
    @return: fires with a transport that waits for a protocol to be attached. Errback with L{FlowError}.
    """

    def connectAddress(address: Any) -> Deferred[socket]:
        return connectSocket(reactor, address, mark)

    def secure(sock: socket) -> StreamTransport | Deferred[StreamTransport]:
        try:
            # The kernel tells only as long as the connection stands, and a handshake takes its time.
            peer = addressOf(sock, sock.getpeername())
        except OSError as error:
            sock.close()
            raise flowError(error, f"unix:{place}" if isinstance(place, str) else str(place)) from error
        if tls is None:
            return StreamTransport(sock, reactor, peer=peer)
        transport = TLSTransport(sock, reactor, tls, peer=peer)
        return transport.handshake().addCallback(lambda _: transport)

    if isinstance(place, str):
        connected = connectAny(reactor, [place], connectAddress, f"unix:{place}", timeout)
    else:
        connected = connectTarget(reactor, place, connectAddress, allowSpecial, timeout)
    return connected.addCallback(secure)
