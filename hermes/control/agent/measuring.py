"""
A node's links to its neighbours: how long a round trip takes, how much is lost, whether there is a way at all.

The figures are those of the status API: of the connections that flows use, which are opened where there is none yet.
So the way to a neighbour that is a backup is open, and known, before it is needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.loss import lossOf
from hermes.control.values import LinkFigure
from hermes.errors import NotImplementedHere, ShuttingDown
from hermes.interfaces import IMeasuredHop

INTERVAL: Final = 10.0
"""
Seconds between two measurements of a link.
"""

SAMPLES: Final = 3
"""
The shortest of so many round trips counts: what a queue on the way adds for a while moves no path.
"""

PINGS: Final = 3
"""
Each of those is the shortest of so many, one after the other: what keeps a process busy for a moment is no distance.
"""

DOWN: Final = 2
"""
A link is down when nothing came back so many times, one after the other.
"""

PATIENCE: Final = 5.0
"""
Seconds that a neighbour has for an answer.
"""

AT_ONCE: Final = 8
"""
How many are asked at the same time.
"""

LINKS: Final = 256
"""
How many of a node's links are measured.
"""


@define(eq=False)
class _Link:
    """
    One link, so far.
    """

    trips: deque[float | None] = field(factory=lambda: deque(maxlen=SAMPLES))
    segments: tuple[float, float] = (0, 0)
    loss: float = 0.0

    def add(self, trip: float | None, endpoints: Any) -> None:
        """
        @param trip: L{None} where nothing came back.
        @param endpoints: what each carries.
        """
        self.trips.append(trip)
        segments = sum(each["segmentsSent"] for each in endpoints), sum(each["segmentsResent"] for each in endpoints)
        self.loss = lossOf(*segments, *self.segments) or 0.0
        self.segments = segments

    def figure(self, to: str) -> LinkFigure | None:
        """
        L{None} where it is too soon to say.
        """
        if len(self.trips) >= DOWN and not any(trip is not None for trip in list(self.trips)[-DOWN:]):
            return LinkFigure(to, None, self.loss, False)
        known = [trip for trip in self.trips if trip is not None]
        return LinkFigure(to, min(known), self.loss) if known else None


class LinkMeasurer:
    """
    Measures them, again and again.

    @ivar figures: of each link, by the name of the neighbour.
    """

    log = Logger()

    def __init__(
        self, clock: IReactorTime, upstreams: Callable[[], Mapping[str, Any]], interval: float = INTERVAL
    ) -> None:
        """
        @param upstreams: gives those of the node now, by name. Those that are nodes of the overlay are named so.
        @param interval: seconds between two measurements of a link.
        """
        self.figures: Mapping[str, LinkFigure] = {}
        self._clock = clock
        self._upstreams = upstreams
        self._interval = interval
        self._links: dict[str, _Link] = {}
        self._timer: IDelayedCall | None = None
        self._busy = False
        self._watchers: list[Callable[[], object]] = []

    def watch(self, callback: Callable[[], object]) -> None:
        """
        Call C{callback} each time that all links were measured.
        """
        self._watchers.append(callback)

    def start(self) -> None:
        """
        Begin now, and go on.
        """
        self._timer = self._clock.callLater(self._interval, self.start)
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._measure()).addBoth(self._done)

    def stop(self) -> None:
        """
        Measure nothing any more.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _done(self, result: Any) -> None:
        self._busy = False
        if isinstance(result, Failure):
            self.log.failure("measuring the links failed", result)
        elif self._timer is not None:
            for watcher in self._watchers:
                watcher()

    async def _measure(self) -> None:
        hops = [
            (name, hop)
            for name, hop in sorted(self._upstreams().items())
            if IMeasuredHop.providedBy(hop) and hop.takesExchanges
        ][:LINKS]
        names = {name for name, _ in hops}
        self._links = {name: link for name, link in self._links.items() if name in names}
        semaphore = DeferredSemaphore(AT_ONCE)
        await gatherResults([semaphore.run(self._one, name, hop) for name, hop in hops], consumeErrors=True)
        figures = {name: link.figure(name) for name, link in self._links.items()}
        self.figures = {name: figure for name, figure in sorted(figures.items()) if figure is not None}

    def _one(self, name: str, hop: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(self._measureOne(name, hop))

    async def _measureOne(self, name: str, hop: Any) -> None:
        trips: list[float] = []
        for address in hop.addresses:
            try:
                for _ in range(PINGS):
                    trips.append(await hop.ping(address).addTimeout(PATIENCE, self._clock))
            except (ShuttingDown, NotImplementedHere):
                # Another configuration has taken its place; or it is no link.
                return
            except Exception as error:
                self.log.debug("no answer from {name} at {address}: {error}", name=name, address=address, error=error)
        self._links.setdefault(name, _Link()).add(min(trips, default=None), hop.status()["endpoints"])
