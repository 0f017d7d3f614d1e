"""
WebSockets and gRPC through one node and through two, with the libraries that people use.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from hermes.test.interop.httpnodes import DIRECTORY, HTTPCase
from hermes.test.interop.processes import Node


class WebSocketTests(HTTPCase):
    """
    The C{websockets} package. Between two nodes a WebSocket is a stream of HTTP/2 (RFC 8441).
    """

    skip = None if find_spec("websockets") else "websockets is not installed"

    async def exercise(self, node: Node) -> None:
        text = await self.output(
            sys.executable, str(DIRECTORY / "websocketclient.py"), "one.example", str(node.ports["web"])
        )
        self.assertEqual(text, "done\n")

    async def test_throughOneNode(self) -> None:
        await self.exercise(await self.reverse({"1.1": await self.serving("websocketecho")}))

    async def test_throughTwoNodes(self) -> None:
        edge, exit = await self.chain({"1.1": await self.serving("websocketecho")})
        await self.exercise(edge)
        entry = await exit.flow(event="request", path="/echo?room=1")
        self.assertEqual((entry["version"], entry["status"], entry["node"]), ("2", 200, "edge"))


class GRPCTests(HTTPCase):
    """
    The C{grpcio} package.
    """

    skip = None if find_spec("grpc") else "grpcio is not installed"

    async def exercise(self, node: Node) -> None:
        program = str(DIRECTORY / "grpcclient.py")
        self.assertEqual(await self.output(sys.executable, program, str(node.ports["web"]), "two.example"), "done\n")

    async def test_throughOneNode(self) -> None:
        await self.exercise(await self.reverse({"2": await self.serving("grpcserver")}))

    async def test_throughTwoNodes(self) -> None:
        edge, _ = await self.chain({"2": await self.serving("grpcserver")})
        await self.exercise(edge)
