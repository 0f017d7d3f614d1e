"""
The C{tunnel} listener: other proxies, and any MASQUE client.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.choosing import ServerChooser
from hermes.errors import ListenError
from hermes.http1.server import HTTP1ServerProtocol
from hermes.http2.connection import ServerConnection
from hermes.interfaces import IExchangeHandler, IListener, IListenerContext, IListenerType
from hermes.portlistener import PortListener
from hermes.tunnel.reverse import RemoteListening
from hermes.tunnel.server import TunnelHandler


@frozen
class TunnelListenerOptions:
    """
    @ivar bind: C{HOST:PORT}, C{[V6]:PORT} or C{unix:PATH}.
    @ivar tls: whether connections begin with TLS, in which a client shows its certificate. Without, it is cleartext
        HTTP/2 by prior knowledge, and HTTP/1.1.
    @ivar anonymous: whether somebody is taken who has neither a certificate nor a user's credential.
    @ivar proxyProtocol: whether connections begin, before TLS, with a PROXY protocol header.
    @ivar assist: the assisting components that each HTTP request passes before it is routed, in order.
    """

    bind: str
    tls: bool = True
    anonymous: bool = False
    proxyProtocol: bool = False
    assist: tuple[str, ...] = ()


class ConnectionFactory(Factory):
    """
    Makes the protocol of each connection, HTTP/2 or HTTP/1.1, all with one handler.
    """

    noisy = False

    def __init__(self, handler: IExchangeHandler, clock: Any) -> None:
        self._handler = handler
        self._clock = clock
        # A transport forgets its protocol when it ends, and nothing else keeps it.
        self._connections: WeakSet[Any] = WeakSet()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return ServerChooser(self._http2, self._http1, self._clock)

    def _http2(self) -> Any:
        return self._keep(ServerConnection(self._handler, self._clock))

    def _http1(self) -> Any:
        return self._keep(HTTP1ServerProtocol(self._handler, self._clock))

    def _keep(self, connection: Any) -> Any:
        self._connections.add(connection)
        return connection

    def transports(self) -> list[Any]:
        """
        Those of the connections that are open.
        """
        found = [connection.transport for connection in self._connections]
        return [each for each in found if each is not None and not getattr(each, "disconnected", False)]

    def drain(self) -> None:
        """
        Ask what is open to finish: GOAWAY, or C{Connection: close}.
        """
        for connection in list(self._connections):
            connection.drain()

    def abort(self) -> None:
        """
        End what is open. A connection that became a tunnel is its flow's to end.
        """
        for connection in list(self._connections):
            connection.abort()


@implementer(IListener)
class TunnelListener(PortListener):
    """
    See L{hermes.interfaces.IListener}.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        options: TunnelListenerOptions,
        context: IListenerContext,
        forward: IExchangeHandler | None = None,
    ) -> None:
        """
        @param forward: takes the requests that are no tunnel.
        @raise ListenError: where it is to have TLS and the node has no identity.
        """
        if options.tls and context.credentials is None:
            raise ListenError(f"listener {name}: the node needs an 'identity' for TLS (or say 'tls: false')")
        PortListener.__init__(self, name, options.bind, context.network)
        self._options = options
        self._context = context
        handler = TunnelHandler(
            context.flows,
            context.authenticator,
            context.reactor,
            context.nodeName,
            name,
            anonymous=options.anonymous,
            forward=forward,
            admission=context.requests.admission(name, options.assist),
        )
        self._listening = RemoteListening(context.network, context.reactor, context.flows.authorise, handler.answers)
        handler.listening = self._listening
        self.handler = handler
        self.factory = ConnectionFactory(handler, context.reactor)

    def start(self) -> Deferred[None]:
        options, context = self._options, self._context
        return self.listen(self.factory, context.credentials if options.tls else None, options.proxyProtocol)

    def drain(self) -> None:
        self._listening.close()
        self.factory.drain()

    def abort(self) -> None:
        self._listening.close()
        self.factory.abort()

    @property
    def connections(self) -> list[Any]:
        """
        The transports of the connections that are open.
        """
        return self.factory.transports()


@implementer(IPlugin, IListenerType)
class TunnelListenerType:
    """
    C{type: tunnel}.
    """

    type = "tunnel"
    options = TunnelListenerOptions

    def listener(self, name: str, options: Any, context: IListenerContext) -> IListener:
        requests = context.requests.listener(name, options.assist, options.anonymous)
        return TunnelListener(name, options, context, requests)
