"""
Bodies that go on where they were cut short.
"""

from __future__ import annotations

from random import Random
from typing import Any, cast
from unittest.mock import Mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import RequestBroken, ResponseTimeout
from hermes.http.ranges import parseContentRange
from hermes.http.reliable import Delivery, Reliable
from hermes.http.resume import RepresentationChanged, ResumePolicy
from hermes.http.retry import Backoff, RetryPolicy
from hermes.http.tries import DeadlineExceeded
from hermes.messages import Response
from hermes.test.http.delivery import FakeBody, Sink, Steered, request, response
from hermes.test.http.rangeorigin import DATE, Behaviour, RangeOrigin, behaviours

LONG_AGO = (b"last-modified", b"Sun, 06 Nov 1994 08:00:00 GMT")
JUST_NOW = (b"last-modified", b"Sun, 06 Nov 1994 08:49:00 GMT")


class Resuming(SynchronousTestCase):
    """
    Reads what an origin sends through a L{Reliable}.
    """

    DATA = bytes(range(60, 120))

    def setUp(self) -> None:
        self.clock = Clock()
        self.sink = Sink()
        self.origin = RangeOrigin([self.DATA, bytes(reversed(self.DATA))])
        self.delivery = Delivery(resume=ResumePolicy(3, Backoff(1.0, 4.0)))
        self.body: Any = None

    def get(self, *headers: tuple[bytes, bytes], **keys: Any) -> Response:
        """
        Ask, and start to read.
        """
        self.asked = request(headers=headers, **keys)
        sender = Reliable(self.origin, self.delivery, self.clock, cast(Random, Steered()))
        answer = self.successResultOf(sender.send(self.asked))
        self.body = answer.body
        if self.body is not None:
            self.body.start(self.sink)
        return answer

    def finish(self) -> None:
        """
        Let as much time pass as it takes.
        """
        for _ in range(1000):
            if not self.clock.getDelayedCalls():
                return
            self.clock.advance(1)

    def ranges(self) -> list[bytes | None]:
        """
        What was asked for.
        """
        return [sent.head.get(b"range") for sent in self.origin.sent]


class AnyTroubleTests(Resuming):
    @given(
        st.lists(behaviours, max_size=8),
        st.sampled_from(["etag", "etag", "modified", "weak"]),
        st.booleans(),
        st.integers(1, 70),
        st.sampled_from([None, None, b"bytes=5-", b"bytes=5-40", b"bytes=0-0", b"bytes=-20", b"bytes=1-2,4-5"]),
    )
    def test_whatComesIsExactlyWhatWasBegunOrAFailure(
        self, todo: list[Behaviour], validator: str, lengths: bool, piece: int, asked: bytes | None
    ) -> None:
        self.setUp()
        for one in todo[:1]:
            # What an origin says first is what it says: there is nothing to compare it with.
            one.fails = False
            one.fault = ""
        changed = bool(todo) and todo[0].changes
        self.origin = RangeOrigin([self.DATA, self.DATA[::-1], self.DATA[:30]], todo, validator, lengths, piece)
        answer = self.get(*(() if asked is None else ((b"range", asked),)))
        part = parseContentRange(answer.head.get(b"content-range"))
        version = self.origin.versions[int(changed)]
        whole = version if part is None else version[part.first : part.last + 1]
        self.finish()
        self.assertTrue(self.sink.over)
        self.assertEqual(self.sink.data, whole[: len(self.sink.data)])
        if self.sink.trailers is not None:
            self.assertEqual(self.sink.data, whole)
        if validator == "weak":
            self.assertEqual(len(self.origin.sent), 1)

    @given(st.lists(st.integers(1, 20), max_size=30), st.booleans(), st.integers(1, 70))
    def test_cutsAloneAreNotSeen(self, cuts: list[int], lengths: bool, piece: int) -> None:
        """
        Where each try brings something, there may be as many as it takes. (One byte more than at least one: where the
        length is not known, one is asked for twice.)
        """
        self.setUp()
        self.origin = RangeOrigin([self.DATA], [Behaviour(cut + 1) for cut in cuts], "etag", lengths, piece)
        self.get()
        self.finish()
        self.assertEqual((self.sink.data, self.sink.trailers), (self.DATA, ()))
        self.assertEqual(self.asked.record.resumed, len(self.origin.sent) - 1)


class ResumeTests(Resuming):
    def test_theRestIsAskedForIfTheValidatorFits(self) -> None:
        self.origin.behaviours = [Behaviour(20)]
        self.get((b"accept", b"a/b"), (b"if-none-match", b'"x"'))
        self.finish()
        self.assertEqual(self.sink.data, self.DATA)
        self.assertEqual(
            self.origin.sent[1].head.headers,
            ((b"accept", b"a/b"), (b"range", b"bytes=20-"), (b"if-range", b'"0"')),
        )
        self.assertEqual(self.origin.sent[0].name, self.origin.sent[1].name)

    def test_aLastModifiedWillDoWhereItIsOld(self) -> None:
        self.origin.validator = "modified"
        self.origin.behaviours = [Behaviour(20)]
        self.get()
        self.finish()
        self.assertEqual(self.sink.data, self.DATA)
        self.assertEqual(self.origin.sent[1].head.get(b"if-range"), b"Sun, 06 Nov 1994 08:00:00 GMT")

    def test_theClientsRangeIsKeptWithin(self) -> None:
        self.origin.behaviours = [Behaviour(20)]
        answer = self.get((b"range", b"bytes=10-49"), (b"if-range", b'"0"'))
        self.finish()
        self.assertEqual((answer.head.status, self.sink.data), (206, self.DATA[10:50]))
        self.assertEqual(self.ranges(), [b"bytes=10-49", b"bytes=30-49"])

    def test_whereTheLengthIsNotKnownOneByteIsAskedForTwice(self) -> None:
        self.origin.lengths = False
        self.origin.behaviours = [Behaviour(60)]
        self.get()
        self.finish()
        self.assertEqual((self.sink.data, self.sink.trailers), (self.DATA, ()))
        self.assertEqual(self.ranges(), [None, b"bytes=59-"])

    def test_aByteThatIsAnotherIsAnotherRepresentation(self) -> None:
        self.origin.lengths = False
        self.origin.behaviours = [Behaviour(30), Behaviour(changes=True, fault="no if-range")]
        self.patch(self.origin, "fields", lambda: ((b"etag", b'"same"'),))
        self.get()
        self.finish()
        self.assertIsInstance(self.sink.failure, RepresentationChanged)
        self.assertEqual(self.sink.data, self.DATA[:30])

    def test_whatWasWholeButForItsEndIsWhole(self) -> None:
        self.origin.behaviours = [Behaviour(60)]
        self.get()
        self.assertEqual((self.sink.data, self.sink.trailers), (self.DATA, ()))
        self.assertEqual(len(self.origin.sent), 1)

    def test_anotherRepresentationEndsInAFailure(self) -> None:
        self.origin.behaviours = [Behaviour(20), Behaviour(changes=True)]
        self.get()
        self.finish()
        self.assertIsInstance(self.sink.failure, RepresentationChanged)
        self.assertEqual(self.sink.data, self.DATA[:20])
        self.assertEqual(len(self.origin.sent), 2)

    def test_aBodyThatEndsTooEarlyIsCutShort(self) -> None:
        self.origin.behaviours = [Behaviour(fault="")]
        body = FakeBody()
        first = response(200, (b"etag", b'"0"'), (b"content-length", b"60"), body=body)
        answers = [first]
        origin = self.origin
        send = origin.send
        self.patch(origin, "send", lambda asked: succeed(answers.pop()) if answers else send(asked))
        self.get()
        body.give(self.DATA[:5])
        body.end()
        self.finish()
        self.assertEqual((self.sink.data, self.sink.trailers), (self.DATA, ()))

    def test_itIsAskedForSoOftenWithoutAByte(self) -> None:
        self.origin.behaviours = [Behaviour(20), *[Behaviour(fails=True)] * 9]
        self.get()
        self.finish()
        self.assertIsInstance(self.sink.failure, RequestBroken)
        self.assertEqual(len(self.origin.sent), 1 + 3)

    def test_answersWithoutAByteCountToo(self) -> None:
        self.origin.behaviours = [Behaviour(20), *[Behaviour(0), Behaviour(fails=True)] * 9]
        self.get()
        self.finish()
        self.assertIsInstance(self.sink.failure, RequestBroken)
        self.assertEqual(len(self.origin.sent), 1 + 3)

    def test_aByteRenewsTheBudget(self) -> None:
        silent = [Behaviour(0)] * 2
        self.origin.behaviours = [Behaviour(20), *silent, Behaviour(1), *silent, Behaviour(1), *silent]
        self.get()
        self.finish()
        self.assertEqual(self.sink.data, self.DATA)
        self.assertEqual(len(self.origin.sent), 10)

    def test_theBudgetOfTheRequestBoundsIt(self) -> None:
        self.origin.behaviours = [Behaviour(20), *[Behaviour(fails=True)] * 9]
        self.get(retriesLeft=1)
        self.finish()
        self.assertEqual(len(self.origin.sent), 1 + 2)

    def test_otherMethodsAndResponsesAreNotResumed(self) -> None:
        self.delivery = Delivery(RetryPolicy(), resume=ResumePolicy())
        for headers in (
            (),
            ((b"etag", b'W/"0"'),),
            ((b"etag", b"0"),),
            ((b"etag", b'"0"'), (b"trailer", b"grpc-status")),
            ((b"last-modified", LONG_AGO[1]),),
            (JUST_NOW, DATE),
            (LONG_AGO, DATE, (b"etag", b'W/"0"')),
        ):
            body = FakeBody()
            self.sink = Sink()
            self.patch(self.origin, "send", Mock(return_value=succeed(response(200, *headers, body=body))))
            self.get()
            body.give(b"a")
            body.fail(RequestBroken("cut"))
            self.assertIsInstance(self.sink.failure, RequestBroken, headers)

    def test_theDeadlineEndsTheBody(self) -> None:
        self.delivery = Delivery(timeout=5.0, resume=ResumePolicy(100, Backoff(1.0, 1.0)))
        self.origin.behaviours = [Behaviour(20)]
        self.get()
        self.patch(self.origin, "send", lambda asked: Deferred())
        self.clock.pump([1.0] * 4)
        self.assertFalse(self.sink.over)
        self.clock.advance(1)
        self.assertIsInstance(self.sink.failure, DeadlineExceeded)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whatWouldComeBehindTheDeadlineIsNotWaitedFor(self) -> None:
        self.delivery = Delivery(timeout=5.0, resume=ResumePolicy(100, Backoff(1.0, 1.0)))
        self.origin.behaviours = [Behaviour(20), *[Behaviour(fails=True)] * 50]
        self.get()
        self.clock.pump([1.0] * 4)
        self.assertIsInstance(self.sink.failure, RequestBroken)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_backpressureIsKept(self) -> None:
        self.origin.behaviours = [Behaviour(20)]
        self.origin.piece = 10
        self.sink.received = lambda: self.body.pauseProducing()
        sender = Reliable(self.origin, self.delivery, self.clock, cast(Random, Steered()))
        self.body = self.successResultOf(sender.send(request())).body
        self.body.start(self.sink)
        self.assertEqual(len(self.sink.data), 10)
        self.body.resumeProducing()
        self.assertEqual(len(self.sink.data), 20)
        self.body.resumeProducing()
        self.body.pauseProducing()
        self.clock.advance(1)
        self.assertEqual((len(self.origin.sent), len(self.sink.data)), (2, 20))
        self.body.resumeProducing()
        self.assertEqual(len(self.sink.data), 30)
        self.sink.received = None
        self.body.resumeProducing()
        self.assertEqual((self.sink.data, self.sink.trailers), (self.DATA, ()))

    def test_stoppingStopsTheWaitAndTheTry(self) -> None:
        self.origin.behaviours = [Behaviour(20)]
        self.get()
        self.body.stopProducing()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.sink.over)

        waiting: Deferred[Response] = Deferred(lambda _: cancelled.append(True))
        cancelled: list[bool] = []
        send = RangeOrigin([self.DATA], [Behaviour(20)]).send
        answers = [send, lambda asked: waiting]
        self.patch(self.origin, "send", lambda asked: answers.pop(0)(asked))
        self.sink = Sink()
        self.get()
        self.clock.advance(1)
        self.body.stopProducing()
        self.assertEqual((cancelled, self.clock.getDelayedCalls(), self.sink.over), ([True], [], False))


class StallTests(Resuming):
    def setUp(self) -> None:
        super().setUp()
        self.delivery = Delivery(resume=ResumePolicy(2, Backoff(1.0, 1.0), stall=10.0))
        self.stuck = FakeBody()
        first = response(200, (b"etag", b'"0"'), (b"content-length", b"60"), body=self.stuck)
        answers = [first]
        send = self.origin.send
        self.patch(self.origin, "send", lambda asked: succeed(answers.pop()) if answers else send(asked))

    def test_aBodyThatStandsStillIsCutShort(self) -> None:
        self.get()
        self.stuck.give(self.DATA[:9])
        self.clock.pump([5.0] * 3)
        self.assertFalse(self.stuck.stopped)
        self.clock.pump([5.0, 5.0, 1.0])
        self.assertTrue(self.stuck.stopped)
        self.assertEqual((self.sink.data, self.sink.trailers), (self.DATA, ()))

    def test_whoeverWantsNothingWaitsForNothing(self) -> None:
        self.get()
        self.stuck.give(self.DATA[:9])
        self.body.pauseProducing()
        self.clock.pump([5.0] * 20)
        self.assertFalse(self.stuck.stopped)
        self.body.resumeProducing()
        self.clock.pump([5.0] * 5)
        self.assertTrue(self.stuck.stopped)

    def test_whereItCanNotGoOnItFails(self) -> None:
        self.origin.behaviours = [Behaviour(fails=True)] * 9
        self.get()
        self.clock.pump([5.0] * 12)
        self.assertIsInstance(self.sink.failure, RequestBroken)
        self.assertNotIsInstance(self.sink.failure, ResponseTimeout)
