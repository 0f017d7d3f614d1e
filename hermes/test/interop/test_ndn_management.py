"""
Unmodified clients of an NFD at Hermes's forwarder: python-ndn's C{pynfdc}, and programs on python-ndn. And nodes whose
forwarders tell each other what these have registered.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.task import deferLater

from hermes.test.interop.ndnnodes import NDNCase
from hermes.test.interop.processes import Node
from hermes.test.processes import freePort

# Its type depends on the platform.
reactor: Any = theReactor


class ManagementCase(NDNCase):
    """
    A test with C{pynfdc}.
    """

    def setUp(self) -> None:
        super().setUp()
        # A Unix socket's path has little room (unix(7)), less than the names of the tests.
        self.directory = Path(mkdtemp(prefix="ndn"))
        self.addCleanup(rmtree, self.directory)

    async def pynfdc(self, node: str, *arguments: object, status: int = 0) -> str:
        """
        Run it at a node.

        @return: what it prints.
        """
        process = self.start(
            "env",
            f"NDN_CLIENT_TRANSPORT=unix://{self.directory}/{node}.sock",
            sys.executable,
            "-m",
            "ndn.bin.nfdc",
            *map(str, arguments),
        )
        process.closeInput()
        self.assertEqual(await process.end(), status, process.output)
        return process.stdout.decode()

    async def operator(self, node: str, *arguments: object) -> list[dict[str, Any]]:
        """
        Run the operator on python-ndn.

        @return: what it tells.
        """
        process = self.program("ndnoperator", f"unix:{node}.sock", *arguments)
        self.assertEqual(await process.end(), 0, process.output)
        return [json.loads(line) for line in process.stdout.splitlines()]

    async def routes(self, node: str) -> dict[str, list[tuple[int, int]]]:
        """
        The RIB of a node, as C{pynfdc} prints it: origin and cost of each route, by prefix.
        """
        _, _, rib = (await self.pynfdc(node, "Get-Route")).partition("Routing Table (RIB)\n")
        found: dict[str, list[tuple[int, int]]] = {}
        prefix = ""
        for line in rib.splitlines():
            route = re.match(r"\tFaceID=\d+ +Cost=(\d+) +Origin=(\d+)", line)
            if route is not None:
                found[prefix].append((int(route[2]), int(route[1])))
            elif line:
                prefix = line
                found[prefix] = []
        return found

    async def until(self, node: str, prefix: str, there: bool) -> list[tuple[int, int]]:
        """
        Wait until a node has routes for a prefix, or none any more. The test's own deadline ends it.

        @return: them.
        """
        while True:
            routes = (await self.routes(node)).get(prefix, [])
            if bool(routes) is there:
                return routes
            await deferLater(reactor, 0.1)


class PynfdcTests(ManagementCase):
    """
    All that C{pynfdc} can do.
    """

    async def one(self, **options: Any) -> Node:
        """
        Start a node.
        """
        self.port = freePort()
        listener = self.names("unix:one.sock", f"tcp:127.0.0.1:{self.port}", **options)
        # A face that is made is a flow: a route says that it may be.
        routes = [{"match": {"target": "127.0.0.1"}, "allowSpecial": True}]
        return await self.node("one", listeners={"names": listener}, routes=routes)

    async def test_itTellsOfTheForwarder(self) -> None:
        await self.one()
        await self.producer("unix:one.sock", "/a/file")
        await self.fetch("unix:one.sock", "/a/file", 100_000)
        said = dict(re.findall(r"^ +(\w+)\t(.*)$", await self.pynfdc("one", "Get-Status"), re.MULTILINE))
        self.assertTrue(said["version"].startswith("hermes-"), said)
        self.assertEqual(said["nFibEntries"], "3")
        self.assertGreaterEqual(int(said["nCsEntries"]), 13)
        self.assertGreaterEqual(int(said["nSatisfiedInterests"]), 13)
        self.assertGreater(int(said["nInInterests"]), 13)

    async def test_facesAreListedMadeAndEnded(self) -> None:
        await self.one()
        await self.producer(f"tcp:127.0.0.1:{self.port}", "/a")
        said = await self.pynfdc("one", "Get-Face")
        self.assertRegex(said, r"(?m)^1 +internal://")
        self.assertRegex(said, rf"(?m)^\d+ +tcp4://127\.0\.0\.1:\d+ +\ttcp4://127\.0\.0\.1:{self.port} *$")
        self.assertRegex(said, r"(?m)^\d+ +fd://\d+ +\tunix://.*one\.sock *$")
        udp = freePort()
        self.assertEqual(await self.pynfdc("one", "New-Face", f"127.0.0.1:{udp}"), "200 OK\n")
        self.assertEqual(
            await self.pynfdc("one", "New-Face", f"127.0.0.1:{udp}"), "409 Face with remote URI already exists\n"
        )
        said = await self.pynfdc("one", "Get-Face", f"udp4://127.0.0.1:{udp}")
        self.assertIn("PERSISTENT", said)
        self.assertIn("POINT_TO_POINT", said)
        faceID = re.search(r"Face ID\t(\d+)", said)
        assert faceID is not None
        self.assertIn(f"udp4://127.0.0.1:{udp}", await self.pynfdc("one", "Get-Face", faceID[1]))
        self.assertIn("200 OK", await self.pynfdc("one", "Remove-Face", f"udp4://127.0.0.1:{udp}"))
        self.assertIn("No face is found", await self.pynfdc("one", "Get-Face", faceID[1]))
        self.assertIn("406 ", await self.pynfdc("one", "New-Face", "frob://127.0.0.1:1"))
        self.assertIn("no route", await self.pynfdc("one", "New-Face", "192.0.2.1:6363"))

    async def test_aFaceThatIsMadeCarriesARoute(self) -> None:
        port = freePort()
        await self.node("far", listeners={"names": self.names("unix:far.sock", f"tcp:127.0.0.1:{port}")})
        await self.producer("unix:far.sock", "/far")
        # A face is a flow: a route says that it may be.
        await self.node(
            "one",
            listeners={"names": self.names("unix:one.sock")},
            routes=[{"match": {"target": "127.0.0.1"}, "allowSpecial": True}],
        )
        self.assertEqual(await self.pynfdc("one", "New-Face", f"tcp4://127.0.0.1:{port}"), "200 OK\n")
        said = await self.pynfdc("one", "Get-Face", f"tcp4://127.0.0.1:{port}")
        faceID = re.search(r"Face ID\t(\d+)", said)
        assert faceID is not None
        self.assertEqual(await self.pynfdc("one", "New-Route", "/far", faceID[1]), "200 Success\n")
        self.assertEqual(await self.routes("one"), {"/far": [(0, 0)]})
        await self.fetch("unix:one.sock", "/far", 1_000_000)
        self.assertEqual(await self.pynfdc("one", "Remove-Route", "/far", faceID[1]), "200 Success\n")
        self.assertEqual(await self.routes("one"), {})
        self.assertEqual(await self.pynfdc("one", "New-Route", "/far", 99999), "410 Face not found\n")

    async def test_strategiesAreChosen(self) -> None:
        await self.one()
        self.assertRegex(await self.pynfdc("one", "Get-Strategy"), r"^/\n\t/localhost/nfd/strategy/best-route/v=\d+\n$")
        self.assertEqual(await self.pynfdc("one", "Set-Strategy", "/a", "asf"), "200 OK\n")
        self.assertRegex(await self.pynfdc("one", "Get-Strategy", "/a"), r"^/a\n\t/localhost/nfd/strategy/asf/v=\d+\n$")
        self.assertEqual(await self.pynfdc("one", "Remove-Strategy", "/a"), "200 OK\n")
        self.assertEqual(await self.pynfdc("one", "Get-Strategy", "/a"), "")
        self.assertEqual(await self.pynfdc("one", "Set-Strategy", "/a", "ncc"), "404 Strategy not registered\n")

    async def test_aProgramThatIsKilledTakesItsPrefixesAlong(self) -> None:
        await self.one()
        producer = await self.producer("unix:one.sock", "/a/b")
        self.assertEqual(await self.routes("one"), {"/a/b": [(0, 0)]})
        await producer.kill()
        await self.until("one", "/a/b", False)

    async def test_onlyKeysThatTheConfigurationHasAreObeyed(self) -> None:
        from hermes.ndn.packet.name import Name
        from hermes.ndn.security.keychain import Keychain

        certificate = Keychain(str(self.directory / "keys"), reactor.seconds).createKey(Name.fromText("/operator"))
        path = self.directory / "operator.ndncert"
        path.write_text(certificate.toText())
        await self.one(management={"keys": [{"certificate": str(path)}]})
        self.assertEqual(await self.pynfdc("one", "Set-Strategy", "/a", "asf"), "403 authorization rejected\n")
        self.assertIn("hermes-", await self.pynfdc("one", "Get-Status"))


class OperatorTests(ManagementCase):
    """
    What C{pynfdc} can't, on python-ndn.
    """

    async def test_theContentStoreTellsIsBoundedAndErased(self) -> None:
        await self.node("one", listeners={"names": self.names("unix:one.sock", store=88_000)})
        await self.producer("unix:one.sock", "/a/file")
        await self.fetch("unix:one.sock", "/a/file", 40_000)
        [info] = await self.operator("one", "info")
        self.assertEqual((info["capacity"], info["entries"]), (10, 5))
        [response] = await self.operator("one", "config", 3)
        self.assertEqual((response["status_code"], response["capacity"]), (200, 3))
        [response] = await self.operator("one", "erase", "/a")
        self.assertEqual(response, {"status_code": 200, "status_text": "OK", "count": 3})
        [info] = await self.operator("one", "info")
        self.assertEqual((info["capacity"], info["entries"]), (3, 0))

    async def test_commandsOfBeforeAreUnderstood(self) -> None:
        await self.node("one", listeners={"names": self.names("unix:one.sock")})
        [response] = await self.operator("one", "register", "/a")
        self.assertEqual((response["status_code"], response["status_text"]), (200, "Success"))

    async def test_facesAreNotifiedOf(self) -> None:
        await self.node("one", listeners={"names": self.names("unix:one.sock")})
        listening = self.program("ndnoperator", "unix:one.sock", "events")
        await listening.said("waiting")
        producer = await self.producer("unix:one.sock", "/a")
        await producer.kill()
        self.assertEqual(await listening.end(), 0, listening.output)
        told = [json.loads(line) for line in listening.stdout.splitlines()[1:]]
        ended = told[-1]["face"]
        # It may have been told of its own face first.
        self.assertEqual(
            [event["event"] for event in told if event["face"] == ended], ["CREATED", "UP", "DOWN", "DESTROYED"]
        )


class OverlayTests(ManagementCase):
    """
    Three nodes in a row.
    """

    async def test_whatIsRegisteredAtTheLastIsFetchedAtTheFirst(self) -> None:
        await self.rowOf("a", "b", "c")
        await self.producer("unix:c.sock", "/c/file")
        await self.producer("unix:a.sock", "/a/file")
        self.assertEqual(await self.until("a", "/c/file", True), [(160, 2)])
        await self.fetch("unix:a.sock", "/c/file", 1_000_000)
        self.assertEqual(await self.until("c", "/a/file", True), [(160, 2)])
        await self.fetch("unix:c.sock", "/a/file", 1_000_000)

    async def test_aProducerThatIsKilledIsWithdrawnEverywhere(self) -> None:
        await self.rowOf("a", "b", "c")
        producer = await self.producer("unix:c.sock", "/c/file")
        await self.until("a", "/c/file", True)
        await producer.kill()
        for node in ("c", "b", "a"):
            await self.until(node, "/c/file", False)
        consumer = self.program("ndnconsumer", "unix:a.sock", "/c/file", 1000, "--tries", 1)
        await consumer.said("segment 0 does not come")

    async def test_ofTwoProducersTheOtherTakesOver(self) -> None:
        await self.rowOf("a", "b", "c")
        producers = {node: await self.producer(f"unix:{node}.sock", "/file") for node in ("a", "c")}
        while len(await self.until("b", "/file", True)) < 2:
            await deferLater(reactor, 0.1)
        await self.fetch("unix:b.sock", "/file", 100_000)
        await producers["a"].kill()
        await self.fetch("unix:b.sock", "/file", 200_000)
        self.assertEqual(await self.until("b", "/file", True), [(160, 1)])
        # And what programs at the node of the first ask for comes from the second, too.
        await self.fetch("unix:a.sock", "/file", 300_000)

    async def test_aNodeThatGoesAndComesBackIsToldEverything(self) -> None:
        names = ("a", "b", "c")
        nodes = await self.rowOf(*names)
        await self.producer("unix:c.sock", "/c/file")
        await self.until("a", "/c/file", True)
        await nodes["b"].kill()
        await self.until("a", "/c/file", False)
        await self.inRow("b", names).ready()
        self.assertEqual(await self.until("a", "/c/file", True), [(160, 2)])
        await self.fetch("unix:a.sock", "/c/file", 500_000)

    async def test_aPlainForwarderIsToldToo(self) -> None:
        port = freePort()
        # It stands for an NFD: of our protocol it knows nothing.
        await self.node(
            "hub",
            listeners={
                "names": self.names("unix:hub.sock", f"tcp:127.0.0.1:{port}", management={"neighbours": "anybody"})
            },
        )
        face = {"to": f"tcp:127.0.0.1:{port}", "direct": True}
        await self.node("one", listeners={"names": self.names("unix:one.sock", faces={"hub": face}, register=["hub"])})
        producer = await self.producer("unix:one.sock", "/one/file")
        self.assertEqual(await self.until("hub", "/one/file", True), [(65, 0)])
        await self.fetch("unix:hub.sock", "/one/file", 500_000)
        await producer.kill()
        await self.until("hub", "/one/file", False)
