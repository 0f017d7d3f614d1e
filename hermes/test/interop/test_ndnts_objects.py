"""
Programs on NDNts at one end of an overlay, and others at its other end: on NDNts, on python-ndn, C{hermes ndn}.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet import reactor as theReactor
from twisted.internet.task import deferLater

from hermes.test.docs.pages import DOCS, MISSING, blocks
from hermes.test.interop.ndnfaces import SEGMENT
from hermes.test.interop.ndntspeers import NDNtsCase, NDNtsError, Peer
from hermes.test.interop.process import Process

# Its type depends on the platform.
reactor: Any = theReactor


class OverlayTests(NDNtsCase):
    """
    NDNts with others.
    """

    async def until(self, peer: Peer, prefix: str, there: bool = True) -> list[dict[str, Any]]:
        """
        Wait until a node has routes for a prefix, or none any more. The test's own deadline ends it.

        @return: them.
        """
        while True:
            routes = (await peer.routes()).get(prefix, [])
            if bool(routes) is there:
                return routes
            await deferLater(reactor, 0.05)

    def hermes(self, node: str, *arguments: object) -> Process:
        """
        Run C{hermes ndn}.
        """
        at = ("--forwarder", f"unix://{self.directory}/{node}.sock")
        return self.start(sys.executable, "-m", "hermes.cli", "ndn", *map(str, arguments), *at)

    async def _ends(self, process: Process, status: int = 0) -> bytes:
        """
        Wait for the end of a program.

        @return: what it has written.
        """
        process.closeInput()
        self.assertEqual(await process.end(), status, process.output)
        return process.stdout

    async def test_objectsCrossItWhoeverServesAndFetchesThem(self) -> None:
        await self.rowOf("a", "b", "c")
        near, far = [await self.peer(f"unix:{node}.sock") for node in ("a", "c")]
        for peer in (near, far):
            await peer.do("register")
        file, digest = self.file(1_000_000)
        whole = {"bytes": 1_000_000, "digest": digest}
        # Served by NDNts, python-ndn and Hermes.
        self.assertEqual(await far.do("publish", name="/ndnts/object", file=file, version=7), "/ndnts/object/v=7")
        await far.do("publish", name="/plain/1000000", file=file, chunkSize=SEGMENT)
        publisher = self.hermes("c", "put", "/hermes/object", file)
        await self.producer("unix:c.sock", "/python")
        await publisher.said(r"\d+ segments$")
        for prefix in ("/ndnts/object", "/plain/1000000", "/hermes/object", "/python"):
            [route] = await self.until(near, prefix)
            self.assertEqual((route["origin"], route["cost"]), (160, 2))
        # Fetched by NDNts, python-ndn and Hermes.
        for by in ("metadata", "prefix"):
            told = await near.do("fetch", name="/ndnts/object", by=by)
            self.assertEqual(told, {"name": "/ndnts/object/v=7", **whole})
            told = await near.do("fetch", name="/hermes/object", by=by)
            self.assertRegex(told["name"], r"^/hermes/object/v=\d+$")
            self.assertEqual((told["bytes"], told["digest"]), (1_000_000, digest))
        told = await near.do("fetch", name="/python/1000000")
        self.assertEqual(told, {"name": "/python/1000000", **whole})
        await self.fetch("unix:a.sock", "/plain", 1_000_000)
        await self._ends(self.hermes("a", "get", "/ndnts/object", "-o", "got"))
        self.assertEqual((self.directory / "got").read_bytes(), Path(file).read_bytes())
        # And in the other direction.
        await near.do("answer", prefix="/hello", content="hello")
        await self.until(far, "/hello")
        self.assertEqual((await far.do("get", name="/hello/you"))["content"], "hello")
        self.assertEqual(await self._ends(self.hermes("c", "peek", "/hello/me", "--payload")), b"hello")
        await far.kill()
        for prefix in ("/ndnts/object", "/plain/1000000"):
            await self.until(near, prefix, there=False)

    async def test_theProgramOfTheDocumentationIsHeard(self) -> None:
        if MISSING is not None:
            raise SkipTest(MISSING)
        [script] = [block.body for block in blocks(DOCS / "howto" / "ndn.md") if block.info == "js"]
        (self.directory / "ndnts" / "hello.mjs").write_text(script)
        await self.node("edge", listeners={"names": self.names("unix:edge.sock")})
        self.start("node", "ndnts/hello.mjs")
        await self.until(await self.peer("unix:edge.sock"), "/hello")
        said = await self._ends(self.hermes("edge", "peek", "--payload", "/hello/you"))
        self.assertEqual(said, b"hello from NDNts\n")

    async def test_signaturesAreVerifiedOnBothSides(self) -> None:
        await self.node("one", listeners={"names": self.names("unix:one.sock")})
        producer, consumer = [await self.peer("unix:one.sock") for _ in range(2)]
        await producer.do("register")
        file, digest = self.file(100_000)
        algorithms = ("ecdsa", "rsa", "ed25519")
        for algorithm in algorithms:
            anchor = self.directory / f"{algorithm}.ndncert"
            anchor.write_text(await producer.do("sign", name=f"/{algorithm}", algorithm=algorithm))
            await producer.do("publish", name=f"/{algorithm}/object", file=file, version=1)
            await self.until(consumer, f"/{algorithm}/object")
        gets = [
            self.hermes("one", "get", f"/{algorithm}/object", "-o", algorithm, "--anchor", f"{algorithm}.ndncert")
            for algorithm in algorithms
        ]
        wrong = self.hermes("one", "get", "/rsa/object", "-o", "wrong", "--anchor", "ecdsa.ndncert")
        await self._ends(wrong, status=1)
        self.assertFalse((self.directory / "wrong").exists())
        for algorithm, get in zip(algorithms, gets, strict=True):
            await self._ends(get)
            self.assertEqual((self.directory / algorithm).read_bytes(), Path(file).read_bytes())
        making = self.start(sys.executable, "-m", "hermes.cli", "ndn", "key", "gen", "/h", "--keychain", "keys")
        certificate = (await self._ends(making)).decode()
        publisher = self.hermes("one", "put", "/h/object", file, "--keychain", "keys")
        await publisher.said(r"\d+ segments$")
        told = await consumer.do("fetch", name="/h/object", by="metadata", certificate=certificate)
        self.assertEqual(told["digest"], digest)
        another = (self.directory / "ecdsa.ndncert").read_text()
        with self.assertRaisesRegex(NDNtsError, "verify failed"):
            await consumer.do("fetch", name="/h/object", by="metadata", certificate=another)
