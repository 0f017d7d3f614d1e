"""
A body on its way to disk.
"""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from zlib import crc32

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.assist.cache.database import PIECE_BITS, Refused
from hermes.assist.cache.memory import MAX_VARIANTS, costOf
from hermes.assist.cache.rows import writeFields, writeSelecting
from hermes.assist.cache.store import IObjectFiller, IObjectWriter
from hermes.assist.cache.stored import StoredResponse
from hermes.errors import Overloaded
from hermes.values import Buffer

if TYPE_CHECKING:
    from hermes.assist.cache.disk import DiskStore

PIECE_SIZE: Final = 1 << 18
"""
So many bytes each piece of a body has in the database, save the last.
"""

MAX_PENDING: Final = 1 << 20
"""
So many bytes of a body wait for the disk before its sender is paused.
"""


@implementer(IObjectWriter)
class DiskWriter:
    """
    See L{IObjectWriter}. A body of one piece is written with its head, in one transaction; of a longer one, pieces are
    written as they come, to a body that belongs to no response before the last.
    """

    def __init__(self, store: DiskStore, stored: StoredResponse, filler: IObjectFiller) -> None:
        self._store = store
        self._stored = stored
        self._filler = filler
        self._digest = sha256()
        self._number: int | None = None
        # Bytes in the database; those on their way there, by piece; those that make no piece yet.
        self._written = 0
        self._pending: list[bytes] = []
        self._rest = bytearray()
        self._failed = False
        self._open = True
        self._kept = False
        self._released = False
        self._full = False
        # The thread's own: its number once it is there, and how many pieces the digest has.
        self._body: int | None = None
        self._digested = 0

    def write(self, data: bytes) -> bool:
        self._rest += data
        if self._store.full and self._open and not self._failed:
            self._failed = True
            self._filler.writerFailed(Failure(Overloaded("the cache has no room")))
        while len(self._rest) >= PIECE_SIZE and self._open and not self._failed:
            piece = bytes(memoryview(self._rest)[:PIECE_SIZE])
            del self._rest[:PIECE_SIZE]
            self._writePiece(piece)
        self._full = len(self._pending) * PIECE_SIZE >= MAX_PENDING
        return not self._full

    def read(self, start: int, size: int) -> Buffer | Deferred[Buffer]:
        if start < self._written:
            assert self._number is not None
            return self._store.read(self._number, start)
        start -= self._written
        which, within = divmod(start, PIECE_SIZE)
        if which < len(self._pending):
            return memoryview(self._pending[which])[within : within + size]
        start -= len(self._pending) * PIECE_SIZE
        # A view would keep the bytes from growing.
        return bytes(self._rest[start : start + size])

    def commit(self) -> Deferred[None]:
        self._open = False
        if self._failed:
            return succeed(None)
        stored, last = self._stored, bytes(self._rest)
        number = self._written // PIECE_SIZE + len(self._pending)
        length = number * PIECE_SIZE + len(last)

        def operation(connection: sqlite3.Connection) -> tuple[bytes, bool]:
            if self._digested != number:
                raise Refused("a piece was not written")
            hash = self._digest.copy()
            hash.update(last)
            digest = hash.digest()
            # The same bytes are kept once, however many responses have them: none, above all.
            same = connection.execute("SELECT id FROM body WHERE digest = ?", (digest,)).fetchone()
            if same is None:
                body = self._bodyIn(connection)
                if last:
                    _insert(connection, body, number, last)
                connection.execute("UPDATE body SET digest = ?, length = ? WHERE id = ?", (digest, length, body))
            else:
                (body,) = same
                connection.execute("UPDATE body SET used = ? WHERE id = ?", (self._store.now(), body))
            self._add(connection, body)
            return digest, same is None

        def through(result: tuple[bytes, bool]) -> None:
            stored.digest, self._kept = result
            stored.length = length

        return self._store.write(operation).addCallbacks(through, self._broken)

    def abandon(self) -> None:
        self._open = False

    def release(self) -> None:
        self._released = True
        if self._number is not None:
            self._store.unpin(self._number)
            if not self._kept:
                self._store.discard(self._number)

    def _writePiece(self, piece: bytes) -> None:
        number = self._written // PIECE_SIZE + len(self._pending)
        self._pending.append(piece)

        def operation(connection: sqlite3.Connection) -> int:
            body = self._bodyIn(connection)
            _insert(connection, body, number, piece)
            if self._digested == number:
                self._digest.update(piece)
                self._digested += 1
            return body

        self._store.write(operation).addCallbacks(self._pieceWritten, self._broken)

    def _pieceWritten(self, body: int) -> None:
        if self._released:
            self._store.discard(body)
            return
        if self._failed:
            return
        if self._number is None:
            self._number = body
            self._store.pin(body)
        self._written += len(self._pending.pop(0))
        if self._full and self._open and len(self._pending) * PIECE_SIZE < MAX_PENDING:
            self._full = False
            self._filler.writerReady()

    def _broken(self, failure: Failure) -> None:
        # What is pending stays in memory, and can be read there.
        first, self._failed = not self._failed, True
        if first:
            self._store.failed(failure)
            if self._open:
                self._filler.writerFailed(failure)

    def _bodyIn(self, connection: sqlite3.Connection) -> int:
        """
        The number of the body, in the thread.
        """
        if self._body is None:
            now = self._store.now()
            self._body = connection.execute("INSERT INTO body (used) VALUES (?)", (now,)).lastrowid
        elif connection.execute("SELECT 1 FROM body WHERE id = ?", (self._body,)).fetchone() is None:
            raise Refused("the body is not in the database any more")
        assert self._body is not None
        return self._body

    def _add(self, connection: sqlite3.Connection, body: int) -> None:
        """
        Make the response known.
        """
        stored = self._stored
        selecting = writeSelecting(stored.selecting)
        connection.execute(
            "DELETE FROM response WHERE url = ? AND scope = ? AND selecting = ?",
            (stored.key.url, stored.key.scope, selecting),
        )
        connection.execute(
            "DELETE FROM response WHERE id IN (SELECT id FROM response WHERE url = ? AND scope = ?"
            " ORDER BY receivedAt DESC LIMIT -1 OFFSET ?)",
            (stored.key.url, stored.key.scope, MAX_VARIANTS - 1),
        )
        connection.execute(
            "INSERT INTO response (url, scope, selecting, status, headers, requestedAt, receivedAt, bornAt, total,"
            " body, cost) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stored.key.url,
                stored.key.scope,
                selecting,
                stored.status,
                writeFields(stored.headers),
                stored.requestedAt,
                stored.receivedAt,
                stored.freshness.bornAt,
                stored.total,
                body,
                costOf(stored),
            ),
        )


def _insert(connection: sqlite3.Connection, body: int, number: int, piece: bytes) -> None:
    connection.execute("INSERT INTO piece VALUES (?, ?, ?)", (body << PIECE_BITS | number, crc32(piece), piece))
