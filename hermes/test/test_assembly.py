"""
Tests for L{hermes.assembly}: nodes of real parts, in this process.
"""

from __future__ import annotations

import json
import os
from textwrap import dedent
from typing import Any

from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, readBody

from hermes.assembly import Assembly, CurrentCredentials, RealGeneration
from hermes.config import NodeConfig, loadNodeText
from hermes.errors import HermesError
from hermes.interfaces import IHop
from hermes.net.authority import OverlayAuthority
from hermes.net.network import Network
from hermes.net.revocation import RevokedCertificates
from hermes.node import Node, NodeError
from hermes.test.test_plugins import Collected, Echo

reactor: Any = installedReactor


class GenerationTests(SynchronousTestCase):
    """
    The parts of one configuration.
    """

    def setUp(self) -> None:
        self.directory: str = os.path.abspath(self.mktemp())
        self.authority = OverlayAuthority.create(self.directory)
        self.authority.issue("edge")
        self.authority.issue("other")
        self.clock = Clock()
        self.assembly = Assembly(self.clock, Network(self.clock), {})

    def config(self, text: str, certificate: str = "edge") -> NodeConfig:
        """
        A configuration with an identity.
        """
        identity = f"{{certificate: {certificate}.pem, key: {certificate}.key, trust: overlay-ca.pem}}"
        return loadNodeText(f"node: edge\nidentity: {identity}\n" + dedent(text), "edge.yaml", self.directory, {})

    def make(self, config: NodeConfig, before: RealGeneration | None = None) -> RealGeneration:
        """
        Its parts.
        """
        generation = self.assembly.generation(config, before)
        assert isinstance(generation, RealGeneration)
        return generation

    def test_aCertificateOfAnotherNodeIsRefused(self) -> None:
        error = self.assertRaises(NodeError, self.make, self.config("", "other"))
        self.assertEqual(
            str(error),
            f"{self.directory}/other.pem: the certificate names other, not edge (URI hermes://edge)",
        )

    def test_aCertificateThatIsNoneIsRefused(self) -> None:
        with open(os.path.join(self.directory, "other.pem"), "w", encoding="ascii") as file:
            file.write("nothing")
        self.assertRaises(HermesError, self.make, self.config("", "other"))

    def test_upstreamsThatDidNotChangeAreKept(self) -> None:
        text = """\
            upstreams:
              relay: {type: hermes, endpoints: "127.0.0.1:1"}
              exit: {type: hermes, endpoints: "127.0.0.1:2"}
            """
        before = self.make(self.config(text))
        after = self.make(self.config(text.replace(":2", ":3")), before)
        self.assertIs(after.upstreams["relay"], before.upstreams["relay"])
        self.assertIsNot(after.upstreams["exit"], before.upstreams["exit"])

    def test_aNewCertificateIsReadAndTheConnectionsOfUpstreamsStay(self) -> None:
        config = self.config('upstreams: {relay: {type: hermes, endpoints: "127.0.0.1:1"}}')
        before = self.make(config)
        self.assembly.commit(before)
        credentials: Any = self.assembly.credentials()
        first = credentials.context()
        toUpstream = before.made["relay"].credentials[0]
        second = toUpstream.context()
        self.authority.issue("edge")
        after = self.make(config, before)
        self.assembly.commit(after)
        self.assertIs(self.assembly.credentials(), credentials)
        self.assertIsNot(credentials.context(), first)
        self.assertIsNot(toUpstream.context(), second)
        self.assertIs(after.upstreams["relay"], before.upstreams["relay"])

    def test_aCertificateThatWentBadChangesNothing(self) -> None:
        config = self.config('upstreams: {relay: {type: hermes, endpoints: "127.0.0.1:1"}}')
        before = self.make(config)
        self.assembly.commit(before)
        credentials: Any = self.assembly.credentials()
        first = credentials.context()
        with open(os.path.join(self.directory, "edge.pem"), "w", encoding="ascii") as file:
            file.write("cut off")
        self.assertRaises(HermesError, self.make, config, before)
        self.assertIs(credentials.context(), first)

    def test_aCertificateThatIsRenewedIsUsedAndNothingElseChanges(self) -> None:
        before = self.make(self.config('upstreams: {relay: {type: hermes, endpoints: "127.0.0.1:1"}}'))
        self.assembly.commit(before)
        credentials = self.assembly.credentials()
        assert isinstance(credentials, CurrentCredentials)
        context = credentials.context()
        self.authority.issue("edge")
        before.readFiles()
        self.assertIsNot(credentials.context(), context)

    def test_aConfigurationThatWasPreparedBeforeHasTheRenewedCertificate(self) -> None:
        first = self.make(self.config(""))
        self.assembly.commit(first)
        prepared = self.make(self.config("drain: 3s"), first)
        assert prepared.credentials is not None
        context = prepared.credentials.context()
        self.authority.issue("edge")
        prepared.checkFiles()
        self.assembly.commit(prepared)
        self.assertIsNot(prepared.credentials.context(), context)

    def test_whoIsShutOutIsRefusedByListenersAndByHops(self) -> None:
        revoked = RevokedCertificates()
        self.assembly = Assembly(self.clock, Network(self.clock), {}, revoked=revoked)
        made = self.make(self.config('upstreams: {relay: {type: hermes, endpoints: "127.0.0.1:1"}}'))
        self.assembly.commit(made)
        credentials = self.assembly.credentials()
        assert isinstance(credentials, CurrentCredentials)
        self.assertIs(credentials.revoked, revoked)
        self.assertEqual([each.revoked for each in made.made["relay"].credentials], [revoked])

    def test_usersThatDidNotChangeAreKept(self) -> None:
        before = self.make(self.config("users: {alice: {password: a}}"))
        self.assertIs(self.make(self.config("users: {alice: {password: a}}"), before).users, before.users)
        after = self.make(self.config("users: {alice: {password: b}}"), before)
        self.assertTrue(after.users.authenticatePassword("alice", "b"))

    def test_everyKindOfUpstreamIsMade(self) -> None:
        made = self.make(
            self.config(
                """\
                upstreams:
                  relay: {type: hermes, endpoints: ["127.0.0.1:1", "unix:@relay"], node: other}
                  envoy:
                    {type: masque, endpoints: "envoy.example:443", version: 2, trust: overlay-ca.pem,
                      clientCertificate: true,
                      template: "https://proxy.example/udp/{target_host}/{target_port}",
                      connectTcp: "/tcp/{target_host}/{target_port}", token: t}
                  plain: {type: masque, endpoints: "127.0.0.1:3128", tls: false, user: u, password: p}
                  db: {type: direct, endpoints: "unix:@db", proxyProtocol: v2}
                  open: {type: direct}
                """
            )
        )
        self.assertEqual(
            [name for name, upstream in made.upstreams.items() if IHop.providedBy(upstream)],
            ["relay", "envoy", "plain"],
        )

    def test_theAccessLogIsOpenedAnewWhereItWasMovedAway(self) -> None:
        config = self.config("accessLog: {path: access.log}")
        before = self.make(config)
        self.assembly.commit(before)
        path = os.path.join(self.directory, "access.log")
        os.rename(path, path + ".1")
        self.assembly.commit(self.make(config, before))
        self.assertTrue(os.path.exists(path))


class OverlayTests(TestCase):
    """
    Nodes that talk to each other.
    """

    timeout = 60

    def setUp(self) -> None:
        self.directory: str = os.path.abspath(self.mktemp())
        self.authority = OverlayAuthority.create(self.directory)

    async def node(self, name: str, text: str) -> Node:
        """
        A node that runs until the test ends.
        """
        self.authority.issue(name)
        identity = f"{{certificate: {name}.pem, key: {name}.key, trust: overlay-ca.pem}}"
        config = loadNodeText(f"node: {name}\nidentity: {identity}\n" + dedent(text), f"{name}.yaml", self.directory)
        node = Node(reactor, config, Assembly(reactor, Network(reactor)))
        await node.start()
        self.addCleanup(node.drain, 5)
        return node

    def port(self, node: Node, listener: str) -> int:
        """
        Where a listener is.
        """
        address: Any = node.addresses()[listener]
        return int(address.port)

    async def echo(self) -> int:
        """
        A server that sends back what it gets.
        """
        port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Echo))
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def through(self, port: int, data: bytes) -> None:
        """
        Send through a listener, and see it come back.
        """
        connection: Collected = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Collected())
        connection.send(data)
        self.assertEqual(await connection.received(len(data)), data)
        connection.transport.loseConnection()  # type: ignore[union-attr]

    async def chain(self, nested: bool) -> tuple[Node, Node, Node]:
        """
        edge, relay and exit; a flow went through all.
        """
        target = await self.echo()
        exit_ = await self.node(
            "exit",
            """\
            listeners: {overlay: {type: tunnel, bind: "127.0.0.1:0"}}
            routes: [{match: {node: [edge, relay]}, allowSpecial: true}]
            """,
        )
        place = f"127.0.0.1:{self.port(exit_, 'overlay')}"
        relay = await self.node(
            "relay",
            f"""\
            listeners: {{overlay: {{type: tunnel, bind: "127.0.0.1:0"}}}}
            upstreams: {{exit: {{type: hermes, endpoints: "{place}"}}}}
            routes: [{{match: {{node: edge}}, allowSpecial: true}}]
            """,
        )
        edge = await self.node(
            "edge",
            f"""\
            listeners: {{echo: {{type: tcp, bind: "127.0.0.1:0", target: "127.0.0.1:{target}"}}}}
            upstreams:
              relay: {{type: hermes, endpoints: "127.0.0.1:{self.port(relay, "overlay")}"}}
              exit: {{type: hermes, endpoints: "{place}"}}
            routes: [{{match: {{any: true}}, via: [relay, exit], nested: {str(nested).lower()}}}]
            """,
        )
        self.seen: dict[str, list[tuple[str, str | None]]] = {}
        for name, node in (("relay", relay), ("exit", exit_)):
            self.watch(name, node)
        await self.through(self.port(edge, "echo"), b"along the chain")
        self.target = f"127.0.0.1:{target}"
        self.place = place
        return edge, relay, exit_

    def watch(self, name: str, node: Node) -> None:
        """
        Write down the flows that a node is asked for.
        """
        seen = self.seen[name] = []
        flows: Any = node.flows
        original = flows.openStream

        def openStream(flow: Any) -> Any:
            seen.append((str(flow.target), flow.identity.node))
            return original(flow)

        self.patch(flows, "openStream", openStream)

    def test_hopByHopEachHopLearnsTheTarget(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._hopByHop())

    async def _hopByHop(self) -> None:
        await self.chain(nested=False)
        self.assertEqual(self.seen, {"relay": [(self.target, "edge")], "exit": [(self.target, "relay")]})

    def test_nestedTheMiddleLearnsOnlyTheNextHop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._nested())

    async def _nested(self) -> None:
        await self.chain(nested=True)
        self.assertEqual(self.seen, {"relay": [(self.place, "edge")], "exit": [(self.target, "edge")]})

    def test_theAdminListenerTellsOfTheNode(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._admin())

    async def _admin(self) -> None:
        target = await self.echo()
        node = await self.node(
            "edge",
            f"""\
            listeners: {{echo: {{type: tcp, bind: "127.0.0.1:0", target: "127.0.0.1:{target}"}}}}
            routes: [{{match: {{any: true}}, allowSpecial: true, name: home}}]
            admin: {{bind: "127.0.0.1:0"}}
            """,
        )
        await self.through(self.port(node, "echo"), b"counted")
        agent, place = Agent(reactor), f"http://127.0.0.1:{self.port(node, '(admin)')}"
        status = json.loads(await readBody(await agent.request(b"GET", f"{place}/status".encode())))
        self.assertEqual((status["node"], status["flows"]["opened"]), ("edge", 1))
        metrics = await readBody(await agent.request(b"GET", f"{place}/metrics".encode()))
        self.assertIn(b'hermes_flows_total{listener="echo",protocol="tcp",route="home",upstream="direct"} 1.0', metrics)
