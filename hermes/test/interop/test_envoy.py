"""
Envoy, at either end of a tunnel and in its middle.
"""

from __future__ import annotations

import hashlib
import os
import socket
from typing import Any

from hermes.test.interop.datagrams import DatagramEcho, Datagrams
from hermes.test.interop.envoys import cluster, startEnvoy, tcpListener, terminator, udpListener
from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node, ProcessCase, tcp, udp
from hermes.test.interop.streams import Counter, Echo, Server, inOrder
from hermes.test.processes import freePort

BULK = os.urandom(1 << 20) * 3
DIGEST = hashlib.sha256(BULK).digest()


class EnvoyCase(ProcessCase):
    """
    What is asked of every path.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def checkStream(self, port: int, server: Server) -> None:
        """
        Bytes go both ways, and each direction ends by itself.
        """
        client = await self.local.connect(port, Counter)
        client.write(BULK)
        far = await server.next()
        far.write(BULK)
        await far.until(lambda: far.count == len(BULK))
        await client.until(lambda: client.count == len(BULK))
        client.finish()
        await far.until(lambda: far.readEnded)
        self.assertEqual(far.digest.digest(), DIGEST)
        far.write(b"last words")
        far.finish()
        await client.until(lambda: client.readEnded)
        self.assertEqual(client.digest.digest(), hashlib.sha256(BULK + b"last words").digest())
        self.assertTrue(inOrder(await client.ended()))

    async def checkDatagrams(self, port: int, sizes: tuple[int, ...] = (1, 512, 1200, 1473, 8000)) -> None:
        """
        Datagrams of these sizes come back, from two clients.
        """
        for client in (self.local.datagrams(port), self.local.datagrams(port)):
            for size in sizes:
                datagram = os.urandom(size)
                client.write(datagram)
                self.assertEqual(await client.read(), datagram)

    def echo(self) -> Datagrams:
        """
        A server that answers datagrams.
        """
        return self.local.datagrams(make=DatagramEcho)

    async def dialing(self, port: int, listener: dict[str, Any], **options: Any) -> Node:
        """
        A node that goes through the Envoy at C{port}.
        """
        upstream = {"type": "masque", "endpoints": [f"127.0.0.1:{port}"], "tls": False, "version": "2", **options}
        return await self.node(
            "edge",
            identity=self.identity("edge"),
            listeners={"apps": listener},
            upstreams={"envoy": upstream},
            routes=[{"match": {"any": True}, "via": ["envoy"]}],
        )

    async def taking(self, **options: Any) -> Node:
        """
        A node that takes tunnels.
        """
        return await self.node(
            "exit",
            identity=self.identity("exit"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0", **options}},
            routes=[{"match": {"any": True}, "allowSpecial": True}],
        )


class DialIntoEnvoyTests(EnvoyCase):
    """
    Hermes is the client.
    """

    async def test_connect(self) -> None:
        server = await self.local.server(Counter)
        port = freePort()
        await startEnvoy(self, "envoy", terminator(port, "CONNECT"), cluster(server.port))
        edge = await self.dialing(port, tcp(server.port))
        await self.checkStream(edge.ports["apps"], server)

    async def test_connectByHTTP1(self) -> None:
        server = await self.local.server(Echo)
        port = freePort()
        await startEnvoy(self, "envoy", terminator(port, "CONNECT", codec="HTTP1"), cluster(server.port))
        edge = await self.dialing(port, tcp(server.port), version="1.1")
        client = await self.local.connect(edge.ports["apps"], Counter)
        client.write(BULK)
        await client.until(lambda: client.count == len(BULK))
        self.assertEqual(client.digest.digest(), DIGEST)

    async def test_connectOverMutualTLS(self) -> None:
        server = await self.local.server(Counter)
        port = freePort()
        await startEnvoy(self, "envoy", terminator(port, "CONNECT", tls=self.identity("envoy")), cluster(server.port))
        edge = await self.dialing(
            port, tcp(server.port), tls=True, trust=self.authority.trustFile, clientCertificate=True, version="auto"
        )
        await self.checkStream(edge.ports["apps"], server)

    async def test_connectUDP(self) -> None:
        server = self.echo()
        port = freePort()
        await startEnvoy(self, "envoy", terminator(port, "CONNECT-UDP"), cluster(server.port))
        edge = await self.dialing(port, udp(server.port))
        # Envoy's own sockets take no more than 1,500 bytes unless told to.
        await self.checkDatagrams(edge.ports["apps"], (1, 512, 1200, 1400))

    async def test_connectUDPThatEnvoyDoesNotUpgradeIsTold(self) -> None:
        # By HTTP/1.1 it opens the socket, but answers 200 and chunks: not the 101 of RFC 9298 section 3.3.
        server = self.echo()
        port = freePort()
        await startEnvoy(self, "envoy", terminator(port, "CONNECT-UDP", codec="HTTP1"), cluster(server.port))
        edge = await self.dialing(port, udp(server.port), version="1.1")
        self.local.datagrams(edge.ports["apps"]).write(b"hello")
        refused = await edge.flow(event="refused")
        self.assertEqual(refused["proxyStatus"], "http_upgrade_failed")

    async def test_aTargetThatRefusesIsTold(self) -> None:
        port, nobody = freePort(), freePort()
        await startEnvoy(self, "envoy", terminator(port, "CONNECT"), cluster(nobody))
        edge = await self.dialing(port, tcp(nobody))
        client = await self.local.connect(edge.ports["apps"])
        await client.ended()
        refused = await edge.flow(event="refused")
        self.assertIn("503", refused["error"])


class EnvoyDialsTests(EnvoyCase):
    """
    Hermes is the server.
    """

    async def test_tcpProxyTunnelling(self) -> None:
        server = await self.local.server(Counter)
        exit = await self.taking(tls=False, anonymous=True)
        port = freePort()
        await startEnvoy(
            self,
            "envoy",
            tcpListener(port, f"127.0.0.1:{server.port}"),
            cluster(exit.ports["overlay"], http2=True),
        )
        await self.checkStream(port, server)

    async def test_tcpProxyTunnellingOverMutualTLS(self) -> None:
        server = await self.local.server(Counter)
        exit = await self.taking()
        port = freePort()
        await startEnvoy(
            self,
            "envoy",
            tcpListener(port, f"127.0.0.1:{server.port}"),
            cluster(exit.ports["overlay"], http2=True, tls=self.identity("envoy")),
        )
        await self.checkStream(port, server)
        self.assertEqual((await exit.flow(event="closed"))["node"], "envoy")

    async def test_udpProxyTunnelling(self) -> None:
        server = self.echo()
        exit = await self.taking(tls=False, anonymous=True)
        port = freePort(socket.SOCK_DGRAM)
        await startEnvoy(self, "envoy", udpListener(port, server.port), cluster(exit.ports["overlay"], http2=True))
        await self.checkDatagrams(port)


class EnvoyBetweenTests(EnvoyCase):
    """
    Hermes, Envoy, Hermes.
    """

    async def inARow(self, kind: str, listener: dict[str, Any]) -> Node:
        """
        Start the three.

        @return: the first.
        """
        exit = await self.taking()
        port = freePort()
        tls = self.identity("envoy")
        await startEnvoy(
            self,
            "envoy",
            terminator(port, kind, tls=tls, terminates=False),
            cluster(exit.ports["overlay"], http2=True, tls=tls),
        )
        return await self.dialing(port, listener, tls=True, trust=self.authority.trustFile, clientCertificate=True)

    async def test_streams(self) -> None:
        server = await self.local.server(Counter)
        edge = await self.inARow("CONNECT", tcp(server.port))
        await self.checkStream(edge.ports["apps"], server)

    async def test_datagrams(self) -> None:
        server = self.echo()
        edge = await self.inARow("CONNECT-UDP", udp(server.port))
        await self.checkDatagrams(edge.ports["apps"])
