"""
Tests for the cache: several who ask for the same at the same time.
"""

from __future__ import annotations

from hermes.assist.cache.cache import MAX_PASSED, PASSED_TIME
from hermes.errors import TargetRefused
from hermes.test.assist.cache.fakes import CacheCase, FakeBody, OnDisk, Reader
from hermes.values import ResponseHead

PIECE = b"0123456789" * 1000


class CollapsingTests(CacheCase):
    """
    One request to the origin for all.
    """

    def test_manyWaitForTheHeadOfTheFirstAndReadItsBodyAsItComes(self) -> None:
        asked = [self.ask() for _ in range(5)]
        self.assertSent(1)
        body = FakeBody()
        self.answer(body, cache_control="max-age=60", content_length="20000")
        answered = [self.read(each) for each in asked]
        body.send(PIECE)
        late = self.get()
        self.assertEqual([bytes(each.reader.data) for each in [*answered, late] if each.reader], [PIECE] * 6)
        body.send(PIECE)
        body.end()
        self.assertEqual([each.body for each in [*answered, late]], [PIECE * 2] * 6)
        self.assertEqual([each.record.cache for each in [*answered, late]], ["miss", *["collapsed"] * 5])
        self.assertEqual(late.get("cache-status"), "edge/pages; fwd=uri-miss; collapsed")
        self.assertEqual(self.get().record.cache, "hit")
        self.assertSent(1)

    def test_eachReadsAtItsOwnPaceAndTheSenderWaitsForNone(self) -> None:
        asked = [self.ask(), self.ask()]
        body = FakeBody()
        self.answer(body, cache_control="max-age=60")
        fast = self.read(asked[0])
        slow = self.successResultOf(asked[1][0])
        assert slow.body is not None
        slow.body.pauseProducing()
        reader = Reader(slow.body).start()
        for _ in range(100):
            body.send(PIECE)
        self.assertFalse(body.paused)
        body.end()
        self.assertEqual(fast.body, PIECE * 100)
        self.assertEqual(reader.data, b"")
        reader.resume()
        self.assertEqual((bytes(reader.data), reader.trailers), (PIECE * 100, ()))

    def test_whereItMayNotBeStoredTheOthersGoOnTheirOwn(self) -> None:
        asked = [self.ask() for _ in range(3)]
        self.answer(b"first", cache_control="private")
        self.assertSent(3)
        self.assertEqual(self.read(asked[0]).body, b"first")
        self.answer(b"second", index=1, cache_control="private")
        self.answer(b"third", index=2, cache_control="private")
        self.assertEqual([self.read(each).body for each in asked[1:]], [b"second", b"third"])

    def test_whereThatIsKnownNobodyWaitsAnyMore(self) -> None:
        self.fetch(cache_control="private")
        self.ask()
        self.ask()
        self.assertSent(3)
        self.clock.advance(PASSED_TIME)
        self.ask()
        self.ask()
        self.assertSent(4)

    def test_nobodyWaitsForWhatEachMustHaveValidated(self) -> None:
        self.fetch(cache_control="no-cache", etag='"1"')
        self.ask()
        self.ask()
        self.assertSent(3)
        self.answer(status=304, etag='"1"')
        self.ask()
        self.ask()
        self.assertSent(5)

    def test_whatIsKnownOfThatIsBounded(self) -> None:
        for number in range(MAX_PASSED + 1):
            self.fetch(path=f"/{number}", cache_control="private")
        count = len(self.sent)
        for path, more in (("/0", 1), (f"/{MAX_PASSED}", 2)):
            self.ask(path)
            self.ask(path)
            self.assertEqual(len(self.sent), count + more)
            count += more

    def test_whatIsStoredOnceIsWaitedForAgain(self) -> None:
        self.fetch(cache_control="private")
        self.fetch(cache_control="max-age=60")
        self.clock.advance(60)
        self.ask()
        self.ask()
        self.assertSent(3)

    def test_whereItIsForOtherRequestsTheOthersGoOnTheirOwn(self) -> None:
        asked = [self.ask(accept="a"), self.ask(accept="b"), self.ask(accept="a")]
        self.answer(b"for a", cache_control="max-age=60", vary="accept")
        self.assertSent(2)
        self.answer(b"for b", cache_control="max-age=60", vary="accept")
        self.assertEqual([self.read(each).body for each in asked], [b"for a", b"for b", b"for a"])

    def test_whereItFailsTheOthersGoOnTheirOwn(self) -> None:
        asked = [self.ask(), self.ask()]
        self.sent[0][1].errback(TargetRefused("no"))
        self.failureResultOf(asked[0][0], TargetRefused)
        self.assertSent(2)
        self.answer(b"at last", cache_control="max-age=60")
        self.assertEqual(self.read(asked[1]).body, b"at last")

    def test_whereItFailsAndAStaleOneMayStandInItDoesForAll(self) -> None:
        self.fetch(cache_control="max-age=60, stale-if-error=60")
        self.clock.advance(61)
        asked = [self.ask(), self.ask()]
        self.assertSent(2)
        self.answer(b"down", status=503)
        self.assertEqual([self.read(each).body for each in asked], [b"body", b"body"])
        self.assertEqual([each[1].cache for each in asked], ["stale", "stale"])
        self.assertSent(2)

    def test_aValidationIsOneForAll(self) -> None:
        self.fetch(cache_control="max-age=60", etag='"1"')
        self.clock.advance(61)
        asked = [self.ask(), self.ask(range="bytes=1-2"), self.ask(if_none_match='"1"')]
        self.assertSent(2)
        self.answer(status=304, etag='"1"')
        answered = [self.read(each) for each in asked]
        self.assertEqual([(each.status, each.body) for each in answered], [(200, b"body"), (206, b"od"), (304, b"")])
        self.assertEqual([each.record.cache for each in answered], ["revalidated", "collapsed", "collapsed"])
        self.assertEqual(answered[1].get("cache-status"), "edge/pages; fwd=stale; collapsed")

    def test_whoeverAsksForHimselfAloneDoesNotWait(self) -> None:
        for headers in (
            {"authorization": "Basic x"},
            {"cache_control": "no-cache"},
            {"cache_control": "max-age=0"},
            {"range": "bytes=0-1"},
        ):
            self.ask()
            before = len(self.sent)
            self.ask(**headers)
            self.assertEqual(len(self.sent), before + 1, headers)

    def test_nobodyWaitsForAnAnswerToSomebodysCredentialsOrConditions(self) -> None:
        alone = {"authorization": "Basic x"}, {"if_none_match": '"1"'}, {"range": "bytes=0-1"}
        for number, headers in enumerate(alone):
            self.ask(f"/{number}", **headers)
            before = len(self.sent)
            self.ask(f"/{number}")
            self.assertEqual(len(self.sent), before + 1, headers)

    def test_nobodyWaitsForEver(self) -> None:
        self.cache = self.make(collapse=5.0)
        asked = [self.ask(), self.ask()]
        self.clock.advance(4)
        self.assertSent(1)
        self.clock.advance(1)
        self.assertSent(2)
        self.answer(b"second", cache_control="max-age=60")
        self.assertEqual(self.read(asked[1]).body, b"second")
        self.answer(b"first", index=0, cache_control="max-age=60")
        self.assertEqual(self.read(asked[0]).body, b"first")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobodyWaitsBeyondHisDeadline(self) -> None:
        self.ask()
        request = self.request()
        request.deadline = self.clock.seconds() + 2
        self.cache.assist(request, self.onward)
        self.clock.advance(2)
        self.assertSent(2)

    def test_nobodyWaitsWhereThatIsOff(self) -> None:
        self.cache = self.make(collapse=0.0)
        self.ask()
        self.ask()
        self.assertSent(2)

    def test_heWhoGaveTheCauseMayLeaveTheOthersStay(self) -> None:
        asked = [self.ask(), self.ask()]
        asked[0][0].addErrback(lambda _: None)
        asked[0][0].cancel()
        self.assertEqual(self.cancelled, [])
        self.answer(b"hello", cache_control="max-age=60")
        self.assertEqual(self.read(asked[1]).body, b"hello")
        self.assertSent(1)

    def test_whatNobodyWaitsForIsGivenUp(self) -> None:
        asked = [self.ask(), self.ask()]
        for each, _ in asked:
            each.addErrback(lambda _: None)
            each.cancel()
        self.assertEqual(len(self.cancelled), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.ask()
        self.assertSent(2)

    def test_whereTheLeaderIsGoneAndItMayNotBeStoredNobodyReadsIt(self) -> None:
        asked = [self.ask(), self.ask()]
        asked[0][0].addErrback(lambda _: None)
        asked[0][0].cancel()
        body = FakeBody()
        self.answer(body, cache_control="private")
        self.assertTrue(body.stopped)
        self.assertSent(2)

    def test_informationalResponsesAreTheLeaders(self) -> None:
        told: list[ResponseHead] = []
        request = self.request()
        request.informational = told.append
        asked = self.cache.assist(request, self.onward)
        asked.addErrback(lambda _: None)
        self.ask()
        hints = ResponseHead(103)
        informational = self.sent[0][0].informational
        assert informational is not None
        informational(hints)
        asked.cancel()
        informational(hints)
        self.assertEqual(told, [hints])
        self.assertIsNone(self.sent[-1][0].record.error)

    def test_aClientThatAsksForARangeReadsAlongAsFarAsTheBodyIs(self) -> None:
        asked = self.ask()
        body = FakeBody()
        self.answer(body, cache_control="max-age=60", content_length="20000")
        self.read(asked)
        body.send(PIECE)
        near = self.get(range="bytes=5-10001")
        self.assertEqual((near.status, near.get("content-range")), (206, "bytes 5-10001/20000"))
        self.ask(range="bytes=15000-")
        self.assertSent(2)
        body.send(PIECE)
        self.assertEqual(near.body, (PIECE * 2)[5:10002])

    def test_aHeadReadsAlong(self) -> None:
        asked = self.ask()
        self.answer(FakeBody(), cache_control="max-age=60", content_length="20000")
        self.read(asked)
        answered = self.get(method="HEAD")
        self.assertEqual((answered.get("content-length"), answered.reader), ("20000", None))
        self.assertSent(1)


class CollapsingOnDiskTests(OnDisk, CollapsingTests):
    """
    The same with a store on disk.
    """
