from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

from twisted.trial.unittest import SynchronousTestCase

from hermes.config import ConfigError, DirectUpstream, loadNode
from hermes.config.direct import (
    EndpointConfig,
    EndpointTLSConfig,
    HealthConfig,
    LimitsConfig,
    OutlierConfig,
    PoolConfig,
)
from hermes.config.types import Name, Seconds, SocketAddress


class DirectCase(SynchronousTestCase):
    def load(self, upstream: str) -> DirectUpstream:
        path = Path(self.mktemp())
        given = dedent(upstream).strip()
        if given.startswith("{"):
            path.write_text("node: edge\nupstreams:\n  web: {type: direct, " + given[1:])
        else:
            path.write_text("node: edge\nupstreams:\n  web:\n    type: direct\n" + indent(given, "    "))
        loaded = loadNode(str(path)).upstreams["web"]
        assert isinstance(loaded, DirectUpstream)
        return loaded

    def refused(self, upstream: str) -> str:
        with self.assertRaises(ConfigError) as raised:
            self.load(upstream)
        problems = raised.exception.problems
        return "; ".join(f"{each.path}: {each.message}" for each in problems).replace("upstreams.web.", "")


class Keys(DirectCase):
    def test_everyKey(self) -> None:
        self.assertEqual(
            DirectUpstream(
                endpoints=(
                    SocketAddress("a:80"),
                    EndpointConfig(SocketAddress("b:80"), 2, Name("x"), 1),
                ),
                balance="maglev",
                hashOn="header X-User",
                zone=Name("x"),
                slowStart=Seconds(30.0),
                version="2",
                tls=EndpointTLSConfig("www.example"),
                pool=PoolConfig(Seconds(10.0), Seconds(300.0), 2, 16),
                health=HealthConfig("http", "/healthz?full", "www", (200, 204), Seconds(1.0), Seconds(0.5), 1, 2),
                outlier=OutlierConfig(3, Seconds(5.0), Seconds(20.0), 30),
                limits=LimitsConfig(8, 16, 64, 4),
            ),
            self.load(
                """
                endpoints: [a:80, {address: b:80, weight: 2, zone: x, priority: 1}]
                balance: maglev
                hashOn: header X-User
                zone: x
                slowStart: 30s
                version: 2
                tls: {serverName: www.example}
                pool: {idle: 10s, age: 5m, warm: 2, mostIdle: 16}
                health: {path: "/healthz?full", host: www, status: [200, 204], interval: 1s, timeout: 500ms, healthy: 1,
                  unhealthy: 2}
                outlier: {consecutive: 3, ejection: 5s, interval: 20s, mostEjected: 30}
                limits: {connections: 8, pending: 16, requests: 64, retries: 4}
                """
            ),
        )

    def test_anEndpointAsTextIsOneWithoutMore(self) -> None:
        loaded = self.load("endpoints: [a:80, {address: 'unix:@b'}]")
        self.assertEqual(("a:80", "unix:@b"), loaded.addresses)
        self.assertEqual(
            [(1, None, 0), (1, None, 0)], [(each.weight, each.zone, each.priority) for each in loaded.servers]
        )

    def test_tlsIsYesOrNoOrHow(self) -> None:
        self.assertFalse(self.load("endpoints: a:80").tls)
        self.assertEqual(EndpointTLSConfig(), self.load("{endpoints: a:80, tls: true}").tlsConfig)
        self.assertIs(True, self.load("{endpoints: a:80, tls: true}").tls)


class Refusals(DirectCase):
    def test_endpoints(self) -> None:
        self.assertIn(
            "endpoints[1].weight: 0 is not between 1 and 1,000",
            self.refused("endpoints: [a:1, {address: b:1, weight: 0}]"),
        )
        self.assertIn("endpoints[0].address: this key is missing", self.refused("endpoints: [{weight: 1}]"))
        self.assertIn("endpoints[0].adress: unknown key", self.refused("endpoints: [{adress: a:1}]"))
        self.assertIn("'a' names no port", self.refused("endpoints: [a]"))
        self.assertIn("expected text, found the number 7", self.refused("endpoints: [7]"))
        self.assertIn("the list is empty", self.refused("endpoints: []"))
        self.assertIn("expected a list", self.refused("endpoints: {address: a:1}"))

    def test_keysThatMeanNothingWithoutEndpoints(self) -> None:
        for key in (
            "balance: random",
            "tls: true",
            "health: {}",
            "outlier: {}",
            "zone: x",
            "slowStart: 1s",
            "version: 2",
            "pool: {warm: 1}",
            "limits: {requests: 1}",
            "proxyProtocol: v1",
        ):
            self.assertIn(f"{key.partition(':')[0]}: goes only with 'endpoints'", self.refused(key))

    def test_hashOn(self) -> None:
        for text, told in (
            ("head x", "did you mean"),
            ("header", "names no header"),
            ("cookie a b", "names no cookie"),
            ("source ip", "is no key"),
        ):
            with self.assertRaises(ConfigError) as raised:
                self.load(f"{{endpoints: a:1, balance: maglev, hashOn: {text}}}")
            self.assertIn(told, str(raised.exception))
        self.assertIn(
            "hashOn: goes only with 'balance: ring-hash or maglev'", self.refused("{endpoints: a:1, hashOn: user}")
        )

    def test_tls(self) -> None:
        self.assertIn("tls: expected true, false or a mapping", self.refused("{endpoints: a:1, tls: 'yes'}"))
        self.assertIn(
            "tls: TLS on a Unix socket needs a 'serverName'", self.refused("{endpoints: 'unix:@a', tls: true}")
        )
        self.assertIn("tls.trust: there is no file", self.refused("{endpoints: a:1, tls: {trust: nowhere.pem}}"))
        self.load("{endpoints: 'unix:@a', tls: {serverName: a.example}}")

    def test_health(self) -> None:
        for health, told in (
            ("{path: healthz}", "health.path: 'healthz' is not a path"),
            ("{path: '/a b'}", "health.path: '/a b' is not a path"),
            ("{host: 'a b'}", "health.host: 'a b' is not a host"),
            ("{status: [99]}", "health.status: 99 is not a status"),
            ("{status: [ok]}", "health.status[0]: expected a whole number"),
            ("{type: tcp, path: /x}", "health.path: goes only with 'type: http'"),
            ("{type: tcp, status: 200}", "health.status: goes only with 'type: http'"),
            ("{type: udp}", "health.type: expected one of http, tcp"),
            ("{interval: 0}", "health.interval: a duration of 0 makes no sense here"),
            ("{healthy: 0}", "health.healthy: 0 is not between 1 and 100"),
        ):
            self.assertIn(told, self.refused(f"{{endpoints: a:1, health: {health}}}"))

    def test_numbers(self) -> None:
        for key, told in (
            ("pool: {warm: -1}", "pool.warm: -1 is not between 0 and 1,000"),
            ("pool: {age: 0s}", "pool.age: a duration of 0 makes no sense here"),
            ("outlier: {mostEjected: 101}", "outlier.mostEjected: 101 is not between 0 and 100"),
            ("limits: {connections: 0}", "limits.connections: 0 is not between 1 and 1,000,000"),
            ("limits: {conections: 1}", "limits.conections: unknown key"),
        ):
            self.assertIn(told, self.refused(f"{{endpoints: a:1, {key}}}"))
