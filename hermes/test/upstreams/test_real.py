"""
Two servers that Twisted brings along, in the reactor itself: one of them dies and comes back.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from hermes.config.direct import DirectUpstream, HealthConfig
from hermes.config.types import Seconds, SocketAddress
from hermes.fabric.places import Endpoint
from hermes.net.network import Network
from hermes.test.http.upstreams import Taken, aRequest
from hermes.upstreams import UpstreamMaker
from hermes.values import RequestHead


class Server(Resource):
    """
    Says its name, and has a body for those who ask for one.
    """

    isLeaf = True

    def __init__(self, name: bytes) -> None:
        super().__init__()
        self.name = name
        self.port: Any = None
        self.number = 0
        self.connections: set[Any] = set()
        self.site = Remembering(self)

    def render_GET(self, request: Any) -> bytes:
        """
        Its name.
        """
        return self.name

    def up(self) -> None:
        """
        Listen, always on the same port.
        """
        listening: Any = reactor
        self.port = listening.listenTCP(self.number, self.site, interface="127.0.0.1")
        self.number = self.port.getHost().port

    def down(self) -> Any:
        """
        Die: nobody listens, and every connection is cut.
        """
        for protocol in self.connections:
            transport = protocol._channel.transport
            if transport is not None:
                transport.abortConnection()
        self.connections.clear()
        port, self.port = self.port, None
        return port.stopListening()


class Remembering(Site):
    """
    Knows its connections.
    """

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        self.resource.connections.add(protocol)
        return protocol


class Taking(Taken):
    """
    Takes a body, and tells when it has it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.whole: Deferred[None] = Deferred()

    def bodyEnded(self, trailers: Any) -> None:
        self.whole.callback(None)

    def bodyFailed(self, reason: Any) -> None:
        self.whole.errback(reason)


class RealServers(TestCase):
    """
    What an upstream makes of them.
    """

    timeout = 30

    def setUp(self) -> None:
        self.servers = [Server(b"one"), Server(b"two")]
        for server in self.servers:
            server.up()
        addresses = tuple(SocketAddress(f"127.0.0.1:{server.number}") for server in self.servers)
        health = HealthConfig(interval=Seconds(0.02), timeout=Seconds(5.0), healthy=1, unhealthy=1)
        maker = UpstreamMaker(Network(reactor), reactor, None)
        self.upstream = maker.make("web", DirectUpstream(addresses, health=health))
        self.dialer: Any = self.upstream.dialer
        self.balancer = self.dialer.group.balancer
        self.wanted: dict[tuple[Endpoint, bool], Deferred[None]] = {}
        self.dialer.health._balancer = self
        self.upstream.start(True)

    async def tearDown(self) -> None:  # type: ignore[override]  # trial takes it
        await self.upstream.close()
        await gatherResults([server.down() for server in self.servers if server.port is not None])

    # What checks tell a balancer.

    def checked(self, endpoint: Endpoint, healthy: bool) -> None:
        """
        Pass it on, and tell the test.
        """
        self.balancer.checked(endpoint, healthy)
        waiting = self.wanted.pop((endpoint, healthy), None)
        if waiting is not None:
            waiting.callback(None)

    def until(self, endpoint: Endpoint, healthy: bool) -> Deferred[None]:
        """
        Fires when it is found to be so.
        """
        self.wanted[endpoint, healthy] = Deferred()
        return self.wanted[endpoint, healthy]

    async def ask(self) -> bytes:
        """
        Who answers a request.
        """
        response = await self.dialer.sender().send(aRequest(RequestHead(b"GET", b"http", b"a.example", b"/")))
        taken = Taking()
        response.body.start(taken)
        await taken.whole
        return taken.data

    async def askAll(self) -> set[bytes]:
        """
        Who answers twenty.
        """
        return {await self.ask() for _ in range(20)}

    async def test_oneDiesAndComesBackAndEveryRequestIsAnswered(self) -> None:
        one, two = self.balancer.endpoints
        self.assertEqual({b"one", b"two"}, await self.askAll())
        for number, (endpoint, other) in enumerate(((one, b"two"), (two, b"one"))):
            sick = self.until(endpoint, False)
            await self.servers[number].down()
            await sick
            self.assertEqual({other}, await self.askAll())
            well = self.until(endpoint, True)
            self.servers[number].up()
            await well
            self.assertEqual({b"one", b"two"}, await self.askAll())
        self.assertEqual([0, 0], [endpoint.active for endpoint in (one, two)])
