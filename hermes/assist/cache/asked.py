"""
A request as a cache sees it: what it is for, and on what conditions (RFC 9110 sections 13 and 14).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from attrs import define

from hermes.assist.cache.dates import parseDate
from hermes.assist.cache.directives import NOTHING, Directives, directives
from hermes.assist.cache.stored import Key, StoredResponse
from hermes.values import Headers, RequestHead

_OF_INTEREST: Final = frozenset(
    {
        b"cache-control",
        b"pragma",
        b"authorization",
        b"range",
        b"if-range",
        b"if-none-match",
        b"if-modified-since",
        b"if-match",
        b"if-unmodified-since",
    }
)
_CONDITIONS: Final = frozenset(
    {b"range", b"if-range", b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since"}
)
_ORIGINS_OWN: Final = frozenset({b"if-match", b"if-unmodified-since"})

Part: TypeAlias = "tuple[int, int] | Literal[False] | None"

_PORTS: Final = {b"http": b":80", b"https": b":443"}
_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_RANGE = re.compile(rb"bytes[ \t]*=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*", re.I)


@define(eq=False)
class Asked:
    """
    A GET or HEAD.

    @ivar key: what it is looked up by.
    @ivar head: as it came to the cache.
    @ivar directives: those of the request; C{pragma} counts where there is no Cache-Control.
    @ivar fields: those of its fields that mean something to a cache, by name.
    @ivar headOnly: whether it is a HEAD.
    @ivar personal: whether it came with a credential (C{Authorization}), which may have been taken off since.
    """

    key: Key
    head: RequestHead
    directives: Directives
    fields: dict[bytes, bytes]
    headOnly: bool
    personal: bool

    @classmethod
    def of(cls, head: RequestHead, scope: bytes, personal: bool = False) -> Asked:
        """
        @param scope: see L{Key}.
        @param personal: whether it had a credential, of which nothing is left.
        """
        fields: dict[bytes, bytes] = {}
        for name, value in head.headers:
            if name in _OF_INTEREST:
                fields[name] = fields[name] + b", " + value if name in fields else value
        said = directives(fields.get(b"cache-control"))
        if b"pragma" in fields and said is NOTHING and b"no-cache" in fields[b"pragma"].lower():
            said = Directives(noCache=True)
        personal = personal or b"authorization" in fields
        return cls(Key(targetOf(head), scope), head, said, fields, head.method == b"HEAD", personal)

    @property
    def forOrigin(self) -> bool:
        """
        Whether it asks what only its origin can say: conditions for a change (RFC 9111 section 4.3.2).
        """
        return not _ORIGINS_OWN.isdisjoint(self.fields)

    @property
    def conditional(self) -> bool:
        """
        Whether its answer may be without a body, or be a part of one.
        """
        return not _CONDITIONS.isdisjoint(self.fields)

    def notModified(self, stored: StoredResponse) -> bool:
        """
        Whether the client has what is stored already: If-None-Match and If-Modified-Since (RFC 9110 section 13.2.2).
        """
        noneMatch = self.fields.get(b"if-none-match")
        if noneMatch is not None:
            etag = stored.freshness.etag
            if noneMatch.strip() == b"*":
                return True
            return etag is not None and _opaque(etag) in {_opaque(tag) for tag in _TAG.findall(noneMatch)}
        since = self.fields.get(b"if-modified-since")
        changed = stored.freshness.lastModified
        if since is None or changed is None:
            return False
        sinceDate, changedDate = parseDate(since), parseDate(changed)
        return sinceDate is not None and changedDate is not None and changedDate <= sinceDate

    def range(self, stored: StoredResponse, length: int) -> Part:
        """
        The part that it asks for of a body of C{length} bytes, as start and stop. L{None}: all of it, because it does
        not ask for one range, or its If-Range does not hold. L{False}: none of its ranges can be had.
        """
        asked = self.fields.get(b"range")
        if asked is None or not self._rangeHolds(stored):
            return None
        return parseRange(asked, length)

    def _rangeHolds(self, stored: StoredResponse) -> bool:
        condition = self.fields.get(b"if-range")
        if condition is None:
            return True
        if condition[:1] == b'"':
            return condition == stored.freshness.etag
        # A date is a strong validator where it is well before the response (RFC 9110 section 8.8.2.2).
        changed = stored.freshness.lastModified
        date = parseDate(condition)
        return date is not None and condition == changed and date + 60 <= stored.receivedAt

    def plain(self) -> Headers:
        """
        Its fields without its conditions and ranges.
        """
        return tuple(pair for pair in self.head.headers if pair[0] not in _CONDITIONS)


def _opaque(tag: bytes) -> bytes:
    return tag[2:] if tag[:2] == b"W/" else tag


def parseRange(value: bytes, length: int) -> Part:
    """
    One range of bytes (RFC 9110 section 14.1.2), as start and stop.

    @return: L{None} where the field is to be ignored: it can't be read, is of another unit, or has more than one range
        (section 14.2 allows that). L{False} where the body has no such part.
    """
    match = _RANGE.fullmatch(value)
    if match is None:
        return None
    if match[3] is not None:
        suffix = int(match[3][:20])
        return (max(0, length - suffix), length) if suffix and length else False
    start = int(match[1][:20])
    last = int(match[2][:20]) if match[2] else max(start, length - 1)
    if last < start:
        return None
    return False if start >= length else (start, min(last + 1, length))


@lru_cache(4096)
def siteOf(scheme: bytes, authority: bytes) -> bytes:
    """
    How the URLs of a site begin: scheme and authority in lower case, the scheme's own port left out.
    """
    scheme, authority = scheme.lower(), authority.lower()
    return scheme + b"://" + authority.removesuffix(_PORTS.get(scheme, b":"))


def targetOf(head: RequestHead) -> bytes:
    """
    The target URI of a request, its site as L{siteOf} writes it.
    """
    return siteOf(head.scheme, head.authority) + head.path
