"""
Requests in absolute-form reach their origin.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import HopRefused, NoRoute, TargetRefused
from hermes.fabric.forward import DIAL_TIME, IDLE_TIME, ForwardHandler
from hermes.fabric.record import FlowRecord
from hermes.fabric.splice import StreamSplice
from hermes.interfaces import IExchangeHandler
from hermes.test.fabric.fakenetwork import FakeContext
from hermes.test.fabric.fakes import FakeFlows, FakeStream
from hermes.test.fabric.test_relay import Body
from hermes.testing import MemoryClientExchange, MemoryNetwork, MemoryServerExchange
from hermes.users import Users, UserSecret
from hermes.values import Flow, Headers, Identity, RequestHead, Target

SOURCE = ("192.0.2.1", 4000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Forwarding(SynchronousTestCase):
    def setUp(self) -> None:
        self.context = FakeContext()
        self.flows: FakeFlows = self.context.flows
        self.context.authenticator = Users({"alice": UserSecret(password="secret")})
        self.network = MemoryNetwork()
        self.handler = self.newHandler()
        self.via = self.handler.heads._pseudonym

    def newHandler(self, anonymous: bool = True) -> ForwardHandler:
        return ForwardHandler(self.context, "apps", anonymous)

    def ask(
        self,
        method: bytes = b"GET",
        headers: Headers = (),
        authority: bytes = b"origin.example",
        path: bytes = b"/a?b",
        scheme: bytes = b"http",
        ended: bool = True,
        **options: Any,
    ) -> tuple[MemoryClientExchange, MemoryServerExchange, Body]:
        request = RequestHead(method, scheme, authority, path, None, headers)
        browser, server = self.network.pair(request, **options)
        browser.attach(body := Body())
        if ended:
            browser.loseWriteConnection()
        self.handler.exchangeReceived(server)
        self.pump()
        return browser, server, body

    def pump(self) -> None:
        self.network.pump()
        self.context.reactor.advance(0)
        self.network.pump()

    def up(self, which: int = -1) -> FakeStream:
        """
        The flow is open: what the origin reads and writes.
        """
        flow, opening = self.flows.asked[which]
        splice = StreamSplice(FlowRecord(flow, 0.0), lambda splice: None)
        origin = FakeStream(self.context.reactor)
        origin.attach(splice.far)
        opening.callback(splice.near)
        self.pump()
        return origin

    def answer(self, origin: FakeStream, data: bytes) -> None:
        origin.deliver(data)
        self.pump()

    def assertRefused(self, exchange: MemoryServerExchange, status: int, error: bytes) -> None:
        head = exchange.responses[-1]
        self.assertEqual(head.status, status)
        self.assertIn(error, head.get(b"proxy-status") or b"")


class ForwardTests(Forwarding):
    def test_itIsAnExchangeHandler(self) -> None:
        verifyObject(IExchangeHandler, self.handler)

    def test_aRequestGoesToItsOriginAndTheResponseComesBack(self) -> None:
        _, server, body = self.ask(headers=((b"accept", b"*/*"),))
        flow = Flow("http", Target("origin.example", 80), SOURCE, listener="apps")
        self.assertEqual([asked for asked, _ in self.flows.asked], [flow])
        origin = self.up()
        self.assertEqual(
            bytes(origin.taken),
            b"GET /a?b HTTP/1.1\r\nhost: origin.example\r\naccept: */*\r\nvia: 2 %s\r\n\r\n" % self.via,
        )
        self.answer(origin, b"HTTP/1.1 201 Made\r\nContent-Length: 4\r\nX-A: b\r\nVia: 1.1 cdn\r\n\r\nbody")
        head = server.responses[0]
        self.assertEqual((head.status, head.get(b"x-a"), head.get(b"via")), (201, b"b", b"1.1 cdn, 1.1 " + self.via))
        self.assertEqual((body.data, body.ended), (b"body", True))
        assert body.lost is not None
        self.assertTrue(body.lost.check(ConnectionDone))

    def test_anOtherPortIsDialed(self) -> None:
        self.ask(authority=b"[2001:db8::1]:8080")
        self.assertEqual(self.flows.asked[0][0].target, Target("2001:db8::1", 8080))

    def test_bodiesOfAKnownAndOfAnUnknownLengthAreStreamed(self) -> None:
        for headers, sent in (
            (((b"content-length", b"9"),), b"content-length: 9\r\nvia: 2 %s\r\n\r\nonetwosix"),
            ((), b"transfer-encoding: chunked\r\nvia: 2 %s\r\n\r\n3\r\none\r\n3\r\ntwo\r\n3\r\nsix\r\n0\r\n\r\n"),
        ):
            browser, _, body = self.ask(b"POST", headers, ended=False)
            browser.write(b"one")
            self.pump()
            origin = self.up()
            for part in (b"two", b"six"):
                browser.write(part)
                self.pump()
            browser.loseWriteConnection()
            self.pump()
            self.assertEqual(bytes(origin.taken), b"POST /a?b HTTP/1.1\r\nhost: origin.example\r\n" + sent % self.via)
            self.answer(origin, OK + b"HTTP")
            self.assertEqual((body.data, body.ended), (b"ok", True))

    def test_whoeverWaitsBeforeItsBodyIsAnsweredAllTheSame(self) -> None:
        browser, _, body = self.ask(b"POST", ended=False)
        origin = self.up()
        self.answer(origin, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyou\r\n")
        self.assertEqual(body.data, b"you")
        browser.write(b"me")
        browser.loseWriteConnection()
        self.pump()
        self.assertTrue(bytes(origin.taken).endswith(b"2\r\nme\r\n0\r\n\r\n"))
        self.answer(origin, b"0\r\n\r\n")
        self.assertTrue(body.ended)

    def test_aClientThatExpectsA100GetsItAndTheOriginIsNotAsked(self) -> None:
        headers = ((b"expect", b"100-continue"), (b"content-length", b"2"))
        browser, server, _ = self.ask(b"PUT", headers, ended=False)
        self.assertEqual([head.status for head in server.responses], [100])
        origin = self.up()
        browser.write(b"xy")
        browser.loseWriteConnection()
        self.pump()
        self.assertNotIn(b"expect", bytes(origin.taken))
        self.answer(origin, OK)
        self.assertEqual([head.status for head in server.responses], [100, 200])

    def test_anEmptyPostHasALength(self) -> None:
        self.ask(b"POST")
        self.assertIn(b"content-length: 0\r\n", bytes(self.up().taken))

    def test_whatClaimsAuthorityOrIsForThisProxyIsNotSentOn(self) -> None:
        names = (
            *(b"proxy-authorization", b"user", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip"),
            *(b"hermes-via", b"hermes-deadline"),
        )
        basic = b"Basic " + b64encode(b"alice:secret")
        self.ask(headers=(*((name, basic) for name in names), (b"authorization", b"mine"), (b"via", b"1.0 x")))
        sent = bytes(self.up().taken)
        for name in names:
            self.assertNotIn(b"\n" + name, sent)
        self.assertIn(b"authorization: mine\r\n", sent)
        self.assertIn(b"via: 1.0 x, 2 " + self.via, sent)

    def test_cookiesThatHTTP2CutUpAreOneField(self) -> None:
        self.ask(headers=((b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")))
        self.assertIn(b"\r\ncookie: a=1; b=2\r\n", bytes(self.up().taken))

    def test_optionsCountsItsProxies(self) -> None:
        _, server, _ = self.ask(b"OPTIONS", ((b"max-forwards", b"0"),), path=b"*")
        self.assertEqual((server.responses[0].status, self.flows.asked), (200, []))
        self.ask(b"OPTIONS", ((b"max-forwards", b"3"),), path=b"*")
        sent = bytes(self.up().taken)
        self.assertTrue(sent.startswith(b"OPTIONS * HTTP/1.1\r\n"))
        self.assertIn(b"max-forwards: 2\r\n", sent)

    # Connections to the origin

    def test_theNextRequestOfTheSameClientUsesTheSameFlow(self) -> None:
        self.ask()
        origin = self.up()
        self.answer(origin, OK)
        _, _, body = self.ask()
        self.assertEqual(bytes(origin.taken).count(b"GET "), 2)
        self.answer(origin, OK)
        self.assertEqual((body.data, len(self.flows.asked)), (b"ok", 1))

    def test_anotherClientNeverUsesIt(self) -> None:
        self.ask()
        self.answer(self.up(), OK)
        self.ask(source=("192.0.2.1", 4001))
        self.ask(identity=Identity(node="edge"))
        self.ask(headers=((b"proxy-authorization", b"Basic " + b64encode(b"alice:secret")),))
        self.ask(authority=b"other.example")
        self.assertEqual(len(self.flows.asked), 5)

    def test_aFlowThatIsNotUsedAgainIsClosed(self) -> None:
        self.ask()
        origin = self.up()
        self.answer(origin, OK)
        self.context.reactor.advance(IDLE_TIME)
        self.pump()
        self.assertIn("loseWriteConnection", origin.calls)

    def test_drainingKeepsNoFlowForLater(self) -> None:
        self.ask()
        origin = self.up()
        self.answer(origin, OK)
        self.handler.drain()
        self.pump()
        self.assertIn("loseWriteConnection", origin.calls)

    def test_aKeptConnectionThatJustClosedIsReplaced(self) -> None:
        self.ask()
        origin = self.up()
        self.answer(origin, OK)
        _, server, body = self.ask()
        origin.fail(ConnectionDone())
        self.pump()
        self.assertEqual((len(self.flows.asked), server.responses), (2, []))
        self.answer(self.up(), OK)
        self.assertEqual(body.data, b"ok")

    def test_aRequestThatMayHaveBeenDoneIsNotSentTwice(self) -> None:
        self.ask(b"POST")
        origin = self.up()
        self.answer(origin, OK)
        _, server, _ = self.ask(b"POST")
        origin.fail(ConnectionDone())
        self.pump()
        self.assertRefused(server, 502, b"destination_unavailable")
        self.assertEqual(len(self.flows.asked), 1)

    # What goes wrong

    def test_aRefusedFlowIsTold(self) -> None:
        for error, status, kind in ((NoRoute("no"), 403, b"denied"), (TargetRefused("no"), 502, b"refused")):
            _, server, body = self.ask()
            self.flows.asked[-1][1].errback(error)
            self.pump()
            self.assertRefused(server, status, kind)
            self.assertEqual(body.data, b"no\n")

    def test_whatTheProxiesBeyondHaveToldComesBeforeWhatWeTell(self) -> None:
        _, server, _ = self.ask()
        told = b"exit;error=dns_error, relay;error=http_upgrade_failed"
        self.flows.asked[-1][1].errback(HopRefused("the next hop answered 502", 502, told, "dns_error"))
        self.pump()
        own = b'%s;error=http_upgrade_failed;received-status=502;details="the next hop answered 502"'
        self.assertEqual(server.responses[-1].get(b"proxy-status"), told + b", " + own % b"edge")

    def test_anUploadThatIsRefusedIsAnswered(self) -> None:
        browser, server, body = self.ask(b"POST", ended=False)
        browser.write(b"x" * 1000)
        self.pump()
        self.flows.asked[0][1].errback(NoRoute("no"))
        browser.write(b"x" * 1000)
        self.pump()
        self.assertRefused(server, 403, b"denied")
        self.assertEqual(body.data, b"no\n")

    def test_aRefusalOfHeadHasNoBody(self) -> None:
        _, server, body = self.ask(b"HEAD")
        self.flows.asked[0][1].errback(NoRoute("no"))
        self.pump()
        self.assertRefused(server, 403, b"denied")
        self.assertEqual(body.data, b"")

    def test_anOriginThatBreaksOffBeforeItsAnswerIsABadGateway(self) -> None:
        _, server, _ = self.ask()
        self.up().fail(ConnectionDone())
        self.pump()
        self.assertRefused(server, 502, b"destination_unavailable")

    def test_anOriginThatSpeaksNoHTTPIsABadGateway(self) -> None:
        _, server, _ = self.ask()
        self.answer(self.up(), b"SSH-2.0-x\r\n\r\n")
        self.assertEqual(server.responses[0].status, 502)

    def test_anOriginThatBreaksOffInItsBodyResetsTheClient(self) -> None:
        browser, _, body = self.ask()
        origin = self.up()
        self.answer(origin, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyou\r\n")
        origin.fail(ConnectionDone())
        self.pump()
        self.assertEqual((body.data, body.ended), (b"you", False))
        self.assertIsNotNone(browser.resetWith)

    def test_aClientThatGoesAwayCancelsTheDial(self) -> None:
        browser, _, _ = self.ask(ended=False)
        self.context.reactor.advance(0)
        browser.reset(8)
        self.pump()
        self.assertEqual(self.flows.cancelled, 1)
        self.assertEqual(self.context.reactor.getDelayedCalls(), [])

    def test_aClientThatGoesAwayLaterEndsItsFlow(self) -> None:
        browser, _, _ = self.ask()
        origin = self.up()
        browser.reset(8)
        self.pump()
        self.assertIn("abortConnection", origin.calls)

    def test_aDialThatTakesTooLongIsATimeout(self) -> None:
        _, server, _ = self.ask()
        self.context.reactor.advance(DIAL_TIME)
        self.pump()
        self.assertRefused(server, 504, b"connection_timeout")
        self.assertEqual(self.flows.cancelled, 1)

    def test_aMistakeOfOursIsLogged(self) -> None:
        _, server, _ = self.ask()
        self.flows.asked[0][1].errback(ZeroDivisionError())
        self.pump()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertNotIn(b"Zero", server.responses[0].get(b"proxy-status") or b"")
        self.assertEqual(server.responses[0].status, 502)

    def test_anOriginDoesNotAskForOurCredentials(self) -> None:
        _, server, _ = self.ask()
        self.answer(self.up(), b"HTTP/1.1 407 Give\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
        self.assertRefused(server, 502, b"http_protocol_error")

    def test_whatIsNotForOriginsIsRefused(self) -> None:
        for options, status in (
            ({"scheme": b"https"}, 501),
            ({"method": b"TRACE"}, 501),
            ({"method": b"CONNECT"}, 501),
            ({"authority": b"user@origin.example"}, 400),
            ({"authority": b""}, 400),
            ({"method": b"OPTIONS", "headers": ((b"max-forwards", b"x"),)}, 400),
            ({"headers": ((b"via", b"1.1 " + self.via),)}, 502),
        ):
            arguments: Any = options
            _, server, _ = self.ask(**arguments)
            self.assertEqual(server.responses[0].status, status, options)
        self.assertEqual(self.flows.asked, [])

    # Who asks

    def test_aCredentialNamesTheUser(self) -> None:
        self.ask(headers=((b"proxy-authorization", b"Basic " + b64encode(b"alice:secret")),))
        self.assertEqual(self.flows.asked[0][0].identity, Identity(user="alice"))

    def test_aWrongCredentialIsRefusedWithAChallenge(self) -> None:
        _, server, _ = self.ask(headers=((b"proxy-authorization", b"Basic " + b64encode(b"alice:wrong")),))
        self.assertRefused(server, 407, b"http_request_denied")
        self.assertIn(b"Basic realm=", server.responses[0].get(b"proxy-authenticate") or b"")

    def test_whereNobodyAnonymousIsTakenACredentialIsAskedFor(self) -> None:
        self.handler = self.newHandler(anonymous=False)
        _, server, _ = self.ask()
        self.assertRefused(server, 407, b"http_request_denied")
        self.ask(identity=Identity(node="edge"))
        self.assertEqual(len(self.flows.asked), 1)
