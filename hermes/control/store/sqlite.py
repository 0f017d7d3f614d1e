"""
A store in one file, by SQLite: for one controller. It needs nothing to be installed or run, and is the default.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.control.errors import NotLeading
from hermes.control.store import bounds, codec, sqliterows
from hermes.control.store.election import LocalElection
from hermes.control.store.errors import StoreCorrupt, StoreUnavailable
from hermes.control.store.lastseen import INTERVAL, LastSeen
from hermes.control.store.sqlitefile import SQLiteFile, translated
from hermes.control.store.watching import Watchers
from hermes.control.values import AuditEntry, NodeEntry, NodeReason, Phase, VersionRecord
from hermes.interfaces.store import ILeadership, IStore, Watched

_T = TypeVar("_T")

KEEP_VERSIONS = 10_000
"""
Versions that are kept; the one that is committed always is.
"""

KEEP_AUDITS = 100_000
"""
Entries of the audit log that are kept.
"""


@implementer(IStore)
class SQLiteStore:
    """
    One thread has the only connection: what is asked for is done in that order, each in a transaction of its own.

    A file that is corrupt is refused at the start, and left where it is (see L{hermes.control.store.sqlitefile}).
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: str,
        keepVersions: int = KEEP_VERSIONS,
        keepAudits: int = KEEP_AUDITS,
        interval: float = INTERVAL,
    ) -> None:
        """
        @param reactor: for its time and its threads.
        @param path: the file; it and its directory are made where they are not there.
        @param interval: seconds after which it is written, at the latest, when nodes were last seen.
        """
        self._reactor = reactor
        self._file = SQLiteFile(path)
        self._keepVersions = keepVersions
        self._keepAudits = keepAudits
        self._pool: ConnectionPool | None = None
        self._closed = False
        self._watchers = Watchers(reactor)
        self._election = LocalElection()
        self._seen = LastSeen(
            reactor, lambda times: self._write(lambda cursor: sqliterows.lastSeen(cursor, times)), interval
        )

    def start(self) -> Deferred[None]:
        opened = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._file.open)
        return opened.addCallback(self._opened)

    def _opened(self, _: object) -> Deferred[None]:
        if self._closed:
            self._file.release()
            raise StoreUnavailable(f"{self._file.path} was closed")
        self._pool = ConnectionPool(
            "sqlite3",
            self._file.uri,
            uri=True,
            cp_reactor=self._reactor,
            cp_min=1,
            cp_max=1,
            cp_openfun=self._file.prepare,
            timeout=5.0,
            isolation_level=None,
            # It is closed by the thread that closes the pool.
            check_same_thread=False,
        )
        self._pool.start()
        # The connection is made now, to the file that was looked at.
        return self._read(sqliterows.current).addCallbacks(lambda _: None, self._notOpened)

    def _notOpened(self, failure: Failure) -> Failure:
        self._letGo()
        return failure

    def _letGo(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
        self._file.release()

    def close(self) -> Deferred[None]:
        self._closed = True
        self._election.end()
        self._watchers.end()

        return self._seen.stop().addBoth(lambda _: self._letGo())

    def _run(self, operation: Callable[..., _T]) -> Deferred[_T]:
        if self._pool is None:
            return fail(StoreUnavailable(f"{self._file.path} is not open"))
        done: Deferred[_T] = self._pool.runInteraction(operation)
        return done.addErrback(self._translated)

    def _translated(self, failure: Failure) -> Failure:
        error = failure.value
        if isinstance(error, StoreCorrupt):
            error = StoreCorrupt(f"{self._file.path}: {error.key}", str(error).removeprefix(f"{error.key}: "))
        elif isinstance(error, sqlite3.Error):
            error = translated(self._file.path, error) or error
        return failure if error is failure.value else Failure(error)

    def _read(self, operation: Callable[[sqliterows.Cursor], _T]) -> Deferred[_T]:
        return self._run(operation)

    def _write(
        self,
        operation: Callable[[sqliterows.Cursor], _T],
        what: Iterable[Watched] = (),
        changed: Callable[[_T], bool] = lambda result: True,
    ) -> Deferred[_T]:
        """
        @param what: what is told to have changed.
        @param changed: whether it has, by the result.
        """

        def write(cursor: sqliterows.Cursor) -> _T:
            self._file.still()
            cursor.execute("BEGIN IMMEDIATE")
            return operation(cursor)

        def told(result: _T) -> _T:
            if changed(result):
                self._watchers.changed(what)
            return result

        return self._run(write).addCallback(told)

    def _lead(self) -> None:
        if self._election.leader is None:
            raise NotLeading("this controller does not lead")

    # Versions

    def appendVersion(self, record: VersionRecord) -> Deferred[int]:
        def append() -> Deferred[int]:
            codec.checkedRecord(record)
            self._lead()
            head = codec.dumped(codec.headToJSON(record))
            keep = self._keepVersions
            # Compressing megabytes takes its time: it is done in the thread.
            return self._write(
                lambda cursor: sqliterows.append(cursor, head, codec.Body.of(record).data, keep), ("versions",)
            )

        return maybeDeferred(append)

    def version(self, number: int) -> Deferred[VersionRecord | None]:
        return self._read(lambda cursor: sqliterows.version(cursor, number))

    def versions(self, limit: int, before: int | None = None, whole: bool = True) -> Deferred[Sequence[VersionRecord]]:
        return self._read(lambda cursor: sqliterows.versions(cursor, limit, before, whole))

    def current(self) -> Deferred[int | None]:
        return self._read(sqliterows.current)

    def setPhase(
        self, number: int, expected: Phase, phase: Phase, reasons: Sequence[NodeReason] = ()
    ) -> Deferred[bool]:
        def swap() -> Deferred[bool]:
            codec.checkedPhases(expected, phase)
            self._lead()
            kept = bounds.boundedReasons(reasons)
            return self._write(
                lambda cursor: sqliterows.setPhase(cursor, number, expected, phase, kept), ("versions",), bool
            )

        return maybeDeferred(swap)

    # Nodes

    def putNode(self, entry: NodeEntry) -> Deferred[None]:
        return self._write(lambda cursor: sqliterows.putNode(cursor, entry), ("nodes",)).addCallback(lambda _: None)

    def changeNode(
        self, name: str, change: Callable[[NodeEntry | None], NodeEntry | None]
    ) -> Deferred[NodeEntry | None]:
        def found(result: tuple[NodeEntry | None, bool]) -> NodeEntry | None:
            return self._merged(result[0])

        return self._write(
            lambda cursor: sqliterows.changeNode(cursor, name, change), ("nodes",), lambda result: result[1]
        ).addCallback(found)

    def node(self, name: str) -> Deferred[NodeEntry | None]:
        return self._read(lambda cursor: sqliterows.node(cursor, name)).addCallback(self._merged)

    def _merged(self, entry: NodeEntry | None) -> NodeEntry | None:
        return None if entry is None else self._seen.merged(entry)

    def nodes(self) -> Deferred[Sequence[NodeEntry]]:
        def told(found: tuple[list[NodeEntry], list[StoreCorrupt]]) -> Sequence[NodeEntry]:
            for error in found[1]:
                self.log.error("{path}: {error}: it is left out", path=self._file.path, error=error)
            return [self._seen.merged(each) for each in found[0]]

        return self._read(sqliterows.nodes).addCallback(told)

    def removeNode(self, name: str) -> Deferred[None]:
        self._seen.forget(name)
        return self._write(lambda cursor: sqliterows.removeNode(cursor, name), ("nodes",), bool).addCallback(
            lambda _: None
        )

    def seen(self, name: str, when: float) -> None:
        self._seen.seen(name, when)

    def _writeSeen(self, times: Mapping[str, float]) -> Deferred[None]:
        return self._write(lambda cursor: sqliterows.lastSeen(cursor, times))

    def putRevocations(self, serials: Mapping[str, float]) -> Deferred[None]:
        return self._write(lambda cursor: sqliterows.putRevocations(cursor, dict(serials)), ("nodes",))

    def revocations(self, now: float) -> Deferred[Mapping[str, float]]:
        return self._read(lambda cursor: sqliterows.revocations(cursor, now))

    # Tokens, secrets, the audit log

    def putToken(self, hashed: str, node: str, expires: float) -> Deferred[None]:
        return self._write(lambda cursor: sqliterows.putToken(cursor, hashed, node, expires))

    def takeToken(self, hashed: str, now: float) -> Deferred[str | None]:
        return self._write(lambda cursor: sqliterows.takeToken(cursor, hashed, now))

    def dropTokens(self, node: str) -> Deferred[int]:
        return self._write(lambda cursor: sqliterows.dropTokens(cursor, node))

    def secret(self, name: str) -> Deferred[bytes | None]:
        return self._read(lambda cursor: sqliterows.secret(cursor, name))

    def putSecret(self, name: str, value: bytes, expectedAbsent: bool = True) -> Deferred[bool]:
        def put() -> Deferred[bool]:
            bounds.checked(f"secret {name}", len(value), bounds.VALUE)
            return self._write(lambda cursor: sqliterows.putSecret(cursor, name, value, expectedAbsent))

        return maybeDeferred(put)

    def audit(self, entry: AuditEntry) -> Deferred[int]:
        return self._write(lambda cursor: sqliterows.audit(cursor, entry, self._keepAudits))

    def audits(self, limit: int, before: int | None = None) -> Deferred[Sequence[AuditEntry]]:
        return self._read(lambda cursor: sqliterows.audits(cursor, limit, before))

    # Changes, and who leads

    def watch(self, callback: Callable[[], object], what: Watched = "versions") -> Callable[[], None]:
        return self._watchers.watch(callback, what)

    def campaign(self, identity: str) -> Deferred[ILeadership]:
        leading = self._election.campaign(identity)

        def told(result: _T) -> _T:
            self._watchers.changed(("leader",))
            return result

        def won(leadership: ILeadership) -> ILeadership:
            leadership.lost.addCallback(told)
            return told(leadership)

        return leading.addCallback(won)

    def leader(self) -> Deferred[str | None]:
        return maybeDeferred(lambda: self._election.leader)
