"""
Exchanges with one server, in the version that it speaks.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import NotImplementedHere
from hermes.http1.client import ConnectionLimits, HTTP1Client
from hermes.http2.pool import Pool, PoolLimits
from hermes.interfaces import IClientExchange, IExchangeClient
from hermes.negotiated import NegotiatedClient, PooledClient
from hermes.values import RequestHead

Version: TypeAlias = Literal["auto", "1.1", "2"]


@frozen
class ClientOptions:
    """
    @ivar version: of HTTP; C{auto} is what TLS negotiates, and without TLS HTTP/1.1.
    @ivar http1: bounds of connections of HTTP/1.1.
    @ivar http2: those of HTTP/2.
    """

    version: Version = "auto"
    http1: ConnectionLimits = field(factory=lambda: ConnectionLimits(connections=1024, idle=256))
    http2: PoolLimits = field(factory=PoolLimits)


def makeClient(
    endpoint: IStreamClientEndpoint, clock: IReactorTime, options: ClientOptions, secure: bool
) -> PooledClient:
    """
    @param endpoint: connects to the server; with TLS, where it is C{secure}.
    """

    def http1(endpoint: IStreamClientEndpoint) -> PooledClient:
        return HTTP1Client(endpoint, clock, bounds=options.http1)

    def http2(endpoint: IStreamClientEndpoint) -> PooledClient:
        return Pool(endpoint, clock, limits=options.http2)

    if options.version == "2":
        return http2(endpoint)
    if options.version == "1.1" or not secure:
        return http1(endpoint)
    return NegotiatedClient(endpoint, http2, http1)


@implementer(IExchangeClient)
class Upgrading:
    """
    For what HTTP/2 has only as an extension that not every server knows (extended CONNECT, RFC 8441), and HTTP/1.1 has
    in itself: servers that speak both are asked in HTTP/1.1 then, as browsers do.
    """

    def __init__(self, client: IExchangeClient, http1: IExchangeClient) -> None:
        """
        @param client: asked first.
        @param http1: the same server, in HTTP/1.1.
        """
        self._client = client
        self._http1 = http1

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        def failed(failure: Failure) -> Any:
            failure.trap(NotImplementedHere)
            return self._http1.exchange(head, end)

        opening: Deferred[IClientExchange] = self._client.exchange(head, end)
        return opening.addErrback(failed)
