"""
What an IP packet says of itself, and the bytes that name its flow.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from attrs import frozen

from hermes.wire.buffers import Buffer
from hermes.wire.errors import MalformedError

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMPV6: Final = 58

MAX_PACKET: Final = 65535
"""
The largest IP packet in bytes that is taken: what IPv4 can say, and what any TUN device carries.
"""

PORTED = {TCP: 20, UDP: 8, 33: 12, 132: 12, 136: 8}
"""
Protocols whose header begins with two ports, and its least size: TCP, UDP, DCCP, SCTP, UDP-Lite.
"""

ECHOES = {
    ICMP: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17},
    ICMPV6: {128: 129, 129: 128},
}
"""
ICMP questions and answers, and which belong together. They carry an identifier, as flows have ports.
"""


@frozen(slots=True)
class Packet:
    """
    A well-formed IP packet's headers. Offsets and lengths are in bytes, from the first byte of the packet.

    @ivar version: 4 or 6.
    @ivar source: as the packet says: whether it may is not looked at.
    @ivar destination: as the packet says.
    @ivar protocol: of the upper layer, behind IPv6's extension headers. In a later fragment what the fragment header
        names, which may be an extension header still.
    @ivar extensions: the numbers of the IPv6 extension headers before it, in order.
    @ivar sourcePort: L{None} where the protocol has no ports, or they are in the first fragment.
    @ivar destinationPort: the same.
    @ivar icmpType: of ICMP in IPv4 and ICMPv6 in IPv6, L{None} elsewhere and in later fragments.
    @ivar icmpCode: the same.
    @ivar headerLength: the IPv4 header with its options; IPv6's 40.
    @ivar transportOffset: where the upper layer's header begins, or a later fragment's payload.
    @ivar totalLength: where the packet ends, and what lies behind is no part of it.
    @ivar identification: of the packet that this is a fragment of; IPv4 has it in every packet, in IPv6 it is 0 where
        there is no fragment header.
    @ivar fragmentOffset: where in the payload of the whole packet this fragment lies.
    @ivar moreFragments: whether others come behind it.
    @ivar dontFragment: always, in IPv6.
    @ivar ttl: time to live or hop limit.
    @ivar dscp: 0 to 63.
    @ivar ecn: 0 to 3.
    @ivar key: names the flow, see L{hermes.wire.ip.flowKey}. Of a later fragment without ports.
    """

    version: int
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: int
    extensions: tuple[int, ...]
    sourcePort: int | None
    destinationPort: int | None
    icmpType: int | None
    icmpCode: int | None
    headerLength: int
    transportOffset: int
    totalLength: int
    identification: int
    fragmentOffset: int
    moreFragments: bool
    dontFragment: bool
    ttl: int
    dscp: int
    ecn: int
    key: bytes

    @property
    def isFragment(self) -> bool:
        """
        Whether it is a part of a packet and not the whole.
        """
        return self.moreFragments or self.fragmentOffset > 0

    @property
    def fragmentKey(self) -> bytes:
        """
        Names the packet of which this is a fragment: all its fragments have the same (RFC 791 section 2.3, RFC 8200
        section 4.5). Never the same as a flow's key.
        """
        # IPv6 knows its fragments without the protocol, which differs where one of them lies (RFC 8200 section 4.5).
        protocol = self.protocol if self.version == 4 else 0
        # Eight bytes, so that it is not as long as any flow's key.
        return (
            self.source.packed + self.destination.packed + self.identification.to_bytes(8, "big") + bytes((protocol,))
        )


def checkSpan(offset: int, more: bool, length: int) -> None:
    """
    @param offset: where the fragment lies, in bytes.
    @param length: of what it carries, in bytes.
    @raise MalformedError: if no packet can have such a fragment.
    """
    if more and (length % 8 or not length):
        raise MalformedError(f"a fragment with more behind it has {length} bytes")
    if offset + length > MAX_PACKET:
        raise MalformedError("a fragment reaches beyond the largest packet")


def upperLayer(
    buffer: Buffer, start: int, end: int, protocol: int, version: int, offset: int
) -> tuple[bytes, tuple[int, int] | None, tuple[int, int] | None]:
    """
    Look at the head of the upper layer.

    @param start: where it begins in C{buffer}.
    @param end: where the packet ends there.
    @param offset: the fragment's, in bytes.
    @return: the part of the flow's key behind the addresses; the ports; type and code of an ICMP message.
    @raise MalformedError: if the packet, or its first fragment, ends within the upper layer's header, or a later
        fragment would replace a part of it (RFC 1858, RFC 3128).
    """
    suffix = bytes((protocol,))
    if offset:
        if protocol == TCP and offset < 16:
            raise MalformedError("a fragment lies within a TCP header")
        return suffix, None, None
    least = PORTED.get(protocol)
    if least is not None:
        if end - start < least:
            raise MalformedError("a packet ends within the header of its transport protocol")
        ports = bytes(buffer[start : start + 4])
        return ports + suffix, (ports[0] << 8 | ports[1], ports[2] << 8 | ports[3]), None
    if protocol == (ICMP if version == 4 else ICMPV6):
        if end - start < 8:
            raise MalformedError("an ICMP message has less than eight bytes")
        message = bytes(buffer[start : start + 6])
        identifier = message[4:6] if message[0] in ECHOES[protocol] else b"\x00\x00"
        return message[:2] + identifier + suffix, None, (message[0], message[1])
    return suffix, None, None
