"""
Texts in rules with places for what is known about a request: C{https://{host}/users/{user}}.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import quote

from attrs import field, frozen

from hermes.matching import NO_CAPTURES, Captures
from hermes.messages import Request
from hermes.wire.errors import MalformedError
from hermes.wire.host import parseAuthority, writeAuthority

VARIABLES: Final = ("user", "node", "source", "host", "path")
"""
What a text may name beside captures: the user and the node that sent the request, the address of the client, the host
that was asked for, without its port, and the path with the query. What is not known is empty.
"""

# A name out of somebody's token may hold anything, and must not end a line.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@frozen
class Text:
    """
    A text with places.

    @ivar text: as it was written; C{{{} and C{}}} stand for braces.
    @ivar names: of its places.
    """

    text: str
    names: tuple[str, ...] = field(init=False)
    _parts: tuple[tuple[bytes, str], ...] = field(init=False, repr=False)
    _end: bytes = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        parts: list[tuple[bytes, str]] = []
        literal = ""
        at = 0
        for found in _PLACE.finditer(self.text):
            literal += self.text[at : found.start()]
            at = found.end()
            if found[0] in ("{{", "}}"):
                literal += found[0][0]
            elif not found[1]:
                raise ValueError(f"{self.text!r} has a brace that names nothing: write {{{{ for one that is meant")
            else:
                parts.append((literal.encode(), found[1]))
                literal = ""
        object.__setattr__(self, "_parts", tuple(parts))
        object.__setattr__(self, "_end", (literal + self.text[at:]).encode())
        object.__setattr__(self, "names", tuple(name for _, name in parts))

    def unknown(self, captures: Collection[str] = ()) -> list[str]:
        """
        The names that stand for nothing.

        @param captures: the names that a match captures.
        """
        return [name for name in self.names if name not in VARIABLES and name not in captures]

    def fill(self, request: Request, captures: Captures = NO_CAPTURES, encode: bool = False) -> bytes:
        """
        The text with its places filled.

        @param encode: whether what is no captured part of a path is percent-encoded to become one.
        """
        if not self._parts:
            return self._end
        filled = bytearray()
        for literal, name in self._parts:
            filled += literal
            captured = captures.names.get(name)
            if captured is not None:
                filled += captured.encode()
            else:
                value = _value(name, request)
                filled += quote(value, safe="").encode() if encode and name != "path" else value
        return bytes(filled + self._end)

    def __str__(self) -> str:
        return self.text


def _value(name: str, request: Request) -> bytes:
    flow = request.flow
    if name == "user":
        return _CONTROL.sub(b"?", (flow.identity.user or "").encode())
    if name == "node":
        return _CONTROL.sub(b"?", (flow.identity.node or "").encode())
    if name == "source":
        return flow.source[0].encode() if flow.source else b""
    if name == "host":
        return hostOf(request.record.head.authority)
    if name == "path":
        return request.record.head.path
    return b""


def hostOf(authority: bytes) -> bytes:
    """
    The host in an authority, in brackets where it is an IPv6 address; empty where there is none.
    """
    try:
        return writeAuthority(parseAuthority(authority)[0])
    except MalformedError:
        return b""
