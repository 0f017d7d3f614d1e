"""
What a forwarder reads of Data, without decoding the rest.

The hot path of everything: types and lengths of one byte are spelt out, the rest goes to L{hermes.ndn.packet.tlv}.
"""

from __future__ import annotations

from hashlib import sha256

from hermes.ndn.packet.component import PARAMETERS_DIGEST
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.metainfo import readMetaInfo
from hermes.ndn.packet.name import componentEnds, openPacket
from hermes.ndn.packet.tlv import passOver, readHead
from hermes.ndn.packet.typenumbers import (
    CONTENT,
    DATA,
    MAX_PACKET_SIZE,
    META_INFO,
    NAME,
    SIGNATURE_INFO,
    SIGNATURE_VALUE,
)
from hermes.values import Buffer


class DataView:
    """
    Data as a forwarder sees it.

    @ivar wire: the whole packet.
    @ivar name: the value of its name: the components' TLV elements.
    @ivar ends: where in C{name} each component ends.
    @ivar freshness: FreshnessPeriod, in milliseconds; 0 where it has none: then it is never fresh.
    @ivar finalBlock: FinalBlockId: a name component, or L{None}.
    @ivar contentType: ContentType; 0 is a blob.
    """

    __slots__ = ("_digest", "contentType", "ends", "finalBlock", "freshness", "name", "wire")

    wire: bytes
    name: bytes
    ends: tuple[int, ...]
    freshness: int
    finalBlock: bytes | None
    contentType: int
    _digest: bytes | None

    def digest(self) -> bytes:
        """
        The implicit digest: SHA-256 of the whole packet, 32 bytes. It is computed once.
        """
        digest = self._digest
        if digest is None:
            digest = self._digest = sha256(self.wire).digest()
        return digest

    def content(self) -> memoryview:
        """
        The value of its Content, a slice of C{wire}; empty where it has none. It is looked for each time.
        """
        wire = self.wire
        size = len(wire)
        position = readHead(wire, 0, size)[1]
        while position < size:
            kind, start, position = readHead(wire, position, size)
            if kind == CONTENT:
                return memoryview(wire)[start:position]
            if kind == SIGNATURE_INFO:
                break
        return memoryview(wire)[size:]

    def __repr__(self) -> str:
        return f"<DataView {self.name!r}>"


def peekData(wire: Buffer) -> DataView:
    """
    Read Data. That it has a signature is seen; the signature is not looked at.

    @param wire: the whole packet, copied unless it is L{bytes}.
    @raise PacketError: if it is malformed.
    """
    if wire.__class__ is not bytes:
        wire = bytes(wire)
    size = len(wire)
    nameStart = 0
    try:
        # A length of three bytes, a name of less than 253.
        if wire[1] == 253 and wire[0] == DATA and wire[4] == NAME and 256 < size <= MAX_PACKET_SIZE:
            length = wire[5]
            nameEnd = 6 + length
            if length < 253 and nameEnd <= size and (wire[2] << 8 | wire[3]) + 4 == size:
                nameStart = 6
    except IndexError:
        pass
    if not nameStart:
        nameStart, nameEnd = openPacket(wire, DATA, "Data")

    ends = []
    position = nameStart
    try:
        while position < nameEnd:
            kind = wire[position]
            length = wire[position + 1]
            if length > 252 or kind > 252 or kind <= PARAMETERS_DIGEST:
                raise IndexError
            position += 2 + length
            ends.append(position - nameStart)
        if position != nameEnd:
            raise IndexError
    except IndexError:
        ends = componentEnds(wire, nameStart, nameEnd)

    view = DataView.__new__(DataView)
    view.wire = wire
    view.name = wire[nameStart:nameEnd]
    view.ends = tuple(ends)
    view._digest = None
    said: tuple[int, int, bytes | None] = (0, 0, None)
    place = 0
    position = nameEnd
    while position < size:
        begin = position
        kind, start, position = wire[begin], begin + 2, 0
        if kind < 253 and start <= size:
            length = wire[begin + 1]
            if length < 253:
                position = start + length
            elif length == 253 and begin + 4 <= size:
                length = wire[start] << 8 | wire[start + 1]
                if length > 252:
                    start += 2
                    position = start + length
        if not position or position > size or not kind:
            kind, start, position = readHead(wire, begin, size)
        # Their order is that of their types.
        if kind < META_INFO or kind > SIGNATURE_VALUE or kind <= place:
            passOver(kind, "Data")
            continue
        if kind == META_INFO:
            said = _metaInfos[wire[start:position]]
        elif kind == SIGNATURE_VALUE and place != SIGNATURE_INFO:
            break
        place = kind
    if place != SIGNATURE_VALUE:
        raise PacketError("the Data is not signed: it has no SignatureInfo, or no SignatureValue")
    view.contentType, view.freshness, view.finalBlock = said
    return view


class _MetaInfos(dict[bytes, tuple[int, int, bytes | None]]):
    """
    What MetaInfos say, by their value: all segments of an object have the same. Bounded: begun anew when it is full.
    """

    def __missing__(self, value: bytes) -> tuple[int, int, bytes | None]:
        said = readMetaInfo(value, 0, len(value))
        if len(value) <= _KEPT_SIZE:
            if len(self) >= _KEPT_META_INFOS:
                self.clear()
            self[value] = said
        return said


_KEPT_META_INFOS = 256
_KEPT_SIZE = 64
_metaInfos = _MetaInfos()
