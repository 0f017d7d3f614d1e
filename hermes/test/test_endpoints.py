"""
Tests for L{hermes.endpoints}.
"""

from __future__ import annotations

import os
from typing import Any

import treq
from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from hermes.assembly import Assembly
from hermes.config import ConfigError, loadNodeText
from hermes.endpoints import HermesClientParser, HermesServerParser, ProxyAddress, TunnelEndpoint, connectionsOf
from hermes.errors import HopRefused
from hermes.net.network import Network
from hermes.node import Node
from hermes.test.test_plugins import Collected, Echo

reactor: Any = installedReactor


class ParserTests(SynchronousTestCase):
    """
    Descriptions of endpoints.
    """

    def test_aDescriptionNamesTargetAndProxy(self) -> None:
        clock = Clock()
        endpoint = clientFromString(clock, "hermes:db.hermes:3306:proxy=relay\\:8443:tls=no:user=u:password=p")
        # clientFromString wraps what a parser gives.
        inner: Any = getattr(endpoint, "_wrappedEndpoint", endpoint)
        self.assertIsInstance(inner, TunnelEndpoint)
        self.assertEqual(str(inner.target), "db.hermes:3306")

    def test_theColonOfAProxyNeedNotBeEscaped(self) -> None:
        parser = HermesClientParser()
        self.assertIsInstance(
            parser.parseStreamClient(Clock(), "h", "1", "8443", proxy="relay", tls="no"), TunnelEndpoint
        )

    def test_endpointsOfOneProxyShareItsConnections(self) -> None:
        shared = connectionsOf(Clock())
        one = ProxyAddress.fromParameters({"proxy": "relay:8443", "tls": "no"})
        other = ProxyAddress.fromParameters({"proxy": "relay:8443", "tls": "no", "token": "t"})
        self.assertIs(shared.client(one), shared.client(one))
        self.assertIsNot(shared.client(one), shared.client(other))

    def wrong(self, *arguments: str, **parameters: str) -> str:
        """
        What is said of a wrong description.
        """
        return str(
            self.assertRaises(ValueError, HermesClientParser().parseStreamClient, Clock(), *arguments, **parameters)
        )

    def test_aWrongDescriptionIsTold(self) -> None:
        self.assertIn("write hermes:HOST:PORT", self.wrong("h"))
        self.assertIn("'x' is not a port", self.wrong("h", "x", proxy="a:1"))
        self.assertIn("proxy=HOST\\:PORT is missing", self.wrong("h", "1"))
        self.assertIn("names no port", self.wrong("h", "1", proxy="a"))
        self.assertIn("unknown parameter 'prxy'", self.wrong("h", "1", prxy="a:1"))
        self.assertIn("tls=perhaps", self.wrong("h", "1", proxy="a:1", tls="perhaps"))
        self.assertIn("version=3", self.wrong("h", "1", proxy="a:1", version="3"))
        self.assertIn("certificate and key go together", self.wrong("h", "1", proxy="a:1", key="k"))
        self.assertIn("user and password go together", self.wrong("h", "1", proxy="a:1", user="u"))
        self.assertIn("needs tls=no, node= or serverName=", self.wrong("h", "1", proxy="unix:/s"))
        self.assertIn("no other parameter", self.wrong("h", "1", proxy="a:1", config="f"))

    def test_aServerNeedsAnAddressOfTheProxy(self) -> None:
        parser = HermesServerParser()
        error = self.assertRaises(
            ValueError, parser.parseStreamServer, Clock(), "80", proxy="a:1", tls="no", interface="relay"
        )
        self.assertIn("an IP address of the proxy's", str(error))

    def test_aWrongConfigurationIsTold(self) -> None:
        path = os.path.abspath(self.mktemp())
        error = self.assertRaises(ConfigError, HermesClientParser().parseStreamClient, Clock(), "h", "1", config=path)
        self.assertIn("no such file", str(error))


class Hello(Resource):
    """
    A page.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """
        Who asked for what.
        """
        return b"hello " + request.path


@implementer(IAgentEndpointFactory)
class Described:
    """
    Connects all requests with one description.
    """

    def __init__(self, description: str) -> None:
        self._description = description

    def endpointForURI(self, uri: Any) -> Any:
        """
        The endpoint for a URI.
        """
        return clientFromString(reactor, self._description.format(host=uri.host.decode(), port=uri.port))


class OverlayTests(TestCase):
    """
    Unmodified programs through a node in the same process.
    """

    timeout = 60

    async def node(self) -> int:
        """
        A node that takes Alice; the port of its tunnel listener.
        """
        config = loadNodeText(
            """
            node: relay
            listeners: {overlay: {type: tunnel, bind: "127.0.0.1:0", tls: false}}
            users: {alice: {password: secret}}
            routes:
              - {match: {user: alice, protocol: listen}}
              - {match: {user: alice}, allowSpecial: true}
            """,
            "relay.yaml",
            "/",
        )
        node = Node(reactor, config, Assembly(reactor, Network(reactor)))
        await node.start()
        self.addCleanup(node.stop)
        self.addCleanup(connectionsOf(reactor).close)
        address: Any = node.addresses()["overlay"]
        return int(address.port)

    async def listen(self, factory: Any) -> int:
        """
        A server; its port.
        """
        port: Any = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def test_treqAsksOverTheOverlay(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._treq())

    async def _treq(self) -> None:
        proxy, web = await self.node(), await self.listen(Site(Hello()))
        description = f"hermes:{{host}}:{{port}}:proxy=127.0.0.1\\:{proxy}:tls=no:version=2:user=alice:password=secret"
        client = treq.client.HTTPClient(Agent.usingEndpointFactory(reactor, Described(description)))
        response = await client.get(f"http://127.0.0.1:{web}/world")
        self.assertEqual(await response.content(), b"hello /world")

    def test_aWrongPasswordIsRefused(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._refused())

    async def _refused(self) -> None:
        proxy = await self.node()
        endpoint = clientFromString(
            reactor, f"hermes:127.0.0.1:1:proxy=127.0.0.1\\:{proxy}:tls=no:version=2:user=alice:password=guess"
        )
        with self.assertRaises(HopRefused) as caught:
            await endpoint.connect(Factory.forProtocol(Echo))
        self.assertEqual(caught.exception.answered, 407)

    def test_aConfigurationsRoutesAreTaken(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._configured())

    async def _configured(self) -> None:
        proxy, echo = await self.node(), await self.listen(Factory.forProtocol(Echo))
        path: str = os.path.abspath(self.mktemp())
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f"""
                node: laptop
                upstreams:
                  relay:
                    {{type: masque, endpoints: "127.0.0.1:{proxy}", tls: false, version: 1.1, user: alice,
                      password: secret}}
                  echo: {{type: direct, endpoints: "127.0.0.1:{echo}"}}
                routes: [{{match: {{target: echo.hermes}}, to: echo, via: relay}}]
                """
            )
        endpoint = clientFromString(reactor, f"hermes:echo.hermes:7:config={path}")
        connection: Collected = await connectProtocol(endpoint, Collected())
        connection.send(b"by a route")
        self.assertEqual(await connection.received(10), b"by a route")
        connection.transport.loseConnection()  # type: ignore[union-attr]

    def test_aServerListensOnAProxy(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._remote())

    async def _remote(self) -> None:
        proxy = await self.node()
        description = (
            f"hermes:0:proxy=127.0.0.1\\:{proxy}:tls=no:version=2:user=alice:password=secret:interface=127.0.0.1"
        )
        port: Any = await serverFromString(reactor, description).listen(Factory.forProtocol(Echo))
        bound = port.getHost()
        endpoint = clientFromString(reactor, f"tcp:127.0.0.1:{bound.port}")
        connection: Collected = await connectProtocol(endpoint, Collected())
        connection.send(b"back through the tunnel")
        self.assertEqual(await connection.received(23), b"back through the tunnel")
        connection.transport.loseConnection()  # type: ignore[union-attr]
        await port.stopListening()
