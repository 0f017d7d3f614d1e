"""
What L{hermes.assist.cache.store} promises, as tests for each kind of store.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.assist.cache.diskwriter import PIECE_SIZE
from hermes.assist.cache.freshness import Rules, assess
from hermes.assist.cache.memory import MAX_VARIANTS, OBJECT_COST
from hermes.assist.cache.store import IObjectFiller, IObjectStore, IObjectWriter
from hermes.assist.cache.stored import Key, Selecting, StoredResponse
from hermes.interfaces import IBody
from hermes.test.assist.cache.fakes import EPOCH, Reader
from hermes.values import ResponseHead

URL = b"http://web.example/"
SIZE = 4 << 20


@implementer(IObjectFiller)
class Filler:
    """
    Writes down what a writer says.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def writerReady(self) -> None:
        self.calls.append("ready")

    def writerFailed(self, reason: Failure) -> None:
        self.calls.append("failed")


class StoreSuite:
    """
    One suite for all.
    """

    clock: Any
    store: Any

    def make(self: Any, capacity: int = SIZE, largest: int = SIZE) -> Any:
        """
        A store.
        """
        raise NotImplementedError

    def setUp(self: Any) -> None:
        self.clock = Clock()
        self.clock.advance(EPOCH)
        self.store = self.make()

    def response(
        self: Any, url: bytes = URL, selecting: Selecting = (), scope: bytes = b"", total: int | None = None
    ) -> StoredResponse:
        """
        A response of now.
        """
        now = self.clock.seconds()
        headers = ((b"cache-control", b"max-age=60"), (b"etag", b'"1"'), (b"x-empty", b""), (b"x-colon", b"a:b"))
        freshness = assess(ResponseHead(200, headers), now, now, Rules())
        return StoredResponse(Key(url, scope), selecting, 200, headers, now, now, freshness, None, total)

    def put(self: Any, body: bytes = b"body", **named: Any) -> StoredResponse:
        """
        Store one.
        """
        stored: StoredResponse = self.response(**named)
        writer = self.store.writer(stored, Filler())
        for at in range(0, len(body), 50_000):
            writer.write(body[at : at + 50_000])
        self.successResultOf(writer.commit())
        writer.release()
        return stored

    def find(self: Any, url: bytes = URL, scope: bytes = b"") -> list[StoredResponse]:
        """
        What is stored.
        """
        return list(self.successResultOf(self.store.lookup(Key(url, scope))))

    def bytesOf(self: Any, stored: StoredResponse, start: int = 0, stop: int | None = None) -> bytes:
        """
        A part of its body.
        """
        assert stored.length is not None
        body = self.store.body(stored, start, stored.length if stop is None else stop)
        assert body.length == (stored.length if stop is None else stop) - start
        data: bytes = self.read(body)
        return data

    def read(self: Any, body: IBody) -> bytes:
        """
        A whole body.
        """
        reader = Reader(body).start()
        assert reader.trailers == (), reader.failure
        return bytes(reader.data)

    def test_itProvidesItsInterfaces(self: Any) -> None:
        self.assertTrue(verifyObject(IObjectStore, self.store))
        self.assertTrue(verifyObject(IObjectWriter, self.store.writer(self.response(), Filler())))

    def test_whatIsStoredIsFoundWithAllThatIsKnownOfIt(self: Any) -> None:
        selecting = ((b"accept", b"text/html"), (b"accept-language", None), (b"x", b""))
        put = self.put(b"hello", selecting=selecting, scope=b"alice\n")
        (found,) = self.find(scope=b"alice\n")
        for name in ("key", "selecting", "status", "headers", "requestedAt", "receivedAt", "freshness", "total"):
            self.assertEqual(getattr(found, name), getattr(put, name), name)
        self.assertEqual((found.length, found.digest), (5, sha256(b"hello").digest()))
        self.assertEqual((put.length, put.digest), (found.length, found.digest))
        self.assertTrue(found.complete)
        self.assertEqual(self.bytesOf(found), b"hello")
        self.assertEqual(self.find(), [])

    def test_bodiesOfAllSizesComeBackAsTheyWere(self: Any) -> None:
        for size in (0, 1, 65_536, 65_537, PIECE_SIZE - 1, PIECE_SIZE, PIECE_SIZE + 1, 3 * PIECE_SIZE + 17):
            data = bytes(range(256)) * (size // 256 + 1)
            self.put(data[:size])
            (found,) = self.find()
            self.assertEqual(found.length, size)
            self.assertEqual(self.bytesOf(found), data[:size])

    def test_aPartOfABodyIsReadFromAnywhere(self: Any) -> None:
        data = bytes(n * 7 % 251 for n in range(2 * PIECE_SIZE + 1000))
        self.put(data)
        (found,) = self.find()
        for start, stop in (
            (0, 1),
            (5, 5),
            (PIECE_SIZE - 3, PIECE_SIZE + 3),
            (10, len(data)),
            (len(data) - 1, len(data)),
        ):
            self.assertEqual(self.bytesOf(found, start, stop), data[start:stop])

    def test_aBodyIsReadAtItsReadersPace(self: Any) -> None:
        self.put(b"x" * 400_000)
        (found,) = self.find()
        reader = Reader(self.store.body(found, 0, 400_000), pauseAfter=1).start()
        self.assertLessEqual(len(reader.data), PIECE_SIZE)
        self.assertFalse(reader.over)
        reader.resume()
        self.assertEqual(bytes(reader.data), b"x" * 400_000)
        self.assertEqual(reader.trailers, ())

    def test_aBodyThatNobodyWantsAnyMoreIsStopped(self: Any) -> None:
        self.put(b"x" * 400_000)
        (found,) = self.find()
        reader = Reader(self.store.body(found, 0, 400_000), pauseAfter=1).start()
        reader.body.stopProducing()
        reader.resume()
        self.assertFalse(reader.over)

    def test_anotherResponseForTheSameRequestsTakesItsPlace(self: Any) -> None:
        self.put(b"one", selecting=((b"accept", b"a"),))
        self.put(b"two", selecting=((b"accept", b"b"),))
        self.put(b"three", selecting=((b"accept", b"a"),))
        self.assertEqual(sorted(self.bytesOf(found) for found in self.find()), [b"three", b"two"])
        self.assertEqual(self.store.objects, 2)

    def test_oneKeyHasSoManyVariantsTheOldestGoes(self: Any) -> None:
        for number in range(MAX_VARIANTS + 2):
            self.clock.advance(1)
            self.put(b"%d" % number, selecting=((b"cookie", b"%d" % number),))
        bodies = {self.bytesOf(found) for found in self.find()}
        self.assertEqual(bodies, {b"%d" % number for number in range(2, MAX_VARIANTS + 2)})

    def test_whatIsAbandonedIsNotStored(self: Any) -> None:
        filler = Filler()
        writer = self.store.writer(self.response(), filler)
        writer.write(b"x" * (PIECE_SIZE + 10))
        self.assertEqual(self.find(), [])
        writer.abandon()
        self.assertEqual(bytes(writer.read(PIECE_SIZE + 5, 100)), b"x" * 5)
        writer.release()
        self.assertEqual((self.find(), self.store.size, self.store.objects, filler.calls), ([], 0, 0, []))

    def test_whatIsBeingWrittenIsReadAlong(self: Any) -> None:
        data = bytes(n * 7 % 251 for n in range(2 * PIECE_SIZE + 1000))
        writer = self.store.writer(self.response(), Filler())
        seen = b""
        for at in range(0, len(data), 30_000):
            writer.write(data[at : at + 30_000])
            while len(seen) < min(at + 30_000, len(data)):
                seen += self.piece(writer.read(len(seen), 20_000))
        self.assertEqual(seen, data)
        self.successResultOf(writer.commit())
        self.assertEqual(self.piece(writer.read(PIECE_SIZE + 1, 5))[:5], data[PIECE_SIZE + 1 : PIECE_SIZE + 6])
        self.assertEqual(self.piece(writer.read(len(data) - 2, 5)), data[-2:])
        writer.release()

    def piece(self: Any, read: Any) -> bytes:
        """
        What a writer gives to read.
        """
        return bytes(self.successResultOf(read) if isinstance(read, Deferred) else read)

    def test_aBodyThatWasCutShortIsFoundAsSuch(self: Any) -> None:
        self.put(b"half", total=8)
        (found,) = self.find()
        self.assertEqual((found.length, found.total, found.complete), (4, 8, False))
        self.assertEqual(self.bytesOf(found), b"half")

    def test_theHeadIsRenewed(self: Any) -> None:
        self.put(b"body")
        (found,) = self.find()
        self.clock.advance(100)
        renewed = self.response()
        renewed.headers = ((b"x-new", b"yes"), *renewed.headers)
        renewed.length, renewed.digest, renewed.place = found.length, found.digest, found.place
        self.successResultOf(self.store.replace(found, renewed))
        (again,) = self.find()
        self.assertEqual(again.headers, renewed.headers)
        self.assertEqual(again.freshness.bornAt, EPOCH + 100)
        self.assertEqual(self.bytesOf(again), b"body")
        self.assertEqual(self.store.objects, 1)

    def test_whatIsGoneIsNotRenewed(self: Any) -> None:
        self.put(b"body")
        (found,) = self.find()
        self.successResultOf(self.store.remove(found))
        self.successResultOf(self.store.remove(found))
        self.successResultOf(self.store.replace(found, found))
        self.assertEqual(self.find(), [])

    def test_aUrlIsForgottenInEveryScope(self: Any) -> None:
        self.put(scope=b"alice\n")
        self.put(scope=b"bob\n")
        self.put(url=URL + b"other")
        self.assertEqual(self.successResultOf(self.store.invalidate(URL)), 2)
        self.assertEqual(self.find(scope=b"alice\n") + self.find(scope=b"bob\n"), [])
        self.assertEqual(len(self.find(URL + b"other")), 1)
        self.assertEqual(self.successResultOf(self.store.invalidate(URL)), 0)

    def test_allThatBeginsSoIsForgotten(self: Any) -> None:
        for path in (b"a/1", b"a/2", b"a", b"b/1"):
            self.put(url=URL + path)
        self.assertEqual(self.successResultOf(self.store.purge(URL + b"a/")), 2)
        self.assertEqual([len(self.find(URL + path)) for path in (b"a/1", b"a/2", b"a", b"b/1")], [0, 0, 1, 1])

    def test_anObjectIsFoundByTheDigestOfItsBytes(self: Any) -> None:
        data = b"x" * (PIECE_SIZE + 1)
        self.put(data)
        body = self.successResultOf(self.store.byDigest(sha256(data).digest()))
        self.assertEqual(body.length, len(data))
        self.assertEqual(self.read(body), data)
        self.assertIsNone(self.successResultOf(self.store.byDigest(sha256(b"y").digest())))

    def test_theSameBytesUnderTwoNamesOutliveOneOfThem(self: Any) -> None:
        self.put(b"same")
        self.put(b"same", url=URL + b"other")
        self.successResultOf(self.store.invalidate(URL + b"other"))
        (found,) = self.find()
        self.assertEqual(self.bytesOf(found), b"same")
        self.assertEqual(self.read(self.successResultOf(self.store.byDigest(sha256(b"same").digest()))), b"same")

    def test_whatNobodyHasAskedForTheLongestMakesRoom(self: Any) -> None:
        for number in range(3):
            self.put(b"%d" % number * (SIZE // 4), url=URL + b"%d" % number)
            self.clock.advance(1)
        self.find(URL + b"0")
        self.clock.advance(1)
        self.put(b"y" * (SIZE // 2), url=URL + b"3")
        self.assertEqual([len(self.find(URL + b"%d" % number)) for number in range(4)], [1, 0, 0, 1])
        self.assertEqual((self.store.objects, self.store.evicted), (2, 2))
        self.assertLessEqual(self.store.size, SIZE)

    def test_whatIsReplacedWhileItIsReadIsReadToItsEnd(self: Any) -> None:
        self.put(b"x" * 400_000)
        (found,) = self.find()
        reader = Reader(self.store.body(found, 0, 400_000), pauseAfter=1).start()
        self.put(b"other")
        self.successResultOf(self.store.invalidate(URL))
        reader.resume()
        self.assertEqual(bytes(reader.data), b"x" * 400_000)

    def test_theSizeIsThatOfAllBodiesAndOfWhatIsBesideThem(self: Any) -> None:
        self.put(b"x" * 100)
        cost = self.store.size - 100
        self.assertTrue(OBJECT_COST < cost < OBJECT_COST + 200, cost)
        self.put(b"x" * 50)
        self.put(b"y" * 60, url=URL[:-1] + b"!")
        self.settle()
        self.assertEqual(self.store.size, 110 + 2 * cost)
        self.successResultOf(self.store.purge(b""))
        self.settle()
        self.assertEqual((self.store.size, self.store.objects), (0, 0))

    def settle(self: Any) -> None:
        """
        Let the store tidy up.
        """
