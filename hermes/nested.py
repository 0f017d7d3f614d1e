"""
TLS inside a tunnel: an endpoint around another's connections.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from hermes.errors import HopUnavailable
from hermes.net.certificates import ClientCredentials
from hermes.net.memorytls import NestedTLS


class _Carried(Factory):
    """
    Gives the outer connection its protocol.
    """

    noisy = False

    def __init__(self, tls: NestedTLS) -> None:
        self._tls = tls

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._tls


@implementer(IStreamClientEndpoint)
@frozen(eq=False)
class NestedTLSEndpoint:
    """
    Connects with another endpoint, and speaks TLS over that connection.
    """

    endpoint: IStreamClientEndpoint
    credentials: ClientCredentials
    reactor: Any

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Errback with L{hermes.errors.FlowError}. Can be cancelled.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        tls = NestedTLS(self.credentials, self.reactor)
        await self.endpoint.connect(_Carried(tls))
        await tls.handshake()
        protocol = protocolFactory.buildProtocol(tls.getPeer())
        if protocol is None:
            tls.abortConnection()
            raise HopUnavailable("the connection is not wanted any more")
        tls.attach(protocol)
        return protocol
