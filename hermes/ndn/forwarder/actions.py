"""
What a strategy may do.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from twisted.internet.interfaces import IReactorTime

from hermes.ndn.forwarder.admission import CAPACITY, Admission
from hermes.ndn.forwarder.counters import Counters
from hermes.ndn.forwarder.deadnonces import LIFETIME, DeadNonceList
from hermes.ndn.forwarder.fib import FIB, FIBEntry
from hermes.ndn.forwarder.hint import MAX_DELEGATIONS
from hermes.ndn.forwarder.pit import PIT
from hermes.ndn.forwarder.pitentry import OutRecord, PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.prefixtable import endsOf
from hermes.ndn.forwarder.scope import HOST
from hermes.ndn.forwarder.wheel import Timed, TimerWheel
from hermes.ndn.packet.peek import InterestView

MAX_LIFETIME: Final = 3600.0
"""
Seconds that an Interest may be pending, whatever it says.
"""

_MAX_LIFETIME: Final = MAX_LIFETIME * 1000
_FRESH_ENOUGH: Final = LIFETIME * 1000


class Timer:
    """
    A call to be made later, for strategies; see L{Actions.later}.
    """

    __slots__ = ("call", "due", "slot")

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.due = 0.0
        self.slot: dict[Timed, None] | None = None


class Actions:
    """
    The part of the forwarder that strategies act by.

    Faces are L{Port}s here. What sends may be answered before it returns: afterwards C{entry.ins} is empty where the
    entry has come to its end, and sending for such an entry does nothing.

    @ivar now: the time of what is being handled, in seconds of the clock.
    @ivar random: where chance is wanted.
    @ivar fib: prefixes and next hops.
    @ivar pit: pending Interests.
    @ivar counters: what was counted.
    """

    def __init__(self, clock: IReactorTime, pitCapacity: int = CAPACITY, random: Random | None = None) -> None:
        self.clock = clock
        self.now = clock.seconds()
        self.random = random or Random()
        self.fib = FIB()
        self.pit = PIT()
        self.counters = Counters()
        self.deadNonces = DeadNonceList()
        self._ports: dict[int, Port] = {}
        self.admission = Admission(self.pit, self._ports, self._evict, pitCapacity)
        self._wheel: TimerWheel[PITEntry] = TimerWheel(clock, self._expired)
        self._timers: TimerWheel[Timer] = TimerWheel(clock, self._run)

    # Looking things up

    def lookup(self, entry: PITEntry) -> FIBEntry | None:
        """
        The FIB entry that leads on: by the first name of its forwarding hint that has one other than C{/}, or, without
        a hint, by its own name.
        """
        view = entry.view
        if not view.hint:
            return self.fib.longest(view.name, view.ends)
        found = None
        for name in view.hint[:MAX_DELEGATIONS]:
            found = self.fib.longest(name, endsOf(name))
            if found is not None and found.prefix:
                break
        return found

    # Sending

    def sendInterest(
        self, entry: PITEntry, upstream: Port, view: InterestView, ingress: Port | None = None
    ) -> OutRecord | None:
        """
        Ask a face.

        @param view: the Interest to be sent.
        @param ingress: the face that it came from.
        @return: its record, or L{None} where it was not sent: its scope or its hop limit forbids it, or the entry has
            come to its end.
        """
        if not entry.ins or not upstream.attached:
            return None
        if not upstream.local and (entry.scope or view.hopLimit == 0):
            if view.hopLimit == 0:
                self.counters.hopLimits += 1
                return None
            if entry.scope == HOST or not any(record.port.local for record in entry.ins):
                return None
        nonce = view.nonce
        assert nonce is not None  # the pipeline sees to it
        now = self.now
        lifetime = view.lifetime
        expiry = now + (lifetime / 1000 if lifetime < _MAX_LIFETIME else MAX_LIFETIME)
        out = self.pit.ask(entry, upstream, nonce, now, expiry)
        upstream.sendInterest(view, None, None if ingress is None else ingress.id)
        return out

    def sendNack(self, entry: PITEntry, downstream: Port, reason: int) -> None:
        """
        Answer a face that waits with a Nack; it waits no more. On a face with several peers nothing is sent, as one of
        them may have a better answer.
        """
        record = downstream.pending.get(entry)
        if record is None:
            return
        self.pit.leave(entry, downstream)
        if downstream.pointToPoint:
            downstream.sendNack(record.came, reason, record.token)

    def sendNacks(self, entry: PITEntry, reason: int) -> None:
        """
        Answer all faces that wait with a Nack, and forget the entry.
        """
        records = entry.ins.copy()
        self.finish(entry)
        for record in records:
            if record.port.pointToPoint and record.port.attached:
                record.port.sendNack(record.came, reason, record.token)

    def reject(self, entry: PITEntry) -> None:
        """
        Forget an entry, and tell nobody.
        """
        self.finish(entry)

    # Time

    def later(self, delay: float, call: Callable[[], None]) -> Timer:
        """
        Call something later, never early and a few milliseconds late. Costs less than a delayed call of the reactor.
        """
        timer = Timer(call)
        now = self.clock.seconds()
        self._timers.insert(timer, now + delay, now)
        return timer

    def _run(self, timer: Timer) -> None:
        self.now = self.clock.seconds()
        timer.call()

    def cancel(self, timer: Timer) -> None:
        """
        Do not call it; nothing happens where it was called already.
        """
        self._timers.remove(timer)

    # The end of an entry

    def finish(self, entry: PITEntry) -> None:
        """
        An entry has come to its end. Nothing happens where it had before.
        """
        slot = entry.slot
        if slot is None:
            return
        entry.slot = None
        slot.pop(entry, None)
        self.pit.erase(entry)
        if entry.satisfied:
            self.counters.satisfied += 1
            # An Interest that loops is answered from the Content Store; unless it wants what is fresh, and this is not.
            if not entry.view.mustBeFresh or entry.freshness >= _FRESH_ENOUGH:
                return
        else:
            self.counters.unsatisfied += 1
        add = self.deadNonces.add
        for out in entry.outs.values():
            add(entry.name, out.nonce, self.now)

    def _evict(self, port: Port, entry: PITEntry) -> None:
        """
        Make room in the PIT.
        """
        self.sendNack(entry, port, 50)
        if not entry.ins:
            self.finish(entry)

    def _expired(self, entry: PITEntry) -> None:
        """
        Nobody waits for it any more.
        """
        self.now = self.clock.seconds()
        # The wheel has let go of it, and it is still to be finished.
        entry.slot = {}
        if not entry.satisfied and entry.chosen.onTimeout is not None:
            entry.chosen.onTimeout(entry)
        self.finish(entry)
