"""
Packets that were seen, on their way from a node to whoever looks at them: a record each.

    ======  ======================================================================
    8       nanoseconds since 1970, big endian
    1       0: it came in, 1: it went out
    4       how many bytes follow
    ...     the IP packet
    ======  ======================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

from attrs import frozen

from hermes.wire.buffers import Buffer
from hermes.wire.errors import MalformedError

MAX_CAPTURED: Final = 65535
"""
The longest packet, bytes.
"""

_HEAD = Struct(">QBI")


@frozen
class Captured:
    """
    A packet that was seen.

    @ivar time: nanoseconds since 1970.
    @ivar out: whether it went out.
    @ivar packet: its bytes.
    """

    time: int
    out: bool
    packet: bytes


def encodeCaptured(time: int, out: bool, packets: Iterable[Buffer]) -> bytes:
    """
    Records of packets that were seen at once.
    """
    pieces: list[Buffer] = []
    for packet in packets:
        pieces += (_HEAD.pack(time, out, len(packet)), packet)
    return b"".join(pieces)


class CapturedReader:
    """
    Takes records out of a stream that arrives in pieces of any size.
    """

    def __init__(self) -> None:
        self._partial = b""

    def receive(self, data: bytes) -> list[Captured]:
        """
        The next piece.

        @return: the records that are complete now.
        @raise MalformedError: where it is no such stream.
        """
        data = self._partial + data
        at = 0
        found: list[Captured] = []
        while len(data) - at >= _HEAD.size:
            time, out, length = _HEAD.unpack_from(data, at)
            if length > MAX_CAPTURED or out > 1:
                raise MalformedError("what came is no capture")
            end = at + _HEAD.size + length
            if end > len(data):
                break
            found.append(Captured(time, bool(out), data[end - length : end]))
            at = end
        self._partial = data[at:]
        return found
