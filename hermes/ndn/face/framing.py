"""
Packets out of a byte stream: each is a TLV element, and they follow each other without a gap.
"""

from __future__ import annotations

from typing import Final

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.lp import LP_PACKET
from hermes.ndn.packet.tlv import decodeNumber
from hermes.ndn.packet.typenumbers import DATA, INTEREST, MAX_PACKET_SIZE
from hermes.values import Buffer

MAX_LINK_PACKET: Final = MAX_PACKET_SIZE + 1024
"""
The largest element that is kept, in bytes: an Interest or Data of the largest size, and what an LpPacket says about it.
"""

MAX_SKIPPED: Final = 1024 * 1024
"""
A larger element, up to this, is passed over; beyond it is no packet that anybody meant to send.
"""

MAX_STRAY: Final = 16
"""
So many elements in a row that are no packets: whatever this is, it is no stream of packets.
"""

_HEAD: Final = 14
"""
The bytes of the longest type and length.
"""


class FramingLost(PacketError):
    """
    Nobody can say where the next packet begins.
    """


class PacketFramer:
    """
    Cuts a stream into packets.

    @ivar skipped: how many elements were passed over: too large, or of a type that no link packet has.
    """

    __slots__ = ("_rest", "_skip", "_stray", "skipped")

    def __init__(self) -> None:
        self.skipped = 0
        # What began a packet that is not complete.
        self._rest = bytearray()
        # Bytes of an element that is passed over which are still to come.
        self._skip = 0
        self._stray = 0

    def receive(self, data: Buffer) -> list[bytes]:
        """
        Take what came, borrowed.

        @return: the packets that are complete with it, each with its type and length.
        @raise FramingLost: where it is no stream of packets; those that came before are lost with it.
        """
        rest = self._rest
        if rest:
            rest += data
            packets, end = self._cut(rest)
            del rest[:end]
            return packets
        packets, end = self._cut(data)
        if end < len(data):
            rest += memoryview(data)[end:]
        return packets

    def _cut(self, data: Buffer) -> tuple[list[bytes], int]:
        """
        @return: packets, and where the first that is not complete begins.
        """
        size = len(data)
        position = min(self._skip, size)
        self._skip -= position
        packets: list[bytes] = []
        view = memoryview(data)
        try:
            while position + 2 <= size:
                kind = data[position]
                length = data[position + 1]
                start = position + 2
                if kind > 252 or length > 252 or not kind:
                    try:
                        kind, start = decodeNumber(data, position, size)
                        length, start = decodeNumber(data, start, size)
                    except PacketError as error:
                        if size - position < _HEAD and _mayComplete(data, position):
                            break
                        raise FramingLost(str(error)) from None
                    if not kind:
                        raise FramingLost("0 is no TLV-TYPE")
                end = start + length
                if kind in (INTEREST, DATA, LP_PACKET) and end - position <= MAX_LINK_PACKET:
                    if end > size:
                        break
                    packets.append(bytes(view[position:end]))
                    self._stray = 0
                    position = end
                else:
                    self._pass(length)
                    self._skip = max(0, end - size)
                    position = min(end, size)
        finally:
            view.release()
        return packets, position

    def _pass(self, length: int) -> None:
        self.skipped += 1
        self._stray += 1
        if length > MAX_SKIPPED or self._stray >= MAX_STRAY:
            raise FramingLost("this is no stream of packets")


def _mayComplete(data: Buffer, position: int) -> bool:
    """
    Whether what begins at C{position} and has no complete head yet may still be given one.
    """
    end = len(data)
    try:
        _, position = decodeNumber(data, position, _numberEnd(data, position, end))
        decodeNumber(data, position, _numberEnd(data, position, end))
    except _Short:
        return True
    except PacketError:
        return False
    return False


class _Short(Exception):
    """
    A number that is not complete.
    """


def _numberEnd(data: Buffer, position: int, end: int) -> int:
    if position >= end:
        raise _Short
    first = data[position]
    following = position + (1 if first < 253 else 1 + (1 << (first - 252)))
    if following > end:
        raise _Short
    return following
