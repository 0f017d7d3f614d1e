"""
Requests reach their origin, and what comes back reaches the client.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.error import ConnectionDone
from zope.interface.verify import verifyObject

from hermes.errors import HopRefused, NoRoute, TargetRefused
from hermes.http.answering import EXPECT_TIME
from hermes.http1.client import IDLE_TIME
from hermes.interfaces import IExchangeHandler
from hermes.test.http.forwarding import OK, Forwarding
from hermes.values import Identity, Target


class ForwardTests(Forwarding):
    def test_itIsAnExchangeHandler(self) -> None:
        verifyObject(IExchangeHandler, self.handler)

    def test_aRequestGoesToItsOriginAndTheResponseComesBack(self) -> None:
        _, server, body = self.ask(headers=((b"accept", b"*/*"),))
        self.assertEqual([flow.target for flow in self.dialer.flows], [Target("origin.example", 80)])
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
        self.assertEqual(self.dialer.flows[0].target, Target("2001:db8::1", 8080))

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

    # 100 and other informational responses

    def expecting(self) -> tuple[Any, Any, Any, Any]:
        headers = ((b"expect", b"100-continue"), (b"content-length", b"2"))
        browser, server, body = self.ask(b"PUT", headers, ended=False)
        origin = self.up()
        self.assertIn(b"\r\nexpect: 100-continue\r\n", bytes(origin.taken))
        self.assertEqual(server.responses, [])
        return browser, server, body, origin

    def statuses(self, server: Any) -> list[int]:
        return [head.status for head in server.responses]

    def test_theOriginSaysWhenToGoOn(self) -> None:
        browser, server, body, origin = self.expecting()
        browser.write(b"xy")
        browser.loseWriteConnection()
        self.pump()
        self.assertTrue(bytes(origin.taken).endswith(b"\r\n\r\n"))
        self.answer(origin, b"HTTP/1.1 100 Go on\r\n\r\n")
        self.assertEqual(self.statuses(server), [100])
        self.assertTrue(bytes(origin.taken).endswith(b"\r\n\r\nxy"))
        self.answer(origin, OK)
        self.assertEqual((self.statuses(server), body.data), ([100, 200], b"ok"))
        self.assertEqual(self.clock.getDelayedCalls(), self.idleTimers())

    def idleTimers(self) -> list[Any]:
        # The connection waits for a next request.
        return [call for call in self.clock.getDelayedCalls() if call.getTime() - self.clock.seconds() > EXPECT_TIME]

    def test_anOriginThatKnowsNothingOf100GetsTheBodyAllTheSame(self) -> None:
        browser, server, body, origin = self.expecting()
        self.clock.advance(EXPECT_TIME)
        browser.write(b"xy")
        browser.loseWriteConnection()
        self.pump()
        self.assertEqual(self.statuses(server), [100])
        self.assertTrue(bytes(origin.taken).endswith(b"\r\n\r\nxy"))
        self.answer(origin, OK)
        self.assertEqual((self.statuses(server), body.ended), ([100, 200], True))

    def test_anOriginThatDeclinesIsNotSentTheBody(self) -> None:
        for answer, text in (
            (b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", b""),
            (b"HTTP/1.1 401 Who\r\nContent-Length: 3\r\n\r\nwho", b"who"),
        ):
            _, server, body, origin = self.expecting()
            self.answer(origin, answer)
            self.assertEqual((self.statuses(server), body.data, body.ended), ([int(answer[9:12])], text, True))
            self.assertTrue(bytes(origin.taken).endswith(b"\r\n\r\n"))
            # What it would read next would be taken for the body.
            self.assertIn("abortConnection", origin.calls)
            self.clock.advance(EXPECT_TIME)
            self.assertEqual(len(server.responses), 1)

    def test_aClientThatWaitsAndGoesAwayLeavesNothing(self) -> None:
        browser, _, _, origin = self.expecting()
        browser.reset(8)
        self.pump()
        self.assertIn("abortConnection", origin.calls)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hintsArePassedOn(self) -> None:
        _, server, _ = self.ask()
        origin = self.up()
        self.answer(origin, b"HTTP/1.1 103 Hints\r\nLink: </a>\r\nHermes-X: y\r\n\r\n")
        self.answer(origin, b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
        self.assertEqual(self.statuses(server), [103, 102, 200])
        self.assertEqual(server.responses[0].headers, ((b"link", b"</a>"),))

    # Early answers

    def test_anOriginThatAnswersAndTakesNoMoreEndsTheUpload(self) -> None:
        browser, server, body = self.ask(b"POST", ended=False)
        origin = self.up()
        browser.write(b"begin")
        self.pump()
        self.answer(origin, b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
        self.assertEqual((self.statuses(server), body.data, body.ended), ([413], b"no", True))
        taken = bytes(origin.taken)
        browser.write(b"in vain")
        browser.loseWriteConnection()
        self.pump()
        self.assertEqual(bytes(origin.taken), taken)
        self.assertTrue(browser.disconnected)
        self.assertIsNone(browser.resetWith)

    def test_anAnswerBeforeTheEndOfTheUploadDoesNotEndIt(self) -> None:
        for answer in (OK, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 204 None\r\n\r\n"):
            self.setUp()
            browser, _, body = self.ask(b"POST", ended=False)
            origin = self.up()
            self.answer(origin, answer)
            self.assertTrue(body.ended)
            browser.write(b"more")
            browser.loseWriteConnection()
            self.pump()
            self.assertTrue(bytes(origin.taken).endswith(b"4\r\nmore\r\n0\r\n\r\n"))
            self.assertTrue(browser.disconnected)
            self.assertEqual((browser.resetWith, len(self.watching.ended)), (None, 1))
            # The connection is good for a next request.
            self.ask()
            self.assertIn(b"GET /a?b", bytes(origin.taken))

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
        self.assertIn(b"via: 1.0 x\r\nvia: 2 " + self.via, sent)

    def test_cookiesThatHTTP2CutUpAreOneField(self) -> None:
        self.ask(headers=((b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")))
        self.assertIn(b"\r\ncookie: a=1; b=2\r\n", bytes(self.up().taken))

    def test_optionsCountsItsProxies(self) -> None:
        _, server, _ = self.ask(b"OPTIONS", ((b"max-forwards", b"0"),), path=b"*")
        self.assertEqual((server.responses[0].status, self.dialer.flows), (200, []))
        self.ask(b"OPTIONS", ((b"max-forwards", b"3"),), path=b"*")
        sent = bytes(self.up().taken)
        self.assertTrue(sent.startswith(b"OPTIONS * HTTP/1.1\r\n"))
        self.assertIn(b"max-forwards: 2\r\n", sent)

    # Connections to the origin

    def test_theNextRequestUsesTheSameConnectionWhoeverAsks(self) -> None:
        self.ask()
        origin = self.up()
        self.answer(origin, OK)
        others: list[dict[str, Any]] = [{}, {"source": ("192.0.2.9", 1)}, {"identity": Identity(node="relay")}]
        for number, options in enumerate(others):
            _, _, body = self.ask(**options)
            self.assertEqual(bytes(origin.taken).count(b"GET "), number + 2)
            self.answer(origin, OK)
            self.assertEqual((body.data, len(self.dialer.flows)), (b"ok", 1))

    def test_anotherTargetNeverDoes(self) -> None:
        self.ask()
        self.answer(self.up(), OK)
        self.ask(authority=b"other.example")
        self.ask(authority=b"origin.example:81")
        self.assertEqual(
            [str(flow.target) for flow in self.dialer.flows[1:]], ["other.example:80", "origin.example:81"]
        )

    def test_aConnectionThatIsNotUsedAgainIsClosed(self) -> None:
        self.ask()
        origin = self.up()
        self.answer(origin, OK)
        for _ in range(2):
            self.clock.advance(IDLE_TIME)
        self.pump()
        self.assertIn("loseWriteConnection", origin.calls)

    def test_aKeptConnectionThatJustClosedIsReplaced(self) -> None:
        self.ask()
        origin = self.up()
        self.answer(origin, OK)
        _, server, body = self.ask()
        origin.fail(ConnectionDone())
        self.pump()
        self.assertEqual((len(self.dialer.flows), server.responses), (2, []))
        self.answer(self.up(), OK)
        self.assertEqual(body.data, b"ok")

    def test_aRequestThatMayHaveBeenDoneIsNotSentTwice(self) -> None:
        self.ask(b"POST")
        origin = self.up()
        self.answer(origin, OK)
        _, server, _ = self.ask(b"POST")
        origin.fail(ConnectionDone())
        self.pump()
        self.assertRefused(server, 502, b"http_response_incomplete")
        self.assertEqual(len(self.dialer.flows), 1)

    # What goes wrong

    def test_aRefusedFlowIsTold(self) -> None:
        for error, status, kind in ((NoRoute("no"), 403, b"denied"), (TargetRefused("no"), 502, b"refused")):
            _, server, body = self.ask()
            self.refuse(error)
            self.assertRefused(server, status, kind)
            self.assertEqual(body.data, b"no\n")

    def test_whatTheProxiesBeyondHaveToldComesBeforeWhatWeTell(self) -> None:
        _, server, _ = self.ask()
        told = b"exit;error=dns_error, relay;error=http_upgrade_failed"
        self.refuse(HopRefused("the next hop answered 502", 502, told, "dns_error"))
        own = b'%s;error=http_upgrade_failed;received-status=502;details="the next hop answered 502"'
        self.assertEqual(server.responses[-1].get(b"proxy-status"), told + b", " + own % b"edge")

    def test_anUploadThatIsRefusedIsAnswered(self) -> None:
        browser, server, body = self.ask(b"POST", ended=False)
        browser.write(b"x" * 1000)
        self.pump()
        self.refuse(NoRoute("no"))
        browser.write(b"x" * 1000)
        self.pump()
        self.assertRefused(server, 403, b"denied")
        self.assertEqual(body.data, b"no\n")

    def test_aRefusalOfHeadHasNoBody(self) -> None:
        _, server, body = self.ask(b"HEAD")
        self.refuse(NoRoute("no"))
        self.assertRefused(server, 403, b"denied")
        self.assertEqual(body.data, b"")

    def test_anOriginThatBreaksOffBeforeItsAnswerIsABadGateway(self) -> None:
        _, server, _ = self.ask()
        self.up().fail(ConnectionDone())
        self.pump()
        self.assertRefused(server, 502, b"http_response_incomplete")

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
        self.clock.advance(0)
        browser.reset(8)
        self.pump()
        self.assertEqual(self.dialer.cancelled, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aClientThatGoesAwayLaterEndsItsFlow(self) -> None:
        browser, _, _ = self.ask()
        origin = self.up()
        browser.reset(8)
        self.pump()
        self.assertIn("abortConnection", origin.calls)

    def test_aMistakeOfOursIsLoggedAndNotTold(self) -> None:
        def decide(request: object) -> Any:
            raise ZeroDivisionError("a secret")

        self.patch(self.requests.plans, "decide", decide)
        _, server, body = self.ask()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertRefused(server, 502, b"proxy_internal_error")
        self.assertEqual(body.data, b"internal error\n")

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
        self.assertEqual(self.dialer.flows, [])

    # Who asks

    def test_aCredentialNamesTheUser(self) -> None:
        self.ask(headers=((b"proxy-authorization", b"Basic " + b64encode(b"alice:secret")),))
        self.answer(self.up(), OK)
        self.assertEqual(self.watching.ended[0].flow.identity, Identity(user="alice"))

    def test_aWrongCredentialIsRefusedWithAChallenge(self) -> None:
        _, server, _ = self.ask(headers=((b"proxy-authorization", b"Basic " + b64encode(b"alice:wrong")),))
        self.assertRefused(server, 407, b"http_request_denied")
        self.assertIn(b"Basic realm=", server.responses[0].get(b"proxy-authenticate") or b"")

    def test_whereNobodyAnonymousIsTakenACredentialIsAskedFor(self) -> None:
        self.handler = self.requests.listener("apps", anonymous=False)
        _, server, _ = self.ask()
        self.assertRefused(server, 407, b"http_request_denied")
        self.ask(identity=Identity(node="edge"))
        self.assertEqual(len(self.dialer.flows), 1)
