"""
CRC32C (Castagnoli; RFC 3720 section 12.1), as the PROXY protocol uses it. For headers: it goes byte by byte.
"""

from __future__ import annotations

from hermes.wire.buffers import Buffer

_POLYNOMIAL = 0x82F63B78


def _table() -> list[int]:
    """
    The remainder of each byte, bits reflected.
    """
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ _POLYNOMIAL if value & 1 else value >> 1
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: Buffer) -> int:
    """
    The checksum, a number of 32 bits.
    """
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder = remainder >> 8 ^ _TABLE[(remainder ^ byte) & 0xFF]
    return remainder ^ 0xFFFFFFFF
