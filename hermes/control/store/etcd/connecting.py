"""
Connections to the members of an etcd.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer


@implementer(IAgentEndpointFactory)
class Connections:
    """
    Makes connections for an L{twisted.web.client.Agent}, and can cut them: what an Agent hands out can only be closed
    with the consent of the peer, and one that hangs gives none.
    """

    def __init__(self, reactor: Any, policy: IPolicyForHTTPS, timeout: float) -> None:
        self._reactor = reactor
        self._policy = policy
        self._timeout = timeout
        self._open: list[Any] = []

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        """
        Where the URL of a member leads. An Agent asks for each request, whether it needs a connection or has one.
        """
        return _Endpoint(self, uri)

    def abort(self) -> None:
        """
        Cut those that are open, whatever the peer says.
        """
        connections, self._open = self._open, []
        for transport in connections:
            transport.abortConnection()

    def endpoint(self, uri: Any) -> IStreamClientEndpoint:
        """
        The endpoint of a URL.

        @raise hermes.control.store.errors.StoreRefused: a file for TLS can't be used.
        """
        host = uri.host.strip(b"[]")
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            self._reactor, host.decode("ascii"), uri.port, timeout=self._timeout
        )
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(self._policy.creatorForNetloc(host, uri.port), endpoint)
        return endpoint

    def connected(self, protocol: Any) -> IProtocol:
        """
        There is one more.
        """
        # The connection itself, under TLS where there is that: it can be cut, and knows when it is no more.
        transport = getattr(protocol.transport, "transport", None) or protocol.transport
        # A member that is gone without a word is found so, where nothing is sent.
        transport.setTcpKeepAlive(1)
        self._open = [each for each in self._open if each.connected]
        self._open.append(transport)
        made: IProtocol = protocol
        return made


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """
    Decides how to connect when it does.
    """

    def __init__(self, connections: Connections, uri: Any) -> None:
        self._connections = connections
        self._uri = uri

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        # Not a line in the log for each connection.
        protocolFactory.noisy = False  # type: ignore[attr-defined]
        connecting: Deferred[IProtocol] = maybeDeferred(
            lambda: self._connections.endpoint(self._uri).connect(protocolFactory)
        )
        return connecting.addCallback(self._connections.connected)
