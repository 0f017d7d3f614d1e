"""
ICMP for IPv4 (RFC 792): errors about packets that are not forwarded, and echo.

What is made here are whole IP packets, without a frame's head. They carry precedence 6 (errors; RFC 1812 section
4.3.2.5), and are never fragmented: the errors are of 576 bytes at most.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import Struct
from typing import Final

from hermes.wire.buffers import Buffer
from hermes.wire.checksum import checksum
from hermes.wire.errors import MalformedError
from hermes.wire.ippacket import ICMP, MAX_PACKET, Packet
from hermes.wire.ipv4 import parseIPv4
from hermes.wire.quoted import ICMPError, quotedKey

ECHO_REPLY: Final = 0
DESTINATION_UNREACHABLE: Final = 3
ECHO_REQUEST: Final = 8
TIME_EXCEEDED: Final = 11

NET_UNREACHABLE: Final = 0
HOST_UNREACHABLE: Final = 1
PROTOCOL_UNREACHABLE: Final = 2
PORT_UNREACHABLE: Final = 3
FRAGMENTATION_NEEDED: Final = 4
ADMINISTRATIVELY_PROHIBITED: Final = 13
"""
Codes of "destination unreachable" (RFC 792, RFC 1812 section 5.2.7.1).
"""

MAX_ERROR: Final = 576
"""
The size in bytes that an error stays within, its IP header included (RFC 1812 section 4.3.2.3).
"""

_HEADER = Struct(">BBHHHBBH4s4s")
_DONT_FRAGMENT = 0x4000
_ERRORS = frozenset({3, 4, 5, 11, 12})
# What may be answered: an error never is, and of a type that we don't know nobody can say whether it is one.
_QUESTIONS = frozenset({0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43})
_BROADCAST = IPv4Address("255.255.255.255")


def mayAnswer(packet: Packet) -> bool:
    """
    Whether an error may be sent about C{packet}: not about an ICMP error, a later fragment, what went to a multicast
    or broadcast address, or came from what is no single host (RFC 1122 section 3.2.2). A network's own broadcast
    address is for the caller to know.
    """
    source, destination = packet.source, packet.destination
    if packet.fragmentOffset or destination.is_multicast or destination == _BROADCAST:
        return False
    # 0/8, 127/8, and from 224/4 on multicast, the reserved, and broadcast.
    first = source.packed[0]
    if first in (0, 127) or first >= 224:
        return False
    return packet.icmpType is None or packet.icmpType in _QUESTIONS


def destinationUnreachable(packet: Buffer, source: IPv4Address, code: int) -> bytes:
    """
    @param packet: the IP packet that is not forwarded, as it was received; its beginning is quoted.
    @param source: our address that the error comes from.
    @param code: L{HOST_UNREACHABLE} and the others.
    @return: the IP packet to send.
    """
    return _error(packet, source, DESTINATION_UNREACHABLE, code, bytes(4))


def fragmentationNeeded(packet: Buffer, source: IPv4Address, mtu: int) -> bytes:
    """
    The packet may not be fragmented, and is larger than C{mtu} bytes (RFC 1191 section 4).
    """
    return _error(packet, source, DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, bytes(2) + mtu.to_bytes(2, "big"))


def timeExceeded(packet: Buffer, source: IPv4Address) -> bytes:
    """
    The packet's time to live has come to its end.
    """
    return _error(packet, source, TIME_EXCEEDED, 0, bytes(4))


def echoRequest(
    source: IPv4Address, destination: IPv4Address, identifier: int, sequence: int, payload: Buffer = b"", ttl: int = 64
) -> bytes:
    """
    @param identifier: which sender of echoes it is, 16 bits.
    @param sequence: which of its echoes, 16 bits.
    @return: the IP packet to send.
    @raise ValueError: if the payload has more than 65,507 bytes.
    """
    rest = identifier.to_bytes(2, "big") + sequence.to_bytes(2, "big")
    return _packet(source, destination, 0, ttl, ECHO_REQUEST, 0, rest, payload)


def echoReply(packet: Buffer, source: IPv4Address | None = None) -> bytes:
    """
    @param packet: an IP packet, whole, with an echo request.
    @param source: our address; L{None} is the one that was asked.
    @return: the IP packet that answers it.
    @raise MalformedError: if it is not well-formed, no echo request, or its checksum is wrong.
    """
    request = parseIPv4(packet, 0)
    message = bytes(packet[request.transportOffset : request.totalLength])
    if request.protocol != ICMP or request.isFragment or message[:2] != bytes((ECHO_REQUEST, 0)):
        raise MalformedError("a packet is no echo request")
    if checksum(message):
        raise MalformedError("the checksum of an echo request is wrong")
    answering = IPv4Address(request.destination) if source is None else source
    tos = request.dscp << 2
    return _packet(answering, IPv4Address(request.source), tos, 64, ECHO_REPLY, 0, message[4:8], message[8:])


def parseError(frame: Buffer, packet: Packet, at: int = 10) -> ICMPError | None:
    """
    Read an ICMP error.

    @param frame: holds the packet from C{at} on.
    @param packet: what L{hermes.wire.ip.parse} said of it.
    @return: the error; L{None} where the packet is something else.
    @raise MalformedError: if its checksum is wrong.
    """
    if packet.version != 4 or packet.icmpType not in _ERRORS or packet.isFragment:
        return None
    message = bytes(frame[at + packet.transportOffset : at + packet.totalLength])
    if checksum(message):
        raise MalformedError("the checksum of an ICMP error is wrong")
    quoted = message[8:]
    # Something may be added behind what is quoted: then its length is told, in words of four bytes (RFC 4884).
    if message[0] in (3, 11, 12) and message[5]:
        quoted = quoted[: message[5] * 4]
    tooBig = (message[0], message[1]) == (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED)
    mtu = int.from_bytes(message[6:8], "big") if tooBig else None
    return ICMPError(message[0], message[1], mtu, quoted, quotedKey(quoted))


def _error(packet: Buffer, source: IPv4Address, kind: int, code: int, rest: bytes) -> bytes:
    """
    An error about C{packet}, which is sent to where it came from.
    """
    if len(packet) < 20:
        raise ValueError("an error quotes a whole IPv4 header at least")
    return _packet(source, IPv4Address(bytes(packet[12:16])), 0xC0, 64, kind, code, rest, packet[: MAX_ERROR - 28])


def _packet(
    source: IPv4Address, destination: IPv4Address, tos: int, ttl: int, kind: int, code: int, rest: bytes, body: Buffer
) -> bytes:
    """
    An IP packet with an ICMP message.

    @param rest: the four bytes behind the checksum.
    """
    total = 28 + len(body)
    if total > MAX_PACKET:
        raise ValueError(f"an ICMP message of {len(body)} bytes is too large for a packet")
    message = bytearray(b"".join((bytes((kind, code, 0, 0)), rest, body)))
    message[2:4] = checksum(message).to_bytes(2, "big")
    fields = 0x45, tos, total, 0, _DONT_FRAGMENT, ttl, ICMP
    header = _HEADER.pack(*fields, 0, source.packed, destination.packed)
    return _HEADER.pack(*fields, checksum(header), source.packed, destination.packed) + message
