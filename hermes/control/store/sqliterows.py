"""
What is done in an SQLite store, within one transaction: each function is called with a cursor, in the store's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from attrs import evolve

from hermes.control.store import codec
from hermes.control.store.codec import Unreadable
from hermes.control.store.errors import StoreCorrupt
from hermes.control.values import AuditEntry, NodeEntry, NodeReason, Phase, VersionRecord


class Cursor(Protocol):
    """
    As the DB API has it.
    """

    lastrowid: int
    rowcount: int

    def execute(self, statement: str, arguments: Sequence[Any] = ...) -> object: ...

    def executemany(self, statement: str, arguments: Sequence[Sequence[Any]]) -> object: ...

    def fetchone(self) -> Sequence[Any] | None: ...

    def fetchall(self) -> Sequence[Sequence[Any]]: ...


# Versions


def append(cursor: Cursor, head: bytes, body: bytes, keep: int) -> int:
    """
    A version more, and those that are too many less: not the current one.
    """
    cursor.execute("INSERT INTO version (head) VALUES (?)", (head.decode("ascii"),))
    number = cursor.lastrowid
    cursor.execute("INSERT INTO body VALUES (?, ?)", (number, body))
    # Where one was current when it was too old, it goes later, with the next.
    cursor.execute(
        "SELECT number FROM version WHERE number <= ? AND number IS NOT (SELECT current FROM overlay) "
        "ORDER BY number LIMIT 16",
        (number - keep,),
    )
    old = [(row[0],) for row in cursor.fetchall()]
    cursor.executemany("DELETE FROM version WHERE number = ?", old)
    cursor.executemany("DELETE FROM body WHERE number = ?", old)
    return number


def _version(number: int, head: object, body: object = None) -> VersionRecord:
    try:
        record = codec.headFromJSON(codec.loaded(head), number)
        if body is None:
            return record
        if not isinstance(body, bytes):
            raise Unreadable("its document is broken: it is not bytes")
        return codec.Body(body).into(record)
    except Unreadable as error:
        raise StoreCorrupt(f"version {number}", str(error)) from None


def version(cursor: Cursor, number: int) -> VersionRecord | None:
    """
    One of them, whole.
    """
    cursor.execute(
        "SELECT head, data FROM version LEFT JOIN body ON body.number = version.number WHERE version.number = ?",
        (number,),
    )
    row = cursor.fetchone()
    return None if row is None else _version(number, row[0], row[1] if row[1] is not None else "")


def versions(cursor: Cursor, limit: int, before: int | None, whole: bool) -> list[VersionRecord]:
    """
    The newest of those before, the newest first.
    """
    bound = 1 << 62 if before is None else before
    cursor.execute(
        "SELECT number, head FROM version WHERE number < ? ORDER BY number DESC LIMIT ?", (bound, max(0, limit))
    )
    rows = cursor.fetchall()
    if not whole:
        return [_version(number, head) for number, head in rows]
    found = []
    for number, head in rows:
        cursor.execute("SELECT data FROM body WHERE number = ?", (number,))
        body = cursor.fetchone()
        found.append(_version(number, head, "" if body is None else body[0]))
    return found


def current(cursor: Cursor) -> int | None:
    """
    The version that is committed.
    """
    cursor.execute("SELECT current FROM overlay")
    row = cursor.fetchone()
    if row is None or not (row[0] is None or isinstance(row[0], int)):
        raise StoreCorrupt("current", "which version is committed can't be read")
    number: int | None = row[0]
    return number


def setPhase(cursor: Cursor, number: int, expected: Phase, phase: Phase, reasons: Sequence[NodeReason]) -> bool:
    """
    Compare and set.
    """
    cursor.execute("SELECT head FROM version WHERE number = ?", (number,))
    row = cursor.fetchone()
    if row is None:
        return False
    record = _version(number, row[0])
    if record.phase != expected:
        return False
    if phase == "committed":
        if current(cursor) != record.parent:
            return False
        cursor.execute("UPDATE overlay SET current = ?", (number,))
    head = codec.dumped(codec.headToJSON(evolve(record, phase=phase, reasons=tuple(reasons))))
    cursor.execute("UPDATE version SET head = ? WHERE number = ?", (head.decode("ascii"), number))
    return True


# Nodes


def _node(name: str, entry: object, seen: object) -> NodeEntry:
    try:
        found = codec.nodeFromJSON(codec.loaded(entry), name)
        return evolve(found, lastSeen=max(found.lastSeen, codec.number({"lastSeen": seen}, "lastSeen")))
    except Unreadable as error:
        raise StoreCorrupt(f"node {name}", str(error)) from None


def node(cursor: Cursor, name: str) -> NodeEntry | None:
    """
    One of them.
    """
    cursor.execute("SELECT entry, lastSeen FROM node WHERE name = ?", (name,))
    row = cursor.fetchone()
    return None if row is None else _node(name, *row)


def nodes(cursor: Cursor) -> tuple[list[NodeEntry], list[StoreCorrupt]]:
    """
    All that can be read, by name; and why others can't.
    """
    cursor.execute("SELECT name, entry, lastSeen FROM node ORDER BY name")
    found: list[NodeEntry] = []
    wrong: list[StoreCorrupt] = []
    for name, entry, seen in cursor.fetchall():
        try:
            found.append(_node(_text(name, "node"), entry, seen))
        except StoreCorrupt as error:
            wrong.append(error)
    return found, wrong


def changeNode(
    cursor: Cursor, name: str, change: Callable[[NodeEntry | None], NodeEntry | None]
) -> tuple[NodeEntry | None, bool]:
    """
    What is stored in the end, and whether it was changed.
    """
    known = node(cursor, name)
    wanted = change(known)
    if wanted is None or wanted == known:
        return known, False
    return putNode(cursor, evolve(wanted, name=name)), True


def putNode(cursor: Cursor, entry: NodeEntry) -> NodeEntry:
    """
    Store it, whatever was there: that may be what can't be read.
    """
    cursor.execute("SELECT lastSeen FROM node WHERE name = ?", (entry.name,))
    row = cursor.fetchone()
    seen = entry.lastSeen if row is None or not isinstance(row[0], float) else max(row[0], entry.lastSeen)
    cursor.execute(
        "INSERT OR REPLACE INTO node VALUES (?, ?, ?)",
        (entry.name, codec.dumped(codec.nodeToJSON(entry)).decode("ascii"), seen),
    )
    return evolve(entry, lastSeen=seen)


def removeNode(cursor: Cursor, name: str) -> bool:
    """
    Whether there was one.
    """
    cursor.execute("DELETE FROM node WHERE name = ?", (name,))
    return cursor.rowcount > 0


def lastSeen(cursor: Cursor, times: Mapping[str, float]) -> None:
    """
    Later ones take the place of earlier ones.
    """
    cursor.executemany(
        "UPDATE node SET lastSeen = ? WHERE name = ? AND lastSeen < ?",
        [(when, name, when) for name, when in times.items()],
    )


def putRevocations(cursor: Cursor, serials: Mapping[str, float]) -> None:
    """
    What is revoked stays so, for the longer of two times.
    """
    cursor.executemany(
        "INSERT INTO revocation VALUES (?, ?) "
        "ON CONFLICT (serial) DO UPDATE SET expires = max(expires, excluded.expires)",
        list(serials.items()),
    )


def revocations(cursor: Cursor, now: float) -> dict[str, float]:
    """
    All that matter. One that can't be read is not passed over: its certificate would be taken.
    """
    cursor.execute("SELECT serial, expires FROM revocation")
    found: dict[str, float] = {}
    for serial, expires in cursor.fetchall():
        name = _text(serial, "revocation")
        try:
            until = codec.number({"expires": expires}, "expires")
        except Unreadable as error:
            raise StoreCorrupt(f"revocation {name}", str(error)) from None
        if until > now:
            found[name] = until
    return found


# Tokens, secrets, the log


def putToken(cursor: Cursor, hashed: str, node: str, expires: float) -> None:
    """
    One more.
    """
    cursor.execute("INSERT OR REPLACE INTO token VALUES (?, ?, ?)", (hashed, node, expires))


def takeToken(cursor: Cursor, hashed: str, now: float) -> str | None:
    """
    The node's name. Those that have expired go.
    """
    cursor.execute("SELECT node FROM token WHERE hashed = ? AND expires > ?", (hashed, now))
    row = cursor.fetchone()
    cursor.execute("DELETE FROM token WHERE hashed = ? OR expires <= ?", (hashed, now))
    return None if row is None else _text(row[0], "token")


def dropTokens(cursor: Cursor, node: str) -> int:
    """
    How many there were.
    """
    cursor.execute("DELETE FROM token WHERE node = ?", (node,))
    return cursor.rowcount


def secret(cursor: Cursor, name: str) -> bytes | None:
    """
    One of them.
    """
    cursor.execute("SELECT value FROM secret WHERE name = ?", (name,))
    row = cursor.fetchone()
    if row is None:
        return None
    if not isinstance(row[0], bytes):
        raise StoreCorrupt(f"secret {name}", "it is not bytes")
    return row[0]


def putSecret(cursor: Cursor, name: str, value: bytes, expectedAbsent: bool) -> bool:
    """
    Whether it was stored.
    """
    verb = "INSERT OR IGNORE" if expectedAbsent else "INSERT OR REPLACE"
    cursor.execute(f"{verb} INTO secret VALUES (?, ?)", (name, value))
    return cursor.rowcount > 0


def audit(cursor: Cursor, entry: AuditEntry, keep: int) -> int:
    """
    An entry more, and the oldest less where there are more than C{keep}.
    """
    cursor.execute("INSERT INTO audit (entry) VALUES (?)", (codec.dumped(codec.auditToJSON(entry)).decode("ascii"),))
    number = cursor.lastrowid
    cursor.execute(
        "DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE number <= ? ORDER BY number LIMIT 16)",
        (number - keep,),
    )
    return number


def audits(cursor: Cursor, limit: int, before: int | None) -> list[AuditEntry]:
    """
    The newest of those before, the newest first.
    """
    bound = 1 << 62 if before is None else before
    cursor.execute(
        "SELECT number, entry FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?", (bound, max(0, limit))
    )
    found = []
    for number, entry in cursor.fetchall():
        try:
            found.append(codec.auditFromJSON(codec.loaded(entry), number))
        except Unreadable as error:
            found.append(codec.unreadableAudit(number, f"audit {number}", error))
    return found


def _text(found: object, what: str) -> str:
    try:
        return found.decode("utf-8") if isinstance(found, bytes) else str(found)
    except UnicodeDecodeError:
        raise StoreCorrupt(f"{what} {found!r}", "it is not UTF-8 text") from None
