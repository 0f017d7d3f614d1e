"""
The file of a store on disk: an SQLite database that several processes may have open, and the threads that use it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from hermes.sqlscript import statements

T = TypeVar("T")

VERSION: Final = 1
BUSY_TIME: Final = 5.0
"""
Seconds for which one process waits for another's transaction.
"""

PIECE_BITS: Final = 24
"""
A piece's number in its body has so many bits; the rest of the row's number is the body's.
"""

# Connections to files that were set aside. Closing one would remove the log of the database that has its place now:
# SQLite goes by the name.
_LEFT: Final[list[sqlite3.Connection]] = []

_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

# Sums are kept by triggers, so that no process can forget them, and are as whole as what they count. Bodies are counted
# from a random number, so that whoever reads one does not go on in another database's.
_SCHEMA: Final = """
CREATE TABLE body (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB UNIQUE, length INTEGER, used REAL NOT NULL);
CREATE INDEX bodyByUse ON body (used);
CREATE TABLE piece (id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE response (
    id INTEGER PRIMARY KEY, url BLOB NOT NULL, scope BLOB NOT NULL, selecting BLOB NOT NULL, status INTEGER NOT NULL,
    headers BLOB NOT NULL, requestedAt REAL NOT NULL, receivedAt REAL NOT NULL, bornAt REAL NOT NULL, total INTEGER,
    body INTEGER NOT NULL, cost INTEGER NOT NULL, UNIQUE (url, scope, selecting));
CREATE INDEX responseByBody ON response (body);
CREATE TABLE totals (bytes INTEGER NOT NULL, objects INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);
INSERT INTO sqlite_sequence VALUES ('body', abs(random() % 68719476736));
CREATE TRIGGER pieceCame AFTER INSERT ON piece BEGIN UPDATE totals SET bytes = bytes + length(NEW.data); END;
CREATE TRIGGER pieceWent AFTER DELETE ON piece BEGIN UPDATE totals SET bytes = bytes - length(OLD.data); END;
CREATE TRIGGER responseCame AFTER INSERT ON response
    BEGIN UPDATE totals SET bytes = bytes + NEW.cost, objects = objects + 1; END;
CREATE TRIGGER responseWent AFTER DELETE ON response
    BEGIN UPDATE totals SET bytes = bytes - OLD.cost, objects = objects - 1; END;
CREATE TRIGGER responseChanged AFTER UPDATE OF cost ON response
    BEGIN UPDATE totals SET bytes = bytes + NEW.cost - OLD.cost; END;
"""


class Runner(Protocol):
    """
    Runs functions, one after the other.
    """

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        """
        Fires with what the function returns.
        """

    def stop(self) -> None:
        """
        Nothing is run any more.
        """


class OneThread:
    """
    A L{Runner} in a thread of its own.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, 1, name)
        self._pool.start()
        # A thread that waits for work would keep the process from ending.
        self._trigger = reactor.addSystemEventTrigger("during", "shutdown", self._pool.stop)

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, function)

    def stop(self) -> None:
        self._reactor.removeSystemEventTrigger(self._trigger)
        self._pool.stop()


class Database:
    """
    One connection, opened when it is first used, from one thread. It is opened anew where the file is not the one that
    it was opened to: another process has set that aside.
    """

    log = Logger()

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None

    def use(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """
        Call C{function} with the connection. A database that turns out to be broken is set aside, and a new one begun,
        with which it is called once more.

        @raise sqlite3.Error: where that does not help, or it is something else.
        """
        try:
            return function(self._open())
        except sqlite3.DatabaseError as error:
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) not in _BROKEN:
                self._undo()
                raise
            self._setAside(error)
            return function(self._open())
        except Exception:
            self._undo()
            raise

    def close(self) -> None:
        """
        Let go of the file.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _undo(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            if self._identity() == self._opened:
                return self._connection
            self._leave()
        made = sqlite3.connect(self._path, timeout=BUSY_TIME, isolation_level=None, check_same_thread=False)
        # Known first: what is opened may be what is to be set aside.
        self._connection, self._opened = made, self._identity()
        try:
            _patiently(lambda: self._prepare(made))
        except sqlite3.OperationalError:
            self._leave()
            raise
        return made

    def _prepare(self, made: sqlite3.Connection) -> None:
        made.execute("PRAGMA page_size = 16384")
        made.execute("PRAGMA journal_mode = WAL")
        # In WAL mode, a killed process loses nothing that was committed, and a power cut at most the last transactions.
        made.execute("PRAGMA synchronous = NORMAL")
        made.execute("PRAGMA wal_autocheckpoint = 4000")
        made.execute("PRAGMA journal_size_limit = 67108864")
        if _version(made) == VERSION:
            return
        made.execute("BEGIN IMMEDIATE")
        # Another process may have been faster.
        version = _version(made)
        if version == 0:
            for statement in statements(_SCHEMA):
                made.execute(statement)
            made.execute(f"PRAGMA user_version = {VERSION}")
        made.execute("COMMIT")
        if version not in (0, VERSION):
            error = sqlite3.DatabaseError(f"it is of version {version}")
            error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
            raise error

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _LEFT.append(connection)

    def _setAside(self, error: sqlite3.DatabaseError) -> None:
        self._leave()
        if self._opened is None or self._identity() != self._opened:
            return
        aside = self._path + ".broken"
        # The log first: beside a new database it would be taken for that one's.
        for suffix in ("-wal", "-shm"):
            if os.path.exists(self._path + suffix):
                os.unlink(self._path + suffix)
        os.replace(self._path, aside)
        self.log.error(
            "the cache's database {path} is broken ({error}): it is set aside as {aside}, and a new one is begun",
            path=self._path,
            error=str(error),
            aside=aside,
        )


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _patiently(function: Callable[[], None]) -> None:
    """
    SQLite does not wait where two begin the log at the same time.
    """
    until = monotonic() + BUSY_TIME
    while True:
        try:
            return function()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            sleep(0.01)


class Refused(Exception):
    """
    An operation can't be carried out; the others of its transaction can.
    """


def _attempted(operation: Callable[[sqlite3.Connection], Any], connection: sqlite3.Connection) -> Any:
    try:
        return operation(connection)
    except Refused:
        return Failure()


class Reads:
    """
    Reads of a database, in the order in which they are asked for.
    """

    def __init__(self, database: Database, runner: Runner) -> None:
        self._database = database
        self._runner = runner

    def do(self, operation: Callable[[sqlite3.Connection], T]) -> Deferred[T]:
        """
        Fires with what C{operation} returns.
        """
        return self._runner.run(lambda: self._database.use(operation))

    def close(self) -> Deferred[None]:
        """
        After what has been asked for.
        """
        return self._runner.run(self._database.close).addBoth(lambda _: self._runner.stop())


class Writes:
    """
    Changes to a database. What is asked for while a transaction runs is one transaction after it: all of it happens,
    or nothing.
    """

    def __init__(
        self,
        database: Database,
        runner: Runner,
        around: Callable[[], Callable[[sqlite3.Connection], Callable[[], None]]],
    ) -> None:
        """
        @param around: called for each transaction. What it returns is called at its end, in the thread; and what that
            returns once it is through.
        """
        self._database = database
        self._runner = runner
        self._around = around
        self._waiting: list[tuple[Callable[[sqlite3.Connection], Any], Deferred[Any]]] = []
        self._running = False
        self._idle: list[Deferred[None]] = []

    def do(self, operation: Callable[[sqlite3.Connection], T]) -> Deferred[T]:
        """
        Fires with what C{operation} returns, once it is through. It may be called twice: where the database was broken.
        What it raises as L{Refused} is its own affair, and it must not have changed anything then.
        """
        done: Deferred[T] = Deferred()
        self._waiting.append((operation, done))
        if not self._running:
            self._run()
        return done

    def close(self) -> Deferred[None]:
        """
        After what has been asked for.
        """
        if self._running:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            return idle.addCallback(lambda _: self.close())
        return self._runner.run(self._database.close).addBoth(lambda _: self._runner.stop())

    def _run(self) -> None:
        self._running = True
        batch, self._waiting = self._waiting, []
        around = self._around()

        def transaction(connection: sqlite3.Connection) -> tuple[list[Any], Callable[[], None]]:
            connection.execute("BEGIN IMMEDIATE")
            results = [_attempted(operation, connection) for operation, _ in batch]
            after = around(connection)
            connection.execute("COMMIT")
            return results, after

        def through(done: tuple[list[Any], Callable[[], None]]) -> None:
            results, after = done
            after()
            for (_, deferred), result in zip(batch, results, strict=True):
                deferred.callback(result)

        def failed(failure: Failure) -> None:
            for _, deferred in batch:
                deferred.errback(failure)

        running = self._runner.run(lambda: self._database.use(transaction))
        running.addCallbacks(through, failed).addBoth(self._next)

    def _next(self, result: object) -> None:
        if self._waiting:
            self._run()
            return
        self._running = False
        idle, self._idle = self._idle, []
        for each in idle:
            each.callback(None)
