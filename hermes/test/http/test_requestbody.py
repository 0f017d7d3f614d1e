"""
The body of a request and whoever takes it, over real connections.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from hermes.http.bodies import RequestBody, ResponseBody
from hermes.interfaces import IBody, IBorrowingProtocol, IExchange
from hermes.messages import Request, Response, textResponse
from hermes.test.http.upstreams import Taken
from hermes.test.http.versions import CANCEL, Proxying
from hermes.testing import MemoryNetwork
from hermes.values import RequestHead

HEAD = RequestHead(b"POST", b"http", b"origin.example", b"/")


class RequestBodyTests(Proxying):
    def setUp(self) -> None:
        super().setUp()
        self.given: list[Any] = []
        self.pending: Deferred[Response] = Deferred()
        self.answerWith(self._take)
        self.sink = Taken()

    def _take(self, request: Request) -> Deferred[Response]:
        self.given.append(request.body)
        return self.pending

    def upload(self, data: bytes = b"") -> Any:
        """
        A client uploads; its body so far.
        """
        self.ask(b"POST", body=data or None, more=True)
        return self.given[-1]

    def more(self, data: bytes = b"", end: bool = False) -> None:
        if data:
            self.browser.write(data)
        if end:
            self.browser.loseWriteConnection()
        self.pump()

    def test_itKeepsItsPromises(self) -> None:
        client, server = MemoryNetwork().pair(HEAD)
        nothing: Any = lambda *_: None  # noqa: E731
        for body in (RequestBody(server, nothing, nothing, nothing), ResponseBody(client)):
            verifyObject(IBody, body)
            self.assertTrue(IBorrowingProtocol.providedBy(body))
        verifyObject(IExchange, server)

    def test_whatCameBeforeAndAfterItsStartArrives(self) -> None:
        body = self.upload(b"one")
        self.more(b", two")
        body.start(self.sink)
        self.pump()
        self.more(b", three", end=True)
        self.assertEqual((self.sink.data, self.sink.ended), (b"one, two, three", True))

    def test_whoPausesBeforeItsStartHearsNothing(self) -> None:
        body = self.upload(b"one")
        self.more(b", two")
        body.pauseProducing()
        body.start(self.sink)
        self.more(b", three", end=True)
        self.assertEqual(self.sink.data, b"")
        body.resumeProducing()
        self.pump()
        self.assertEqual((self.sink.data, self.sink.ended), (b"one, two, three", True))

    def test_whoResumesBeforeItsStartHearsEverything(self) -> None:
        body = self.upload(b"one")
        body.pauseProducing()
        body.resumeProducing()
        body.start(self.sink)
        self.more(end=True)
        self.assertEqual((self.sink.data, self.sink.ended), (b"one", True))

    def test_whoHasStoppedHearsNothingMore(self) -> None:
        for paused in (False, True):
            body = self.upload(b"one")
            body.start(self.sink)
            self.pump()
            if paused:
                body.pauseProducing()
                self.more(b", two")
            body.stopProducing()
            self.more(b", three")
            self.more(b", four", end=True)
            self.assertEqual((self.sink.data, self.sink.ended), (b"one", None))
            self.assertOver()
            self.setUp()

    def test_whoHasStoppedAndGoesAwayIsHeardOfByNobody(self) -> None:
        body = self.upload(b"one")
        body.start(self.sink)
        body.stopProducing()
        self.leave()
        self.assertIsNone(self.sink.ended)
        self.assertEqual(self.record.error, "the client went away")

    def assertOver(self) -> None:
        """
        What the client still sends is read away, and its answer is not kept from it.
        """
        self.pending.callback(textResponse(200, "answer"))
        self.pump()
        self.assertWhole(b"answer")
        assert self.body.lost is not None
        self.assertTrue(self.body.lost.check(ConnectionDone))

    def test_whatIsStoppedBeforeItsStartIsNotStarted(self) -> None:
        body = self.upload(b"one")
        body.stopProducing()
        body.start(self.sink)
        self.more(b", two", end=True)
        self.assertEqual((self.sink.data, self.sink.ended), (b"", None))
        self.pending.callback(textResponse(200, "answer"))
        self.pump()
        self.assertWhole(b"answer")
        self.assertTrue(self.body.lost and self.body.lost.check(ConnectionDone))

    def test_aBodyThatIsCutShortIsToldSo(self) -> None:
        body = self.upload(b"one")
        body.start(self.sink)
        self.leave()
        self.assertEqual(self.sink.data, b"one")
        self.assertIsInstance(self.sink.ended, Failure)
        self.assertEqual(self.record.error, "the client went away")

    def test_anUploadGoesOnBehindItsAnswerForAsLongAsSomebodyReads(self) -> None:
        body = self.upload(b"one")
        body.start(self.sink)
        self.pending.callback(textResponse(200, "early"))
        self.pump()
        self.assertWhole(b"early")
        self.more(b", two")
        self.assertEqual(self.sink.data, b"one, two")
        body.stopProducing()
        self.more(b", three", end=True)
        self.assertEqual((self.sink.data, self.sink.ended), (b"one, two", None))
        self.assertTrue(self.body.lost and self.body.lost.check(ConnectionDone))

    def test_aLongUploadThatNobodyReadsBehindTheAnswerEndsTheConnectionOrTheStream(self) -> None:
        self.upload(b"one")
        self.pending.callback(textResponse(403, "no"))
        self.pump()
        for _ in range(40):
            self.browser.write(bytes(16384))
            self.pump()
        self.clock.advance(5)
        self.pump()
        self.assertWhole(b"no")
        self.assertIsNotNone(self.body.lost)

    def test_theLengthIsThatOfTheHead(self) -> None:
        self.ask(b"POST", ((b"content-length", b"5"),), b"12345")
        self.assertEqual(self.given[-1].length, 5)
        self.connect()
        self.upload()
        self.assertIsNone(self.given[-1].length)

    def test_anAnswerThatNeedsNothingOfItIsNotHeldUp(self) -> None:
        self.answerWith(lambda request: succeed(textResponse(200, "at once")))
        self.ask(b"POST", body=b"x" * 1000, more=True)
        self.assertWhole(b"at once")


class OverHTTP1Tests(RequestBodyTests):
    near = "1.1"


class ResponseBodyTests(Proxying):
    """
    The body of a response and whoever takes it.
    """

    def send(self, data: bytes = b"half") -> Any:
        """
        A request's response; its body.
        """
        responses: list[Response] = []
        plans = self.newPlans()

        def send(request: Request) -> Deferred[Response]:
            sent = plans.decide(request).send(request)
            sent.addCallback(responses.append)
            return Deferred()

        self.answerWith(send)
        self.ask()
        self.respond(body=data, more=True)
        return responses[0].body

    def test_whoPausesBeforeItsStartHearsNothing(self) -> None:
        body = self.send()
        body.pauseProducing()
        body.start(sink := Taken())
        self.origin.write(b" and half")
        self.pump()
        self.assertEqual(sink.data, b"")
        body.resumeProducing()
        self.pump()
        self.assertEqual(sink.data, b"half and half")

    def test_whoStopsEndsTheOriginsExchange(self) -> None:
        for started in (False, True):
            body = self.send()
            sink = Taken()
            if started:
                body.start(sink)
            body.stopProducing()
            self.pump()
            self.assertOriginStopped()
            body.start(Taken())
            body.stopProducing()
            self.assertEqual((sink.data, sink.ended), (b"half" if started else b"", None))
            self.setUp()

    def test_theOriginsEndIsTold(self) -> None:
        body = self.send()
        body.start(sink := Taken())
        self.origin.reset(CANCEL)
        self.pump()
        self.assertEqual(sink.data, b"half")
        self.assertIsInstance(sink.ended, Failure)


class OfHTTP1Tests(ResponseBodyTests):
    far = "1.1"
