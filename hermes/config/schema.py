"""
The configuration of a node, as attrs classes. An attribute is a key in the file; its C{@ivar} is that key's
documentation, which C{hermes schema} prints.

The options of a listener are with its type: L{hermes.interfaces.IListenerType}.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import field, frozen

from hermes.config.problems import Misfit
from hermes.config.types import (
    ExistingFile,
    Name,
    Network,
    NewFile,
    Seconds,
    Secret,
    SocketAddress,
    WorkerCount,
)
from hermes.fabric.match import TargetPattern
from hermes.users import SCRYPT_PREFIX, PasswordHash
from hermes.wire.template import PathTemplate

Balance: TypeAlias = Literal["round-robin", "least-request", "random"]


@frozen
class IdentityConfig:
    """
    Who the node is to other nodes: mutual TLS.

    @ivar certificate: the node's certificate (PEM), with those that follow it in its chain. Names the node in a URI
        C{hermes://NAME}.
    @ivar key: its private key (PEM).
    @ivar trust: the certificates of the authorities that other nodes are checked against (PEM).
    """

    certificate: ExistingFile
    key: ExistingFile
    trust: ExistingFile


@frozen
class UserConfig:
    """
    A user of C{proxy} and C{tunnel} listeners. At least one of the two is given.

    @ivar password: for Basic and SOCKS5: plain, or as C{hermes passwd} prints it.
    @ivar token: for Bearer.
    """

    password: Secret | None = field(default=None, repr=False)
    token: Secret | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.password is None and self.token is None:
            raise Misfit("a user needs a 'password', a 'token' or both")
        if self.password is not None and self.password.startswith(SCRYPT_PREFIX):
            try:
                PasswordHash.fromText(self.password)
            except ValueError as error:
                raise Misfit(str(error), below=("password",)) from None


@frozen
class DirectUpstream:
    """
    Servers that this node connects to itself.

    @ivar endpoints: one or more C{HOST:PORT} or C{unix:PATH}. Left out, a flow goes to the target it asked for.
    @ivar balance: which endpoint a flow gets: C{round-robin}, C{least-request} or C{random}. One that can't be
        reached is passed over.
    @ivar proxyProtocol: tell the server who the client is: C{v1} or C{v2} (the PROXY protocol).
    """

    endpoints: tuple[SocketAddress, ...] = ()
    balance: Balance = "round-robin"
    proxyProtocol: Literal["v1", "v2"] | None = None

    def __attrs_post_init__(self) -> None:
        if self.proxyProtocol is not None and not self.endpoints:
            raise Misfit("goes only with 'endpoints'", below=("proxyProtocol",))


@frozen
class HermesUpstream:
    """
    Another Hermes node: mutual TLS, HTTP/2.

    @ivar endpoints: one or more C{HOST:PORT} or C{unix:PATH} of its C{tunnel} listener.
    @ivar node: the name that its certificate must hold; left out, the upstream's own name.
    @ivar balance: which endpoint a new connection gets.
    """

    endpoints: tuple[SocketAddress, ...]
    node: Name | None = None
    balance: Balance = "round-robin"


@frozen
class MasqueUpstream:
    """
    Any other proxy that speaks CONNECT, CONNECT-UDP (RFC 9298) or both.

    @ivar endpoints: one or more C{HOST:PORT} or C{unix:PATH}.
    @ivar balance: which endpoint a new connection gets.
    @ivar tls: whether it is reached over TLS.
    @ivar serverName: the DNS name that its certificate must hold; left out, the endpoint's host.
    @ivar trust: the authorities that it is checked against (PEM); left out, those of the system.
    @ivar clientCertificate: whether this node's certificate is offered to it.
    @ivar version: the version of HTTP: C{auto} asks by ALPN; without TLS, C{auto} is C{1.1}.
    @ivar template: its URI template for UDP (RFC 9298 section 2), a path with C{target_host} and C{target_port}.
    @ivar connectTcp: a URI template for TCP (templated connect-tcp); left out, TCP goes by plain CONNECT.
    @ivar user: for Basic authentication, with C{password}.
    @ivar password: for Basic authentication.
    @ivar token: for Bearer authentication.
    """

    endpoints: tuple[SocketAddress, ...]
    balance: Balance = "round-robin"
    tls: bool = True
    serverName: str | None = None
    trust: ExistingFile | None = None
    clientCertificate: bool = False
    version: Literal["auto", "1.1", "2"] = "auto"
    template: str = "/.well-known/masque/udp/{target_host}/{target_port}/"
    connectTcp: str | None = None
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
        for key in ("template", "connectTcp"):
            template = getattr(self, key)
            if template is not None:
                try:
                    PathTemplate(template)
                except ValueError as error:
                    raise Misfit(str(error), below=(key,)) from None


UpstreamConfig: TypeAlias = DirectUpstream | HermesUpstream | MasqueUpstream

DEFAULT_DRAIN = Seconds(30.0)
ONE_WORKER = WorkerCount(1)

UPSTREAM_TYPES: dict[str, type[DirectUpstream] | type[HermesUpstream] | type[MasqueUpstream]] = {
    "direct": DirectUpstream,
    "hermes": HermesUpstream,
    "masque": MasqueUpstream,
}


@frozen
class ListenerConfig:
    """
    A listener.

    @ivar type: the type, one of the plugins that provide L{hermes.interfaces.IListenerType}.
    @ivar options: an instance of that type's C{options} class.
    """

    type: str
    options: object


@frozen
class MatchConfig:
    """
    Which flows a route takes: all keys that are given must hold. Each takes one value, or a list of which one must
    hold.

    @ivar any: C{true}: every flow.
    @ivar target: where the flow wants to go: C{HOST}, C{HOST:PORT}, C{*.SUFFIX}, a CIDR prefix, C{:PORT}.
    @ivar user: who sent it, by a credential.
    @ivar node: the proxy that sent it, by its certificate.
    @ivar listener: the listener of this node that accepted it.
    @ivar protocol: C{tcp}, C{udp}, C{http}, or C{listen}: a listening port for somebody else, which must be named.
    @ivar source: the client's address, a CIDR prefix.
    """

    any: bool = False
    target: tuple[TargetPattern, ...] = ()
    user: tuple[str, ...] = ()
    node: tuple[Name, ...] = ()
    listener: tuple[str, ...] = ()
    protocol: tuple[Literal["tcp", "udp", "http", "listen"], ...] = ()
    source: tuple[Network, ...] = ()

    def __attrs_post_init__(self) -> None:
        others = self.target or self.user or self.node or self.listener or self.protocol or self.source
        if self.any and others:
            raise Misfit("'any: true' takes every flow: it goes with no other key", below=("any",))
        if not self.any and not others:
            raise Misfit("matches nothing: say 'any: true' for every flow")


@frozen
class RouteConfig:
    """
    What is done with the flows that it takes. The first route that takes a flow decides; where none does, it is denied.

    @ivar match: which flows.
    @ivar to: the upstream where they end; left out, the target that they asked for.
    @ivar via: the proxies between, in order. The first is an upstream of this node. The others are names that the one
        before each knows; with C{nested}, upstreams of this node too.
    @ivar nested: open each tunnel inside the one before, so that a proxy in the middle learns neither target nor bytes.
    @ivar deny: refuse them, for this reason.
    @ivar allowSpecial: allow targets that are loopback, private or otherwise special-purpose addresses. A route whose
        C{to} or whose C{match.target} names them allows them too.
    @ivar name: what it is called in logs and metrics; left out, its place in the list, from 0.
    """

    match: MatchConfig
    to: str | None = None
    via: tuple[str, ...] = ()
    nested: bool = False
    deny: str | None = None
    allowSpecial: bool = False
    name: Name | None = None

    def __attrs_post_init__(self) -> None:
        if self.deny is not None and (self.to is not None or self.via or self.allowSpecial):
            raise Misfit("goes with no other action: the flow is refused", below=("deny",))
        if self.nested and not self.via:
            raise Misfit("goes only with 'via'", below=("nested",))
        if "listen" in self.match.protocol and (self.to is not None or self.via or self.allowSpecial):
            raise Misfit("a port to listen on goes nowhere: no other action than 'deny'", below=("match", "protocol"))


@frozen
class AdminConfig:
    """
    The admin listener: metrics, status. It has no authentication: keep it on a loopback address or a Unix socket.

    @ivar bind: C{HOST:PORT} or C{unix:PATH}.
    """

    bind: SocketAddress


@frozen
class AccessLogConfig:
    """
    One line for each flow that ended.

    @ivar path: the file; C{-} is standard output.
    """

    path: NewFile


@frozen
class NodeConfig:
    """
    A node.

    @ivar node: its name in the overlay.
    @ivar identity: its certificate, key and trust; needed for C{tunnel} listeners with TLS and C{hermes} upstreams.
    @ivar listeners: what it accepts, by name.
    @ivar upstreams: what it connects to, by name.
    @ivar routes: which flow goes where; the first that takes a flow decides.
    @ivar users: who may use it, by name.
    @ivar admin: where metrics and status are.
    @ivar accessLog: where flows are logged.
    @ivar workers: how many processes share its listeners.
    @ivar drain: how long flows may go on once the node is told to stop.
    """

    node: Name
    identity: IdentityConfig | None = None
    listeners: dict[str, ListenerConfig] = field(factory=dict)
    upstreams: dict[str, UpstreamConfig] = field(factory=dict)
    routes: tuple[RouteConfig, ...] = ()
    users: dict[str, UserConfig] = field(factory=dict)
    admin: AdminConfig | None = None
    accessLog: AccessLogConfig | None = None
    workers: WorkerCount = ONE_WORKER
    drain: Seconds = DEFAULT_DRAIN
