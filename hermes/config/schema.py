"""
The configuration of a node, as attrs classes. An attribute is a key in the file; its C{@ivar} is that key's
documentation, which C{hermes schema} prints.

The options of a listener are with its type: L{hermes.interfaces.IListenerType}; those of an assisting component with
its own: L{hermes.interfaces.IAssistantType}.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from attrs import field, frozen

from hermes.config.ip import IPConfig
from hermes.config.problems import Misfit
from hermes.config.routes import RouteConfig
from hermes.config.types import ExistingFile, Name, NewFile, Seconds, Secret, SocketAddress, WorkerCount
from hermes.config.upstreams import UpstreamConfig
from hermes.users import SCRYPT_PREFIX, PasswordHash
from hermes.wire.errors import MalformedError
from hermes.wire.fields import parseBearer


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
        if self.token is not None:
            try:
                parseBearer(b"Bearer " + self.token.encode())
            except MalformedError:
                raise Misfit("a token has letters, digits and -._~+/ only", below=("token",)) from None


_URL = re.compile(r"[!-~]+", re.ASCII)

DEFAULT_DRAIN = Seconds(30.0)
ONE_WORKER = WorkerCount(1)
NO_IP = IPConfig()


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
class AssistConfig:
    """
    An assisting component.

    @ivar type: the type, one of the plugins that provide L{hermes.interfaces.IAssistantType}.
    @ivar options: an instance of that type's C{options} class.
    """

    type: str
    options: object


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
    One line for each flow and each HTTP exchange that ended.

    @ivar path: the file; C{-} is standard output.
    @ivar format: C{json}, or the Common or the Combined Log Format of Apache and others.
    @ivar query: whether the query of a request's path is told.
    """

    path: NewFile
    format: Literal["json", "common", "combined"] = "json"
    query: bool = True


@frozen
class TracingConfig:
    """
    Spans of HTTP exchanges, for a collector that speaks OTLP over HTTP.

    @ivar endpoint: the collector's URL: C{http://HOST:4318/v1/traces}, as a rule.
    @ivar sample: the share of the traces that begin here that is recorded, 0 to 1.
    @ivar follow: whether a request that is part of a trace is recorded where its C{traceparent} says that its sender's
        part was; else C{sample} decides for every trace. For listeners that anybody reaches: false.
    @ivar headers: of each request to the collector, by name.
    @ivar trust: the certificates of the authorities that the collector is checked against (PEM); those of the system
        where not given.
    """

    endpoint: str
    sample: float = 1.0
    follow: bool = True
    headers: dict[str, Secret] = field(factory=dict, repr=False)
    trust: ExistingFile | None = None

    def __attrs_post_init__(self) -> None:
        try:
            parts = urlsplit(self.endpoint)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or not _URL.fullmatch(self.endpoint):
            raise Misfit(f"{self.endpoint!r} is not an http: or https: URL", below=("endpoint",))
        if not 0 <= self.sample <= 1:
            raise Misfit(f"{self.sample:g} is not a share: a number from 0 to 1", below=("sample",))
        for name, value in self.headers.items():
            if not (value.isascii() and value.isprintable()):
                raise Misfit("a header's value is printable ASCII on one line", below=("headers", name))


@frozen
class NodeConfig:
    """
    A node.

    @ivar node: its name in the overlay.
    @ivar identity: its certificate, key and trust; needed for C{tunnel} listeners with TLS and C{hermes} upstreams.
    @ivar listeners: what it accepts, by name.
    @ivar upstreams: what it connects to, by name.
    @ivar routes: which flow goes where; the first that takes a flow decides.
    @ivar assist: assisting components that listeners and routes name, by name.
    @ivar users: who may use it, by name.
    @ivar ip: whose IP addresses are whose, for tunnels of IP packets.
    @ivar admin: where metrics and status are.
    @ivar accessLog: where flows and HTTP exchanges are logged.
    @ivar tracing: where spans of HTTP exchanges are sent.
    @ivar workers: how many processes share its listeners.
    @ivar drain: how long flows may go on once the node is told to stop.
    """

    node: Name
    identity: IdentityConfig | None = None
    listeners: dict[str, ListenerConfig] = field(factory=dict)
    upstreams: dict[str, UpstreamConfig] = field(factory=dict)
    routes: tuple[RouteConfig, ...] = ()
    assist: dict[str, AssistConfig] = field(factory=dict)
    users: dict[str, UserConfig] = field(factory=dict)
    ip: IPConfig = NO_IP
    admin: AdminConfig | None = None
    accessLog: AccessLogConfig | None = None
    tracing: TracingConfig | None = None
    workers: WorkerCount = ONE_WORKER
    drain: Seconds = DEFAULT_DRAIN
