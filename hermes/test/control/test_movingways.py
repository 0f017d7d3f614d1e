"""
Ways that follow what links cost, in an overlay of processes: what nodes measure over real connections moves them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from hermes.control.values import CONTROLLER
from hermes.test.control.processes import hermes, twistd
from hermes.test.control.talking import Talking
from hermes.test.processes import PATIENCE, ProxyProcess, freePort
from hermes.test.test_plugins import Echo
from hermes.testing.links import ImpairedStreamLink, StreamImpairment

reactor: Any = installedReactor

NAMES = ("edge", "gateway", "one", "two")

SLOW = StreamImpairment(delay=0.15)
"""
A round trip of 300 ms.
"""


class MovingWays(TestCase):
    """
    C{gateway} is reached from C{edge} by C{one} or by C{two}, which others reach over links that can be slow, or down.
    """

    timeout = 6 * PATIENCE

    async def setUp(self) -> None:  # type: ignore[override]
        self.directory = mkdtemp()
        self.addCleanup(rmtree, self.directory, ignore_errors=True)
        self.processes: dict[str, ProxyProcess] = {}
        self.ports = {name: freePort() for name in ("controller", "apps", *NAMES)}
        self.links: dict[str, ImpairedStreamLink] = {}
        # One is the nearer one.
        delays = {"one": 0.005, "two": 0.02}
        for name in "one", "two":
            link = self.links[name] = ImpairedStreamLink(
                reactor, ("127.0.0.1", self.ports[name]), StreamImpairment(delays[name])
            )
            link.start()
            self.addCleanup(link.stop)
        service = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Echo))
        self.addCleanup(service.stopListening)
        self.ports["service"] = service.getHost().port
        where = f"127.0.0.1:{self.ports['controller']}"
        await self.start(
            "controller",
            *("hermes-controller", "--state", self.path("controller"), "--socket", self.path("socket")),
            *("--listen", where, "--address", where, "--https", "none"),
            until="the controller is ready",
        )
        await gatherResults([Deferred.fromCoroutine(self.join(name, where)) for name in NAMES])

    def path(self, *names: str) -> str:
        return os.path.join(self.directory, *names)

    async def start(self, name: str, *arguments: str, until: str) -> None:
        """
        Start a process; it is killed at the end.
        """
        process = self.processes[name] = twistd(reactor, *arguments)
        self.addCleanup(process.stop)
        await process.printed(until)

    async def join(self, name: str, where: str) -> None:
        """
        A node joins.
        """
        token = (await self.ask("enrol", name, "--token-only")).strip()
        options = ("--controller", where, "--state", self.path(name), "--token", token)
        await self.start(name, "hermes-proxy", *options, until="connected to the controller")

    async def ask(self, *arguments: str) -> str:
        """
        The operator's command.
        """
        return await hermes(reactor, *arguments, "--controller", f"unix:{self.path('socket')}")

    def document(self) -> str:
        """
        Nobody says what the links cost.
        """
        one, two = (self.links[name].address[1] for name in ("one", "two"))
        return f"""
overlay: example
nodes:
  edge:
    address: "127.0.0.1:{self.ports["edge"]}"
    listeners: {{apps: {{type: proxy, bind: "127.0.0.1:{self.ports["apps"]}"}}}}
  gateway: {{address: "127.0.0.1:{self.ports["gateway"]}"}}
  one: {{address: "127.0.0.1:{one}", bind: "127.0.0.1:{self.ports["one"]}"}}
  two: {{address: "127.0.0.1:{two}", bind: "127.0.0.1:{self.ports["two"]}"}}
links:
  - {{between: [edge, one]}}
  - {{between: [edge, two]}}
  - {{between: [one, gateway]}}
  - {{between: [two, gateway]}}
services: {{db.hermes: {{on: [gateway], ports: [3306], endpoints: ["127.0.0.1:{self.ports["service"]}"]}}}}
policy: [{{allow: any, to: "db.hermes:3306"}}]
tests: []
settings: {{trial: 500ms, decide: 20s, rerouteAfter: 1s}}
"""

    async def talk(self) -> Talking:
        """
        From C{edge} to the service.
        """
        talking = Talking("db.hermes:3306")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.ports["apps"])
        await connectProtocol(endpoint, talking)
        self.addCleanup(talking.hangUp)
        self.assertIn(b" 200 ", await talking.heard)
        self.assertEqual(await talking.say(b"hello"), b"hello")
        return talking

    async def path_(self) -> list[str]:
        """
        From C{edge} to the service.
        """
        found = json.loads(await self.ask("explain", "db.hermes:3306", "--at", "edge", "--json"))
        path: list[str] = found["edge"]["path"]
        return path

    async def until(self, holds: Callable[[], Awaitable[Any]]) -> None:
        """
        Look again and again.
        """
        deadline = reactor.seconds() + 2 * PATIENCE
        while not await holds():
            if reactor.seconds() > deadline:
                lines = [f"{name}: {line}" for name, each in self.processes.items() for line in each.lines[-20:]]
                raise AssertionError("it did not come true in time:\n" + "\n".join(lines))
            await deferLater(reactor, 0.2)

    async def last(self) -> dict[str, Any]:
        """
        The last version.
        """
        found: list[dict[str, Any]] = json.loads(await self.ask("history", "--json"))
        return found[0]

    async def link(self, *between: str) -> dict[str, Any]:
        """
        What the graph says of one.
        """
        graph = json.loads(await self.ask("top", "--once", "--json"))
        link: dict[str, Any] = next(each for each in graph["links"] if each["between"] == sorted(between))
        return link

    async def measured(self) -> bool:
        """
        Whether links have connections, though nothing was sent: all were measured then.
        """
        links = [await self.link("edge", "one"), await self.link("edge", "two")]
        return all(link["ends"] and link["ends"][0]["roundTripSeconds"] is not None for link in links)

    def moved(self, by: str) -> Callable[[], Awaitable[bool]]:
        """
        Whether the way leads by a node.
        """

        async def moved() -> bool:
            return await self.path_() == ["edge", by, "gateway"]

        return moved

    async def test_they_move_by_themselves(self) -> None:
        """
        From a link that gets slow to one that is not; and back, where that is down.
        """
        with open(self.path("overlay.yaml"), "w", encoding="utf-8") as file:
            file.write(self.document())
        await self.ask("apply", self.path("overlay.yaml"), "--yes")
        await self.until(self.measured)
        self.assertEqual(await self.path_(), ["edge", "one", "gateway"])
        before = await self.talk()
        self.links["one"].impairment = SLOW
        await self.until(self.moved("two"))
        # What is open stays where it is; what comes goes the new way.
        slow = self.links["one"].bytesCarried[0]
        self.assertEqual(await before.say(b"still here" * 1000), b"still here" * 1000)
        self.assertGreater(self.links["one"].bytesCarried[0], slow + 10_000)
        fast = self.links["two"].bytesCarried[0]
        after = await self.talk()
        self.assertEqual(await after.say(b"here" * 2500), b"here" * 2500)
        self.assertGreater(self.links["two"].bytesCarried[0], fast + 10_000)
        last = await self.last()
        self.assertEqual((last["author"], last["phase"]), (CONTROLLER, "committed"))
        self.assertRegex(last["comment"], r"edge - one from \w+ to \d{4} \(3\d\d\.\d ms\)")
        link = await self.link("edge", "one")
        self.assertGreater(link["cost"], 1000)
        self.assertGreater(link["ends"][0]["roundTripSeconds"], 0.3)
        # And that is what the node runs, and would start from.
        self.assertRegex(self.lastGood("edge"), r"via: \[two\]\n  backup:\n  - \[one\]")
        self.links["two"].down()
        await self.until(self.moved("one"))
        last = await self.last()
        self.assertRegex(last["comment"], r"edge - two from \d+ to down")
        self.assertRegex(self.lastGood("edge"), r"via: \[one\]\n  backup:\n  - \[two\]")

    def lastGood(self, name: str) -> str:
        """
        What is on a node's disk.
        """
        directory = self.path(name, "configurations")
        newest = max(each for each in os.listdir(directory) if each.endswith(".yaml"))
        with open(os.path.join(directory, newest), encoding="utf-8") as file:
            return file.read()
