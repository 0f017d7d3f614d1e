"""
Neighbours that stand still, and ends that come at a bad time.
"""

from __future__ import annotations

import json
import os
import signal

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from hermes.test.interop.datagrams import DatagramEcho
from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node, ProcessCase, proxy, tcp, udp
from hermes.test.interop.streams import Echo, Stream, inOrder

MIB = 1 << 20


class Unfinished(Resource):
    """
    Begins an answer that has no length, and never ends it.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        request.notifyFinish().addErrback(lambda _: None)
        request.write(b"the beginning")
        return NOT_DONE_YET


class StoppedNodeTests(ProcessCase):
    """
    The next hop is there and does nothing: SIGSTOP.
    """

    async def test_datagramsForAHopThatStandsStillAreDroppedNotKept(self) -> None:
        local = Local(self)
        server = local.datagrams(make=DatagramEcho)
        echo = await local.server(Echo)
        edge, exit = await self.pair({"games": udp(server.port), "local": tcp(echo.port)})
        client = local.datagrams(edge.ports["games"])
        client.write(b"before")
        self.assertEqual(await client.read(), b"before")
        before = edge.residentBytes()

        exit.signal(signal.SIGSTOP)
        payload = os.urandom(8000)
        sent = 0
        while sent < 64 * MIB:
            for _ in range(50):
                client.write(payload)
                sent += len(payload)
            # The node has a turn: it answers only once it has read what came before.
            await edge.ask("/healthz")
        self.assertLess(edge.residentBytes() - before, 24 * MIB)
        exit.signal(signal.SIGCONT)
        # What waited was dropped: what is sent now is not behind it. That may be dropped too, while the hop wakes up.
        while all(datagram != b"after" for datagram, _ in client.received):
            client.write(b"after")
            await edge.ask("/healthz")
        edge.signal(signal.SIGTERM)
        await edge.end()
        flow = await edge.flow(event="closed", protocol="udp")
        self.assertGreater(flow["datagramsDropped"], 1000)
        self.assertLess(len(server.received) * len(payload), 32 * MIB)

    async def test_aHopThatIsSilentForTooLongIsGone(self) -> None:
        """
        As soon as the configuration says. What it carried ends; whoever comes then is served when it is there again.
        """
        local = Local(self)
        server = await local.server(Echo)
        edge, exit = await self.pair({"apps": tcp(server.port)})
        config = json.loads(edge.path.read_text())
        config["upstreams"]["exit"]["keepalive"] = "1s"
        edge.configure(config)
        await edge.reload()
        stream = await local.connect(edge.ports["apps"])
        stream.write(b"before")
        self.assertEqual(await stream.read(6), b"before")
        exit.signal(signal.SIGSTOP)
        self.assertFalse(inOrder(await stream.ended()))
        exit.signal(signal.SIGCONT)
        stream = await local.connect(edge.ports["apps"])
        stream.write(b"after")
        self.assertEqual(await stream.read(5), b"after")

    async def test_streamsThroughAHopThatStandsStillGoOnAfterwards(self) -> None:
        local = Local(self)
        server = await local.server(Echo)
        edge, exit = await self.pair({"apps": tcp(server.port), "proxy": proxy()})
        stream = await local.connect(edge.ports["apps"])
        stream.write(b"before")
        self.assertEqual(await stream.read(6), b"before")
        exit.signal(signal.SIGSTOP)
        block = os.urandom(4 * MIB)
        stream.write(block)
        # Somebody else asks, and goes away before there is an answer.
        impatient = await local.connect(edge.ports["proxy"])
        impatient.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % server.port)
        for _ in range(2):
            # The node has a turn: it has read that before it has answered this.
            await edge.ask("/healthz")
        impatient.socket.abortConnection()
        await impatient.ended()
        await edge.flow(event="refused", listener="proxy")
        exit.signal(signal.SIGCONT)
        self.assertEqual(await stream.read(len(block)), block)


class EndTests(ProcessCase):
    """
    Ends of directions and of processes, as an application sees them.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def ways(self, edge: Node, port: int) -> list[Stream]:
        """
        A stream to a port of this machine by each way that the C{apps} listener has.
        """
        connect = await self.local.connect(edge.ports["apps"])
        connect.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % port)
        self.assertIn(b" 200 ", await connect.readThrough(b"\r\n\r\n"))
        socks = await self.local.connect(edge.ports["apps"])
        socks.write(b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
        self.assertEqual((await socks.read(12))[:4], b"\x05\x00\x05\x00")
        direct = await self.local.connect(edge.ports["direct"])
        return [connect, socks, direct]

    async def test_whatIsSentAfterTheOtherDirectionEndedArrives(self) -> None:
        server = await self.local.server()
        edge, _ = await self.pair({"apps": proxy(), "direct": tcp(server.port)})
        for client in await self.ways(edge, server.port):
            far = await server.next()
            client.write(b"question")
            client.finish()
            self.assertEqual(await far.readToEnd(), b"question")
            far.write(b"answer" * 100_000)
            far.finish()
            self.assertEqual(await client.readToEnd(), b"answer" * 100_000)
        for client in await self.ways(edge, server.port):
            far = await server.next()
            far.write(b"greeting")
            far.finish()
            self.assertEqual(await client.readToEnd(), b"greeting")
            client.write(b"reply" * 100_000)
            client.finish()
            self.assertEqual(await far.readToEnd(), b"reply" * 100_000)

    async def test_aBodyThatIsCutShortIsNoWholeBody(self) -> None:
        port = await self.local.site(Unfinished())
        edge, exit = await self.pair({"apps": proxy()})
        for arguments in ((), ("-p",)):
            curl = self.start("curl", "-sSN", *arguments, "-x", edge.address("apps"), f"http://127.0.0.1:{port}/")
            await curl.said("the beginning")
            if not arguments:
                kept = curl
        await exit.kill()
        for process in (kept, curl):
            self.assertNotEqual(await process.end(), 0, process.output)
        self.assertNotIn("Traceback", edge.output)
