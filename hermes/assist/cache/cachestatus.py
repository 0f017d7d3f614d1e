"""
The Cache-Status field (RFC 9211).
"""

from __future__ import annotations

import re

import http_sf

_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")


def cacheName(node: str, name: str) -> bytes:
    """
    The member that stands for a cache of a node.
    """
    text = f"{node}/{name}"
    return _item(http_sf.Token(text) if _TOKEN.fullmatch(text) else _visible(text))


def keyParameter(url: bytes) -> bytes:
    """
    The C{key} parameter, with what comes before it.
    """
    return b"; key=" + _item(_visible(url.decode("latin-1")))


def _item(value: http_sf.Token | str) -> bytes:
    written: bytes = http_sf.ser(value).encode("ascii")
    return written


def _visible(text: str) -> str:
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def hit(name: bytes, secondsLeft: int, detail: bytes = b"") -> bytes:
    """
    Answered from the store.

    @param secondsLeft: how long it stays fresh; negative where it is stale.
    @param detail: a token.
    """
    return b"%s; hit; ttl=%d%s" % (name, secondsLeft, b"; detail=" + detail if detail else b"")


def forwarded(
    name: bytes,
    why: bytes,
    status: int | None = None,
    secondsLeft: int | None = None,
    stored: bool = False,
    collapsed: bool = False,
    detail: bytes = b"",
) -> bytes:
    """
    Sent on.

    @param why: a reason of RFC 9211 section 2.2.
    @param status: what the next server answered, where the client gets something else.
    """
    parts = [name, b"; fwd=", why]
    if status is not None:
        parts.append(b"; fwd-status=%d" % status)
    if secondsLeft is not None:
        parts.append(b"; ttl=%d" % secondsLeft)
    if stored:
        parts.append(b"; stored")
    if collapsed:
        parts.append(b"; collapsed")
    if detail:
        parts.append(b"; detail=" + detail)
    return b"".join(parts)
