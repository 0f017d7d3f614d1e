"""
Tunnels with both ends of ours: a dialer, an exchange in memory, a handler.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.errors import HopRefused, HopUnavailable, NoRoute, StreamReset, TargetTimeout
from hermes.interfaces import IDialer, IExchangeHandler, IServerExchange
from hermes.test.tunnel.fakes import Authenticator, Datagrams, Flows, Stream
from hermes.testing import (
    CONNECT_ERROR,
    MemoryClientExchange,
    MemoryExchangeClient,
    MemoryNetwork,
    MemoryServerExchange,
)
from hermes.tunnel.client import Credentials, TunnelDialer, TunnelOptions
from hermes.tunnel.request import connectHead, connectUDPHead
from hermes.tunnel.server import TunnelHandler
from hermes.values import Flow, Identity, RequestHead, ResponseHead, Target

TARGET = Target("db.hermes", 3306)
NODE = Identity(node="edge")


class TunnelTestCase(SynchronousTestCase):
    """
    A dialer and a handler, joined.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork()
        self.flows = Flows()
        self.authenticator = Authenticator({b"Basic YTpi": "alice", b"Bearer t0ken": "bob"})
        self.handler = self.makeHandler()
        self.client = MemoryExchangeClient(self.network, self.handler, NODE)
        self.dialer = TunnelDialer(self.client, TunnelOptions(b"relay.example"), self.clock)

    def makeHandler(self, **options: Any) -> TunnelHandler:
        return TunnelHandler(self.flows, self.authenticator, self.clock, "relay", "overlay", **options)

    def request(
        self, head: RequestHead, identity: Identity = NODE, handler: TunnelHandler | None = None
    ) -> tuple[MemoryClientExchange, MemoryServerExchange]:
        client, server = self.network.pair(head, identity)
        (handler or self.handler).exchangeReceived(server)
        self.network.pump()
        return client, server

    def refused(
        self, head: RequestHead, identity: Identity = NODE, handler: TunnelHandler | None = None
    ) -> ResponseHead:
        _, server = self.request(head, identity, handler)
        return server.responses[-1]


class StreamTunnelTests(TunnelTestCase):
    """
    Byte streams, in every form.
    """

    options = TunnelOptions(b"relay.example")

    def setUp(self) -> None:
        super().setUp()
        self.dialer = TunnelDialer(self.client, self.options, self.clock)

    def connect(self) -> tuple[Stream, Stream]:
        far = Stream()
        connected = self.dialer.connectStream(Flow("tcp", TARGET), far)
        self.network.pump()
        self.assertNoResult(connected)
        near = self.flows.stream()
        self.network.pump()
        self.assertIs(self.successResultOf(connected), far)
        return far, near

    def test_itIsADialer(self) -> None:
        verifyObject(IDialer, self.dialer)
        verifyObject(IExchangeHandler, self.handler)

    def test_theFlowSaysWhoAsksAndForWhat(self) -> None:
        self.connect()
        self.assertEqual(self.flows.flow, Flow("tcp", TARGET, ("192.0.2.1", 4000), NODE, "overlay"))

    def test_bytesCrossBothWays(self) -> None:
        far, near = self.connect()
        far.transport.write(b"question")
        near.transport.write(b"answer")
        self.network.pump()
        self.assertEqual((near.received, far.received), (b"question", b"answer"))

    def test_halfCloseIsCarriedBothWays(self) -> None:
        for clientFirst in (True, False):
            far, near = self.connect()
            first, second = (far, near) if clientFirst else (near, far)
            first.transport.loseWriteConnection()
            self.network.pump()
            self.assertTrue(second.readEnded)
            second.transport.write(b"still")
            second.transport.loseWriteConnection()
            self.network.pump()
            self.assertEqual(first.received, b"still")
            for stream in (far, near):
                assert stream.lost is not None
                stream.lost.trap(ConnectionDone)

    def test_resetIsCarriedBothWaysAsConnectError(self) -> None:
        for clientFirst in (True, False):
            far, near = self.connect()
            first, second = (far, near) if clientFirst else (near, far)
            first.transport.abortConnection()
            self.network.pump()
            assert second.lost is not None
            assert isinstance(second.lost.value, StreamReset)
            self.assertEqual(second.lost.value.code, CONNECT_ERROR)

    def test_losingTheConnectionIsAnErrorAtBothEnds(self) -> None:
        far, near = self.connect()
        self.network.disconnect()
        for stream in (far, near):
            assert stream.lost is not None
            self.assertIsNone(stream.lost.check(ConnectionDone))


class TemplatedStreamTunnelTests(StreamTunnelTests):
    """
    The same by connect-tcp.
    """

    options = TunnelOptions(b"relay.example", templatedTCP=True)

    def test_itIsConnectTCPWithCapsules(self) -> None:
        self.connect()
        client, server = self.client.exchanges[0]
        self.assertEqual(client.request.protocol, b"connect-tcp")
        self.assertEqual(client.request.path, b"/.well-known/masque/tcp/db.hermes/3306/")
        self.assertEqual(server.responses[-1].get(b"capsule-protocol"), b"?1")

    def test_expectContinueIsMetWhileTheTargetIsDialled(self) -> None:
        _, server = self.request(
            RequestHead(
                b"CONNECT",
                b"https",
                b"p",
                b"/.well-known/masque/tcp/db.hermes/3306/",
                b"connect-tcp-07",
                ((b"expect", b"100-continue"),),
            )
        )
        self.assertEqual([head.status for head in server.responses], [100])
        self.flows.stream()
        self.assertEqual([head.status for head in server.responses], [100, 200])


class DatagramTunnelTests(TunnelTestCase):
    """
    CONNECT-UDP.
    """

    def test_datagramsCrossBothWays(self) -> None:
        far = Datagrams()
        connected = self.dialer.connectDatagrams(Flow("udp", Target("2001:db8::1", 53)), far)
        self.network.pump()
        self.assertEqual(self.flows.flow.target, Target("2001:db8::1", 53))
        self.assertEqual(self.flows.flow.protocol, "udp")
        near = self.flows.datagrams()
        self.network.pump()
        self.successResultOf(connected)
        far.channel.write([b"", b"q" * 65507])
        near.channel.write([b"a"])
        self.network.pump()
        self.assertEqual((near.received, far.received), ([b"", b"q" * 65507], [b"a"]))
        _, server = self.client.exchanges[0]
        self.assertEqual(server.responses[-1].get(b"capsule-protocol"), b"?1")
        near.channel.loseChannel()
        self.network.pump()
        assert far.lost is not None
        far.lost.trap(ConnectionDone)


class IdentityTests(TunnelTestCase):
    """
    Who asks.
    """

    def test_aUserIsNamedByAnyOfTheFields(self) -> None:
        for head, user in (
            (connectHead(TARGET, ((b"proxy-authorization", b"Basic YTpi"),)), "alice"),
            (connectUDPHead(TARGET, b"p", headers=((b"authorization", b"Bearer t0ken"),)), "bob"),
            (connectUDPHead(TARGET, b"p", headers=((b"proxy-authorization", b"Basic YTpi"),)), "alice"),
        ):
            self.request(head, Identity())
            self.assertEqual(self.flows.flow.identity, Identity(user=user))

    def test_aNodeMaySpeakForAUserItProves(self) -> None:
        self.request(connectHead(TARGET, ((b"proxy-authorization", b"Basic YTpi"),)))
        self.assertEqual(self.flows.flow.identity, Identity("edge", "alice"))

    def test_nobodyIsChallenged(self) -> None:
        head = self.refused(connectHead(TARGET), Identity())
        self.assertEqual(head.status, 407)
        challenges = [value for name, value in head.headers if name == b"proxy-authenticate"]
        self.assertEqual([value.split()[0] for value in challenges], [b"Basic", b"Bearer"])
        head = self.refused(connectUDPHead(TARGET, b"p"), Identity())
        self.assertEqual(head.status, 401)
        self.assertIn(b"Basic", head.get(b"www-authenticate") or b"")
        self.assertEqual(self.flows.opening, [])

    def test_authorizationIsNotForCONNECT(self) -> None:
        head = self.refused(connectHead(TARGET, ((b"authorization", b"Basic YTpi"),)), Identity())
        self.assertEqual(head.status, 407)

    def test_aWrongCredentialIsRefusedEvenWhereNoneIsNeeded(self) -> None:
        wrong = connectHead(TARGET, ((b"proxy-authorization", b"Basic wrong"),))
        self.assertEqual(self.refused(wrong, Identity(), self.makeHandler(anonymous=True)).status, 407)
        self.assertEqual(self.refused(wrong).status, 407)

    def test_anonymousListenersTakeAnybodyUnlessUsersAreRequired(self) -> None:
        self.request(connectHead(TARGET), Identity(), self.makeHandler(anonymous=True))
        self.assertEqual(self.flows.flow.identity, Identity())
        self.authenticator.required = True
        self.assertEqual(self.refused(connectHead(TARGET), Identity(), self.makeHandler(anonymous=True)).status, 407)

    def test_noHeaderClaimsAuthority(self) -> None:
        claims = tuple(
            (name, b"root")
            for name in (
                b"user",
                b"forwarded",
                b"x-forwarded-for",
                b"x-forwarded-client-cert",
                b"hermes-node",
                b"hermes-user",
            )
        )
        self.request(connectHead(TARGET, claims))
        self.assertEqual(self.flows.flow.identity, NODE)
        self.assertEqual(self.flows.flow.source, ("192.0.2.1", 4000))

    def test_onlyANodeSaysWhichHopsFollow(self) -> None:
        via = ((b"hermes-via", b'"r2", "r3"'), (b"proxy-authorization", b"Basic YTpi"))
        self.request(connectHead(TARGET, via))
        self.assertEqual(self.flows.flow.via, ("r2", "r3"))
        self.request(connectHead(TARGET, via), Identity())
        self.assertEqual((self.flows.flow.via, self.flows.flow.identity.user), ((), "alice"))
        self.assertEqual(self.refused(connectHead(TARGET, ((b"hermes-via", b"(("),))).status, 400)

    def test_whatTheDialerSends(self) -> None:
        flow = Flow("tcp", TARGET, via=("r2", "r3"))
        secrets = TunnelOptions(b"p", credentials=Credentials("a", "b"), sendVia=True)
        TunnelDialer(self.client, secrets, self.clock).connectStream(flow, Stream())
        request = self.client.exchanges[-1][0].request
        self.assertEqual(request.get(b"proxy-authorization"), b"Basic YTpi")
        self.assertEqual(request.get(b"hermes-via"), b'"r2", "r3"')
        token = TunnelOptions(b"p", credentials=Credentials(token="t0ken"))
        TunnelDialer(self.client, token, self.clock).connectDatagrams(flow, Datagrams())
        request = self.client.exchanges[-1][0].request
        self.assertEqual(request.get(b"authorization"), b"Bearer t0ken")
        self.assertIsNone(request.get(b"hermes-via"))
        self.assertNotIn("t0ken", repr(token))


class FailureTests(TunnelTestCase):
    """
    What goes wrong, and who hears of it.
    """

    def connect(self, **options: Any) -> Deferred[Any]:
        dialer = TunnelDialer(self.client, TunnelOptions(b"p", **options), self.clock)
        connecting = dialer.connectStream(Flow("tcp", TARGET), Stream())
        self.network.pump()
        return connecting

    def test_aRefusalCarriesStatusAndProxyStatus(self) -> None:
        connecting = self.connect()
        self.flows.fail(NoRoute("no route takes this"))
        self.network.pump()
        error = self.failureResultOf(connecting, HopRefused).value
        self.assertEqual((error.answered, error.status), (403, 403))
        self.assertIn(b"relay;error=http_request_denied", error.hopStatus)
        self.assertEqual(error.cause, "http_request_denied")
        client, server = self.client.exchanges[0]
        self.assertTrue(client.disconnected and server.disconnected)

    def test_whatTheProxiesBeyondHaveToldIsToldOn(self) -> None:
        connecting = self.connect()
        self.flows.fail(HopRefused("no", 502, b"exit;error=connection_refused", "connection_refused"))
        self.network.pump()
        error = self.failureResultOf(connecting, HopRefused).value
        own = b'relay;error=http_upgrade_failed;received-status=502;details="no"'
        self.assertEqual(error.hopStatus, b"exit;error=connection_refused, " + own)
        self.assertEqual((error.proxyStatus, error.cause), ("http_upgrade_failed", "connection_refused"))

    def test_aMistakeOfOursIsLoggedAndNotTold(self) -> None:
        connecting = self.connect()
        self.flows.fail(ZeroDivisionError("inner secret"))
        self.network.pump()
        error = self.failureResultOf(connecting, HopRefused).value
        self.assertEqual(error.answered, 500)
        self.assertNotIn(b"secret", error.hopStatus)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_aLongRefusalIsNotReadToItsEnd(self) -> None:
        connecting = self.connect()
        _, server = self.client.exchanges[0]
        server.respond(ResponseHead(503))
        server.write(bytes(60_000))
        self.network.pump()
        self.failureResultOf(connecting, HopRefused)
        self.assertEqual(server.resetWith, 8)

    def test_aHopThatResetsIsUnavailable(self) -> None:
        connecting = self.connect()
        self.client.exchanges[0][1].reset(7)
        self.network.pump()
        self.failureResultOf(connecting, HopUnavailable)

    def test_whenTheClientGoesAwayDiallingStops(self) -> None:
        connecting = self.connect()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.network.pump()
        self.assertEqual(self.client.exchanges[0][1].resetWith, 8)
        self.assertEqual((self.flows.cancelled, self.handler.pending), (1, 0))
        self.assertEqual(self.client.exchanges[0][1].responses, [])

    def test_whatOpensAfterTheClientWentAwayIsClosed(self) -> None:
        class Stubborn(Flows):
            def _cancel(self, deferred: Deferred[Any]) -> None:
                deferred.callback(near)

        self.flows = Stubborn()
        for head, near in ((connectHead(TARGET), Stream()), (connectUDPHead(TARGET, b"p"), Datagrams())):
            client, _ = self.request(head, handler=self.makeHandler())
            client.reset(8)
            self.network.pump()
            self.assertIsNotNone(near.lost)

    def test_aHopThatDoesNotAnswerIsGivenUp(self) -> None:
        connecting = self.connect(timeout=3)
        self.clock.advance(3)
        self.failureResultOf(connecting, TargetTimeout)
        self.network.pump()
        self.assertEqual(self.flows.cancelled, 1)

    def test_aTargetThatDoesNotAnswerIsToldInTime(self) -> None:
        connecting = self.connect(timeout=1000)
        self.clock.advance(60)
        self.network.pump()
        self.assertEqual(self.failureResultOf(connecting, HopRefused).value.answered, 504)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_openingFlowsAreBounded(self) -> None:
        handler = self.makeHandler(maxPending=2)
        for _ in range(2):
            self.request(connectHead(TARGET), handler=handler)
        self.assertEqual(self.refused(connectHead(TARGET), handler=handler).status, 503)
        self.flows.stream()
        self.request(connectHead(TARGET), handler=handler)
        self.assertEqual(handler.pending, 2)

    def test_malformedAndUnknownRequestsAreTold(self) -> None:
        udp = b"/.well-known/masque/udp/h/1/"
        for head, status in (
            (RequestHead(b"CONNECT", authority=b"h"), 400),
            (RequestHead(b"CONNECT", b"https", b"p", b"/chat", b"websocket"), 501),
            (RequestHead(b"CONNECT", b"https", b"p", b"/chat", b"connect-udp"), 404),
            (RequestHead(b"GET", b"https", b"p", b"/"), 404),
            (RequestHead(b"GET", b"https", b"p", udp), 405),
            (RequestHead(b"CONNECT", b"https", b"p", b"/.well-known/hermes/listen/tcp/::/0/", b"hermes-listen"), 404),
        ):
            self.assertEqual(self.refused(head).status, status)
        self.assertEqual(self.flows.opening, [])

    def test_whatIsNoTunnelIsForwarded(self) -> None:
        forwarded: list[IServerExchange] = []

        @implementer(IExchangeHandler)
        class Forward:
            def exchangeReceived(self, exchange: IServerExchange) -> None:
                forwarded.append(exchange)

        handler = self.makeHandler(forward=Forward())
        for head in (
            RequestHead(b"GET", b"http", b"example.org", b"/"),
            RequestHead(b"CONNECT", b"https", b"example.org", b"/chat", b"websocket"),
        ):
            _, server = self.request(head, handler=handler)
            self.assertIs(forwarded.pop(), server)
