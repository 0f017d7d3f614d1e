"""
Tests for the cache: parts of what is stored, and what is stored in part.
"""

from __future__ import annotations

from hermes.errors import RequestBroken
from hermes.test.assist.cache.fakes import Answered, CacheCase, FakeBody, OnDisk
from hermes.test.assist.cache.test_rules import date

DATA = bytes(range(100))
STRONG = {"cache_control": "max-age=60", "etag": '"1"'}


class RangeTests(CacheCase):
    """
    Parts of a body that is stored whole.
    """

    def test_aPartIsAnsweredFromTheWhole(self) -> None:
        self.fetch(DATA, cache_control="max-age=60", etag='"1"', content_type="text/plain")
        for asked, expected in (("0-1", DATA[:2]), ("90-", DATA[90:]), ("-1", DATA[99:]), ("5-500", DATA[5:])):
            answered = self.get(range=f"bytes={asked}")
            self.assertEqual((answered.status, answered.body), (206, expected))
            first = DATA.index(expected[0])
            self.assertEqual(answered.get("content-range"), f"bytes {first}-{first + len(expected) - 1}/100")
            self.assertEqual(answered.get("content-length"), str(len(expected)))
            self.assertEqual((answered.get("content-type"), answered.get("etag")), ("text/plain", '"1"'))
            self.assertEqual(answered.record.cache, "hit")
        self.assertSent(1)

    def test_aPartThatIsNotThereIs416(self) -> None:
        self.fetch(DATA, cache_control="max-age=60")
        answered = self.get(range="bytes=100-")
        self.assertEqual((answered.status, answered.get("content-range")), (416, "bytes */100"))

    def test_severalPartsAreTheWhole(self) -> None:
        self.fetch(DATA, cache_control="max-age=60")
        for asked in ("bytes=0-1,5-6", "lines=1-2", "bytes=5-1"):
            answered = self.get(range=asked)
            self.assertEqual((answered.status, answered.body), (200, DATA))

    def test_aHeadKnowsNoParts(self) -> None:
        self.fetch(DATA, cache_control="max-age=60")
        answered = self.get(method="HEAD", range="bytes=0-1")
        self.assertEqual((answered.status, answered.get("content-length")), (200, "100"))

    def test_onlyASuccessHasParts(self) -> None:
        asked = self.ask()
        self.answer(DATA, 404, cache_control="max-age=60")
        self.read(asked)
        self.assertEqual(self.get(range="bytes=0-1").status, 404)

    def test_aConditionComesBeforeARange(self) -> None:
        self.fetch(DATA, cache_control="max-age=60", etag='"1"')
        self.assertEqual(self.get(range="bytes=0-1", if_none_match='"1"').status, 304)
        self.assertEqual(self.get(range="bytes=0-1", if_none_match='"2"').status, 206)

    def test_aPartIsGivenIfTheRangesConditionHolds(self) -> None:
        self.fetch(DATA, cache_control="max-age=60", etag='"1"', last_modified=date(-500))
        for condition, status in (
            ('"1"', 206),
            ('"2"', 200),
            ('W/"1"', 200),
            (date(-500), 206),
            (date(-499), 200),
            ("garbage", 200),
        ):
            self.assertEqual(self.get(range="bytes=0-1", if_range=condition).status, status, condition)

    def test_aDateCloseToTheResponseIsNoStrongValidator(self) -> None:
        self.fetch(DATA, cache_control="max-age=60", last_modified=date(-30))
        self.assertEqual(self.get(range="bytes=0-1", if_range=date(-30)).status, 200)

    def test_aWeakTagIsNoStrongValidator(self) -> None:
        self.fetch(DATA, cache_control="max-age=60", etag='W/"1"')
        self.assertEqual(self.get(range="bytes=0-1", if_range='W/"1"').status, 200)

    def test_whereNothingIsStoredTheRangeIsTheOrigins(self) -> None:
        asked = self.ask(range="bytes=10-19")
        sent = self.answer(DATA[10:20], 206, content_range="bytes 10-19/100", **STRONG)  # type: ignore[arg-type]
        self.assertEqual(sent.head.get(b"range"), b"bytes=10-19")
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.body, answered.record.cache), (206, DATA[10:20], "miss"))
        self.assertEqual(self.cache.store.objects, 0)

    def test_aPartOfAStaleOneIsValidatedAndAnswered(self) -> None:
        self.fetch(DATA, cache_control="max-age=60", etag='"1"')
        self.clock.advance(61)
        asked = self.ask(range="bytes=0-1", if_range='"1"')
        sent = self.answer(status=304, etag='"1"')
        self.assertEqual((sent.head.get(b"range"), sent.head.get(b"if-range")), (None, None))
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.body), (206, DATA[:2]))

    def test_aPartOfWhatHasChangedIsOfTheNewOne(self) -> None:
        self.fetch(DATA, cache_control="max-age=60", etag='"1"')
        self.clock.advance(61)
        asked = self.ask(range="bytes=0-1")
        self.answer(b"other", cache_control="max-age=60", etag='"2"')
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.body, answered.get("etag")), (206, b"ot", '"2"'))
        self.clock.advance(61)
        asked = self.ask(range="bytes=0-1", if_range='"2"')
        self.answer(b"third", cache_control="max-age=60", etag='"3"')
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.body), (200, b"third"))


class RangeOnDiskTests(OnDisk, RangeTests):
    """
    The same with a store on disk.
    """


class PartTests(CacheCase):
    """
    Bodies that were cut short are kept, and completed.
    """

    def cut(self, **headers: str) -> Answered:
        """
        The beginning of a body whose end never comes.
        """
        asked = self.ask()
        body = FakeBody()
        self.answer(body, 200, -1, content_length="100", **(headers or STRONG))
        answered = self.read(asked)
        body.send(DATA[:40])
        body.fail(RequestBroken("cut"))
        return answered

    def rest(self, start: int = 40, **headers: str) -> None:
        """
        The origin answers with the rest.
        """
        said = {"etag": '"1"', "content_range": f"bytes {start}-99/100", "cache_control": "max-age=60"} | headers
        self.answer(DATA[start:], 206, -1, **said)

    def test_theRestIsAskedForAndTheWholeStored(self) -> None:
        answered = self.cut()
        assert answered.reader is not None and answered.reader.failure is not None
        asked = self.ask()
        sent, _ = self.sent[-1]
        self.assertEqual((sent.head.get(b"range"), sent.head.get(b"if-range")), (b"bytes=40-", b'"1"'))
        self.rest(x="1")
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.body), (200, DATA))
        self.assertEqual(answered.get("content-length"), "100")
        self.assertEqual((answered.get("content-range"), answered.get("x")), (None, "1"))
        self.assertEqual(answered.get("cache-status"), "edge/pages; fwd=partial; ttl=60; stored")
        again = self.get()
        self.assertEqual((again.body, again.record.cache), (DATA, "hit"))
        self.assertSent(2)

    def test_itIsCompletedPieceByPiece(self) -> None:
        self.cut()
        for start in (40, 60):
            asked = self.ask()
            body = FakeBody()
            said = {"etag": '"1"', "content_range": f"bytes {start}-99/100", "cache_control": "max-age=60"}
            self.answer(body, 206, -1, **said)
            answered = self.read(asked)
            body.send(DATA[start : start + 20])
            body.fail(RequestBroken("cut again"))
            assert answered.reader is not None
            self.assertEqual(bytes(answered.reader.data), DATA[: start + 20])
            self.assertIsNotNone(answered.reader.failure)
        asked = self.ask()
        self.assertEqual(self.sent[-1][0].head.get(b"range"), b"bytes=80-")
        self.rest(80)
        self.assertEqual(self.read(asked).body, DATA)

    def test_whatALeavingClientHasReadIsKept(self) -> None:
        asked = self.ask()
        body = FakeBody()
        self.answer(body, 200, -1, content_length="100", **STRONG)
        answered = self.read(asked)
        body.send(DATA[:30])
        assert answered.reader is not None
        answered.reader.body.stopProducing()
        self.assertTrue(body.stopped)
        self.ask()
        self.assertEqual(self.sent[-1][0].head.get(b"range"), b"bytes=30-")

    def test_whatCannotBeCompletedIsNotKept(self) -> None:
        for headers in (
            {"cache_control": "max-age=60"},
            {"cache_control": "max-age=60", "etag": 'W/"1"'},
            {"cache_control": "max-age=60", "etag": '"1"', "accept_ranges": "none"},
        ):
            self.cut(**headers)
            self.assertEqual(self.cache.store.objects, 0, headers)

    def test_whatHasChangedIsTakenWhole(self) -> None:
        self.cut()
        asked = self.ask()
        self.answer(b"new", etag='"2"', cache_control="max-age=60")
        self.assertEqual(self.read(asked).body, b"new")
        self.assertEqual(self.get().body, b"new")

    def test_aRestThatDoesNotFitIsNeverMixedIn(self) -> None:
        for number, headers in enumerate(
            (
                {"etag": '"2"'},
                {"etag": 'W/"1"'},
                {"content_range": "bytes 41-99/100"},
                {"content_range": "bytes 40-98/100"},
                {"content_range": "bytes 40-99/101"},
                {"content_range": "bytes 40-99/*"},
                {"content_range": "garbage"},
            )
        ):
            self.cut()
            asked = self.ask()
            self.rest(40, **headers)
            self.assertIsNone(self.sent[-1][0].head.get(b"range"), headers)
            self.answer(b"whole", cache_control="no-store")
            self.assertEqual(self.read(asked).body, b"whole")
            self.assertEqual(len(self.sent), 3 * (number + 1))

    def test_wherePartsAreRefusedTheWholeIsAskedFor(self) -> None:
        self.cut()
        asked = self.ask()
        self.answer(b"", 416, content_range="bytes */3")
        self.answer(b"new", cache_control="max-age=60")
        self.assertEqual(self.read(asked).body, b"new")

    def test_aRestWithoutABodyOrWithAnotherStatusIsPassedOn(self) -> None:
        self.cut()
        asked = self.ask()
        self.answer(b"down", 503)
        self.assertEqual(self.read(asked).status, 503)
        asked = self.ask()
        self.assertEqual(self.sent[-1][0].head.get(b"range"), b"bytes=40-")
        self.answer(b"gone", 404)
        self.assertEqual(self.read(asked).status, 404)

    def test_aRangeWithinThePartIsAnsweredFromIt(self) -> None:
        self.cut()
        answered = self.get(range="bytes=10-19")
        self.assertEqual((answered.status, answered.body), (206, DATA[10:20]))
        self.assertEqual(answered.get("content-range"), "bytes 10-19/100")
        self.assertEqual(answered.record.cache, "hit")
        for asked in ("bytes=30-40", "bytes=-1"):
            _, record = self.ask(range=asked)
            self.assertEqual(self.sent[-1][0].head.get(b"range"), asked.encode())
            self.assertEqual(record.cache, "")
        self.clock.advance(61)
        self.ask(range="bytes=10-19")
        self.assertSent(4)

    def test_theBeginningThatSomebodyAskedForIsKept(self) -> None:
        asked = self.ask(range="bytes=0-39")
        said = {"content_range": "bytes 0-39/100", **STRONG}
        self.answer(DATA[:40], 206, -1, **said)
        answered = self.read(asked)
        self.assertEqual((answered.status, answered.body), (206, DATA[:40]))
        self.assertEqual(answered.get("content-range"), "bytes 0-39/100")
        self.assertEqual(self.get(range="bytes=5-6").body, DATA[5:7])
        asked = self.ask()
        self.assertEqual(self.sent[-1][0].head.get(b"range"), b"bytes=40-")
        self.rest()
        self.assertEqual(self.read(asked).body, DATA)

    def test_aHeadIsNotAnsweredFromAPart(self) -> None:
        self.cut()
        self.ask(method="HEAD")
        self.assertSent(2)
        self.assertEqual(self.sent[-1][0].head.headers, ())

    def test_aClientThatGetsTheWholeReadsAsFastAsItCan(self) -> None:
        self.cut()
        asked = self.ask()
        body = FakeBody()
        said = {"etag": '"1"', "content_range": "bytes 40-99/100", "cache_control": "max-age=60"}
        self.answer(body, 206, -1, **said)
        answered = self.read(asked)
        assert answered.reader is not None
        self.assertEqual(bytes(answered.reader.data), DATA[:40])
        answered.reader.body.stopProducing()
        self.assertTrue(body.stopped)

    def test_theRestThatFailsAtOnceKeepsThePart(self) -> None:
        self.cut()
        asked = self.ask()
        self.sent[-1][1].errback(RequestBroken("no"))
        self.failureResultOf(asked[0], RequestBroken)
        self.ask()
        self.assertEqual(self.sent[-1][0].head.get(b"range"), b"bytes=40-")


class PartOnDiskTests(OnDisk, PartTests):
    """
    The same with a store on disk.
    """
