"""
Fragments of IPv4 packets (RFC 791 section 3.2). In IPv6 only who sends a packet makes fragments of it.
"""

from __future__ import annotations

from hermes.wire.buffers import Buffer
from hermes.wire.checksum import checksum
from hermes.wire.ippacket import Packet
from hermes.wire.ipv4 import options, parseIPv4

_COPIED = 0x80


def fragmentIPv4(packet: Buffer, mtu: int, parsed: Packet | None = None) -> list[bytes]:
    """
    Cut a packet into fragments of at most C{mtu} bytes. Options go into every fragment where their type says so, else
    into the first one only. A fragment can be cut once more.

    @param packet: the IP packet, without a frame's head; its transport checksum is complete. Borrowed.
    @param mtu: at least 68, which every link has (RFC 791).
    @param parsed: what L{hermes.wire.ip.parse} said of it, where it did.
    @return: whole IP packets; the packet alone where it fits.
    @raise ValueError: if it is not to be fragmented, no IPv4 packet, or C{mtu} too small.
    @raise MalformedError: if it is not well-formed.
    """
    if mtu < 68:
        raise ValueError(f"no IPv4 link has an MTU of {mtu}")
    if parsed is None:
        parsed = parseIPv4(packet, 0)
    elif parsed.version != 4:
        raise ValueError("an IPv6 packet is not fragmented on its way")
    if parsed.totalLength <= mtu:
        return [bytes(packet[: parsed.totalLength])]
    if parsed.dontFragment:
        raise ValueError("a packet is not to be fragmented")
    first = bytes(packet[: parsed.headerLength])
    copied = b"".join(whole for kind, whole in options(first[20:]) if kind & _COPIED)
    later = first[:20] + copied.ljust(-(-len(copied) // 4) * 4, b"\x00")
    fragments: list[bytes] = []
    at, offset, header = parsed.headerLength, parsed.fragmentOffset, first
    while at < parsed.totalLength:
        room = mtu - len(header)
        left = parsed.totalLength - at
        last = left <= room
        size = left if last else room // 8 * 8
        more = parsed.moreFragments or not last
        fragments.append(_head(header, offset, more, size) + bytes(packet[at : at + size]))
        at += size
        offset += size
        header = later
    return fragments


def _head(header: bytes, offset: int, more: bool, size: int) -> bytes:
    """
    @param header: a header whose other fields are right.
    @param offset: of the fragment, in bytes.
    @param size: of what it carries, in bytes.
    """
    head = bytearray(header)
    head[0] = 0x40 | len(header) // 4
    head[2:4] = (len(header) + size).to_bytes(2, "big")
    head[6:8] = (more << 13 | offset // 8).to_bytes(2, "big")
    head[10:12] = b"\x00\x00"
    head[10:12] = checksum(head).to_bytes(2, "big")
    return bytes(head)
