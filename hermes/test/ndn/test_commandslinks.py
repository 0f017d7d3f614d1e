"""
C{hermes ndn get} over links that lose, flap and are slow, and C{put} of a file that no memory holds.
"""

from __future__ import annotations

import os
import re
from random import Random
from typing import Any

from twisted.internet import reactor as theReactor

from hermes.test.interop.ndnnodes import MEGABYTE
from hermes.test.ndn.test_commandsnode import NodeCase
from hermes.test.processes import freePort
from hermes.testing.links import (
    DatagramImpairment,
    ImpairedDatagramLink,
    ImpairedStreamLink,
    Rotation,
    StreamImpairment,
)

# Its type depends on the platform.
reactor: Any = theReactor


class LinkTests(NodeCase):
    """
    Two nodes, and something between them. The producer is python-ndn.
    """

    async def lossy(self, size: int, *pipeline: object) -> str:
        """
        Fetch over a UDP face that loses 2 % of its datagrams, whole packets at that.

        @return: what is said about it.
        """
        port = freePort()
        impairment = DatagramImpairment(delay=0.01, loss=0.02, reorder=0.01)
        link = ImpairedDatagramLink(reactor, ("127.0.0.1", port), impairment, Random(3))
        link.start()
        self.addCleanup(link.stop)
        face = {"to": f"udp:127.0.0.1:{link.address[1]}", "direct": True, "mtu": 9000}
        names = self.names("unix:ndn.sock", faces={"far": face}, prefixes=[{"prefix": "/far", "face": "far"}])
        await self.node("edge", listeners={"names": names})
        await self.node("exit", listeners={"names": self.names("unix:exit.sock", f"udp:127.0.0.1:{port}", mtu=9000)})
        await self.producer("unix:exit.sock", "/far/file", size)
        told = await self.get(f"/far/file/{size}", "-o", "got", "--discover", "none", *pipeline)
        self.same("got", size)
        self.assertGreater(link.counts["lost"], 3)
        return told

    async def test_whatIsLostIsOvertakenAndAskedForAgain(self) -> None:
        told = await self.lossy(5 * MEGABYTE, "-p", "fixed", "-s", 20)
        match = re.search(r"Timeouts: (\d+), overtaken: (\d+),", told)
        assert match is not None, told
        # Only the last ones, and those that are lost twice, have nobody who overtakes them.
        self.assertGreater(int(match[2]), int(match[1]))

    async def test_adaptivePipelinesGetThroughToo(self) -> None:
        await self.lossy(2 * MEGABYTE, "-p", "cubic")

    async def test_aHopThatFlaps(self) -> None:
        port = freePort()
        links = [
            ImpairedStreamLink(reactor, ("127.0.0.1", port), StreamImpairment(bandwidth=1e6), Random(5))
            for _ in range(2)
        ]
        for link in links:
            link.start()
            self.addCleanup(link.stop)
        onl = {"faces": {"one": {"to": "udp:onl.ndn.hermes"}}, "prefixes": [{"prefix": "/onl", "face": "one"}]}
        await self.chain(
            self.names("unix:ndn.sock", **onl),
            self.names("unix:exit.sock"),
            {"onl": "relay"},
            ports={"relay": port},
            seen={"relay": links[0].address[1]},
        )
        size = 2 * MEGABYTE
        await self.producer("unix:exit.sock", "/onl/file", size)
        rotation = Rotation(reactor, links, 1.5)
        rotation.start()
        self.addCleanup(rotation.stop)
        options = ("-p", "fixed", "-s", 20, "--discover", "none", "-l", 1000, "-r", -1)
        await self.get(f"/onl/file/{size}", "-o", "got", *options)
        self.same("got", size)
        self.assertGreater(links[0].connections, 2)


class LargeTests(NodeCase):
    """
    Objects larger than memory.
    """

    async def test_aFileOfManyGigabytesCostsNoMemory(self) -> None:
        await self.forwarder()
        path = os.path.join(self.directory, "large")
        size = 64 << 30
        with open(path, "wb") as file:
            file.truncate(size - 5)
            file.seek(size - 5)
            file.write(b"hello")
        producer = await self.put("/onl/file/v=1", path)
        last = (size - 1) // 8000
        peek = self.hermes("peek", f"/onl/file/v=1/seg={last}", "-p")
        await self.ended(peek)
        self.assertTrue(peek.stdout.endswith(b"hello"))
        self.assertEqual(len(peek.stdout), size - last * 8000)
        self.assertLess(producer.peakBytes(), 150 << 20)
