"""
Adaptive forwarding by measured round trips (NFD's ASF, version 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.ndn.face.roundtrip import RoundTrip
from hermes.ndn.forwarder.fib import FIBEntry, NextHop
from hermes.ndn.forwarder.measurements import LIFETIME, Measurements
from hermes.ndn.forwarder.pitentry import PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.strategies.base import Strategy, namedParameters
from hermes.ndn.forwarder.strategies.suppression import entrySuppressed, pending
from hermes.ndn.interfaces import IStrategy, IStrategyType
from hermes.ndn.packet.peek import DataView, InterestView

if TYPE_CHECKING:
    from hermes.ndn.forwarder.actions import Actions, Timer

PROBING_INTERVAL: Final = 60.0
MAX_TIMEOUTS: Final = 3
"""
Seconds between two probes of a prefix, and how many answers in a row may fail to come before a face is held to be
broken, unless the strategy's parameters say otherwise.
"""

FIRST_PROBE: Final = 5.0
"""
The first probe of a prefix comes within so many seconds.
"""

STRAGGLER: Final = 0.05
"""
Seconds for which the answer to a probe may come after the other answer, and still is measured: as in NFD.
"""

_WORKS, _UNKNOWN, _BROKEN = range(3)


class Path:
    """
    What is known of a face as a way to a prefix.

    @ivar port: the face.
    @ivar trip: how long answers take.
    @ivar state: whether the last answer came, none was asked for yet, or it did not come.
    @ivar timeouts: how many in a row did not come.
    @ivar waiting: the entry whose answer is watched for. One at a time: a hundred Interests on the way need no hundred
        timers.
    @ivar deadline: until when it should come, in seconds of the clock.
    @ivar timer: is due no later than that, where something is watched for; it runs on when the answer comes, for the
        next.
    """

    __slots__ = ("deadline", "port", "state", "timeouts", "timer", "trip", "waiting")

    def __init__(self, port: Port) -> None:
        self.port = port
        self.trip = RoundTrip()
        self.state = _UNKNOWN
        self.timeouts = 0
        self.waiting: PITEntry | None = None
        self.deadline = 0.0
        self.timer: Timer | None = None


class Namespace:
    """
    What is known of a prefix.

    @ivar paths: by face.
    @ivar probeAt: when the next probe is due, in seconds of the clock.
    """

    __slots__ = ("paths", "probeAt")

    def __init__(self, probeAt: float) -> None:
        self.paths: dict[Port, Path] = {}
        self.probeAt = probeAt


class ASF(Strategy):
    """
    An Interest goes to the face whose answers come soonest; then, of those that nothing is known of, to the cheapest;
    to one that does not answer only where there is no other. Where its link goes down, or it has got lost there, the
    next one is asked at once. Now and then the same Interest goes to another face, too,
    with a Nonce of its own, to learn how long it takes there.

    A prefix here is one of the FIB.

    @ivar measured: of how many prefixes something is known.
    """

    def __init__(self, forwarder: Actions, probingInterval: float, maxTimeouts: int, lifetime: float) -> None:
        super().__init__(forwarder)
        self._probingInterval = probingInterval
        self._maxTimeouts = maxTimeouts
        self._namespaces: Measurements[Namespace] = Measurements(self._begin, lifetime)

    @property
    def measured(self) -> int:
        """
        See above.
        """
        return len(self._namespaces)

    def _begin(self, prefix: bytes) -> Namespace:
        return Namespace(self.forwarder.now + self.forwarder.random.uniform(0, FIRST_PROBE))

    # Interests

    def afterInterest(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        forwarder = self.forwarder
        now = forwarder.now
        asked = bool(entry.outs) and pending(entry, now)
        if asked and entrySuppressed(entry, now):
            return
        found = forwarder.lookup(entry)
        if found is None:
            if not asked:
                self.refuse(port, entry)
            return
        namespace = self._namespaces.of(found.prefix, now)
        ranked = self._ranked(namespace, found.hops)
        if asked:
            if not self.askUnused(ranked, port, view, entry, now):
                self.askOldest(ranked, port, view, entry)
            return
        entry.info = namespace
        for hop in ranked:
            upstream = hop.port
            if (upstream is not port or upstream.adHoc) and self._ask(namespace, entry, upstream, view, port):
                self._probe(namespace, found, upstream, port, view, entry)
                return
        self.refuse(port, entry)

    def ordered(self, found: FIBEntry) -> Sequence[NextHop]:
        return self._ranked(self._namespaces.of(found.prefix, self.forwarder.now), found.hops)

    def _ranked(self, namespace: Namespace, hops: Sequence[NextHop]) -> Sequence[NextHop]:
        """
        Next hops, the best first.
        """
        if len(hops) == 1:
            return hops
        paths = namespace.paths

        def rank(hop: NextHop) -> tuple[bool, int, float, int, int]:
            path = paths.get(hop.port)
            state = _UNKNOWN if path is None else path.state
            trip = path.trip.smoothed if path is not None and state == _WORKS else None
            return not hop.port.up, state, trip or 0.0, hop.cost, hop.port.id

        return sorted(hops, key=rank)

    def _ask(self, namespace: Namespace, entry: PITEntry, upstream: Port, view: InterestView, ingress: Port) -> bool:
        """
        Send, and watch for the answer.
        """
        path = namespace.paths.get(upstream)
        if path is None:
            self._tidy(namespace)
            path = namespace.paths[upstream] = Path(upstream)
        if path.waiting is not None:
            return self.forwarder.sendInterest(entry, upstream, view, ingress) is not None
        # An answer may come before the call returns.
        path.waiting = entry
        if self.forwarder.sendInterest(entry, upstream, view, ingress) is None:
            path.waiting = None
            return False
        deadline = path.deadline = self.forwarder.now + path.trip.timeout
        timer = path.timer
        if path.waiting is entry and (timer is None or timer.due > deadline):
            if timer is not None:
                self.forwarder.cancel(timer)
            path.timer = self.forwarder.later(path.trip.timeout, partial(self._due, path))
        return True

    def _due(self, path: Path) -> None:
        """
        The timer of a path.
        """
        path.timer = None
        if path.waiting is None:
            return
        left = path.deadline - self.forwarder.clock.seconds()
        if left > 0:
            path.timer = self.forwarder.later(left, partial(self._due, path))
        else:
            self._failed(path, False)

    def _tidy(self, namespace: Namespace) -> None:
        for port in [port for port in namespace.paths if not port.attached]:
            del namespace.paths[port]

    # Probes

    def _probe(
        self,
        namespace: Namespace,
        found: FIBEntry,
        used: Port,
        port: Port,
        view: InterestView,
        entry: PITEntry,
    ) -> None:
        """
        Send a probe, where one is due.
        """
        forwarder = self.forwarder
        if forwarder.now < namespace.probeAt or not entry.ins:
            return
        others = [
            hop
            for hop in self._ranked(namespace, found.hops)
            if hop.port is not used and hop.port.up and (hop.port is not port or port.adHoc)
        ]
        if others:
            probe = view.withNonce(forwarder.random.getrandbits(32))
            if self._ask(namespace, entry, self._drawn(namespace, others), probe, port):
                namespace.probeAt = forwarder.now + self._probingInterval

    def _drawn(self, namespace: Namespace, others: Sequence[NextHop]) -> Port:
        """
        One of several: the first of which nothing is known, else one by chance, and the better it is, the more likely.
        """
        for hop in others:
            path = namespace.paths.get(hop.port)
            if path is None or path.state == _UNKNOWN:
                return hop.port
        count = len(others)
        weights = range(count, 0, -1)
        return self.forwarder.random.choices(others, weights)[0].port

    # Answers

    def beforeSatisfy(self, port: Port, view: DataView, entry: PITEntry) -> None:
        namespace = entry.info
        out = entry.outs.get(port)
        if namespace is None or out is None:
            return
        now = self.forwarder.now
        path = namespace.paths.get(port)
        if path is not None:
            path.trip.measured(now - out.sent)
            path.state = _WORKS
            path.timeouts = 0
            if path.waiting is entry:
                path.waiting = None
        if len(entry.outs) > 1 and entry.ins:
            for other, record in entry.outs.items():
                if other is not port and record.nack is None and record.expiry > now:
                    entry.kept = STRAGGLER
        # The entry ends: who else was asked and is watched has not failed to answer.
        if not entry.kept:
            for other in entry.outs:
                path = namespace.paths.get(other)
                if path is not None and path.waiting is entry:
                    path.waiting = None

    def afterNack(self, port: Port, reason: int, view: InterestView, entry: PITEntry) -> None:
        namespace = entry.info
        path = None if namespace is None else namespace.paths.get(port)
        if path is not None:
            self._failed(path, True)
        self.passNack(entry)

    def onLost(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        namespace = entry.info
        path = None if namespace is None else namespace.paths.get(port)
        # A link that is down says nothing of how it will be when it is up again.
        if path is not None and port.up:
            self._failed(path, False)
        elif path is not None and path.waiting is entry:
            path.waiting = None
        self.askAnother(entry)

    def _failed(self, path: Path, sure: bool) -> None:
        """
        An answer did not come in time.

        @param sure: whether it will not come at all.
        """
        path.waiting = None
        path.timeouts += 1
        if sure or path.timeouts >= self._maxTimeouts:
            path.state = _BROKEN


@implementer(IPlugin, IStrategyType)
class ASFType:
    """
    C{asf}, with the parameters C{probing-interval} and C{measurements-lifetime}, in milliseconds, and C{max-timeouts}.
    """

    type = "asf"
    name = "/localhost/nfd/strategy/asf"
    version = 5

    def strategy(self, forwarder: Actions, parameters: Sequence[bytes] = ()) -> IStrategy:
        numbers = namedParameters(self.type, parameters, ("probing-interval", "max-timeouts", "measurements-lifetime"))
        interval = numbers.get("probing-interval", int(PROBING_INTERVAL * 1000)) / 1000
        timeouts = numbers.get("max-timeouts", MAX_TIMEOUTS)
        lifetime = numbers.get("measurements-lifetime", int(LIFETIME * 1000)) / 1000
        if interval < 1:
            raise ValueError("the parameter probing-interval of the strategy asf is at least 1000")
        if timeouts < 1:
            raise ValueError("the parameter max-timeouts of the strategy asf is at least 1")
        if lifetime < interval:
            raise ValueError("the parameter measurements-lifetime of the strategy asf is at least its probing-interval")
        return ASF(forwarder, interval, timeouts, lifetime)
