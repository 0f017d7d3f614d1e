"""
Requests that go on: how many there may be, who watches them, and what becomes of them when the node changes or ends.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from hermes.errors import NoRoute
from hermes.messages import BytesBody, Response
from hermes.test.http.handling import FakePlans, Handling, Pair
from hermes.test.http.upstreams import Taken
from hermes.test.http.versions import CANCEL, OwnBody
from hermes.values import ResponseHead


class ObserverTests(Handling):
    def assertHeard(self, count: int = 1) -> None:
        """
        Each observer has heard of each request's beginning once, and then of its end, once.
        """
        for observer in self.observers:
            self.assertEqual([what for what, _ in observer.heard], ["started", "ended"] * count)
            self.assertIs(observer.heard[-2][1], observer.heard[-1][1])
        self.assertEqual(self.requests.openRequests(), [])

    def test_aRequestIsHeardOfOnceHoweverItEnds(self) -> None:
        body = OwnBody()
        ends: Any = (
            (lambda pair: self.answer(), 204, None),
            (lambda pair: self.plans.waiting[-1].errback(NoRoute("no")), 403, "no"),
            (lambda pair: pair[0].reset(CANCEL), 0, "the client went away"),
            (lambda pair: self.network.disconnect(), 0, "the client went away"),
            (lambda pair: self.requests.abortAll(), 0, "the proxy is shutting down"),
            (lambda pair: self._cutShort(body), 200, "cut"),
        )
        for end, status, error in ends:
            self.setUp()
            pair = self.ask()
            self.assertEqual([what for what, _ in self.observers[0].heard], ["started"])
            self.clock.advance(2.5)
            end(pair)
            self.network.pump()
            self.assertHeard()
            (record,) = self.ended
            self.assertEqual((record.status, record.error, record.seconds), (status, error, 2.5))
            # Whatever else is told of it.
            pair[0].reset(CANCEL)
            self.network.pump()
            self.requests.abortAll()
            self.assertHeard()

    def _cutShort(self, body: OwnBody) -> None:
        self.plans.waiting[-1].callback(Response(ResponseHead(200), body))
        body.sink.bodyFailed(Failure(NoRoute("cut")))

    def test_theBytesAndTheTimesAreInTheRecord(self) -> None:
        self.ask(method=b"POST", ended=False)
        self.clock.advance(1)
        self.plans.waiting[-1].callback(Response(ResponseHead(200), BytesBody(b"answer")))
        (record,) = self.ended
        self.assertEqual((record.bytesOut, record.firstByteSeconds, record.seconds), (6, 1.0, 1.0))

    def test_oneThatFailsKeepsNothingFromTheOthers(self) -> None:
        self.observers[0].broken = True
        pair = self.ask()
        self.answer()
        self.assertEqual(self.status(pair), 204)
        self.assertHeard()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_whatIsRefusedAtOnceIsHeardOfToo(self) -> None:
        self.handler = self.requests.listener("apps", anonymous=False)
        self.ask()
        self.ask(authority=b"")
        self.assertHeard(2)

    # How many

    def test_onlySoManyGoOnAtOnce(self) -> None:
        self.requests.maxRequests = 2
        first, _ = self.ask(), self.ask()
        pair = self.ask()
        self.assertEqual(self.status(pair), 503)
        (record,) = self.ended
        self.assertEqual((record.status, record.proxyStatus), (503, "connection_limit_reached"))
        for observer in self.observers:
            self.assertEqual([what for what, _ in observer.heard], ["started"] * 3 + ["ended"])
        self.assertEqual((len(self.requests.openRequests()), self.requests.started), (2, 2))
        self.answer(0)
        self.assertEqual(self.status(first), 204)
        self.ask()
        self.assertEqual((len(self.plans.requests), self.requests.started), (3, 3))

    def test_whatGoesOnIsToldOldestFirst(self) -> None:
        for path in (b"/1", b"/2", b"/3"):
            self.ask(path=path)
        self.answer(1)
        self.assertEqual([record.head.path for record in self.requests.openRequests()], [b"/1", b"/3"])


class LifeTests(Handling):
    def test_whoDrainsTakesNothingMoreAndWaits(self) -> None:
        pair = self.ask()
        drained, again = self.requests.drain(), self.requests.drain()
        refused = self.ask()
        self.assertEqual(self.status(refused), 503)
        self.assertNoResult(drained)
        (record,) = self.ended
        self.assertEqual((record.error, record.proxyStatus), ("the proxy is shutting down", "destination_unavailable"))
        self.answer()
        self.assertEqual(self.status(pair), 204)
        self.successResultOf(drained)
        self.successResultOf(again)
        self.assertEqual(self.requests.started, 1)

    def test_withNothingOpenThatIsNow(self) -> None:
        self.successResultOf(self.requests.drain())
        self.ask()
        self.successResultOf(self.requests.drain())

    def test_theEndIsWrittenBeforeAnybodyHearsThatAllIsOver(self) -> None:
        _, server = self.ask()
        heard: list[bool] = []
        self.requests.drain().addCallback(lambda _: heard.append(server.writeEnded))
        self.plans.waiting[-1].callback(Response(ResponseHead(200), BytesBody(b"answer")))
        self.assertEqual(heard, [True])

    def test_whatIsAbortedIsOver(self) -> None:
        body = OwnBody()
        pairs = [self.ask(), self.ask(), self.ask(method=b"POST", ended=False)]
        self.plans.waiting[1].callback(Response(ResponseHead(200), body))
        drained = self.requests.drain()
        self.requests.abortAll()
        self.network.pump()
        self.assertTrue(all(client.resetWith is not None for client, _ in pairs))
        self.assertTrue(body.stopped)
        self.assertTrue(all(waiting.called for waiting in self.plans.waiting))
        self.assertEqual(len(self.ended), 3)
        self.successResultOf(drained)

    def test_newPlansAreForNewRequests(self) -> None:
        old = self.ask()
        plans: Any = FakePlans()
        retired = self.requests.swap(plans)
        self.assertIs(self.requests.plans, plans)
        new = self.ask()
        self.assertEqual((len(self.plans.requests), len(plans.requests)), (1, 1))
        self.assertNoResult(retired)
        plans.waiting[0].callback(Response(ResponseHead(201)))
        self.assertEqual(self.status(new), 201)
        self.assertNoResult(retired)
        self.answer()
        self.assertEqual(self.status(old), 204)
        self.successResultOf(retired)

    def test_eachGenerationRetiresWithItsLastRequest(self) -> None:
        plans: Any = self.plans
        self.successResultOf(self.requests.swap(plans))
        self.ask()
        first = self.requests.swap(plans)
        self.ask()
        second = self.requests.swap(plans)
        self.ask()
        self.answer(1)
        self.assertNoResult(first)
        self.assertNoResult(second)
        self.answer(0)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(len(self.requests.openRequests()), 1)

    def test_aRequestThatIsAbortedLetsItsGenerationRetire(self) -> None:
        self.ask()
        plans: Any = FakePlans()
        retired = self.requests.swap(plans)
        self.requests.abortAll()
        self.successResultOf(retired)


class WaitingTests(Handling):
    """
    A client that waits for leave to send its body (RFC 9110 section 10.1.1).
    """

    def expect(self, **options: Any) -> Pair:
        return self.ask(((b"expect", b"100-continue"),), b"PUT", ended=False, **options)

    def informed(self, pair: Pair) -> list[int]:
        return [head.status for head in pair[1].responses]

    def test_itIsToldWhenSomebodyReadsAndNobodyHasSaidAnything(self) -> None:
        pair = self.expect()
        assert self.request.body is not None
        self.clock.advance(100)
        self.assertEqual(self.informed(pair), [])
        self.request.body.start(Taken())
        self.assertEqual(self.informed(pair), [])
        self.clock.advance(1)
        self.assertEqual(self.informed(pair), [100])

    def test_itIsToldWhatTheOriginSays(self) -> None:
        pair = self.expect()
        assert self.request.body is not None and self.request.informational is not None
        self.request.body.start(Taken())
        self.request.informational(ResponseHead(100))
        self.clock.advance(10)
        self.assertEqual(self.informed(pair), [100])

    def test_itIsToldBeforeAnybodyReadsToo(self) -> None:
        pair = self.expect()
        assert self.request.body is not None and self.request.informational is not None
        self.request.informational(ResponseHead(100))
        self.request.body.start(sink := Taken())
        self.assertEqual(self.informed(pair), [100])
        pair[0].write(b"body")
        self.network.pump()
        self.assertEqual(sink.data, b"body")

    def test_overHTTP1TheConnectionTellsIt(self) -> None:
        pair = self.expect(version="1.1")
        assert self.request.body is not None
        self.request.body.start(Taken())
        self.clock.advance(1)
        self.assertEqual(self.informed(pair), [])
        self.assertIsNotNone(pair[1].protocol)

    def test_nothingIsToldBehindTheAnswer(self) -> None:
        pair = self.expect()
        request = self.request
        assert request.body is not None and request.informational is not None
        request.body.start(Taken())
        self.answer(status=417)
        request.informational(ResponseHead(100))
        request.informational(ResponseHead(103))
        self.clock.advance(1)
        request.body.start(Taken())
        self.assertEqual(self.informed(pair), [417])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_otherWordsArePassedOn(self) -> None:
        pair = self.ask()
        assert self.request.informational is not None
        self.request.informational(ResponseHead(103, ((b"link", b"</a>"), (b"hermes-x", b"y"))))
        self.request.informational(ResponseHead(100))
        self.assertEqual(pair[1].responses, [ResponseHead(103, ((b"link", b"</a>"),))])
