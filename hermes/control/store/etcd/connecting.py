"""
Connections to the members of an etcd.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
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
        Where the URL of a member leads.
        """
        host = uri.host.decode("ascii")
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            self._reactor, host.strip("[]"), uri.port, timeout=self._timeout
        )
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host.strip(b"[]"), uri.port), endpoint)
        return _Remembering(endpoint, self._open)

    def abort(self) -> None:
        """
        Cut those that are open, whatever the peer says.
        """
        for transport in self._open:
            transport.abortConnection()
        self._open.clear()


@implementer(IStreamClientEndpoint)
class _Remembering:
    """
    An endpoint whose connections can be found again.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, made: list[Any]) -> None:
        self._endpoint = endpoint
        self._made = made

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        # Not a line in the log for each connection.
        protocolFactory.noisy = False  # type: ignore[attr-defined]
        return self._endpoint.connect(protocolFactory).addCallback(self._connected)

    def _connected(self, protocol: Any) -> IProtocol:
        transport = protocol.transport
        # A member that is gone without a word is found so, where nothing is sent.
        transport.setTcpKeepAlive(1)
        self._made[:] = [each for each in self._made if each.connected]
        self._made.append(transport)
        made: IProtocol = protocol
        return made
