"""
What happens to a packet: the forwarding pipelines, as NFD has them.
"""

from __future__ import annotations

from random import Random
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.ndn.forwarder.actions import MAX_LIFETIME, Actions
from hermes.ndn.forwarder.admission import CAPACITY
from hermes.ndn.forwarder.hint import Regions, withoutHint
from hermes.ndn.forwarder.pitentry import COMPONENT_COST, ENTRY_COST, IN_COST, InRecord, PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.scope import HOST, scopeOf
from hermes.ndn.forwarder.strategies.base import CONGESTION, DUPLICATE, NO_ROUTE
from hermes.ndn.forwarder.strategychoice import StrategyChoice
from hermes.ndn.interfaces import CONTENT_STORE_FACE, IContentStore, IFaceReceiver, INDNFace
from hermes.ndn.packet.peek import DataView, InterestView

MAX_COMPONENTS: Final = 128
"""
The longest name that is forwarded, in components.
"""

NO_CACHE: Final = 1
"""
CachePolicyType: Data that should not be kept.
"""


_MAX_LIFETIME = MAX_LIFETIME * 1000


@implementer(IFaceReceiver)
class Pipelines(Actions):
    """
    The part of the forwarder that faces feed.

    @ivar cs: the Content Store.
    @ivar strategies: which strategy decides for which prefix.
    @ivar regions: where this forwarder is.
    @ivar keepsUnsolicited: whether Data is kept that nobody has asked for, where it comes from a local face.
    """

    log = Logger()
    cs: IContentStore
    strategies: StrategyChoice

    def __init__(
        self,
        clock: IReactorTime,
        pitCapacity: int = CAPACITY,
        random: Random | None = None,
        regions: Regions | None = None,
        keepsUnsolicited: bool = False,
    ) -> None:
        super().__init__(clock, pitCapacity, random)
        self.regions = regions or Regions()
        self.keepsUnsolicited = keepsUnsolicited
        self._seconds = clock.seconds

    # Interests

    def receiveInterest(
        self,
        face: INDNFace,
        view: InterestView,
        pitToken: bytes | None = None,
        nextHop: int | None = None,
        congestionMark: int = 0,
    ) -> None:
        port = self._ports.get(face.id)
        if port is None:
            return
        now = self.now = self._seconds()
        came = view
        name = view.name
        scope = 0
        # The names that have a scope all begin like this.
        if name[2:7] == b"local":
            scope = scopeOf(name)
            if scope == HOST and not port.local:
                self.counters.scopeViolations += 1
                return
        if view.hopLimit is not None:
            if not view.hopLimit:
                self.counters.hopLimits += 1
                return
            view = view.withHopLimit(view.hopLimit - 1)
        if view.nonce is None:
            view = came = view.withNonce(self.random.getrandbits(32))
        nonce = view.nonce
        assert nonce is not None
        if self.deadNonces.has(name, nonce, now):
            self._looped(port, came, pitToken)
            return
        if view.hint and self.regions.reached(view.hint):
            view = withoutHint(view)

        pit = self.pit
        cost = IN_COST + len(view.wire) + COMPONENT_COST * len(view.ends)
        lifetime = view.lifetime
        expiry = now + (lifetime / 1000 if lifetime < _MAX_LIFETIME else MAX_LIFETIME)
        entry = pit.find(view)
        if entry is not None and not entry.ins:
            # Only kept for what answers late: for whoever asks now, there is no entry.
            self.finish(entry)
            entry = None
        if entry is None:
            ends = view.ends
            if len(ends) > MAX_COMPONENTS:
                self.counters.longNames += 1
                return
            found = self.cs.find(view)
            if found is not None and not isinstance(found, Deferred):
                port.sendData(found, pitToken, 0, CONTENT_STORE_FACE)
                return
            cost += ENTRY_COST
            if pit.charge + cost > self.admission.capacity and not self.admission.admit(port, cost, now):
                self._refuse(port, came, pitToken)
                return
            chosen = self.strategies.longest(name, ends)
            assert chosen is not None  # C{/} has one
            entry, excess = pit.open(view, scope, chosen, port, came, pitToken, now, expiry, cost)
            self._wheel.insert(entry, expiry, now)
            if excess is not None:
                self.finish(excess)
            if found is not None:
                entry.searching = True
                found.addBoth(self._searched, entry)
                return
        else:
            record = port.pending.get(entry)
            if self._isLoop(entry, record, port, nonce):
                self._looped(port, came, pitToken)
                return
            more = cost if record is None else cost - record.cost
            if more > 0 and pit.charge + more > self.admission.capacity:
                admitted = self.admission.admit(port, more, now)
                # Room may have been made by this very entry.
                if not admitted or not entry.ins:
                    # Whoever gets a Nack does not wait.
                    self.pit.leave(entry, port)
                    if not entry.ins:
                        self.finish(entry)
                    self._refuse(port, came, pitToken)
                    return
            pit.join(entry, port, view, came, pitToken, now, expiry, cost)
            if expiry > entry.due:
                entry.due = expiry
            if entry.searching:
                return

        if nextHop is None:
            entry.chosen.afterInterest(port, view, entry)
            return
        upstream = self._ports.get(nextHop)
        if upstream is None or self.sendInterest(entry, upstream, view, port) is None:
            self.sendNack(entry, port, NO_ROUTE)
            if not entry.ins:
                self.finish(entry)

    def _refuse(self, port: Port, view: InterestView, token: bytes | None) -> None:
        """
        There is no room for an Interest.
        """
        if port.pointToPoint:
            port.sendNack(view, CONGESTION, token)

    def _searched(self, found: DataView | Failure | None, entry: PITEntry) -> None:
        """
        The Content Store has looked for an answer.
        """
        entry.searching = False
        if isinstance(found, Failure):
            self.log.failure("the Content Store could not be searched", found)
            found = None
        if not entry.ins:
            return
        self.now = self._seconds()
        if found is not None:
            records = entry.ins.copy()
            entry.satisfied = True
            entry.freshness = found.freshness
            self.finish(entry)
            for record in records:
                record.port.sendData(found, record.token, 0, CONTENT_STORE_FACE)
        else:
            record = entry.ins[0]
            entry.chosen.afterInterest(record.port, record.view, entry)

    def _isLoop(self, entry: PITEntry, own: InRecord | None, port: Port, nonce: int) -> bool:
        """
        Whether an Interest was here before. The same from the same peer is one that was sent again.
        """
        if own is not None and own.view.nonce == nonce and port.pointToPoint:
            return False
        for record in entry.ins:
            if record.view.nonce == nonce:
                return True
        # A generator would cost more than the loop.
        for out in entry.outs.values():  # noqa: SIM110
            if out.nonce == nonce:
                return True
        return False

    def _looped(self, port: Port, view: InterestView, token: bytes | None) -> None:
        self.counters.loops += 1
        if port.pointToPoint:
            port.sendNack(view, DUPLICATE, token)

    # Data

    def receiveData(
        self,
        face: INDNFace,
        view: DataView,
        pitToken: bytes | None = None,
        congestionMark: int = 0,
        cachePolicy: int | None = None,
    ) -> None:
        port = self._ports.get(face.id)
        if port is None:
            return
        name = view.name
        if name[2:7] == b"local" and not port.local and scopeOf(name) == HOST:
            self.counters.scopeViolations += 1
            return
        if len(view.ends) > MAX_COMPONENTS:
            self.counters.longNames += 1
            return
        entries = self.pit.matches(view)
        if not entries:
            self.counters.unsolicited += 1
            if self.keepsUnsolicited and port.local and cachePolicy != NO_CACHE:
                self.cs.insert(view, True)
            return
        if cachePolicy != NO_CACHE:
            self.cs.insert(view)
        now = self.now = self._seconds()
        waiting: list[InRecord] = []
        for entry in entries:
            beforeSatisfy = entry.chosen.beforeSatisfy
            if beforeSatisfy is not None:
                beforeSatisfy(port, view, entry)
            waiting += entry.ins
            entry.satisfied = True
            entry.freshness = view.freshness
            if not entry.kept:
                self.finish(entry)
            elif entry.ins:
                self._keep(entry, now)
        sent: set[tuple[int, bytes | None]] | None = set() if len(waiting) > 1 else None
        for record in waiting:
            downstream = record.port
            if record.expiry <= now or (downstream is port and not port.adHoc):
                continue
            if sent is not None:
                # Two Interests of a face that the same Data answers.
                which = downstream.id, record.token
                if which in sent:
                    continue
                sent.add(which)
            downstream.sendData(view, record.token, congestionMark, port.id)

    def _keep(self, entry: PITEntry, now: float) -> None:
        """
        Nobody waits any more; the entry stays for a moment.
        """
        for record in entry.ins.copy():
            self.pit.leave(entry, record.port)
        self._wheel.remove(entry)
        self._wheel.insert(entry, now + entry.kept, now)

    # Nacks, and what got lost

    def receiveNack(self, face: INDNFace, reason: int, view: InterestView, pitToken: bytes | None = None) -> None:
        port = self._ports.get(face.id)
        if port is None:
            return
        entry = self._asked(port, view)
        if entry is None or not port.pointToPoint:
            self.counters.strayNacks += 1
            return
        self.now = self._seconds()
        entry.outs[port].nack = reason
        entry.chosen.afterNack(port, reason, view, entry)
        if all(out.nack is not None for out in entry.outs.values()):
            self.finish(entry)

    def interestLost(self, face: INDNFace, view: InterestView) -> None:
        port = self._ports.get(face.id)
        entry = None if port is None else self._asked(port, view)
        if port is not None and entry is not None and entry.chosen.onLost is not None:
            self.now = self._seconds()
            entry.chosen.onLost(port, view, entry)

    def _asked(self, port: Port, view: InterestView) -> PITEntry | None:
        """
        The entry for which a face was asked exactly this, and which still waits.
        """
        entry = self.pit.find(view)
        if entry is None or not entry.ins:
            return None
        out = entry.outs.get(port)
        return entry if out is not None and out.nonce == view.nonce else None
