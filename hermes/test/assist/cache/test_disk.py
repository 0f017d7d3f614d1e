"""
Tests for L{hermes.assist.cache.disk} and what it stands on.
"""

from __future__ import annotations

import sqlite3
from typing import Any
from unittest import TestCase

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.cache.disk import GRACE, TIDY, DiskStore
from hermes.assist.cache.diskwriter import MAX_PENDING, PIECE_SIZE
from hermes.assist.cache.freshness import Rules
from hermes.assist.cache.memory import OBJECT_COST
from hermes.assist.cache.rows import readFields, readSelecting, writeFields, writeSelecting
from hermes.assist.cache.stored import Key, Selecting
from hermes.test.assist.cache.fakes import AtOnce, Reader
from hermes.test.assist.cache.storesuite import SIZE, URL, Filler, StoreSuite


class DiskStoreTests(StoreSuite, SynchronousTestCase):
    """
    On disk, without threads.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()
        super().setUp()

    def make(self, capacity: int = SIZE, largest: int = SIZE) -> DiskStore:
        self.reading, self.writing = AtOnce(), AtOnce()
        store = DiskStore(self.path, capacity, largest, Rules(), self.clock, self.reading, self.writing)
        self.addCleanup(lambda: None if self.reading.stopped else self.successResultOf(store.close()))
        return store

    def settle(self) -> None:
        # What belongs to nobody goes at the end of its time, in the next transaction.
        self.clock.pump([TIDY] * 8)
        self.successResultOf(self.store.write(lambda connection: None))

    def database(self) -> sqlite3.Connection:
        """
        The file, past the store.
        """
        connection = sqlite3.connect(self.path)
        self.addCleanup(connection.close)
        return connection

    def test_itIsThereWhenItIsOpenedAgain(self) -> None:
        data = b"x" * (PIECE_SIZE + 1)
        self.put(data)
        size = self.store.size
        self.successResultOf(self.store.close())
        self.store = self.make()
        (found,) = self.find()
        self.assertEqual(self.bytesOf(found), data)
        self.assertEqual((self.store.size, self.store.objects), (size, 1))

    def test_twoProcessesShareIt(self) -> None:
        other = self.make()
        self.put(b"one")
        (found,) = self.successResultOf(other.lookup(Key(URL)))
        self.assertEqual(self.read(other.body(found, 0, 3)), b"one")
        self.assertEqual(self.successResultOf(other.invalidate(URL)), 1)
        self.assertEqual(self.find(), [])

    def test_aFileThatIsNoDatabaseIsSetAside(self) -> None:
        self.successResultOf(self.store.close())
        with open(self.path, "wb") as file:
            file.write(b"this is no database" * 1000)
        self.store = self.make()
        self.put(b"new")
        (found,) = self.find()
        self.assertEqual(self.bytesOf(found), b"new")
        with open(self.path + ".broken", "rb") as file:
            self.assertTrue(file.read().startswith(b"this is no database"))

    def test_aDatabaseOfAnotherVersionIsSetAside(self) -> None:
        self.successResultOf(self.store.close())
        connection = self.database()
        connection.execute("PRAGMA user_version = 77")
        connection.close()
        self.store = self.make()
        self.put(b"new")
        self.assertEqual(len(self.find()), 1)

    def test_aDatabaseThatBreaksWhileItIsOpenIsSetAsideByAllWhoHaveIt(self) -> None:
        other = self.make()
        for number in range(40):
            self.put(b"%d" % number * 20_000, url=URL + b"%d" % number)
        self.assertEqual(len(self.successResultOf(other.lookup(Key(URL + b"0")))), 1)
        connection = self.database()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with open(self.path, "r+b") as file:
            file.seek(16384)
            file.write(b"\xa5" * 16384 * 8)
        # Whoever reads or writes next meets it.
        for number in range(40):
            self.find(URL + b"%d" % number)
        self.put(b"new", url=URL + b"new")
        self.assertEqual([self.bytesOf(found) for found in self.find(URL + b"new")], [b"new"])
        (found,) = self.successResultOf(other.lookup(Key(URL + b"new")))
        self.assertEqual(self.read(other.body(found, 0, 3)), b"new")
        # As a new process would find it.
        self.assertEqual(self.database().execute("PRAGMA integrity_check").fetchone(), ("ok",))

    def test_aPieceThatHasChangedOnDiskIsNotServed(self) -> None:
        long = b"x" * (PIECE_SIZE + 5)
        self.put(b"short", url=URL + b"short")
        self.put(long, url=URL + b"long")
        connection = self.database()
        connection.execute("UPDATE piece SET data = CAST(replace(data, 'x', 'y') AS BLOB)")
        connection.execute("UPDATE piece SET data = CAST(replace(data, 's', 'z') AS BLOB)")
        connection.commit()
        self.assertEqual(self.find(URL + b"short"), [])
        (found,) = self.find(URL + b"long")
        reader = Reader(self.store.body(found, 0, len(long))).start()
        self.assertIsNotNone(reader.failure)
        self.assertEqual(reader.data, b"")

    def test_whatBelongsToNobodyGoesWhenNobodyCanBeUsingIt(self) -> None:
        data = b"x" * (PIECE_SIZE + 5)
        self.put(data)
        (found,) = self.find()
        reader = Reader(self.store.body(found, 0, len(data)), pauseAfter=1).start()
        self.put(b"other")
        self.clock.pump([TIDY] * 10)
        # It is being read, however slowly.
        reader.resume()
        self.assertEqual(bytes(reader.data), data)
        self.clock.pump([TIDY] * (int(GRACE / TIDY) + 1))
        self.successResultOf(self.store.write(lambda connection: None))
        self.assertEqual(self.database().execute("SELECT count(*) FROM body").fetchone(), (1,))
        self.assertLess(self.store.size, PIECE_SIZE)

    def test_aSenderWaitsForTheDisk(self) -> None:
        filler = Filler()
        writer = self.store.writer(self.response(), filler)
        self.writing.hold()
        data = b"x" * PIECE_SIZE
        taken = 0
        while writer.write(data):
            taken += len(data)
        self.assertEqual(taken + len(data), MAX_PENDING)
        # What is on its way is read from memory.
        self.assertEqual(bytes(writer.read(MAX_PENDING - 2, 10)), b"xx")
        self.assertEqual(filler.calls, [])
        self.writing.proceed()
        self.assertEqual(filler.calls, ["ready"])
        self.assertEqual(self.piece(writer.read(0, 2))[:2], b"xx")
        self.successResultOf(writer.commit())
        writer.release()
        self.assertEqual(self.find()[0].length, MAX_PENDING)

    def test_changesThatComeMeanwhileAreOneTransaction(self) -> None:
        batches: list[int] = []
        self.writing.hold()
        run = self.writing.run

        def counted(function: Any) -> Any:
            batches.append(1)
            return run(function)

        self.patch(self.writing, "run", counted)
        writers = [self.store.writer(self.response(URL + b"%d" % number), Filler()) for number in range(10)]
        for writer in writers:
            writer.write(b"body")
        done = [writer.commit() for writer in writers]
        self.writing.proceed()
        for each in done:
            self.successResultOf(each)
        self.assertEqual(self.store.objects, 10)
        self.assertEqual(len(batches), 2)

    def test_whereTheDatabaseCannotBeWrittenTheResponseIsNotStoredAndCanBeReadOn(self) -> None:
        filler = Filler()
        writer = self.store.writer(self.response(), filler)
        writer.write(b"a" * PIECE_SIZE)
        self.patch(self.store._writes, "do", lambda operation: _failing())
        writer.write(b"b" * PIECE_SIZE)
        self.assertEqual(filler.calls, ["failed"])
        self.assertEqual(self.piece(writer.read(0, 1))[:1], b"a")
        self.assertEqual(bytes(writer.read(PIECE_SIZE, 1)), b"b")
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_aBodyWhosePiecesWereEvictedIsNotStored(self) -> None:
        filler = Filler()
        writer = self.store.writer(self.response(), filler)
        writer.write(b"a" * PIECE_SIZE)
        connection = self.database()
        connection.execute("DELETE FROM piece")
        connection.execute("DELETE FROM body")
        connection.commit()
        writer.write(b"b" * 10)
        self.successResultOf(writer.commit())
        self.assertEqual(self.find(), [])

    def test_whatIsEvictedWhileItIsReadEndsInFailureNotInOtherBytes(self) -> None:
        data = b"x" * (2 * PIECE_SIZE)
        self.put(data)
        (found,) = self.find()
        reader = Reader(self.store.body(found, 0, len(data)), pauseAfter=1).start()
        connection = self.database()
        connection.execute("DELETE FROM piece")
        connection.commit()
        reader.resume()
        self.assertEqual(bytes(reader.data), b"x" * PIECE_SIZE)
        self.assertIsNotNone(reader.failure)

    def test_whatIsBeingWrittenIsNotEvictedButLeavesNoRoomForMore(self) -> None:
        store = self.make(4 * PIECE_SIZE)
        fillers = [Filler(), Filler()]
        writers = [store.writer(self.response(URL + b"%d" % index), filler) for index, filler in enumerate(fillers)]
        for index in range(6):
            writers[index % 2].write(b"%d" % index * PIECE_SIZE)
        self.assertEqual((fillers[0].calls, fillers[1].calls), ([], ["failed"]))
        self.assertEqual(self.piece(writers[1].read(0, 1))[:1], b"1")
        self.assertEqual(self.piece(writers[1].read(2 * PIECE_SIZE, 1))[:1], b"5")
        writers[1].abandon()
        writers[1].release()
        self.successResultOf(writers[0].commit())
        writers[0].release()
        (found,) = self.successResultOf(store.lookup(Key(URL + b"0")))
        self.assertEqual(found.length, 3 * PIECE_SIZE)
        self.assertLessEqual(store.size, 4 * PIECE_SIZE)

    def test_theSameBytesAreKeptOnceAndCanBeReadAlongTwice(self) -> None:
        data = b"x" * (PIECE_SIZE + 1)
        self.put(data)
        size = self.store.size
        writer = self.store.writer(self.response(URL + b"other"), Filler())
        writer.write(data)
        self.successResultOf(writer.commit())
        self.assertEqual(self.piece(writer.read(5, 3))[:3], b"xxx")
        writer.release()
        self.assertLess(self.store.size - size, 2 * OBJECT_COST)
        self.assertEqual([self.bytesOf(found) for found in self.find(URL + b"other")], [data])

    def test_whatWasAskedForIsWrittenBeforeItIsClosed(self) -> None:
        self.writing.hold()
        writer = self.store.writer(self.response(), Filler())
        writer.write(b"body")
        writer.commit()
        closing = self.store.close()
        self.assertNoResult(closing)
        self.writing.proceed()
        self.successResultOf(closing)
        self.assertTrue(self.writing.stopped and self.reading.stopped)
        self.store = self.make()
        self.assertEqual(len(self.find()), 1)


def _failing() -> Deferred[Any]:
    return succeed(None).addCallback(lambda _: _raise())


def _raise() -> None:
    raise sqlite3.OperationalError("disk full")


class RowTests(TestCase):
    """
    Fields in rows.
    """

    def test_fieldsComeBackAsTheyWere(self) -> None:
        for headers in ((), ((b"a", b""),), ((b"a", b"b:c"), (b"a", b" x\xff"))):
            self.assertEqual(readFields(writeFields(headers)), headers)

    def test_selectingFieldsComeBackAsTheyWere(self) -> None:
        selecting: Selecting
        for selecting in ((), ((b"a", None),), ((b"a", b""), (b"b", None), (b"c", b"d:e"))):
            self.assertEqual(readSelecting(writeSelecting(selecting)), selecting)
