"""
Field lines: what may stand in them, which of them are for one hop only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import h11

from hermes.http1.errors import Malformed
from hermes.values import Headers

BLOCK_END = re.compile(rb"\r\n\r\n|(?<!\r)\n")
"""
The end of a head. A lone LF ends nothing: it is found so that it can be refused at once.
"""

# Controls, a CR or LF alone, and lines that go on (obs-fold, RFC 9112 section 5.2).
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\n[ \t]")

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"http2-settings"}
)
"""
Fields that say something about this connection alone (RFC 9110 section 7.6.1).
"""

# Naming these in Connection would change the message and not the connection.
_NEVER_NOMINATED = frozenset({b"host", b"content-length", b"close", b"cache-control"})


def checkBlock(block: bytes) -> None:
    """
    h11 lets much of this pass, and a peer that reads it otherwise than we do is how requests are smuggled.

    @raise Malformed: for a block of lines that holds controls, bare CR or LF, or folded lines.
    """
    if _FORBIDDEN.search(block) is not None:
        raise Malformed("a control character, a bare CR or LF, or a folded line in the head")


def checkedFields(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """
    The fields, where all of them can stand in a message.

    @raise Malformed: for a name that is no token, or a value with a control character.
    """
    checked = list(fields)
    try:
        h11.EndOfMessage(headers=checked)
    except h11.LocalProtocolError as error:
        # What follows the colon is the field, and may be a credential.
        raise Malformed(str(error).partition(":")[0]) from None
    return checked


def writeFields(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    Field lines.
    """
    return b"".join([b"%s: %s\r\n" % pair for pair in fields])


def tokens(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """
    The members of a field that is a list of tokens, lower case.
    """
    return [
        token
        for key, value in fields
        if key == name
        for part in value.lower().split(b",")
        if (token := part.strip(b" \t"))
    ]


def endToEnd(fields: Sequence[tuple[bytes, bytes]], drop: frozenset[bytes] = frozenset()) -> Headers:
    """
    The fields without those that are for one hop: the known ones, and those that C{Connection} names.

    @param drop: more names to leave out.
    """
    hop = HOP_BY_HOP | drop
    nominated = tokens(fields, b"connection")
    if nominated:
        hop = hop.union(nominated) - (_NEVER_NOMINATED - drop)
    return tuple([pair for pair in fields if pair[0] not in hop])
