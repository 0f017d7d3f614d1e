"""
Upstreams of type C{direct} in the configuration of a node: see L{hermes.config.schema}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from hermes.config.problems import Misfit, nearest
from hermes.config.types import ExistingFile, Name, Seconds, SocketAddress

DirectBalance: TypeAlias = Literal["round-robin", "least-request", "random", "ring-hash", "maglev"]

KEYED = ("ring-hash", "maglev")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def between(least: int, most: int) -> Callable[[Any, Any, Any], None]:
    """
    A validator for numbers.
    """

    def check(instance: Any, attribute: Any, value: int | None) -> None:
        if value is not None and not least <= value <= most:
            raise Misfit(f"{value} is not between {least:,} and {most:,}")

    return check


def _longerThanNothing(instance: Any, attribute: Any, value: float | None) -> None:
    if value == 0:
        raise Misfit("a duration of 0 makes no sense here")


@frozen
class EndpointConfig:
    """
    One server.

    @ivar address: C{HOST:PORT} or C{unix:PATH}.
    @ivar weight: its share of the flows, beside those of the others.
    @ivar zone: where it is: those in the upstream's own C{zone} are preferred.
    @ivar priority: 0 is used first; others as far as too few of a better priority are fit.
    """

    address: SocketAddress
    weight: int = field(default=1, validator=between(1, 1000))
    zone: Name | None = None
    priority: int = field(default=0, validator=between(0, 100))


@frozen
class EndpointTLSConfig:
    """
    TLS to the endpoints.

    @ivar serverName: the DNS name that their certificates must hold; left out, the endpoint's host.
    @ivar trust: the authorities that they are checked against (PEM); left out, those of the system.
    @ivar clientCertificate: whether this node's certificate is offered to them.
    """

    serverName: str | None = None
    trust: ExistingFile | None = None
    clientCertificate: bool = False


@frozen
class PoolConfig:
    """
    Connections for HTTP requests, to one endpoint.

    @ivar idle: how long a connection is kept that nobody uses.
    @ivar age: when a connection takes no further request; what it carries goes on. So that connections follow where a
        name leads.
    @ivar warm: how many connections are made in advance.
    @ivar mostIdle: how many connections of HTTP/1.1 are kept for a next request.
    """

    idle: Seconds = field(default=Seconds(30.0), validator=_longerThanNothing)
    age: Seconds = field(default=Seconds(3600.0), validator=_longerThanNothing)
    warm: int = field(default=0, validator=between(0, 1000))
    mostIdle: int = field(default=1024, validator=between(0, 65_536))


@frozen
class HealthConfig:
    """
    Active health checks: an endpoint that fails them gets nothing, as long as another does not.

    @ivar type: C{http} asks for C{path}; C{tcp} connects.
    @ivar path: what is asked for.
    @ivar host: the authority that is asked for; left out, the endpoint's address.
    @ivar status: the statuses that are healthy; left out, 200 to 299.
    @ivar interval: the time between two checks of one endpoint.
    @ivar timeout: how long a check may take.
    @ivar healthy: how many checks in a row must succeed before an endpoint that was not healthy is.
    @ivar unhealthy: how many must fail before one that was healthy is not. The very first check decides at once.
    """

    type: Literal["http", "tcp"] = "http"
    path: str = "/"
    host: str | None = None
    status: tuple[int, ...] = ()
    interval: Seconds = field(default=Seconds(5.0), validator=_longerThanNothing)
    timeout: Seconds = field(default=Seconds(2.0), validator=_longerThanNothing)
    healthy: int = field(default=2, validator=between(1, 100))
    unhealthy: int = field(default=3, validator=between(1, 100))

    def __attrs_post_init__(self) -> None:
        if not re.fullmatch(r"/[!-~]*", self.path, re.ASCII):
            raise Misfit(f"{self.path!r} is not a path: it begins with '/' and has no spaces", below=("path",))
        if self.host is not None and not re.fullmatch(r"[!-~]+", self.host, re.ASCII):
            raise Misfit(f"{self.host!r} is not a host", below=("host",))
        for status in self.status:
            if not 100 <= status <= 599:
                raise Misfit(f"{status} is not a status", below=("status",))
        if self.type == "tcp":
            for key, value in (("path", self.path != "/"), ("host", self.host), ("status", self.status)):
                if value:
                    raise Misfit("goes only with 'type: http'", below=(key,))


@frozen
class OutlierConfig:
    """
    Passive health checks: an endpoint whose answers are bad is left out for a while.

    @ivar consecutive: how many failures in a row: a response of 5xx, a connection that could not be made or broke off,
        no answer by the deadline.
    @ivar ejection: for how long, the first time; the second time twice as long, and so on, up to five minutes.
    @ivar interval: after that much time without another, one ejection is forgiven.
    @ivar mostEjected: how many of the endpoints may be left out at once, in percent.
    """

    consecutive: int = field(default=5, validator=between(1, 10_000))
    ejection: Seconds = field(default=Seconds(30.0), validator=_longerThanNothing)
    interval: Seconds = field(default=Seconds(60.0), validator=_longerThanNothing)
    mostEjected: int = field(default=50, validator=between(0, 100))


@frozen
class LimitsConfig:
    """
    Circuit breakers: what goes beyond is refused at once, with 503.

    @ivar connections: to one endpoint: connections for requests, and beside them as many flows. Left out, 1,024 for
        HTTP/1.1, 64 for HTTP/2, and no bound for flows.
    @ivar pending: how many requests may wait for a connection to one endpoint.
    @ivar requests: how many requests may go on at once.
    @ivar retries: how many of them may be retries.
    """

    connections: int | None = field(default=None, validator=between(1, 1_000_000))
    pending: int = field(default=10_000, validator=between(0, 1_000_000))
    requests: int = field(default=65_536, validator=between(1, 1_000_000))
    retries: int = field(default=1_024, validator=between(0, 1_000_000))


EndpointKind: TypeAlias = SocketAddress | EndpointConfig
TLSKind: TypeAlias = bool | EndpointTLSConfig

AT_ONCE = Seconds(0.0)


@frozen
class DirectUpstream:
    """
    Servers that this node connects to itself.

    @ivar endpoints: one or more servers: C{HOST:PORT}, C{unix:PATH}, or a mapping. Left out, a flow goes to the target
        it asked for, and no other key has a meaning.
    @ivar balance: which endpoint a flow or a request gets: C{round-robin}, C{least-request} (the less busy of two drawn
        at random), C{random}, or the same for the same key: C{ring-hash}, C{maglev}. One that can't be reached is
        passed over.
    @ivar hashOn: the key for C{ring-hash} and C{maglev}: C{source} (the client's address), C{user} (or the node), or of
        requests C{header NAME} or C{cookie NAME}. Whatever has none goes anywhere.
    @ivar zone: where this node is: endpoints of the same C{zone} are preferred.
    @ivar slowStart: the time in which an endpoint that has come back gets its whole share again. Of keys it gets its
        own at once.
    @ivar version: the version of HTTP for requests: C{auto} asks by ALPN; without TLS, C{auto} is C{1.1}.
    @ivar tls: whether the endpoints are reached over TLS; a mapping says how. Datagrams are not.
    @ivar proxyProtocol: tell the server who the client is: C{v1} or C{v2} (the PROXY protocol). A connection then
        carries the requests of one client.
    @ivar pool: connections for requests.
    @ivar health: active health checks; left out, there are none.
    @ivar outlier: passive health checks; left out, only an endpoint that can't be reached is left out for a while.
    @ivar limits: circuit breakers.
    """

    endpoints: tuple[EndpointKind, ...] = ()
    balance: DirectBalance = "round-robin"
    hashOn: str | None = None
    zone: Name | None = None
    slowStart: Seconds = AT_ONCE
    version: Literal["auto", "1.1", "2"] = "auto"
    tls: TLSKind = False
    proxyProtocol: Literal["v1", "v2"] | None = None
    pool: PoolConfig = field(factory=PoolConfig)
    health: HealthConfig | None = None
    outlier: OutlierConfig | None = None
    limits: LimitsConfig = field(factory=LimitsConfig)

    def __attrs_post_init__(self) -> None:
        if not self.endpoints:
            self._nothingButEndpoints()
        if self.hashOn is not None:
            _checkHashOn(self.hashOn)
            if self.balance not in KEYED:
                raise Misfit(f"goes only with 'balance: {' or '.join(KEYED)}'", below=("hashOn",))
        if self.tls and self.tlsConfig.serverName is None and any(each.startswith("unix:") for each in self.addresses):
            raise Misfit("TLS on a Unix socket needs a 'serverName'", below=("tls",))

    def _nothingButEndpoints(self) -> None:
        for key in ("hashOn", "zone", "slowStart", "tls", "proxyProtocol", "health", "outlier"):
            if getattr(self, key):
                raise Misfit("goes only with 'endpoints'", below=(key,))
        for key, default in (
            ("balance", "round-robin"),
            ("version", "auto"),
            ("pool", PoolConfig()),
            ("limits", LimitsConfig()),
        ):
            if getattr(self, key) != default:
                raise Misfit("goes only with 'endpoints'", below=(key,))

    @property
    def servers(self) -> tuple[EndpointConfig, ...]:
        """
        The endpoints, each in its long form.
        """
        return tuple(each if isinstance(each, EndpointConfig) else EndpointConfig(each) for each in self.endpoints)

    @property
    def addresses(self) -> tuple[str, ...]:
        """
        The endpoints' addresses.
        """
        return tuple(each.address if isinstance(each, EndpointConfig) else each for each in self.endpoints)

    @property
    def tlsConfig(self) -> EndpointTLSConfig:
        """
        How TLS is spoken, where it is.
        """
        return self.tls if isinstance(self.tls, EndpointTLSConfig) else EndpointTLSConfig()


def _checkHashOn(text: str) -> None:
    kind, _, name = text.partition(" ")
    if text in ("source", "user"):
        return
    if kind in ("header", "cookie"):
        if _TOKEN.fullmatch(name):
            return
        raise Misfit(f"{text!r} names no {kind}: write '{kind} NAME'", below=("hashOn",))
    raise Misfit(
        f"{text!r} is no key: write source, user, header NAME or cookie NAME",
        nearest(kind, ("source", "user", "header", "cookie")),
        ("hashOn",),
    )
