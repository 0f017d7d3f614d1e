"""
Tests for L{hermes.ndnstore}: a Content Store in the store of an HTTP cache, and an object that is asked for both ways.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.assist.cache.cache import Cache
from hermes.assist.cache.disk import DiskStore
from hermes.assist.cache.freshness import Rules
from hermes.assist.cache.memory import MemoryStore
from hermes.assist.cache.options import CacheOptions
from hermes.config.types import Size
from hermes.messages import BytesBody, Response
from hermes.ndn.interfaces import IContentStore
from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData, peekInterest
from hermes.ndn.security.signers import DigestSigner
from hermes.ndnstore import MAX_WRITING, CachedContentStore
from hermes.test.assist.cache.fakes import AtOnce, Reader
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.gateway.publishers import GatewayCase
from hermes.test.ndn.management.nodes import App, Node
from hermes.test.ndn.security.keys import NOW, Identity
from hermes.values import ResponseHead

SIZE = 1 << 20


def data(text: str, body: bytes = b"", freshness: int = 0) -> DataView:
    """
    Data.
    """
    return peekData(encodeData(Name.fromText(text), body, DigestSigner(), MetaInfo(freshness=freshness)))


def interest(text: str, **options: Any) -> InterestView:
    """
    An Interest.
    """
    return peekInterest(encodeInterest(Name.fromText(text), nonce=1, **options))


class Suite:
    """
    What both kinds of store have to do.
    """

    def setUp(self: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = self.make()
        self.cs = CachedContentStore(self.clock, lambda: self.store, SIZE)

    def found(self: Any, text: str, **options: Any) -> bytes | None:
        """
        What answers an Interest.
        """
        found = self.cs.find(interest(text, **options))
        if isinstance(found, Deferred):
            found = self.successResultOf(found)
        return None if found is None else bytes(found.content())

    def test_itIsAContentStore(self: Any) -> None:
        verifyObject(IContentStore, self.cs)

    def test_whatIsKeptIsFoundByteForByte(self: Any) -> None:
        view = data("/a/b", b"hello")
        self.cs.insert(view)
        found = self.cs.find(interest("/a/b"))
        self.assertEqual(found.wire, view.wire)
        self.assertIsNone(self.found("/a"))
        self.assertIsNone(self.found("/a/b/c"))
        self.assertEqual((len(self.cs), self.cs.hits, self.cs.misses), (1, 1, 2))

    def test_aPrefixFindsTheLatest(self: Any) -> None:
        for version in (1, 2):
            self.cs.insert(data(f"/a/v={version}", b"%d" % version))
        self.assertEqual(self.found("/a", canBePrefix=True), b"2")
        self.assertEqual(self.found("/a/v=1", canBePrefix=True), b"1")
        self.assertIsNone(self.found("/b", canBePrefix=True))

    def test_onlyWhatIsFreshAnswersWhoWantsThat(self: Any) -> None:
        self.cs.insert(data("/a", b"a", 2000))
        self.cs.insert(data("/b", b"b"))
        self.assertEqual(self.found("/a", mustBeFresh=True), b"a")
        self.assertIsNone(self.found("/b", mustBeFresh=True))
        self.clock.advance(2.1)
        self.assertIsNone(self.found("/a", mustBeFresh=True))
        self.assertEqual(self.found("/a"), b"a")

    def test_aDigestIsFoundThoughTheIndexDoesNotKnowIt(self: Any) -> None:
        view = data("/a", b"hello", 5000)
        self.cs.insert(view)
        name = f"/a/sha256digest={view.digest().hex()}"
        self.assertEqual(self.found(name), b"hello")
        self.assertEqual(self.found(name, mustBeFresh=True), b"hello")
        # Another node's, or one that has started since.
        self.cs = CachedContentStore(self.clock, lambda: self.store, SIZE)
        self.assertEqual(self.found(name), b"hello")
        self.assertIsNone(self.found(name, mustBeFresh=True))
        self.assertIsNone(self.found("/a"))
        self.assertIsNone(self.found(f"/b/sha256digest={view.digest().hex()}"))
        self.assertIsNone(self.found(f"/a/sha256digest={sha256(b'x').hexdigest()}"))

    def test_theSameNameHasOnePacket(self: Any) -> None:
        self.cs.insert(data("/a", b"one"))
        self.cs.insert(data("/a", b"two"))
        self.assertEqual((self.found("/a"), len(self.cs)), (b"two", 1))
        self.assertEqual(self.store.objects, 1)

    def test_itIsErased(self: Any) -> None:
        for name in ("/a", "/a/b", "/a/c", "/ab"):
            self.cs.insert(data(name, b"x"))
        a, cs = b"\x08\x01a", self.cs
        self.assertEqual([cs.erase(a, 2), cs.holds(a), cs.erase(a), cs.holds(a)], [2, True, 1, False])
        self.assertEqual([self.found(name) for name in ("/a", "/a/b", "/a/c", "/ab")], [None, None, None, b"x"])
        self.assertEqual(self.store.objects, 1)

    def test_whatTheStoreHasNoRoomForIsNotFound(self: Any) -> None:
        for number in range(300):
            self.cs.insert(data(f"/a/{number}", bytes(8000)))
            self.clock.advance(0.1)
        self.settle()
        self.assertLessEqual(self.store.size, SIZE)
        there = [self.found(f"/a/{number}") is not None for number in range(300)]
        self.assertTrue(all(there[-50:]))
        self.assertFalse(any(there[:100]))
        self.assertGreater(self.cs.evicted, 100)
        # The index has only what is there.
        self.assertEqual(len(self.cs), sum(there))

    def test_itCanBeBoundedInPackets(self: Any) -> None:
        for number in range(10):
            self.cs.insert(data(f"/a/{number}"))
        self.cs.maxPackets = 4
        self.assertEqual((len(self.cs), self.store.objects), (4, 4))
        self.cs.insert(data("/a/10"))
        self.assertEqual(len(self.cs), 4)
        self.assertIsNotNone(self.found("/a/10"))

    def test_itCanBeTurnedOff(self: Any) -> None:
        self.cs.insert(data("/a", b"x"))
        self.cs.serve = False
        self.assertIsNone(self.found("/a"))
        self.cs.serve = True
        self.cs.admit = False
        self.cs.insert(data("/b", b"x"))
        self.assertEqual((self.found("/a"), self.found("/b")), (b"x", None))

    def test_whatNobodyHasAskedForIsNotKept(self: Any) -> None:
        self.cs.insert(data("/a"), True)
        self.assertEqual(len(self.cs), 0)

    def test_anotherStoreKnowsNothingOfTheFirst(self: Any) -> None:
        self.cs.insert(data("/a", b"x"))
        first, self.store = self.store, None
        self.assertIsNone(self.found("/a"))
        self.cs.insert(data("/b", b"x"))
        self.assertEqual((len(self.cs), self.cs.erase(b"")), (0, 0))
        self.store = first
        self.assertIsNone(self.found("/a"))

    def test_whatItHoldsIsCounted(self: Any) -> None:
        self.assertEqual(self.cs.heldBytes, 0)
        view = data("/a", bytes(1000))
        self.cs.insert(view)
        self.assertGreater(self.cs.heldBytes, len(view.wire))
        self.cs.erase(b"")
        self.assertEqual(self.cs.heldBytes, 0)


class MemoryTests(Suite, SynchronousTestCase):
    """
    In memory.
    """

    def make(self) -> MemoryStore:
        return MemoryStore(SIZE, SIZE)

    def settle(self) -> None:
        pass

    def test_itAnswersAtOnce(self) -> None:
        self.cs.insert(data("/a", b"x"))
        self.assertIsInstance(self.cs.find(interest("/a")), DataView)


class Later:
    """
    Runs functions when a test says so.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Any, Deferred[Any]]] = []
        self.inner = AtOnce()

    def run(self, function: Any) -> Deferred[Any]:
        """
        See L{hermes.assist.cache.database.Runner}.
        """
        deferred: Deferred[Any] = Deferred()
        self.waiting.append((function, deferred))
        return deferred

    def stop(self) -> None:
        """
        See there.
        """

    def go(self) -> None:
        """
        Run what waits, and what comes of it.
        """
        while self.waiting:
            function, deferred = self.waiting.pop(0)
            self.inner.run(function).chainDeferred(deferred)


class DiskTests(Suite, SynchronousTestCase):
    """
    On disk, whose threads run at once.
    """

    def make(self) -> DiskStore:
        self.path = self.mktemp()
        self.runners = AtOnce(), AtOnce()
        store = DiskStore(self.path, SIZE, SIZE, Rules(), self.clock, *self.runners)
        self.addCleanup(lambda: self.successResultOf(store.close()))
        return store

    def settle(self) -> None:
        self.clock.pump([10] * 8)
        self.successResultOf(self.store.write(lambda connection: None))


class SlowDiskTests(SynchronousTestCase):
    """
    On disk, whose threads take their time.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.reading, self.writing = Later(), Later()
        store = DiskStore(self.mktemp(), SIZE, SIZE, Rules(), self.clock, self.reading, self.writing)
        self.addCleanup(store.close)
        self.cs = CachedContentStore(self.clock, lambda: store, 10 * SIZE)

    def test_whatIsBeingWrittenIsThere(self) -> None:
        view = data("/a", b"x")
        self.cs.insert(view)
        self.assertIs(self.cs.find(interest("/a")), view)
        self.writing.go()
        later = self.cs.find(interest("/a"))
        assert isinstance(later, Deferred)
        self.assertNoResult(later)
        self.reading.go()
        found = self.successResultOf(later)
        assert found is not None
        self.assertEqual(found.wire, view.wire)
        self.assertEqual(self.cs.hits, 2)

    def test_whatIsOnItsWayIsBounded(self) -> None:
        for number in range(MAX_WRITING + 10):
            self.cs.insert(data(f"/a/{number}"))
        self.assertEqual(len(self.cs), MAX_WRITING)


class BothWaysTests(GatewayCase):
    """
    An object that is asked for by HTTP and over NDN, where a cache is before the gateway and the Content Store in it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.store = MemoryStore(SIZE, SIZE)
        options: Any = CacheOptions(size=Size(SIZE), largest=Size(SIZE))
        self.cache = Cache("pages", "edge", options, self.store, self.node.clock)
        self.node.forwarder.cs = CachedContentStore(self.node.clock, lambda: self.store, SIZE)
        self.alice = Identity("/a", kind="ecdsa", number=2)
        self.made = self.producer.publish("/a/file", content(10_000), segmentSize=1000, signer=self.alice.signer)

    def ask(self, path: str, assistant: Any = None, **options: Any) -> Deferred[Response]:
        """
        Ask for something: first the cache.
        """
        return self.cache.assist(
            self.request(path, **options), lambda request: self.gateway.assist(request, self.passed)
        )

    def consume(self) -> bytes:
        """
        Fetch it over NDN; its producer has signed each segment.
        """
        consumer = App(self.node)
        whole = b""
        for index in range(self.made.count):
            consumer.data.clear()
            wire = encodeInterest(self.made.prefix + Name.fromText(f"/seg={index}"), nonce=index)
            self.node.forwarder.receiveInterest(consumer, peekInterest(wire))
            self.run_(0.1)
            [view] = consumer.data
            packet = decodeData(view.wire)
            self.assertTrue(self.alice.certificate.verifies(packet))
            whole += packet.content
        consumer.close()
        return whole

    def kept(self) -> int:
        """
        How many bytes of content are kept, in anything.
        """
        return sum(len(stored.place.data) for stored in self.store._order)

    def test_itIsKeptOnce(self) -> None:
        for _ in range(2):
            answered = self.get("/ndn/a/file/v=7")
            self.assertEqual(answered.body, content(10_000))
            self.assertEqual(self.consume(), content(10_000))
        # Ten packets: what they have beside their content is less than a tenth of it.
        self.assertLess(self.kept(), 1.2 * 10_000)
        self.assertEqual(self.store.objects, 10)
        # Each was fetched from its producer once.
        segments = {name: count for name, count in self.producer.times.items() if "/seg=" in name}
        self.assertEqual(segments, {f"/a/file/v=7/seg={index}": 1 for index in range(10)})

    def test_overNDNFirstItIsTheSame(self) -> None:
        self.assertEqual(self.consume(), content(10_000))
        self.assertEqual(self.get("/ndn/a/file/v=7").body, content(10_000))
        self.assertEqual(self.store.objects, 10)

    def test_otherResponsesShareTheBound(self) -> None:
        self.get("/ndn/a/file/v=7")
        page = Response(ResponseHead(200, ((b"cache-control", b"max-age=60"),)), BytesBody(b"page" * 1000))
        page_: Deferred[Response] = Deferred()
        page_.callback(page)
        asked = self.cache.assist(self.request("/page"), lambda request: page_)
        response = self.successResultOf(asked)
        assert response.body is not None
        Reader(response.body).start()
        self.run_(0.1)
        self.assertEqual(self.store.objects, 11)
        self.assertLess(self.kept() - 4000, 12_000)

    def test_whereTheContentStoreKeepsNothingTheCacheDoes(self) -> None:
        self.node.forwarder.cs.admit = False
        self.get("/ndn/a/file/v=7")
        self.run_(1)
        self.assertEqual(self.store.objects, 1)
        self.assertEqual(self.get("/ndn/a/file/v=7").body, content(10_000))
        self.assertEqual(self.kept(), 10_000)


class WholeTests(SynchronousTestCase):
    """
    In a forwarder, on a disk that takes its time.
    """

    def setUp(self) -> None:
        clock = Clock()
        clock.advance(NOW)
        self.node = Node("edge", clock)
        self.reading = Later()
        self.store = DiskStore(self.mktemp(), SIZE, SIZE, Rules(), clock, self.reading, AtOnce())
        self.node.forwarder.cs = self.cs = CachedContentStore(clock, lambda: self.store, SIZE)
        self.consumer, self.producer = App(self.node), App(self.node)
        self.producer.command("rib/register", name=Name.fromText("/a"))
        self.producer.serve("/a", b"new")
        self.cs.insert(data("/a", b"old"))

    def tearDown(self) -> None:
        self.producer.up = False
        self.node.stop()
        closing = self.store.close()
        self.reading.go()
        self.successResultOf(closing)

    def test_anInterestWaitsForTheDisk(self) -> None:
        self.assertIsNone(self.consumer.get("/a"))
        self.reading.go()
        self.assertEqual([bytes(view.content()) for view in self.consumer.data], [b"old"])
        self.assertEqual(self.producer.asked(), [])

    def test_whereTheDiskHasNothingItGoesOn(self) -> None:
        self.successResultOf(self.store.invalidate(b"ndn:" + Name.fromText("/a").value.hex().encode()))
        self.assertIsNone(self.consumer.get("/a"))
        self.reading.go()
        self.node.clock.pump([0, 0, 0])
        self.assertEqual([bytes(view.content()) for view in self.consumer.data], [b"new"])
