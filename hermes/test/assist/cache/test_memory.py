"""
Tests for L{hermes.assist.cache.memory}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.cache.memory import MemoryStore
from hermes.assist.cache.stored import Key
from hermes.test.assist.cache.storesuite import SIZE, URL, Filler, StoreSuite


class MemoryStoreTests(StoreSuite, SynchronousTestCase):
    """
    In memory.
    """

    def make(self, capacity: int = SIZE, largest: int = SIZE) -> MemoryStore:
        return MemoryStore(capacity, largest)

    def test_whatIsBeingWrittenCountsAndWhereThereIsNoRoomFails(self) -> None:
        store = self.make(10_000)
        fillers = [Filler(), Filler()]
        writers = [store.writer(self.response(), filler) for filler in fillers]
        writers[0].write(b"x" * 6_000)
        self.assertEqual(store.size, 6_000)
        writers[1].write(b"y" * 6_000)
        self.assertEqual((fillers[0].calls, fillers[1].calls), ([], ["failed"]))
        self.assertEqual(self.piece(writers[1].read(0, 10_000)), b"y" * 6_000)
        self.successResultOf(writers[0].commit())
        self.assertEqual(len(self.successResultOf(store.lookup(Key(URL)))), 1)

    def test_noObjectIsLargerThanTheStore(self) -> None:
        self.assertEqual(self.make(1000, 5000).largest, 1000)

    def test_nothingIsLeftWhenItIsClosed(self) -> None:
        self.put()
        self.successResultOf(self.store.close())
        self.assertEqual((self.store.size, self.find()), (0, []))
