"""
What is decided about a packet that is not like one before: is it one, may it come from there, where does it go.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from hermes.ip.port import HEADER, DevicePort, Port
from hermes.ip.refusals import Why
from hermes.ip.table import Asked, PacketRule
from hermes.ip.ways import Way
from hermes.values import Buffer
from hermes.wire import icmp, icmpv6
from hermes.wire.errors import MalformedError
from hermes.wire.ip import FlowKey, parse, parseKey, reverseKey
from hermes.wire.ippacket import Packet

if TYPE_CHECKING:
    from hermes.ip.switch import PacketSwitch

MAX_FRAGMENTED: Final = 4096
"""
Fragmented packets whose first part was seen and whose others may follow.
"""


class Decider:
    """
    Finds the way of a packet, and remembers it.
    """

    def __init__(self, switch: PacketSwitch) -> None:
        self._switch = switch
        # Of those that are in fragments only the first says what it is.
        self._fragmented: OrderedDict[tuple[Any, ...], Way] = OrderedDict()
        # What routes call the hops and devices that they name.
        self.uplink: Any = lambda rule: None

    def find(self, port: Port, frame: Buffer, key: bytes | None) -> Way | None:
        """
        The way of a packet that came in at C{port}; L{None} where it is dropped, and was counted.
        """
        switch = self._switch
        if key is not None:
            known = port.ways.find(key)
            if known is not None and known.holds(switch.epoch):
                port.ways.add(key, known)
                if known.out is not None and not known.answer:
                    # As long as packets are sent they may be answered.
                    self._expectAnswer(port, key, known.out, known)
                return known
        try:
            packet = parse(frame, HEADER)
        except MalformedError:
            switch.refusals.counts[Why.MALFORMED] += 1
            return None
        source, destination = packet.source, packet.destination
        if source.is_link_local or not _isUnicast(destination):
            switch.refusals.counts[Why.NOT_FORWARDED] += 1
            return None
        if source.is_multicast or source.is_unspecified or not port.mayCome(source):
            switch.refusals.counts[Why.SPOOFED] += 1
            return None
        if packet.isFragment:
            return self._fragment(port, packet)
        if packet.icmpType is not None and key is None:
            related = self._related(port, frame, packet)
            if related is not None:
                return related
        elif key is None:
            known = port.ways.find(packet.key)
            if known is not None and known.holds(switch.epoch):
                return known
        way = self._decide(port, _asked(port, packet))
        self._remember(port, packet.key, way)
        return way

    def again(self, port: Port, key: bytes) -> Way:
        """
        The way of packets with C{key} as the routes are now. It is not remembered.
        """
        return self._decide(port, _asked(port, parseKey(key)))

    def _decide(self, port: Port, asked: Asked) -> Way:
        switch = self._switch
        if not port.mayGo(asked.destination, asked.protocol):
            return Way(None, None, False, switch.epoch)
        rule = switch.table.decide(asked)
        if rule is None or rule.deny is not None:
            return Way(None, rule, False, switch.epoch)
        out = self._out(rule, asked)
        return Way(None if out is port else out, rule, False, switch.epoch)

    def outOf(self, asked: Asked) -> Port | None:
        """
        Where a packet would leave; L{None} where it would not, or nobody has its address now.
        """
        rule = self._switch.table.decide(asked)
        return None if rule is None or rule.deny is not None else self._out(rule, asked)

    def _out(self, rule: PacketRule, asked: Asked) -> Port | None:
        switch = self._switch
        if rule.via:
            out: Port | None = self.uplink(rule)
            return out
        if rule.to is not None:
            return switch.devices.get(rule.to)
        owner = switch.owners.find(asked.destination)
        if owner is not None and not isinstance(owner, DevicePort):
            return owner
        if switch.isGiven(asked.destination):
            # An address of a tunnel that is not there is not beyond a device, even where its prefix is.
            return owner if owner is not None and switch.owners.get(ip_network(asked.destination)) is owner else None
        if owner is None and len(switch.devices) == 1:
            # The only device leads to everything that is nowhere else.
            owner = next(iter(switch.devices.values()))
        return owner

    def _remember(self, port: Port, key: bytes, way: Way) -> None:
        out = way.out
        if out is None and way.rule is not None and way.rule.deny is None:
            # Whoever has the address may come at any time.
            return
        port.ways.add(key, way)
        if out is None:
            return
        self._expectAnswer(port, key, out, way)

    def _expectAnswer(self, port: Port, key: bytes, out: Port, way: Way) -> None:
        answer = reverseKey(key)
        known = out.ways.find(answer)
        if known is None or (known.answer and known.out is not port) or known.out is None:
            known = Way(port, way.rule, True, way.epoch)
        out.ways.add(answer, known)

    def _fragment(self, port: Port, packet: Packet) -> Way | None:
        """
        The way of a part of a packet. Only the first says which ports it is from and to: the others go where that went,
        or, where it was not seen, as a packet without ports may.
        """
        place = (port, packet.fragmentKey)
        known = self._fragmented.get(place)
        if known is not None and packet.fragmentOffset and known.holds(self._switch.epoch):
            return known
        way = port.ways.find(packet.key)
        if way is None or not way.answer:
            way = self._decide(port, _asked(port, packet))
            if way.out is not None:
                self._remember(port, packet.key, way)
        if not packet.fragmentOffset:
            self._fragmented[place] = way
            if len(self._fragmented) > MAX_FRAGMENTED:
                self._fragmented.popitem(last=False)
        elif way.out is None:
            # It may be a part of what is allowed, and its first part late: an error would be wrong.
            self._switch.refusals.counts[Why.REFUSED] += 1
            return None
        return way

    def _related(self, port: Port, frame: Buffer, packet: Packet) -> Way | None:
        """
        The way of an ICMP error about a packet that went the other way: to whoever sent that.
        """
        kind = icmp if packet.version == 4 else icmpv6
        try:
            error = kind.parseError(frame, packet, HEADER)
        except MalformedError:
            return None
        quoted = None if error is None else error.key
        if quoted is None:
            return None
        known = port.ways.find(reverseKey(quoted))
        if known is None or known.out is None:
            return None
        return Way(known.out, known.rule, True, known.epoch)


def _asked(port: Port, packet: Packet | FlowKey) -> Asked:
    return Asked(
        packet.source,
        packet.destination,
        packet.protocol,
        packet.sourcePort,
        packet.destinationPort,
        port.identity,
        port.listener,
    )


def _isUnicast(address: Any) -> bool:
    """
    Whether a router forwards to it.
    """
    if address.is_multicast or address.is_link_local or address.is_unspecified or address.is_loopback:
        return False
    return address.version == 6 or int(address) != 0xFFFFFFFF
