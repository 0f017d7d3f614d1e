"""
Tests for the cache: bodies on their way into the store, that do not come to their end, or whose readers leave.
"""

from __future__ import annotations

from hermes.errors import RequestBroken
from hermes.messages import Response
from hermes.test.assist.cache.fakes import Answered, CacheCase, FakeBody, OnDisk

PIECE = b"0123456789" * 1000


class BrokenBodyTests(CacheCase):
    """
    Bodies that do not come to their end, and readers that leave before it.
    """

    def begin(self, **headers: str) -> tuple[Answered, FakeBody]:
        """
        A body on its way.
        """
        asked = self.ask()
        body = FakeBody()
        self.answer(body, 200, -1, cache_control="max-age=60", **headers)
        return self.read(asked), body

    def test_aBodyThatBreaksOffIsNotStoredAndAllHearOfIt(self) -> None:
        first, body = self.begin()
        second = self.get()
        body.send(PIECE)
        body.fail(RequestBroken("cut"))
        for each in (first, second):
            assert each.reader is not None and each.reader.failure is not None
            self.assertTrue(each.reader.failure.check(RequestBroken))
            self.assertEqual(bytes(each.reader.data), PIECE)
        self.ask()
        self.assertSent(2)

    def test_aBodyThatIsNotAsLongAsItSaidIsNotStored(self) -> None:
        first, body = self.begin(content_length="10")
        body.send(b"short")
        body.end()
        assert first.reader is not None
        self.assertIsNotNone(first.reader.failure)
        self.ask()
        self.assertSent(2)

    def test_aSlowReaderGetsAllThatCameBeforeItBrokeOff(self) -> None:
        first, body = self.begin()
        assert first.reader is not None
        first.reader.body.pauseProducing()
        body.send(PIECE)
        body.fail(RequestBroken("cut"))
        self.assertFalse(first.reader.over)
        first.reader.resume()
        self.assertEqual(bytes(first.reader.data), PIECE)
        self.assertIsNotNone(first.reader.failure)

    def test_whenTheLastReaderLeavesTheOriginIsLeft(self) -> None:
        first, body = self.begin()
        second = self.get()
        body.send(PIECE)
        assert first.reader is not None and second.reader is not None
        first.reader.body.stopProducing()
        self.assertFalse(body.stopped)
        second.reader.body.stopProducing()
        self.assertTrue(body.stopped)
        self.ask()
        self.assertSent(2)

    def test_whereItIsToBeFinishedItIs(self) -> None:
        self.cache = self.make(finish=True)
        first, body = self.begin()
        body.send(PIECE)
        assert first.reader is not None
        first.reader.body.stopProducing()
        self.assertFalse(body.stopped)
        body.send(PIECE)
        body.end()
        self.assertEqual(self.get().body, PIECE * 2)

    def test_aBodyThatTurnsOutTooLargeGoesToThoseWhoReadItAndIsNotStored(self) -> None:
        self.cache = self.make(largest=25_000)
        first, body = self.begin()
        second = self.get()
        for _ in range(4):
            body.send(PIECE)
        self.ask()
        self.assertSent(2)
        body.end()
        self.assertEqual([first.body, second.body], [PIECE * 4] * 2)
        self.assertEqual(self.cache.store.objects, 0)

    def test_oneThatIsTooLargeWaitsForItsSlowestReader(self) -> None:
        self.cache = self.make(largest=25_000)
        first, body = self.begin()
        second = self.get()
        assert second.reader is not None
        second.reader.body.pauseProducing()
        count = 0
        while not body.paused:
            body.send(PIECE)
            count += 1
            self.assertLess(count, 100)
        assert first.reader is not None
        self.assertEqual(len(first.reader.data), count * len(PIECE))
        second.reader.resume()
        self.assertFalse(body.paused)
        body.send(PIECE)
        body.end()
        self.assertEqual([first.body, second.body], [PIECE * (count + 1)] * 2)

    def test_oneThatIsTooLargeStopsWhenItsLastReaderLeaves(self) -> None:
        self.cache = self.make(largest=25_000, finish=True)
        first, body = self.begin()
        assert first.reader is not None
        for _ in range(3):
            body.send(PIECE)
        first.reader.body.stopProducing()
        self.assertTrue(body.stopped)

    def test_anAnswerThatNobodyStartsIsReadIntoTheStoreAllTheSame(self) -> None:
        asked = self.ask()
        body = FakeBody()
        self.answer(body, cache_control="max-age=60")
        response: Response = self.successResultOf(asked[0])
        body.send(PIECE)
        assert response.body is not None
        body.end()
        self.assertEqual(self.get().body, PIECE)

    def test_whatIsNotStoredForItsUrlHasChangedStopsWithItsLastReader(self) -> None:
        first, body = self.begin()
        body.send(PIECE)
        change = self.ask(method="POST")
        self.answer(status=200)
        self.read(change)
        assert first.reader is not None
        self.assertFalse(body.stopped)
        first.reader.body.stopProducing()
        self.assertTrue(body.stopped)


class BrokenBodyOnDiskTests(OnDisk, BrokenBodyTests):
    """
    The same with a store on disk.
    """


class SlowDiskTests(OnDisk, CacheCase):
    """
    A disk that lets everybody wait.
    """

    def test_readersGoOnWhileTheDiskStandsStillAndTheSenderWaits(self) -> None:
        asked = self.ask()
        body = FakeBody()
        self.answer(body, cache_control="max-age=60")
        answered = self.read(asked)
        assert answered.reader is not None
        self.writing.hold()
        count = 0
        while not body.paused:
            body.send(PIECE * 10)
            count += 1
            self.assertLess(count, 1000)
        self.assertEqual(len(answered.reader.data), count * len(PIECE) * 10)
        self.writing.proceed()
        self.assertFalse(body.paused)
        body.end()
        self.assertEqual(self.get().body, PIECE * 10 * count)

    def test_whoComesBeforeItIsWrittenReadsWhatIsInMemory(self) -> None:
        asked = self.ask()
        self.writing.hold()
        self.answer(b"hello", cache_control="max-age=60")
        self.assertEqual(self.read(asked).body, b"hello")
        again = self.get()
        self.assertEqual((again.body, again.record.cache), (b"hello", "collapsed"))
        self.writing.proceed()
        self.assertEqual(self.get().record.cache, "hit")
        self.assertSent(1)

    def test_aClientThatLeavesWhileItIsLookedUpLeavesNothing(self) -> None:
        self.reading.hold()
        asked, _ = self.ask()
        asked.addErrback(lambda _: None)
        asked.cancel()
        self.reading.proceed()
        self.assertSent(0)
