"""
Data is found by whoever may have it, and makes room in time.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections import OrderedDict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.ndn.forwarder.contentstore import ContentStore
from hermes.ndn.interfaces import IContentStore
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView
from hermes.test.ndn.forwarder.forwarding import data, interest


class StoreCase(SynchronousTestCase):
    """
    A store.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.store = ContentStore(self.clock, 1 << 20)

    def fill(self, *names: str, freshness: int | None = None) -> None:
        for name in names:
            self.store.insert(data(name, freshness))

    def find(self, text: str, canBePrefix: bool = False, mustBeFresh: bool = False) -> str | None:
        found = self.store.find(interest(text, canBePrefix=canBePrefix, mustBeFresh=mustBeFresh))
        return None if found is None else str(Name.fromValue(found.name))


class ContentStoreTests(StoreCase):
    """
    L{ContentStore}.
    """

    def test_itIsAContentStore(self) -> None:
        verifyObject(IContentStore, self.store)

    def test_theExactNameIsFound(self) -> None:
        self.fill("/a/b")
        self.assertEqual(self.find("/a/b"), "/a/b")
        self.assertEqual([self.find(name) for name in ("/a", "/a/b/c", "/a/x")], [None] * 3)
        self.assertEqual((self.store.hits, self.store.misses), (1, 3))

    def test_aPrefixFindsWhatIsBelowOnlyWithCanBePrefix(self) -> None:
        self.fill("/a/b/c/d")
        self.assertEqual([self.find(name, True) for name in ("/a", "/a/b", "/a/b/c")], ["/a/b/c/d"] * 3)
        self.assertEqual(self.find("/a/b/c/d", True), "/a/b/c/d")
        self.assertIsNone(self.find("/a/b/c/d/e", True))
        self.assertIsNone(self.find("/a/x", True))
        self.assertIsNone(self.find("/a/b"))

    def test_theExactNameComesBeforeLongerOnes(self) -> None:
        self.fill("/a", "/a/b")
        self.assertEqual(self.find("/a", True), "/a")

    def test_ofSeveralTheLastThatCameIsFound(self) -> None:
        self.fill("/object/v=1", "/object/v=3", "/object/v=2")
        self.assertEqual(self.find("/object", True), "/object/v=2")

    def test_whatIsStaleOrWasNeverFreshAnswersOnlyWithoutMustBeFresh(self) -> None:
        self.fill("/never")
        self.fill("/a", freshness=1000)
        self.assertIsNone(self.find("/never", mustBeFresh=True))
        self.assertEqual(self.find("/never"), "/never")
        self.clock.advance(0.999)
        self.assertEqual(self.find("/a", mustBeFresh=True), "/a")
        self.clock.advance(0.001)
        self.assertIsNone(self.find("/a", mustBeFresh=True))
        self.assertEqual(self.find("/a"), "/a")

    def test_whatIsFreshIsFoundBehindWhatIsStale(self) -> None:
        self.fill("/o/v=1", freshness=10_000)
        self.fill("/o/v=2", "/o/v=3", freshness=10)
        self.clock.advance(1)
        self.assertEqual(self.find("/o", True, True), "/o/v=1")
        self.assertEqual(self.find("/o", True), "/o/v=3")

    def test_whatComesAgainIsFreshAgain(self) -> None:
        self.fill("/a", freshness=1000)
        self.clock.advance(5)
        self.fill("/a", freshness=1000)
        self.assertEqual(self.find("/a", mustBeFresh=True), "/a")
        self.assertEqual(len(self.store), 1)

    def test_anotherPacketOfTheSameNameTakesItsPlace(self) -> None:
        self.store.insert(data("/a", content=b"one"))
        held = self.store.heldBytes
        self.store.insert(data("/a", content=b"two"))
        self.assertEqual((self.store.heldBytes, len(self.store)), (held, 1))
        found = self.store.find(interest("/a"))
        self.assertIn(b"two", found.wire if isinstance(found, DataView) else b"")

    def test_theDigestNamesOnePacket(self) -> None:
        packet = data("/a/b", freshness=1000)
        self.store.insert(packet)
        full = str(Name.fromValue(packet.name).withDigest(packet.digest()))
        other = str(Name.fromValue(packet.name).withDigest(bytes(32)))
        self.assertEqual(self.find(full), "/a/b")
        self.assertEqual(self.find(full, mustBeFresh=True), "/a/b")
        self.assertIsNone(self.find(other))
        self.assertIsNone(self.find(other, canBePrefix=True))
        self.clock.advance(2)
        self.assertIsNone(self.find(full, mustBeFresh=True))
        self.assertEqual(self.find(full), "/a/b")

    def test_aComponentThatOnlyLooksLikeADigestIsNone(self) -> None:
        name = Name.fromText("/a") + (b"\x08\x24xx\x01\x20" + bytes(32))
        self.store.insert(data(str(name)))
        self.assertEqual(self.find(str(name)), str(name))
        self.assertIsNone(self.find(str(Name.fromText("/a") + (b"\x08\x24xx\x01\x20" + b"x" * 32))))

    def test_theOneThatWasAskedForLeastRecentlyMakesRoom(self) -> None:
        self.fill("/1", "/2", "/3")
        self.find("/1")
        self.find("/3")
        self.store.capacity = self.store.heldBytes - 1
        self.assertEqual((self.find("/2"), self.find("/1"), self.find("/3")), (None, "/1", "/3"))
        self.assertEqual(self.store.evicted, 1)

    def test_itNeverHoldsMoreThanItsCapacity(self) -> None:
        self.store.capacity = 20_000
        for number in range(1000):
            self.fill(f"/{number % 7}/x{'x' * (number % 50)}/{number}")
            self.assertLessEqual(self.store.heldBytes, 20_000)
        self.assertGreater(len(self.store), 10)
        self.assertEqual(self.store.evicted, 1000 - len(self.store))

    def test_itMayBeBoundedInPackets(self) -> None:
        self.store.maxPackets = 3
        self.fill("/1", "/2", "/3", "/4")
        self.assertEqual((len(self.store), self.find("/1"), self.find("/4")), (3, None, "/4"))
        self.store.maxPackets = 1
        self.assertEqual(len(self.store), 1)
        self.store.maxPackets = None
        self.fill("/5", "/6")
        self.assertEqual(len(self.store), 3)

    def test_whatIsLargerThanTheWholeIsNotKeptNorItsPredecessor(self) -> None:
        self.fill("/a")
        self.store.capacity = self.store.heldBytes + 100
        self.fill("/b")
        self.assertEqual(self.find("/b"), "/b")
        self.store.insert(data("/b", content=bytes(5000)))
        self.assertIsNone(self.find("/b"))
        self.store.capacity = 0
        self.fill("/c")
        self.assertEqual((len(self.store), self.store.heldBytes), (0, 0))

    def test_itTakesInAndAnswersOnlyWhereItIsTo(self) -> None:
        self.store.admit = False
        self.fill("/a")
        self.assertEqual(len(self.store), 0)
        self.store.admit = True
        self.fill("/a")
        self.store.serve = False
        self.assertIsNone(self.find("/a"))
        self.fill("/b/c")
        self.assertIsNone(self.find("/b", True))
        self.assertEqual((self.store.hits, self.store.misses), (0, 2))
        self.store.serve = True
        self.assertEqual(self.find("/a"), "/a")

    def test_whatIsBelowAPrefixIsErased(self) -> None:
        self.fill("/a", "/a/b", "/a/b/c", "/ab", "/b")
        self.assertEqual(self.store.erase(Name.fromText("/a").value), 3)
        self.assertEqual([self.find(name) for name in ("/a", "/a/b", "/ab", "/b")], [None, None, "/ab", "/b"])
        self.assertEqual(self.store.erase(b""), 2)
        self.assertEqual((len(self.store), self.store.heldBytes), (0, 0))

    def test_noMoreAreErasedThanAskedFor(self) -> None:
        self.fill("/a", *(f"/a/{number}" for number in range(9)))
        self.assertEqual(self.store.erase(Name.fromText("/a").value, 4), 4)
        self.assertEqual(len(self.store), 6)
        self.assertEqual(self.store.erase(Name.fromText("/a").value, 40), 6)

    def test_itTellsWhetherThereIsAnythingBelowAPrefix(self) -> None:
        self.fill("/a/b", "/c")
        found = [self.store.holds(Name.fromText(name).value) for name in ("/", "/a", "/a/b", "/a/b/c", "/ab", "/c")]
        self.assertEqual(found, [True, True, True, False, False, True])
        self.store.erase(b"")
        self.assertFalse(self.store.holds(b""))

    def test_aMillionThatAreStaleDoNotHoldUpWhoWantsFresh(self) -> None:
        """
        So many are looked at, and no more; that something fresh is among them is not found then, and it is asked for.
        """
        self.fill("/o/first", freshness=100_000)
        self.fill(*(f"/o/{number}" for number in range(1000)))
        looks: list[bytes] = []
        packets = self.store._packets

        class Counting(OrderedDict[bytes, Any]):
            def __getitem__(self, name: bytes) -> Any:
                looks.append(name)
                return super().__getitem__(name)

        self.store._packets = Counting(packets)
        self.assertIsNone(self.find("/o", True, True))
        self.assertLess(len(looks), 100)
        self.assertEqual(self.find("/o", True), "/o/999")


class MemoryTests(StoreCase):
    """
    What a store says it holds is what Python holds for it.
    """

    def measure(self, names: list[str], size: int) -> float:
        """
        Bytes that Python has for each byte that the store counts.
        """
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            store = ContentStore(self.clock, 1 << 30)
            for name in names:
                store.insert(data(name, 1000, content=bytes(size)))
            gc.collect()
            return (tracemalloc.get_traced_memory()[0] - before) / store.heldBytes
        finally:
            tracemalloc.stop()

    def test_segmentsOfAnObject(self) -> None:
        ratio = self.measure([f"/some/producer/object/v=1/seg={number}" for number in range(2000)], 8000)
        self.assertTrue(0.9 < ratio < 1.02, ratio)

    def test_smallPackets(self) -> None:
        ratio = self.measure([f"/some/producer/object/v=1/seg={number}" for number in range(2000)], 10)
        self.assertTrue(0.7 < ratio < 1.02, ratio)

    def test_namesThatHaveNothingInCommon(self) -> None:
        ratio = self.measure([f"/{number}/b/c/d/e/f/g/h" for number in range(500)], 10)
        self.assertTrue(0.7 < ratio < 1.02, ratio)

    def test_longNames(self) -> None:
        ratio = self.measure([f"/{number}" + "/component" * 100 for number in range(50)], 10)
        self.assertTrue(0.7 < ratio < 1.02, ratio)


PARTS = st.sampled_from("ab")
NAMES = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


class ModelTests(SynchronousTestCase):
    """
    The store does what a list of packets would.
    """

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("insert"), NAMES, st.sampled_from([0, 10, 1000])),
                st.tuples(st.just("find"), NAMES, st.integers(0, 3)),
                st.tuples(st.just("erase"), NAMES, st.just(0)),
                st.tuples(st.just("advance"), st.just(""), st.sampled_from([5, 50])),
            ),
            max_size=60,
        )
    )
    def test_itIsAsAListWouldBe(self, steps: list[tuple[str, str, int]]) -> None:
        clock = Clock()
        clock.advance(1000)
        store = ContentStore(clock, 1 << 20)
        model: dict[str, float] = {}
        for step, name, number in steps:
            if step == "insert":
                store.insert(data(name, number or None))
                model[name] = clock.seconds() + number / 1000
            elif step == "erase":
                gone = [each for each in model if (each + "/").startswith(name + "/")]
                self.assertEqual(store.erase(Name.fromText(name).value), len(gone))
                for each in gone:
                    del model[each]
            elif step == "advance":
                clock.advance(number / 1000)
            else:
                prefix, fresh = bool(number & 1), bool(number & 2)
                found = store.find(interest(name, canBePrefix=prefix, mustBeFresh=fresh))
                right = {
                    each
                    for each, until in model.items()
                    if (each == name or (prefix and each.startswith(name + "/")))
                    and (not fresh or until > clock.seconds())
                }
                self.assertEqual(found is None, not right)
                if isinstance(found, DataView):
                    self.assertIn(str(Name.fromValue(found.name)), right)
            self.assertEqual(len(store), len(model))
        store.erase(b"")
        self.assertEqual((store.heldBytes, len(store._children)), (0, 0))
