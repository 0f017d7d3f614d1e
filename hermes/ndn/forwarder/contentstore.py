"""
The Content Store: Data that was forwarded, kept for whoever asks next.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from math import inf
from typing import Final

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.ndn.forwarder.children import Children
from hermes.ndn.forwarder.pit import withoutDigest
from hermes.ndn.interfaces import IContentStore
from hermes.ndn.packet.peek import DataView, InterestView

CAPACITY: Final = 64 * 1024 * 1024
"""
How many bytes it holds, unless it is told otherwise.
"""

PACKET_COST: Final = 460
"""
Bytes that a packet counts beside itself: its name, its view and their places in tables. Measured, see
C{docs/performance.md}.
"""

COMPONENT_COST: Final = 36
"""
The same for each component of its name.
"""

LOOKS: Final = 64
"""
So many packets below a prefix are looked at for one that is fresh.
"""


@implementer(IContentStore)
class ContentStore:
    """
    See L{IContentStore}. The packet that was asked for least recently makes room.

    Of one name it keeps one packet, the last. Where an Interest may be answered by several (CanBePrefix), it is the one
    that came last: of versions, the latest. What is stale answers only Interests without MustBeFresh.

    @ivar maxPackets: how many packets it may hold, or L{None}; can be set, as C{capacity} can.
    @ivar evicted: how many have made room for others.
    """

    def __init__(self, clock: IReactorTime, capacity: int = CAPACITY, maxPackets: int | None = None) -> None:
        self.admit = True
        self.serve = True
        self.hits = 0
        self.misses = 0
        self.evicted = 0
        self._seconds = clock.seconds
        self._capacity = capacity
        self._maxPackets = maxPackets
        self._held = 0
        # By name: the packet, until when it is fresh, what it counts. The one that was asked for least recently is the
        # first.
        self._packets: OrderedDict[bytes, tuple[DataView, float, int]] = OrderedDict()
        self._children = Children(self._packets)

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def heldBytes(self) -> int:
        """
        See L{IContentStore}.
        """
        return self._held + self._children.cost

    @property
    def capacity(self) -> int:
        """
        See L{IContentStore}.
        """
        return self._capacity

    @capacity.setter
    def capacity(self, capacity: int) -> None:
        self._capacity = capacity
        self._trim()

    @property
    def maxPackets(self) -> int | None:
        """
        How many packets it may hold.
        """
        return self._maxPackets

    @maxPackets.setter
    def maxPackets(self, maxPackets: int | None) -> None:
        self._maxPackets = maxPackets
        self._trim()

    def insert(self, view: DataView, unsolicited: bool = False) -> None:
        if not self.admit:
            return
        name = view.name
        ends = view.ends
        freshness = view.freshness
        cost = PACKET_COST + len(view.wire) + len(name) + COMPONENT_COST * len(ends)
        packets = self._packets
        old = packets.get(name)
        if cost > self._capacity:
            if old is not None:
                self._forget(name)
            return
        packets[name] = (view, self._seconds() + freshness / 1000 if freshness else -inf, cost)
        self._held += cost
        if old is None:
            self._children.add(name, ends)
        else:
            packets.move_to_end(name)
            self._held -= old[2]
        if self._held + self._children.cost > self._capacity or self._maxPackets is not None:
            self._trim()

    def find(self, view: InterestView) -> DataView | None:
        name = view.name
        stored = self._packets.get(name)
        if stored is None:
            # Nothing else than an exact name, for nearly all: no call more than needed.
            if not view.canBePrefix and name[-34:-32] != b"\x01\x20":
                self.misses += 1
                return None
        elif self.serve and (not view.mustBeFresh or stored[1] > self._seconds()):
            self._packets.move_to_end(name)
            self.hits += 1
            return stored[0]
        found = self._below(view) if self.serve else None
        if found is None:
            self.misses += 1
        else:
            self._packets.move_to_end(found.name)
            self.hits += 1
        return found

    def _below(self, view: InterestView) -> DataView | None:
        """
        Data of a longer name, or of the name without its digest.
        """
        packets = self._packets
        name = view.name
        if view.canBePrefix:
            earliest = self._seconds() if view.mustBeFresh else None
            for below in islice(self._children.below(name), LOOKS):
                found, fresh, _ = packets[below]
                if earliest is None or fresh > earliest:
                    return found
        if name[-34:-32] == b"\x01\x20" and (bare := withoutDigest(name, view.ends)) is not None:
            stored = packets.get(bare)
            if (
                stored is not None
                and (not view.mustBeFresh or stored[1] > self._seconds())
                and stored[0].digest() == name[-32:]
            ):
                return stored[0]
        return None

    def erase(self, prefix: bytes, limit: int | None = None) -> int:
        names = [prefix] if prefix in self._packets else []
        names += self._children.below(prefix) if limit is None else islice(self._children.below(prefix), limit)
        names = names if limit is None else names[:limit]
        for name in names:
            self._forget(name)
        return len(names)

    def holds(self, prefix: bytes) -> bool:
        return prefix in self._packets or next(self._children.below(prefix), None) is not None

    def _trim(self) -> None:
        packets, children, most = self._packets, self._children, self._maxPackets
        while packets and (self._held + children.cost > self._capacity or (most is not None and len(packets) > most)):
            name, (view, _, cost) = packets.popitem(last=False)
            self._held -= cost
            self.evicted += 1
            children.remove(name, view.ends)

    def _forget(self, name: bytes) -> None:
        view, _, cost = self._packets.pop(name)
        self._held -= cost
        self._children.remove(name, view.ends)
