"""
Two nodes with mutual TLS between them, and programs on both sides.
"""

from __future__ import annotations

import hashlib
import os

from hermes.test.interop.datagrams import DatagramEcho
from hermes.test.interop.local import Local
from hermes.test.interop.processes import ProcessCase, tcp, udp
from hermes.test.interop.streams import Counter, Echo, Stream, inOrder

BULK = os.urandom(1 << 20) * 6
DIGEST = hashlib.sha256(BULK).digest()


class StreamTests(ProcessCase):
    """
    Streams through two nodes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def test_bulkBothWaysAtOnceAndHalfClose(self) -> None:
        server = await self.local.server(Counter)
        edge, exit = await self.pair({"apps": tcp(server.port)})
        client = await self.local.connect(edge.ports["apps"], Counter)
        client.write(BULK)
        far = await server.next()
        far.write(BULK)
        # Each direction ends by itself: the other goes on.
        client.finish()
        await far.until(lambda: far.readEnded)
        self.assertEqual((far.count, far.digest.digest()), (len(BULK), DIGEST))
        self.assertFalse(client.readEnded)
        far.write(b"last words")
        far.finish()
        await client.until(lambda: client.readEnded)
        self.assertEqual(client.digest.digest(), hashlib.sha256(BULK + b"last words").digest())
        self.assertTrue(inOrder(await client.ended()))
        for node in (edge, exit):
            flow = await node.flow(event="closed")
            self.assertEqual((flow["bytesIn"], flow["bytesOut"]), (len(BULK), len(BULK) + 10))
            self.assertEqual(flow["target"], f"127.0.0.1:{server.port}")
        self.assertEqual((exit.flows()[0]["node"], edge.flows()[0]["node"]), ("edge", None))
        self.assertEqual(edge.flows()[0]["hops"], ["exit"])

    async def test_aReset(self) -> None:
        server = await self.local.server()
        edge, _ = await self.pair({"apps": tcp(server.port)})
        client = await self.local.connect(edge.ports["apps"])
        client.write(b"hello")
        far = await server.next()
        self.assertEqual(await far.read(5), b"hello")
        far.socket.abortConnection()
        self.assertFalse(inOrder(await client.ended()))
        client = await self.local.connect(edge.ports["apps"])
        client.write(b"hello")
        far = await server.next()
        await far.read(5)
        client.socket.abortConnection()
        self.assertFalse(inOrder(await far.ended()))

    async def test_manyStreamsShareOneConnection(self) -> None:
        server = await self.local.server(Echo)
        edge, _ = await self.pair({"apps": tcp(server.port)})
        clients: list[Stream] = [await self.local.connect(edge.ports["apps"]) for _ in range(50)]
        for number, client in enumerate(clients):
            client.write(b"%d" % number * 1000)
        for number, client in enumerate(clients):
            self.assertEqual(await client.read(1000 * len(str(number))), b"%d" % number * 1000)
        status = await edge.ask("/status")
        self.assertIn('"open": 50', status)


class DatagramTests(ProcessCase):
    """
    Datagrams through two nodes.
    """

    async def test_everySizeOfDatagramComesBack(self) -> None:
        local = Local(self)
        server = local.datagrams(make=DatagramEcho)
        edge, exit = await self.pair({"names": udp(server.port, idle=1)})
        client = local.datagrams(edge.ports["names"])
        for size in (0, 1, 512, 1200, 1473, 9000, 65507):
            datagram = os.urandom(size)
            client.write(datagram)
            self.assertEqual(await client.read(), datagram)
        other = local.datagrams(edge.ports["names"])
        other.write(b"who")
        self.assertEqual(await other.read(), b"who")
        sources = {source for _, source in server.received}
        self.assertEqual(len(sources), 2)
        # An idle flow ends.
        flow = await exit.flow(event="closed", datagramsIn=7)
        self.assertEqual((flow["bytesIn"], flow["datagramsOut"]), (1 + 512 + 1200 + 1473 + 9000 + 65507, 7))
