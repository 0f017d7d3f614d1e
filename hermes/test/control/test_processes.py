"""
A controller and its nodes, each a process of its own, over loopback.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installedReactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionClosed
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from hermes.test.control.processoverlay import ProcessOverlay
from hermes.test.control.talking import Talking
from hermes.test.processes import PATIENCE, ports
from hermes.test.test_plugins import Echo

reactor: Any = installedReactor


class Processes(TestCase):
    """
    A controller, C{edge} where somebody comes in, and C{relay}, from where a service is reached.
    """

    timeout = 6 * PATIENCE

    async def setUp(self) -> None:  # type: ignore[override]
        service = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Echo))
        self.addCleanup(service.stopListening)
        edge, relay, self.apps = ports(3)
        self.overlay = ProcessOverlay(self, ("edge", "relay"))
        await self.overlay.start()
        status, text = await self.overlay.apply(
            f"""
overlay: example
nodes:
  edge:  {{address: "127.0.0.1:{edge}", listeners: {{apps: {{type: proxy, bind: "127.0.0.1:{self.apps}"}}}}}}
  relay: {{address: "127.0.0.1:{relay}"}}
services: {{db.hermes: {{on: [relay], ports: [3306], endpoints: ["127.0.0.1:{service.getHost().port}"]}}}}
policy: [{{allow: any, to: "db.hermes:3306"}}]
tests: []
settings: {{trial: 100ms, decide: 20s}}
"""
        )
        self.assertIn("committed on 2 nodes", text)
        self.assertEqual(status, 0)

    async def talk(self) -> Talking:
        """
        Through C{edge} and C{relay} to the service.

        @raise AssertionError: where there is no way.
        """
        talking = Talking("db.hermes:3306")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.apps)
        await connectProtocol(endpoint, talking)
        try:
            answer = await talking.heard
        except ConnectionClosed as error:
            raise AssertionError(str(error)) from error
        if not answer.startswith(b"HTTP/1.1 200"):
            assert talking.transport is not None
            talking.transport.loseConnection()
            raise AssertionError(answer.decode())
        self.addCleanup(talking.hangUp)
        self.assertEqual(await talking.say(b"hello"), b"hello")
        return talking

    async def refused(self) -> bool:
        """
        Whether there is no way to the service.
        """
        try:
            await self.talk()
        except AssertionError:
            return True
        return False

    async def test_nodes_join_and_carry_what_the_document_says(self) -> None:
        await self.talk()
        self.assertTrue(await self.overlay.current())

    async def test_without_the_controller_nodes_run_start_and_take_it_up_again(self) -> None:
        overlay = self.overlay
        talking = await self.talk()
        await overlay.controllers["controller"].stop()
        self.assertEqual(await talking.say(b"the controller is gone"), b"the controller is gone")
        for name in "relay", "edge":
            await overlay.nodes[name].stop()
            await overlay.startNode(name).ready()
        await self.talk()
        await overlay.startController("controller")
        await overlay.until(overlay.current)

    async def test_a_node_that_is_shut_out_is_so_at_once_and_for_the_other_nodes_too(self) -> None:
        overlay = self.overlay
        talking = await self.talk()
        await overlay.done("node", "revoke", "relay", "--yes")
        await talking.lost
        await overlay.until(self.refused)
        await overlay.nodes["relay"].printed("no connection to the controller.*certificate")
        self.assertIn("revoked", await overlay.done("nodes"))
        await overlay.nodes["edge"].stop()
        await overlay.controllers["controller"].stop()
        await overlay.startNode("edge").ready()
        self.assertTrue(await self.refused())
