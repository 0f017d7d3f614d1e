"""
Programs that know nothing of Hermes: clients of Redis and MySQL, treq, a Twisted server; over listeners of a node, and
over C{hermes:} endpoints.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any
from unittest import SkipTest

import treq
from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, connectProtocol, serverFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent, ProxyAgent
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.resource import Resource
from twisted.web.static import Data
from zope.interface import implementer

from hermes.endpoints import connectionsOf
from hermes.test.interop.datagrams import DatagramEcho
from hermes.test.interop.local import Local
from hermes.test.interop.mysqlserver import MySQLServer
from hermes.test.interop.processes import Node, ProcessCase, proxy, tcp
from hermes.test.interop.redisserver import RedisServer
from hermes.test.interop.streams import Echo, Server, Stream
from hermes.wire.socks import datagramHeader, parseDatagram

reactor: Any = theReactor

BODY = os.urandom(1 << 20) * 2
DIGEST = hashlib.sha256(BODY).digest()


def useRedis(port: int) -> None:
    """
    Use a Redis server, with the client from PyPI. Blocks.

    @raise SkipTest: where that is not installed.
    """
    try:
        import redis
    except ImportError:
        raise SkipTest("redis is not installed") from None
    with redis.Redis("127.0.0.1", port, socket_timeout=20, protocol=2) as client:
        assert client.set("greeting", b"hello")
        assert client.get("greeting") == b"hello"
        value = os.urandom(300_000)
        assert client.set("large", value)
        assert client.get("large") == value
        with client.pipeline(transaction=False) as pipeline:
            for number in range(200):
                pipeline.incrby("counter", number)
            assert pipeline.execute()[-1] == sum(range(200))


def useMySQL(port: int) -> None:
    """
    Use a MySQL server, with the client from PyPI. Blocks.

    @raise SkipTest: where that is not installed.
    """
    try:
        import pymysql
    except ImportError:
        raise SkipTest("pymysql is not installed") from None
    connection = pymysql.connect(
        host="127.0.0.1", port=port, user="root", password="x", ssl_disabled=True, connect_timeout=20, read_timeout=20
    )
    with connection, connection.cursor() as cursor:
        for size in (1, 20_000):
            cursor.execute("SELECT REPEAT('cat', %s)", (size,))
            assert cursor.fetchall() == (("cat" * size,),)


@implementer(IAgentEndpointFactory)
class Described:
    """
    Connects an Agent's requests with a description of an endpoint.
    """

    def __init__(self, description: str) -> None:
        self._description = description

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        """
        The endpoint for a URI.
        """
        description = self._description.format(host=uri.host.decode(), port=uri.port)
        endpoint: IStreamClientEndpoint = clientFromString(reactor, description)
        return endpoint


class ApplicationCase(ProcessCase):
    """
    What these tests share.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def redis(self) -> Server:
        """
        Start a Redis server.
        """
        stored: dict[bytes, bytes] = {}
        return await self.local.server(lambda: RedisServer(stored))

    async def site(self) -> int:
        """
        Start a web server.

        @return: its port.
        """
        root = Resource()
        root.putChild(b"big", Data(BODY, "application/octet-stream"))
        return await self.local.site(root)


class ListenerTests(ApplicationCase):
    """
    Through a listener near the program.
    """

    async def test_clientsOfRedisAndMySQLThroughTCPListeners(self) -> None:
        redis, mysql = await self.redis(), await self.local.server(MySQLServer)
        edge, exit = await self.pair({"redis": tcp(redis.port), "mysql": tcp(mysql.port)})
        await gatherResults(
            [deferToThread(useRedis, edge.ports["redis"]), deferToThread(useMySQL, edge.ports["mysql"])],
            consumeErrors=True,
        )
        for node in (edge, exit):
            for server in (redis, mysql):
                await node.flow(event="closed", target=f"127.0.0.1:{server.port}")

    async def test_twistedsOwnProxyAgent(self) -> None:
        port = await self.site()
        edge, exit = await self.pair({"apps": proxy()})
        agent = ProxyAgent(HostnameEndpoint(reactor, "127.0.0.1", edge.ports["apps"]))
        response = await treq.get(f"http://127.0.0.1:{port}/big", agent=agent)
        self.assertEqual(response.code, 200)
        self.assertEqual(hashlib.sha256(await response.content()).digest(), DIGEST)
        self.assertEqual((await exit.flow())["node"], "edge")

    async def test_datagramsOfASOCKS5Association(self) -> None:
        first, second = self.local.datagrams(make=DatagramEcho), self.local.datagrams(make=DatagramEcho)
        edge, exit = await self.pair({"apps": proxy()})
        control = await self.local.connect(edge.ports["apps"])
        control.write(b"\x05\x01\x00")
        self.assertEqual(await control.read(2), b"\x05\x00")
        control.write(b"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00")
        reply = await control.read(10)
        self.assertEqual(reply[:8], b"\x05\x00\x00\x01\x7f\x00\x00\x01")
        relay = self.local.datagrams(int.from_bytes(reply[8:], "big"))
        for server, host in ((first, "127.0.0.1"), (second, "localhost"), (first, "127.0.0.1")):
            for size in (0, 1, 1200, 20_000):
                payload = os.urandom(size)
                relay.write(datagramHeader(host, server.port) + payload)
                source, port, answer = parseDatagram(await relay.read())
                self.assertEqual((source, port, bytes(answer)), (host, server.port, payload))
        # The control connection's end is the association's.
        control.finish()
        control.socket.loseConnection()
        flows = [await exit.flow(event="closed", target=target) for target in self.targets(first.port, second.port)]
        self.assertEqual([flow["datagramsIn"] for flow in flows], [8, 4])
        self.assertIsNone((await edge.flow(event="closed", protocol="udp")).get("error"))

    def targets(self, first: int, second: int) -> tuple[str, str]:
        """
        The targets of two servers' flows.
        """
        return f"127.0.0.1:{first}", f"localhost:{second}"


class EndpointTests(ApplicationCase):
    """
    Through C{hermes:} in C{clientFromString} and C{serverFromString}, with the last node as the proxy.
    """

    async def exit(self) -> tuple[Node, str]:
        """
        Start a node.

        @return: it, and how an endpoint describes it.
        """
        node = await self.node(
            "exit",
            identity=self.identity("exit"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}},
            routes=[
                {"match": {"node": "laptop", "protocol": "listen"}},
                {"match": {"node": "laptop"}, "allowSpecial": True},
            ],
        )
        self.addCleanup(connectionsOf(reactor).close)
        us = self.identity("laptop")
        files = ":".join(f"{key}={us[key]}" for key in ("certificate", "key", "trust"))
        return node, f"proxy=127.0.0.1\\:{node.ports['overlay']}:node=exit:{files}"

    async def test_treq(self) -> None:
        port = await self.site()
        exit, described = await self.exit()
        agent = Agent.usingEndpointFactory(reactor, Described(f"hermes:{{host}}:{{port}}:{described}"))
        answers = await gatherResults([treq.get(f"http://127.0.0.1:{port}/big", agent=agent) for _ in range(3)])
        for response in answers:
            self.assertEqual(hashlib.sha256(await response.content()).digest(), DIGEST)
        self.assertEqual((await exit.flow(event="closed"))["node"], "laptop")

    async def test_aProtocolOfTwisteds(self) -> None:
        server = await self.local.server(Echo)
        _, described = await self.exit()
        endpoint = clientFromString(reactor, f"hermes:127.0.0.1:{server.port}:{described}")
        stream: Stream = await connectProtocol(endpoint, Stream())
        stream.write(BODY)
        stream.finish()
        self.assertEqual(hashlib.sha256(await stream.readToEnd()).digest(), DIGEST)
        await stream.ended()

    async def test_aRedisServerThatListensOnARemoteProxy(self) -> None:
        stored: dict[bytes, bytes] = {}
        _, described = await self.exit()
        server = Server(lambda: RedisServer(stored))
        port: Any = await serverFromString(reactor, f"hermes:0:{described}:interface=127.0.0.1").listen(server)
        await deferToThread(useRedis, port.getHost().port)
        await gatherResults([Deferred.fromCoroutine(stream.ended()) for stream in server.streams])
        self.assertEqual(stored[b"greeting"], b"hello")
        await port.stopListening()
