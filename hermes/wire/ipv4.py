"""
The IPv4 header (RFC 791 section 3.1).
"""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import Struct

from hermes.wire.buffers import Buffer
from hermes.wire.errors import MalformedError
from hermes.wire.ippacket import Packet, checkSpan, upperLayer

_HEADER = Struct(">BBHHHBB2x4s4s")
_SOURCE_ROUTES = frozenset({131, 137})


def parseIPv4(buffer: Buffer, at: int) -> Packet:
    """
    @param buffer: the packet from C{at} on, and whatever may lie behind it.
    @raise MalformedError: if it is not well-formed, or has a source route, which no router may be made to follow (RFC
        7126 section 4.3): it says another destination than the one that was decided about.
    """
    available = len(buffer) - at
    if available < 20:
        raise MalformedError("a packet ends within its IPv4 header")
    head, tos, total, identification, fragment, ttl, protocol, source, destination = _HEADER.unpack_from(buffer, at)
    if head >> 4 != 4:
        raise MalformedError(f"an IPv4 packet says that it is IP version {head >> 4}")
    headerLength = (head & 15) * 4
    if headerLength < 20:
        raise MalformedError(f"an IPv4 header of {headerLength} bytes")
    if total < headerLength:
        raise MalformedError(f"an IPv4 packet of {total} bytes with a header of {headerLength}")
    if total > available:
        raise MalformedError(f"an IPv4 packet of {total} bytes was cut to {available}")
    if int.from_bytes(buffer[at : at + headerLength], "big") % 65535:
        raise MalformedError("the checksum of an IPv4 header is wrong")
    if headerLength > 20:
        for kind, _ in options(buffer[at + 20 : at + headerLength]):
            if kind in _SOURCE_ROUTES:
                raise MalformedError("an IPv4 packet has a source route")
    offset = (fragment & 0x1FFF) * 8
    more = bool(fragment & 0x2000)
    if offset or more:
        checkSpan(offset, more, total - headerLength)
    suffix, ports, icmp = upperLayer(buffer, at + headerLength, at + total, protocol, 4, offset)
    return Packet(
        version=4,
        source=IPv4Address(source),
        destination=IPv4Address(destination),
        protocol=protocol,
        extensions=(),
        sourcePort=ports[0] if ports else None,
        destinationPort=ports[1] if ports else None,
        icmpType=icmp[0] if icmp else None,
        icmpCode=icmp[1] if icmp else None,
        headerLength=headerLength,
        transportOffset=headerLength,
        totalLength=total,
        identification=identification,
        fragmentOffset=offset,
        moreFragments=more,
        dontFragment=bool(fragment & 0x4000),
        ttl=ttl,
        dscp=tos >> 2,
        ecn=tos & 3,
        key=source + destination + suffix,
    )


def options(area: Buffer) -> list[tuple[int, bytes]]:
    """
    @param area: an IPv4 header's options with their padding, at most 40 bytes.
    @return: type and whole of each option, without the end and what pads.
    @raise MalformedError: if one ends behind them, or would never end.
    """
    found: list[tuple[int, bytes]] = []
    at, end = 0, len(area)
    while at < end:
        kind = area[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        length = area[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            raise MalformedError("an IPv4 option does not end within the header")
        found.append((kind, bytes(area[at : at + length])))
        at += length
    return found
