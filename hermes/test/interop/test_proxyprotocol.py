"""
The PROXY protocol, in and out, with two nodes between.
"""

from __future__ import annotations

from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node, ProcessCase, proxy, tcp
from hermes.test.interop.streams import Server, Stream
from hermes.wire.proxyprotocol import PP2_TYPE_AUTHORITY, ProxyHeader, parse, writeV1, writeV2

CLIENT = ("192.0.2.7", 1234)
CLIENT6 = ("2001:db8::7", 4321)


class ProxyProtocolTests(ProcessCase):
    """
    A client behind a load balancer, which tells of it; and a server that is told.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def told(self, server: Server) -> tuple[ProxyHeader, Stream]:
        """
        What the server hears first.
        """
        stream = await server.next()
        await stream.until(lambda: parse(bytes(stream.received))[0] is not None)
        header, size = parse(bytes(stream.received))
        assert header is not None
        await stream.read(size)
        return header, stream

    async def nodes(self, server: Server, version: str) -> tuple[Node, Node]:
        """
        Start two nodes. The listener C{far} has the header written by the node near the server, C{near} by that near
        the client, through the tunnel.
        """
        origin = {"type": "direct", "endpoints": [f"127.0.0.1:{server.port}"], "proxyProtocol": version}
        exit = await self.node(
            "exit",
            identity=self.identity("exit"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}},
            upstreams={"origin": origin},
            routes=[
                {"match": {"target": "db.hermes"}, "to": "origin"},
                {"match": {"any": True}, "allowSpecial": True},
            ],
        )
        listener = tcp(server.port, target="db.hermes:3306", proxyProtocol=True)
        edge = await self.node(
            "edge",
            identity=self.identity("edge"),
            listeners={"far": listener, "near": listener, "apps": proxy(proxyProtocol=True)},
            users={"alice": {"password": "wonder"}},
            upstreams={"exit": {"type": "hermes", "endpoints": [exit.address("overlay")]}, "origin": origin},
            routes=[
                {"match": {"listener": "far"}, "via": ["exit"]},
                {"match": {"listener": ["near", "apps"], "source": "192.0.2.0/24"}, "via": ["exit"], "to": "origin"},
                {"match": {"source": "2001:db8::/32"}, "via": ["exit"], "to": "origin"},
            ],
        )
        return edge, exit

    async def check(self, edge: Node, server: Server, listener: str, header: bytes) -> ProxyHeader:
        """
        Go through a listener, behind a header.
        """
        client = await self.local.connect(edge.ports[listener])
        client.write(header + b"question")
        told, far = await self.told(server)
        self.assertEqual(await far.read(8), b"question")
        far.write(b"answer")
        self.assertEqual(await client.read(6), b"answer")
        client.finish()
        far.finish()
        await client.ended()
        return told

    async def test_version2TellsTheClientAndWhoItIs(self) -> None:
        server = await self.local.server()
        edge, exit = await self.nodes(server, "v2")
        headers = {
            CLIENT: (writeV1(ProxyHeader(CLIENT, ("198.51.100.1", 80))), writeV2(ProxyHeader(CLIENT, CLIENT))),
            CLIENT6: (writeV1(ProxyHeader(CLIENT6, CLIENT6)), writeV2(ProxyHeader(CLIENT6, CLIENT6), checksum=True)),
        }
        for source, forms in headers.items():
            for form in forms:
                told = await self.check(edge, server, "near", form)
                self.assertEqual(told.source, source)
                self.assertEqual(told.tlv(PP2_TYPE_AUTHORITY), b"db.hermes")
                self.assertIsNone(told.identity)
        sources = [flow["source"] for flow in edge.flows()]
        self.assertTrue(set(sources) <= {"192.0.2.7:1234", "[2001:db8::7]:4321"}, sources)

        # To the node near the server the client is the node before it.
        told = await self.check(edge, server, "far", headers[CLIENT][1])
        assert told.source is not None
        self.assertEqual((told.source[0], told.identity), ("127.0.0.1", "node=edge"))
        self.assertEqual((await exit.flow(upstream="origin"))["node"], "edge")

    async def test_version1TellsTheClient(self) -> None:
        server = await self.local.server()
        edge, _ = await self.nodes(server, "v1")
        told = await self.check(edge, server, "near", writeV1(ProxyHeader(CLIENT, CLIENT)))
        self.assertEqual((told.source, told.tlvs), (CLIENT, ()))
        told = await self.check(edge, server, "near", writeV2(ProxyHeader(CLIENT6, CLIENT6)))
        self.assertEqual(told.source, CLIENT6)

    async def test_aUserOfAProxyListenerIsTold(self) -> None:
        server = await self.local.server()
        edge, _ = await self.nodes(server, "v2")
        client = await self.local.connect(edge.ports["apps"])
        credential = b"Proxy-Authorization: Basic YWxpY2U6d29uZGVy"
        client.write(
            writeV2(ProxyHeader(CLIENT, CLIENT))
            + b"CONNECT db.hermes:1 HTTP/1.1\r\nHost: x\r\n"
            + credential
            + b"\r\n\r\n"
        )
        self.assertIn(b" 200 ", await client.readThrough(b"\r\n\r\n"))
        told, _ = await self.told(server)
        self.assertEqual((told.source, told.identity), (CLIENT, "user=alice"))

    async def test_whoSendsNoHeaderIsNotTaken(self) -> None:
        server = await self.local.server()
        edge, _ = await self.nodes(server, "v2")
        client = await self.local.connect(edge.ports["near"])
        client.write(b"GET / HTTP/1.1\r\n\r\n")
        await client.ended()
        self.assertEqual(server.streams, [])
