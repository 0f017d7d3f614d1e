"""
The tunnel listener and hops on real sockets, TLS and HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.errors import HopRefused, HopUnavailable, HopUntrusted, NoRoute, TargetRefused
from hermes.http1.client import HTTP1Client
from hermes.http2.connection import ServerConnection
from hermes.http2.pool import Pool
from hermes.interfaces import IDialer, IFlowHandler, IListener, IListenerType
from hermes.net.authority import OverlayAuthority
from hermes.net.certificates import ClientCredentials, ServerCredentials
from hermes.net.memorytls import NestedTLS
from hermes.net.network import Network
from hermes.test.tunnel.fakes import Authenticator, Datagrams, Stream
from hermes.tunnel.client import Credentials, TunnelOptions
from hermes.tunnel.hop import Hop, HopParts
from hermes.tunnel.listener import ListenError, TunnelListener, TunnelListenerOptions, TunnelListenerType
from hermes.tunnel.negotiated import NegotiatedClient
from hermes.values import Buffer, Flow, Identity, Target

FLOW = Flow("tcp", Target("echo.hermes", 7))


class Watched(Stream):
    """
    A stream whose test waits for what it receives.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[Any, Deferred[None]]] = []

    def until(self, condition: Any) -> Deferred[None]:
        """
        Fires once C{condition} of this holds.
        """
        deferred: Deferred[None] = Deferred()
        self._waiting.append((condition, deferred))
        self._check()
        return deferred

    def _check(self) -> None:
        for entry in list(self._waiting):
            if entry[0](self):
                self._waiting.remove(entry)
                entry[1].callback(None)

    def dataReceived(self, data: Buffer) -> None:
        super().dataReceived(data)
        self._check()

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        self._check()

    def connectionLost(self, reason: Failure | None = None) -> None:
        super().connectionLost(reason)
        self._check()


class WatchedDatagrams(Datagrams):
    """
    The same for datagrams.
    """

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.expected = expected
        self.all: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        super().datagramsReceived(datagrams)
        if len(self.received) == self.expected:
            self.all.callback(None)

    def channelLost(self, reason: Failure) -> None:
        super().channelLost(reason)
        self.gone.callback(None)


class EchoStream(Watched):
    """
    Gives back what it gets, and ends when its peer does.
    """

    def dataReceived(self, data: Buffer) -> None:
        super().dataReceived(data)
        self.transport.write(data)

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        self.transport.loseWriteConnection()


class EchoDatagrams(Datagrams):
    """
    The same for datagrams.
    """

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        super().datagramsReceived(datagrams)
        self.channel.write(datagrams)


@implementer(IFlowHandler)
@define(eq=False)
class EchoFlows:
    """
    Every flow ends here, save those to a name that has a place in C{towards}.
    """

    network: Network
    flows: list[Flow] = field(factory=list)
    ends: list[Any] = field(factory=list)
    denied: bool = False

    def openStream(self, flow: Flow) -> Any:
        self.flows.append(flow)
        if flow.target.host == "127.0.0.1":
            return self._onwards(flow)
        self.ends.append(EchoStream())
        return succeed(self.ends[-1])

    def _onwards(self, flow: Flow) -> Any:
        from hermes.tunnel.relay import relay

        near, far = relay()
        return self.network.connectStream(flow.target, far, allowSpecial=True).addCallback(lambda _: near)

    def openDatagrams(self, flow: Flow) -> Any:
        self.flows.append(flow)
        self.ends.append(EchoDatagrams())
        return succeed(self.ends[-1])

    def authorise(self, flow: Flow) -> None:
        self.flows.append(flow)
        if self.denied:
            raise NoRoute("no route lets you listen")


@define(eq=False)
class Context:
    """
    What a listener stands on.
    """

    flows: Any
    network: Any
    credentials: Any
    nodeName: str = "relay"
    reactor: Any = reactor
    authenticator: Any = field(factory=lambda: Authenticator({b"Basic YTpi": "alice"}))


@define(eq=False)
class Place:
    """
    The one endpoint of a hop.
    """

    address: str
    active: int = 0


@define(eq=False)
class One:
    """
    A balancer of one endpoint.
    """

    endpoints: list[Place]

    def order(self) -> list[Place]:
        return self.endpoints

    def failed(self, endpoint: Place) -> None:
        pass

    def reached(self, endpoint: Place) -> None:
        pass


@implementer(IStreamClientEndpoint)
@define(eq=False)
class NestedTLSEndpoint:
    """
    TLS inside the connections of another endpoint.
    """

    inner: IStreamClientEndpoint
    credentials: ClientCredentials

    def connect(self, protocolFactory: Any) -> Any:
        async def connect() -> Any:
            session = NestedTLS(self.credentials, reactor)
            await self.inner.connect(Factory.forProtocol(lambda: session))  # type: ignore[type-var]
            await session.handshake(10)
            protocol = protocolFactory.buildProtocol(None)
            session.attach(protocol)
            return protocol

        return Deferred.fromCoroutine(connect())


class RealTestCase(TestCase):
    """
    An authority, a network, listeners and hops.
    """

    timeout = 20

    def setUp(self) -> None:
        self.authority = OverlayAuthority.create(self.mktemp())
        self.network = Network(reactor)
        self.flows = EchoFlows(self.network)
        self.listeners: list[TunnelListener] = []

    def serverCredentials(self, node: str) -> ServerCredentials:
        return ServerCredentials(*self.authority.issue(node), self.authority.trustFile)

    def clientCredentials(self, **options: Any) -> ClientCredentials:
        certificate, key = self.authority.issue("edge")
        return ClientCredentials(certificate, key, self.authority.trustFile, **{"expectedNode": "relay", **options})

    async def listen(self, node: str = "relay", **options: Any) -> str:
        tls = options.get("tls", True)
        context: Any = Context(self.flows, self.network, self.serverCredentials(node) if tls else None)
        listener = TunnelListener("overlay", TunnelListenerOptions("127.0.0.1:0", **options), context)
        await listener.start()
        self.listeners.append(listener)
        host: Any = listener.getHost()

        self.addCleanup(lambda: Deferred.fromCoroutine(self.close(listener)))
        return f"127.0.0.1:{host.port}"

    async def close(self, listener: TunnelListener) -> None:
        """
        End everything, and wait until it has ended.
        """
        connections = list(listener.factory._connections)
        listener.abort()
        await listener.stop()
        for connection in connections:
            if isinstance(connection, ServerConnection):
                await connection.closed

    def hop(self, address: str, tls: ClientCredentials | None, make: Any = None, **options: Any) -> Hop:
        clients: list[Any] = []

        def client(endpoint: Any) -> Any:
            clients.append(Pool(endpoint, reactor) if make is None else make(endpoint))
            return clients[-1]

        clock: Any = reactor
        hop = Hop(
            "relay",
            HopParts(
                lambda: One([Place(address)]),
                lambda address: self.network.streamClient(address, tls),
                lambda endpoint, address: NestedTLSEndpoint(endpoint, tls),  # type: ignore[arg-type]
                client,
                lambda address: TunnelOptions(address.encode(), **options),
            ),
            clock,
        )

        def close() -> None:
            for each in clients:
                if isinstance(each, NegotiatedClient):
                    each = each._client
                if each is not None:
                    each.abort()

        self.addCleanup(close)
        return hop

    async def exerciseStream(self, dialer: IDialer) -> None:
        """
        Bytes, half-close and the end in order.
        """
        stream = Watched()
        await dialer.connectStream(FLOW, stream)
        payload = bytes(range(256)) * 4000
        stream.transport.write(payload)
        await stream.until(lambda each: len(each.received) == len(payload))
        self.assertEqual(stream.received, payload)
        stream.transport.loseWriteConnection()
        await stream.until(lambda each: each.lost is not None)
        assert stream.lost is not None
        stream.lost.trap(ConnectionDone)

    async def exerciseDatagrams(self, dialer: IDialer) -> None:
        """
        Datagrams of every size, and the end.
        """
        payloads = [b"", b"small", b"x" * 65507]
        receiver = WatchedDatagrams(len(payloads))
        await dialer.connectDatagrams(Flow("udp", FLOW.target), receiver)
        receiver.channel.write(payloads)
        await receiver.all
        self.assertEqual(receiver.received, payloads)
        receiver.channel.loseChannel()
        await receiver.gone
        assert receiver.lost is not None
        receiver.lost.trap(ConnectionDone)


class TunnelListenerTests(RealTestCase):
    """
    L{TunnelListener}, reached in every way.
    """

    def test_itIsAListenerType(self) -> None:
        verifyObject(IListenerType, TunnelListenerType())
        context: Any = Context(self.flows, self.network, None)
        plain = TunnelListenerType().listener("overlay", TunnelListenerOptions("127.0.0.1:0", tls=False), context)
        verifyObject(IListener, plain)
        self.assertRaises(
            ListenError, TunnelListenerType().listener, "o", TunnelListenerOptions("127.0.0.1:0"), context
        )

    async def test_whatCannotBeBoundIsNamed(self) -> None:
        taken = await self.listen()
        context: Any = Context(self.flows, self.network, None)
        with self.assertRaises(ListenError) as raised:
            await TunnelListener("other", TunnelListenerOptions(taken, tls=False), context).start()
        self.assertIn(taken, str(raised.exception))

    async def test_nodesMeetOverMutualTLSAndHTTP2(self) -> None:
        hop = self.hop(await self.listen(), self.clientCredentials())
        await self.exerciseStream(hop.dialer)
        await self.exerciseDatagrams(hop.dialer)
        for flow in self.flows.flows:
            self.assertEqual(flow.identity, Identity("edge"))

    async def test_connectTCPOverHTTP2(self) -> None:
        await self.exerciseStream(self.hop(await self.listen(), self.clientCredentials(), templatedTCP=True).dialer)

    async def test_overHTTP1WithTLS(self) -> None:
        credentials = self.clientCredentials(protocols=(b"http/1.1",))
        address = await self.listen()
        for options in ({}, {"templatedTCP": True}):
            hop = self.hop(address, credentials, lambda endpoint: HTTP1Client(endpoint, reactor), **options)
            await self.exerciseStream(hop.dialer)
            await self.exerciseDatagrams(hop.dialer)

    async def test_theVersionIsNegotiated(self) -> None:
        address = await self.listen()
        for protocols, version in (((b"h2", b"http/1.1"), Pool), ((b"http/1.1",), HTTP1Client)):
            clients: list[Any] = []

            def make(endpoint: Any, clients: list[Any] = clients) -> Any:
                clients.append(
                    NegotiatedClient(endpoint, lambda e: Pool(e, reactor), lambda e: HTTP1Client(e, reactor))
                )
                return clients[-1]

            hop = self.hop(address, self.clientCredentials(protocols=protocols), make)
            await self.exerciseStream(hop.dialer)
            await self.exerciseDatagrams(hop.dialer)
            self.assertIsInstance(clients[0]._client, version)

    async def test_cleartextByPriorKnowledgeAndHTTP1(self) -> None:
        address = await self.listen(tls=False, anonymous=True)
        for make in (None, lambda endpoint: HTTP1Client(endpoint, reactor)):
            hop = self.hop(address, None, make, scheme=b"http")
            await self.exerciseStream(hop.dialer)
            await self.exerciseDatagrams(hop.dialer)

    async def test_aUserWithoutACertificateProvesItself(self) -> None:
        address = await self.listen()
        credentials = ClientCredentials(trustFile=self.authority.trustFile, expectedNode="relay")
        nobody = self.hop(address, credentials)
        with self.assertRaises(HopRefused) as raised:
            await nobody.dialer.connectStream(FLOW, Stream())
        self.assertEqual(raised.exception.answered, 407)
        await self.exerciseStream(self.hop(address, credentials, credentials=Credentials("a", "b")).dialer)
        self.assertEqual(self.flows.flows[-1].identity, Identity(user="alice"))

    async def test_aHopThatIsAnotherNodeIsNotTrusted(self) -> None:
        hop = self.hop(await self.listen("impostor"), self.clientCredentials())
        with self.assertRaises(HopUntrusted):
            await hop.dialer.connectStream(FLOW, Stream())

    async def test_aHopThatDoesNotListenIsUnavailable(self) -> None:
        address = await self.listen()
        await self.listeners[0].stop()
        with self.assertRaises(HopUnavailable):
            await self.hop(address, self.clientCredentials()).dialer.connectStream(FLOW, Stream())

    async def test_resetIsCarriedBothWays(self) -> None:
        hop = self.hop(await self.listen(), self.clientCredentials())
        for clientFirst in (True, False):
            stream = Watched()
            await hop.dialer.connectStream(FLOW, stream)
            near: EchoStream = self.flows.ends[-1]
            first, second = (stream, near) if clientFirst else (near, stream)
            first.transport.abortConnection()
            await second.until(lambda each: each.lost is not None)
            assert second.lost is not None
            self.assertIsNone(second.lost.check(ConnectionDone))

    async def test_thePROXYProtocolSaysWhoCalls(self) -> None:
        address = await self.listen(tls=False, anonymous=True, proxyProtocol=True)
        answered: Deferred[bytes] = Deferred()

        class Caller(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"PROXY TCP4 198.51.100.7 192.0.2.1 5000 443\r\n")
                self.transport.write(b"CONNECT echo.hermes:7 HTTP/1.1\r\nHost: echo.hermes:7\r\n\r\n")

            def dataReceived(self, data: bytes) -> None:
                answered.callback(data)

        caller = Caller()
        target = Target.fromText(address)
        await self.network.connectStream(target, caller, allowSpecial=True)
        self.assertIn(b" 200 ", await answered)
        self.assertEqual(self.flows.flows[-1].source, ("198.51.100.7", 5000))
        caller.transport.abortConnection()  # type: ignore[union-attr]

    async def test_whoIsChallengedOverHTTP1TriesAgainOnTheSameConnection(self) -> None:
        address = await self.listen(tls=False)
        caller = Watched()
        await self.network.connectStream(Target.fromText(address), caller, allowSpecial=True)
        upgrade = (
            b"GET /.well-known/masque/udp/echo.hermes/7/ HTTP/1.1\r\nHost: relay\r\n"
            b"Connection: Upgrade\r\nUpgrade: connect-udp\r\nCapsule-Protocol: ?1\r\n"
        )
        connect = b"CONNECT echo.hermes:7 HTTP/1.1\r\nHost: echo.hermes:7\r\n"
        credential = b"Proxy-Authorization: Basic YTpi\r\n"
        for request, status in ((upgrade, b" 401 "), (connect, b" 407 "), (connect + credential, b" 200 ")):
            caller.received = b""
            caller.transport.write(request + b"\r\n")
            await caller.until(lambda each, status=status: status in each.received)
            if status != b" 200 ":
                await caller.until(lambda each: each.received.endswith(b"name\n"))
        self.assertEqual(self.flows.flows[-1].identity, Identity(user="alice"))
        caller.transport.abortConnection()

    async def test_aDrainingListenerFinishesWhatIsOpen(self) -> None:
        hop = self.hop(await self.listen(), self.clientCredentials())
        stream = Watched()
        await hop.dialer.connectStream(FLOW, stream)
        await self.listeners[0].stop()
        self.listeners[0].drain()
        stream.transport.write(b"still here")
        await stream.until(lambda each: each.received == b"still here")
        stream.transport.loseConnection()
        await stream.until(lambda each: each.lost is not None)

    async def test_aNestedTunnelTellsTheMiddleOnlyTheNextHop(self) -> None:
        first, second = await self.listen("r1"), await self.listen("r2")
        outer = self.hop(first, self.clientCredentials(expectedNode="r1"))
        inner = self.hop(second, self.clientCredentials(expectedNode="r2"))
        nested = inner.through(outer.dialer)
        await self.exerciseStream(nested)
        await self.exerciseDatagrams(nested)
        carried, *ended = self.flows.flows
        self.assertEqual(str(carried.target), second)
        self.assertEqual([flow.target for flow in ended], [FLOW.target] * 2)

    async def test_aPortOnTheHopIsReachedBackThroughTheTunnel(self) -> None:
        hop = self.hop(await self.listen(), self.clientCredentials())
        accepted: list[EchoStream] = []

        class Accepting(Factory):
            noisy = False

            def buildProtocol(self, addr: Any) -> Any:
                accepted.append(EchoStream())
                return accepted[-1]

        port: Any = await hop.serverEndpoint(Target("127.0.0.1", 0), pending=2).listen(Accepting())
        host = port.getHost()
        for _ in range(4):
            caller = Watched()
            await self.network.connectStream(Target(host.host, host.port), caller, allowSpecial=True)
            caller.transport.write(b"hello")
            await caller.until(lambda each: each.received == b"hello")
            peer = accepted[-1].transport.getPeer()
            self.assertEqual((peer.host, peer.port), (caller.transport.getHost().host, caller.transport.getHost().port))
            caller.transport.loseWriteConnection()
            await caller.until(lambda each: each.lost is not None)
        await port.stopListening()
        with self.assertRaises(TargetRefused):
            await self.network.connectStream(Target(host.host, host.port), Watched(), allowSpecial=True)

    async def test_onlyWhoIsAllowedListens(self) -> None:
        self.flows.denied = True
        hop = self.hop(await self.listen(), self.clientCredentials())
        with self.assertRaises(HopRefused) as raised:
            await hop.serverEndpoint(Target("127.0.0.1", 0)).listen(Factory.forProtocol(Protocol))
        self.assertEqual(raised.exception.answered, 403)
