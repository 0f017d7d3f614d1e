"""
Upstreams in the configuration of a node: see L{hermes.config.schema}.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import field, frozen
from attrs.validators import gt

from hermes.config.direct import DirectUpstream
from hermes.config.problems import Misfit
from hermes.config.types import ExistingFile, Name, Seconds, Secret, SocketAddress
from hermes.wire.template import IP_TEMPLATE, TARGET, PathTemplate

__all__ = ["UPSTREAM_TYPES", "Balance", "DirectUpstream", "HermesUpstream", "MasqueUpstream", "UpstreamConfig"]

Balance: TypeAlias = Literal["round-robin", "least-request", "random"]

KEEPALIVE: Final = Seconds(30.0)
"""
Seconds.
"""


@frozen
class HermesUpstream:
    """
    Another Hermes node: mutual TLS, HTTP/2.

    @ivar endpoints: one or more C{HOST:PORT} or C{unix:PATH} of its C{tunnel} listener.
    @ivar node: the name that its certificate must hold; left out, the upstream's own name.
    @ivar balance: which endpoint a new connection gets.
    @ivar keepalive: after how long a connection on which nothing comes is asked whether it is still there (PING, RFC
        9113 section 6.7); after as long without an answer it has ended, and all that it carries.
    """

    endpoints: tuple[SocketAddress, ...]
    node: Name | None = None
    balance: Balance = "round-robin"
    keepalive: Seconds = field(default=KEEPALIVE, validator=gt(Seconds(0.0)))


@frozen
class MasqueUpstream:
    """
    Any other proxy that speaks CONNECT, CONNECT-UDP (RFC 9298), CONNECT-IP (RFC 9484), or some of them.

    @ivar endpoints: one or more C{HOST:PORT} or C{unix:PATH}.
    @ivar balance: which endpoint a new connection gets.
    @ivar keepalive: over HTTP/2, after how long a connection on which nothing comes is asked whether it is still there
        (PING, RFC 9113 section 6.7); after as long without an answer it has ended, and all that it carries.
    @ivar tls: whether it is reached over TLS.
    @ivar serverName: the DNS name that its certificate must hold; left out, the endpoint's host.
    @ivar trust: the authorities that it is checked against (PEM); left out, those of the system.
    @ivar clientCertificate: whether this node's certificate is offered to it.
    @ivar version: the version of HTTP: C{auto} asks by ALPN; without TLS, C{auto} is C{1.1}.
    @ivar template: its URI template for UDP (RFC 9298 section 2), a path with C{target_host} and C{target_port}.
    @ivar connectTcp: a URI template for TCP (templated connect-tcp); left out, TCP goes by plain CONNECT.
    @ivar connectIp: its URI template for IP packets (RFC 9484 section 3), a path that may have C{target} and
        C{ipproto}.
    @ivar user: for Basic authentication, with C{password}.
    @ivar password: for Basic authentication.
    @ivar token: for Bearer authentication.
    """

    endpoints: tuple[SocketAddress, ...]
    balance: Balance = "round-robin"
    keepalive: Seconds = field(default=KEEPALIVE, validator=gt(Seconds(0.0)))
    tls: bool = True
    serverName: str | None = None
    trust: ExistingFile | None = None
    clientCertificate: bool = False
    version: Literal["auto", "1.1", "2"] = "auto"
    template: str = "/.well-known/masque/udp/{target_host}/{target_port}/"
    connectTcp: str | None = None
    connectIp: str = IP_TEMPLATE
    user: str | None = None
    password: Secret | None = field(default=None, repr=False)
    token: Secret | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if (self.user is None) != (self.password is None):
            raise Misfit("'user' and 'password' go together")
        if self.user is not None and self.token is not None:
            raise Misfit("give 'user' and 'password', or a 'token', not both")
        if not self.tls:
            for key in ("serverName", "trust"):
                if getattr(self, key) is not None:
                    raise Misfit("means nothing without TLS", below=(key,))
            if self.clientCertificate:
                raise Misfit("means nothing without TLS", below=("clientCertificate",))
        elif self.serverName is None and any(endpoint.startswith("unix:") for endpoint in self.endpoints):
            raise Misfit("TLS on a Unix socket needs a 'serverName'", below=("endpoints",))
        for key, required in (("template", TARGET), ("connectTcp", TARGET), ("connectIp", ())):
            template = getattr(self, key)
            if template is not None:
                try:
                    PathTemplate(template, required)
                except ValueError as error:
                    raise Misfit(str(error), below=(key,)) from None


UpstreamConfig: TypeAlias = DirectUpstream | HermesUpstream | MasqueUpstream

UPSTREAM_TYPES: dict[str, type[DirectUpstream] | type[HermesUpstream] | type[MasqueUpstream]] = {
    "direct": DirectUpstream,
    "hermes": HermesUpstream,
    "masque": MasqueUpstream,
}
