"""
How many strangers are attended to at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address
from typing import Any

from attrs import define, field, frozen


@frozen
class AdmissionLimits:
    """
    Bounds for connections whose peers have not shown yet who they are.

    @ivar most: how many are attended to at once.
    @ivar perSource: of these, from one source: an IPv4 address, the first 64 bits of an IPv6 address. Where many nodes
        are behind one address, they come in one after another.
    @ivar waiting: how many more wait, at the cost of a socket each; one more is closed.
    @ivar waitTime: seconds that one waits at most.
    @ivar handshakeTime: seconds that a TLS handshake may take.
    @ivar helloTime: seconds from then on, until the peer is known and has been taken.
    """

    most: int = 128
    perSource: int = 32
    waiting: int = 1024
    waitTime: float = 30.0
    handshakeTime: float = 5.0
    helloTime: float = 10.0


ADMISSION = AdmissionLimits()


def sourceOf(peer: Any) -> Hashable:
    """
    The source of a connection from its peer's Twisted address.
    """
    host = getattr(peer, "host", None)
    if host is None:
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return int(address) >> 64
    return str(address)


@define(eq=False)
class Visitor:
    """
    One who is attended to, or waits.

    @ivar begin: called when it is its turn.
    """

    source: Hashable
    begin: Callable[[], object]
    inside: bool = False


@define(eq=False)
class Admission:
    """
    Who is attended to, and who waits.
    """

    limits: AdmissionLimits
    _inside: Counter[Hashable] = field(factory=Counter)
    _count: int = 0
    _waiting: dict[Visitor, None] = field(factory=dict)

    def enter(self, visitor: Visitor) -> bool:
        """
        Have the visitor begin, now or when it is its turn.

        @return: whether it may: not where too many wait.
        """
        if self._hasRoom(visitor.source):
            self._begin(visitor)
        elif len(self._waiting) < self.limits.waiting:
            self._waiting[visitor] = None
        else:
            return False
        return True

    def leave(self, visitor: Visitor) -> None:
        """
        It is known now, or gone. May be called again.
        """
        if visitor in self._waiting:
            del self._waiting[visitor]
        elif visitor.inside:
            visitor.inside = False
            self._count -= 1
            self._inside[visitor.source] -= 1
            if not self._inside[visitor.source]:
                del self._inside[visitor.source]
            self._next()

    def _next(self) -> None:
        """
        The first whose source has room: one source that fills the queue does not hold up the others.
        """
        for each in self._waiting:
            if self._hasRoom(each.source):
                del self._waiting[each]
                self._begin(each)
                return

    def _hasRoom(self, source: Hashable) -> bool:
        return self._count < self.limits.most and self._inside[source] < self.limits.perSource

    def _begin(self, visitor: Visitor) -> None:
        visitor.inside = True
        self._count += 1
        self._inside[visitor.source] += 1
        visitor.begin()
