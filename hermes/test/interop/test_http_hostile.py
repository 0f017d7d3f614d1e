"""
Clients and origins that mean harm, or know no better.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from typing import Any

import h2.config
import h2.connection
import h2.events
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from hermes.test.interop.processes import Node
from hermes.test.interop.recorder import Answer
from hermes.test.interop.streams import Stream
from hermes.test.interop.test_http_routes import WEB, RouteCase

MIB = 1 << 20

CLIENTS = {"1.1": "--http1.1", "2": "--http2-prior-knowledge"}

OK = b"HTTP/1.1 200 OK\r\n"

# What an origin sends, and what a client gets: a status, or what curl ends with over HTTP/1.1 and over HTTP/2 where the
# body must not look whole.
ODD: dict[str, tuple[bytes, int]] = {
    "/garbage": (b"\x00\x01\x02 what is this\r\n\r\n", 502),
    "/http2": (b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 502),
    "/bareLF": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 502),
    "/fold": (OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok", 502),
    "/name": (OK + b"X Y: z\r\nContent-Length: 2\r\n\r\nok", 502),
    "/twoLengths": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!", 502),
    "/lengthAndChunks": (OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 502),
    "/negative": (OK + b"Content-Length: -2\r\n\r\nok", 502),
    "/manyFields": (OK + b"X: y\r\n" * 20_000, 502),
    "/longLine": (OK + b"X: " + b"y" * 200_000, 502),
    "/hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 200, 502),
    "/unasked": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502),
    "/proxyCredential": (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", 502),
    "/status": (b"HTTP/1.1 99 No\r\nContent-Length: 0\r\n\r\n", 502),
    "/surplus": (OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200),
    "/noBody": (b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil", 204),
    "/short": (OK + b"Content-Length: 100\r\n\r\nhalf", 0),
    "/chunksWithoutEnd": (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 0),
    "/badChunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n", 0),
}


class Odd(Stream):
    """
    Answers as L{ODD} says, and ends.
    """

    def keep(self, data: bytes) -> None:
        super().keep(data)
        if b"\r\n\r\n" in self.received:
            path = bytes(self.received).split(b" ", 2)[1].decode()
            self.socket.write(ODD[path][0] if path in ODD else OK + b"Content-Length: 4\r\n\r\nwell")
            self.received.clear()
            if path in ODD:
                self.socket.loseConnection()


def reset(sock: socket.socket) -> None:
    """
    Close with a RST.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class HostileCase(RouteCase):
    """
    A reverse proxy before one origin.
    """

    async def proxying(self, port: int, **options: Any) -> Node:
        return await self.node(
            "edge",
            listeners={"web": {**WEB["web"], **options}},
            upstreams={"one": {"type": "direct", "endpoints": [f"127.0.0.1:{port}"]}},
            routes=[{"match": {"host": "*"}, "to": "one"}],
        )

    async def nothingLeft(self, node: Node) -> None:
        """
        Wait until no request is open.
        """
        while json.loads(await node.ask("/requests")):
            pass
        self.assertNotIn("Traceback", node.output)


class OriginTests(HostileCase):
    """
    Origins.
    """

    async def test_noOddAnswerPassesForAWholeOne(self) -> None:
        server = await self.local.server(Odd)
        node = await self.proxying(server.port)
        for version, option in CLIENTS.items():
            for path, (_, expected) in ODD.items():
                curl = self.start(
                    *("curl", "-s", "--noproxy", "*", "--max-time", "20", option, "-o", "/dev/null"),
                    *("-w", "%{http_code}", f"http://{node.address('web')}{path}"),
                )
                status = await curl.end()
                if expected:
                    self.assertEqual((status, curl.stdout), (0, b"%d" % expected), (version, path))
                else:
                    # A reset: of the connection, or of the stream.
                    self.assertEqual(status, {"1.1": 56, "2": 92}[version], path)
            got = await self.get(node, "/well", option)
            self.assertEqual((got.status, got.body), (200, "well"))
        await self.nothingLeft(node)
        for path, (_, expected) in ODD.items():
            entry = await node.flow(path=path)
            self.assertEqual(entry["status"], expected or 200, path)
            self.assertEqual("error" in entry, expected in (0, 502), path)


class ClientTests(HostileCase):
    """
    Clients.
    """

    async def test_slowHeadsAreCutOffAndOthersAreAnswered(self) -> None:
        one, upstream = await self.origin()
        port = int(upstream["endpoints"][0].rpartition(":")[2])
        node = await self.proxying(port, limits={"headTime": "300ms"})
        slow = [await self.local.connect(node.ports["web"]) for _ in range(40)]
        for number, stream in enumerate(slow):
            stream.write((b"GET / HTTP/1.1\r\nHost: a.exa", b"PRI * HT")[number % 2])
        self.assertEqual((await self.get(node, "/x")).status, 200)
        await gatherResults([stream.until(lambda stream=stream: stream.readEnded) for stream in slow[::2]])  # type: ignore[misc]
        for stream in slow[::2]:
            self.assertTrue(bytes(stream.received).startswith(b"HTTP/1.1 408 "))
        for stream in slow[1::2]:
            await stream.until(lambda stream=stream: stream.reason is not None)  # type: ignore[misc]
        self.assertEqual(len(one.asked), 1)
        await self.nothingLeft(node)

    async def test_requestsThatAreAbortedLeaveNothing(self) -> None:
        one, upstream = await self.origin()
        port = int(upstream["endpoints"][0].rpartition(":")[2])
        node = await self.proxying(port)
        one.answer = lambda asked: Answer(body=None if asked.path == "/never" else b"ok")
        self.assertEqual((await self.get(node, "/x")).status, 200)
        at = ("127.0.0.1", node.ports["web"])

        def abort() -> None:
            for data in (
                b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n",
                b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
                b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
                b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
            ):
                for _ in range(5):
                    socks = [socket.create_connection(at) for _ in range(50)]
                    for sock in socks:
                        sock.sendall(data)
                    for sock in socks:
                        reset(sock)

        def resets(count: int, code: int) -> None:
            with socket.create_connection(at) as sock:
                connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
                connection.initiate_connection()
                for _ in range(count):
                    stream = connection.get_next_available_stream_id()
                    head = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/never")]
                    connection.send_headers(stream, head, end_stream=True)
                    connection.reset_stream(stream, code)
                    data = connection.data_to_send()
                    try:
                        sock.sendall(data)
                    except OSError:
                        return
                # All of it was read once this is answered, or the connection ends.
                connection.ping(b"12345678")
                sock.sendall(connection.data_to_send())
                while data := sock.recv(65536):
                    if any(isinstance(event, h2.events.PingAckReceived) for event in connection.receive_data(data)):
                        return

        def tooMany() -> None:
            with contextlib.suppress(OSError):
                resets(3000, 8)

        await deferToThread(abort)
        for code in (0, 2, 8):
            await deferToThread(resets, 200, code)
        await deferToThread(tooMany)
        await node.said("too many stream resets")
        await self.nothingLeft(node)
        self.assertEqual((await self.get(node, "/x")).status, 200)
        status = json.loads(await node.ask("/status"))
        ((endpoint,),) = [each["endpoints"] for each in status["upstreams"]]
        self.assertEqual((endpoint["active"], endpoint["pending"]), (0, 0))

    async def test_readersThatNeverReadHoldUpNobody(self) -> None:
        one, upstream = await self.origin()
        port = int(upstream["endpoints"][0].rpartition(":")[2])
        node = await self.proxying(port)
        large = bytes(32 * MIB)
        one.answer = lambda asked: Answer(body=large if asked.path == "/large" else b"ok")
        self.assertEqual((await self.get(node, "/x")).status, 200)
        before = node.residentBytes()
        stalled = []
        for _ in range(16):
            stream = await self.local.connect(node.ports["web"])
            stream.socket.pauseProducing()
            stream.write(b"GET /large HTTP/1.1\r\nHost: a.example\r\n\r\n")
            stalled.append(stream)
        await one.count(17)
        for version in CLIENTS.values():
            for _ in range(10):
                self.assertEqual((await self.get(node, "/x", version)).body, "ok")
        self.assertEqual(len(json.loads(await node.ask("/requests"))), 16)
        self.assertLess(node.residentBytes() - before, 48 * MIB)
        for stream in stalled:
            stream.socket.abortConnection()
        await self.nothingLeft(node)

    async def test_memoryDoesNotGrowWithRequests(self) -> None:
        _, upstream = await self.origin()
        port = int(upstream["endpoints"][0].rpartition(":")[2])
        node = await self.proxying(port)

        async def load(count: int) -> None:
            for option in ((), ("--h1",)):
                text = await self.output(
                    "h2load", "-n", str(count), "-c", "4", "-m", "5", *option, f"http://{node.address('web')}/x"
                )
                self.assertIn(f"{count} 2xx", text)

        await load(1000)
        before = node.residentBytes()
        await load(3000)
        # A hundred bytes that each leaves behind would be more.
        self.assertLess(node.residentBytes() - before, 600_000)
        await self.nothingLeft(node)
