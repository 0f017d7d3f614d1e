"""
For how long a response is fresh, and whether it may be used when it is not (RFC 9111 sections 4.2 and 5.2, RFC 5861).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from attrs import frozen

from hermes.assist.cache.dates import parseDate
from hermes.assist.cache.directives import Directives, directives, parseSeconds
from hermes.values import ResponseHead

HEURISTICALLY_CACHEABLE: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
"""
The statuses that may be stored though nothing says for how long (RFC 9110 section 15.1).
"""


@frozen
class Rules:
    """
    What a cache supposes where responses say nothing.

    @ivar heuristic: the part of the time since its last change for which a response is taken for fresh.
    @ivar heuristicMost: for how many seconds at most.
    @ivar staleWhileRevalidate: for how many seconds a stale response is used while it is validated.
    @ivar staleIfError: for how many seconds it is used while its origin can't be reached.
    """

    heuristic: float = 0.1
    heuristicMost: float = 86400.0
    staleWhileRevalidate: float = 0.0
    staleIfError: float = 0.0


@frozen
class Freshness:
    """
    What follows from the head of a response.

    @ivar lifetime: for how many seconds it is fresh (section 4.2.1).
    @ivar bornAt: when it would have been made, if its age when it came was all the time that it had (section 4.2.3).
    @ivar always: whether it is validated before each use (C{no-cache}).
    @ivar staleWhileRevalidate: for how many seconds past its lifetime it may be used while it is validated.
    @ivar staleIfError: likewise where validation fails.
    @ivar mayBeStale: whether it may be used stale at all.
    @ivar immutable: whether it can't change while it is fresh (RFC 8246).
    @ivar etag: its entity tag, or L{None}.
    @ivar lastModified: the value of C{last-modified}, or L{None}.
    """

    lifetime: float
    bornAt: float
    always: bool
    staleWhileRevalidate: float
    staleIfError: float
    mayBeStale: bool
    immutable: bool
    etag: bytes | None
    lastModified: bytes | None

    @property
    def strong(self) -> bytes | None:
        """
        The entity tag, where it is a strong one: parts of two bodies that have it fit together.
        """
        return self.etag if self.etag is not None and self.etag[:1] == b'"' else None

    @property
    def validator(self) -> bool:
        """
        Whether it can be validated.
        """
        return self.etag is not None or self.lastModified is not None


class Use(Enum):
    """
    What a stored response is good for.
    """

    FRESH = auto()
    STALE = auto()
    STALE_WHILE_REVALIDATED = auto()
    VALIDATE = auto()


def assess(head: ResponseHead, requestedAt: float, receivedAt: float, rules: Rules) -> Freshness:
    """
    Read a response's head.

    @param requestedAt: when it was asked for, in seconds of the epoch.
    @param receivedAt: when it came.
    """
    said = directives(head.get(b"cache-control"))
    date = _date(head, b"date")
    age = ageOf(head)
    # A date has whole seconds.
    apparent = 0.0 if date is None else max(0.0, int(receivedAt) - date)
    initialAge = max(apparent, age + max(0.0, receivedAt - requestedAt))
    forbidden = said.mustRevalidate or said.proxyRevalidate or said.noCache
    # s-maxage forbids stale use as proxy-revalidate does (5.2.2.10), save where the same field allows it in so many
    # words: beside it, RFC 5861's directives would have no meaning otherwise.
    supposed = not forbidden and said.sMaxAge is None
    return Freshness(
        lifetime=_lifetime(head, said, receivedAt if date is None else date, rules),
        bornAt=receivedAt - initialAge,
        always=said.noCache,
        staleWhileRevalidate=_extension(said.staleWhileRevalidate, rules.staleWhileRevalidate, forbidden, supposed),
        staleIfError=_extension(said.staleIfError, rules.staleIfError, forbidden, supposed),
        mayBeStale=supposed,
        immutable=said.immutable,
        etag=head.get(b"etag"),
        lastModified=head.get(b"last-modified"),
    )


def _extension(said: int | None, supposed: float, forbidden: bool, mayBeSupposed: bool) -> float:
    if forbidden:
        return 0.0
    if said is not None:
        return said
    return supposed if mayBeSupposed else 0.0


def ageOf(head: ResponseHead) -> int:
    """
    The value of C{age}: the first of a list, and nothing where it can't be read (section 5.1).
    """
    value = head.get(b"age")
    return 0 if value is None else parseSeconds(value.partition(b",")[0].strip()) or 0


def isExplicit(head: ResponseHead, said: Directives) -> bool:
    """
    Whether a response says for how long it is fresh.
    """
    return said.sMaxAge is not None or said.maxAge is not None or head.get(b"expires") is not None


def _lifetime(head: ResponseHead, said: Directives, date: float, rules: Rules) -> float:
    if said.sMaxAge is not None:
        return said.sMaxAge
    if said.maxAge is not None:
        return said.maxAge
    expires = head.get(b"expires")
    if expires is not None:
        until = parseDate(expires)
        # What can't be read lies in the past, "0" above all (section 5.3).
        return 0.0 if until is None else max(0.0, until - date)
    if head.status not in HEURISTICALLY_CACHEABLE and not said.public:
        return 0.0
    changed = _date(head, b"last-modified")
    return 0.0 if changed is None else min(max(0.0, date - changed) * rules.heuristic, rules.heuristicMost)


def _date(head: ResponseHead, name: bytes) -> float | None:
    value = head.get(name)
    return None if value is None else parseDate(value)


def judge(freshness: Freshness, asked: Directives, now: float) -> Use:
    """
    What a stored response is good for, for a request (section 4).

    @param asked: the directives of the request.
    @param now: in seconds of the epoch.
    """
    if freshness.always or asked.noCache:
        return Use.VALIDATE
    age = now - freshness.bornAt
    left = freshness.lifetime - age
    # Who reloads an immutable response gets it as it is; who insists says no-cache (RFC 8246 section 2).
    if (
        asked.maxAge is not None
        and age >= asked.maxAge + (asked.maxStale or 0)
        and not (freshness.immutable and left > 0)
    ):
        return Use.VALIDATE
    if asked.minFresh is not None and left < asked.minFresh:
        return Use.VALIDATE
    if left > 0:
        return Use.FRESH
    if freshness.mayBeStale and asked.maxStale is not None and -left <= asked.maxStale:
        return Use.STALE
    if -left < freshness.staleWhileRevalidate:
        return Use.STALE_WHILE_REVALIDATED
    return Use.VALIDATE


def mayServeOnError(freshness: Freshness, asked: Directives, now: float) -> bool:
    """
    Whether a stored response may stand in for its origin, which failed (RFC 5861 section 4).
    """
    if asked.noCache or freshness.always:
        return False
    past = now - freshness.bornAt - freshness.lifetime
    allowed = freshness.staleIfError
    if freshness.mayBeStale and asked.staleIfError is not None:
        allowed = max(allowed, asked.staleIfError)
    return past < allowed
