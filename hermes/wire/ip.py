"""
IP packets as a switch needs them: is it one, and of which flow.

This is the hot path of IP forwarding. L{flowKey} answers for the packets of which there are many, in a quarter
(IPv6) to half a microsecond (IPv4, which has a checksum); of what it has no answer for, L{parse} says everything or
refuses it, in five.

A I{flow's key} names version, addresses, protocol and ports: C{source + destination + ports + protocol}, 13 bytes for
IPv4 and 37 for IPv6. Of ICMP, type, code and identifier stand for the ports; the identifier is 0 but in an echo and
the like. Where there is neither, in a later fragment too, the key is four bytes shorter.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from struct import error as StructError

from attrs import frozen

from hermes.wire.buffers import Buffer
from hermes.wire.errors import MalformedError
from hermes.wire.ippacket import ECHOES, ICMP, ICMPV6, Packet
from hermes.wire.ipv4 import parseIPv4
from hermes.wire.ipv6 import parseIPv6

# Total length, fragment, protocol, and addresses with what stands behind them where there are no options.
_V4 = Struct(">2xH2xHxc2x12s").unpack_from
# Payload length, next header, and the same.
_V6 = Struct(">4xHcx36s").unpack_from

_TCP, _UDP, _ICMP, _ICMPV6 = b"\x06", b"\x11", b"\x01", b"\x3a"


@frozen(slots=True)
class FlowKey:
    """
    What a flow's key says.

    @ivar version: 4 or 6.
    @ivar source: where its packets come from.
    @ivar destination: where they go.
    @ivar protocol: IP protocol of the upper layer.
    @ivar sourcePort: L{None} where there are no ports.
    @ivar destinationPort: the same.
    @ivar icmpType: L{None} but for ICMP.
    @ivar icmpCode: the same.
    @ivar identifier: an echo's; 0 for other ICMP messages, and L{None} for what is no ICMP.
    """

    version: int
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: int
    sourcePort: int | None = None
    destinationPort: int | None = None
    icmpType: int | None = None
    icmpCode: int | None = None
    identifier: int | None = None


def flowKey(frame: Buffer, at: int = 10) -> bytes | None:
    """
    The key of an ordinary, well-formed packet: TCP, UDP or an echo, no options or extension headers, no fragment, and
    nothing behind it.

    @param frame: holds the packet from C{at} on.
    @return: the key; L{None} for every other packet: L{parse} knows more of it, its key too, or refuses it.
    """
    protocol: bytes
    flow: bytes
    try:
        head = frame[at]
        if head == 0x45:
            total, fragment, protocol, flow = _V4(frame, at)
            # Words of 16 bits are digits to the base 65536, which is 1 modulo 65535: the remainder is the sum of them
            # with its carries added, 0 where the checksum is right.
            if total != len(frame) - at or fragment & 0x3FFF or int.from_bytes(frame[at : at + 20], "big") % 65535:
                return None
            if protocol == _TCP:
                if total < 40:
                    return None
            elif protocol != _UDP or total < 28:
                if protocol == _ICMP and total >= 28 and (flow[8] == 8 or flow[8] == 0):
                    return flow[:10] + bytes(frame[at + 24 : at + 26]) + protocol
                return None
            return flow + protocol
        if head >> 4 == 6:
            payload, protocol, flow = _V6(frame, at)
            if payload + 40 != len(frame) - at or payload > 65495:
                return None
            if protocol == _TCP:
                if payload < 20:
                    return None
            elif protocol != _UDP or payload < 8:
                if protocol == _ICMPV6 and payload >= 8 and (flow[32] == 128 or flow[32] == 129):
                    return flow[:34] + bytes(frame[at + 44 : at + 46]) + protocol
                return None
            return flow + protocol
    except (IndexError, StructError):
        pass
    return None


def parse(frame: Buffer, at: int = 10) -> Packet:
    """
    Read an IP packet's headers, to the ports.

    What lies behind the packet is no part of it, and not to be sent on: where C{len(frame) - at} is more than
    C{totalLength}, go on with C{frame[:at + packet.totalLength]}.

    @param frame: holds the packet from C{at} on. Nothing of it is kept.
    @raise MalformedError: if it is not well-formed or no router should take it; the text says why. Nothing else is
        raised whatever the bytes are.
    """
    if len(frame) <= at:
        raise MalformedError("an IP packet is empty")
    version = frame[at] >> 4
    if version == 4:
        return parseIPv4(frame, at)
    if version == 6:
        return parseIPv6(frame, at)
    raise MalformedError(f"a packet of IP version {version}")


def decrementTTL(buffer: bytearray | memoryview, at: int = 10) -> bool:
    """
    Count one hop: the time to live of an IPv4 packet, with its checksum (RFC 1624), or the hop limit of an IPv6 one.

    @param buffer: holds a packet that L{flowKey} or L{parse} took, from C{at} on, and can be written to.
    @return: L{False} where it would become 0: the packet is not to be forwarded, and nothing was changed.
    """
    if buffer[at] >> 4 == 6:
        limit = buffer[at + 7]
        if limit < 2:
            return False
        buffer[at + 7] = limit - 1
        return True
    ttl = buffer[at + 8]
    if ttl < 2:
        return False
    buffer[at + 8] = ttl - 1
    # One less in the upper half of a word is one more in the upper half of the checksum.
    high = buffer[at + 10]
    if high < 0xFE:
        buffer[at + 10] = high + 1
        return True
    checksum = (high << 8 | buffer[at + 11]) + 0x100
    if checksum >= 0xFFFF:
        checksum -= 0xFFFF
    buffer[at + 10] = checksum >> 8
    buffer[at + 11] = checksum & 0xFF
    return True


def reverseKey(key: bytes) -> bytes:
    """
    The key of the flow that answers: addresses and ports are exchanged, an echo's request becomes its reply. Nothing
    answers other ICMP messages; only their addresses are exchanged.

    @param key: a flow's key.
    @raise ValueError: if it is none.
    """
    size = _addressSize(key)
    source, destination, protocol = key[:size], key[size : 2 * size], key[-1]
    selector = key[2 * size : -1]
    if not selector:
        return destination + source + key[-1:]
    if protocol != (ICMP if size == 4 else ICMPV6):
        return destination + source + selector[2:] + selector[:2] + key[-1:]
    kind = bytes((ECHOES[protocol].get(selector[0], selector[0]),))
    return destination + source + kind + selector[1:] + key[-1:]


def parseKey(key: bytes) -> FlowKey:
    """
    @param key: a flow's key.
    @raise ValueError: if it is none.
    """
    size = _addressSize(key)
    make = IPv4Address if size == 4 else IPv6Address
    version, source, destination = 4 if size == 4 else 6, make(key[:size]), make(key[size : 2 * size])
    protocol, selector = key[-1], key[2 * size : -1]
    if not selector:
        return FlowKey(version, source, destination, protocol)
    if protocol == (ICMP if size == 4 else ICMPV6):
        return FlowKey(
            version,
            source,
            destination,
            protocol,
            icmpType=selector[0],
            icmpCode=selector[1],
            identifier=selector[2] << 8 | selector[3],
        )
    ports = selector[0] << 8 | selector[1], selector[2] << 8 | selector[3]
    return FlowKey(version, source, destination, protocol, *ports)


def _addressSize(key: bytes) -> int:
    """
    The size of an address in a key, in bytes.
    """
    size = len(key)
    if size in (9, 13):
        return 4
    if size in (33, 37):
        return 16
    raise ValueError(f"no flow's key has {size} bytes")
