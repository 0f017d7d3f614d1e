"""
Responses that are read ahead, and kept while whoever asked is away.
"""

from __future__ import annotations

from random import Random
from typing import Any, cast

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import RequestBroken, TargetRefused
from hermes.http import spools as spoolModule
from hermes.http.reliable import Delivery, Reliable
from hermes.http.resume import ResumePolicy
from hermes.http.spool import SpoolPolicy
from hermes.messages import Request, Response
from hermes.test.http.delivery import FLOW, FakeBody, FakeSender, Sink, Steered, request, response
from hermes.values import Headers, Identity

ETAG = (b"etag", b'"a"')


NODE = evolve(FLOW, identity=Identity(node="edge"))


DATA = bytes(range(256)) * 4


def asked(*headers: tuple[bytes, bytes], name: bytes = b"n", **keys: Any) -> Request:
    """
    A request of another node.
    """
    flow = keys.pop("flow", NODE)
    found = request(headers=headers, name=name, **keys)
    found.flow = flow
    return found


def rest(first: int, last: int | None = None, validator: bytes = ETAG[1]) -> Headers:
    """
    The fields that ask for the rest.
    """
    end = b"" if last is None else b"%d" % last
    return ((b"range", b"bytes=%d-%s" % (first, end)), (b"if-range", validator))


class Spooling(SynchronousTestCase):
    """
    A node with a route that spools.
    """

    POLICY = SpoolPolicy(most=1 << 20, memory=256, keep=30.0)

    def setUp(self) -> None:
        self.clock = Clock()
        self.sender = FakeSender()
        self.reliable = self.make(self.POLICY)

    def make(self, policy: SpoolPolicy) -> Reliable:
        """
        The node.
        """
        delivery = Delivery(resume=ResumePolicy(1, spool=policy))
        return Reliable(self.sender, delivery, self.clock, cast(Random, Steered()))

    def ask(self, *headers: tuple[bytes, bytes], **keys: Any) -> Deferred[Response]:
        """
        Ask it.
        """
        return self.reliable.send(asked(*headers, **keys))

    def read(self, answer: Deferred[Response]) -> tuple[Response, Sink]:
        """
        Start to read the body of an answer.
        """
        found = self.successResultOf(answer)
        sink = Sink()
        assert found.body is not None
        found.body.start(sink)
        return found, sink

    def answered(self, *headers: tuple[bytes, bytes], status: int = 200, index: int = -1) -> FakeBody:
        """
        The upstream answers; its body.
        """
        body = FakeBody()
        length = (b"content-length", b"%d" % len(DATA))
        fields = headers or (ETAG, length)
        self.sender.waiting[index].callback(response(status, *fields, body=body))
        return body


class SpoolTests(Spooling):
    def test_whoeverStaysGetsItAsItComes(self) -> None:
        answer = self.ask()
        body = self.answered()
        found, sink = self.read(answer)
        self.assertEqual((found.head.status, found.body and found.body.length), (200, len(DATA)))
        body.give(DATA[:100])
        self.assertEqual(sink.data, DATA[:100])
        body.give(DATA[100:])
        body.end(((b"t", b"1"),))
        self.assertEqual((sink.data, sink.trailers), (DATA, ((b"t", b"1"),)))

    def test_aRequestGoesOnThoughWhoeverAskedIsGone(self) -> None:
        first = self.ask()
        first.cancel()
        self.failureResultOf(first)
        self.assertEqual(self.sender.cancelled, 0)
        second = self.ask()
        self.assertEqual(len(self.sender.sent), 1)
        body = self.answered()
        body.give(DATA)
        body.end()
        self.assertEqual(self.read(second)[1].data, DATA)

    def test_whatCameMeanwhileIsThere(self) -> None:
        first = self.ask()
        first.cancel()
        self.failureResultOf(first)
        body = self.answered()
        body.give(DATA[:600])
        _, sink = self.read(self.ask())
        self.assertEqual(sink.data, DATA[:600])
        body.give(DATA[600:])
        body.end()
        self.assertEqual((sink.data, sink.trailers, len(self.sender.sent)), (DATA, (), 1))

    def test_theRestIsThere(self) -> None:
        answer = self.ask()
        body = self.answered()
        found, _ = self.read(answer)
        body.give(DATA[:100])
        assert found.body is not None
        found.body.stopProducing()
        body.give(DATA[100:700])
        self.assertFalse(body.stopped)
        found, sink = self.read(self.ask(*rest(80)))
        self.assertEqual(
            (found.head.status, found.head.headers),
            (206, (ETAG, (b"content-range", b"bytes 80-1023/1024"), (b"content-length", b"944"))),
        )
        body.give(DATA[700:])
        body.end()
        self.assertEqual((sink.data, sink.trailers, len(self.sender.sent)), (DATA[80:], (), 1))

    def test_aPartOfTheRestIsThere(self) -> None:
        self.read(self.ask_and_answer())
        found, sink = self.read(self.ask(*rest(10, 19)))
        self.assertEqual((found.head.get(b"content-range"), sink.data), (b"bytes 10-19/1024", DATA[10:20]))
        self.assertEqual(sink.trailers, ())

    def ask_and_answer(self) -> Deferred[Response]:
        answer = self.ask()
        body = self.answered()
        body.give(DATA)
        body.end()
        return answer

    def test_theRestOfAPartIsThere(self) -> None:
        part = (ETAG, (b"content-range", b"bytes 100-199/1024"), (b"content-length", b"100"))
        answer = self.ask(*rest(100, 199))
        body = self.answered(*part, status=206)
        found, _ = self.read(answer)
        body.give(DATA[100:150])
        again, sink = self.read(self.ask(*rest(100, 199)))
        self.assertEqual((again.head, sink.data), (found.head, DATA[100:150]))
        more, sink = self.read(self.ask(*rest(120, 199)))
        self.assertEqual(more.head.get(b"content-range"), b"bytes 120-199/1024")
        body.give(DATA[150:200])
        body.end()
        self.assertEqual((sink.data, sink.trailers), (DATA[120:200], ()))

    def test_whatIsNotThereIsAskedFor(self) -> None:
        for fields in (rest(10, validator=b'"b"'), rest(10)[:1], rest(5000), ((b"range", b"bytes=-5"), rest(1)[1])):
            self.setUp()
            self.read(self.ask_and_answer())
            answer = self.ask(*fields)
            self.assertEqual(len(self.sender.sent), 2, fields)
            self.assertEqual(self.sender.sent[1].head.headers, fields)
            answer.cancel()
            self.failureResultOf(answer)

    def test_othersDoNotShareIt(self) -> None:
        self.read(self.ask_and_answer())
        self.ask(name=b"other")
        self.ask(flow=evolve(FLOW, identity=Identity(node="else")))
        self.assertEqual(len(self.sender.sent), 3)

    def test_whoeverIsNoNodeIsNotSpooledFor(self) -> None:
        answer = self.ask(flow=FLOW)
        answer.cancel()
        self.failureResultOf(answer)
        self.assertEqual(self.sender.cancelled, 1)

    def test_theLastThatAskedIsAnswered(self) -> None:
        first = self.ask()
        second = self.ask()
        self.failureResultOf(first, RequestBroken)
        body = self.answered()
        body.give(DATA[:10])
        _, sink = self.read(second)
        _, third = self.read(self.ask())
        self.assertIsInstance(sink.failure, RequestBroken)
        self.assertEqual(third.data, DATA[:10])

    def test_aResponseWithoutABodyIsKeptToo(self) -> None:
        answer = self.ask()
        self.sender.waiting[0].callback(response(404, ETAG))
        for found in (answer, self.ask()):
            answered = self.successResultOf(found)
            self.assertEqual((answered.head.status, answered.body), (404, None))
        self.assertEqual(len(self.sender.sent), 1)

    def test_aFailureIsTold(self) -> None:
        answer = self.ask()
        self.sender.waiting[0].errback(TargetRefused("no"))
        self.failureResultOf(answer, TargetRefused)
        self.ask()
        self.assertEqual(len(self.sender.sent), 2)

    def test_aFailureThatNobodyHeardIsTriedAgain(self) -> None:
        for fate in (response(503, body=FakeBody()), TargetRefused("no")):
            self.setUp()
            answer = self.ask()
            answer.cancel()
            self.failureResultOf(answer)
            if isinstance(fate, Response):
                self.sender.waiting[0].callback(fate)
            else:
                self.sender.waiting[0].errback(fate)
            self.ask()
            self.assertEqual(len(self.sender.sent), 2)

    def test_aBodyThatIsCutShortFailsBehindWhatHasCome(self) -> None:
        answer = self.ask()
        body = self.answered((b"content-length", b"1024"))
        _, sink = self.read(answer)
        body.give(DATA[:10])
        body.fail(RequestBroken("cut"))
        self.assertEqual(sink.data, DATA[:10])
        self.assertIsInstance(sink.failure, RequestBroken)
        self.ask()
        self.assertEqual(len(self.sender.sent), 2)


class BoundTests(Spooling):
    def test_nobodyAsksForTooLong(self) -> None:
        answer = self.ask()
        answer.cancel()
        self.failureResultOf(answer)
        self.clock.advance(29)
        self.assertEqual(self.sender.cancelled, 0)
        self.clock.advance(1)
        self.assertEqual((self.sender.cancelled, self.clock.getDelayedCalls()), (1, []))

    def test_nobodyReadsForTooLong(self) -> None:
        answer = self.ask()
        body = self.answered()
        found, _ = self.read(answer)
        assert found.body is not None
        self.clock.advance(100)
        found.body.stopProducing()
        body.give(DATA[:10])
        self.clock.advance(30)
        self.assertTrue(body.stopped)
        self.ask()
        self.assertEqual(len(self.sender.sent), 2)

    def test_theWholeIsKeptForAWhile(self) -> None:
        answer = self.ask()
        body = self.answered()
        self.read(answer)
        body.give(DATA)
        body.end()
        self.clock.advance(29)
        self.assertEqual(self.read(self.ask())[1].data, DATA)
        self.clock.advance(30)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noMoreIsReadAheadThanSaid(self) -> None:
        self.reliable = self.make(SpoolPolicy(most=300, memory=100))
        first = self.ask()
        first.cancel()
        self.failureResultOf(first)
        body = self.answered()
        body.give(DATA[:250])
        self.assertFalse(body.paused)
        body.give(DATA[250:500])
        self.assertTrue(body.paused)
        found, sink = self.read(self.ask())
        assert found.body is not None
        self.assertEqual(sink.data, DATA[:500])
        self.assertFalse(body.paused)
        body.give(DATA[500:])
        body.end()
        self.assertEqual((sink.data, sink.trailers), (DATA, ()))
        self.ask(*rest(100))
        self.assertEqual(len(self.sender.sent), 2, "what was forgotten is asked for")

    def test_aSlowReaderHoldsItUp(self) -> None:
        self.reliable = self.make(SpoolPolicy(most=300, memory=1000))
        answer = self.ask()
        body = self.answered()
        found, sink = self.read(answer)
        assert found.body is not None
        found.body.pauseProducing()
        for start in range(0, 400, 50):
            if not body.paused:
                body.give(DATA[start : start + 50])
        self.assertEqual((sink.data, body.paused), (b"", True))
        found.body.resumeProducing()
        self.assertEqual((sink.data, body.paused), (DATA[:350], False))

    def test_theOldestThatNobodyReadsMakesRoom(self) -> None:
        self.patch(spoolModule, "MAX_SPOOLS", 2)
        self.read(self.ask_whole(b"a"))
        waiting = self.ask(name=b"b")
        self.ask(name=b"c")
        self.assertEqual(self.sender.cancelled, 0)
        self.ask(name=b"a")
        self.assertEqual([one.name for one in self.sender.sent], [b"a", b"b", b"c", b"a"])
        waiting.cancel()
        self.failureResultOf(waiting)
        self.assertEqual(self.sender.cancelled, 0, "it is spooled, and goes on")

    def ask_whole(self, name: bytes) -> Deferred[Response]:
        answer = self.ask(name=name)
        body = self.answered()
        body.give(DATA)
        body.end()
        return answer
