"""
ICMPv6 (RFC 4443): errors about packets that are not forwarded, and echo.

What is made here are whole IP packets, without a frame's head. Errors are of 1280 bytes at most, which every link
carries.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from struct import Struct
from typing import Final

from hermes.wire.buffers import Buffer
from hermes.wire.checksum import checksum, pseudoSum
from hermes.wire.errors import MalformedError
from hermes.wire.ippacket import ICMPV6, MAX_PACKET, Packet
from hermes.wire.ipv6 import EXTENSIONS, parseIPv6
from hermes.wire.quoted import ICMPError, quotedKey

DESTINATION_UNREACHABLE: Final = 1
PACKET_TOO_BIG: Final = 2
TIME_EXCEEDED: Final = 3
ECHO_REQUEST: Final = 128
ECHO_REPLY: Final = 129

NO_ROUTE: Final = 0
ADMINISTRATIVELY_PROHIBITED: Final = 1
ADDRESS_UNREACHABLE: Final = 3
PORT_UNREACHABLE: Final = 4
SOURCE_REFUSED: Final = 5
"""
Codes of "destination unreachable" (RFC 4443 section 3.1). The last: no packet may come from this source here.
"""

MAX_ERROR: Final = 1280
"""
The size in bytes that an error stays within, its IP header included (RFC 4443 section 2.4 (c)).
"""

_HEADER = Struct(">IHBB16s16s")
_REDIRECT = 137


def mayAnswer(packet: Packet, tooBig: bool = False) -> bool:
    """
    Whether an error may be sent about C{packet}: not about an ICMPv6 error or redirect, what went to a multicast
    address, or came from what is no single host (RFC 4443 section 2.4 (e)). A later fragment may be answered, unless it
    may be one of an ICMPv6 message.

    @param tooBig: whether the error is "packet too big", which is sent for multicast too.
    """
    source = packet.source
    if packet.destination.is_multicast and not tooBig:
        return False
    if source.is_unspecified or source.is_multicast or source.is_loopback:
        return False
    if packet.fragmentOffset:
        return packet.protocol != ICMPV6 and packet.protocol not in EXTENSIONS
    return packet.icmpType is None or (packet.icmpType >= 128 and packet.icmpType != _REDIRECT)


def destinationUnreachable(packet: Buffer, source: IPv6Address, code: int) -> bytes:
    """
    @param packet: the IP packet that is not forwarded, as it was received; its beginning is quoted.
    @param source: our address that the error comes from.
    @param code: L{NO_ROUTE} and the others.
    @return: the IP packet to send.
    """
    return _error(packet, source, DESTINATION_UNREACHABLE, code, bytes(4))


def packetTooBig(packet: Buffer, source: IPv6Address, mtu: int) -> bytes:
    """
    The packet is larger than C{mtu} bytes.
    """
    return _error(packet, source, PACKET_TOO_BIG, 0, mtu.to_bytes(4, "big"))


def timeExceeded(packet: Buffer, source: IPv6Address) -> bytes:
    """
    The packet's hop limit has come to its end.
    """
    return _error(packet, source, TIME_EXCEEDED, 0, bytes(4))


def echoRequest(
    source: IPv6Address, destination: IPv6Address, identifier: int, sequence: int, payload: Buffer = b"", ttl: int = 64
) -> bytes:
    """
    @param identifier: which sender of echoes it is, 16 bits.
    @param sequence: which of its echoes, 16 bits.
    @return: the IP packet to send.
    @raise ValueError: if the payload has more than 65,487 bytes.
    """
    rest = identifier.to_bytes(2, "big") + sequence.to_bytes(2, "big")
    return _packet(source, destination, 0, ttl, ECHO_REQUEST, 0, rest, payload)


def echoReply(packet: Buffer, source: IPv6Address | None = None) -> bytes:
    """
    @param packet: an IP packet, whole, with an echo request.
    @param source: our address, of which a request to a multicast address says nothing; L{None} is the one that was
        asked.
    @return: the IP packet that answers it.
    @raise MalformedError: if it is not well-formed, no echo request, or its checksum is wrong.
    """
    request = parseIPv6(packet, 0)
    message = bytes(packet[request.transportOffset : request.totalLength])
    if request.protocol != ICMPV6 or request.isFragment or message[:2] != bytes((ECHO_REQUEST, 0)):
        raise MalformedError("a packet is no echo request")
    _verify(message, request)
    answering = IPv6Address(request.destination) if source is None else source
    return _packet(
        answering, IPv6Address(request.source), request.dscp << 2, 64, ECHO_REPLY, 0, message[4:8], message[8:]
    )


def parseError(frame: Buffer, packet: Packet, at: int = 10) -> ICMPError | None:
    """
    Read an ICMPv6 error.

    @param frame: holds the packet from C{at} on.
    @param packet: what L{hermes.wire.ip.parse} said of it.
    @return: the error; L{None} where the packet is something else.
    @raise MalformedError: if its checksum is wrong.
    """
    if packet.version != 6 or packet.icmpType is None or packet.icmpType >= 128 or packet.isFragment:
        return None
    message = bytes(frame[at + packet.transportOffset : at + packet.totalLength])
    _verify(message, packet)
    quoted = message[8:]
    # Something may be added behind what is quoted: then its length is told, in words of eight bytes (RFC 4884).
    if message[0] in (1, 3) and message[4]:
        quoted = quoted[: message[4] * 8]
    mtu = int.from_bytes(message[4:8], "big") if message[0] == PACKET_TOO_BIG else None
    return ICMPError(message[0], message[1], mtu, quoted, quotedKey(quoted))


def _verify(message: bytes, packet: Packet) -> None:
    """
    @raise MalformedError: if the checksum is wrong.
    """
    if checksum(message, pseudoSum(packet.source.packed, packet.destination.packed, ICMPV6, len(message))):
        raise MalformedError("the checksum of an ICMPv6 message is wrong")


def _error(packet: Buffer, source: IPv6Address, kind: int, code: int, rest: bytes) -> bytes:
    """
    An error about C{packet}, which is sent to where it came from.
    """
    if len(packet) < 40:
        raise ValueError("an error quotes a whole IPv6 header at least")
    return _packet(source, IPv6Address(bytes(packet[8:24])), 0, 64, kind, code, rest, packet[: MAX_ERROR - 48])


def _packet(
    source: IPv6Address,
    destination: IPv6Address,
    trafficClass: int,
    ttl: int,
    kind: int,
    code: int,
    rest: bytes,
    body: Buffer,
) -> bytes:
    """
    An IP packet with an ICMPv6 message.

    @param rest: the four bytes behind the checksum.
    """
    length = 8 + len(body)
    if 40 + length > MAX_PACKET:
        raise ValueError(f"an ICMPv6 message of {len(body)} bytes is too large for a packet")
    message = bytearray(b"".join((bytes((kind, code, 0, 0)), rest, body)))
    pseudo = pseudoSum(source.packed, destination.packed, ICMPV6, length)
    message[2:4] = checksum(message, pseudo).to_bytes(2, "big")
    header = _HEADER.pack(6 << 28 | trafficClass << 20, length, ICMPV6, ttl, source.packed, destination.packed)
    return header + message
