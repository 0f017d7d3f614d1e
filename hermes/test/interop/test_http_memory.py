"""
Large bodies, and bodies that nobody takes, in bounded memory.

With C{HERMES_LARGE_BODIES=1} a large body is 10 GB, else 256 MiB.
"""

from __future__ import annotations

import os
from typing import Any

from hermes.test.interop.httpnodes import VERSIONS, HTTPCase
from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node
from hermes.test.interop.streams import Counter, Endless, Stream
from hermes.test.interop.test_http_versions import CLIENTS
from hermes.test.interop.test_memory import STALLED

MIB = 1 << 20

PATIENT = bool(os.environ.get("HERMES_LARGE_BODIES"))
LARGE = 10_000_000_000 if PATIENT else 256 * MIB
TIME = "--max-time", "600" if PATIENT else "60"

ENDLESS = 1 << 50


class BodyTests(HTTPCase):
    """
    Two nodes, HTTP/2 between them.
    """

    timeout = 1800 if PATIENT else 120

    async def test_largeBodiesPassInBoundedMemory(self) -> None:
        edge, exit = await self.chain(await self.origins())
        upload = self.directory / "upload"
        with upload.open("wb") as file:
            file.truncate(LARGE)
        # The windows and pools that any use brings.
        small = MIB * 4
        for client, option in CLIENTS.items():
            await self.curl(*self.at(edge, client, f"/size/{small}"), option, "-o", "/dev/null")
        before = [node.residentBytes() for node in (edge, exit)]
        for (client, option), origin in zip(CLIENTS.items(), VERSIONS[::-1], strict=True):
            way = f"{client} to {origin}"
            size = await self.curl(
                *self.at(edge, origin, f"/size/{LARGE}"), option, *TIME, "-o", "/dev/null", "-w", "%{size_download}"
            )
            self.assertEqual(int(size), LARGE, way)
            told = await self.asked(edge, origin, "/", option, *TIME, "-T", str(upload))
            self.assertEqual(told["length"], LARGE, way)
        for node, first in zip((edge, exit), before, strict=True):
            self.assertLess(node.peakBytes() - first, 3 * STALLED, node.name)

    async def test_bodiesThatNobodyTakes(self) -> None:
        local = Local(self)
        far = await local.server(Counter)
        edge, exit = await self.chain({**await self.origins(), "1.1": far.port})
        neighbour = Neighbour(await local.connect(edge.ports["web"]))
        await neighbour.ask()
        before = [node.residentBytes() for node in (edge, exit)]

        # An upload that the origin does not read.
        client = await local.connect(edge.ports["web"], Counter)
        client.write(b"POST /x HTTP/1.1\r\nHost: one.example\r\nContent-Length: %d\r\n\r\n" % ENDLESS)
        origin = await far.next()
        origin.socket.pauseProducing()
        uploading = Endless(client)
        await neighbour.untilPaused(uploading)

        # A download that the client does not read.
        reader = await local.connect(edge.ports["web"], Counter)
        reader.write(b"GET /x HTTP/1.1\r\nHost: one.example\r\n\r\n")
        source = await far.next()
        reader.socket.pauseProducing()
        source.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % ENDLESS)
        downloading = Endless(source)
        await neighbour.untilPaused(downloading)

        self.assertBounded((edge, exit), before)

        # Nothing was lost, and all goes on.
        for sender, taker in ((uploading, origin), (downloading, reader)):
            taker.socket.resumeProducing()
            goal = sender.sent + 8 * MIB
            await taker.until(lambda taker=taker, goal=goal: taker.count > goal)  # type: ignore[misc]
        self.assertBounded((edge, exit), before)

    def assertBounded(self, nodes: tuple[Node, ...], before: list[int]) -> None:
        for node, first in zip(nodes, before, strict=True):
            self.assertLess(node.peakBytes() - first, 2 * STALLED, node.name)


class Neighbour:
    """
    Asks for something else over the same nodes: whoever could still send would have been served in the meantime.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def ask(self) -> None:
        """
        One request and its response.
        """
        self._stream.write(b"GET /size/65536 HTTP/1.1\r\nHost: two.example\r\n\r\n")
        await self._stream.readThrough(b"\r\n\r\n")
        await self._stream.read(65536)

    async def untilPaused(self, sender: Any) -> None:
        """
        Wait until nobody takes anything from C{sender} any more: so many times in a row that a sender that is only slow
        would have been served.
        """
        sent, rounds = -1, 0
        while rounds < 100:
            await self.ask()
            rounds = rounds + 1 if sender.sent == sent else 0
            sent = sender.sent
