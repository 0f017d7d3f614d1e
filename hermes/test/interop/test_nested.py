"""
Three nodes: what the one in the middle sees of a nested tunnel, and, for contrast, of one that goes hop by hop.
"""

from __future__ import annotations

import json
from typing import Any

from hermes.test.interop.datagrams import DatagramEcho
from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node, ProcessCase, udp
from hermes.test.interop.streams import Echo
from hermes.test.interop.taps import Tap

NAME = "secret-name.hermes"
PAYLOAD = b"the payload that nobody in the middle may read"


class NestedTests(ProcessCase):
    """
    C{edge}, C{relay}, C{exit}. The target's name is known to C{exit} alone.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def exitTo(self, port: int, **options: Any) -> Node:
        """
        Start the last node.

        @param port: where the target is.
        """
        return await self.node(
            "exit",
            identity=self.identity("exit"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0", **options}},
            upstreams={"origin": {"type": "direct", "endpoints": [f"127.0.0.1:{port}"]}},
            routes=[
                {"match": {"target": NAME, "protocol": "tcp"}, "to": "origin"},
                {"match": {"target": "127.0.0.0/8", "protocol": "udp"}},
            ],
        )

    async def relay(self, exit: int, *names: str, **options: Any) -> Node:
        """
        Start the middle node.

        @param exit: the port where it finds C{exit}.
        @param names: the targets that it takes; without, only C{exit} itself.
        """
        return await self.node(
            "relay",
            identity=self.identity("relay"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0", **options}},
            upstreams={
                "exit": {"type": "hermes", "endpoints": [f"127.0.0.1:{exit}"]},
                # A link whose bytes can be looked at.
                "clear-exit": {
                    "type": "masque",
                    "endpoints": [f"127.0.0.1:{exit}"],
                    "tls": False,
                    "version": "1.1",
                },
            },
            routes=[{"match": {"target": [f"127.0.0.1:{exit}", *names]}}],
        )

    async def edge(self, relay: dict[str, Any], exit: int, route: dict[str, Any], udpPort: int = 9) -> Node:
        """
        Start the first node.
        """
        return await self.node(
            "edge",
            identity=self.identity("edge"),
            listeners={
                "apps": {"type": "tcp", "bind": "127.0.0.1:0", "target": f"{NAME}:7777"},
                "games": udp(udpPort),
            },
            upstreams={"relay": relay, "exit": {"type": "hermes", "endpoints": [f"127.0.0.1:{exit}"]}},
            routes=[{"match": {"any": True}, **route}],
        )

    async def check(self, edge: Node) -> None:
        """
        Something goes to the target and back.
        """
        client = await self.local.connect(edge.ports["apps"])
        client.write(PAYLOAD)
        self.assertEqual(await client.read(len(PAYLOAD)), PAYLOAD)
        client.finish()
        await client.ended()

    async def whatItTells(self, relay: Node) -> str:
        """
        All that a node tells its operator.
        """
        pages = [await relay.ask(path) for path in ("/flows", "/status", "/metrics")]
        return relay.output + "".join(pages)

    async def test_theMiddleLearnsNeitherTargetNorBytes(self) -> None:
        server = await self.local.server(Echo)
        echo = self.local.datagrams(make=DatagramEcho)
        exit = await self.exitTo(server.port)
        outgoing = await self.local.tap(exit.ports["overlay"])
        relay = await self.relay(outgoing.port)
        hop = {"type": "hermes", "endpoints": [relay.address("overlay")]}
        edge = await self.edge(hop, outgoing.port, {"via": ["relay", "exit"], "nested": True}, echo.port)
        await self.check(edge)
        client = self.local.datagrams(edge.ports["games"])
        client.write(PAYLOAD)
        self.assertEqual(await client.read(), PAYLOAD)

        # One stream, to the last node: all flows are inside it.
        flows = json.loads(await relay.ask("/flows"))
        self.assertEqual([flow["target"] for flow in flows], [f"127.0.0.1:{outgoing.port}"])
        self.assertEqual((flows[0]["protocol"], flows[0]["node"]), ("tcp", "edge"))
        told = await self.whatItTells(relay)
        for secret in (NAME, "7777", str(server.port), str(echo.port), PAYLOAD.decode()):
            self.assertNotIn(secret, told)
        # And what leaves it is TLS between the first and the last.
        self.assertEqual(outgoing.forth[:2], b"\x16\x03")
        self.assertNotIn(PAYLOAD, outgoing)
        # The last knows the first, not the middle.
        last = await exit.flow(event="closed", protocol="tcp")
        self.assertEqual((last["node"], last["target"]), ("edge", f"{NAME}:7777"))
        self.assertEqual((await edge.flow(event="closed"))["hops"], ["relay", "exit"])

    async def test_theBytesThatTheMiddleDecryptsAreTheExitsAddressAndTLS(self) -> None:
        # The link to the middle is in the clear and HTTP/1.1: what passes there is what the middle sees.
        server = await self.local.server(Echo)
        exit = await self.exitTo(server.port)
        relay = await self.relay(exit.ports["overlay"], tls=False, anonymous=True)
        incoming = await self.local.tap(relay.ports["overlay"])
        hop = {"type": "masque", "endpoints": [f"127.0.0.1:{incoming.port}"], "tls": False, "version": "1.1"}
        edge = await self.edge(hop, exit.ports["overlay"], {"via": ["relay", "exit"], "nested": True})
        await self.check(edge)
        head, _, rest = bytes(incoming.forth).partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"CONNECT %s HTTP/1.1\r\n" % exit.address("overlay").encode()), head)
        self.assertEqual(rest[:2], b"\x16\x03")
        for secret in (NAME.encode(), b"secret-name", b"7777", PAYLOAD):
            self.assertNotIn(secret, incoming)

    async def test_hopByHopTheMiddleReadsBoth(self) -> None:
        server = await self.local.server(Echo)
        exit = await self.exitTo(server.port, tls=False, anonymous=True)
        outgoing: Tap = await self.local.tap(exit.ports["overlay"])
        relay = await self.relay(outgoing.port, NAME)
        hop = {"type": "hermes", "endpoints": [relay.address("overlay")]}
        edge = await self.edge(hop, 9, {"via": ["relay", "clear-exit"]})
        await self.check(edge)
        flow = await relay.flow(event="closed")
        self.assertEqual((flow["target"], flow["hops"], flow["node"]), (f"{NAME}:7777", ["clear-exit"], "edge"))
        self.assertTrue(outgoing.forth.startswith(b"CONNECT %s:7777 HTTP/1.1\r\n" % NAME.encode()))
        self.assertIn(PAYLOAD, outgoing)
