"""
A controller and its nodes, each a process of its own, over loopback.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionClosed
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from hermes.test.control.processes import hermes, twistd
from hermes.test.control.talking import Talking
from hermes.test.processes import PATIENCE, ProxyProcess, freePort
from hermes.test.test_plugins import Echo

reactor: Any = installedReactor


class Processes(TestCase):
    """
    A controller, C{edge} where somebody comes in, and C{relay}, from where a service is reached.
    """

    timeout = 6 * PATIENCE

    async def setUp(self) -> None:  # type: ignore[override]
        self.directory = mkdtemp()
        self.addCleanup(rmtree, self.directory)
        self.nodes: dict[str, ProxyProcess] = {}
        self.port, self.apps, self.edge, self.relay = (freePort() for _ in range(4))
        service = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Echo))
        self.addCleanup(service.stopListening)
        self.service: int = service.getHost().port
        self.controller = await self.startController()

    def path(self, *names: str) -> str:
        return os.path.join(self.directory, *names)

    async def startController(self) -> ProxyProcess:
        """
        It is killed at the end.
        """
        controller = twistd(
            reactor,
            *("hermes-controller", "--state", self.path("controller"), "--socket", self.path("socket")),
            *("--listen", f"127.0.0.1:{self.port}", "--address", f"127.0.0.1:{self.port}", "--https", "none"),
        )
        self.addCleanup(controller.stop)
        await controller.printed("the controller is ready")
        return controller

    async def ask(self, *arguments: str) -> str:
        """
        The operator's command.
        """
        return await hermes(reactor, *arguments, "--controller", f"unix:{self.path('socket')}")

    def startNode(self, name: str, *options: str) -> ProxyProcess:
        """
        It is killed at the end.
        """
        controller = ("--controller", f"127.0.0.1:{self.port}")
        node = self.nodes[name] = twistd(reactor, "hermes-proxy", *controller, "--state", self.path(name), *options)
        self.addCleanup(node.stop)
        return node

    async def join(self, name: str) -> ProxyProcess:
        token = (await self.ask("enrol", name, "--token-only")).strip()
        node = self.startNode(name, "--token", token)
        await node.printed("connected to the controller")
        return node

    async def apply(self) -> str:
        """
        The document: C{db.hermes} is reached from C{relay}.
        """
        document = f"""
overlay: example
nodes:
  edge:  {{address: "127.0.0.1:{self.edge}", listeners: {{apps: {{type: proxy, bind: "127.0.0.1:{self.apps}"}}}}}}
  relay: {{address: "127.0.0.1:{self.relay}"}}
services: {{db.hermes: {{on: [relay], ports: [3306], endpoints: ["127.0.0.1:{self.service}"]}}}}
policy: [{{allow: any, to: "db.hermes:3306"}}]
tests: []
settings: {{trial: 500ms, decide: 20s}}
"""
        with open(self.path("overlay.yaml"), "w") as file:
            file.write(document)
        return await self.ask("apply", self.path("overlay.yaml"), "--yes")

    async def overlay(self) -> None:
        """
        Both nodes are there, and run it.
        """
        for name in "edge", "relay":
            await self.join(name)
        self.assertIn("committed on 2 nodes", await self.apply())

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
        self.addCleanup(self.hangUp, talking)
        self.assertEqual(await talking.say(b"hello"), b"hello")
        return talking

    def hangUp(self, talking: Talking) -> Deferred[None]:
        assert talking.transport is not None
        talking.transport.loseConnection()
        return talking.lost

    async def until(self, holds: Callable[[], Any]) -> None:
        """
        Look again and again.
        """
        deadline = reactor.seconds() + PATIENCE
        while not await holds():
            if reactor.seconds() > deadline:
                lines = [line for node in (self.controller, *self.nodes.values()) for line in node.lines[-20:]]
                raise AssertionError("it did not come true in time:\n" + "\n".join(lines))
            await deferLater(reactor, 0.1)

    async def current(self) -> bool:
        """
        Whether both nodes are there, and run what they should.
        """
        listed = await self.ask("nodes")
        return sum(" current " in line for line in listed.splitlines()) == 2

    async def test_nodes_join_and_carry_what_the_document_says(self) -> None:
        await self.overlay()
        await self.talk()
        self.assertTrue(await self.current())

    async def test_without_the_controller_nodes_run_start_and_take_it_up_again(self) -> None:
        await self.overlay()
        talking = await self.talk()
        self.controller.signal("KILL")
        await self.controller.ended()
        self.assertEqual(await talking.say(b"the controller is gone"), b"the controller is gone")
        for name in "relay", "edge":
            self.nodes[name].signal("KILL")
            await self.nodes[name].ended()
            await self.startNode(name).ready()
        await self.talk()
        self.controller = await self.startController()
        await self.until(self.current)

    async def test_a_node_that_is_shut_out_is_so_at_once_and_for_the_other_nodes_too(self) -> None:
        await self.overlay()
        talking = await self.talk()
        await self.ask("node", "revoke", "relay", "--yes")
        await talking.lost

        async def refused() -> bool:
            try:
                await self.talk()
            except AssertionError:
                return True
            return False

        await self.until(refused)
        await self.nodes["relay"].printed("no connection to the controller.*certificate")
        self.assertIn("revoked", await self.ask("nodes"))
        self.nodes["edge"].signal("KILL")
        await self.nodes["edge"].ended()
        self.controller.signal("KILL")
        await self.startNode("edge").ready()
        self.assertTrue(await refused())
