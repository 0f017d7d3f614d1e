"""
C{kill -9} of a real controller, and of a real node, in the middle of a change: old or new, and never between.

As a rule at some points; with C{HERMES_KILLED_EVERYWHERE=1} at each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from shutil import rmtree
from socket import socket
from tempfile import mkdtemp
from typing import Any

from twisted.internet import reactor as installedReactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from hermes.control.stops import AGENT_POINTS, CONTROLLER_POINTS
from hermes.test.control.killable import killable
from hermes.test.control.processes import hermes
from hermes.test.processes import PATIENCE, ProxyProcess, freePort

reactor: Any = installedReactor

EVERYWHERE = bool(os.environ.get("HERMES_KILLED_EVERYWHERE"))
KEPT = {"apply.decided", "apply.confirm", "apply.confirmed"}
"""
Whoever is killed here has decided.
"""
GOOD = [
    point
    for point in CONTROLLER_POINTS
    if point.startswith("apply.") and point.partition(".")[2] not in ("abort", "aborted", "rollback", "rolledback")
]
BAD = ["apply.abort", "apply.aborted", "apply.rollback", "apply.rolledback"]
NODE = [point for point in AGENT_POINTS if not point.startswith("agent.return")]


class KilledTests(TestCase):
    """
    A controller and two nodes, each a process.
    """

    timeout = 40 * PATIENCE if EVERYWHERE else 20 * PATIENCE

    async def setUp(self) -> None:  # type: ignore[override]
        self.directory = mkdtemp()
        self.addCleanup(rmtree, self.directory)
        self.port = freePort()
        self.addresses = {name: f"127.0.0.1:{freePort()}" for name in ("edge", "relay")}
        taken = socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        self.taken = f"127.0.0.1:{taken.getsockname()[1]}"
        self.version = 0
        self.nodes: dict[str, ProxyProcess] = {}
        self.controller = await self.startController()
        for name in self.addresses:
            token = (await self.ask("enrol", name, "--token-only")).strip()
            await self.startNode(name, "", "--token", token).printed("connected to the controller")
        self.assertIn("committed", await self.apply())

    def path(self, *names: str) -> str:
        return os.path.join(self.directory, *names)

    async def startController(self, point: str = "") -> ProxyProcess:
        """
        Start it, to be killed at a point.
        """
        controller = killable(
            reactor,
            point,
            *("hermes-controller", "--state", self.path("controller"), "--socket", self.path("socket")),
            *("--listen", f"127.0.0.1:{self.port}", "--address", f"127.0.0.1:{self.port}", "--https", "none"),
        )
        self.addCleanup(controller.stop)
        await controller.printed("the controller is ready")
        return controller

    def startNode(self, name: str, point: str = "", *options: str) -> ProxyProcess:
        """
        The same of a node.
        """
        arguments = ("hermes-proxy", "--controller", f"127.0.0.1:{self.port}", "--state", self.path(name), *options)
        node = self.nodes[name] = killable(reactor, point, *arguments)
        self.addCleanup(node.stop)
        return node

    async def ask(self, *arguments: str) -> str:
        """
        The operator's command.
        """
        return await hermes(reactor, *arguments, "--controller", f"unix:{self.path('socket')}")

    async def apply(self, bad: bool = False) -> str:
        """
        Make a change that concerns both nodes.

        @param bad: whether one can't take it.
        @return: what was said of it; of one that fails, why.
        """
        self.version += 1
        listener = f"listeners: {{apps: {{type: proxy, bind: '{self.taken}'}}}}, " if bad else ""
        document = f"""
overlay: example
nodes:
  edge:  {{{listener}address: "{self.addresses["edge"]}", drain: {self.version}s}}
  relay: {{address: "{self.addresses["relay"]}", drain: {self.version}s}}
settings: {{trial: 300ms, decide: 4s}}
"""
        with open(self.path("overlay.yaml"), "w") as file:
            file.write(document)
        try:
            return await self.ask("apply", self.path("overlay.yaml"), "--yes")
        except AssertionError as error:
            return str(error)

    async def settled(self) -> bool:
        """
        Whether both nodes are there, and run what they should.
        """
        try:
            nodes = json.loads(await self.ask("nodes", "--json"))
        except AssertionError:
            return False
        found = nodes["nodes"] if isinstance(nodes, dict) else nodes
        return sum(bool(node["current"]) for node in found) == 2

    async def until(self, holds: Callable[[], Any]) -> None:
        """
        Look again and again.
        """
        deadline = reactor.seconds() + PATIENCE
        while not await holds():
            if reactor.seconds() > deadline:
                lines = [line for each in (self.controller, *self.nodes.values()) for line in each.lines[-20:]]
                raise AssertionError("it did not come true in time:\n" + "\n".join(lines))
            await deferLater(reactor, 0.2)

    async def committed(self) -> int:
        """
        How often a version was committed; every version is decided.
        """
        history = json.loads(await self.ask("history", "--json"))
        versions = history["versions"] if isinstance(history, dict) else history
        phases = [version["phase"] for version in versions]
        self.assertEqual(set(phases) - {"committed", "aborted"}, set())
        return phases.count("committed")

    async def restartController(self, point: str = "") -> None:
        """
        Kill it, and start it again.
        """
        if self.controller.status is None:
            self.controller.signal("KILL")
            await self.controller.ended()
        self.controller = await self.startController(point)
        await self.until(self.settled)

    async def controllerKilledAt(self, point: str, bad: bool) -> None:
        """
        Kill the controller at a point of a change.
        """
        await self.restartController(point)
        before = await self.committed()
        await self.apply(bad)
        self.assertEqual((point, await self.controller.ended()), (point, -9))
        await self.restartController()
        self.assertEqual((point, await self.committed() - before), (point, int(point in KEPT)))

    async def test_the_controller_is_killed_in_the_middle_of_a_change(self) -> None:
        for point in GOOD if EVERYWHERE else ("apply.prepared", "apply.committed", "apply.decided"):
            await self.controllerKilledAt(point, False)
        for point in BAD if EVERYWHERE else ("apply.abort",):
            await self.controllerKilledAt(point, True)
        self.assertIn("committed on 2 nodes", await self.apply())

    async def test_a_node_is_killed_in_the_middle_of_a_change(self) -> None:
        for point in NODE if EVERYWHERE else ("agent.prepare.staged", "agent.commit.swapped", "agent.confirm"):
            self.nodes["relay"].signal("KILL")
            await self.nodes["relay"].ended()
            node = self.startNode("relay", point)
            await node.printed("connected to the controller")
            await self.until(self.settled)
            before = await self.committed()
            await self.apply()
            self.assertEqual((point, await node.ended()), (point, -9))
            # On trial, it is missed; before it was swapped to and after it was decided, it gets it later.
            expected = 0 if point.startswith("agent.commit") else 1
            self.assertEqual((point, await self.committed() - before), (point, expected))
            await self.startNode("relay").printed("connected to the controller")
            await self.until(self.settled)
        self.assertIn("committed on 2 nodes", await self.apply())
