"""
Bodies that are sent more than once.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http.replay import KeptBody
from hermes.test.http.delivery import FakeBody, Sink


class ReplayTests(SynchronousTestCase):
    @given(
        st.lists(st.binary(min_size=1, max_size=4), max_size=8),
        st.integers(0, 40),
        st.lists(st.integers(0, 8), max_size=4),
    )
    def test_everyReadingBeginsAtTheBeginning(self, pieces: list[bytes], limit: int, breaks: list[int]) -> None:
        """
        @param breaks: after how many of the pieces a reading is given up.
        """
        source = FakeBody()
        kept = KeptBody(source, limit)
        given = 0
        for count in sorted(breaks):
            if not kept.replayable:
                break
            sink = Sink()
            reading = kept.replay()
            reading.start(sink)
            while given < min(count, len(pieces)):
                source.give(pieces[given])
                given += 1
            self.assertEqual(sink.data, b"".join(pieces[:given]))
            self.assertEqual(kept.replayable, len(sink.data) <= limit)
            reading.abandon()
            self.assertIsNotNone(sink.failure)
            self.assertEqual(source.stopped, not kept.replayable)
        if kept.replayable:
            sink = Sink()
            kept.replay().start(sink)
            for piece in pieces[given:]:
                source.give(piece)
            source.end()
            self.assertEqual((sink.data, sink.trailers), (b"".join(pieces), ()))

    def test_aBodyThatFailsCanNotBeSentAgain(self) -> None:
        source, sink = FakeBody(), Sink()
        kept = KeptBody(source, 10)
        kept.replay().start(sink)
        source.fail(ValueError("gone"))
        self.assertEqual(str(sink.failure), "gone")
        self.assertFalse(kept.replayable)
        self.assertRaises(ValueError, kept.replay)

    def test_thereIsOneReaderAtATime(self) -> None:
        kept = KeptBody(FakeBody(length=3), 10)
        first = kept.replay()
        self.assertEqual(first.length, 3)
        self.assertRaises(ValueError, kept.replay)
        first.stopProducing()
        kept.replay()

    def test_theRestIsPassedOnAndNotKept(self) -> None:
        source, sink = FakeBody(), Sink()
        kept = KeptBody(source, 100)
        kept.replay().start(sink)
        source.give(b"a")
        kept.finish()
        source.give(b"b")
        source.end()
        self.assertEqual((sink.data, sink.trailers), (b"ab", ()))
        self.assertFalse(kept.replayable)
