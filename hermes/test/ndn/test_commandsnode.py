"""
C{hermes ndn} at a node, with python-ndn's unmodified programs as the other side: C{pyndntools}, and the producer and
consumer of L{hermes.test.interop}.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from hashlib import sha256
from random import Random
from typing import Any

from hermes.test.interop.ndnnodes import MEGABYTE, NDNCase
from hermes.test.interop.process import Process


def content(size: int) -> bytes:
    """
    The objects of L{hermes.test.interop.ndnproducer}.
    """
    return Random(size).randbytes(size)


class NodeCase(NDNCase):
    """
    A node with a forwarder, and tools at it.
    """

    async def forwarder(self) -> None:
        """
        Start one.
        """
        await self.node("edge", listeners={"names": self.names("unix:ndn.sock")})

    def hermes(self, *arguments: object) -> Process:
        """
        Start C{hermes ndn}.
        """
        return self.start(
            "env",
            f"NDN_CLIENT_TRANSPORT=unix://{self.directory}/ndn.sock",
            sys.executable,
            "-m",
            "hermes.cli",
            "ndn",
            *map(str, arguments),
        )

    def pyndntools(self, *arguments: object) -> Process:
        """
        Start python-ndn's tools.
        """
        program = "import sys; from ndn.bin.tools import main; sys.exit(main())"
        uri = f"NDN_CLIENT_TRANSPORT=unix://{self.directory}/ndn.sock"
        return self.start("env", uri, sys.executable, "-c", program, *map(str, arguments))

    async def ended(self, process: Process, status: int = 0) -> str:
        """
        Wait for its end; what it has written.
        """
        self.assertEqual(await process.end(), status, process.output)
        return process.output

    async def get(self, *arguments: object, status: int = 0) -> str:
        """
        Get something; what is said about it.
        """
        return await self.ended(self.hermes("get", *arguments), status)

    def file(self, size: int) -> str:
        """
        A file with an object in it.
        """
        path = os.path.join(self.directory, str(size))
        with open(path, "wb") as file:
            file.write(content(size))
        return path

    def same(self, name: str, size: int) -> None:
        """
        Fail unless a file holds this object.
        """
        with open(os.path.join(self.directory, name), "rb") as file:
            self.assertEqual(sha256(file.read()).digest(), sha256(content(size)).digest())

    async def put(self, *arguments: object) -> Process:
        """
        Put something, and wait until it is there.
        """
        process = self.hermes("put", *arguments)
        await process.said(r": \d+ segments$")
        return process


class ObjectTests(NodeCase):
    """
    Objects of some size, whole and verified.
    """

    async def test_ofPythonNdnWithAFixedWindow(self) -> None:
        await self.forwarder()
        await self.producer("unix:ndn.sock", "/onl/file", 25 * MEGABYTE)
        for size in (MEGABYTE, 25 * MEGABYTE):
            told = await self.get(f"/onl/file/{size}", "-o", "got", "-p", "fixed", "--window", 20, "--discover", "none")
            self.same("got", size)
            self.assertIn(f"Segments received: {size // 8000}\n", told)
            self.assertIn("Timeouts: 0, overtaken: 0,", told)

    async def test_forPythonNdnWithAFixedWindow(self) -> None:
        await self.forwarder()
        for size in (MEGABYTE, 25 * MEGABYTE):
            producer = await self.put(f"/onl/file/{size}", self.file(size), "--no-version")
            told = await self.fetch("unix:ndn.sock", "/onl/file", size)
            self.assertEqual((told["timeouts"], told["nacks"]), (0, 0))
            await producer.kill()

    async def test_fromOneToTheOtherWithEveryPipeline(self) -> None:
        await self.forwarder()
        size = 25 * MEGABYTE
        producer = await self.put("/onl/file", self.file(size))
        for pipeline in (("fixed", "-s", 20), ("aimd",), ("cubic",)):
            await self.get("/onl/file", "-o", "got", "-p", *pipeline)
            self.same("got", size)
            os.unlink(os.path.join(self.directory, "got"))
        producer.signal(signal.SIGINT)
        said = await self.ended(producer, 130)
        # The forwarder has answered the second and the third out of its Content Store.
        match = re.search(r"(\d+) segments sent, metadata (\d+) times", said)
        assert match is not None, said
        self.assertGreaterEqual(int(match[1]), 3125)
        self.assertEqual(int(match[2]), 3)

    async def test_pythonNdnsToolsFindAndFetchOurs(self) -> None:
        await self.forwarder()
        await self.put("/onl/file", self.file(300_000))
        said = await self.ended(self.pyndntools("catchunks", "/onl/file/32=metadata", "-o", "got", "-f"))
        self.assertIn("Segment Count: 38  Content size: 300000", said)
        self.same("got", 300_000)

    async def test_weFindAndFetchThoseOfPythonNdnsTools(self) -> None:
        await self.forwarder()
        producer = self.pyndntools("putchunks", "/onl/file", self.file(300_000))
        await producer.said("Start serving")
        for discovery in ("metadata", "prefix"):
            told = await self.get("/onl/file", "-o", "got", "--discover", discovery, "-r", -1)
            self.assertRegex(told, r"/onl/file/v=\d+: all segments have been received")
            self.same("got", 300_000)

    async def test_throughStandardInputAndOutput(self) -> None:
        await self.forwarder()
        producer = self.hermes("put", "/onl/file", "-p")
        producer.write(content(100_000))
        producer.closeInput()
        version = (await producer.said(r"^(v=\d+)$"))[1]
        consumer = self.hermes("get", f"/onl/file/{version}", "-q")
        await self.ended(consumer)
        self.assertEqual(consumer.stdout, content(100_000))

    async def test_verifiedUpToAnAnchorAtTheOtherEndOfTheNetwork(self) -> None:
        await self.forwarder()

        async def key(*arguments: object, into: str | None = None) -> None:
            process = self.hermes("key", *arguments, "--keychain", "keys")
            await self.ended(process)
            if into is not None:
                with open(os.path.join(self.directory, into), "wb") as file:
                    file.write(process.stdout)

        for who, file in (("/onl", "onl"), ("/onl/file", "alice"), ("/elsewhere", "elsewhere")):
            await key("gen", who, into=file)
        await key("sign", "alice", "-s", "/onl", into="issued")
        await key("install", "issued")
        await self.put("/onl/file", self.file(300_000), "--keychain", "keys", "-S", "id:/onl/file")
        self.assertIn("received and verified.", await self.get("/onl/file", "-o", "got", "--anchor", "onl"))
        self.same("got", 300_000)
        said = await self.get("/onl/file", "-o", "other", "--anchor", "elsewhere", status=1)
        self.assertIn("hermes ndn get: ", said)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "other")))


class ToolTests(NodeCase):
    """
    The other tools.
    """

    async def test_peekAndPokeWithPythonNdns(self) -> None:
        await self.forwarder()
        with open(os.path.join(self.directory, "hello"), "w") as file:
            file.write("hello")
        producer = self.pyndntools("poke", "/onl/one", "hello")
        await producer.said("Start serving")
        # It says so before the forwarder knows of it.
        while await (peek := self.hermes("peek", "/onl/one", "-p")).end() != 0:
            pass
        self.assertEqual(peek.stdout, b"hello")
        ours = self.hermes("poke", "/onl/two", "hello", "-x", 1000, "-F")
        while True:
            # As above: nobody says when the forwarder knows.
            theirs = await self.ended(self.pyndntools("peek", "/onl/two", "-o", "-", "-p"))
            if "Received" in theirs:
                break
        self.assertIn("Received Data Name: /onl/two", theirs)
        self.assertIn("hello", theirs.splitlines())
        await self.ended(ours)

    async def test_ping(self) -> None:
        await self.forwarder()
        server = self.hermes("pingserver", "/onl", "-p", 3)
        await server.said("^PING SERVER /onl$")
        said = await self.ended(self.hermes("ping", "/onl", "-c", 3, "-i", 10, "-n", 1))
        self.assertIn("3 packets transmitted, 3 received, 0 nacked, 0% lost, 0% nacked", said)
        await self.ended(server)
        self.assertIn("0 received", await self.ended(self.hermes("ping", "/onl", "-c", 1, "-o", 100), 1))

    async def test_interruptedPingSaysHowItWent(self) -> None:
        await self.forwarder()
        server = self.hermes("pingserver", "/onl", "-q")
        client = self.hermes("ping", "/onl", "-i", 10)
        await client.said("content from /onl")
        client.signal(signal.SIGINT)
        self.assertIn("--- ping statistics for /onl ---", await self.ended(client, 130))
        server.signal(signal.SIGTERM)
        await self.ended(server, 130)

    async def test_interruptedGetSaysThatItWas(self) -> None:
        await self.forwarder()
        # An object that has no end.
        server = self.hermes("pingserver", "/onl")
        await server.said("PING SERVER /onl")
        client = self.hermes("get", "/onl/ping/x", "-D", "-o", "copy", "-s", 1, "-p", "fixed")
        await server.said("interest received: /onl/ping/x/seg=1$")
        client.signal(signal.SIGINT)
        self.assertEqual(await self.ended(client, 130), "hermes ndn get: interrupted\n")
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith("copy")], [])
        server.signal(signal.SIGINT)
        self.assertRegex(
            await self.ended(server, 130), r"--- /onl ping server statistics ---\n\d+ packets processed\n$"
        )

    async def test_status(self) -> None:
        await self.forwarder()
        await self.put("/onl/file", self.file(10_000))
        process = self.hermes("status", "--json")
        await self.ended(process)
        found: dict[str, Any] = json.loads(process.stdout)
        self.assertIn("/onl/file", [entry["name"] for entry in found["fib"]])
        self.assertIn("/onl/file", [entry["name"] for entry in found["rib"]])
        self.assertEqual(found["general"]["fibEntries"], len(found["fib"]))
        said = await self.ended(self.hermes("status"))
        for text in ("Interests satisfied", "unix://", "/onl/file", "Content Store: ", "/localhost/nfd/strategy/"):
            self.assertIn(text, said)
        self.assertNotIn("Content Store", await self.ended(self.hermes("status", "fib")))

    async def test_withoutAForwarderItSaysSo(self) -> None:
        said = await self.ended(self.hermes("status"), 1)
        self.assertIn(f"hermes ndn status: no forwarder answers at unix://{self.directory}/ndn.sock", said)
        said = await self.ended(self.hermes("status", "--forwarder", "udp://192.0.2.1"), 2)
        self.assertIn("'udp://192.0.2.1' is no forwarder's address", said)

    async def test_whoReadsNoMoreEndsIt(self) -> None:
        await self.forwarder()
        await self.put("/onl/file", self.file(5 * MEGABYTE))
        uri = f"--forwarder unix://{self.directory}/ndn.sock"
        command = (
            f"{sys.executable} -m hermes.cli ndn get /onl/file -q {uri} | head -c 10 | wc -c; echo ${{PIPESTATUS[0]}}"
        )
        self.assertEqual((await self.output("bash", "-c", command)).split(), ["10", "0"])

    async def test_whenTheNodeGoesAwayToolsEnd(self) -> None:
        node = await self.node("edge", listeners={"names": self.names("unix:ndn.sock")})
        producer = await self.put("/onl/file", self.file(10_000))
        await node.kill()
        self.assertIn("the connection to the forwarder has ended", await self.ended(producer, 1))
