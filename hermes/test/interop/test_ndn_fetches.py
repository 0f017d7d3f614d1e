"""
Large objects between unmodified python-ndn programs at the ends of a row of three nodes, with a window of 20, over
links that are good, lose 2 % of all packets, or go down for seconds.

C{HERMES_LARGE_FETCHES=1} has objects of 25 and 50 MB fetched too, which takes a quarter of an hour.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

from twisted.internet import reactor as theReactor

from hermes.test.interop.ndnnodes import MEGABYTE, NDNCase
from hermes.test.interop.ndnwires import Wire
from hermes.test.interop.process import program
from hermes.test.interop.processes import TWISTD, Node
from hermes.test.namespaces import Namespace
from hermes.test.processes import freePort
from hermes.testing.links import (
    DatagramImpairment,
    ImpairedDatagramLink,
    ImpairedStreamLink,
    Rotation,
    StreamImpairment,
)
from hermes.testing.links.schedule import Link

# Its type depends on the platform.
reactor: Any = theReactor

LARGE = bool(os.environ.get("HERMES_LARGE_FETCHES"))
SIZES = [1, 25, 50] if LARGE else [1]
"""
In megabytes.
"""

LOSS = 0.02
UP = 1.5
"""
Seconds for which a link that flaps is up, and down again.
"""

PATIENT = "--lifetime", 10_000
"""
For where nothing is lost, however busy the machine is.
"""

PERSISTENT = "--lifetime", 500, "--tries", 1000
"""
For where much is: an Interest may have to be sent again and again until the links are up.
"""

ONL = {"faces": {"one": {"to": "udp:onl.ndn.hermes"}}, "prefixes": [{"prefix": "/onl", "face": "one"}]}


class Nothing:
    """
    Takes turns with a link: it is up when that is down.
    """

    def up(self) -> None:
        pass

    def down(self) -> None:
        pass


class FetchCase(NDNCase):
    """
    A test that fetches an object of each size.

    @ivar told: what consumers have said, by size in megabytes.
    """

    timeout = 900 if LARGE else 120

    def setUp(self) -> None:
        super().setUp()
        self.told: dict[int, dict[str, Any]] = {}

    async def fetchAll(self, *options: object) -> None:
        """
        A producer at C{exit}, a consumer at C{edge}.
        """
        await self.producer("unix:exit.sock", "/onl/file", *(size * MEGABYTE for size in SIZES))
        for size in SIZES:
            self.told[size] = await self.fetch("unix:edge.sock", "/onl/file", size * MEGABYTE, *options)

    def count(self, key: str) -> int:
        """
        What consumers have counted, together.
        """
        return sum(told[key] for told in self.told.values())

    def flap(self, *links: Link) -> None:
        """
        Have links go down and up again, each at its own times.
        """
        for number, link in enumerate(links):
            rotation = Rotation(reactor, [link, Nothing()], UP * (1 + number / 4))
            rotation.start(1)
            self.addCleanup(rotation.stop)


class TunnelTests(FetchCase):
    """
    The face is a flow over two hops; the one in the middle knows nothing of names.
    """

    async def test_overGoodLinksNothingIsAskedForTwice(self) -> None:
        await self.chain(self.names("unix:edge.sock", **ONL), self.names("unix:exit.sock"), {"onl": "relay"})
        await self.fetchAll(*PATIENT)
        self.assertEqual((self.count("timeouts"), self.count("nacks")), (0, 0))

    async def test_whatConnectionsLoseThatBreakIsAskedForAgain(self) -> None:
        ports = {name: freePort() for name in ("relay", "exit")}
        links = {}
        for name, port in ports.items():
            link = links[name] = ImpairedStreamLink(
                reactor, ("127.0.0.1", port), StreamImpairment(delay=0.002, bandwidth=4e6)
            )
            link.start()
            self.addCleanup(link.stop)
        await self.chain(
            self.names("unix:edge.sock", **ONL),
            self.names("unix:exit.sock"),
            {"onl": "relay"},
            ports=ports,
            seen={name: link.address[1] for name, link in links.items()},
        )
        self.flap(*links.values())
        await self.fetchAll(*PERSISTENT)
        self.assertGreater(self.count("timeouts") + self.count("nacks"), 0)
        if LARGE:
            self.assertGreater(min(link.connections for link in links.values()), 10)


class WireTests(FetchCase):
    """
    The same with the nodes on three machines: what is lost is lost beneath TCP.
    """

    async def row(self, loss: float = 0.0) -> list[Wire]:
        """
        Start the nodes, and join them.
        """
        self.places = {name: Namespace.forTest(self, name) for name in ("edge", "relay", "exit")}
        edge, relay, exit_ = self.places.values()
        first = Wire(reactor, (edge, "w0", "10.98.1.1/24"), (relay, "w0", "10.98.1.2/24"), loss, Random(1))
        self.addCleanup(first.stop)
        second = Wire(reactor, (relay, "w1", "10.98.2.1/24"), (exit_, "w0", "10.98.2.2/24"), loss, Random(2))
        self.addCleanup(second.stop)
        await self.chain(
            self.names("unix:edge.sock", **ONL),
            self.names("unix:exit.sock"),
            {"onl": "relay"},
            hosts={"relay": "10.98.1.2", "exit": "10.98.2.2"},
        )
        return [first, second]

    def startNode(self, name: str, config: Any) -> Node:
        node = Node(name, self.directory / f"{name}.yaml")
        node.configure(config)
        ip, *command = self.places[name].command(*TWISTD, "hermes-proxy", "--config", str(node.path))
        self.run_(node, [program(ip), *command])
        return node

    async def test_whatIsLostBeneathTCPIsNotMissed(self) -> None:
        wires = await self.row(LOSS)
        await self.fetchAll("--lifetime", 2000)
        self.assertGreater(min(wire.lost for wire in wires), 10)

    async def test_wiresThatLoseAndFlapOnlyTakeLonger(self) -> None:
        wires = await self.row(LOSS)
        # A handshake that begins while a wire is down may take as long as there is for it: TCP waits longer each time.
        await self.producer("unix:exit.sock", "/onl/first")
        await self.fetch("unix:edge.sock", "/onl/first", 8000)
        self.flap(*wires)
        await self.fetchAll(*PERSISTENT)
        self.assertGreater(min(wire.lost for wire in wires), 10)


class ForwarderTests(FetchCase):
    """
    Each node forwards, and UDP carries packets between them in pieces of 1,400 bytes.
    """

    async def row(self, loss: float = 0.0, **options: Any) -> list[ImpairedDatagramLink]:
        """
        Start them, the last first.
        """
        links: list[ImpairedDatagramLink] = []
        nodes = []
        following: int | None = None
        for name in ("exit", "relay", "edge"):
            port = freePort()
            faces: dict[str, Any] = {}
            if following is not None:
                impairment = DatagramImpairment(delay=0.002, loss=loss, reorder=0.01 if loss else 0.0)
                link = ImpairedDatagramLink(reactor, ("127.0.0.1", following), impairment, Random(following))
                link.start()
                self.addCleanup(link.stop)
                links.append(link)
                to = f"udp:127.0.0.1:{link.address[1]}"
                faces = {"one": {"to": to, "direct": True, "mtu": 1400, **options}}
            listener = self.names(
                f"unix:{name}.sock",
                f"udp:127.0.0.1:{port}",
                mtu=1400,
                faces=faces,
                prefixes=[{"prefix": "/onl", "face": each} for each in faces],
            )
            nodes.append(self.startNode(name, self.config(name, listeners={"names": listener})))
            following = port
        for node in nodes:
            await node.ready()
        return links

    async def lossy(self, flaps: bool = False, lifetime: int = 500, **options: Any) -> None:
        """
        Fetch over links that lose.

        @param lifetime: of Interests, in milliseconds.
        """
        links = await self.row(LOSS, **options)
        if flaps:
            self.flap(*links)
        await self.fetchAll("--lifetime", lifetime, "--tries", 1000)
        self.assertGreater(min(link.counts["lost"] for link in links), 0)

    async def test_overGoodLinksNothingIsAskedForTwice(self) -> None:
        links = await self.row()
        await self.fetchAll(*PATIENT)
        self.assertEqual(sum(link.counts["lost"] for link in links), 0)
        self.assertEqual((self.count("timeouts"), self.count("nacks")), (0, 0))

    async def test_whatIsLostIsAskedForAgain(self) -> None:
        await self.lossy()
        # Of a packet in seven pieces one is lost with the whole.
        self.assertGreater(self.count("timeouts"), 10)

    async def test_linksThatLoseAndFlapOnlyTakeLonger(self) -> None:
        await self.lossy(flaps=True)

    async def test_reliabilityMakesGoodForWhatIsLost(self) -> None:
        await self.lossy(reliability=True, lifetime=2000)
        # What is lost is sent again before anybody loses patience, nearly always.
        self.assertLessEqual(self.count("timeouts"), 4)

    async def test_reliabilityDoesOverLinksThatFlap(self) -> None:
        await self.lossy(flaps=True, reliability=True)
