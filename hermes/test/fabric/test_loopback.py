"""
The listeners, the handler and the dialers on real sockets of this machine.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hermes.fabric.balance import Balancer
from hermes.fabric.direct import DirectDialer
from hermes.fabric.endpoints import EndpointsDialer, Group
from hermes.fabric.handler import FlowHandler
from hermes.fabric.reach import Reach
from hermes.fabric.router import Route, Router
from hermes.fabric.tcp import TCPListener, TCPOptions
from hermes.fabric.udp import UDPListener, UDPOptions
from hermes.matching import Match
from hermes.net.network import Network
from hermes.test.fabric.fakenetwork import FakeContext
from hermes.test.fabric.fakes import FakeObserver
from hermes.values import Target

clock: Any = reactor


@implementer(IHalfCloseableProtocol)
class Collector(Protocol):
    """
    Keeps what it reads until the peer's direction ends.
    """

    def __init__(self) -> None:
        self.data = b""
        self.connected_ = Deferred[None]()
        self.read: Deferred[bytes] = Deferred()
        self.ended: Deferred[BaseException | None] = Deferred()

    def connectionMade(self) -> None:
        self.connected_.callback(None)

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def readConnectionLost(self) -> None:
        self.read.callback(self.data)

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(reason.value)


class Asked(DatagramProtocol):
    """
    Answers every datagram, or keeps the answers.
    """

    def __init__(self, answers: bool) -> None:
        self.answers = answers
        self.got: Deferred[bytes] = Deferred()

    def datagramReceived(self, datagram: bytes, address: Any) -> None:
        if self.answers:
            self.transport.write(datagram.upper(), address)  # type: ignore[union-attr]
        else:
            self.got.callback(datagram)


class Loopback(TestCase):
    def setUp(self) -> None:
        self.network = Network(reactor)
        self.observer = FakeObserver()

    def context(self, upstream: Any = None) -> FakeContext:
        route = Route(Match(), to=None if upstream is None else "there", allowSpecial=True)
        upstreams = {} if upstream is None else {"there": upstream}
        flows = FlowHandler(
            Router([route]), upstreams, lambda allow: DirectDialer(self.network, allow), [self.observer], clock
        )
        context = FakeContext(clock, flows)
        context.network = self.network
        self.addCleanup(flows.abortAll)
        return context

    async def server(self) -> tuple[Collector, int]:
        protocol = Collector()
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(lambda: protocol))
        self.addCleanup(port.stopListening)
        return protocol, port.getHost().port

    async def client(self, listener: TCPListener) -> Collector:
        await listener.start()
        self.addCleanup(listener.stop)
        host: Any = listener.getHost()
        client: Any = await TCP4ClientEndpoint(reactor, "127.0.0.1", host.port).connect(Factory.forProtocol(Collector))
        return client  # type: ignore[no-any-return]

    async def test_aTCPFlowPassesWithHalfCloseBothWays(self) -> None:
        server, port = await self.server()
        balancer = Balancer([f"127.0.0.1:{port}"], "round-robin", clock)
        upstream = EndpointsDialer(self.network, Group(balancer), Reach(self.network))
        client = await self.client(
            TCPListener("t", TCPOptions("127.0.0.1:0", Target("db.hermes", 1)), self.context(upstream))
        )
        question, answer = b"q" * 3_000_000, b"a" * 2_000_000
        client.transport.write(question)  # type: ignore[union-attr]
        client.transport.loseWriteConnection()  # type: ignore[union-attr]
        self.assertEqual(question, await server.read)
        server.transport.write(answer)  # type: ignore[union-attr]
        server.transport.loseConnection()  # type: ignore[union-attr]
        self.assertEqual(answer, await client.read)
        client.transport.loseConnection()  # type: ignore[union-attr]
        await client.ended
        await server.ended
        await self.closed()
        record = self.observer.events[-1][1]
        self.assertEqual((len(question), len(answer), None), (record.bytesIn, record.bytesOut, record.error))
        self.assertEqual(0, balancer.endpoints[0].active)

    async def closed(self) -> None:
        """
        Wait for the flow's record.
        """
        while self.observer.names()[-1:] != ["closed"]:
            turn: Deferred[None] = Deferred()
            clock.callLater(0, turn.callback, None)
            await turn

    async def test_aResetPassesToTheOtherEnd(self) -> None:
        server, port = await self.server()
        client = await self.client(
            TCPListener("t", TCPOptions("127.0.0.1:0", Target("127.0.0.1", port)), self.context())
        )
        await server.connected_
        server.transport.abortConnection()  # type: ignore[union-attr]
        self.assertNotIsInstance(await client.ended, ConnectionDone)
        await server.ended
        await self.closed()
        self.assertTrue((self.observer.events[-1][1].error or "").startswith("target: "))

    async def test_aUDPFlowPassesBothWays(self) -> None:
        server = clock.listenUDP(0, Asked(True), interface="127.0.0.1")
        self.addCleanup(server.stopListening)
        target = Target("127.0.0.1", server.getHost().port)
        listener = UDPListener("u", UDPOptions("127.0.0.1:0", target), self.context())
        await listener.start()
        self.addCleanup(listener.stop)
        asked = Asked(False)
        client = clock.listenUDP(0, asked, interface="127.0.0.1")
        self.addCleanup(client.stopListening)
        host: Any = listener.getHost()
        asked.transport.write(b"question", ("127.0.0.1", host.port))  # type: ignore[union-attr]
        self.assertEqual(b"QUESTION", await asked.got)
        await listener.stop()
        await self.closed()
        self.assertEqual(["opened", "closed"], self.observer.names())
