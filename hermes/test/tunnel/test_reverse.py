"""
Remote listening, both ends.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.errors import FlowError, HopRefused, NoRoute, StreamReset
from hermes.test.tunnel.fakes import Authenticator, Flows, Stream
from hermes.testing import CONNECT_ERROR, MemoryClientExchange, MemoryExchangeClient, MemoryNetwork
from hermes.tunnel.client import TunnelOptions
from hermes.tunnel.remote import RemoteServerEndpoint
from hermes.tunnel.request import acceptHead, connectHead, listenHead
from hermes.tunnel.reverse import ListeningLimits, RemoteListening
from hermes.tunnel.server import TunnelHandler
from hermes.values import ANONYMOUS, Flow, Identity, RequestHead, ResponseHead, Target

ANY = Target("127.0.0.1", 0)
EDGE = Identity("edge")


@implementer(IListeningPort)
@define(eq=False)
class Port:
    """
    A port that the test connects to.
    """

    factory: Any
    host: IPv4Address
    stopped: bool = False

    def startListening(self) -> None:
        pass

    def stopListening(self) -> Deferred[None]:
        self.stopped = True
        return succeed(None)

    def getHost(self) -> IPv4Address:
        return self.host


@define(eq=False)
class Network:
    """
    Listening ports in memory.
    """

    ports: list[Port] = field(factory=list)
    waiting: Deferred[Any] | None = None
    inUse: bool = False

    def streamServer(self, bind: str, tls: object = None, proxyProtocol: bool = False) -> Any:
        network = self

        @implementer(IStreamServerEndpoint)
        class Endpoint:
            def listen(self, factory: Any) -> Deferred[Any]:
                if network.inUse:
                    return fail(CannotListenError("127.0.0.1", 1, OSError("in use")))
                target = Target.fromText(bind)
                network.ports.append(Port(factory, IPv4Address("TCP", target.host, target.port or 40_000)))
                if network.waiting is not None:
                    return network.waiting
                return succeed(network.ports[-1])

        return Endpoint()


class ReverseTests(SynchronousTestCase):
    """
    L{RemoteListening} and L{RemoteServerEndpoint}, joined.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.memory = MemoryNetwork()
        self.network = Network()
        self.asked: list[Flow] = []
        self.denied: FlowError | None = None
        self.handler = TunnelHandler(Flows(), Authenticator(), self.clock, "relay", "overlay", anonymous=True)
        network: Any = self.network
        self.listening = RemoteListening(
            network,
            self.clock,
            self.authorise,
            self.handler.answers,
            ListeningLimits(ports=2, streams=3, connections=2, waiting=10),
        )
        self.handler.listening = self.listening
        self.client = MemoryExchangeClient(self.memory, self.handler, EDGE)
        self.accepted: list[Stream] = []
        self.peers: list[Any] = []

    def authorise(self, flow: Flow) -> None:
        self.asked.append(flow)
        if self.denied is not None:
            raise self.denied

    def factory(self) -> Any:
        test = self

        class Accepting(Factory):
            noisy = False

            def buildProtocol(self, addr: Any) -> Any:
                test.peers.append(addr)
                test.accepted.append(Stream())
                return test.accepted[-1]

        return Accepting()

    def listen(self, pending: int = 1) -> Any:
        endpoint = RemoteServerEndpoint(self.client, ANY, TunnelOptions(b"relay"), self.clock, pending)
        verifyObject(IStreamServerEndpoint, endpoint)
        listening = endpoint.listen(self.factory())
        self.memory.pump()
        port = self.successResultOf(listening)
        self.memory.pump()
        return port

    def connect(self, port: Port | None = None) -> tuple[MemoryClientExchange, Stream]:
        """
        Somebody connects to the port.
        """
        caller, end = self.memory.pair(connectHead(ANY), source=("198.51.100.7", 5000))
        stream = Stream()
        caller.attach(stream)
        end.attach((port or self.network.ports[-1]).factory.buildProtocol(None))
        self.memory.pump()
        return caller, stream

    def request(self, head: RequestHead, identity: Identity = EDGE) -> tuple[MemoryClientExchange, list[ResponseHead]]:
        client, server = self.memory.pair(head, identity)
        self.handler.exchangeReceived(server)
        self.memory.pump()
        return client, server.responses

    def portId(self) -> str:
        (value,) = self.listening._ports
        return value

    def test_theProxyListensAndSaysWhere(self) -> None:
        port = self.listen()
        verifyObject(IListeningPort, port)
        self.assertEqual(port.getHost(), IPv4Address("TCP", "127.0.0.1", 40_000))
        self.assertEqual(self.asked, [Flow("listen", ANY, ("192.0.2.1", 4000), EDGE, "overlay")])

    def test_aConnectionComesThroughTheTunnel(self) -> None:
        self.listen()
        caller, stream = self.connect()
        (accepted,) = self.accepted
        peer = IPv4Address("TCP", "198.51.100.7", 5000)
        self.assertEqual((self.peers, accepted.transport.getPeer()), ([peer], peer))
        caller.write(b"hello")
        accepted.transport.write(b"welcome")
        self.memory.pump()
        self.assertEqual((accepted.received, stream.received), (b"hello", b"welcome"))

    def test_halfCloseIsCarriedBothWays(self) -> None:
        self.listen()
        for callerFirst in (True, False):
            caller, stream = self.connect()
            accepted = self.accepted[-1]
            first, second = (caller, accepted.transport) if callerFirst else (accepted.transport, caller)
            firstStream, secondStream = (stream, accepted) if callerFirst else (accepted, stream)
            first.loseWriteConnection()
            self.memory.pump()
            self.assertTrue(secondStream.readEnded)
            second.write(b"still")
            second.loseWriteConnection()
            self.memory.pump()
            self.assertEqual(firstStream.received, b"still")
            for each in (firstStream, secondStream):
                assert each.lost is not None
                each.lost.trap(ConnectionDone)

    def test_resetIsCarriedBothWays(self) -> None:
        self.listen()
        for callerFirst in (True, False):
            caller, stream = self.connect()
            accepted = self.accepted[-1]
            (caller if callerFirst else accepted.transport).abortConnection()
            self.memory.pump()
            other = accepted if callerFirst else stream
            assert other.lost is not None and isinstance(other.lost.value, StreamReset)
            self.assertEqual(other.lost.value.code, CONNECT_ERROR)

    def test_aStalledReaderPausesTheSender(self) -> None:
        self.listen()
        caller, _ = self.connect()
        self.accepted[-1].transport.pauseProducing()
        for _ in range(100):
            caller.write(bytes(10_000))
            self.memory.pump()
        self.assertGreater(caller.bufferedBytes, 500_000)
        self.accepted[-1].transport.resumeProducing()
        self.memory.pump()
        self.assertEqual((caller.bufferedBytes, len(self.accepted[-1].received)), (0, 1_000_000))

    def test_manyConnectionsAreAcceptedOneAfterTheOther(self) -> None:
        self.listen(pending=2)
        for _ in range(10):
            self.connect()
        self.assertEqual(len(self.accepted), 10)
        self.assertEqual(sum(not server.responses for _, server in self.client.exchanges), 2)

    def test_connectionsWaitForAStreamBoundedInNumberAndTime(self) -> None:
        self.listen(pending=0)
        streams = [self.connect()[1] for _ in range(3)]
        self.assertIsNotNone(streams[2].lost)
        _, responses = self.request(acceptHead(self.portId(), b"p"))
        self.assertEqual(responses[0].get(b"hermes-peer"), b'"198.51.100.7:5000"')
        self.clock.advance(10)
        self.memory.pump()
        self.assertEqual([stream.lost is None for stream in streams], [True, False, False])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aCallerThatLeavesIsForgotten(self) -> None:
        self.listen(pending=0)
        caller, _ = self.connect()
        caller.abortConnection()
        self.memory.pump()
        _, responses = self.request(acceptHead(self.portId(), b"p"))
        self.assertEqual(responses, [])

    def test_streamsThatWaitAreBoundedAndMayLeave(self) -> None:
        self.listen(pending=0)
        waiting = [self.request(acceptHead(self.portId(), b"p")) for _ in range(4)]
        self.assertEqual([head.status for head in waiting[3][1]], [503])
        waiting[0][0].reset(8)
        self.memory.pump()
        self.connect()
        self.assertEqual([bool(responses) for _, responses in waiting], [False, True, False, True])

    def test_aPortIsNobodyElses(self) -> None:
        self.listen(pending=0)
        for identity in (Identity("other"), Identity("edge", "alice"), Identity(user="edge")):
            _, responses = self.request(acceptHead(self.portId(), b"p"), identity)
            self.assertEqual([head.status for head in responses], [404])
        _, responses = self.request(acceptHead("x" * 32, b"p"))
        self.assertEqual([head.status for head in responses], [404])

    def test_onlyWhoIsAllowedListens(self) -> None:
        self.denied = NoRoute("no route lets you")
        endpoint = RemoteServerEndpoint(self.client, ANY, TunnelOptions(b"relay"), self.clock)
        listening = endpoint.listen(self.factory())
        self.memory.pump()
        self.assertEqual(self.failureResultOf(listening, HopRefused).value.answered, 403)
        self.denied = None
        _, responses = self.request(listenHead(ANY, b"p"), ANONYMOUS)
        self.assertEqual(responses[0].status, 401)
        _, responses = self.request(listenHead(Target("localhost", 1), b"p"))
        self.assertEqual(responses[0].status, 400)
        self.assertEqual(self.network.ports, [])

    def test_portsAreBoundedForEachIdentity(self) -> None:
        for expected in (200, 200, 503):
            _, responses = self.request(listenHead(ANY, b"p"))
            self.assertEqual(responses[0].status, expected)
        _, responses = self.request(listenHead(ANY, b"p"), Identity("other"))
        self.assertEqual(responses[0].status, 200)

    def test_aPortThatCannotBeBoundIsTold(self) -> None:
        self.network.inUse = True
        _, responses = self.request(listenHead(ANY, b"p"))
        self.assertEqual(responses[0].status, 502)
        self.assertEqual(self.listening._binding, {})

    def test_aClientThatLeavesWhileThePortIsBoundLeavesNone(self) -> None:
        self.network.waiting = Deferred()
        client, responses = self.request(listenHead(ANY, b"p"))
        client.reset(8)
        self.memory.pump()
        self.network.waiting.callback(self.network.ports[0])
        self.assertTrue(self.network.ports[0].stopped)
        self.assertEqual((responses, self.listening._ports), ([], {}))

    def test_stoppingStopsThePortAndLeavesConnections(self) -> None:
        port = self.listen()
        caller, _ = self.connect()
        stopping = port.stopListening()
        self.assertNoResult(stopping)
        self.memory.pump()
        self.successResultOf(stopping)
        self.successResultOf(port.stopListening())
        self.assertTrue(self.network.ports[0].stopped)
        self.assertEqual(self.listening._ports, {})
        caller.write(b"still here")
        self.memory.pump()
        self.assertEqual(self.accepted[0].received, b"still here")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aLostPortIsAskedForAgainTheSameWhereItCanBe(self) -> None:
        port = self.listen()
        self.memory.disconnect()
        self.assertTrue(self.network.ports[0].stopped)
        self.network.inUse = True
        self.clock.advance(1)
        self.memory.pump()
        self.network.inUse = False
        self.clock.advance(2)
        self.memory.pump()
        self.assertEqual([flow.target.port for flow in self.asked], [0, 40_000, 0])
        self.connect()
        self.assertEqual(len(self.accepted), 1)
        self.memory.disconnect()
        port.stopListening()
        self.memory.pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aProxyThatStopsRefusesWhatWaits(self) -> None:
        self.listen(pending=0)
        _, responses = self.request(acceptHead(self.portId(), b"p"))
        self.listening.close()
        self.memory.pump()
        self.assertEqual([head.status for head in responses], [404])
        self.assertTrue(self.network.ports[0].stopped)
