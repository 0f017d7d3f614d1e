"""
The tunnel listener and hops on real sockets, TLS and HTTP.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from zope.interface.verify import verifyObject

from hermes.errors import HopRefused, HopUnavailable, HopUntrusted, ListenError, TargetRefused
from hermes.http1.client import HTTP1Client
from hermes.http2.pool import Pool
from hermes.interfaces import IListener, IListenerType
from hermes.negotiated import NegotiatedClient
from hermes.net.certificates import ClientCredentials
from hermes.test.processes import freePort
from hermes.test.tunnel.echo import EchoStream, Watched
from hermes.test.tunnel.fakes import Stream
from hermes.test.tunnel.realtunnels import FLOW, Context, RealTestCase
from hermes.tunnel.client import Credentials
from hermes.tunnel.listener import TunnelListener, TunnelListenerOptions, TunnelListenerType
from hermes.values import Identity, Target


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

    async def test_itsPlaceGoesOverToTheOneThatTakesIt(self) -> None:
        """
        A reload gives a listener other options, and whoever connects in between is served.
        """
        address = f"127.0.0.1:{freePort()}"
        context: Any = Context(self.flows, self.network, self.serverCredentials("relay"))
        before, after = [
            TunnelListener("overlay", TunnelListenerOptions(address, anonymous=anonymous), context)
            for anonymous in (False, True)
        ]
        await before.start()
        after.reserve([before])
        await before.stop()
        connecting = Deferred.fromCoroutine(self.exerciseStream(self.hop(address, self.clientCredentials()).dialer))
        await after.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.close(after)))
        await connecting

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
