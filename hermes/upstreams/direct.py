"""
From an upstream of type C{direct} in a configuration to its endpoints.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from hermes.config import DirectUpstream, IdentityConfig
from hermes.config.direct import KEYED, HealthConfig
from hermes.fabric.balance import Balancer
from hermes.fabric.endpoints import Group
from hermes.fabric.outliers import OutlierRules, Outliers
from hermes.fabric.places import Place
from hermes.fabric.reach import EndpointTLS, Reach
from hermes.http.breakers import Breakers
from hermes.http.clients import ClientOptions
from hermes.http.health import HealthChecks, HealthRules, Probe
from hermes.http.keys import flowKey, requestKey
from hermes.http.probes import HTTPProbe, TCPProbe
from hermes.http.senders import Senders
from hermes.http.upstream import EndpointsUpstream
from hermes.http1.client import ConnectionLimits
from hermes.http2.pool import PoolLimits
from hermes.interfaces import INetwork
from hermes.nested import NestedTLSEndpoint
from hermes.net.certificates import ClientCredentials
from hermes.upstreams.upstream import Upstream
from hermes.values import Target

HTTP1_CONNECTIONS: Final = 1024
"""
Connections of HTTP/1.1 to one endpoint, where nothing is said.
"""

H2 = b"h2"
HTTP1 = b"http/1.1"


@frozen
class DirectMaker:
    """
    Makes the endpoints of an upstream, and what is around them.

    @ivar network: the kernel.
    @ivar clock: the time.
    @ivar identity: the node's, or L{None}.
    """

    network: INetwork
    clock: IReactorTime
    identity: IdentityConfig | None

    def make(self, config: DirectUpstream) -> Upstream:
        """
        @raise HermesError: where a certificate can't be used.
        """
        tls = _TLS(self, config) if config.tls else None
        # A flow's protocol is not ours to negotiate.
        flows = Reach(self.network, None if tls is None else tls.offering(()), config.proxyProtocol)
        offered = {"auto": (H2, HTTP1), "1.1": (HTTP1,), "2": (H2,)}[config.version]
        requests = evolve(flows, tls=None if tls is None else tls.offering(offered))
        upgrades = tls.offering((HTTP1,)) if tls is not None and config.version == "auto" else None
        options = _clientOptions(config)
        group = self._group(config)
        upstream = EndpointsUpstream(
            self.network,
            group,
            flows,
            Senders(requests, upgrades, options, self.clock),
            Breakers(config.limits.requests, config.limits.retries),
            self.clock,
            requestKey(config.hashOn or "source") if config.balance in KEYED else None,
            config.pool.warm,
        )
        health = config.health
        if health is not None:
            probe = self._probe(health, options, upstream, requests if health.type == "http" else flows)
            rules = HealthRules(health.interval, health.timeout, health.healthy, health.unhealthy)
            upstream.health = HealthChecks(group.balancer, probe, self.clock, rules, recovered=upstream.recovered)
        return Upstream(config, self.identity, upstream, () if tls is None else tls.credentials())

    def _group(self, config: DirectUpstream) -> Group:
        places = [Place(each.address, each.weight, each.zone, each.priority) for each in config.servers]
        balancer = Balancer(places, config.balance, self.clock, zone=config.zone, slowStart=config.slowStart)
        outliers = None
        if config.outlier is not None:
            given = config.outlier
            rules = OutlierRules(given.consecutive, given.ejection, given.interval, given.mostEjected)
            outliers = Outliers(balancer, self.clock, rules)
        key = flowKey(config.hashOn or "source") if config.balance in KEYED else None
        return Group(balancer, outliers, key, config.limits.connections)

    def _probe(self, health: HealthConfig, options: ClientOptions, upstream: EndpointsUpstream, reach: Reach) -> Probe:
        def reachNow() -> Reach | None:
            return upstream.reachNow(reach)

        if health.type == "tcp":
            return TCPProbe(reachNow)
        host = None if health.host is None else health.host.encode("ascii")
        return HTTPProbe(reachNow, self.clock, options, health.path.encode("ascii"), host, frozenset(health.status))


class _TLS:
    """
    The credentials for each endpoint, by what is offered in ALPN.
    """

    def __init__(self, maker: DirectMaker, config: DirectUpstream) -> None:
        self._config = config
        self._offered = maker.identity if config.tlsConfig.clientCertificate else None
        self._made: dict[tuple[tuple[bytes, ...], str], ClientCredentials] = {}
        self._clock = maker.clock

    def offering(self, protocols: tuple[bytes, ...]) -> EndpointTLS:
        byAddress = {address: self._of(self._name(address), protocols) for address in self._config.addresses}
        return EndpointTLS(byAddress.__getitem__, self._around)

    def _name(self, address: str) -> str:
        return self._config.tlsConfig.serverName or Target.fromText(address).host

    def _of(self, name: str, protocols: tuple[bytes, ...]) -> ClientCredentials:
        found = self._made.get((protocols, name))
        if found is None:
            found = self._made[protocols, name] = self._make(name, protocols)
        return found

    def _make(self, name: str, protocols: tuple[bytes, ...]) -> ClientCredentials:
        tls = self._config.tlsConfig
        return ClientCredentials(
            certificateFile=None if self._offered is None else self._offered.certificate,
            keyFile=None if self._offered is None else self._offered.key,
            trustFile=tls.trust,
            serverName=name,
            protocols=protocols,
        )

    def _around(self, endpoint: IStreamClientEndpoint, credentials: Any) -> IStreamClientEndpoint:
        return NestedTLSEndpoint(endpoint, credentials, self._clock)

    def credentials(self) -> tuple[ClientCredentials, ...]:
        return tuple(self._made.values())


def _clientOptions(config: DirectUpstream) -> ClientOptions:
    pool, limits = config.pool, config.limits
    return ClientOptions(
        config.version,
        ConnectionLimits(limits.connections or HTTP1_CONNECTIONS, limits.pending, pool.mostIdle, pool.idle, pool.age),
        PoolLimits(limits.connections or PoolLimits().connections, limits.pending, pool.idle, pool.age),
    )
