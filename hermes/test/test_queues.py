"""
Tests for L{hermes.queues}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.queues import DATAGRAM_COST, DatagramQueue


class DatagramQueueTests(SynchronousTestCase):
    """
    Bounds, order and counting.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.queue = DatagramQueue(10 * (100 + DATAGRAM_COST), 1.6, self.clock)

    def test_datagramsComeOutInOrder(self) -> None:
        self.queue.append([b"a", b"b"])
        self.clock.advance(0.5)
        self.queue.append([b"c"])
        self.assertEqual(self.queue.popBatch(1000), [b"a", b"b", b"c"])
        self.assertFalse(self.queue)
        self.assertEqual((self.queue.bufferedBytes, self.queue.dropped), (0, 0))

    def test_borrowedDatagramsAreCopied(self) -> None:
        borrowed = bytearray(b"before")
        self.queue.append([memoryview(borrowed)])
        borrowed[:] = b"after!"
        self.assertEqual(self.queue.popBatch(1000), [b"before"])

    def test_aPopTakesNoMoreThanIsAskedFor(self) -> None:
        self.queue.append([b"aa", b"bb", b"cc"])
        self.assertEqual(self.queue.popBatch(5), [b"aa", b"bb"])
        self.assertEqual(self.queue.popBatch(5), [b"cc"])
        self.assertEqual(self.queue.popBatch(5), [])

    def test_aPopTakesAtLeastOne(self) -> None:
        self.queue.append([b"x" * 90, b"y"])
        self.assertEqual(self.queue.popBatch(1), [b"x" * 90])
        self.assertEqual(self.queue.popBatch(1), [b"y"])

    def test_aPopCrossesBatches(self) -> None:
        self.queue.append([b"a" * 10])
        self.clock.advance(1)
        self.queue.append([b"b" * 10, b"c" * 10])
        self.assertEqual(self.queue.popBatch(20), [b"a" * 10, b"b" * 10])
        self.assertEqual(len(self.queue), 1)

    def test_theOldestAreDroppedWhenTooManyBytesWait(self) -> None:
        self.queue.append([b"%d" % n * 100 for n in range(8)])
        self.clock.advance(1)
        self.queue.append([b"%d" % n * 100 for n in range(8, 10)] + [b"x" * 100])
        self.assertEqual(self.queue.dropped, 1)
        self.assertEqual(self.queue.popBatch(10000)[0], b"1" * 100)

    def test_anOldBatchIsDroppedWhole(self) -> None:
        self.queue.append([b"a" * 100] * 2)
        self.clock.advance(1)
        self.queue.append([b"b" * 100] * 10)
        self.assertEqual(self.queue.dropped, 2)
        self.assertEqual(self.queue.popBatch(10000), [b"b" * 100] * 10)

    def test_whatIsLargerThanTheBoundIsDropped(self) -> None:
        self.queue.append([b"x" * 10000])
        self.assertFalse(self.queue)
        self.assertEqual((self.queue.bufferedBytes, self.queue.dropped), (0, 1))

    def test_nothingIsDeliveredLate(self) -> None:
        self.queue.append([b"old", b"older"])
        self.clock.advance(0.8)
        self.queue.append([b"young"])
        self.clock.advance(0.8)
        self.assertEqual(self.queue.popBatch(1000), [b"young"])
        self.assertEqual(self.queue.dropped, 2)

    def test_ageIsBoundedThoughNobodyPops(self) -> None:
        self.queue.append([b"old"])
        self.clock.advance(2)
        self.queue.expire()
        self.assertEqual((len(self.queue), self.queue.bufferedBytes, self.queue.dropped), (0, 0, 1))

    def test_emptyDatagramsAreNotFree(self) -> None:
        self.queue.append([b""] * 1000)
        self.assertEqual(len(self.queue), 10 * (100 + DATAGRAM_COST) // DATAGRAM_COST)

    def test_whatIsPutBackComesFirstAndStaysOld(self) -> None:
        self.queue.append([b"a", b"b"])
        self.clock.advance(1)
        self.queue.append([b"c"])
        self.queue.restore(self.queue.popBatch(2)[1:])
        self.assertEqual(self.queue.popBatch(2), [b"b", b"c"])
        self.queue.append([b"a", b"b"])
        self.queue.restore(self.queue.popBatch(2))
        self.clock.advance(1.6)
        self.assertEqual(self.queue.popBatch(2), [])
        self.assertEqual(self.queue.dropped, 2)

    @settings(deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.lists(st.binary(max_size=300), max_size=8),
                st.integers(1, 1000),
                st.floats(0, 1, allow_nan=False),
            )
        )
    )
    def test_theBooksBalance(self, steps: list[list[bytes] | int | float]) -> None:
        """
        Whatever is appended is popped, in order, or counted as dropped; the bound holds throughout.
        """
        clock = Clock()
        bound = 1000
        queue = DatagramQueue(bound, 1.0, clock)
        appended: list[bytes] = []
        popped: list[bytes] = []
        for step in steps:
            if isinstance(step, list):
                queue.append(step)
                appended += step
            elif isinstance(step, int):
                popped += queue.popBatch(step)
            else:
                clock.advance(step)
            self.assertLessEqual(queue.bufferedBytes, bound)
            self.assertEqual(len(appended), len(popped) + queue.dropped + len(queue))
        popped += queue.popBatch(10**6)
        self.assertEqual(queue.bufferedBytes, 0)
        rest = iter(appended)
        self.assertTrue(all(datagram in rest for datagram in popped))
