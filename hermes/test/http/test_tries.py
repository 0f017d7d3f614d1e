"""
One request, tried until it is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import cast

from twisted.internet.defer import CancelledError, Deferred

from hermes.errors import RequestBroken, ResponseTimeout, TargetRefused
from hermes.http.tries import NO_RETRIES, DeadlineExceeded, Tries
from hermes.messages import Request, Response
from hermes.test.http.delivery import FakeBody, FakeSender, Steered, request, response
from hermes.test.http.trying import Trying


class RetryTests(Trying):
    def test_whatSucceedsIsSentOnce(self) -> None:
        self.sender.outcomes = [response(200)]
        asked = request()
        self.assertEqual(self.successResultOf(self.send(asked)).head.status, 200)
        self.assertEqual((asked.record.tries, asked.record.retries, asked.record.spent), (1, (), 0))

    def test_delaysDouble(self) -> None:
        self.sender.outcomes = [TargetRefused("no"), RequestBroken("no"), response(200)]
        asked = request()
        answer = self.send(asked)
        self.clock.advance(0.999)
        self.assertEqual(len(self.sender.sent), 1)
        self.clock.advance(0.001)
        self.assertEqual(len(self.sender.sent), 2)
        self.clock.advance(1.999)
        self.assertNoResult(answer)
        self.clock.advance(0.001)
        self.assertEqual(self.successResultOf(answer).head.status, 200)
        self.assertEqual((asked.record.tries, asked.record.retries, asked.record.spent), (3, ("connect", "reset"), 2))

    def test_theLastResponseIsHandedOn(self) -> None:
        bodies = [FakeBody(), FakeBody(), FakeBody()]
        self.sender.outcomes = [response(503, body=body) for body in bodies]
        answer = self.send(request())
        self.clock.pump([1, 2])
        self.assertIs(self.successResultOf(answer).body, bodies[2])
        self.assertEqual([body.stopped for body in bodies], [True, True, False])

    def test_theLastFailureIsToldAsItIs(self) -> None:
        self.sender.outcomes = [TargetRefused("first"), RequestBroken("second"), TargetRefused("third")]
        answer = self.send(request())
        self.clock.pump([1, 2])
        self.assertEqual(str(self.failureResultOf(answer, TargetRefused).value), "third")

    def test_whatMayNotHappenTwiceIsSentOnce(self) -> None:
        self.sender.outcomes = [RequestBroken("gone")]
        self.failureResultOf(self.send(request(b"POST")), RequestBroken)

    def test_retryAfterIsWaitedFor(self) -> None:
        self.sender.outcomes = [response(503, (b"retry-after", b"7")), response(200)]
        answer = self.send(request())
        self.clock.advance(6.9)
        self.assertNoResult(answer)
        self.clock.advance(0.2)
        self.assertEqual(self.successResultOf(answer).head.status, 200)

    def test_retryAfterBehindTheDeadlineHandsTheResponseOn(self) -> None:
        self.sender.outcomes = [response(503, (b"retry-after", b"7"))]
        answer = self.send(request(deadline=7.0))
        self.assertEqual(self.successResultOf(answer).head.status, 503)

    def test_aLongRetryAfterWithoutADeadlineHandsTheResponseOn(self) -> None:
        self.sender.outcomes = [response(503, (b"retry-after", b"3600"))]
        self.assertEqual(self.successResultOf(self.send(request())).head.status, 503)

    def test_whoeverDoesNotPermitItStopsIt(self) -> None:
        released: list[int] = []
        permits: list[Callable[[], None] | None] = [lambda: released.append(1), None]
        self.permit = lambda: permits.pop(0)
        self.sender.outcomes = [response(503), response(503), response(200)]
        answer = self.send(request())
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(answer).head.status, 503)
        self.assertEqual((len(self.sender.sent), released), (2, [1]))

    def test_whatWasPermittedIsGivenBackHoweverItEnds(self) -> None:
        open_: list[int] = []

        def permit() -> Callable[[], None]:
            open_.append(1)
            return open_.clear

        self.permit = permit
        ends: list[Callable[[Deferred[Response]], object]] = [
            lambda answer: self.clock.advance(5),
            lambda answer: answer.cancel(),
            lambda answer: self.clock.pump([1, 4]),
        ]
        for place, end in enumerate(ends):
            self.sender = FakeSender([response(503)])
            answer = self.send(request(deadline=self.clock.seconds() + 5))
            self.assertEqual(len(open_), 1)
            if place == 2:
                self.clock.advance(1)
            end(answer)
            self.failureResultOf(answer)
            self.assertEqual(open_, [], place)

    def test_cancellingEndsTheTry(self) -> None:
        answer = self.send(request(deadline=5.0), perTry=1.0)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertEqual(self.sender.cancelled, 1)

    def test_cancellingEndsTheWait(self) -> None:
        self.sender.outcomes = [response(503)]
        answer = self.send(request(deadline=5.0))
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertEqual(len(self.sender.sent), 1)


class TimeTests(Trying):
    def test_aTryThatTakesTooLongIsGivenUpAndSentAgain(self) -> None:
        self.sender.outcomes = [None, response(200)]
        asked = request()
        answer = self.send(asked, perTry=2.0)
        self.clock.advance(2)
        self.assertEqual(self.sender.cancelled, 1)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(answer).head.status, 200)
        self.assertEqual(asked.record.retries, ("timeout",))

    def test_whereThatIsNoReasonItIsToldSo(self) -> None:
        answer = self.send(request(), perTry=2.0, reasons=frozenset())
        self.clock.advance(2)
        self.assertEqual(str(self.failureResultOf(answer, ResponseTimeout).value), "no response within 2 s")

    def test_theDeadlineEndsTheTry(self) -> None:
        answer = self.send(request(deadline=3.0))
        self.clock.advance(3)
        self.assertEqual(self.failureResultOf(answer, DeadlineExceeded).value.status, 504)
        self.assertEqual(self.sender.cancelled, 1)

    def test_whatIsTooLateIsNotSent(self) -> None:
        self.clock.advance(3)
        self.failureResultOf(self.send(request(deadline=3.0)), DeadlineExceeded)
        self.assertEqual(self.sender.sent, [])

    def test_aRetryThatWouldComeBehindTheDeadlineIsNotWaitedFor(self) -> None:
        self.sender.outcomes = [TargetRefused("no")]
        self.failureResultOf(self.send(request(deadline=0.5)), TargetRefused)


class BudgetTests(Trying):
    def test_halfOfWhatIsLeftGoesAlong(self) -> None:
        self.sender.outcomes = [response(503)] * 4
        answer = self.send(request(), tries=4)
        self.clock.pump([1, 2, 4])
        self.assertEqual(self.successResultOf(answer).head.status, 503)
        self.assertEqual([sent.retriesLeft for sent in self.sender.sent], [1, 1, 0, 0])

    def test_whatTheNextNodeSpendsIsSpent(self) -> None:
        asked = request()
        answer = self.send(asked, tries=4)
        asked.record.spent += 1
        self.sender.waiting[0].callback(response(503))
        self.clock.advance(1)
        asked.record.spent += 0
        self.sender.waiting[1].callback(response(503))
        self.clock.advance(2)
        self.sender.waiting[2].callback(response(503))
        self.assertEqual(self.successResultOf(answer).head.status, 503)
        self.assertEqual((len(self.sender.sent), asked.record.spent), (3, 3))

    def test_aBudgetThatComesAlongBoundsOurs(self) -> None:
        self.sender.outcomes = [response(503)] * 3
        answer = self.send(request(retriesLeft=1), tries=10)
        self.clock.pump([1, 2])
        self.assertEqual(self.successResultOf(answer).head.status, 503)
        self.assertEqual(len(self.sender.sent), 2)

    def test_oursBoundsOneThatComesAlong(self) -> None:
        self.sender.outcomes = [response(503)] * 3
        answer = self.send(request(retriesLeft=100), tries=2)
        self.clock.pump([1, 2])
        self.assertEqual(self.successResultOf(answer).head.status, 503)
        self.assertEqual([sent.retriesLeft for sent in self.sender.sent], [0, 0])

    def test_oneTryIsOneForAllBeyondToo(self) -> None:
        self.sender.outcomes = [response(503), response(503)]
        self.successResultOf(self.send(request(retriesLeft=5), tries=1))
        self.successResultOf(self.send(request(), tries=1))
        self.assertEqual([sent.retriesLeft for sent in self.sender.sent], [0, 0])

    def unruled(self, asked: Request) -> Request:
        """
        How a request is sent where there is no policy.
        """
        sender = FakeSender([response(503)])
        tries = Tries(sender, NO_RETRIES, self.clock, cast(Random, Steered()), None, asked)
        self.successResultOf(tries.begin())
        return sender.sent[0]

    def test_whoeverHasNoPolicyPassesItAllOn(self) -> None:
        self.assertEqual(self.unruled(request(retriesLeft=5)).retriesLeft, 5)

    def test_whereNobodyHasSaidAnythingNothingIsSaid(self) -> None:
        self.assertIsNone(self.unruled(request()).retriesLeft)
