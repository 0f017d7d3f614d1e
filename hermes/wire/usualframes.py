"""
Frames as a kernel hands nearly all of them over, told from others in a fraction of a microsecond.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from hermes.wire.buffers import Buffer
from hermes.wire.ippacket import TCP, UDP
from hermes.wire.offload import (
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    HEAD_SIZE,
    MAX_DATAGRAMS,
    MAX_SEGMENTS,
    NEEDS_CSUM,
)

# The head of a frame, and the first byte of its packet.
_HEAD = Struct("<BBHHHHB").unpack_from
_SMALLEST: Final = HEAD_SIZE + 28
# From the length on: of IPv4 that, what says fragment, and the protocol; of IPv6 the first and the last.
_IPV4 = Struct(">HxxHxB").unpack_from
_IPV6 = Struct(">HB").unpack_from
_FIELDS = {TCP: 16, UDP: 6}


def isUsual(frame: Buffer) -> bool:
    """
    Whether L{hermes.wire.offload.checkOffload} surely finds nothing wrong with the head of a frame, as long as its
    packet is well-formed: that of TCP or UDP without IP options, extension headers or fragments, whose checksum is to
    be completed, and that may be to be cut. Of the others some are in order too.
    """
    size = len(frame)
    if size < _SMALLEST:
        return False
    flags, kind, headers, segment, start, field, first = _HEAD(frame)
    if start == 20:
        total, fragment, protocol = _IPV4(frame, 12)
        if first != 0x45 or fragment & 0x3FFF:
            return False
        tcpKind = GSO_TCPV4
    elif start == 40 and first >> 4 == 6:
        total, protocol = _IPV6(frame, 14)
        total += 40
        tcpKind = GSO_TCPV6
    else:
        return False
    if (
        flags != NEEDS_CSUM
        or total + HEAD_SIZE != size
        or field != _FIELDS.get(protocol)
        or headers > total
        or total < start + (20 if protocol == TCP else 8)
    ):
        return False
    if not kind:
        return True
    if protocol == TCP:
        transport = (frame[HEAD_SIZE + start + 12] >> 4) * 4
        if kind & ~GSO_ECN != tcpKind or transport < 20 or start + transport > total:
            return False
        return bool(segment and total - start - transport <= segment * MAX_SEGMENTS)
    return bool(kind == GSO_UDP_L4 and segment and total - start - 8 <= segment * MAX_DATAGRAMS)
