"""
Values of the control plane as JSON, for a store, and back. Nothing that is read is trusted: whoever can write to a
store may have written anything.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final, TypeVar, cast, get_args

from attrs import asdict, evolve, frozen

from hermes.control.store import bounds
from hermes.control.values import AuditEntry, NodeEntry, NodeReason, Phase, Step, VersionRecord

_T = TypeVar("_T")

STEPS: Final = frozenset(get_args(Step))
PHASES: Final = frozenset(get_args(Phase))


class Unreadable(ValueError):
    """
    A value is not what it should be. The text does not repeat it: it may be a secret.
    """


def dumped(value: object) -> bytes:
    """
    JSON, UTF-8; the same for equal values. Text that is no Unicode, half of a surrogate pair, is escaped.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def loaded(data: object) -> dict[str, Any]:
    """
    A JSON object.

    @param data: bytes or text, or whatever else stands in its place.
    @raise Unreadable: it is none.
    """
    if not isinstance(data, bytes | str):
        raise Unreadable("it is neither bytes nor text")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise Unreadable("it is not JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("it is not an object of JSON")
    return found


def text(source: Mapping[str, Any], key: str) -> str:
    """
    @raise Unreadable: there is no text of this name.
    """
    found = source.get(key)
    if not isinstance(found, str):
        raise Unreadable(f"{key} is not text")
    return found


def number(source: Mapping[str, Any], key: str) -> float:
    """
    @raise Unreadable: there is no finite number of this name.
    """
    found = source.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Unreadable(f"{key} is not a number")
    try:
        made = float(found)
    except OverflowError:
        made = float("inf")
    if not isfinite(made):
        raise Unreadable(f"{key} is not a number that can be used")
    return made


def whole(source: Mapping[str, Any], key: str) -> int:
    """
    @raise Unreadable: there is no whole number of this name, 0 or greater.
    """
    found = source.get(key)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 1 << 63:
        raise Unreadable(f"{key} is not a whole number")
    return found


def truth(source: Mapping[str, Any], key: str) -> bool:
    """
    @raise Unreadable: there is neither true nor false of this name.
    """
    found = source.get(key)
    if not isinstance(found, bool):
        raise Unreadable(f"{key} is neither true nor false")
    return found


def mapping(source: Mapping[str, Any], key: str, kind: type[_T] | tuple[type[_T], ...]) -> dict[str, _T]:
    """
    @raise Unreadable: there is no mapping of this name from text to values of this kind.
    """
    found = source.get(key)
    if not isinstance(found, dict) or not all(isinstance(each, kind) for each in found.values()):
        raise Unreadable(f"{key} is not a mapping as it should be")
    return found


# Versions


@frozen
class Body:
    """
    What of a version is large, as it is stored: compressed.

    @ivar data: JSON, compressed (RFC 1950).
    """

    data: bytes

    @classmethod
    def of(cls, record: VersionRecord) -> Body:
        """
        @raise hermes.control.store.errors.ValueTooLarge: it is larger than L{bounds.DOCUMENT}.
        """
        # Text of one megabyte has at least as many bytes: no use in encoding what is far too large.
        bounds.checked("the document", len(record.document) + len(record.measurements), bounds.DOCUMENT)
        plain = dumped(
            {"document": record.document, "measurements": record.measurements, "digests": dict(record.digests)}
        )
        bounds.checked("the document with its measurements and digests", len(plain), bounds.DOCUMENT)
        return cls(zlib.compress(plain, 6))

    def into(self, record: VersionRecord) -> VersionRecord:
        """
        The record with what is in here.

        @raise Unreadable: it is broken.
        """
        unpacker = zlib.decompressobj()
        try:
            plain = unpacker.decompress(self.data, bounds.DOCUMENT + 1)
        except zlib.error:
            raise Unreadable("its document is broken: what was compressed can't be had back") from None
        if len(plain) > bounds.DOCUMENT:
            raise Unreadable("its document is larger than any that is stored")
        if not unpacker.eof:
            raise Unreadable("its document is broken: the end of it is missing")
        found = loaded(plain)
        return evolve(
            record,
            document=text(found, "document"),
            measurements=text(found, "measurements"),
            digests=mapping(found, "digests", str),
        )


def checkedRecord(record: VersionRecord) -> None:
    """
    @raise ValueError: it can't be appended.
    @raise hermes.control.store.errors.ValueTooLarge: its author or comment is too large.
    """
    if record.phase != "preparing" or record.reasons:
        raise ValueError(f"a version begins as preparing, and not as {record.phase}, and without reasons")
    bounds.checked("the comment", len(record.comment.encode("utf-8", "replace")), bounds.LINE)
    bounds.checked("the author", len(record.author.encode("utf-8", "replace")), bounds.REASON)


def checkedPhases(expected: Phase, phase: Phase) -> None:
    """
    @raise ValueError: no version turns from C{expected} to C{phase}.
    """
    if expected in ("committed", "aborted"):
        raise ValueError(f"{expected} is for ever")
    if phase == "preparing":
        raise ValueError("no version turns to preparing: it begins as that")


def reasonsToJSON(reasons: Sequence[NodeReason]) -> list[dict[str, str]]:
    """
    Reasons as JSON has them.
    """
    return [{"node": each.node, "text": each.text, "step": each.step} for each in reasons]


def reasonsFromJSON(found: object) -> tuple[NodeReason, ...]:
    """
    @raise Unreadable: they are none.
    """
    if not isinstance(found, list):
        raise Unreadable("its reasons are not a list")
    return tuple(_reason(each) for each in found)


def _reason(found: object) -> NodeReason:
    if not isinstance(found, dict):
        raise Unreadable("one of its reasons is not an object")
    step = text(found, "step")
    if step not in STEPS:
        raise Unreadable("one of its reasons is of no known step")
    return NodeReason(text(found, "node"), text(found, "text"), cast(Step, step))


def phaseOf(source: Mapping[str, Any]) -> Phase:
    """
    @raise Unreadable: it has none.
    """
    found = text(source, "phase")
    if found not in PHASES:
        raise Unreadable("its phase is none that there is")
    return cast(Phase, found)


def headToJSON(record: VersionRecord) -> dict[str, Any]:
    """
    What of a version is small, and not its number.
    """
    return {
        "parent": record.parent,
        "author": record.author,
        "time": record.time,
        "comment": record.comment,
        "phase": record.phase,
        "reasons": reasonsToJSON(record.reasons),
    }


def headFromJSON(found: Mapping[str, Any], which: int) -> VersionRecord:
    """
    A version without its document.

    @raise Unreadable: it is none.
    """
    return VersionRecord(
        number=which,
        parent=None if found.get("parent") is None else whole(found, "parent"),
        author=text(found, "author"),
        time=number(found, "time"),
        comment=text(found, "comment"),
        document="",
        phase=phaseOf(found),
        reasons=reasonsFromJSON(found.get("reasons")),
    )


# Nodes, the audit log


def nodeToJSON(entry: NodeEntry) -> dict[str, Any]:
    """
    A node as JSON has it, without its name.

    @raise hermes.control.store.errors.ValueTooLarge: it is larger than L{bounds.VALUE}.
    """
    found = asdict(entry, recurse=False)
    del found["name"]
    found["earlier"] = dict(entry.earlier)
    bounds.checked(f"the entry of node {entry.name}", len(dumped(found)), bounds.VALUE)
    return found


def nodeFromJSON(found: Mapping[str, Any], name: str) -> NodeEntry:
    """
    @raise Unreadable: it is none.
    """
    earlier = mapping(found, "earlier", (int, float))
    return NodeEntry(
        name=name,
        serial=text(found, "serial"),
        enrolledAt=number(found, "enrolledAt"),
        expires=number(found, "expires"),
        revoked=truth(found, "revoked"),
        lastSeen=number(found, "lastSeen"),
        earlier={serial: number(earlier, serial) for serial in earlier},
        software=text(found, "software"),
    )


def auditToJSON(entry: AuditEntry) -> dict[str, Any]:
    """
    An entry as JSON has it, without its number, and shortened.
    """
    found = asdict(bounds.boundedAudit(entry))
    del found["number"]
    return found


def auditFromJSON(found: Mapping[str, Any], which: int) -> AuditEntry:
    """
    @raise Unreadable: it is none.
    """
    return AuditEntry(
        time=number(found, "time"),
        actor=text(found, "actor"),
        action=text(found, "action"),
        subject=text(found, "subject"),
        text=text(found, "text"),
        origin=text(found, "origin"),
        number=which,
    )


def unreadableAudit(which: int, key: str, why: object) -> AuditEntry:
    """
    What stands in the log for an entry that can't be read.
    """
    return AuditEntry(0.0, "", "unreadable", text=f"{key}: {why}", number=which)
