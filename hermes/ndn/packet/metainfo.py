"""
MetaInfo: what a Data says of itself (packet format v0.3, section "MetaInfo").
"""

from __future__ import annotations

from attrs import frozen

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import componentEnds
from hermes.ndn.packet.tlv import elements, encodeElement, encodeInteger, passOver, readNonNegative
from hermes.ndn.packet.typenumbers import (
    CONTENT_BLOB,
    CONTENT_TYPE,
    FINAL_BLOCK_ID,
    FRESHNESS_PERIOD,
    META_INFO,
)


@frozen
class MetaInfo:
    """
    @ivar contentType: what the Content is: C{CONTENT_BLOB} and others in L{hermes.ndn.packet.typenumbers}.
    @ivar freshness: for how long a forwarder takes it for fresh, in milliseconds; 0 is never.
    @ivar finalBlock: the last component of the name of the last segment, or L{None}.
    """

    contentType: int = CONTENT_BLOB
    freshness: int = 0
    finalBlock: bytes | None = None

    def encode(self) -> bytes:
        """
        The element; no bytes at all where there is nothing to say.

        @raise ValueError: if a number is negative or too large.
        """
        value = b""
        if self.contentType:
            value = encodeInteger(CONTENT_TYPE, self.contentType)
        if self.freshness:
            value += encodeInteger(FRESHNESS_PERIOD, self.freshness)
        if self.finalBlock is not None:
            value += encodeElement(FINAL_BLOCK_ID, self.finalBlock)
        return encodeElement(META_INFO, value) if value else b""


def readMetaInfo(wire: bytes, start: int, stop: int) -> tuple[int, int, bytes | None]:
    """
    Read the value of a MetaInfo.

    @return: C{contentType}, C{freshness} and C{finalBlock} of a L{MetaInfo}.
    @raise PacketError: if it is malformed.
    """
    contentType = CONTENT_BLOB
    freshness = place = 0
    finalBlock = None
    for kind, begin, end in elements(wire, start, stop):
        if kind < CONTENT_TYPE or kind > FINAL_BLOCK_ID or kind <= place:
            passOver(kind, "MetaInfo")
            continue
        place = kind
        if kind == FRESHNESS_PERIOD:
            freshness = readNonNegative(wire, begin, end)
        elif kind == CONTENT_TYPE:
            contentType = readNonNegative(wire, begin, end)
        else:
            if len(componentEnds(wire, begin, end)) != 1:
                raise PacketError("a FinalBlockId is one name component")
            finalBlock = wire[begin:end]
    return contentType, freshness, finalBlock
