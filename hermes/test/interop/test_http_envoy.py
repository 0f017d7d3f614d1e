"""
Envoy as the neighbour on either side of a node: Envoy, Hermes, Envoy.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.util import find_spec
from itertools import product
from unittest import SkipTest

from hermes.test.interop.envoys import cluster, httpListener, startEnvoy
from hermes.test.interop.httpnodes import DIRECTORY, VERSIONS, HTTPCase
from hermes.test.interop.processes import Node
from hermes.test.processes import freePort

BODY = os.urandom(1 << 20) * 2
DIGEST = hashlib.sha256(BODY).hexdigest()


class EnvoyTests(HTTPCase):
    """
    A client asks an Envoy, which asks a node, which asks an Envoy, which asks an origin.
    """

    timeout = 120

    async def front(self, node: Node, version: str) -> int:
        """
        An Envoy that a client asks in HTTP/1.1, and that asks a node.

        @param version: in which the node is asked.
        @return: its port.
        """
        port = freePort()
        asks = cluster(node.ports["web"], http2=version == "2", trailers=True)
        await startEnvoy(self, f"front{version}", httpListener(port, "AUTO"), asks)
        return port

    async def back(self, version: str, origin: int, originVersion: str) -> int:
        """
        An Envoy that a node asks, and that asks an origin.

        @param version: in which the node asks.
        """
        port = freePort()
        codec = "HTTP2" if version == "2" else "HTTP1"
        asks = cluster(origin, http2=originVersion == "2", trailers=True)
        await startEnvoy(self, f"back{version}", httpListener(port, codec), asks)
        return port

    async def test_requestsAndTheirTrailersPassInEachVersion(self) -> None:
        origin = await self.serving("http1server")
        node = await self.reverse({version: await self.back(version, origin, "1.1") for version in VERSIONS})
        upload = self.directory / "upload"
        upload.write_bytes(BODY)
        fronts = {version: await self.front(node, version) for version in VERSIONS}
        for before, behind in product(VERSIONS, VERSIONS):
            way = f"{before} to {behind}"
            host = {"1.1": "one", "2": "two"}[behind] + ".example"
            at = (f"http://{host}:{fronts[before]}", "--resolve", f"{host}:{fronts[before]}:127.0.0.1")
            text = await self.curl(*at, "-T", str(upload))
            self.assertIn(DIGEST, text, way)
            size = await self.curl(at[0] + "/size/3000000", *at[1:], "-o", "/dev/null", "-w", "%{size_download}")
            self.assertEqual(size, "3000000", way)
            head = await self.curl(at[0] + "/", *at[1:], "-I")
            self.assertRegex(head, r"^HTTP/1.1 200 OK\r\n[\s\S]*content-length: [1-9]", way)
            text = await self.curl(at[0] + "/trailers", *at[1:], "-D", "-", "-o", "/dev/null")
            self.assertRegex(text, r"(?i)\r\n\r\n[\s\S]*x-sum: from the origin", way)
        for version in VERSIONS:
            await node.flow(event="request", version=version, status=200)

    async def test_webSocketsPassInEachVersion(self) -> None:
        if find_spec("websockets") is None:
            raise SkipTest("websockets is not installed")
        origin = await self.serving("websocketecho")
        node = await self.reverse({version: await self.back(version, origin, "1.1") for version in VERSIONS})
        program = str(DIRECTORY / "websocketclient.py")
        for before in VERSIONS:
            port = await self.front(node, before)
            for host in ("one.example", "two.example"):
                self.assertEqual(await self.output(sys.executable, program, host, str(port)), "done\n")
        for version in VERSIONS:
            await node.flow(event="request", version=version, protocol="websocket", status=200)

    async def test_gRPCPasses(self) -> None:
        if find_spec("grpc") is None:
            raise SkipTest("grpcio is not installed")
        node = await self.reverse({"2": await self.back("2", await self.serving("grpcserver"), "2")})
        program = str(DIRECTORY / "grpcclient.py")
        port = await self.front(node, "2")
        self.assertEqual(await self.output(sys.executable, program, str(port), "two.example"), "done\n")
