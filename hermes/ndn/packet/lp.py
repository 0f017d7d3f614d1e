"""
NDNLPv2, the link protocol: an LpPacket carries an Interest or Data, or a fragment of one, with what two neighbours have
to say about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.tlv import elements, encodeElement, encodeInteger, encodeNumber, readHead, readNonNegative
from hermes.ndn.packet.typenumbers import DATA, INTEREST
from hermes.values import Buffer

LP_PACKET: Final = 0x64
FRAGMENT: Final = 0x50
SEQUENCE: Final = 0x51
FRAG_INDEX: Final = 0x52
FRAG_COUNT: Final = 0x53
PIT_TOKEN: Final = 0x62
NACK: Final = 0x0320
NACK_REASON: Final = 0x0321
INCOMING_FACE: Final = 0x032C
NEXT_HOP_FACE: Final = 0x0330
CACHE_POLICY: Final = 0x0334
CACHE_POLICY_TYPE: Final = 0x0335
CONGESTION_MARK: Final = 0x0340
ACK: Final = 0x0344
TX_SEQUENCE: Final = 0x0348
NON_DISCOVERY: Final = 0x034C
PREFIX_ANNOUNCEMENT: Final = 0x0350

NACK_NONE: Final = 0
NACK_CONGESTION: Final = 50
NACK_DUPLICATE: Final = 100
NACK_NO_ROUTE: Final = 150
"""
NackReason.
"""

NACK_TEXTS: Final = {
    NACK_NONE: "no reason given",
    NACK_CONGESTION: "congestion",
    NACK_DUPLICATE: "duplicate",
    NACK_NO_ROUTE: "no route",
}

NO_CACHE: Final = 1
"""
CachePolicyType: the Data should not be kept.
"""

MAX_PIT_TOKEN: Final = 32

# Unknown fields in this range whose two lowest bits are zero are ignored.
_IGNORED_MIN, _IGNORED_MAX = 800, 959

_SEQUENCE_HEAD = encodeNumber(SEQUENCE) + b"\x08"
_ACK_HEAD = encodeNumber(ACK) + b"\x08"
_TX_SEQUENCE_HEAD = encodeNumber(TX_SEQUENCE) + b"\x08"
_NON_DISCOVERY = encodeElement(NON_DISCOVERY, b"")


class LpPacket:
    """
    What an LpPacket says. L{None}, 0, an empty tuple or L{False} where it says nothing of a thing.

    @ivar fragment: a network packet or a fragment of one; L{None} for an IDLE packet, which has header fields only.
    @ivar sequence: the number of this fragment, modulo 2^64.
    @ivar fragIndex: which fragment of the packet it is, from 0.
    @ivar fragCount: how many there are; 1 where it is no fragment.
    @ivar nackReason: L{None} where it is no Nack; 0 where it gives no reason.
    @ivar pitToken: 1 to 32 bytes.
    @ivar congestionMark: 0 where there is none.
    @ivar incomingFace: the face that the packet came in by.
    @ivar nextHopFace: the face that the Interest is to leave by.
    @ivar cachePolicy: CachePolicyType: L{NO_CACHE}.
    @ivar acks: the C{txSequence} of each packet that arrived.
    @ivar txSequence: the number that the peer is to acknowledge.
    @ivar nonDiscovery: the Interest is not one of a self-learning strategy's discovery.
    @ivar prefixAnnouncement: a Data packet: a prefix announcement.
    """

    __slots__ = (
        "acks",
        "cachePolicy",
        "congestionMark",
        "fragCount",
        "fragIndex",
        "fragment",
        "incomingFace",
        "nackReason",
        "nextHopFace",
        "nonDiscovery",
        "pitToken",
        "prefixAnnouncement",
        "sequence",
        "txSequence",
    )

    def __init__(self, fragment: bytes | None) -> None:
        self.fragment = fragment
        self.sequence: int | None = None
        self.fragIndex = 0
        self.fragCount = 1
        self.nackReason: int | None = None
        self.pitToken: bytes | None = None
        self.congestionMark = 0
        self.incomingFace: int | None = None
        self.nextHopFace: int | None = None
        self.cachePolicy: int | None = None
        self.acks: tuple[int, ...] = ()
        self.txSequence: int | None = None
        self.nonDiscovery = False
        self.prefixAnnouncement: bytes | None = None


def decode(wire: Buffer) -> LpPacket:
    """
    Read what arrived from a link: an LpPacket, or a bare Interest or Data, which counts as one with itself as fragment.

    The fragment is not looked into. Header fields may come in any order, as some implementations write them; the
    fragment comes last.

    @param wire: the whole packet, copied unless it is L{bytes}.
    @raise PacketError: if it is malformed, or has an unknown field that may not be ignored. The link is none the worse
        for it.
    """
    if wire.__class__ is not bytes:
        wire = bytes(wire)
    size = len(wire)
    kind, start, stop = readHead(wire, 0, size)
    if stop != size:
        raise PacketError(f"{size - stop} bytes follow a packet")
    if kind in (INTEREST, DATA):
        return LpPacket(wire)
    if kind != LP_PACKET:
        raise PacketError(f"an element of type {kind:#x} is no packet")
    packet = LpPacket(None)
    seen = set()
    position = start
    while position < size:
        kind, start, position = readHead(wire, position, size)
        if kind == FRAGMENT:
            if position != size:
                raise PacketError("a field follows the fragment")
            packet.fragment = wire[start:position]
            break
        if kind == ACK:
            packet.acks += (_sequence(wire, start, position),)
            continue
        if kind in seen:
            raise PacketError(f"the field {kind:#x} comes twice")
        seen.add(kind)
        reader = _READERS.get(kind)
        if reader is not None:
            reader(packet, wire, start, position)
        elif not _IGNORED_MIN <= kind <= _IGNORED_MAX or kind & 3:
            raise PacketError(f"the link protocol knows no field {kind:#x}")
    if packet.fragIndex >= packet.fragCount:
        raise PacketError(f"fragment {packet.fragIndex} of {packet.fragCount}")
    if packet.fragCount > 1 and packet.sequence is None:
        raise PacketError("a fragment has no sequence number")
    if packet.nackReason is not None and packet.fragment is None:
        raise PacketError("a Nack has no Interest")
    return packet


def encode(
    fragment: Buffer | None,
    sequence: int | None = None,
    fragIndex: int = 0,
    fragCount: int = 1,
    nackReason: int | None = None,
    pitToken: bytes | None = None,
    congestionMark: int = 0,
    incomingFace: int | None = None,
    nextHopFace: int | None = None,
    cachePolicy: int | None = None,
    acks: Sequence[int] = (),
    txSequence: int | None = None,
    nonDiscovery: bool = False,
    prefixAnnouncement: bytes | None = None,
) -> bytes:
    """
    Write a packet for a link: an LpPacket, or the bare C{fragment} where there is nothing to say about it. See
    L{LpPacket} for the fields.

    @raise ValueError: if a number has no encoding, or the token not 1 to 32 bytes.
    """
    fields: list[Buffer] = []
    if sequence is not None:
        fields += (_SEQUENCE_HEAD, sequence.to_bytes(8, "big"))
    if fragCount != 1:
        fields += (encodeInteger(FRAG_INDEX, fragIndex), encodeInteger(FRAG_COUNT, fragCount))
    if pitToken is not None:
        size = len(pitToken)
        if not 0 < size <= MAX_PIT_TOKEN:
            raise ValueError(f"a PIT token has 1 to {MAX_PIT_TOKEN} bytes, not {size}")
        fields.append(b"\x62%c%b" % (size, pitToken))
    if nackReason is not None:
        # The reason 0 could be left out; some take what has none for an Interest.
        fields.append(encodeElement(NACK, encodeInteger(NACK_REASON, nackReason)))
    if incomingFace is not None:
        fields.append(encodeInteger(INCOMING_FACE, incomingFace))
    if nextHopFace is not None:
        fields.append(encodeInteger(NEXT_HOP_FACE, nextHopFace))
    if cachePolicy is not None:
        fields.append(encodeElement(CACHE_POLICY, encodeInteger(CACHE_POLICY_TYPE, cachePolicy)))
    if congestionMark:
        fields.append(encodeInteger(CONGESTION_MARK, congestionMark))
    for ack in acks:
        fields += (_ACK_HEAD, ack.to_bytes(8, "big"))
    if txSequence is not None:
        fields += (_TX_SEQUENCE_HEAD, txSequence.to_bytes(8, "big"))
    if nonDiscovery:
        fields.append(_NON_DISCOVERY)
    if prefixAnnouncement is not None:
        fields.append(encodeElement(PREFIX_ANNOUNCEMENT, prefixAnnouncement))
    if fragment is not None:
        if not fields and fragment[0] != LP_PACKET:
            return bytes(fragment)
        fields += (b"\x50", encodeNumber(len(fragment)), fragment)
    value = b"".join(fields)
    return b"".join((b"\x64", encodeNumber(len(value)), value))


def _sequence(wire: bytes, start: int, stop: int) -> int:
    if stop - start != 8:
        raise PacketError(f"a sequence number has 8 bytes, not {stop - start}")
    return int.from_bytes(wire[start:stop], "big")


def _readSequence(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.sequence = _sequence(wire, start, stop)


def _readFragIndex(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.fragIndex = readNonNegative(wire, start, stop)


def _readFragCount(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.fragCount = readNonNegative(wire, start, stop)


def _readPitToken(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    if not 0 < stop - start <= MAX_PIT_TOKEN:
        raise PacketError(f"a PIT token has 1 to {MAX_PIT_TOKEN} bytes, not {stop - start}")
    packet.pitToken = wire[start:stop]


def _readNack(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.nackReason = _inner(wire, start, stop, NACK_REASON) or NACK_NONE


def _readIncomingFace(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.incomingFace = readNonNegative(wire, start, stop)


def _readNextHopFace(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.nextHopFace = readNonNegative(wire, start, stop)


def _readCachePolicy(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.cachePolicy = _inner(wire, start, stop, CACHE_POLICY_TYPE)
    if packet.cachePolicy is None:
        raise PacketError("a CachePolicy has no type")


def _readCongestionMark(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.congestionMark = readNonNegative(wire, start, stop)


def _readTxSequence(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.txSequence = _sequence(wire, start, stop)


def _readNonDiscovery(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    if start != stop:
        raise PacketError("NonDiscovery is empty")
    packet.nonDiscovery = True


def _readPrefixAnnouncement(packet: LpPacket, wire: bytes, start: int, stop: int) -> None:
    packet.prefixAnnouncement = wire[start:stop]


def _inner(wire: bytes, start: int, stop: int, wanted: int) -> int | None:
    """
    The number in the element of type C{wanted} within a field; others are ignored.
    """
    found = None
    for kind, begin, end in elements(wire, start, stop):
        if kind == wanted and found is None:
            found = readNonNegative(wire, begin, end)
    return found


_READERS = {
    SEQUENCE: _readSequence,
    FRAG_INDEX: _readFragIndex,
    FRAG_COUNT: _readFragCount,
    PIT_TOKEN: _readPitToken,
    NACK: _readNack,
    INCOMING_FACE: _readIncomingFace,
    NEXT_HOP_FACE: _readNextHopFace,
    CACHE_POLICY: _readCachePolicy,
    CONGESTION_MARK: _readCongestionMark,
    TX_SEQUENCE: _readTxSequence,
    NON_DISCOVERY: _readNonDiscovery,
    PREFIX_ANNOUNCEMENT: _readPrefixAnnouncement,
}
