"""
Ranges of bytes and the validators that hold their parts together (RFC 9110 sections 8.8 and 14).
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from hermes.http.retryafter import parseDate
from hermes.values import RequestHead, ResponseHead

_CONTENT_RANGE: Final = re.compile(rb"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_RANGE: Final = re.compile(rb"bytes[ \t]*=[ \t]*([0-9]{1,18})-([0-9]{1,18})?[ \t]*", re.IGNORECASE)
_SUFFIX: Final = re.compile(rb"bytes[ \t]*=[ \t]*-[0-9]{1,18}[ \t]*", re.IGNORECASE)
_ENTITY_TAG: Final = re.compile(rb'"[\x21\x23-\x7e\x80-\xff]*"')
_MAX_DIGITS: Final = 18

CLOCKS_APART: Final = 60.0
"""
Seconds: where a response is so much younger than what it says it was last modified, that date is strong: the
representation can't have changed twice within one second of it.
"""

CONDITIONAL: Final = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"}
)


@frozen
class ContentRange:
    """
    A Content-Range field.

    @ivar first: the offset of the first byte.
    @ivar last: that of the last.
    @ivar total: how many bytes the whole has; L{None} where that is not said.
    """

    first: int
    last: int
    total: int | None


def parseContentRange(value: bytes | None) -> ContentRange | None:
    """
    @return: L{None} where it is no such field, or says what can't be.
    """
    match = None if value is None else _CONTENT_RANGE.fullmatch(value)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == b"*" else int(match[3])
    if last < first or (total is not None and last >= total):
        return None
    return ContentRange(first, last, total)


def parseRange(value: bytes) -> tuple[int, int | None] | None:
    """
    A Range field that asks for one range from a given offset on.

    @return: the offsets of the first byte and of the last, which is L{None} for the end; L{None} where the field asks
        for something else, or is none.
    """
    match = _RANGE.fullmatch(value)
    if match is None:
        return None
    first, last = int(match[1]), None if match[2] is None else int(match[2])
    return None if last is not None and last < first else (first, last)


def isSingleRange(value: bytes) -> bool:
    """
    Whether a Range field asks for one range.
    """
    return parseRange(value) is not None or _SUFFIX.fullmatch(value) is not None


def contentLength(head: ResponseHead) -> int | None:
    """
    What C{Content-Length} says.
    """
    value = head.get(b"content-length")
    return int(value) if value is not None and value.isdigit() and len(value) <= _MAX_DIGITS else None


def strongValidator(head: ResponseHead) -> tuple[bytes, bytes] | None:
    """
    The field that tells two representations apart, and its value: a strong ETag (RFC 9110 section 8.8.3), or, where
    there is no ETag, a Last-Modified that is strong by the response's C{Date} (section 8.8.2.2); else L{None}.
    """
    etag = head.get(b"etag")
    if etag is not None:
        return (b"etag", etag) if _ENTITY_TAG.fullmatch(etag) else None
    modified, date = head.get(b"last-modified"), head.get(b"date")
    if modified is None or date is None:
        return None
    sent = parseDate(date, 0.0)
    changed = parseDate(modified, 0.0)
    if sent is None or changed is None or sent - changed < CLOCKS_APART:
        return None
    return b"last-modified", modified


def rangeRequest(head: RequestHead, first: int, last: int | None, validator: tuple[bytes, bytes]) -> RequestHead:
    """
    The same request for a part of what it asked for, if that has not changed: in place of all its conditions.
    """
    kept = tuple(pair for pair in head.headers if pair[0] not in CONDITIONAL)
    end = b"" if last is None else b"%d" % last
    asked = ((b"range", b"bytes=%d-%s" % (first, end)), (b"if-range", validator[1]))
    return RequestHead(head.method, head.scheme, head.authority, head.path, head.protocol, kept + asked)
