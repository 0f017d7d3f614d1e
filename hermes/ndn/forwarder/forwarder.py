"""
The forwarder: faces come and go, prefixes lead to them, and what they receive is fed to the pipelines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from hermes.ndn.forwarder.admission import CAPACITY
from hermes.ndn.forwarder.contentstore import ContentStore
from hermes.ndn.forwarder.counters import ForwarderStatus
from hermes.ndn.forwarder.hint import Regions
from hermes.ndn.forwarder.pipelines import Pipelines
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.prefixtable import PrefixTable
from hermes.ndn.forwarder.strategychoice import DEFAULT, StrategyChoice
from hermes.ndn.interfaces import IContentStore, IFaceObserver, INDNFace, IStrategyType


@implementer(IFaceObserver)
class Forwarder(Pipelines):
    """
    A forwarder. It observes a face table, or is told of faces by L{addFace} and L{removeFace}.

    Whatever a face receives is handled before C{receiveInterest} and its like return, and what follows from it is sent.
    All tables are bounded: see L{hermes.ndn.forwarder.admission} and L{hermes.ndn.forwarder.contentstore}.
    """

    def __init__(
        self,
        clock: IReactorTime,
        store: IContentStore | None = None,
        *,
        pitCapacity: int = CAPACITY,
        strategyTypes: Iterable[IStrategyType] | None = None,
        strategy: str = DEFAULT,
        random: Random | None = None,
        regions: Iterable[bytes] = (),
        keepsUnsolicited: bool = False,
    ) -> None:
        """
        @param clock: the time, and delayed calls.
        @param store: the Content Store; one of its own unless given.
        @param pitCapacity: how many bytes the PIT may hold.
        @param strategyTypes: the strategies that can be chosen; those that are installed unless given.
        @param strategy: that of prefixes for which no other is chosen: its type or its name.
        @param random: for Nonces and for probing.
        @param regions: names (their values) of the regions that this forwarder is in, for forwarding hints.
        @param keepsUnsolicited: whether Data from local faces is kept that nobody has asked for.
        """
        super().__init__(clock, pitCapacity, random, Regions(regions), keepsUnsolicited)
        self.cs = ContentStore(clock) if store is None else store
        self.strategies = StrategyChoice(self, strategyTypes, strategy)
        # Prefixes with next hops that no pending Interest was told of yet.
        self._newHops: PrefixTable[list[Port]] = PrefixTable()
        self._telling: IDelayedCall | None = None

    # Faces

    def addFace(self, face: INDNFace) -> None:
        """
        Take a face in: what it receives is forwarded, and it can be a next hop.

        @raise ValueError: if it has no ID, or there is another with its ID.
        """
        if face.id <= 0 or face.id in self._ports:
            raise ValueError(f"a face needs an ID of its own: {face.id} is none")
        self._ports[face.id] = Port(face)

    def removeFace(self, face: INDNFace) -> None:
        """
        Forget a face: next hops that lead to it, and Interests that only it waits for. Nothing happens where it is
        unknown.
        """
        port = self._ports.get(face.id)
        if port is None or port.face is not face:
            return
        del self._ports[face.id]
        port.attached = port.up = False
        self.now = self.clock.seconds()
        asked = bool(port.routes)
        self.fib.removePort(port)
        for entry in list(port.pending):
            self.pit.leave(entry, port)
            if not entry.ins:
                self.finish(entry)
        if asked:
            self._lost(port)
        self.counters.ended(face)

    def faceCreated(self, face: INDNFace) -> None:
        self.addFace(face)
        self._ports[face.id].up = face.up

    def faceUp(self, face: INDNFace) -> None:
        self._setUp(face, True)

    def faceDown(self, face: INDNFace) -> None:
        self._setUp(face, False)
        port = self._ports.get(face.id)
        if port is not None and port.face is face and port.routes:
            self.now = self.clock.seconds()
            self._lost(port)

    def _lost(self, port: Port) -> None:
        """
        No answers come from a face any more: whoever waits for one may ask elsewhere. Every pending Interest is looked
        at; so it is done only for faces that prefixes lead to.
        """
        for entry in self.pit:
            out = entry.outs.get(port)
            if out is None or not entry.ins:
                continue
            onLost = entry.chosen.onLost
            if onLost is not None and out.nack is None:
                onLost(port, entry.ins[-1].view, entry)
            if not port.attached and self.pit.forget(entry, port) is not None:
                self.deadNonces.add(entry.name, out.nonce, self.now)
        self.admission.trim(self.now)

    def faceDestroyed(self, face: INDNFace) -> None:
        self.removeFace(face)

    def _setUp(self, face: INDNFace, up: bool) -> None:
        port = self._ports.get(face.id)
        if port is not None and port.face is face:
            port.up = up

    def faces(self) -> Iterator[INDNFace]:
        """
        The faces that it has.
        """
        return (port.face for port in list(self._ports.values()))

    # Prefixes

    def setNextHop(self, prefix: bytes, faceID: int, cost: int | None = 0) -> bool:
        """
        Let a prefix lead to a face, or no more.

        @param prefix: the value of a name.
        @param cost: less is better; L{None} to take the next hop away.
        @return: whether there is such a face, or was such a next hop.
        @raise ValueError: if the prefix is too long or no name, or the cost is below 0.
        """
        port = self._ports.get(faceID)
        if port is None:
            return False
        if cost is None:
            return self.fib.removeNextHop(prefix, port)
        if self.fib.setNextHop(prefix, port, cost) and len(self.pit):
            added = self._newHops.get(prefix)
            if added is None:
                self._newHops.set(prefix, [port])
            else:
                added.append(port)
            if self._telling is None:
                self._telling = self.clock.callLater(0, self._tellNewHops)
        return True

    def _tellNewHops(self) -> None:
        """
        Tell strategies of next hops that pending Interests could use: once for all that were added in a turn, as every
        pending Interest is looked at.
        """
        self._telling = None
        newHops, self._newHops = self._newHops, PrefixTable()
        if all(chosen.onNewNextHop is None for chosen in self.strategies):
            return
        self.now = self.clock.seconds()
        for entry in self.pit:
            onNewNextHop = entry.chosen.onNewNextHop
            if onNewNextHop is None or not entry.ins:
                continue
            ports = newHops.longest(entry.name, entry.view.ends)
            found = self.lookup(entry) if ports is not None else None
            if ports is None or found is None:
                continue
            hops = {hop.port for hop in found.hops}
            for port in ports:
                if port in hops:
                    onNewNextHop(port, entry)
        self.admission.trim(self.now)

    # The whole

    def limit(self, pitCapacity: int) -> None:
        """
        Let the PIT hold so many bytes from now on: what does not fit any more is driven out.
        """
        self.now = self.clock.seconds()
        self.admission.capacity = pitCapacity
        self.admission.trim(self.now)

    def status(self) -> ForwarderStatus:
        """
        Its state, with counts since the start.
        """
        sums = self.counters.sums(list(self.faces()))
        measurements = sum(getattr(chosen.strategy, "measured", 0) for chosen in self.strategies)
        return ForwarderStatus(
            nameTreeEntries=len(self.fib) + len(self.pit) + len(self.strategies) + measurements,
            fibEntries=len(self.fib),
            pitEntries=len(self.pit),
            measurementsEntries=measurements,
            csEntries=len(self.cs),
            satisfied=self.counters.satisfied,
            unsatisfied=self.counters.unsatisfied,
            **sums,
        )

    def stop(self) -> None:
        """
        Forget all that is pending, and every timer.
        """
        for entry in self.pit:
            self.finish(entry)
        self._wheel.stop()
        self._timers.stop()
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.cancel()
