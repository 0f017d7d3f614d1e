"""
What of an object is asked for: conditions and ranges (RFC 9110 sections 13 and 14).
"""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz
from typing import Final, Literal, TypeAlias

from hermes.values import RequestHead

_RANGE: Final = re.compile(rb"bytes[ \t]*=[ \t]*([0-9]{0,18})[ \t]*-[ \t]*([0-9]{0,18})[ \t]*", re.IGNORECASE)
_TAG: Final = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')

Part: TypeAlias = 'tuple[int, int] | Literal["all", "none"]'


def matchesTag(value: bytes, etag: bytes, strong: bool) -> bool:
    """
    Whether an C{If-Match} or C{If-None-Match} field takes an entity tag (section 8.8.3.2).

    @param strong: whether a weak tag is like no other.
    """
    if value.strip() == b"*":
        return True
    for tag in _TAG.findall(value):
        if strong:
            if tag == etag and not tag.startswith(b"W/"):
                return True
        elif tag.removeprefix(b"W/") == etag.removeprefix(b"W/"):
            return True
    return False


def unmodifiedSince(value: bytes, modified: int | None) -> bool:
    """
    Whether something has not changed since the date of an C{If-Modified-Since} field (section 13.1.3).

    @param modified: when it has changed last, in nanoseconds since 1970; L{None} where that is not known.
    """
    if modified is None:
        return False
    try:
        date = parsedate_tz(value.decode("ascii"))
        # What is no date is as if it were not there.
        return date is not None and modified // 1_000_000_000 <= mktime_tz(date)
    except (ValueError, OverflowError):
        return False


def partOf(head: RequestHead, size: int | None, etag: bytes) -> Part:
    """
    Which part is asked for.

    @param size: of the whole; L{None} where that is not known.
    @return: from where to where; C{"all"} also where the range is not understood, or there are several; C{"none"} where
        there is no such part.
    """
    value = head.get(b"range")
    if value is None or size is None or head.method != b"GET":
        return "all"
    condition = head.get(b"if-range")
    # A date is not that of anything here.
    if condition is not None and (condition != etag or etag.startswith(b"W/")):
        return "all"
    match = _RANGE.fullmatch(value)
    if match is None or not (match[1] or match[2]):
        return "all"
    if not match[1]:
        length = int(match[2])
        return (max(size - length, 0), size) if length and size else "none"
    start = int(match[1])
    if match[2] and int(match[2]) < start:
        return "all"
    if start >= size:
        return "none"
    return start, min(int(match[2]) + 1, size) if match[2] else size
