"""
Tests for the cache: responses that are validated, and those that are used though they are stale.
"""

from __future__ import annotations

from hermes.errors import TargetRefused
from hermes.messages import Response
from hermes.test.assist.cache.fakes import CacheCase, FakeBody, OnDisk
from hermes.test.assist.cache.test_rules import date
from hermes.values import ResponseHead


class ValidationTests(CacheCase):
    """
    Responses that are validated.
    """

    def test_whatIsStaleIsValidatedAndUsedAgain(self) -> None:
        self.fetch(b"hello", cache_control="max-age=60", etag='"1"', last_modified=date(-500), x="old")
        self.clock.advance(70)
        asked = self.ask(cookie="a=b")
        sent = self.answer(status=304, cache_control="max-age=90", etag='"1"', x="new")
        self.assertEqual(sent.head.get(b"if-none-match"), b'"1"')
        self.assertEqual(sent.head.get(b"if-modified-since"), date(-500).encode())
        self.assertEqual(sent.head.get(b"cookie"), b"a=b")
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.body, answered.record.cache), (200, b"hello", "revalidated"))
        self.assertEqual((answered.get("x"), answered.get("age")), ("new", "0"))
        self.assertEqual(answered.get("cache-status"), "edge/pages; fwd=stale; fwd-status=304")
        self.clock.advance(80)
        again = self.get()
        self.assertEqual((again.body, again.get("x"), again.record.cache), (b"hello", "new", "hit"))
        self.assertSent(2)

    def test_a304WithoutDateRenewsAllTheSame(self) -> None:
        self.fetch(cache_control="max-age=60", etag='"1"')
        self.clock.advance(1000)
        asked = self.ask()
        self.sent[-1][1].callback(Response(ResponseHead(304, ((b"etag", b'"1"'),))))
        self.assertEqual(self.read(asked).get("age"), "0")
        self.clock.advance(50)
        self.assertEqual(self.get().get("age"), "50")
        self.assertSent(2)

    def test_whatHasChangedTakesTheOldOnesPlace(self) -> None:
        self.fetch(b"old", cache_control="max-age=60", etag='"1"')
        self.clock.advance(70)
        self.assertEqual(self.fetch(b"new", cache_control="max-age=60", etag='"2"').body, b"new")
        self.assertEqual(self.get().body, b"new")
        self.assertEqual(self.cache.store.objects, 1)

    def test_whatMayNotBeStoredAnyMoreIsForgotten(self) -> None:
        self.fetch(cache_control="max-age=60", etag='"1"')
        self.clock.advance(70)
        self.fetch(b"gone", cache_control="no-store")
        self.ask()
        self.assertIsNone(self.sent[-1][0].head.get(b"if-none-match"))

    def test_a304ForAnotherThanTheStoredOneMakesTheCacheAskAgain(self) -> None:
        self.fetch(cache_control="max-age=60", etag='"1"')
        self.clock.advance(70)
        asked = self.ask(if_none_match='"7"')
        self.answer(status=304, etag='"7"')
        self.assertSent(3)
        self.assertIsNone(self.sent[-1][0].head.get(b"if-none-match"))
        self.answer(b"new", cache_control="max-age=60", etag='"7"')
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.reader), (304, None))
        self.assertEqual(self.get().body, b"new")

    def test_noCacheIsValidatedEachTime(self) -> None:
        self.fetch(cache_control="no-cache", etag='"1"')
        for _ in range(2):
            asked = self.ask()
            self.answer(status=304, etag='"1"')
            self.assertEqual(self.read(asked).body, b"body")
        self.assertSent(3)

    def test_aClientThatReloadsHasItValidated(self) -> None:
        self.fetch(cache_control="max-age=60", etag='"1"')
        for headers in ({"cache_control": "no-cache"}, {"cache_control": "max-age=0"}, {"pragma": "no-cache"}):
            asked = self.ask(**headers)
            sent = self.answer(status=304, etag='"1"')
            self.assertEqual(sent.head.headers[0][1], b"max-age=0" if "max-age=0" in headers.values() else b"no-cache")
            answered = self.read(asked)
            self.assertEqual(answered.get("cache-status"), "edge/pages; fwd=request; fwd-status=304")

    def test_aClientsConditionIsAnsweredFromTheStore(self) -> None:
        self.fetch(
            cache_control="max-age=60",
            etag='"1"',
            last_modified=date(-500),
            content_type="text/plain",
            content_location="/x",
        )
        table: list[tuple[dict[str, str], int]] = [
            ({"if_none_match": '"1"'}, 304),
            ({"if_none_match": 'W/"1"'}, 304),
            ({"if_none_match": '"0", "1"'}, 304),
            ({"if_none_match": "*"}, 304),
            ({"if_none_match": '"2"'}, 200),
            ({"if_none_match": '"2"', "if_modified_since": date()}, 200),
            ({"if_modified_since": date(-500)}, 304),
            ({"if_modified_since": date(-400)}, 304),
            ({"if_modified_since": date(-501)}, 200),
            ({"if_modified_since": "garbage"}, 200),
        ]
        for headers, status in table:
            answered = self.get(**headers)
            self.assertEqual(answered.status, status, headers)
            self.assertEqual(answered.record.cache, "hit")
            if status == 304:
                self.assertIsNone(answered.reader)
                self.assertEqual((answered.get("content-type"), answered.get("content-length")), (None, None))
                for name in ("etag", "cache-control", "date", "content-location", "age"):
                    self.assertIsNotNone(answered.get(name), name)
        self.assertEqual(self.get(method="HEAD", if_none_match='"1"').status, 304)
        self.assertSent(1)

    def test_aClientsConditionIsAnsweredOnceTheStoredOneIsValidated(self) -> None:
        self.fetch(cache_control="max-age=60", etag='"1"')
        self.clock.advance(70)
        asked = self.ask(if_none_match='"1"')
        self.answer(status=304, etag='"1"')
        self.assertEqual(self.read(asked).status, 304)
        self.clock.advance(70)
        asked = self.ask(if_none_match='"2"')
        sent = self.answer(b"new", etag='"2"', cache_control="max-age=60")
        self.assertEqual(sent.head.get(b"if-none-match"), b'"1"')
        self.assertEqual(self.read(asked).status, 304)
        self.assertEqual(self.get().body, b"new")

    def test_aConditionAboutWhatIsNotStoredIsTheOrigins(self) -> None:
        asked = self.ask(if_none_match='"1"')
        sent = self.answer(status=304, etag='"1"')
        self.assertEqual(sent.head.get(b"if-none-match"), b'"1"')
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.record.cache), (304, "miss"))
        self.assertEqual(self.cache.store.objects, 0)

    def test_aHeadSaysWhetherAStoredGetHolds(self) -> None:
        for index, (told, holds) in enumerate(
            (
                ({"etag": '"1"', "content_length": "4"}, True),
                ({"etag": '"2"', "content_length": "4"}, False),
                ({"etag": '"1"', "content_length": "5"}, False),
            )
        ):
            path = f"/{index}"
            self.fetch(path=path, cache_control="max-age=60", etag='"1"')
            self.clock.advance(70)
            asked = self.ask(path, method="HEAD")
            sent = self.answer(None, 200, -1, cache_control="max-age=60", **told)
            self.assertEqual((sent.head.method, sent.head.get(b"if-none-match")), (b"HEAD", b'"1"'))
            self.assertEqual(self.read(asked).status, 200)
            count = len(self.sent)
            self.cache.assist(self.request(path), self.onward)
            self.assertEqual(len(self.sent) == count, holds, told)


class ValidationOnDiskTests(OnDisk, ValidationTests):
    """
    The same with a store on disk.
    """


class StaleTests(CacheCase):
    """
    Responses that are used though they are stale (RFC 5861).
    """

    def test_whileItIsValidated(self) -> None:
        self.fetch(b"old", cache_control="max-age=60, stale-while-revalidate=30", etag='"1"')
        self.clock.advance(70)
        first = self.get(if_modified_since=date(500))
        self.assertEqual((first.body, first.record.cache, first.get("age")), (b"old", "stale", "70"))
        self.assertEqual(first.get("cache-status"), "edge/pages; hit; ttl=-10")
        self.assertSent(2)
        # One at a time, and nobody is made to wait.
        self.assertEqual(self.get().body, b"old")
        self.assertSent(2)
        sent = self.sent[-1][0]
        self.assertEqual(sent.head.get(b"if-none-match"), b'"1"')
        self.assertIsNone(sent.deadline)
        self.assertIsNot(sent.record, first.record)
        self.answer(b"new", cache_control="max-age=60")
        self.assertEqual((self.get().body, first.record.cache), (b"new", "stale"))

    def test_whileItIsValidatedWithA304(self) -> None:
        self.fetch(b"old", cache_control="max-age=60, stale-while-revalidate=30", etag='"1"')
        self.clock.advance(70)
        self.get(method="HEAD")
        self.assertEqual(self.sent[-1][0].head.method, b"GET")
        self.answer(status=304, etag='"1"')
        again = self.get()
        self.assertEqual((again.body, again.record.cache, again.get("age")), (b"old", "hit", "0"))

    def test_theBodyOfAFailedValidationIsStopped(self) -> None:
        self.fetch(cache_control="max-age=60, stale-while-revalidate=30", etag='"1"')
        self.clock.advance(70)
        self.get()
        body = FakeBody()
        self.answer(body, 503)
        self.assertTrue(body.stopped)
        self.get()
        self.assertSent(3)

    def test_whereTheOriginFails(self) -> None:
        self.fetch(b"old", cache_control="max-age=60, stale-if-error=30", etag='"1"')
        self.clock.advance(70)
        asked = self.ask()
        self.sent[-1][1].errback(TargetRefused("no"))
        answered = self.read(asked)
        self.assertEqual((answered.body, answered.record.cache), (b"old", "stale"))
        self.assertEqual(answered.get("cache-status"), "edge/pages; fwd=stale; detail=stale-if-error")
        asked = self.ask()
        body = FakeBody()
        self.answer(body, 503)
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.body, body.stopped), (200, b"old", True))
        self.assertEqual(answered.get("cache-status"), "edge/pages; fwd=stale; fwd-status=503; detail=stale-if-error")
        self.clock.advance(30)
        asked = self.ask()
        self.answer(b"down", 503)
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.body, answered.record.cache), (503, b"down", "miss"))
        asked = self.ask()
        self.sent[-1][1].errback(TargetRefused("no"))
        self.failureResultOf(asked[0], TargetRefused)
        # It is not forgotten for that.
        asked = self.ask()
        self.answer(status=304, etag='"1"')
        self.assertEqual(self.read(asked).body, b"old")

    def test_asItIsConfigured(self) -> None:
        self.cache = self.make(staleWhileRevalidate=10.0, staleIfError=100.0)
        self.fetch(cache_control="max-age=60")
        self.clock.advance(65)
        self.assertEqual(self.get().record.cache, "stale")
        self.sent[-1][1].errback(TargetRefused("no"))
        self.clock.advance(10)
        asked = self.ask()
        self.sent[-1][1].errback(TargetRefused("no"))
        self.assertEqual(self.read(asked).record.cache, "stale")

    def test_asTheClientAllows(self) -> None:
        self.fetch(cache_control="max-age=60")
        self.clock.advance(65)
        self.assertEqual(self.get(cache_control="max-stale=10").record.cache, "stale")
        self.assertSent(1)
