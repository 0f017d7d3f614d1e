"""
Who is let in: nodes by their certificates, users by their credentials.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from hermes.net.authority import OverlayAuthority
from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node, ProcessCase, proxy
from hermes.test.interop.streams import Echo, Server, Stream


class TrustTests(ProcessCase):
    """
    Streams are asked for by CONNECT, whose answer says why they are refused.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def connect(self, node: Node, server: Server, *headers: bytes) -> tuple[Stream, bytes]:
        """
        Ask a node for a stream.

        @return: the stream, and the head of the answer.
        """
        stream = await self.local.connect(node.ports["apps"])
        target = b"127.0.0.1:%d" % server.port
        lines = [b"CONNECT " + target + b" HTTP/1.1", b"Host: " + target, *headers, b"", b""]
        stream.write(b"\r\n".join(lines))
        return stream, await stream.readThrough(b"\r\n\r\n")

    async def edgeOf(self, exit: Node, **sections: Any) -> Node:
        """
        Start a node in front of another.
        """
        upstream = {"type": "hermes", "endpoints": [exit.address("overlay")], "node": "exit"}
        return await self.node(
            "edge",
            **{
                "listeners": {"apps": proxy()},
                "upstreams": {"exit": upstream},
                "routes": [{"match": {"any": True}, "via": ["exit"]}],
                **sections,
            },
        )

    async def exit(self, identity: dict[str, str], name: str = "exit", **sections: Any) -> Node:
        """
        Start the last node.
        """
        return await self.node(
            name,
            **{
                "identity": identity,
                "listeners": {"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}},
                "routes": [{"match": {"any": True}, "allowSpecial": True}],
                **sections,
            },
        )

    def stranger(self, node: str) -> dict[str, str]:
        """
        An identity that another authority gave, which trusts ours.
        """
        other = OverlayAuthority.create(self.directory / "elsewhere")
        return self.identity(node, other)

    async def test_aNodeOfAnotherAuthorityIsLetNowhere(self) -> None:
        server = await self.local.server(Echo)
        exit = await self.exit(self.identity("exit"))
        edge = await self.edgeOf(exit, identity=self.stranger("edge"))
        _, answer = await self.connect(edge, server)
        self.assertIn(b"HTTP/1.1 502 ", answer)
        self.assertIn(b"proxy-status: edge;error=tls_", answer)
        self.assertEqual((exit.flows(), len(server.streams)), ([], 0))
        await edge.flow(event="refused")

    async def test_aProxyOfAnotherAuthorityIsNotTrusted(self) -> None:
        server = await self.local.server(Echo)
        exit = await self.exit(self.stranger("exit"))
        edge = await self.edgeOf(exit, identity=self.identity("edge"))
        _, answer = await self.connect(edge, server)
        self.assertIn(b"HTTP/1.1 502 ", answer)
        self.assertIn(b"error=tls_certificate_error", answer)
        self.assertEqual(len(server.streams), 0)

    async def test_aProxyThatIsAnotherNodeIsNotTrusted(self) -> None:
        server = await self.local.server(Echo)
        exit = await self.exit(self.identity("impostor"), "impostor")
        edge = await self.edgeOf(exit, identity=self.identity("edge"))
        _, answer = await self.connect(edge, server)
        self.assertIn(b"HTTP/1.1 502 ", answer)
        self.assertIn(b"error=tls_certificate_error", answer)
        self.assertEqual(len(server.streams), 0)

    async def test_aNodeThatNoRouteNamesIsRefused(self) -> None:
        server = await self.local.server(Echo)
        exit = await self.exit(
            self.identity("exit"), routes=[{"match": {"node": "friend"}, "allowSpecial": True, "name": "friends"}]
        )
        edge = await self.edgeOf(exit, identity=self.identity("edge"))
        _, answer = await self.connect(edge, server)
        self.assertIn(b"HTTP/1.1 403 ", answer)
        refused = await exit.flow(event="refused")
        self.assertEqual((refused["node"], refused["proxyStatus"]), ("edge", "http_request_denied"))
        self.assertEqual(len(server.streams), 0)

    async def test_whoHasNoNameIsNotTakenByATunnelListener(self) -> None:
        server = await self.local.server(Echo)
        exit = await self.exit(self.identity("exit"))
        masque = {"type": "masque", "endpoints": [exit.address("overlay")], "trust": self.authority.trustFile}
        edge = await self.edgeOf(exit, upstreams={"exit": masque})
        _, answer = await self.connect(edge, server)
        # The 407 is between the proxies: to the client it is a gateway that does not work.
        self.assertIn(b"HTTP/1.1 502 ", answer)
        self.assertIn(b"407", answer)
        self.assertEqual(len(server.streams), 0)

    async def test_aliceMayAndBobMayNot(self) -> None:
        server = await self.local.server(Echo)
        exit = await self.exit(self.identity("exit"))
        edge = await self.edgeOf(
            exit,
            identity=self.identity("edge"),
            listeners={"apps": proxy(anonymous=False)},
            users={"alice": {"password": "wonder"}, "bob": {"password": "builder", "token": "t0ken"}},
            routes=[{"match": {"user": "alice"}, "via": ["exit"]}],
        )

        def basic(credential: bytes) -> bytes:
            return b"Proxy-Authorization: Basic " + b64encode(credential)

        stream, answer = await self.connect(edge, server, basic(b"alice:wonder"))
        self.assertIn(b"HTTP/1.1 200 ", answer)
        stream.write(b"hello")
        self.assertEqual(await stream.read(5), b"hello")
        for header in (basic(b"bob:builder"), b"Proxy-Authorization: Bearer t0ken"):
            _, answer = await self.connect(edge, server, header)
            self.assertIn(b"HTTP/1.1 403 ", answer)
        for headers in ((), (basic(b"alice:guess"),), (b"User: alice",)):
            _, answer = await self.connect(edge, server, *headers)
            self.assertIn(b"HTTP/1.1 407 ", answer)
            self.assertIn(b"basic realm", answer.lower())
        self.assertEqual(len(server.streams), 1)
        stream.finish()
        await stream.ended()
        self.assertEqual((await edge.flow(event="closed"))["user"], "alice")
        # A user is a user of the node that knows the password.
        self.assertEqual((await exit.flow(event="closed"))["user"], None)
