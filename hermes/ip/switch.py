"""
The switch: packets come in at one port, and leave at another.

For most of them that is one look into a dictionary: where packets like this one go was decided with the first. See
L{hermes.ip.deciding} for that, and for those that are not like any before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hermes.ip.deciding import Decider
from hermes.ip.port import GONE, HEADER, DevicePort, Port
from hermes.ip.prefixes import IPAddress, IPNetwork, PrefixTable
from hermes.ip.refusals import Refusals, Why
from hermes.ip.table import PacketTable
from hermes.ip.ways import Way
from hermes.values import Buffer
from hermes.wire.errors import MalformedError
from hermes.wire.fragment import fragmentIPv4
from hermes.wire.ip import decrementTTL, flowKey, reverseKey
from hermes.wire.offload import GSO_NONE, PLAIN, complete, wireSize

TURN: Final = 600.0
"""
Seconds after which a way that was not used is old; after as many more it is forgotten.
"""

MAX_FORMER: Final = 4096
"""
Addresses whose last holder is remembered, so that who comes back goes on where it was.
"""

SWEPT: Final = 500
"""
Ways that are judged anew in one turn of the reactor after the routes have changed.
"""


class PacketSwitch:
    """
    Forwards packets between ports.

    @ivar table: the routes.
    @ivar epoch: what is decided holds for as long as this is the same object: routes and devices have not changed.
    @ivar owners: by prefix, the port whose addresses they are.
    @ivar refusals: counts what does not get on.
    @ivar ports: all of them.
    @ivar devices: those of devices, by the name of their listener.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, table: PacketTable) -> None:
        self.clock = clock
        self.table = table
        self.epoch = object()
        self.owners: PrefixTable[Port] = PrefixTable()
        self.refusals = Refusals(clock)
        self.ports: dict[Port, None] = {}
        self.devices: dict[str, DevicePort] = {}
        self.decider = Decider(self)
        # Whether an address is one of those that are given to tunnels: it comes and goes with them.
        self.isGiven: Callable[[IPAddress], bool] = lambda address: False
        self._former: OrderedDict[IPNetwork, Port] = OrderedDict()
        self._turning: IDelayedCall | None = None
        self._sweeping: IDelayedCall | None = None

    # Ports

    def addPort(self, port: Port) -> None:
        """
        Packets come and go here from now on.
        """
        self.ports[port] = None
        if self._turning is None:
            self._turning = self.clock.callLater(TURN, self._turn)
        if isinstance(port, DevicePort):
            self.devices[port.listener] = port
            self.changed()

    def removePort(self, port: Port) -> None:
        """
        None any more. What is still to go there goes to whoever takes its addresses, if it is the same one.
        """
        self.ports.pop(port, None)
        port.up = False
        if port.successor is None:
            port.successor = GONE
        port.ways.clear()
        self.refusals.forget(port)
        for network, owner in list(self.owners):
            if owner is port:
                self.disown(network, port)
        if self.devices.get(port.listener) is port:
            del self.devices[port.listener]
            self.changed()

    def own(self, networks: Iterable[IPNetwork], port: Port) -> None:
        """
        The addresses of C{networks} are beyond C{port} now, and nowhere else.
        """
        changed = False
        for network in networks:
            if self.owners.get(network) is port:
                continue
            self.owners.set(network, port)
            changed = changed or not self._isGiven(network)
            before = self._former.pop(network, None)
            if before is not None and before.successor is GONE and before.identity == port.identity:
                before.successor = port
        if changed:
            self.changed()

    def disown(self, network: IPNetwork, port: Port) -> None:
        """
        The addresses of C{network} are not beyond C{port}, unless another has them already.
        """
        if self.owners.get(network) is not port:
            return
        self.owners.remove(network)
        self._former[network] = port
        if len(self._former) > MAX_FORMER:
            self._former.popitem(last=False)
        if not self._isGiven(network):
            self.changed()

    def _isGiven(self, network: IPNetwork) -> bool:
        return network.prefixlen == network.max_prefixlen and self.isGiven(network.network_address)

    # Packets

    def forward(self, port: Port, frames: Sequence[Any]) -> None:
        """
        Frames came in at C{port}. They are written to in place.
        """
        port.packetsIn += len(frames)
        port.bytesIn += sum(map(len, frames))
        for tap in port.taps:
            tap("in", frames)
        young = port.ways.young
        batches: dict[Port, list[Buffer]] = {}
        batch: list[Buffer] = []
        lastKey: bytes | None = None
        limit = 0
        for frame in frames:
            key = flowKey(frame)
            if key is None or key != lastKey:
                way = young.get(key) if key is not None else None
                if way is None:
                    way = self.decider.find(port, frame, key)
                    young = port.ways.young
                    if way is None:
                        lastKey = None
                        continue
                out = way.out
                if out is None:
                    lastKey = None
                    self.refuse(port, frame, way)
                    continue
                while out.successor is not None and out.successor is not GONE:
                    out = way.out = out.successor
                if key is None:
                    frame = whole(frame)
                lastKey = key
                limit = out.limit
                found = batches.get(out)
                batch = batches.setdefault(out, []) if found is None else found
            if len(frame) > limit and (not frame[1] or wireSize(frame) > limit - HEADER):
                self._cut(port, frame, limit, batch)
            elif decrementTTL(frame, HEADER):
                batch.append(frame)
            else:
                self.refusals.refuse(port, frame, Why.EXPIRED)
        for out, batch in batches.items():
            if not batch:
                continue
            if out.up:
                out.write(batch)
            else:
                out.missed()
                for frame in batch:
                    self.refusals.refuse(port, frame, Why.UNREACHABLE)

    def refuse(self, port: Port, frame: Buffer, way: Way) -> None:
        """
        A packet that is not to get on.
        """
        if way.rule is None:
            self.refusals.refuse(port, frame, Why.NO_ROUTE)
        elif way.rule.deny is None:
            self.refusals.refuse(port, frame, Why.UNREACHABLE)
        elif way.rule.silent:
            self.refusals.counts[Why.REFUSED] += 1
        else:
            self.refusals.refuse(port, frame, Why.REFUSED)

    def _cut(self, port: Port, frame: Any, limit: int, batch: list[Buffer]) -> None:
        """
        A packet that is too long: in pieces, or refused.
        """
        mtu = limit - HEADER
        if frame[HEADER] >> 4 != 4 or frame[HEADER + 6] & 0x40 or frame[1] != GSO_NONE:
            self.refusals.refuse(port, frame, Why.TOO_BIG, mtu)
        elif not decrementTTL(frame, HEADER):
            self.refusals.refuse(port, frame, Why.EXPIRED)
        else:
            try:
                packet = memoryview(complete(frame))[HEADER:]
                batch += [PLAIN + piece for piece in fragmentIPv4(packet, mtu)]
            except MalformedError:
                self.refusals.counts[Why.MALFORMED] += 1

    # Routes

    def swap(self, table: PacketTable) -> None:
        """
        Judge by these routes. What is under way is judged anew: by its next packet, or without one within a few turns
        of the reactor, so that answers to what is refused now stop too.
        """
        self.table = table
        self.changed()

    def changed(self) -> None:
        """
        What was decided is to be decided again: routes, hops or devices are others.
        """
        self.epoch = object()
        if not self.ports:
            return
        for port in self.ports:
            port.ways.age()
        if self._sweeping is not None and self._sweeping.active():
            self._sweeping.cancel()
        self._sweeping = self.clock.callLater(0, self._begin)

    def _begin(self) -> None:
        self._sweep([(port, key) for port in self.ports for key in port.ways])

    def _sweep(self, left: list[tuple[Port, bytes]]) -> None:
        self._sweeping = None
        for port, key in left[-SWEPT:]:
            way = port.ways.find(key)
            if way is None or way.holds(self.epoch) or port not in self.ports:
                continue
            before = way.out
            again = self.decider.again(port, key)
            if again.out is before:
                way.epoch, way.rule = self.epoch, again.rule
                continue
            port.ways.discard(key)
            if again.out is None and before is not None:
                before.ways.discard(reverseKey(key))
        del left[-SWEPT:]
        if left:
            self._sweeping = self.clock.callLater(0, self._sweep, left)

    def _turn(self) -> None:
        for port in self.ports:
            port.ways.turn()
        self._turning = self.clock.callLater(TURN, self._turn) if self.ports else None

    def close(self) -> None:
        """
        Forward nothing more.
        """
        for port in list(self.ports):
            self.removePort(port)
        for timer in (self._turning, self._sweeping):
            if timer is not None and timer.active():
                timer.cancel()

    def addressOf(self, version: int) -> IPAddress | None:
        """
        The node's own address, from which errors come.
        """
        return self.refusals.addresses.get(version)


def whole(frame: Any) -> Any:
    """
    A frame without what may lie behind its packet.
    """
    if frame[HEADER] >> 4 == 4:
        length = frame[HEADER + 2] << 8 | frame[HEADER + 3]
    else:
        length = 40 + (frame[HEADER + 4] << 8 | frame[HEADER + 5])
    return frame if len(frame) == HEADER + length else memoryview(frame)[: HEADER + length]
