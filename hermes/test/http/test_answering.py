"""
What becomes of a request, seen from its client, its origin and its record, in each version of HTTP on either side.
"""

from __future__ import annotations

from twisted.internet.defer import fail, succeed
from zope.interface.verify import verifyObject

from hermes.errors import CredentialsRequired, NoRoute
from hermes.http.answering import Answering
from hermes.http.bodies import SMALL
from hermes.interfaces import IBodySink
from hermes.messages import BytesBody, RequestRecord, Response, textResponse
from hermes.test.http.upstreams import FLOW, GET
from hermes.test.http.versions import OwnBody, Proxying
from hermes.testing import MemoryNetwork
from hermes.values import Identity, ResponseHead

LENGTH = b"content-length"
GONE = "the client went away"


class AnswerTests(Proxying):
    """
    A client and an origin of HTTP/2; below, of the others.
    """

    # In order

    def test_aResponseArrivesWhole(self) -> None:
        for headers in ((), ((LENGTH, b"6"),)):
            self.ask()
            self.respond(201, headers, b"answer")
            self.assertEqual(self.status, 201)
            self.assertWhole(b"answer")
            record = self.watching.ended.pop()
            self.assertEqual((record.status, record.error, record.bytesOut), (201, None, 6))

    def test_aResponseWithoutABodyIsOver(self) -> None:
        for method, status, headers in (
            (b"GET", 204, ()),
            (b"GET", 304, ()),
            (b"GET", 200, ((LENGTH, b"0"),)),
            (b"HEAD", 200, ((LENGTH, b"6"),)),
            (b"HEAD", 200, ()),
        ):
            self.ask(method)
            self.respond(status, headers, end=True)
            self.assertEqual(self.status, status)
            self.assertWhole(b"")
            self.assertEqual(self.browser.request.method, method)
            record = self.watching.ended.pop()
            self.assertEqual((record.status, record.error, record.bytesOut), (status, None, 0))

    def test_bothBodiesArriveWhole(self) -> None:
        for headers in ((), ((LENGTH, b"8"),)):
            self.ask(b"POST", headers, b"question")
            self.assertEqual((bytes(self.taken.data), self.taken.readLost), (b"question", 1))
            self.respond(body=b"answer")
            self.assertWhole(b"answer")
            record = self.watching.ended.pop()
            self.assertEqual((record.error, record.bytesIn, record.bytesOut), (None, 8, 6))

    def test_trailersArriveBothWays(self) -> None:
        self.ask(b"POST", ((b"te", b"trailers"),), b"question", more=True)
        self.browser.writeTrailers(((b"sum", b"1"),))
        self.pump()
        self.assertEqual(self.origin.trailers, ((b"sum", b"1"),))
        self.respond(body=b"answer", more=True)
        self.origin.writeTrailers(((b"check", b"2"),))
        self.pump()
        self.assertWhole(b"answer")
        self.assertEqual(self.browser.trailers, ((b"check", b"2"),))
        self.assertEnded(200)

    def test_trailersArriveThatFollowNoBody(self) -> None:
        self.ask()
        self.respond(more=True)
        self.origin.writeTrailers(((b"grpc-status", b"5"),))
        self.pump()
        self.assertWhole(b"")
        self.assertEqual(self.browser.trailers, ((b"grpc-status", b"5"),))
        self.assertEnded(200)

    def test_theNextRequestOnTheConnectionIsAnsweredToo(self) -> None:
        for method, body in ((b"GET", None), (b"POST", b"question"), (b"GET", None)):
            self.ask(method, body=body)
            self.respond(body=b"answer")
            self.assertWhole(b"answer")
        self.assertEqual([record.error for record in self.watching.ended], [None] * 3)

    def test_theOriginSeesViaAndTheClientDateAndVia(self) -> None:
        via = self.requests.heads.pseudonym
        self.ask()
        self.assertEqual(self.origin.request.get(b"via"), self.near.encode() + b" " + via)
        self.respond()
        (head,) = self.outcome
        self.assertEqual(head.get(b"via"), self.far.encode() + b" " + via)
        self.assertEqual(head.get(b"date"), self.requests.heads.date()[1])
        self.ask()
        self.respond(headers=((b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"),))
        (head,) = self.outcome
        self.assertEqual(head.get(b"date"), b"Thu, 01 Jan 1970 00:00:00 GMT")

    # Answers made here

    def test_anAnswerOfOurOwnHasADateAndNoVia(self) -> None:
        self.answerWith(lambda request: succeed(textResponse(200, "here")))
        self.ask()
        self.assertWhole(b"here")
        (head,) = self.outcome
        self.assertEqual((head.get(b"date"), head.get(b"via")), (self.requests.heads.date()[1], None))

    def test_whatMayHaveNoBodyHasNone(self) -> None:
        self.answerWith(lambda request: succeed(self.answers.pop()))
        for method, status, size in ((b"HEAD", 200, 4), (b"HEAD", 403, 100_000), (b"GET", 304, 4), (b"GET", 204, 4)):
            body = OwnBody(length=size)
            self.answers.append(Response(ResponseHead(status), body))
            self.ask(method)
            self.assertEqual(self.status, status)
            self.assertWhole(b"")
            self.assertEqual((body.stopped, body.sink), (1, None))
            self.assertEqual(self.watching.ended.pop().bytesOut, 0)

    def test_aRequestThatIsAnsweredHereIsNotRead(self) -> None:
        self.answerWith(lambda request: succeed(textResponse(403, "no")))
        self.ask(b"POST", body=b"question", more=True)
        self.assertEqual(self.status, 403)
        self.assertWhole(b"no")
        self.browser.write(b" and more")
        self.browser.loseWriteConnection()
        self.pump()
        self.assertEnded(403)
        self.ask()
        self.assertEqual(self.status, 403)

    # Early answers

    def test_anAnswerBeforeTheEndOfTheUploadDoesNotEndIt(self) -> None:
        self.ask(b"POST", body=b"one", more=True)
        self.respond(body=b"answer")
        self.assertWhole(b"answer")
        self.browser.write(b", two")
        self.browser.loseWriteConnection()
        self.pump()
        self.assertEqual((bytes(self.taken.data), self.taken.readLost), (b"one, two", 1))
        self.assertEnded(200)

    def test_aClientThatGoesAwayBehindAnEarlyAnswerStopsItsUpload(self) -> None:
        self.ask(b"POST", body=b"half", more=True)
        self.respond(body=b"answer")
        self.leave()
        self.assertEqual(self.taken.readLost, 0)
        self.assertOriginStopped()
        self.assertEnded(200)

    # Small bodies, which are never paused

    def test_aSmallBodyWaitsForASlowClient(self) -> None:
        self.ask()
        self.browser.pauseProducing()
        self.respond(headers=((LENGTH, b"%d" % SMALL),), body=bytes(SMALL))
        self.assertEnded(200)
        self.browser.resumeProducing()
        self.pump()
        self.assertWhole(bytes(SMALL))

    def test_aSmallBodyWhoseSlowClientGoesAwayIsOver(self) -> None:
        self.ask()
        self.browser.pauseProducing()
        self.respond(headers=((LENGTH, b"%d" % SMALL),), body=bytes(SMALL - 1), more=True)
        self.leave()
        self.assertOriginStopped()
        self.assertEnded(200, GONE)

    # Refusals

    def test_aRefusalTellsWhatIsWrong(self) -> None:
        self.answerWith(lambda request: fail(NoRoute("not for you")))
        for method, text in ((b"GET", b"not for you\n"), (b"HEAD", b""), (b"POST", b"not for you\n")):
            self.ask(method, body=b"half" if method == b"POST" else None, more=method == b"POST")
            self.assertEqual(self.status, 403)
            (head,) = self.outcome
            self.assertEqual(head.get(b"proxy-status"), b'edge;error=http_request_denied;details="not for you"')
            self.assertEqual(head.get(LENGTH), b"12")
            self.assertWhole(text)
            self.assertEnded(403, "not for you", "http_request_denied")
            self.assertEqual(self.record.bytesOut, len(text))
            self.setUp()
            self.answerWith(lambda request: fail(NoRoute("not for you")))

    def test_whoIsAskedForACredentialHearsOfBothSchemes(self) -> None:
        self.answerWith(lambda request: fail(CredentialsRequired("who?")))
        self.ask()
        (head,) = self.outcome
        challenges = [value for name, value in head.headers if name == b"proxy-authenticate"]
        self.assertEqual(challenges, [b'Basic realm="edge", charset="UTF-8"', b'Bearer realm="edge"'])
        self.assertEnded(407, "who?", "http_request_denied")

    def test_aRefusalOfAnyWordsIsWritten(self) -> None:
        self.answerWith(lambda request: fail(NoRoute('nö "\r\n\\')))
        self.ask()
        self.assertEqual(self.status, 403)
        self.assertWhole('nö "\r\n\\\n'.encode())

    # What nodes are told

    def test_aNodeIsToldWhatWasSpentAndNobodyElseIs(self) -> None:
        for identity, told in ((Identity(node="relay"), True), (Identity(user="alice"), False), (None, False)):
            self.identity = identity
            self.connect()
            self.ask()
            self.respond()
            self.assertEqual(self.outcome[0].get(b"hermes-retries-spent") is not None, told)
            self.answerWith(lambda request: fail(NoRoute("no")))
            self.ask()
            self.assertEqual(self.outcome[0].get(b"hermes-retries-spent"), b"0;unsent" if told else None)
            self.setUp()


class FromHTTP1Tests(AnswerTests):
    near = "1.1"


class ToHTTP1Tests(AnswerTests):
    far = "1.1"


class HTTP1Tests(AnswerTests):
    near = far = "1.1"


class SinkTests(Proxying):
    """
    What is there before anything is sent.
    """

    def test_itTakesTheBodyItself(self) -> None:
        _, server = MemoryNetwork().pair(GET)
        verifyObject(IBodySink, Answering(self.requests, server, RequestRecord(FLOW, GET, "2", 0.0)))

    def test_bytesAreABody(self) -> None:
        self.answerWith(lambda request: succeed(Response(ResponseHead(200), BytesBody(b"x", ((b"sum", b"1"),)))))
        self.ask()
        self.assertWhole(b"x")
        self.assertEqual(self.browser.trailers, ((b"sum", b"1"),))
