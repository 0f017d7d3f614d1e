"""
Whether a response may be stored, what of it, and for which requests (RFC 9111 sections 3 and 4.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hermes.assist.cache.directives import directives
from hermes.assist.cache.freshness import HEURISTICALLY_CACHEABLE, Freshness, isExplicit
from hermes.assist.cache.stored import Selecting, StoredResponse
from hermes.values import Headers, RequestHead, ResponseHead, fieldValue

UNDERSTOOD: Final = HEURISTICALLY_CACHEABLE | {302, 303, 307, 421, 451}
"""
The statuses whose meaning for caches is known, for C{must-understand} (section 5.2.2.3).
"""

NEVER_STORED: Final = frozenset({206, 304, 401, 407, 416})
"""
Statuses of parts and of questions, and those that belong to one client's credentials.
"""

# Of one hop, written anew each time, or about one exchange (section 3.1). The HTTP versions have dropped the first ones
# already, wherever a response came through one of ours.
_DROPPED: Final = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"transfer-encoding",
        b"te",
        b"trailer",
        b"upgrade",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-status",
        b"age",
        b"cache-status",
    }
)

# A 304 has no body: what describes one is not about the one that is stored (section 3.2).
_NOT_UPDATED: Final = _DROPPED | {b"content-length", b"content-encoding", b"content-range", b"content-md5", b"digest"}

# What of a response is about its body, and so not in a 304 (RFC 9110 section 15.4.5).
_OF_A_BODY: Final = frozenset({b"content-length", b"content-type", b"content-encoding", b"content-language"})


def mayStore(request: RequestHead, response: ResponseHead, freshness: Freshness, personal: bool = False) -> bool:
    """
    Whether a shared cache may store a response to a GET, and would ever use it.

    @param personal: whether the request had a credential, be it taken off since.
    """
    asked = directives(request.get(b"cache-control"))
    said = directives(response.get(b"cache-control"))
    status = response.status
    if status < 200 or status in NEVER_STORED or asked.noStore or said.private:
        return False
    if said.mustUnderstand:
        if status not in UNDERSTOOD:
            return False
    elif said.noStore:
        return False
    if (personal or request.get(b"authorization") is not None) and not (
        said.public or said.sMaxAge is not None or said.mustRevalidate
    ):
        return False
    if response.get(b"set-cookie") is not None and b"set-cookie" not in said.noCacheFields | said.privateFields:
        return False
    if varying(response) is None:
        return False
    if not (isExplicit(response, said) or said.public or status in HEURISTICALLY_CACHEABLE):
        return False
    return freshness.lifetime > 0 or freshness.validator


def varying(response: ResponseHead) -> tuple[bytes, ...] | None:
    """
    The names in C{vary}, in lower case and in order; L{None} where no request matches (C{*}).
    """
    value = response.get(b"vary")
    if value is None:
        return ()
    names = {name.strip(b" \t").lower() for name in value.split(b",")}
    if b"*" in names:
        return None
    return tuple(sorted(names - {b""}))


def selecting(names: Iterable[bytes], request: RequestHead) -> Selecting:
    """
    The values that a request has for them.
    """
    return tuple((name, _normalised(fieldValue(request.headers, name))) for name in names)


def matches(stored: Selecting, request: RequestHead) -> bool:
    """
    Whether a request has the values for which a response was stored.
    """
    return all(_normalised(fieldValue(request.headers, name)) == value for name, value in stored)


def _normalised(value: bytes | None) -> bytes | None:
    # White space and empty members mean nothing in any field that is a list (section 4.1).
    return None if value is None else b",".join(part for part in map(bytes.strip, value.split(b",")) if part)


def select(responses: Iterable[StoredResponse], request: RequestHead) -> StoredResponse | None:
    """
    The response that a request gets: of those that match, the one that came last.
    """
    found: StoredResponse | None = None
    for stored in responses:
        if (not stored.selecting or matches(stored.selecting, request)) and (
            found is None or stored.receivedAt > found.receivedAt
        ):
            found = stored
    return found


def storedHeaders(head: ResponseHead) -> Headers:
    """
    The fields of a response that are stored.
    """
    said = directives(head.get(b"cache-control"))
    dropped = _DROPPED | said.noCacheFields | said.privateFields
    listed = head.get(b"connection")
    if listed is not None:
        dropped |= {name.strip(b" \t").lower() for name in listed.split(b",")}
    return tuple(pair for pair in head.headers if pair[0] not in dropped)


def merged(stored: Headers, told: ResponseHead) -> Headers:
    """
    The fields of a stored response, brought up to date by a 304, or by the response to a HEAD (sections 3.2, 4.3.5).
    """
    update = tuple(pair for pair in storedHeaders(told) if pair[0] not in _NOT_UPDATED)
    names = {name for name, _ in update}
    return (*(pair for pair in stored if pair[0] not in names), *update)


def withoutBody(headers: Headers) -> Headers:
    """
    The fields of a 304 that answers in place of a response with these.
    """
    return tuple(pair for pair in headers if pair[0] not in _OF_A_BODY)
