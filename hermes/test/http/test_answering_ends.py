"""
A request that does not end in order: who hears of it, and that nobody takes a part for the whole.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from hermes.errors import NoRoute
from hermes.http.bodies import SMALL
from hermes.http.tries import DeadlineExceeded
from hermes.messages import Response
from hermes.test.http.versions import CANCEL, OwnBody, Proxying
from hermes.values import ResponseHead

LENGTH = b"content-length"
GONE = "the client went away"
CUT_SHORT = "http_response_incomplete"


class EndTests(Proxying):
    """
    A client and an origin of HTTP/2; below, of the others.
    """

    # The client goes away

    def test_aClientThatGoesAwayBeforeTheHeadStopsTheOrigin(self) -> None:
        self.ask()
        self.leave()
        self.assertOriginStopped()
        self.assertEnded(0, GONE)

    def test_aClientThatGoesAwayInItsUploadStopsTheOrigin(self) -> None:
        self.ask(b"POST", body=b"half", more=True)
        self.leave()
        self.assertEqual((bytes(self.taken.data), self.taken.readLost), (b"half", 0))
        self.assertOriginStopped()
        self.assertEnded(0, GONE)

    def test_aClientThatGoesAwayAfterItsUploadStopsTheOrigin(self) -> None:
        self.ask(b"POST", body=b"question")
        self.leave()
        self.assertOriginStopped()
        self.assertEnded(0, GONE)

    def test_aClientThatGoesAwayBehindTheHeadStopsTheOrigin(self) -> None:
        for length in (None, 10, SMALL + 1):
            self.ask()
            self.respond(headers=() if length is None else ((LENGTH, b"%d" % length),), more=True)
            self.leave()
            self.assertOriginStopped()
            self.assertEnded(200, GONE)
            self.setUp()

    def test_aClientThatGoesAwayInItsResponseStopsTheOrigin(self) -> None:
        for method, length in ((b"GET", None), (b"GET", 10), (b"GET", SMALL + 1), (b"POST", None), (b"POST", 10)):
            self.ask(method, body=b"question" if method == b"POST" else None)
            self.respond(headers=() if length is None else ((LENGTH, b"%d" % length),), body=b"half", more=True)
            self.assertEqual(bytes(self.body.data), b"half")
            self.leave()
            self.assertOriginStopped()
            self.assertEnded(200, GONE)
            self.assertEqual(self.record.bytesOut, 4)
            self.setUp()

    def test_aClientThatGoesAwayWhileItsAnswerIsMadeCancelsThat(self) -> None:
        cancelled: list[object] = []
        self.answerWith(lambda request: Deferred(cancelled.append))
        self.ask()
        self.leave()
        self.assertEqual(len(cancelled), 1)
        self.assertEnded(0, GONE)

    def test_anAnswerThatComesAllTheSameIsDropped(self) -> None:
        body = OwnBody()
        answer = Response(ResponseHead(200), body)
        self.answerWith(lambda request: Deferred(lambda pending: pending.callback(answer)))
        self.ask()
        self.leave()
        self.assertEqual((body.stopped, body.sink), (1, None))
        self.assertEnded(0, GONE)

    def test_anErrorThatComesAllTheSameChangesNothing(self) -> None:
        self.answerWith(lambda request: Deferred(lambda pending: pending.errback(NoRoute("no"))))
        self.ask()
        self.leave()
        self.assertEnded(0, GONE)

    # The origin breaks off

    def test_aResponseThatIsCutShortIsNeverTakenForTheWhole(self) -> None:
        for method, length in ((b"GET", None), (b"GET", 10), (b"GET", SMALL + 1), (b"POST", None), (b"POST", 10)):
            self.ask(method, body=b"question" if method == b"POST" else None)
            self.respond(headers=() if length is None else ((LENGTH, b"%d" % length),), body=b"half", more=True)
            self.origin.reset(CANCEL)
            self.pump()
            self.assertEqual((self.status, bytes(self.body.data)), (200, b"half"))
            self.assertBroken()
            self.assertEqual((self.record.status, self.record.proxyStatus), (200, CUT_SHORT))
            self.assertEqual(self.requests.openRequests(), [])
            self.setUp()

    def test_aResponseThatIsCutShortInAnUploadEndsThat(self) -> None:
        self.ask(b"POST", body=b"half", more=True)
        self.respond(body=b"half", more=True)
        self.origin.reset(CANCEL)
        self.pump()
        self.assertBroken()
        self.assertEqual((self.record.status, self.record.proxyStatus), (200, CUT_SHORT))
        self.assertEqual(self.requests.openRequests(), [])

    def test_aBodyThatIsShorterThanItsLengthIsCutShort(self) -> None:
        for method in (b"GET", b"POST"):
            self.ask(method, body=b"question" if method == b"POST" else None)
            self.respond(headers=((LENGTH, b"10"),), body=b"half", more=True)
            self.origin.loseWriteConnection()
            self.pump()
            self.assertBroken()
            self.assertEqual((self.record.status, self.record.proxyStatus), (200, CUT_SHORT))
            self.setUp()

    def test_aBodyThatIsLateIsCutShortAndToldSo(self) -> None:
        body = OwnBody()
        self.answerWith(lambda request: succeed(Response(ResponseHead(200), body)))
        self.ask()
        body.sink.dataReceived(b"half")
        body.sink.bodyFailed(Failure(DeadlineExceeded("too late")))
        self.pump()
        self.assertBroken()
        self.assertEnded(200, "too late", DeadlineExceeded.proxyStatus)

    def test_anOriginThatBreaksOffBeforeItsAnswerIsABadGateway(self) -> None:
        for method, body, more in ((b"GET", None, False), (b"POST", b"question", False), (b"POST", b"half", True)):
            self.ask(method, body=body, more=more)
            self.origin.reset(CANCEL)
            self.pump()
            self.assertEqual((self.status, self.body.readLost), (502, 1))
            self.assertEqual((self.record.status, self.record.proxyStatus), (502, CUT_SHORT))
            self.assertIn(b"error=http_response_incomplete", self.outcome[0].get(b"proxy-status"))
            self.setUp()

    # What goes wrong here

    def test_aMistakeOfOursInSendingAResponseIsAReset(self) -> None:
        def broken(*arguments: object) -> Any:
            raise ZeroDivisionError

        for method in (b"GET", b"POST"):
            self.ask(method, body=b"half" if method == b"POST" else None, more=method == b"POST")
            self.patch(self.requests.heads, "response", broken)
            self.respond(body=b"answer", more=True)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertIsInstance(self.outcome[0], Failure)
            self.assertOriginStopped()
            self.assertEqual((self.record.error, self.record.proxyStatus), ("internal error", "proxy_internal_error"))
            self.assertEqual(self.requests.openRequests(), [])
            self.setUp()

    def test_aMistakeOfOursInRefusingIsAReset(self) -> None:
        class Unspeakable(NoRoute):
            def __str__(self) -> str:
                return "\udc80"

        self.answerWith(lambda request: fail(Unspeakable("no")))
        self.ask()
        self.assertEqual(len(self.flushLoggedErrors(UnicodeEncodeError)), 1)
        self.assertIsInstance(self.outcome[0], Failure)
        self.assertEqual(self.requests.openRequests(), [])
        self.assertEqual(len(self.watching.ended), 1)

    def test_aMistakeOfOursInMakingTheAnswerIsLoggedAndNotTold(self) -> None:
        self.answerWith(lambda request: fail(ZeroDivisionError("a secret")))
        self.ask()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.status, 502)
        self.assertWhole(b"internal error\n")
        self.assertEnded(502, "internal error", "proxy_internal_error")

    # The proxy ends

    def test_whatIsAbortedSaysSo(self) -> None:
        for method, answered in ((b"GET", False), (b"POST", False), (b"GET", True), (b"POST", True)):
            self.ask(method, body=b"half" if method == b"POST" else None, more=method == b"POST")
            if answered:
                self.respond(body=b"half", more=True)
            self.requests.abortAll()
            self.assertEqual(self.requests.openRequests(), [])
            self.pump()
            self.assertBroken()
            self.assertOriginStopped()
            self.assertEnded(200 if answered else 0, "the proxy is shutting down")
            self.setUp()


class FromHTTP1Tests(EndTests):
    near = "1.1"


class ToHTTP1Tests(EndTests):
    far = "1.1"

    def test_anOriginThatSpeaksNoHTTPDoesNotLeaveTheUploadWaiting(self) -> None:
        self.ask(b"POST", body=b"half", more=True)
        ours, theirs = self.links[-1]
        ours.producer.pauseProducing()
        theirs.write(b"SSH-2.0-x\r\n\r\n")
        self.pump()
        self.assertEqual(self.status, 502)
        self.browser.write(b" and half")
        self.browser.loseWriteConnection()
        self.pump()
        assert self.body.lost is not None
        self.assertTrue(self.body.lost.check(ConnectionDone))


class HTTP1Tests(ToHTTP1Tests):
    near = "1.1"
