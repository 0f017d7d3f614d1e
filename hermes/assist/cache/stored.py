"""
A stored response, and what it says of its own age and use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import define, field, frozen

from hermes.values import Headers

if TYPE_CHECKING:
    from hermes.assist.cache.freshness import Freshness

Selecting: TypeAlias = "tuple[tuple[bytes, bytes | None], ...]"
"""
The request fields that C{Vary} names and their values in the request that a response was stored for; L{None} where it
had none (RFC 9111 section 4.1).
"""


@frozen
class Key:
    """
    What responses are found by. Those of one key differ in their L{Selecting} fields.

    @ivar url: the target URI, scheme and authority in lower case.
    @ivar scope: for whom it was stored, where responses are kept apart by user or route; else empty.
    """

    url: bytes
    scope: bytes = b""


@define(eq=False)
class StoredResponse:
    """
    A response in a store, or on its way there.

    @ivar key: see L{Key}.
    @ivar selecting: see L{Selecting}.
    @ivar status: its status.
    @ivar headers: the fields that were stored: none of one hop only, no C{age}, no C{cache-status}.
    @ivar requestedAt: when it was asked for, in seconds of the epoch.
    @ivar receivedAt: when its head came.
    @ivar length: how many bytes of its body are stored; what it is to have, while they still come; L{None} where that
        is not known yet.
    @ivar total: how many bytes its body has; more than C{length} where it was cut short, L{None} where unknown.
    @ivar digest: the SHA-256 digest of what is stored of its body; empty while it still comes.
    @ivar freshness: what follows from its head.
    @ivar place: the store's own.
    """

    key: Key
    selecting: Selecting
    status: int
    headers: Headers
    requestedAt: float
    receivedAt: float
    freshness: Freshness
    length: int | None = None
    total: int | None = None
    digest: bytes = b""
    place: Any = None
    _shown: Headers | None = field(init=False, default=None)

    @property
    def complete(self) -> bool:
        """
        Whether the whole body is there, or is to be.
        """
        return self.total is None or self.total == self.length

    @property
    def shown(self) -> Headers:
        """
        The fields as a client gets them, with C{content-length}, save those that differ each time.
        """
        shown = self._shown
        if shown is None:
            shown = self.headers
            if self.length is not None and self.status != 204:
                others = tuple(pair for pair in shown if pair[0] != b"content-length")
                shown = (*others, (b"content-length", b"%d" % self.length))
                if self.digest:
                    self._shown = shown
        return shown
