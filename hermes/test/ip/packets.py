"""
Frames for tests, made with scapy; ports and tunnels in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from hermes.interfaces.packet import AddressRange, AssignedAddress
from hermes.ip.port import DevicePort
from hermes.ip.table import PacketRule
from hermes.matching import Match
from hermes.values import ANONYMOUS, Identity

PLAIN = bytes(10)


def frame(packet: Packet) -> bytearray:
    """
    A packet as a frame that can be written to.
    """
    return bytearray(PLAIN + bytes(packet))


def udp(source: str, destination: str, sport: int = 1000, dport: int = 2000, size: int = 8, **fields: Any) -> bytearray:
    """
    A UDP packet of either version.
    """
    kind = IPv6 if ":" in source else IP
    return frame(kind(src=source, dst=destination, **fields) / UDP(sport=sport, dport=dport) / Raw(b"x" * size))


def tcp(source: str, destination: str, sport: int = 1000, dport: int = 80, size: int = 8, **fields: Any) -> bytearray:
    """
    A TCP packet of either version.
    """
    kind = IPv6 if ":" in source else IP
    return frame(kind(src=source, dst=destination, **fields) / TCP(sport=sport, dport=dport) / Raw(b"x" * size))


def ping(source: str, destination: str, **fields: Any) -> bytearray:
    """
    An echo request.
    """
    return frame(IP(src=source, dst=destination, **fields) / ICMP(id=7) / Raw(b"x" * 8))


def read(written: Any) -> Any:
    """
    A frame as scapy's packet.
    """
    data = bytes(written)
    assert data[:10] == PLAIN, data[:10]
    return IPv6(data[10:]) if data[10] >> 4 == 6 else IP(data[10:])


class MemoryChannel:
    """
    An L{hermes.interfaces.IPacketTunnel} that keeps what is written.

    @ivar written: frames, copied.
    @ivar told: what was said beside: the method and its argument.
    """

    droppedDatagrams = 0

    def __init__(self, mtu: int = 1500, offload: bool = True, identity: Identity = ANONYMOUS) -> None:
        self.mtu = mtu
        self.offload = offload
        self.maxDatagramSize = 65545
        self.identity = identity
        self.written: list[bytes] = []
        self.told: list[tuple[str, Any]] = []
        self.receiver: Any = None
        self.closed = False
        self._goingAway: list[Callable[[], None]] = []

    def setReceiver(self, receiver: Any) -> None:
        """
        See the interface.
        """
        self.receiver = receiver
        receiver.channelConnected(self)

    def write(self, frames: Sequence[Any]) -> None:
        """
        See the interface.
        """
        self.written += map(bytes, frames)

    def assignAddresses(self, addresses: Sequence[AssignedAddress]) -> None:
        """
        See the interface.
        """
        self.told.append(("assign", [(number, str(network)) for number, network in addresses]))

    def requestAddresses(self, addresses: Sequence[AssignedAddress]) -> None:
        """
        See the interface.
        """
        self.told.append(("request", [(number, str(network)) for number, network in addresses]))

    def advertiseRoutes(self, routes: Sequence[AddressRange]) -> None:
        """
        See the interface.
        """
        self.told.append(("advertise", [(str(start), str(end), protocol) for start, end, protocol in routes]))

    def drain(self) -> None:
        """
        See the interface.
        """
        self.told.append(("drain", None))

    def notifyGoingAway(self, callback: Callable[[], None]) -> None:
        """
        See the interface.
        """
        self._goingAway.append(callback)

    def goAway(self) -> None:
        """
        The peer asks to finish.
        """
        waiting, self._goingAway = self._goingAway, []
        for callback in waiting:
            callback()

    def loseChannel(self) -> None:
        """
        See the interface.
        """
        if not self.closed:
            self.closed = True
            self.receiver.channelLost(Failure(ConnectionDone()))

    abortChannel = loseChannel

    def take(self) -> list[Any]:
        """
        What was written since the last call, as scapy's packets.
        """
        taken, self.written = self.written, []
        return [read(each) for each in taken]


def device(switch: Any, name: str = "lan", mtu: int = 1500) -> tuple[DevicePort, MemoryChannel]:
    """
    A device of a switch.
    """
    port = DevicePort(f"device {name}", switch, name)
    channel = MemoryChannel(mtu)
    channel.setReceiver(port)
    switch.addPort(port)
    return port, channel


def rule(
    targets: Sequence[str] = (),
    users: Sequence[str] = (),
    nodes: Sequence[str] = (),
    listeners: Sequence[str] = (),
    sources: Sequence[str] = (),
    transports: Sequence[int] = (),
    **what: Any,
) -> PacketRule:
    """
    A route for packets.
    """
    match = Match.fromTexts(targets, users, nodes, listeners, ("ip",), sources)
    return PacketRule(match, frozenset(transports), **what)
