"""
Objects of NDN by HTTP: C{GET /ndn/NAME} at real nodes, of programs on python-ndn and of C{hermes ndn put}.
"""

from __future__ import annotations

import json
import signal
import sys
from hashlib import sha256
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import treq
from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.web.client import Agent, ResponseFailed

from hermes.test.interop.ndnnodes import MEGABYTE, NDNCase
from hermes.test.interop.process import Process
from hermes.test.interop.processes import Node
from hermes.test.processes import freePort

# Its type depends on the platform.
reactor: Any = theReactor

HERMES = (sys.executable, "-c", "import sys; from hermes.cli import main; sys.exit(main())")


class Stalls(Protocol):
    """
    A client that asks and reads nothing of the answer but its beginning.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.began: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(f"GET {self.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.transport.pauseProducing()  # type: ignore[union-attr]
        if not self.began.called:
            self.began.callback(None)


class GatewayCase(NDNCase):
    """
    A test with a gateway.
    """

    def setUp(self) -> None:
        super().setUp()
        # A Unix socket's path has little room (unix(7)), less than the names of the tests.
        self.directory = Path(mkdtemp(prefix="ndn"))
        self.addCleanup(rmtree, self.directory)

    async def gateway(
        self, listener: dict[str, Any] | None = None, assist: tuple[str, ...] = ("gate",), **options: Any
    ) -> Node:
        """
        Start a node.

        @param listener: more of the listener of NDN.
        @param assist: what stands before what.
        @param options: more of the gateway.
        """
        return await self.node(
            "one",
            listeners={
                "names": self.names("unix:one.sock", **(listener or {})),
                "web": {"type": "http", "bind": "127.0.0.1:0", "assist": list(assist)},
            },
            assist={
                "objects": {"type": "cache", "size": "64MiB"},
                "gate": {"type": "ndn", "forwarder": "names", **options},
            },
        )

    def hermes(self, *arguments: object) -> Process:
        """
        Run C{hermes ndn} at C{one.sock}.
        """
        at = ("--keychain", "keys") if arguments[0] in ("put", "key") else ()
        forwarder = () if arguments[0] == "key" else ("--forwarder", f"unix://{self.directory}/one.sock")
        # The keychain's own arguments come after the action.
        return self.start(*HERMES, "ndn", *map(str, arguments), *at, *forwarder)

    async def key(self, *arguments: object) -> str:
        """
        Run C{hermes ndn key}.

        @return: what it prints.
        """
        process = self.hermes("key", *arguments)
        process.closeInput()
        self.assertEqual(await process.end(), 0, process.output)
        return process.stdout.decode()

    async def put(self, name: str, content: bytes, *options: object) -> Process:
        """
        Publish an object.
        """
        file = self.directory / "object"
        file.write_bytes(content)
        publisher = self.hermes("put", name, file, *options)
        await publisher.said(r"\d+ segments$")
        return publisher

    async def ask(self, node: Node, path: str, method: str = "GET", **fields: str) -> Any:
        """
        Ask for something.

        @return: the response, without its body.
        """
        headers: Any = {name.replace("_", "-"): value for name, value in fields.items()}
        url = f"http://{node.address('web')}{path}"
        return await treq.request(method, url, headers=headers, agent=Agent(reactor), unbuffered=True)

    async def get(self, node: Node, path: str, **fields: str) -> tuple[int, bytes, Any]:
        """
        Get something.

        @return: status, body, and the response's fields.
        """
        response = await self.ask(node, path, **fields)
        return response.code, await treq.content(response), response.headers


class GatewayTests(GatewayCase):
    """
    One node.
    """

    async def test_aPythonProducersObjectComesWholeAndInParts(self) -> None:
        node = await self.gateway()
        await self.producer("unix:one.sock", "/a/file", 3 * MEGABYTE)
        # Needs python-ndn.
        from hermes.test.interop.ndnproducer import content

        whole, path = content(3 * MEGABYTE), f"/ndn/a/file/{3 * MEGABYTE}"
        status, body, _ = await self.get(node, path)
        self.assertEqual((status, sha256(body).digest()), (200, sha256(whole).digest()))
        status, body, headers = await self.get(node, path, range="bytes=1999990-2000009")
        self.assertEqual((status, body), (206, whole[1_999_990:2_000_010]))
        self.assertEqual(headers.getRawHeaders("content-range"), [f"bytes 1999990-2000009/{3 * MEGABYTE}"])
        head = await self.output("curl", "-sI", f"http://{node.address('web')}{path}")
        self.assertIn(f"\r\ncontent-length: {3 * MEGABYTE}\r\n", head)

    async def test_metadataTellsWhatAnObjectIs(self) -> None:
        node = await self.gateway()
        await self.put("/a/page", b"<p>one</p>", "--type", "text/html; charset=utf-8")
        status, body, headers = await self.get(node, "/ndn/a/page")
        self.assertEqual((status, body), (200, b"<p>one</p>"))
        self.assertEqual(headers.getRawHeaders("content-type"), ["text/html; charset=utf-8"])
        (tag,) = headers.getRawHeaders("etag")
        self.assertEqual((await self.ask(node, "/ndn/a/page", if_none_match=tag)).code, 304)
        (versioned,) = headers.getRawHeaders("content-location")
        status, body, headers = await self.get(node, versioned)
        self.assertEqual(headers.getRawHeaders("cache-control"), ["max-age=31536000, immutable"])
        self.assertEqual(headers.getRawHeaders("etag"), [tag])

    async def test_whatNobodyHasIsNotFoundAndWhoDoesNotAnswerIsLate(self) -> None:
        node = await self.gateway(timeout=0.2, retries=0)
        status, _, headers = await self.get(node, "/ndn/a/file/1000")
        self.assertEqual(status, 404)
        self.assertIn("error=destination_not_found", headers.getRawHeaders("proxy-status")[0])
        producer = await self.producer("unix:one.sock", "/a/file", 1000)
        self.assertEqual((await self.get(node, "/ndn/a/file/1000"))[0], 200)
        producer.signal(signal.SIGSTOP)
        status, _, headers = await self.get(node, "/ndn/a/file/2000")
        self.assertEqual(status, 504)
        self.assertIn("error=http_response_timeout", headers.getRawHeaders("proxy-status")[0])
        await producer.kill()
        self.assertEqual((await self.get(node, "/ndn/a/file/3000"))[0], 404)

    async def test_anObjectWhoseProducerDiesIsNeverTakenForAWholeOne(self) -> None:
        node = await self.gateway({"store": "64KiB"}, timeout=0.2, retries=0)
        size = 20 * MEGABYTE
        publisher = await self.put("/a/file", Random(1).randbytes(size))
        response = await self.ask(node, "/ndn/a/file")
        self.assertEqual((response.code, response.length), (200, size))
        await publisher.kill()
        got: list[bytes] = []
        await self.assertFailure(treq.collect(response, got.append), ResponseFailed)
        self.assertLess(sum(map(len, got)), size)

    async def test_aSlowClientHoldsBackItsFetch(self) -> None:
        node = await self.gateway({"store": "1MiB"})
        size = 100 * MEGABYTE
        publisher = await self.put("/a/file", bytes(size))
        await self.get(node, "/ndn/a/file", range="bytes=0-0")
        before = node.residentBytes()
        client = Stalls("/ndn/a/file")
        address = HostnameEndpoint(reactor, b"127.0.0.1", node.ports["web"])
        await connectProtocol(address, client)
        await client.began
        await deferLater(reactor, 2)
        self.assertLess(node.residentBytes() - before, 16 * MEGABYTE)
        publisher.signal(signal.SIGINT)
        sent = int((await publisher.said(r"^(\d+) segments sent"))[1])
        # What the gateway reads ahead, and what the kernel takes between two sockets.
        self.assertLess(sent * 8000, 20 * MEGABYTE)
        client.transport.loseConnection()  # type: ignore[union-attr]

    async def test_whoIsNotBelievedIsNotPassedOn(self) -> None:
        await self.key("gen", "/a")
        (self.directory / "anchor.cert").write_text(await self.key("dump", "/a"))
        node = await self.gateway(anchors=["anchor.cert"])
        await self.put("/a/signed", b"signed by a", "-S", "id:/a")
        status, body, _ = await self.get(node, "/ndn/a/signed")
        self.assertEqual((status, body), (200, b"signed by a"))
        await self.put("/a/digest", b"signed by nobody", "-S", "digest")
        status, body, headers = await self.get(node, "/ndn/a/digest")
        self.assertEqual(status, 502)
        self.assertNotIn(b"signed by nobody", body)
        self.assertIn("one;error=", headers.getRawHeaders("proxy-status")[0])
        # Programs of NDN verify for themselves: they get it.
        got = self.hermes("get", "/a/digest")
        self.assertEqual((await got.end(), got.stdout), (0, b"signed by nobody"))

    async def test_whatOneWayHasFetchedTheOtherHas(self) -> None:
        node = await self.gateway({"cache": "objects"}, ("objects", "gate"))
        whole = Random(2).randbytes(MEGABYTE)
        publisher = await self.put("/a/file", whole)
        status, body, headers = await self.get(node, "/ndn/a/file")
        self.assertEqual((status, body), (200, whole))
        name = headers.getRawHeaders("content-location")[0].removeprefix("/ndn")
        await publisher.kill()
        got = self.hermes("get", name)
        self.assertEqual((await got.end(), got.stdout), (0, whole))
        metrics = await node.ask("/metrics")
        # Its 125 segments, and metadata; there is no response of HTTP beside them.
        self.assertRegex(metrics, r'hermes_cache_objects\{cache="objects"\} 12[56]\.0')


class OverlayTests(GatewayCase):
    """
    A gateway at one node, a producer at another, and a mutually authenticated tunnel between them.
    """

    async def test_anObjectIsFetchedFromFarAway(self) -> None:
        port = freePort()
        far = {
            "identity": self.identity("far"),
            "listeners": {
                "overlay": {"type": "tunnel", "bind": f"127.0.0.1:{port}"},
                "names": self.names("unix:far.sock", neighbours=["one"]),
            },
            "routes": [{"match": {"target": "ndn.hermes", "node": "one"}, "to": "names"}],
        }
        near = {
            "identity": self.identity("one"),
            "listeners": {
                "names": self.names("unix:one.sock", faces={"far": {"to": "udp:ndn.hermes"}}, announce=["far"]),
                "web": {"type": "http", "bind": "127.0.0.1:0", "assist": ["gate"]},
            },
            "assist": {"gate": {"type": "ndn", "forwarder": "names"}},
            "upstreams": {"far": {"type": "hermes", "endpoints": [f"127.0.0.1:{port}"], "node": "far"}},
            "routes": [{"match": {"listener": "names", "target": "ndn.hermes"}, "via": ["far"]}],
        }
        await self.node("far", **far)
        node = await self.node("one", **near)
        producer = await self.producer("unix:far.sock", "/b/file", 2 * MEGABYTE)
        from hermes.test.interop.ndnproducer import content

        path = f"/ndn/b/file/{2 * MEGABYTE}"
        # Neighbours tell each other.
        while (await self.ask(node, path, "HEAD")).code == 404:
            await deferLater(reactor, 0.1)
        status, body, _ = await self.get(node, path)
        self.assertEqual((status, sha256(body).digest()), (200, sha256(content(2 * MEGABYTE)).digest()))
        (names,) = [each for each in json.loads(await node.ask("/status"))["listeners"] if each["name"] == "names"]
        (neighbour,) = names["propagation"]["neighbours"]
        self.assertEqual((neighbour["node"], neighbour["prefixes"], neighbour["told"]), ("far", 1, True))
        await producer.kill()
        while (await self.ask(node, "/ndn/b/file/1", "HEAD")).code != 404:
            await deferLater(reactor, 0.1)
