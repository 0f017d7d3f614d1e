from __future__ import annotations

from typing import Any

from attrs import evolve

from hermes.config.direct import (
    EndpointConfig,
    EndpointTLSConfig,
    HealthConfig,
    LimitsConfig,
    OutlierConfig,
    PoolConfig,
)
from hermes.config.types import Name, Seconds, SocketAddress
from hermes.errors import HopUntrusted, Overloaded
from hermes.http2.handler import EngineSettings
from hermes.net.certificates import CredentialsError
from hermes.test.http.upstreams import FLOW, aRequest
from hermes.test.net.networkcase import Reader
from hermes.test.upstreams.serving import ServingCase
from hermes.values import Flow, RequestHead, Target

WEBSOCKET = RequestHead(b"CONNECT", b"https", b"web.example", b"/chat", b"websocket")


class Straight:
    """
    A dialer that goes straight.
    """

    def __init__(self, network: Any) -> None:
        self.network = network
        self.flows: list[Flow] = []

    def connectStream(self, flow: Flow, protocol: Any) -> Any:
        self.flows.append(flow)
        return self.network.connectStream(flow.target, protocol, True)


class Versions(ServingCase):
    def test_inTheClearItIsHTTP11(self) -> None:
        address, answers = self.serve()
        upstream = self.upstream(SocketAddress(address))
        for _ in range(2):
            self.assertEqual(200, self.ask(upstream).head.status)
        self.assertEqual(["1.1", "1.1"], answers.versions)
        self.assertEqual(1, upstream.dialer.status()["endpoints"][0]["connections"])

    def test_orHTTP2WhereThatIsKnown(self) -> None:
        address, answers = self.serve()
        self.ask(self.upstream(SocketAddress(address), version="2"))
        self.assertEqual(["2"], answers.versions)

    def test_overTLSTheServerChooses(self) -> None:
        trust, credentials = self.authority("localhost", "127.0.0.1")
        address, answers = self.serve(credentials=credentials)
        for version, expected in (("auto", "2"), ("1.1", "1.1"), ("2", "2")):
            upstream = self.upstream(
                SocketAddress(address),
                tls=EndpointTLSConfig(trust=trust),
                version=version,
            )
            self.ask(upstream)
            self.assertEqual(expected, answers.versions[-1])

    def test_aWebSocketGoesOverHTTP11WhereTheServersHTTP2TakesNone(self) -> None:
        trust, credentials = self.authority("localhost", "127.0.0.1")
        for extended, expected in ((True, "2"), (False, "1.1")):
            address, answers = self.serve(credentials=credentials, settings=EngineSettings(extendedConnect=extended))
            upstream = self.upstream(SocketAddress(address), tls=EndpointTLSConfig(trust=trust))
            self.ask(upstream)
            self.ask(upstream, WEBSOCKET)
            self.assertEqual(["2", expected], answers.versions)


class TLS(ServingCase):
    def test_whoIsNotWhomHeShouldBeIsNotTrusted(self) -> None:
        trust, credentials = self.authority("other.example")
        address, _ = self.serve(credentials=credentials)
        upstream = self.upstream(SocketAddress(address), tls=EndpointTLSConfig(trust=trust))
        sent = upstream.dialer.sender().send(aRequest())
        self.reactor.turn()
        self.failureResultOf(sent, HopUntrusted)
        named = EndpointTLSConfig(serverName="other.example", trust=trust)
        self.ask(self.upstream(SocketAddress(address), tls=named))

    def test_flowsAreOverTLSTooAndNegotiateNothing(self) -> None:
        trust, credentials = self.authority("127.0.0.1")
        address = self.listen(tls=credentials)
        upstream = self.upstream(SocketAddress(address), tls=EndpointTLSConfig(trust=trust))
        reader = Reader()
        connecting = upstream.dialer.connectStream(FLOW, reader)
        self.reactor.turn()
        self.successResultOf(connecting)
        self.clients.built.append(reader)
        self.assertIsNone(reader.transport.negotiatedProtocol)
        self.exchange()

    def test_filesThatCanNotBeUsedAreTold(self) -> None:
        path: Any = self.mktemp()
        with open(path, "w") as file:
            file.write("nothing")
        with self.assertRaises(CredentialsError):
            self.upstream(SocketAddress("a:1"), tls=EndpointTLSConfig(trust=path))

    def test_endpointsOfOneNameShareWhatTheyTrust(self) -> None:
        named = EndpointTLSConfig(serverName="web.example")
        upstream = self.upstream(*(SocketAddress(f"10.0.0.{number}:1") for number in range(9)), tls=named)
        self.assertEqual(3, len(upstream.credentials))
        upstream.checkFiles()
        upstream.readFiles()


class ProxyProtocol(ServingCase):
    def test_theHeaderComesBeforeTLS(self) -> None:
        trust, credentials = self.authority("127.0.0.1")
        address, answers = self.serve(credentials=credentials, proxyProtocol=True)
        upstream = self.upstream(
            SocketAddress(address),
            tls=EndpointTLSConfig(trust=trust),
            proxyProtocol="v2",
        )
        for port in (4000, 4001):
            self.ask(upstream, flow=evolve(FLOW, source=("192.0.2.1", port)))
        self.assertEqual([("192.0.2.1", 4000), ("192.0.2.1", 4001)], [exchange.source for exchange in answers.asked])
        self.assertEqual(["2", "2"], answers.versions)


class Through(ServingCase):
    def test_requestsAndTLSGoThroughTheStreamsOfAHop(self) -> None:
        trust, credentials = self.authority("127.0.0.1")
        address, answers = self.serve(credentials=credentials)
        upstream = self.upstream(SocketAddress(address), tls=EndpointTLSConfig(trust=trust))
        carrier = Straight(self.network)
        self.sender = upstream.dialer.sender(carrier)
        for _ in range(2):
            self.ask(upstream, carrier=carrier)
        self.assertEqual((["2", "2"], [address]), (answers.versions, [str(flow.target) for flow in carrier.flows]))


class Names(ServingCase):
    """
    An endpoint whose name leads elsewhere after a while.
    """

    def setUp(self) -> None:
        super().setUp()
        address, self.before = self.serve("127.0.0.1:0")
        self.portNumber = Target.fromText(address).port
        _, self.after = self.serve(f"127.0.0.2:{self.portNumber}")
        self.names = self.reactor.nameResolver.names
        self.names["web.example"] = ("127.0.0.1",)
        self.name = SocketAddress(f"web.example:{self.portNumber}")

    def test_connectionsFollowANameWithinTheirAgeAndNoRequestIsLost(self) -> None:
        for version in ("1.1", "2"):
            self.before.asked.clear()
            self.after.asked.clear()
            self.names["web.example"] = ("127.0.0.1",)
            upstream = self.upstream(self.name, version=version, pool=PoolConfig(age=Seconds(60.0), idle=Seconds(30.0)))
            for second in range(120):
                if second == 20:
                    self.names["web.example"] = ("127.0.0.2",)
                self.assertEqual(200, self.ask(upstream).head.status)
                self.reactor.advance(1)
                self.reactor.turn()
            self.assertEqual(120, len(self.before.asked) + len(self.after.asked))
            # From the end of the first connection's age on, all is where the name leads.
            self.assertLessEqual(60, len(self.before.asked))
            self.assertGreater(62, len(self.before.asked))

    def test_anAddressThatIsGoneIsFoundOutAtOnceByWhoConnectsAnew(self) -> None:
        self.names["web.example"] = ("127.0.0.3", "127.0.0.2")
        upstream = self.upstream(self.name)
        self.assertEqual(200, self.ask(upstream).head.status)
        self.assertEqual((0, 1), (len(self.before.asked), len(self.after.asked)))

    def test_whileANameDoesNotResolveWhatIsConnectedServes(self) -> None:
        upstream = self.upstream(self.name)
        self.ask(upstream)
        self.names["web.example"] = ()
        for _ in range(5):
            self.assertEqual(200, self.ask(upstream).head.status)
        self.assertEqual(1, len(self.reactor.nameResolver.asked))


class Keys(ServingCase):
    """
    What the other keys come to.
    """

    def picked(self, upstream: Any, count: int = 60) -> set[str]:
        return {upstream.dialer.group.balancer.pick(b"%d" % number).address for number in range(count)}

    def test_zonesPrioritiesAndWeights(self) -> None:
        upstream = self.upstream(
            EndpointConfig(SocketAddress("a:1"), zone=Name("here")),
            EndpointConfig(SocketAddress("b:1"), zone=Name("there")),
            EndpointConfig(SocketAddress("c:1"), priority=1, weight=7),
            zone=Name("here"),
        )
        a, b, c = upstream.dialer.group.balancer.endpoints
        for endpoint, expected in ((a, "a:1"), (b, "b:1"), (c, "c:1")):
            self.assertEqual({expected}, self.picked(upstream))
            upstream.dialer.group.balancer.checked(endpoint, False)
        self.assertEqual(7, c.weight)

    def test_hashing(self) -> None:
        endpoints = [SocketAddress(f"10.0.0.{number}:1") for number in range(9)]
        for keys in ({"balance": "maglev"}, {"balance": "ring-hash", "hashOn": "source"}):
            upstream = self.upstream(*endpoints, **keys)
            found = set()
            for port in range(5):
                request = aRequest(flow=evolve(FLOW, source=("192.0.2.1", port)))
                upstream.dialer.sender().send(request).addErrback(lambda _: None)
                found.add(request.record.endpoint)
            self.assertEqual(1, len(found))
            assert upstream.dialer.group.flowKey is not None
            self.assertEqual(b"192.0.2.1", upstream.dialer.group.flowKey(FLOW))

    def test_healthOutliersAndSlowStart(self) -> None:
        address, answers = self.serve()
        other, others = self.serve()
        upstream = self.upstream(
            SocketAddress(address),
            SocketAddress(other),
            health=HealthConfig(path="/healthz", status=(200,), interval=Seconds(10.0)),
            outlier=OutlierConfig(consecutive=1),
            slowStart=Seconds(30.0),
        )
        answers.status = 503
        upstream.start(True)
        self.reactor.turn()
        self.assertEqual(b"/healthz", answers.asked[0].request.path)
        self.assertEqual({other}, self.picked(upstream))
        answers.status = 200
        for _ in range(3):
            self.reactor.advance(11)
            self.reactor.turn()
        self.assertEqual({address, other}, self.picked(upstream))
        first = upstream.dialer.group.balancer.endpoints[0]
        self.assertGreater(first.since, 0)
        others.status = 500
        for _ in range(40):
            self.ask(upstream)
        self.assertTrue(upstream.dialer.status()["endpoints"][1]["ejected"])

    def test_healthOfWhatSpeaksNoHTTP(self) -> None:
        address = self.listen()
        upstream = self.upstream(SocketAddress(address), SocketAddress("127.0.0.1:1"), health=HealthConfig(type="tcp"))
        upstream.start(True)
        self.reactor.turn()
        self.assertEqual([True, False], [each["healthy"] for each in upstream.dialer.status()["endpoints"]])
        self.assertIn("refused", upstream.dialer.status()["endpoints"][1]["error"])

    def test_limits(self) -> None:
        address, _ = self.serve()
        upstream = self.upstream(
            SocketAddress(address), limits=LimitsConfig(connections=1, pending=0, requests=3, retries=1)
        )
        sender = upstream.dialer.sender()
        sent = [sender.send(aRequest()) for _ in range(2)]
        self.failureResultOf(sent[1], Overloaded)
        self.reactor.turn()
        self.successResultOf(sent[0])
        self.assertIsNotNone(upstream.dialer.permit())
        self.assertIsNone(upstream.dialer.permit())
        self.assertEqual(3, upstream.dialer.breakers.maxRequests)
        self.assertEqual(1, upstream.dialer.group.connections)

    def test_pools(self) -> None:
        address, _ = self.serve()
        upstream = self.upstream(SocketAddress(address), pool=PoolConfig(warm=3, idle=Seconds(5.0)))
        upstream.start(True)
        self.reactor.turn()
        self.assertEqual(3, upstream.dialer.status()["endpoints"][0]["connections"])
        self.reactor.advance(5)
        self.reactor.turn()
        self.assertEqual(0, upstream.dialer.status()["endpoints"][0]["connections"])

    def test_flowsGoOnToTheNext(self) -> None:
        address = self.listen()
        upstream = self.upstream(SocketAddress("127.0.0.1:1"), SocketAddress(address))
        for _ in range(3):
            reader = Reader()
            connecting = upstream.dialer.connectStream(FLOW, reader)
            self.reactor.turn()
            self.successResultOf(connecting)
            self.clients.built.append(reader)
        self.assertEqual(3, len(self.servers.built))
