"""
How much one value may have, in every store: etcd takes 1.5 MiB in one request, and no store is for whatever comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from hermes.control.store.errors import ValueTooLarge
from hermes.control.values import CONTROLLER, AuditEntry, NodeReason

DOCUMENT: Final = 16 * 1024 * 1024
"""
Bytes of a document, with its measurements and digests, as they are before they are compressed.
"""

LINE: Final = 64 * 1024
"""
Bytes of what is for a line or a few: a comment, an author, the text of an entry in the audit log.
"""

REASON: Final = 4 * 1024
"""
Characters of one reason; of a longer one the beginning is kept.
"""

REASONS: Final = 384 * 1024
"""
Bytes of all reasons of a version. Of more than that, the first are kept, and how many more there were.
"""

VALUE: Final = 256 * 1024
"""
Bytes of a secret, of a node's entry.
"""

CUT: Final = " ..."


def checked(what: str, size: int, most: int) -> None:
    """
    @raise ValueTooLarge: C{size} is more than C{most}.
    """
    if size > most:
        raise ValueTooLarge(f"{what} has {size} bytes, and at most {most} are stored")


def shortened(text: str, most: int) -> str:
    """
    C{text}, or its beginning, of at most so many bytes of UTF-8.
    """
    if len(text) * 4 <= most:
        return text
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most:
        return text
    return encoded[: most - len(CUT)].decode("utf-8", "ignore") + CUT


def boundedReasons(reasons: Sequence[NodeReason]) -> tuple[NodeReason, ...]:
    """
    What is kept of them: a version must be aborted however much there is to say.
    """
    kept: list[NodeReason] = []
    room = REASONS
    for each in reasons:
        short = evolve(each, text=shortened(each.text, REASON))
        room -= len(short.text.encode("utf-8", "replace")) + len(short.node.encode("utf-8", "replace")) + 64
        if room < 0:
            left = len(reasons) - len(kept)
            kept.append(NodeReason(CONTROLLER, f"and {left} more reasons, which were not kept", each.step))
            break
        kept.append(short)
    return tuple(kept)


def boundedAudit(entry: AuditEntry) -> AuditEntry:
    """
    What is kept of an entry: what was done must not go unlogged because there is much to say of it.
    """
    return evolve(
        entry,
        actor=shortened(entry.actor, REASON),
        action=shortened(entry.action, REASON),
        subject=shortened(entry.subject, REASON),
        origin=shortened(entry.origin, REASON),
        text=shortened(entry.text, LINE),
    )
