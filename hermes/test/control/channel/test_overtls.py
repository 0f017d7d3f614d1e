"""
Controller and nodes over loopback, with TLS.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import TestCase

from hermes.control.channel.client import ControllerClient
from hermes.control.channel.counts import Refusals
from hermes.control.channel.credentials import CertificateChecker
from hermes.control.channel.doorway import Leadership
from hermes.control.channel.links import NodeLink, NodeLinks
from hermes.control.channel.perspectives import ControlRealm
from hermes.control.channel.server import CONTROL, ControlServer
from hermes.control.values import READY, digestOf
from hermes.net.authority import OverlayAuthority
from hermes.net.certificates import ClientCredentials, ServerCredentials
from hermes.net.network import Network
from hermes.test.control.channel.agents import RecordingAgent


class Everybody:
    """
    Lets in whoever has a certificate.
    """

    def mayConnect(self, kind: str, name: str, serial: str) -> Deferred[bool]:
        return succeed(True)


class OverTLS(TestCase):
    """
    See the module.
    """

    async def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.authority = OverlayAuthority.create(self.mktemp())
        self.network = Network(reactor)
        self.links = NodeLinks(lambda: 1000.0)
        self.refusals = Refusals()
        certificate, key = self.authority.issue("controller", ["controller.hermes"])
        self.server = ControlServer(
            self.reactor,
            ServerCredentials(certificate, key, self.authority.trustFile, (CONTROL,)),
            Portal(ControlRealm(self.links, None), [CertificateChecker(Everybody())]),
            Leadership,
            self.refusals,
            {},
        )
        port = await self.network.streamServer("127.0.0.1:0").listen(self.server)
        self.addCleanup(port.stopListening)
        host: Any = port.getHost()
        self.address = f"127.0.0.1:{host.port}"

    def client(self, agent: RecordingAgent) -> ControllerClient:
        certificate, key = self.authority.issue(agent.name)
        credentials = ClientCredentials(
            certificate, key, self.authority.trustFile, serverName="controller.hermes", protocols=(CONTROL,)
        )
        client = ControllerClient(
            self.reactor,
            agent,
            [self.address],
            lambda address: self.network.streamClient(address, credentials),
            Refusals(),
        )
        self.addCleanup(client.stop)
        client.start()
        return client

    def connected(self, name: str) -> Deferred[NodeLink]:
        found: Deferred[NodeLink] = Deferred()

        def look(link: NodeLink) -> None:
            if link.name == name and link.state.connected and not found.called:
                found.callback(link)

        self.links.watch(look)
        return found

    async def test_a_node_says_hello_prepares_and_commits(self) -> None:
        agent = RecordingAgent("edge")
        self.client(agent)
        link = await self.connected("edge")
        config = b"node: edge\n" * 100_000
        self.assertEqual(await link.prepare(7, None, config, digestOf(config), 30.0), READY)
        self.assertEqual(await link.commit(7), READY)
        self.assertEqual(await link.confirm(7), READY)
        self.assertEqual(
            agent.asked,
            [
                ("controllerConnected",),
                ("prepare", 7, None, config, digestOf(config), 30.0),
                ("commit", 7),
                ("confirm", 7),
            ],
        )
        self.assertEqual(await link.status(), {"node": "edge", "flows": 3, "rates": [1.5, None]})
