"""
A store on disk.

Everything is in one SQLite database, bodies too, as pieces. So that a response is stored is one transaction: after
C{kill -9}, whole or not there, with no directory of files beside an index that would have to agree with it, and several
processes share it through SQLite's own locks. What that costs is that each byte is written twice, to the log and to the
database.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final
from zlib import crc32

from attrs import evolve, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.assist.cache.database import PIECE_BITS, Database, OneThread, Reads, Runner, Writes
from hermes.assist.cache.diskwriter import PIECE_SIZE, DiskWriter
from hermes.assist.cache.freshness import Rules, assess
from hermes.assist.cache.memory import costOf
from hermes.assist.cache.pulled import PulledBody
from hermes.assist.cache.rows import readFields, readSelecting, writeFields, writeSelecting
from hermes.assist.cache.store import IObjectFiller, IObjectStore, IObjectWriter
from hermes.assist.cache.stored import Key, StoredResponse
from hermes.errors import RequestBroken
from hermes.interfaces import IBody
from hermes.messages import BytesBody
from hermes.values import Buffer, ResponseHead

GRACE: Final = 120.0
"""
Seconds after its last use before a body is removed that belongs to no response: somebody may be writing or reading it,
in another process.
"""

TIDY: Final = 30.0
"""
Seconds between two times that uses are written down and such bodies removed.
"""


@frozen
class Place:
    """
    What C{StoredResponse.place} is here.

    @ivar body: the number of the body.
    @ivar data: all of it, where it is short and was read with its head.
    """

    body: int
    data: bytes | None = None


class DiskBody(PulledBody):
    """
    A part of a body in the database.
    """

    def __init__(self, store: DiskStore, number: int, start: int, stop: int) -> None:
        super().__init__(start, stop)
        self._store = store
        self._number = number
        store.pin(number)

    def piece(self, start: int, size: int) -> Deferred[Buffer]:
        return self._store.read(self._number, start)

    def over(self) -> None:
        self._store.unpin(self._number)


@implementer(IObjectStore)
class DiskStore:
    """
    See L{IObjectStore}. The bound is the database's, whoever writes to it.
    """

    log = Logger()

    def __init__(
        self, path: str, capacity: int, largest: int, rules: Rules, clock: Any, reading: Runner, writing: Runner
    ) -> None:
        """
        @param path: of the database's file.
        @param capacity: how many bytes it holds.
        @param largest: how many a body may have.
        @param rules: what is supposed of the freshness of what was stored.
        @param clock: C{IReactorTime}, whose seconds are those of the epoch.
        @param reading: runs what reads.
        @param writing: runs what writes.
        """
        self.size = 0
        self.objects = 0
        self.evicted = 0
        self.largest = min(largest, capacity)
        self._capacity = capacity
        self._rules = rules
        self._clock = clock
        self._reads = Reads(Database(path), reading)
        self._writes = Writes(Database(path), writing, self._around)
        self._pinned: Counter[int] = Counter()
        self._used: set[int] = set()
        self._tidied = clock.seconds()
        self._timer: Any = None
        self._closed = False
        self._quietly(lambda connection: None)

    @classmethod
    def threaded(cls, path: str, capacity: int, largest: int, rules: Rules, reactor: Any) -> DiskStore:
        """
        One with two threads.
        """
        reading, writing = OneThread(reactor, "cache reads"), OneThread(reactor, "cache writes")
        return cls(path, capacity, largest, rules, reactor, reading, writing)

    def lookup(self, key: Key) -> Deferred[Sequence[StoredResponse]]:
        return self._reads.do(lambda connection: self._find(connection, key)).addCallbacks(self._looked, self._unread)

    def body(self, stored: StoredResponse, start: int, stop: int) -> IBody:
        place: Place = stored.place
        if place.data is not None:
            return BytesBody(place.data[start:stop])
        return DiskBody(self, place.body, start, stop)

    def writer(self, stored: StoredResponse, filler: IObjectFiller) -> IObjectWriter:
        return DiskWriter(self, stored, filler)

    def replace(self, stored: StoredResponse, renewed: StoredResponse) -> Deferred[None]:
        def operation(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE response SET headers = ?, requestedAt = ?, receivedAt = ?, bornAt = ?, cost = ?"
                " WHERE url = ? AND scope = ? AND selecting = ? AND body = ?",
                (
                    writeFields(renewed.headers),
                    renewed.requestedAt,
                    renewed.receivedAt,
                    renewed.freshness.bornAt,
                    costOf(renewed),
                    *_keyOf(stored),
                    stored.place.body,
                ),
            )

        return self._quietly(operation)

    def remove(self, stored: StoredResponse) -> Deferred[None]:
        def operation(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM response WHERE url = ? AND scope = ? AND selecting = ? AND body = ?",
                (*_keyOf(stored), stored.place.body),
            )

        return self._quietly(operation)

    def invalidate(self, url: bytes) -> Deferred[int]:
        return self.write(lambda connection: connection.execute("DELETE FROM response WHERE url = ?", (url,)).rowcount)

    def purge(self, prefix: bytes) -> Deferred[int]:
        # A URL has no byte above 0xFE: it would not be UTF-8.
        return self.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM response WHERE url >= ? AND url < ?", (prefix, prefix + b"\xff")
                ).rowcount
            )
        )

    def byDigest(self, digest: bytes) -> Deferred[IBody | None]:
        def operation(connection: sqlite3.Connection) -> tuple[int, int] | None:
            found: tuple[int, int] | None = connection.execute(
                "SELECT id, length FROM body WHERE digest = ?", (digest,)
            ).fetchone()
            return found

        def found(row: tuple[int, int] | None) -> IBody | None:
            if row is None:
                return None
            self._used.add(row[0])
            return DiskBody(self, row[0], 0, row[1])

        return self._reads.do(operation).addCallbacks(found, self._unknown)

    def discard(self, number: int) -> None:
        """
        Remove a body that belongs to no response, and that nobody reads.
        """
        self._quietly(lambda connection: removeBody(connection, number))

    def close(self) -> Deferred[None]:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._used:
            self._quietly(lambda connection: None)
        return self._writes.close().addCallback(lambda _: self._reads.close())

    def read(self, number: int, start: int) -> Deferred[Buffer]:
        """
        The bytes of a body from C{start} to the end of their piece.
        """

        def operation(connection: sqlite3.Connection) -> Buffer:
            which = number << PIECE_BITS | start // PIECE_SIZE
            row = connection.execute("SELECT crc, data FROM piece WHERE id = ?", (which,)).fetchone()
            if row is None or crc32(row[1]) != row[0] or len(row[1]) <= start % PIECE_SIZE:
                raise RequestBroken("a stored body is gone, or broken")
            return memoryview(row[1])[start % PIECE_SIZE :]

        return self._reads.do(operation)

    def write(self, operation: Callable[[sqlite3.Connection], Any]) -> Deferred[Any]:
        """
        Change the database.
        """
        return self._writes.do(operation)

    @property
    def full(self) -> bool:
        """
        Whether what is being written leaves no room.
        """
        return self.size > self._capacity

    def now(self) -> float:
        """
        The time, in any thread.
        """
        now: float = self._clock.seconds()
        return now

    def pin(self, number: int) -> None:
        """
        A body is being read or written: it stays.
        """
        self._pinned[number] += 1
        self._used.add(number)
        self._tidyLater()

    def unpin(self, number: int) -> None:
        """
        The reverse.
        """
        self._pinned[number] -= 1
        if not self._pinned[number]:
            del self._pinned[number]

    def failed(self, failure: Failure) -> None:
        """
        The database could not be read or written.
        """
        self.log.error("the cache's database failed: {error}", error=failure.getErrorMessage())

    def _quietly(self, operation: Callable[[sqlite3.Connection], None]) -> Deferred[None]:
        return self.write(operation).addErrback(self.failed)

    def _find(self, connection: sqlite3.Connection, key: Key) -> list[StoredResponse]:
        rows = connection.execute(
            "SELECT selecting, status, headers, requestedAt, receivedAt, bornAt, total, body, length, digest"
            " FROM response JOIN body ON body.id = response.body WHERE url = ? AND scope = ?",
            (key.url, key.scope),
        ).fetchall()
        found = []
        for selecting, status, fields, requestedAt, receivedAt, bornAt, total, body, length, digest in rows:
            headers = readFields(fields)
            data = b"" if length == 0 else None
            if len(rows) == 1 and 0 < length <= PIECE_SIZE:
                piece = connection.execute("SELECT crc, data FROM piece WHERE id = ?", (body << PIECE_BITS,)).fetchone()
                if piece is None or len(piece[1]) != length or crc32(piece[1]) != piece[0]:
                    continue
                data = piece[1]
            freshness = assess(ResponseHead(status, headers), requestedAt, receivedAt, self._rules)
            found.append(
                StoredResponse(
                    key=key,
                    selecting=readSelecting(selecting),
                    status=status,
                    headers=headers,
                    requestedAt=requestedAt,
                    receivedAt=receivedAt,
                    freshness=evolve(freshness, bornAt=bornAt),
                    length=length,
                    total=total,
                    digest=digest,
                    place=Place(body, data),
                )
            )
        return found

    def _looked(self, found: list[StoredResponse]) -> Sequence[StoredResponse]:
        for stored in found:
            self._used.add(stored.place.body)
        if found:
            self._tidyLater()
        return found

    def _unread(self, failure: Failure) -> Sequence[StoredResponse]:
        # Whoever asked may have left.
        if failure.check(CancelledError):
            failure.raiseException()
        self.failed(failure)
        return ()

    def _unknown(self, failure: Failure) -> None:
        self._unread(failure)

    def _around(self) -> Callable[[sqlite3.Connection], Callable[[], None]]:
        """
        What every transaction does last: write down uses, and make room.
        """
        now = self._clock.seconds()
        used, self._used = self._used, set()
        pinned = frozenset(self._pinned)
        tidies = now - self._tidied >= TIDY
        if tidies:
            self._tidied = now

        def around(connection: sqlite3.Connection) -> Callable[[], None]:
            connection.executemany("UPDATE body SET used = ? WHERE id = ?", [(now, number) for number in used])
            if tidies:
                for (number,) in connection.execute(_UNREFERENCED, (now - GRACE,)).fetchall():
                    removeBody(connection, number)
            evicted = self._makeRoom(connection, now, pinned)
            total = _total(connection)
            return lambda: self._through(total, evicted)

        return around

    def _makeRoom(self, connection: sqlite3.Connection, now: float, pinned: frozenset[int]) -> int:
        """
        Evict, save what is being read or written here, and what may be being written elsewhere.
        """
        evicted = 0
        while _total(connection)[0] > self._capacity:
            rows = connection.execute(_EVICTABLE, (now - GRACE, len(pinned) + 1)).fetchall()
            victim = next((row for row in rows if row[0] not in pinned), None)
            if victim is None:
                break
            evicted += connection.execute("DELETE FROM response WHERE body = ?", victim).rowcount
            removeBody(connection, victim[0])
        return evicted

    def _through(self, total: tuple[int, int], evicted: int) -> None:
        self.size, self.objects = total
        self.evicted += evicted

    def _tidyLater(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._clock.callLater(TIDY, self._tidy)

    def _tidy(self) -> None:
        self._timer = None
        self._used.update(self._pinned)
        self._quietly(lambda connection: None)
        if self._pinned:
            self._tidyLater()


_EVICTABLE: Final = "SELECT id FROM body WHERE digest IS NOT NULL OR used < ? ORDER BY used LIMIT ?"
_UNREFERENCED: Final = "SELECT id FROM body WHERE used < ? AND NOT EXISTS (SELECT 1 FROM response WHERE body = body.id)"


def _keyOf(stored: StoredResponse) -> tuple[bytes, bytes, bytes]:
    return stored.key.url, stored.key.scope, writeSelecting(stored.selecting)


def _total(connection: sqlite3.Connection) -> tuple[int, int]:
    total: tuple[int, int] = connection.execute("SELECT bytes, objects FROM totals").fetchone()
    return total


def removeBody(connection: sqlite3.Connection, number: int) -> None:
    """
    Remove a body that belongs to no response.
    """
    connection.execute("DELETE FROM piece WHERE id >= ? AND id < ?", (number << PIECE_BITS, number + 1 << PIECE_BITS))
    connection.execute("DELETE FROM body WHERE id = ?", (number,))


def checkPath(path: str) -> str | None:
    """
    Why there can be no database at C{path}, in words; L{None} where there can be.
    """
    directory = os.path.dirname(path) or "."
    if os.path.isdir(path):
        return f"{path} is a directory"
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"{directory} can't be written to"
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
        return f"{path} can't be read and written"
    return None
