"""
Fields as they are in the rows of a database.
"""

from __future__ import annotations

from hermes.assist.cache.stored import Selecting
from hermes.values import Headers


def writeFields(headers: Headers) -> bytes:
    """
    One line each. Neither names nor values have line ends in them (RFC 9110 section 5.5).
    """
    return b"\n".join(name + b":" + value for name, value in headers)


def readFields(text: bytes) -> Headers:
    """
    The inverse of L{writeFields}.
    """
    if not text:
        return ()
    return tuple((name, value) for name, _, value in (line.partition(b":") for line in text.split(b"\n")))


def writeSelecting(selecting: Selecting) -> bytes:
    """
    Likewise; a field that the request did not have is its name alone.
    """
    return b"\n".join(name if value is None else name + b":" + value for name, value in selecting)


def readSelecting(text: bytes) -> Selecting:
    """
    The inverse of L{writeSelecting}.
    """
    if not text:
        return ()
    lines = (line.partition(b":") for line in text.split(b"\n"))
    return tuple((name, value if colon else None) for name, colon, value in lines)
