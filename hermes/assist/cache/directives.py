"""
The Cache-Control field (RFC 9111 section 5.2), of requests and responses.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from attrs import frozen

MAX_SECONDS: Final = 1 << 31
"""
A larger number of seconds is taken for this one (RFC 9111 section 1.2.2); C{max-stale} without one, too.
"""

_PART = re.compile(rb'((?:[^,"]|"(?:[^"\\]|\\.)*"?)*)(?:,|$)')
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@frozen
class Directives:
    """
    What a Cache-Control field says. Seconds are L{None} where the directive is absent.

    @ivar maxAge: 0 where it can't be read, or is there twice with two values: a response is stale then, as RFC 9111
        section 4.2.1 wants it, and a request asks for validation.
    @ivar sMaxAge: likewise.
    @ivar noCacheFields: the names that a qualified C{no-cache} lists; C{noCache} is not set by it.
    @ivar privateFields: likewise.
    """

    noStore: bool = False
    noCache: bool = False
    noCacheFields: frozenset[bytes] = frozenset()
    private: bool = False
    privateFields: frozenset[bytes] = frozenset()
    public: bool = False
    mustRevalidate: bool = False
    proxyRevalidate: bool = False
    mustUnderstand: bool = False
    immutable: bool = False
    onlyIfCached: bool = False
    maxAge: int | None = None
    sMaxAge: int | None = None
    minFresh: int | None = None
    maxStale: int | None = None
    staleWhileRevalidate: int | None = None
    staleIfError: int | None = None


NOTHING: Final = Directives()


def directives(value: bytes | None) -> Directives:
    """
    Read the combined value of the field; L{None} stands for no field. Directives that nobody knows are skipped.
    """
    return NOTHING if value is None else _parse(value)


@lru_cache(4096)
def _parse(value: bytes) -> Directives:
    found: dict[bytes, list[bytes | None]] = {}
    for match in _PART.finditer(value):
        name, equals, argument = match[1].strip(b" \t").partition(b"=")
        if _TOKEN.fullmatch(name):
            found.setdefault(name.lower(), []).append(_unquoted(argument) if equals else None)
    noCache, noCacheFields = _qualified(found.get(b"no-cache"))
    private, privateFields = _qualified(found.get(b"private"))
    maxStale = found.get(b"max-stale")
    return Directives(
        noStore=b"no-store" in found,
        noCache=noCache,
        noCacheFields=noCacheFields,
        private=private,
        privateFields=privateFields,
        public=b"public" in found,
        mustRevalidate=b"must-revalidate" in found,
        proxyRevalidate=b"proxy-revalidate" in found,
        mustUnderstand=b"must-understand" in found,
        immutable=b"immutable" in found,
        onlyIfCached=b"only-if-cached" in found,
        maxAge=_lifetime(found.get(b"max-age")),
        sMaxAge=_lifetime(found.get(b"s-maxage")),
        minFresh=_seconds(found.get(b"min-fresh")),
        maxStale=MAX_SECONDS if maxStale and maxStale[0] is None else _seconds(maxStale),
        staleWhileRevalidate=_seconds(found.get(b"stale-while-revalidate")),
        staleIfError=_seconds(found.get(b"stale-if-error")),
    )


def _unquoted(argument: bytes) -> bytes:
    if argument[:1] != b'"':
        return argument
    return re.sub(rb"\\(.)", rb"\1", argument[1:-1] if argument.endswith(b'"') else argument[1:])


def _qualified(arguments: list[bytes | None] | None) -> tuple[bool, frozenset[bytes]]:
    """
    Whether a directive is there without a list of fields, and the lists.
    """
    if arguments is None:
        return False, frozenset()
    names = {name.strip(b" \t").lower() for argument in arguments if argument for name in argument.split(b",")}
    names.discard(b"")
    # Without a name, an argument says nothing that could narrow the directive.
    return any(not argument for argument in arguments) or not names, frozenset(names)


def _lifetime(arguments: list[bytes | None] | None) -> int | None:
    if arguments is None:
        return None
    seconds = parseSeconds(arguments[0])
    return 0 if seconds is None or any(other != arguments[0] for other in arguments) else seconds


def _seconds(arguments: list[bytes | None] | None) -> int | None:
    return None if arguments is None else parseSeconds(arguments[0])


def parseSeconds(value: bytes | None) -> int | None:
    """
    Delta-seconds (RFC 9111 section 1.2.2); L{None} where it is no such number.
    """
    if value is None or not value.isdigit():
        return None
    return MAX_SECONDS if len(value.lstrip(b"0")) > 10 else min(int(value), MAX_SECONDS)
