"""
Field lines: what may stand in them, which of them are for one hop only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hermes.http1.errors import Malformed
from hermes.values import Headers

# Controls, a CR or LF alone, and lines that go on (obs-fold, RFC 9112 section 5.2).
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\n[ \t]")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09, 0x0A, 0x0D})

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"http2-settings"}
)
"""
Fields that say something about this connection alone (RFC 9110 section 7.6.1).
"""

# Naming these in Connection would change the message and not the connection.
_NEVER_NOMINATED = frozenset({b"host", b"content-length", b"close", b"cache-control"})

# These name no field, or one that goes anyway.
_PLAIN_OPTIONS = HOP_BY_HOP | {b"close"}

# Lines as they came, and what they say: most heads say much of it in the same words.
_MAX_LINES = 4096
_MAX_LINE = 256
_lines: dict[bytes, tuple[bytes, bytes]] = {}


class Judge:
    """
    What llhttp tells of a head: no more than that it is one.

    @ivar complete: whether it is.
    """

    __slots__ = ("complete",)

    def __init__(self) -> None:
        self.complete = False

    def on_headers_complete(self) -> None:
        """
        The empty line has come.
        """
        self.complete = True


def readLines(lines: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """
    The fields in lines that llhttp has let pass: each is a token, a colon, and a value without controls.
    """
    fields = []
    for line in lines:
        field = _lines.get(line)
        if field is None:
            name, _, value = line.partition(b":")
            field = name.lower(), value.strip(b" \t")
            if len(line) <= _MAX_LINE:
                if len(_lines) >= _MAX_LINES:
                    _lines.clear()
                _lines[line] = field
        fields.append(field)
    return fields


def checkBlock(block: bytes) -> None:
    """
    What one peer lets pass and another reads otherwise is how requests are smuggled.

    @raise Malformed: for a block of lines that holds controls, bare CR or LF, or folded lines.
    """
    if _FORBIDDEN.search(block) is not None:
        raise Malformed("a control character, a bare CR or LF, or a folded line in the head")


# Names that can be written.
_MAX_NAMES = 2048
_written: set[bytes] = set()


def fieldLines(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """
    Field lines and the empty line after them.

    @raise Malformed: for a name that is no token, or a value that can't stand in a line.
    """
    for name, _ in fields:
        if name not in _written:
            if _NAME.fullmatch(name) is None:
                raise Malformed("a field's name is no token")
            if len(_written) >= _MAX_NAMES:
                _written.clear()
            _written.add(name)
    lines = b"".join([b"%s: %s\r\n" % pair for pair in fields])
    count = len(fields)
    if (
        lines.count(b"\n") != count
        or lines.count(b"\r") != count
        or len(lines.translate(None, _CONTROLS)) != len(lines)
    ):
        raise Malformed("a field's value can't be written")
    return lines + b"\r\n"


def members(values: Iterable[bytes]) -> list[bytes]:
    """
    The members of a field that is a list of tokens, lower case.

    @param values: of its lines.
    """
    return [token for value in values for part in value.lower().split(b",") if (token := part.strip(b" \t"))]


def endToEnd(
    fields: Sequence[tuple[bytes, bytes]], options: Sequence[bytes], drop: frozenset[bytes] = frozenset()
) -> Headers:
    """
    The fields without those that are for one hop: the known ones, and those that C{Connection} names.

    @param options: the members of C{Connection}.
    @param drop: more names to leave out.
    """
    hop = HOP_BY_HOP | drop
    if options and not _PLAIN_OPTIONS.issuperset(options):
        hop = hop.union(options) - (_NEVER_NOMINATED - drop)
    return tuple([pair for pair in fields if pair[0] not in hop])
