"""
QUIC variable-length integers (RFC 9000 section 16).
"""

from __future__ import annotations

from hermes.wire.buffers import Buffer

MAX_VARINT = (1 << 62) - 1


def encodeVarint(value: int) -> bytes:
    """
    The shortest encoding: 1, 2, 4 or 8 bytes.

    @param value: 0 to L{MAX_VARINT}.
    @raise ValueError: if it is outside.
    """
    if value < 0:
        raise ValueError(f"{value} is negative: it has no varint")
    if value < 1 << 6:
        return value.to_bytes(1, "big")
    if value < 1 << 14:
        return (value | 1 << 14).to_bytes(2, "big")
    if value < 1 << 30:
        return (value | 2 << 30).to_bytes(4, "big")
    if value <= MAX_VARINT:
        return (value | 3 << 62).to_bytes(8, "big")
    raise ValueError(f"{value} is too large for a varint")


def decodeVarint(buffer: Buffer, offset: int = 0) -> tuple[int, int] | None:
    """
    Read one varint, of any encoding; it need not be the shortest.

    @return: the value and the offset behind it, or L{None} where the buffer ends within it.
    """
    if offset >= len(buffer):
        return None
    first = buffer[offset]
    end = offset + (1 << (first >> 6))
    if end > len(buffer):
        return None
    return int.from_bytes(buffer[offset:end], "big") & ((1 << (8 * (end - offset) - 2)) - 1), end
