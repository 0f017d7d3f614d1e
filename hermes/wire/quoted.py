"""
What an ICMP error says of the packet that it answers.
"""

from __future__ import annotations

from attrs import frozen

from hermes.wire.buffers import Buffer
from hermes.wire.checksum import wordSum
from hermes.wire.errors import MalformedError
from hermes.wire.ippacket import PORTED
from hermes.wire.ipv4 import parseIPv4
from hermes.wire.ipv6 import parseIPv6

_PADDING = 40
_ENOUGH = 1280


@frozen(slots=True)
class ICMPError:
    """
    An ICMP or ICMPv6 error.

    @ivar kind: the ICMP type.
    @ivar code: the ICMP code.
    @ivar mtu: in bytes, of ICMP's "fragmentation needed" (0 from routers that don't say it) and ICMPv6's "packet too
        big"; L{None} elsewhere.
    @ivar quoted: as much of the packet that is answered as there is.
    @ivar key: the flow of that packet, as its sender sent it, see L{hermes.wire.ip.flowKey}; L{None} where too little
        is quoted, or what no packet can be.
    """

    kind: int
    code: int
    mtu: int | None
    quoted: bytes
    key: bytes | None


def quotedKey(quoted: Buffer) -> bytes | None:
    """
    The flow of a packet of which only the beginning is there: the IP headers and eight bytes are enough. Neither
    lengths nor the header's checksum need be right: routers on the way have changed them.

    @return: its key, L{None} where there is none.
    """
    # The parser is shown a packet that is long enough.
    whole = bytearray(quoted[:_ENOUGH])
    size = len(whole)
    if size < 20:
        return None
    whole += bytes(_PADDING + -size % 8)
    version = whole[0] >> 4
    try:
        if version == 4:
            header = (whole[0] & 15) * 4
            if not 20 <= header <= size:
                return None
            # A fragment is a multiple of eight bytes.
            del whole[len(whole) - (len(whole) - header) % 8 :]
            whole[2:4] = len(whole).to_bytes(2, "big")
            whole[10:12] = b"\x00\x00"
            whole[10:12] = (-wordSum(whole[:header]) % 65535).to_bytes(2, "big")
            packet = parseIPv4(whole, 0)
        elif version == 6 and size >= 40:
            whole[4:6] = (len(whole) - 40).to_bytes(2, "big")
            packet = parseIPv6(whole, 0)
        else:
            return None
    except MalformedError:
        return None
    if packet.fragmentOffset:
        needed = 0
    elif packet.protocol in PORTED:
        needed = 4
    else:
        needed = 8 if packet.icmpType is not None else 0
    return packet.key if packet.transportOffset + needed <= size else None
