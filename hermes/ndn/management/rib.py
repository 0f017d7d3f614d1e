"""
The RIB: who has registered which prefix, and the FIB that follows from it (NFD's RIB Management and its route flags).

Several routes may lead to one face, of different origins; the FIB has one next hop for each face, of the lowest cost. A
route with the flag child-inherit is also one of all longer prefixes in the RIB, unless one of them on the way has a
route with the flag capture.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from attrs import define, field

from hermes.errors import Overloaded
from hermes.ndn.packet.name import Name

CHILD_INHERIT: Final = 1
CAPTURE: Final = 2
"""
Route flags.
"""

ORIGIN_APP: Final = 0
ORIGIN_AUTOREG: Final = 64
ORIGIN_CLIENT: Final = 65
ORIGIN_AUTOCONF: Final = 66
ORIGIN_ROUTING: Final = 128
ORIGIN_ANNOUNCEMENT: Final = 129
ORIGIN_PROPAGATED: Final = 160
ORIGIN_STATIC: Final = 255
"""
Route origins: NFD's, and C{ORIGIN_PROPAGATED} for what another node of ours has announced.
"""

MAX_PREFIX: Final = 32
"""
The longest prefix that is registered, in components: as long as NFD's.
"""

FIBSink: TypeAlias = "Callable[[bytes, int, int | None], object]"
"""
Takes changes of the FIB: a name's value, a face ID, and the cost of the next hop, or L{None} where it is to be removed.
"""


@define
class Route:
    """
    One way to a prefix.

    @ivar faceID: the face that it leads to.
    @ivar origin: who has said so, C{ORIGIN_...}.
    @ivar cost: less is better.
    @ivar flags: of C{CHILD_INHERIT} and C{CAPTURE}.
    @ivar expires: when it ends, in seconds of the clock; L{None} for never.
    @ivar announced: whether other nodes are to hear of it, though its origin alone would not have it so.
    """

    faceID: int
    origin: int = ORIGIN_APP
    cost: int = 0
    flags: int = CHILD_INHERIT
    expires: float | None = None
    announced: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """
        What there is one of for each prefix: face and origin.
        """
        return self.faceID, self.origin


@define(eq=False)
class RIBEntry:
    """
    The routes of one prefix.

    @ivar name: the prefix.
    @ivar routes: by face and origin.
    @ivar ancestors: the values of all shorter prefixes, the longest first.
    @ivar installed: the FIB's next hops that are of the RIB's making, as cost by face.
    """

    name: Name
    routes: dict[tuple[int, int], Route] = field(factory=dict)
    ancestors: tuple[bytes, ...] = ()
    installed: dict[int, int] = field(factory=dict)

    @property
    def captures(self) -> bool:
        """
        Whether what is registered above ends here.
        """
        return any(route.flags & CAPTURE for route in self.routes.values())

    def costs(self, flags: int = 0) -> dict[int, int]:
        """
        The lowest cost by face, of the routes that have all of C{flags}.
        """
        costs: dict[int, int] = {}
        for route in self.routes.values():
            if route.flags & flags == flags and route.cost < costs.get(route.faceID, route.cost + 1):
                costs[route.faceID] = route.cost
        return costs


class RIB:
    """
    All routes. Changes reach the FIB before a method returns; then the observers hear of the prefixes that have other
    routes than before.

    @ivar observers: each is called with an entry that has changed; one without routes is no longer in the RIB.
    """

    def __init__(self, fib: FIBSink, maxRoutes: int = 1_000_000, maxRoutesPerFace: int = 100_000) -> None:
        """
        @param maxRoutes: how many there may be.
        @param maxRoutesPerFace: how many may lead to one face.
        """
        self.observers: list[Callable[[RIBEntry], None]] = []
        self._fib = fib
        self._maxRoutes = maxRoutes
        self._maxRoutesPerFace = maxRoutesPerFace
        self._entries: dict[bytes, RIBEntry] = {}
        # The values in canonical order: what is below a prefix is one run of it.
        self._order: list[bytes] = []
        self._faces: dict[int, dict[tuple[bytes, int], None]] = {}
        self._expiring = 0
        self._queue: list[tuple[float, bytes, int, int]] = []
        self._count = 0

    def __iter__(self) -> Iterator[RIBEntry]:
        """
        All entries, in canonical order of their names.
        """
        return (self._entries[value] for value in self._order)

    def __len__(self) -> int:
        """
        How many routes there are.
        """
        return self._count

    def get(self, value: bytes) -> RIBEntry | None:
        """
        The entry of a prefix, given as a name's value.
        """
        return self._entries.get(value)

    def register(self, name: Name, route: Route) -> None:
        """
        Add a route, or replace the one that there is for this prefix, face and origin.

        @raise Overloaded: where there are too many.
        """
        value = name.value
        entry = self._entries.get(value)
        old = entry.routes.get(route.key) if entry is not None else None
        if old is None:
            ofFace = self._faces.get(route.faceID, {})
            if self._count >= self._maxRoutes or len(ofFace) >= self._maxRoutesPerFace:
                raise Overloaded("there are too many routes")
        if entry is None:
            ancestors = tuple(name[:length].value for length in range(len(name) - 1, -1, -1))
            entry = self._entries[value] = RIBEntry(name, ancestors=ancestors)
            insort(self._order, value)
        before = entry.captures, entry.costs(CHILD_INHERIT)
        entry.routes[route.key] = route
        if old is None:
            self._count += 1
            self._faces.setdefault(route.faceID, {})[value, route.origin] = None
        elif old.expires is not None:
            self._expiring -= 1
        if route.expires is not None:
            self._expiring += 1
            heapq.heappush(self._queue, (route.expires, value, *route.key))
            self._compact()
        if old is None or old.cost != route.cost or old.flags != route.flags:
            below = before != (entry.captures, entry.costs(CHILD_INHERIT))
            self._install(self._affected(value) if below else [value])
        if old is None or old.cost != route.cost or old.announced != route.announced:
            self._tell(entry)

    def unregister(self, name: Name, faceID: int, origin: int) -> bool:
        """
        Remove a route.

        @return: whether there was one.
        """
        return self._remove([(name.value, faceID, origin)]) > 0

    def removeFace(self, faceID: int) -> int:
        """
        Remove all routes to a face, which may have ended.

        @return: how many there were.
        """
        return self._remove([(value, faceID, origin) for value, origin in self._faces.get(faceID, ())])

    def removeOrigin(self, faceID: int, origin: int) -> int:
        """
        Remove all routes to a face that are of one origin.

        @return: how many there were.
        """
        keys = self._faces.get(faceID, ())
        return self._remove([(value, faceID, origin) for value, routeOrigin in keys if routeOrigin == origin])

    def expire(self, now: float) -> int:
        """
        Remove what has expired.

        @return: how many routes did.
        """
        queue = self._queue
        gone: list[tuple[bytes, int, int]] = []
        while queue and queue[0][0] <= now:
            expires, value, faceID, origin = heapq.heappop(queue)
            route = self._route(value, faceID, origin)
            if route is not None and route.expires == expires:
                gone.append((value, faceID, origin))
        return self._remove(gone)

    @property
    def nextExpiry(self) -> float | None:
        """
        When L{expire} is to be called next.
        """
        return self._queue[0][0] if self._queue else None

    def _route(self, value: bytes, faceID: int, origin: int) -> Route | None:
        entry = self._entries.get(value)
        return None if entry is None else entry.routes.get((faceID, origin))

    def _remove(self, keys: Iterable[tuple[bytes, int, int]]) -> int:
        """
        Remove routes, and then compute each prefix that this concerns once.
        """
        changed: dict[bytes, RIBEntry] = {}
        affected: dict[bytes, None] = {}
        removed = 0
        for value, faceID, origin in list(keys):
            entry = self._entries.get(value)
            route = entry.routes.get((faceID, origin)) if entry is not None else None
            if entry is None or route is None:
                continue
            removed += 1
            changed[value] = entry
            inherits = route.flags & (CHILD_INHERIT | CAPTURE)
            affected.update(dict.fromkeys(self._affected(value) if inherits else (value,)))
            del entry.routes[faceID, origin]
            self._count -= 1
            ofFace = self._faces[faceID]
            del ofFace[value, origin]
            if not ofFace:
                del self._faces[faceID]
            if route.expires is not None:
                self._expiring -= 1
        self._compact()
        self._install(affected)
        for value, entry in changed.items():
            if not entry.routes:
                del self._entries[value]
                del self._order[bisect_left(self._order, value)]
        for entry in changed.values():
            self._tell(entry)
        return removed

    def _affected(self, value: bytes) -> list[bytes]:
        """
        A prefix and all longer ones in the RIB.
        """
        order = self._order
        start = end = bisect_left(order, value)
        while end < len(order) and order[end].startswith(value):
            end += 1
        return order[start:end]

    def _install(self, values: Iterable[bytes]) -> None:
        """
        Compute the next hops of prefixes, and pass on what is new.
        """
        for value in values:
            entry = self._entries[value]
            hops = self._nextHops(entry)
            installed = entry.installed
            if hops == installed:
                continue
            entry.installed = hops
            for faceID, cost in hops.items():
                if installed.get(faceID) != cost:
                    self._fib(value, faceID, cost)
            for faceID in installed.keys() - hops.keys():
                self._fib(value, faceID, None)

    def _nextHops(self, entry: RIBEntry) -> dict[int, int]:
        """
        The next hops of an entry, its own and those that it inherits: of several to one face, the nearest prefix's.
        """
        if not entry.routes:
            return {}
        hops = entry.costs()
        if not entry.captures:
            entries: Mapping[bytes, RIBEntry] = self._entries
            for ancestor in entry.ancestors:
                above = entries.get(ancestor)
                if above is not None:
                    for faceID, cost in above.costs(CHILD_INHERIT).items():
                        hops.setdefault(faceID, cost)
                    if above.captures:
                        break
        return hops

    def _compact(self) -> None:
        """
        Forget what is queued for routes that were replaced or removed, before it is most of the queue.
        """
        if len(self._queue) <= 2 * self._expiring + 64:
            return
        queue: list[tuple[float, bytes, int, int]] = []
        for item in self._queue:
            route = self._route(*item[1:])
            if route is not None and route.expires == item[0]:
                queue.append(item)
        # Of a route that was registered twice to end at one time, one item is enough.
        self._queue = list(dict.fromkeys(queue))
        heapq.heapify(self._queue)

    def _tell(self, entry: RIBEntry) -> None:
        for observer in self.observers:
            observer(entry)
