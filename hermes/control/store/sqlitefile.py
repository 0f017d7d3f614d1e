"""
The file of an SQLite store: who has it, whether it is whole, and of which form it is. All of it blocks, and is done
before anything is read from it or written to it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Final
from urllib.parse import quote

from hermes.control.store.errors import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreInUse,
    StoreTooNew,
    StoreUnavailable,
    ValueTooLarge,
)
from hermes.sqlscript import statements

APPLICATION: Final = 0x48524D53
"""
C{PRAGMA application_id}: by it file(1) and we know the file as a store.
"""

MIGRATIONS: Final[Sequence[str]] = (
    # A body is apart, so that a list of versions does not read over it and a phase does not write it again.
    """
    CREATE TABLE version (number INTEGER PRIMARY KEY AUTOINCREMENT, head TEXT NOT NULL);
    CREATE TABLE body (number INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE overlay (id INTEGER PRIMARY KEY CHECK (id = 0), current INTEGER);
    INSERT INTO overlay VALUES (0, NULL);
    CREATE TABLE node (name TEXT PRIMARY KEY, entry TEXT NOT NULL, lastSeen REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE revocation (serial TEXT PRIMARY KEY, expires REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE token (hashed TEXT PRIMARY KEY, node TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL);
    """,
)
"""
What makes of a file of one form the next one: the first one makes it out of nothing. C{PRAGMA user_version} says how
many were run. What was released is never changed here: another one is added.
"""

BUSY_TIME: Final = 5.0
"""
Seconds for which another program may write to the file: C{sqlite3}, making a backup.
"""


def translated(path: str, error: sqlite3.Error) -> StoreError | None:
    """
    What an error of SQLite means for a store, or L{None} where it is a mistake of ours.
    """
    code = getattr(error, "sqlite_errorcode", 0)
    kind = code & 0xFF
    if kind == sqlite3.SQLITE_FULL:
        return StoreFull(f"{path}: the disk is full; nothing was changed. Make room, and try again.")
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return corrupt(path, str(error))
    if kind == sqlite3.SQLITE_TOOBIG:
        return ValueTooLarge(f"{path}: {error}")
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable(f"{path}: another program has been writing to it for {BUSY_TIME:g} seconds")
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        return StoreUnavailable(f"{path}: {error} ({getattr(error, 'sqlite_errorname', 'no code')})")
    return None


def corrupt(path: str, what: str) -> StoreCorrupt:
    """
    The whole file can't be trusted. It is left where it is: moved out of the way, the next start would begin a new
    overlay, with an authority that no node knows.
    """
    return StoreCorrupt(
        path,
        f"{what}. This store is corrupt, and was left as it is. The nodes go on with what they have. "
        f"Keep a copy of it, and of {path}-wal where there is one; then put a backup in its place, or what can still "
        f"be read: python -m hermes.control.store.salvage {path} {path}.saved. Only without it, begin anew: with "
        "another file, and every node enrolled again.",
    )


class SQLiteFile:
    """
    A file, and the lock that only one process has.

    @ivar path: its path, absolute.
    """

    def __init__(self, path: str, migrations: Sequence[str] = MIGRATIONS) -> None:
        self.path = os.path.abspath(path)
        self._migrations = migrations
        self._lock: int | None = None
        self._identity: tuple[int, int] | None = None

    def open(self) -> None:
        """
        Have it: locked, whole, of the present form. Made, where it is not there.

        @raise StoreError: it can't be had.
        """
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            self._take()
            try:
                if not os.path.exists(self.path):
                    self._make()
                self._check()
                self._identity = self._seen()
            except BaseException:
                self.release()
                raise
        except sqlite3.Error as error:
            raise translated(self.path, error) or StoreUnavailable(f"{self.path}: {error}") from error
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror or error}") from error

    def release(self) -> None:
        """
        Let others have it.
        """
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def still(self) -> None:
        """
        @raise StoreUnavailable: another file has this name now, or none: what is written would be lost.
        """
        if self._seen() != self._identity:
            raise StoreUnavailable(
                f"{self.path} was moved or removed while it was in use; nothing was changed. "
                "Put it back, or stop the controller before you put another in its place."
            )

    def prepare(self, connection: sqlite3.Connection) -> None:
        """
        Set up a connection.
        """
        # A commit is on the disk when it returns, also when the power fails: with NORMAL, WAL could lose the last ones.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        # Text that is not UTF-8 is ours to find wrong.
        connection.text_factory = bytes

    @property
    def uri(self) -> str:
        """
        The file, as SQLite names it where it is not to be made.
        """
        return self._uri("rw")

    def _uri(self, mode: str) -> str:
        return f"file:{quote(self.path)}?mode={mode}"

    def _connect(self, mode: str) -> sqlite3.Connection:
        made = sqlite3.connect(self._uri(mode), timeout=BUSY_TIME, isolation_level=None, uri=True)
        self.prepare(made)
        return made

    def _seen(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _take(self) -> None:
        """
        A file beside it is locked, so that sqlite3(1) can still read the store and make a backup. Never removed: two
        processes could each lock one of the same name.
        """
        lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise StoreInUse(
                f"{self.path}: another controller has it (process {process}). One file is for one controller; "
                "several of them need etcd."
            ) from None
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        # Who has it is good to know, and on a full disk can't be said.
        with suppress(OSError):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)

    def _make(self) -> None:
        """
        Made under another name: one that is found under its own was whole once.
        """
        log = self.path + "-wal"
        if os.path.exists(log) and os.path.getsize(log):
            raise corrupt(self.path, f"the file is gone, and {log} is still there")
        new = self.path + ".new"
        for leftover in (new, new + "-journal"):
            with suppress(FileNotFoundError):
                os.unlink(leftover)
        # The log and its index take their rights from the file.
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self._migrate(connection, 0)
        os.rename(new, self.path)
        self._settle()

    def _check(self) -> None:
        if not os.path.getsize(self.path):
            raise corrupt(self.path, "the file is empty")
        # For reading only: the last one to close a file writes what is in its log to it, corrupt or not.
        with closing(self._connect("ro")) as connection:
            version = self._whole(connection)
        with closing(self._connect("rw")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            if version < len(self._migrations):
                self._keep(connection, version)
                self._migrate(connection, version)
                self._settle()

    def _whole(self, connection: sqlite3.Connection) -> int:
        """
        Its form.

        @raise StoreError: it is not whole, or not ours.
        """
        # The first thing that reads it: what is no database is found here.
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION:
            raise StoreCorrupt(self.path, "this is a database, and no store of a controller; it was left as it is")
        if version > len(self._migrations):
            raise StoreTooNew(
                f"{self.path}: a newer Hermes has made it (form {version}, and this one knows up to "
                f"{len(self._migrations)}); it was left as it is. Install that Hermes, or a backup from before."
            )
        wrong = [bytes(row[0]).decode("utf-8", "replace") for row in connection.execute("PRAGMA quick_check(3)")]
        if wrong != ["ok"]:
            raise corrupt(self.path, "; ".join(wrong))
        return version

    def _keep(self, connection: sqlite3.Connection, version: int) -> None:
        """
        A copy of what it was before.
        """
        copy = f"{self.path}.form-{version}"
        with suppress(FileNotFoundError):
            os.unlink(copy)
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection.execute("VACUUM INTO ?", (copy,))

    def _migrate(self, connection: sqlite3.Connection, version: int) -> None:
        """
        All or nothing.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            for script in self._migrations[version:]:
                for statement in statements(script):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _settle(self) -> None:
        """
        Names are the directory's: they are on the disk once it is.
        """
        descriptor = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
