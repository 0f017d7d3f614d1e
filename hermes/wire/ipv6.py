"""
The IPv6 header and its extensions (RFC 8200 sections 3 and 4).
"""

from __future__ import annotations

from ipaddress import IPv6Address
from struct import Struct
from typing import Final

from hermes.wire.buffers import Buffer
from hermes.wire.errors import MalformedError
from hermes.wire.ippacket import MAX_PACKET, Packet, checkSpan, upperLayer

HOP_BY_HOP: Final = 0
ROUTING: Final = 43
FRAGMENT: Final = 44
AUTHENTICATION: Final = 51
DESTINATION_OPTIONS: Final = 60

# Behind these comes another header that any host reads. ESP hides what follows; mobility, HIP and shim6 headers are
# taken for the upper layer, as no host looks for one behind them.
EXTENSIONS = frozenset({HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS})

MAX_EXTENSIONS: Final = 8
"""
How many extension headers a packet may have. RFC 8200 names six in the order that it recommends.
"""

MAX_OPTIONS: Final = 32
"""
How many options, padding among them, an extension header may have. RFC 8504 section 5.3 lets a host take eight.
"""

_HEADER = Struct(">IHBB16s16s")
_JUMBO = 0xC2


def parseIPv6(buffer: Buffer, at: int) -> Packet:
    """
    @param buffer: the packet from C{at} on, and whatever may lie behind it.
    @raise MalformedError: if it is not well-formed; if it is a jumbogram (RFC 2675); if it has more extension headers
        or options than anybody needs, or a routing header of type 0 that still points elsewhere (RFC 5095).
    """
    available = len(buffer) - at
    if available < 40:
        raise MalformedError("a packet ends within its IPv6 header")
    word, payload, following, ttl, source, destination = _HEADER.unpack_from(buffer, at)
    if word >> 28 != 6:
        raise MalformedError(f"an IPv6 packet says that it is IP version {word >> 28}")
    total = payload + 40
    if total > MAX_PACKET:
        raise MalformedError(f"an IPv6 packet of {total} bytes")
    if total > available:
        raise MalformedError(f"an IPv6 packet of {total} bytes was cut to {available}")
    end = at + total
    extensions: list[int] = []
    position = at + 40
    offset = identification = 0
    more = False
    while following in EXTENSIONS and not offset:
        if len(extensions) == MAX_EXTENSIONS:
            raise MalformedError(f"an IPv6 packet has more than {MAX_EXTENSIONS} extension headers")
        if position + 8 > end:
            raise MalformedError("an IPv6 packet ends within an extension header")
        size = _sizeOf(buffer, position, end, following)
        if following == HOP_BY_HOP and extensions:
            raise MalformedError("a hop-by-hop header is not the first of an IPv6 packet")
        if following == FRAGMENT:
            if FRAGMENT in extensions:
                raise MalformedError("an IPv6 packet has two fragment headers")
            fragment = buffer[position + 2] << 8 | buffer[position + 3]
            offset, more = fragment & 0xFFF8, bool(fragment & 1)
            identification = int.from_bytes(buffer[position + 4 : position + 8], "big")
            # What the fragment header stands before is the fragment, extension headers included.
            checkSpan(offset, more, end - position - 8)
        elif following == ROUTING:
            if buffer[position + 2] == 0 and buffer[position + 3]:
                raise MalformedError("an IPv6 packet has a source route")
        elif following != AUTHENTICATION:
            _checkOptions(buffer, position + 2, position + size)
        extensions.append(following)
        following = buffer[position]
        position += size
    suffix, ports, icmp = upperLayer(buffer, position, end, following, 6, offset)
    return Packet(
        version=6,
        source=IPv6Address(source),
        destination=IPv6Address(destination),
        protocol=following,
        extensions=tuple(extensions),
        sourcePort=ports[0] if ports else None,
        destinationPort=ports[1] if ports else None,
        icmpType=icmp[0] if icmp else None,
        icmpCode=icmp[1] if icmp else None,
        headerLength=40,
        transportOffset=position - at,
        totalLength=total,
        identification=identification,
        fragmentOffset=offset,
        moreFragments=more,
        dontFragment=True,
        ttl=ttl,
        dscp=word >> 22 & 63,
        ecn=word >> 20 & 3,
        key=source + destination + suffix,
    )


def _sizeOf(buffer: Buffer, position: int, end: int, kind: int) -> int:
    """
    The size of the extension header at C{position} in bytes.
    """
    length = buffer[position + 1]
    if kind == FRAGMENT:
        return 8
    if kind == AUTHENTICATION:
        # In units of four, and of eight altogether in IPv6 (RFC 4302 section 2.2).
        size = (length + 2) * 4
        if size < 12 or size % 8:
            raise MalformedError(f"an authentication header of {size} bytes")
    else:
        size = (length + 1) * 8
    if position + size > end:
        raise MalformedError("an IPv6 packet ends within an extension header")
    return size


def _checkOptions(buffer: Buffer, at: int, end: int) -> None:
    """
    Go through the options of a hop-by-hop or destination options header (RFC 8200 section 4.2).
    """
    count = 0
    while at < end:
        count += 1
        if count > MAX_OPTIONS:
            raise MalformedError(f"an IPv6 extension header has more than {MAX_OPTIONS} options")
        kind = buffer[at]
        if kind == 0:
            at += 1
            continue
        if kind == _JUMBO:
            raise MalformedError("an IPv6 packet is a jumbogram")
        if at + 2 > end:
            raise MalformedError("an IPv6 option does not end within its header")
        at += 2 + buffer[at + 1]
        if at > end:
            raise MalformedError("an IPv6 option does not end within its header")
