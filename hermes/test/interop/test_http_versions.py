"""
HTTP/1.1 and HTTP/2 on either side of one node and of two, with clients and servers that are not ours.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
from typing import Any

from twisted.internet.threads import deferToThread

from hermes.test.interop.httpnodes import VERSIONS, HTTPCase
from hermes.test.interop.httporigin import CHUNK, valueOf
from hermes.test.interop.local import Local
from hermes.test.interop.process import program
from hermes.test.interop.processes import Node

BODY = os.urandom(1 << 20) * 3
DIGEST = hashlib.sha256(BODY).hexdigest()
EMPTY = hashlib.sha256(b"").hexdigest()

CLIENTS = {"1.1": "--http1.1", "2": "--http2-prior-knowledge"}


class VersionTests(HTTPCase):
    """
    The four combinations.
    """

    async def exercise(self, node: Node) -> None:
        upload = self.directory / "upload"
        upload.write_bytes(BODY)
        for client, option in CLIENTS.items():
            for origin in VERSIONS:
                way = f"{client} to {origin}"
                told = await self.asked(node, origin, "/a?b=c", option, "-H", "X-A: b", "-H", "Forwarded: for=evil")
                self.assertEqual((told["method"], told["path"], told["digest"]), ("GET", "/a?b=c", EMPTY), way)
                self.assertEqual(valueOf(told, "x-a"), "b")
                self.assertRegex(valueOf(told, "forwarded") or "", r"^for=127\.0\.0\.1;host=.*;proto=http$")
                self.assertRegex(valueOf(told, "via") or "", rf"^{re.escape(client)} hermes-")
                self.assertIn(".example", valueOf(told, "host") or "")

                told = await self.asked(node, origin, "/", option, "-T", str(upload))
                self.assertEqual((told["method"], told["length"], told["digest"]), ("PUT", len(BODY), DIGEST), way)
                chunked = ("-H", "Transfer-Encoding: chunked") if client == "1.1" else ()
                told = await self.asked(
                    node, origin, "/", option, *chunked, "--data-binary", f"@{upload}", "-H", "Expect:"
                )
                self.assertEqual((told["method"], told["length"], told["digest"]), ("POST", len(BODY), DIGEST), way)
                told = await self.asked(node, origin, "/", option, "-X", "POST")
                self.assertEqual((told["method"], told["length"]), ("POST", 0), way)

                head = await self.curl(*self.at(node, origin, "/"), option, "-I")
                self.assertRegex(head, r"(?i)^HTTP/\S+ 200 [\s\S]*\ncontent-length: [1-9]\d*\r\n", way)
                size = 2_000_003
                path = self.directory / "download"
                await self.curl(*self.at(node, origin, f"/size/{size}"), option, "-o", str(path))
                self.assertEqual(path.stat().st_size, size, way)

    async def test_throughOneNode(self) -> None:
        await self.exercise(await self.reverse(await self.origins()))

    async def test_throughTwoNodes(self) -> None:
        edge, exit = await self.chain(await self.origins())
        await self.exercise(edge)
        entry = await exit.flow(event="request", method="HEAD")
        self.assertEqual((entry["node"], entry["status"], entry["version"]), ("edge", 200, "2"))

    async def test_overTLSWithALPN(self) -> None:
        identity = self.identity("edge")
        certificate = {"certificate": identity["certificate"], "key": identity["key"]}
        node = await self.reverse(await self.origins(), tls=True, certificates=[certificate])
        for option, version in (("--http1.1", "1.1"), ("--http2", "2")):
            for origin in VERSIONS:
                host = {"1.1": "one", "2": "two"}[origin] + ".example"
                text = await self.curl(
                    *(f"https://localhost:{node.ports['web']}/", "-H", f"Host: {host}", "--cacert"),
                    *(self.authority.trustFile, option, "-w", "\n%{http_version}"),
                )
                told, _, spoken = text.rpartition("\n")
                self.assertEqual(spoken, version)
                self.assertEqual(json.loads(told)["version"], origin)
                self.assertIn("proto=https", valueOf(json.loads(told), "forwarded") or "")

    async def test_aForwardProxyForBoth(self) -> None:
        edge, _ = await self.chain(await self.origins())
        proxy = edge.address("apps")
        for origin, name in (("1.1", "one"), ("2", "two")):
            told = json.loads(await self.output("curl", "-sS", "-x", f"http://{proxy}", f"http://{name}.example/x"))
            self.assertEqual((told["version"], told["path"]), (origin, "/x"))
            # A forward proxy keeps to itself who asks.
            self.assertIsNone(valueOf(told, "forwarded"))


class MessageTests(HTTPCase):
    """
    What else a message may have.
    """

    async def test_trailersOfResponses(self) -> None:
        edge, _ = await self.chain(await self.origins())
        for client, option in CLIENTS.items():
            for origin in VERSIONS:
                text = await self.curl(*self.at(edge, origin, "/trailers"), option, "-D", "-", "-o", "/dev/null")
                self.assertRegex(text, r"(?i)\r\n\r\n[\s\S]*x-sum: from the origin", f"{client} to {origin}")

    async def test_trailersOfRequests(self) -> None:
        edge, _ = await self.chain(await self.origins())
        local = Local(self)
        upload = self.directory / "upload"
        upload.write_bytes(b"question")
        fields = b"Transfer-Encoding: chunked\r\nTrailer: X-Check\r\n"
        body = b"8\r\nquestion\r\n0\r\nX-Check: by hand\r\n\r\n"
        for origin, host in (("1.1", "one.example"), ("2", "two.example")):
            client = await local.connect(edge.ports["web"])
            client.write(b"POST /x HTTP/1.1\r\nHost: %s\r\n%s\r\n%s" % (host.encode(), fields, body))
            head = await client.readThrough(b"\r\n\r\n")
            length = int(re.findall(rb"content-length: (\d+)", head)[0])
            told = json.loads(await client.read(length))
            self.assertEqual((told["version"], told["trailers"]), (origin, [["x-check", "by hand"]]))

            text = await self.output(
                *("nghttp", "-d", str(upload), "--trailer", "x-check: by nghttp", "-H", f":authority: {host}"),
                f"http://{edge.address('web')}/x",
            )
            told = json.loads(text)
            self.assertEqual((told["version"], told["trailers"]), (origin, [["x-check", "by nghttp"]]))

    async def test_theOriginDecidesAboutABody(self) -> None:
        edge, _ = await self.chain(await self.origins())
        upload = self.directory / "upload"
        upload.write_bytes(BODY)
        for client, option in CLIENTS.items():
            for origin in VERSIONS:
                way = f"{client} to {origin}"
                expecting = (option, "-H", "Expect: 100-continue", "-D", "-")
                text = await self.curl(*self.at(edge, origin, "/"), *expecting, "-T", str(upload))
                self.assertRegex(text, r"^HTTP/\S+ 100 [\s\S]*HTTP/\S+ 200 ", way)
                self.assertIn(DIGEST, text)
                if client == "1.1":
                    # Over HTTP/2 curl 7.88 sends before it is told to, and may hang where it is told to stop.
                    arguments = (*expecting, "-T", str(upload), "-w", "%{size_upload}")
                    text = await self.curl(*self.at(edge, origin, "/declined"), *arguments)
                    self.assertRegex(text, r"^HTTP/\S+ 417 [\s\S]*\n0$", way)

    async def test_hintsArriveBeforeTheAnswer(self) -> None:
        edge, _ = await self.chain(await self.origins())
        for option in CLIENTS.values():
            for origin in VERSIONS:
                text = await self.curl(*self.at(edge, origin, "/hints"), option, "-D", "-", "-o", "/dev/null")
                self.assertRegex(text, r"(?i)^HTTP/\S+ 103 [\s\S]*link: </style.css>; rel=preload[\s\S]*HTTP/\S+ 200 ")

    async def test_pythonsClientOnOneConnection(self) -> None:
        node = await self.reverse(await self.origins())

        def use() -> list[Any]:
            answers = []
            connection = http.client.HTTPConnection("127.0.0.1", node.ports["web"], timeout=20)
            sockets = set()
            for host in ("one.example", "two.example", "one.example"):
                connection.request("POST", "/x", body=iter([b"a", CHUNK, b"b"]), headers={"Host": host})
                response = connection.getresponse()
                answers.append((response.status, json.loads(response.read())["length"]))
                sockets.add(id(connection.sock))
            connection.close()
            assert len(sockets) == 1
            return answers

        self.assertEqual(await deferToThread(use), [(200, len(CHUNK) + 2)] * 3)

    async def test_manyRequestsAtOnce(self) -> None:
        program("h2load")
        edge, _ = await self.chain(await self.origins())
        for version in ((), ("--h1",)):
            for host in ("one.example", "two.example"):
                text = await self.output(
                    *("h2load", "-n", "600", "-c", "6", "-m", "1" if version else "20", *version),
                    *("-H", f":authority: {host}", f"http://{edge.address('web')}/hello"),
                )
                self.assertRegex(text, r"requests: 600 total, 600 started, 600 done, 600 succeeded, 0 failed", text)
                self.assertIn("600 2xx", text)
