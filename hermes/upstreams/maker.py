"""
From an upstream in a configuration to what it is: hops here, endpoints of our own in L{hermes.upstreams.direct}.
"""

from __future__ import annotations

from functools import partial

from attrs import frozen
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from hermes.config import HermesUpstream, IdentityConfig, MasqueUpstream
from hermes.config.upstreams import UpstreamConfig
from hermes.fabric.balance import Balancer
from hermes.fabric.direct import DirectDialer
from hermes.http1.client import HTTP1Client
from hermes.http2.connection import ClientConnection
from hermes.http2.pool import Pool
from hermes.interfaces import INetwork
from hermes.negotiated import NegotiatedClient, PooledClient
from hermes.nested import NestedTLSEndpoint
from hermes.net.certificates import ClientCredentials
from hermes.net.revocation import RevokedCertificates
from hermes.tunnel.client import Credentials, TunnelOptions
from hermes.tunnel.hop import Hop, HopClient, HopParts
from hermes.upstreams.direct import H2, HTTP1, DirectMaker
from hermes.upstreams.upstream import Upstream
from hermes.values import Target
from hermes.wire.template import PathTemplate


@frozen
class UpstreamMaker:
    """
    Makes upstreams.

    @ivar network: the kernel.
    @ivar clock: the time.
    @ivar identity: the node's, or L{None}.
    @ivar revoked: the certificates of nodes that were shut out.
    """

    network: INetwork
    clock: IReactorTime
    identity: IdentityConfig | None
    revoked: RevokedCertificates | None = None

    def make(self, name: str, config: UpstreamConfig) -> Upstream:
        """
        @raise HermesError: where a certificate can't be used.
        """
        if isinstance(config, HermesUpstream):
            return self._hermes(name, config)
        if isinstance(config, MasqueUpstream):
            return self._masque(name, config)
        if config.endpoints:
            return DirectMaker(self.network, self.clock, self.identity).make(config)
        return Upstream(config, self.identity, DirectDialer(self.network, False))

    def _hermes(self, name: str, config: HermesUpstream) -> Upstream:
        assert self.identity is not None  # as the loader has checked
        node = (config.node or name).lower()
        credentials = ClientCredentials(
            self.identity.certificate,
            self.identity.key,
            self.identity.trust,
            expectedNode=node,
            protocols=(H2,),
            revoked=self.revoked,
        )
        parts = HopParts(
            balancer=lambda: Balancer(config.endpoints, config.balance, self.clock),
            connect=lambda address: self.network.streamClient(address, credentials),
            secure=lambda endpoint, address: NestedTLSEndpoint(endpoint, credentials, self.clock),
            client=lambda endpoint: self._http2(endpoint, config.keepalive),
            options=lambda address: TunnelOptions(_authority(address, node), sendVia=True),
            takesExchanges=True,
        )
        return Upstream(config, self.identity, Hop(name, parts, self.clock), (credentials,))

    def _masque(self, name: str, config: MasqueUpstream) -> Upstream:
        tls: dict[str, ClientCredentials] = {}
        if config.tls:
            tls = {address: self._masqueTLS(config, address) for address in config.endpoints}
        parts = HopParts(
            balancer=lambda: Balancer(config.endpoints, config.balance, self.clock),
            connect=lambda address: self.network.streamClient(address, tls.get(address)),
            secure=lambda endpoint, address: self._nested(endpoint, tls.get(address)),
            client=lambda endpoint: self._masqueClient(config, endpoint),
            options=lambda address: _masqueOptions(name, config, address),
        )
        return Upstream(config, self.identity, Hop(name, parts, self.clock), tuple(tls.values()))

    def _nested(self, endpoint: IStreamClientEndpoint, credentials: ClientCredentials | None) -> IStreamClientEndpoint:
        return endpoint if credentials is None else NestedTLSEndpoint(endpoint, credentials, self.clock)

    def _masqueTLS(self, config: MasqueUpstream, address: str) -> ClientCredentials:
        offered = self.identity if config.clientCertificate else None
        return ClientCredentials(
            certificateFile=None if offered is None else offered.certificate,
            keyFile=None if offered is None else offered.key,
            trustFile=config.trust,
            serverName=config.serverName or Target.fromText(address).host,
            protocols={"auto": (H2, HTTP1), "1.1": (HTTP1,), "2": (H2,)}[config.version],
        )

    def _masqueClient(self, config: MasqueUpstream, endpoint: IStreamClientEndpoint) -> HopClient:
        http2 = partial(self._http2, keepalive=config.keepalive)
        if config.version == "2":
            return http2(endpoint)
        if config.version == "1.1" or not config.tls:
            return self._http1(endpoint)
        return NegotiatedClient(endpoint, http2, self._http1)

    def _http2(self, endpoint: IStreamClientEndpoint, keepalive: float) -> Pool:
        return Pool(endpoint, self.clock, connectionFactory=partial(ClientConnection, keepalive=keepalive))

    def _http1(self, endpoint: IStreamClientEndpoint) -> PooledClient:
        return HTTP1Client(endpoint, self.clock)


def _authority(address: str, otherwise: str) -> bytes:
    """
    What a request names the proxy: a Unix socket's path is no authority.
    """
    return (otherwise if address.startswith("unix:") else address).encode("ascii", "replace")


def _masqueOptions(name: str, config: MasqueUpstream, address: str) -> TunnelOptions:
    udp = PathTemplate(config.template)
    tcp = PathTemplate(config.connectTcp) if config.connectTcp is not None else None
    authority = _authority(address, config.serverName or name)
    return TunnelOptions(
        authority=udp.authority.encode() or authority,
        scheme=b"https" if config.tls else b"http",
        credentials=Credentials(config.user, config.password, config.token),
        udpTemplate=udp,
        ipTemplate=PathTemplate(config.connectIp, required=()),
        **({} if tcp is None else {"templatedTCP": True, "tcpTemplate": tcp}),  # type: ignore[arg-type]
    )
