"""
Requests that are sent beside others, and requests with a body that are sent again.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from hermes.errors import RequestBroken, TargetRefused
from hermes.http.retry import Hedging
from hermes.http.tries import DeadlineExceeded
from hermes.test.http.delivery import FakeBody, FakeSender, Sink, request, response
from hermes.test.http.trying import Trying


class HedgeTests(Trying):
    def test_theFirstResponseWins(self) -> None:
        asked = request(name=b"a")
        answer = self.send(asked, hedging=Hedging(0.5))
        self.clock.advance(0.5)
        self.assertEqual([sent.name for sent in self.sender.sent], [b"a", None])
        self.sender.waiting[1].callback(response(200))
        self.assertEqual(self.successResultOf(answer).head.status, 200)
        self.assertEqual((self.sender.cancelled, asked.record.retries), (1, ("hedge",)))

    def test_aFailureWaitsForTheOther(self) -> None:
        answer = self.send(request(), hedging=Hedging(0.5))
        self.clock.advance(0.5)
        body = FakeBody()
        self.sender.waiting[0].callback(response(503, body=body))
        self.assertNoResult(answer)
        self.assertTrue(body.stopped)
        self.sender.waiting[1].callback(response(200))
        self.assertEqual(self.successResultOf(answer).head.status, 200)

    def test_bothFailedIsRetriedWithinTheBudget(self) -> None:
        answer = self.send(request(), hedging=Hedging(0.5))
        self.clock.advance(0.5)
        self.sender.waiting[1].errback(RequestBroken("no"))
        self.sender.waiting[0].errback(TargetRefused("no"))
        self.clock.advance(1)
        self.assertEqual(len(self.sender.sent), 3)
        self.sender.waiting[2].errback(TargetRefused("no"))
        self.failureResultOf(answer, TargetRefused)

    def test_noMoreThanSaid(self) -> None:
        answer = self.send(request(), hedging=Hedging(0.5, 2), tries=10)
        self.clock.pump([0.5] * 6)
        self.assertEqual(len(self.sender.sent), 3)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertEqual(self.sender.cancelled, 3)

    def test_aLateLoserIsStopped(self) -> None:
        """
        A sender whose Deferred fires all the same.
        """
        answer = self.send(request(), hedging=Hedging(0.5))
        self.clock.advance(0.5)
        body = FakeBody()
        first = self.sender.waiting[0]
        first._canceller = lambda _: first.callback(response(200, body=body))
        self.sender.waiting[1].callback(response(201))
        self.assertEqual(self.successResultOf(answer).head.status, 201)
        self.assertTrue(body.stopped)

    def test_whatMayNotHappenTwiceIsNotHedged(self) -> None:
        for asked in (request(b"POST"), request(b"PUT", body=FakeBody())):
            answer = self.send(asked, hedging=Hedging(0.5))
            self.clock.advance(1)
            self.assertEqual(len(self.sender.sent), 1)
            answer.cancel()
            self.failureResultOf(answer, CancelledError)
            self.sender = FakeSender()


class BodyTests(Trying):
    """
    Requests with a body.
    """

    def setUp(self) -> None:
        super().setUp()
        self.body = FakeBody()

    def read(self, index: int) -> Sink:
        """
        Read the body of the try at C{index}.
        """
        sink = Sink()
        body = self.sender.sent[index].body
        assert body is not None
        body.start(sink)
        return sink

    def test_theBodyIsSentAgainFromItsBeginning(self) -> None:
        answer = self.send(request(b"PUT", body=self.body))
        first = self.read(0)
        self.body.give(b"one")
        self.sender.waiting[0].errback(RequestBroken("no"))
        self.assertEqual((first.data, type(first.failure).__name__), (b"one", "Abandoned"))
        self.assertTrue(self.body.paused)
        self.clock.advance(1)
        second = self.read(1)
        self.assertFalse(self.body.paused)
        self.body.give(b"two")
        self.body.end(((b"t", b"1"),))
        self.assertEqual((second.data, second.trailers), (b"onetwo", ((b"t", b"1"),)))
        self.sender.waiting[1].callback(response(200))
        self.successResultOf(answer)
        self.assertFalse(self.body.stopped)

    def test_aBodyThatWasSentToItsEndIsSentAgain(self) -> None:
        answer = self.send(request(b"PUT", body=self.body))
        first = self.read(0)
        self.body.give(b"one")
        self.body.end()
        self.assertEqual(first.trailers, ())
        self.sender.waiting[0].callback(response(503))
        self.clock.advance(1)
        second = self.read(1)
        self.assertEqual((second.data, second.trailers), (b"one", ()))
        self.sender.waiting[1].callback(response(200))
        self.assertEqual(self.successResultOf(answer).head.status, 200)

    def test_aBodyThatFailsWhileItIsWaitedEndsIt(self) -> None:
        answer = self.send(request(b"PUT", body=self.body))
        self.read(0)
        self.body.give(b"one")
        self.sender.waiting[0].errback(RequestBroken("no"))
        self.body.fail(RequestBroken("the client is gone"))
        self.clock.advance(1)
        self.failureResultOf(answer, RequestBroken)
        self.assertEqual(len(self.sender.sent), 1)

    def test_aBodyThatIsTooLongIsSentOnce(self) -> None:
        answer = self.send(request(b"PUT", body=self.body), bodyLimit=5)
        sink = self.read(0)
        self.body.give(b"one")
        self.body.give(b"two")
        self.body.give(b"three")
        self.assertEqual(sink.data, b"onetwothree")
        self.sender.waiting[0].errback(RequestBroken("no"))
        self.failureResultOf(answer, RequestBroken)
        self.assertTrue(self.body.stopped)

    def test_anAnswerBeforeTheBodysEndLetsItGoOn(self) -> None:
        answer = self.send(request(b"PUT", body=self.body))
        sink = self.read(0)
        self.body.give(b"one")
        self.sender.waiting[0].callback(response(200))
        self.successResultOf(answer)
        self.body.give(b"two")
        self.body.end()
        self.assertEqual((sink.data, sink.trailers), (b"onetwo", ()))

    def test_aBodyThatNobodyHasReadIsNotStopped(self) -> None:
        """
        It is still the first try's to read.
        """
        self.sender.outcomes = [TargetRefused("no"), None]
        self.send(request(b"POST", body=self.body))
        self.clock.advance(1)
        self.assertEqual(self.body.calls, [])
        sink = self.read(1)
        self.body.give(b"one")
        self.assertEqual(sink.data, b"one")

    def test_theDeadlineStopsTheBody(self) -> None:
        answer = self.send(request(b"PUT", body=self.body, deadline=2.0))
        sink = self.read(0)
        self.clock.advance(2)
        self.failureResultOf(answer, DeadlineExceeded)
        self.assertTrue(self.body.stopped)
        self.assertEqual(type(sink.failure).__name__, "Abandoned")

    def test_backpressureReachesTheSource(self) -> None:
        self.send(request(b"PUT", body=self.body))
        sink = self.read(0)
        attempt = self.sender.sent[0].body
        assert attempt is not None
        sink.received = attempt.pauseProducing
        self.body.give(b"one")
        self.assertTrue(self.body.paused)
        self.body.give(b"late")
        self.assertEqual(sink.data, b"one")
        attempt.resumeProducing()
        self.assertEqual(sink.data, b"onelate")
        self.assertTrue(self.body.paused)
        sink.received = None
        attempt.resumeProducing()
        self.assertFalse(self.body.paused)
