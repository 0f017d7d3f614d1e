"""
Requests beyond a limit are refused, and told when to come again; bodies are slowed down.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.assist.keys import sourceKey
from hermes.assist.limits import Limits, LimitsOptions, LimitsType
from hermes.errors import TargetRefused
from hermes.interfaces import IAssistant, IAssistantType
from hermes.messages import Request, Response
from hermes.test.assist.asking import Behind, Sink, Source, fieldsOf, request, textOf
from hermes.values import Identity, ResponseHead

ALICE, BOB = Identity(user="alice"), Identity(user="bob")


class LimitsCase(SynchronousTestCase):
    """
    What these tests share.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.behind = Behind()

    def limits(self, **options: Any) -> Limits:
        return Limits("fair", LimitsOptions(**options), self.clock, "edge")

    def statusOf(self, limits: Limits, asked: Request) -> int:
        return self.successResultOf(limits.assist(asked, self.behind)).head.status


class RateTests(LimitsCase):
    """
    Requests a second.
    """

    def test_itIsAnAssistantOfItsType(self) -> None:
        verifyObject(IAssistantType, LimitsType())
        verifyObject(IAssistant, self.limits(rate=1))

    def test_whatIsTooMuchIsRefusedAndToldWhenToComeAgain(self) -> None:
        limits = self.limits(rate=0.5, burst=2)
        self.assertEqual([self.statusOf(limits, request()) for _ in range(2)], [200, 200])
        source = Source()
        asked = request(body=source)
        response = self.successResultOf(limits.assist(asked, self.behind))
        self.assertEqual(response.head.status, 429)
        fields = fieldsOf(response)
        self.assertEqual(fields[b"retry-after"], b"2")
        # draft-ietf-httpapi-ratelimit-headers-09
        self.assertEqual(fields[b"ratelimit-policy"], b'"fair";q=2;w=4')
        self.assertEqual(fields[b"ratelimit"], b'"fair";r=0;t=4')
        self.assertIn(b"http_request_denied", fields[b"proxy-status"])
        self.assertEqual(textOf(response), b"too many requests\n")
        self.assertEqual(source.calls, ["stop"])
        self.assertEqual((asked.record.error, limits.status()["refused"]), ("too many requests", 1))
        self.assertEqual(len(self.behind.passed), 2)
        self.clock.advance(2)
        self.assertEqual(self.statusOf(limits, request()), 200)

    def test_aRefusalOfHEADHasNoBody(self) -> None:
        limits = self.limits(rate=1)
        self.statusOf(limits, request())
        response = self.successResultOf(limits.assist(request(method=b"HEAD"), self.behind))
        self.assertEqual((response.head.status, response.body), (429, None))

    def test_eachOfWhatIsCountedByHasALimitOfItsOwn(self) -> None:
        other = ("192.0.2.8", 1)
        cases: list[tuple[dict[str, Any], Request, Request, Request]] = [
            ({"by": ("user",)}, request(identity=ALICE), request(identity=ALICE, source=other), request(identity=BOB)),
            (
                {"by": ("node",)},
                request(identity=Identity("n")),
                request(identity=Identity("n", "x")),
                request(identity=Identity("m")),
            ),
            ({"by": ("source",)}, request(), request(source=("192.0.2.7", 9)), request(source=other)),
            ({"by": ("source",), "prefix4": 24}, request(), request(source=other), request(source=("192.0.3.7", 1))),
            (
                {"by": ("source",)},
                request(source=("2001:db8::1", 1)),
                request(source=("2001:db8::ffff:1", 1)),
                request(source=("2001:db8:0:1::1", 1)),
            ),
            ({"by": ("listener",)}, request(), request(b"/b"), request(listener="web")),
            ({"by": ("host",)}, request(host="a.example"), request(host="A.Example."), request(host="b.example")),
            (
                {"by": ("header",), "header": "x-key"},
                request(headers=((b"x-key", b"1"),)),
                request(headers=((b"x-key", b"1"),), source=other),
                request(headers=((b"x-key", b"2"),)),
            ),
            (
                {"by": ("user", "source")},
                request(identity=ALICE),
                request(identity=ALICE),
                request(identity=ALICE, source=other),
            ),
        ]
        for options, first, same, different in cases:
            limits = self.limits(rate=0.001, **options)
            found = [self.statusOf(limits, each) for each in (first, same, different)]
            self.assertEqual(found, [200, 429, 200], options)
        limits = self.limits(by=("all",), rate=0.001)
        self.assertEqual([self.statusOf(limits, request(identity=each)) for each in (ALICE, BOB)], [200, 429])

    def test_aRouteIsALimitOfItsOwn(self) -> None:
        limits = self.limits(by=("route",), rate=0.001)
        found = []
        for name in ("a", "a", "b"):
            asked = request()
            asked.record.routeName = name
            found.append(self.statusOf(limits, asked))
        self.assertEqual(found, [200, 429, 200])

    def test_thoseWithoutWhatIsCountedByShareALimit(self) -> None:
        limits = self.limits(by=("user",), rate=0.001)
        self.assertEqual([self.statusOf(limits, request(source=None)) for _ in range(2)], [200, 429])

    def test_whatIsLeftIsToldWhereThatIsWanted(self) -> None:
        limits = self.limits(rate=1, burst=10, tell=True)
        response = self.successResultOf(limits.assist(request(), self.behind))
        self.assertEqual(response.head.status, 200)
        self.assertEqual(fieldsOf(response)[b"ratelimit"], b'"fair";r=9;t=1')
        quiet = self.successResultOf(self.limits(rate=1).assist(request(), self.behind))
        self.assertEqual(quiet.head.headers, ())

    def test_aSourceInIPv6IsTheIPv4AddressThatItIs(self) -> None:
        self.assertEqual(sourceKey(("::ffff:192.0.2.7", 1)), sourceKey(("192.0.2.7", 2)))
        self.assertEqual(sourceKey(("fe80::1%eth0", 1)), sourceKey(("fe80::2", 1)))
        self.assertNotEqual(sourceKey(("0.0.0.1", 1)), sourceKey(("::1", 1), prefix6=128))
        self.assertIsNone(sourceKey(None))


class ConcurrencyTests(LimitsCase):
    """
    Requests at once.
    """

    def test_aRequestCountsUntilItsResponseIsOver(self) -> None:
        limits = self.limits(concurrent=1)
        for end in ("ended", "failed", "stopped"):
            self.behind.waits = True
            asked = limits.assist(request(), self.behind)
            self.assertEqual(self.statusOf(limits, request()), 429)
            source = Source()
            self.behind.waiting[-1].callback(Response(ResponseHead(200), source))
            response = self.successResultOf(asked)
            self.assertEqual(self.statusOf(limits, request()), 429)
            body: Any = response.body
            sink = Sink()
            body.start(sink)
            source.sink.dataReceived(b"abc")
            self.assertEqual(self.statusOf(limits, request()), 429)
            if end == "ended":
                source.sink.bodyEnded(((b"t", b"1"),))
                self.assertEqual((sink.data, sink.trailers), (b"abc", ((b"t", b"1"),)))
            elif end == "failed":
                source.sink.bodyFailed(Failure(TargetRefused("x")))
                self.assertIsNotNone(sink.failure)
            else:
                body.stopProducing()
                self.assertEqual(source.calls, ["stop"])
            self.assertEqual(limits.status()["goingOn"], 0)

    def test_aRequestThatFailsOrIsGivenUpCountsNoMore(self) -> None:
        limits = self.limits(concurrent=1)
        self.behind.waits = True
        failing = limits.assist(request(), self.behind)
        self.behind.waiting[-1].errback(TargetRefused("no"))
        self.failureResultOf(failing, TargetRefused)
        leaving = limits.assist(request(), self.behind)
        leaving.addErrback(lambda failure: None)
        leaving.cancel()
        self.assertEqual(self.behind.cancelled, 1)
        answered = limits.assist(request(), self.behind)
        self.behind.waiting[-1].callback(Response(ResponseHead(204)))
        self.assertEqual(self.successResultOf(answered).head.status, 204)
        self.assertEqual(limits.status()["goingOn"], 0)


class PaceTests(LimitsCase):
    """
    Bytes a second.
    """

    def download(self, limits: Limits) -> tuple[Source, Any, Sink]:
        source, sink = Source(), Sink()

        def behind(asked: Request) -> Deferred[Response]:
            waiting: Deferred[Response] = Deferred()
            waiting.callback(Response(ResponseHead(200), source))
            return waiting

        body: Any = self.successResultOf(limits.assist(request(), behind)).body
        body.start(sink)
        return source, body, sink

    def test_aBodyIsReadNoFasterThanItMay(self) -> None:
        source, _, sink = self.download(self.limits(download=1000))
        source.sink.dataReceived(b"a" * 1000)
        self.assertEqual(source.calls, [])
        source.sink.dataReceived(b"b" * 500)
        self.assertEqual((source.calls, len(sink.data)), (["pause"], 1500))
        self.clock.advance(0.49)
        self.assertEqual(source.calls, ["pause"])
        self.clock.advance(0.02)
        self.assertEqual(source.calls, ["pause", "resume"])
        source.sink.bodyEnded(())
        self.assertEqual((sink.trailers, self.clock.getDelayedCalls()), ((), []))

    def test_bodiesOfOneKeyShareTheirRate(self) -> None:
        limits = self.limits(download=1000)
        first, second = self.download(limits)[0], self.download(limits)[0]
        first.sink.dataReceived(b"a" * 2000)
        second.sink.dataReceived(b"b" * 1000)
        self.clock.advance(1.1)
        self.assertEqual((first.calls, second.calls), (["pause"], ["pause"]))
        self.clock.advance(1)
        self.assertEqual((first.calls, second.calls), (["pause", "resume"], ["pause", "resume"]))

    def test_aReaderThatIsSlowItselfIsWaitedForToo(self) -> None:
        source, body, _ = self.download(self.limits(download=1000))
        body.pauseProducing()
        source.sink.dataReceived(b"a" * 1500)
        self.clock.advance(1)
        self.assertEqual(source.calls, ["pause"])
        body.resumeProducing()
        self.assertEqual(source.calls, ["pause", "resume"])
        source.sink.dataReceived(b"a" * 1500)
        body.pauseProducing()
        body.resumeProducing()
        self.assertEqual(source.calls, ["pause", "resume", "pause"])
        self.clock.advance(2)
        self.assertEqual(source.calls, ["pause", "resume", "pause", "resume"])

    def test_aBodyThatNobodyWantsLeavesNoTimer(self) -> None:
        source, body, _ = self.download(self.limits(download=10))
        source.sink.dataReceived(b"a" * 1500)
        body.stopProducing()
        self.assertEqual((source.calls, self.clock.getDelayedCalls()), (["pause", "stop"], []))

    def test_whatIsUploadedIsPacedToo(self) -> None:
        source, sink = Source(length=5), Sink()
        self.successResultOf(self.limits(upload=100).assist(request(body=source), self.behind))
        body: Any = self.behind.passed[0].body
        self.assertEqual(body.length, 5)
        body.start(sink)
        source.sink.dataReceived(b"a" * 200)
        self.assertEqual(source.calls, ["pause"])
        source.sink.bodyFailed(Failure(TargetRefused("x")))
        self.assertEqual((sink.failure is not None, self.clock.getDelayedCalls()), (True, []))


class OptionTests(SynchronousTestCase):
    """
    Options that make no sense are refused.
    """

    def test_theyAreRefusedWithAReason(self) -> None:
        for options, reason in (
            ({}, "limits nothing"),
            ({"rate": 0.0}, "> 0"),
            ({"rate": 1.0, "by": ()}, "empty"),
            ({"rate": 1.0, "by": ("header",)}, "header"),
            ({"rate": 1.0, "header": "x"}, "header"),
            ({"concurrent": 1, "burst": 2}, "burst"),
            ({"concurrent": 0}, ">= 1"),
        ):
            with self.assertRaisesRegex(ValueError, reason):
                LimitsOptions(**options)
        self.assertEqual(evolve(LimitsOptions(rate=5.0), burst=2).burst, 2)
