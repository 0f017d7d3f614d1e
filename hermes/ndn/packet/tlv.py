"""
Type, length, value: what all of NDN is made of (packet format v0.3, section "Type-Length-Value (TLV) Encoding").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hermes.ndn.packet.errors import PacketError
from hermes.values import Buffer

MAX_TYPE: Final = (1 << 32) - 1
"""
The largest TLV-TYPE. 0 is none.
"""

MAX_NUMBER: Final = (1 << 64) - 1
"""
The largest number that a TLV-LENGTH or a NonNegativeInteger holds.
"""

_BYTES = [bytes([value]) for value in range(253)]
_SHORTEST = {253: 253, 254: 1 << 16, 255: 1 << 32}


def encodeNumber(number: int) -> bytes:
    """
    A TLV-TYPE or TLV-LENGTH in its shortest form, the only one that is allowed: 1, 3, 5 or 9 bytes.

    @raise ValueError: if it is below 0 or above L{MAX_NUMBER}.
    """
    if 0 <= number < 253:
        return _BYTES[number]
    if 0 < number < 1 << 16:
        return b"\xfd" + number.to_bytes(2, "big")
    if 0 < number < 1 << 32:
        return b"\xfe" + number.to_bytes(4, "big")
    if 0 < number <= MAX_NUMBER:
        return b"\xff" + number.to_bytes(8, "big")
    raise ValueError(f"{number} has no TLV number")


def decodeNumber(buffer: Buffer, offset: int, end: int) -> tuple[int, int]:
    """
    Read one TLV-TYPE or TLV-LENGTH.

    @param end: where what may be read ends.
    @return: the number, and the offset behind it.
    @raise PacketError: if it reaches beyond C{end}, or a shorter form would do.
    """
    if offset >= end:
        raise PacketError("a TLV element ends within its type or length")
    first = buffer[offset]
    offset += 1
    if first < 253:
        return first, offset
    following = offset + (1 << (first - 252))
    if following > end:
        raise PacketError("a TLV element ends within its type or length")
    number = int.from_bytes(buffer[offset:following], "big")
    if number < _SHORTEST[first]:
        raise PacketError(f"the TLV number {number} is not in its shortest form")
    return number, following


def readHead(buffer: Buffer, offset: int, end: int) -> tuple[int, int, int]:
    """
    Read type and length of the element at C{offset}.

    @return: its type, where its value begins, where it ends.
    @raise PacketError: if it is malformed or reaches beyond C{end}.
    """
    try:
        elementType, length = buffer[offset], buffer[offset + 1]
        start = offset + 2
    except IndexError:
        elementType = length = 255
    # One byte each: the common case. What lies beyond the end is refused below, whatever it says.
    if elementType > 252 or length > 252:
        elementType, start = decodeNumber(buffer, offset, end)
        length, start = decodeNumber(buffer, start, end)
        if elementType > MAX_TYPE:
            raise PacketError(f"{elementType} is too large for a TLV-TYPE")
    if not elementType:
        raise PacketError("0 is no TLV-TYPE")
    stop = start + length
    if stop > end:
        raise PacketError(f"the element of type {elementType:#x} reaches beyond what holds it")
    return elementType, start, stop


def elements(buffer: Buffer, offset: int, end: int) -> Iterator[tuple[int, int, int]]:
    """
    All elements from C{offset} to C{end}, each as L{readHead} returns it.

    @raise PacketError: if one is malformed.
    """
    while offset < end:
        head = readHead(buffer, offset, end)
        yield head
        offset = head[2]


def only(buffer: Buffer, expected: int, what: str) -> tuple[int, int]:
    """
    The value of the one element that the buffer holds.

    @param expected: its type.
    @param what: what it is, for the error.
    @return: where its value begins and ends.
    @raise PacketError: if it is malformed, of another type, or something follows it.
    """
    size = len(buffer)
    elementType, start, stop = readHead(buffer, 0, size)
    if elementType != expected:
        raise PacketError(f"an element of type {elementType:#x} is no {what}")
    if stop != size:
        raise PacketError(f"{size - stop} bytes follow the {what}")
    return start, stop


def encodeElement(elementType: int, value: Buffer) -> bytes:
    """
    One element.

    @param elementType: 1 to L{MAX_TYPE}.
    @raise ValueError: if the type is none.
    """
    if not 0 < elementType <= MAX_TYPE:
        raise ValueError(f"{elementType} is no TLV-TYPE")
    return b"".join((encodeNumber(elementType), encodeNumber(len(value)), value))


def nonNegative(number: int) -> bytes:
    """
    The value of a NonNegativeInteger, in its shortest form: 1, 2, 4 or 8 bytes.

    @raise ValueError: if it is below 0 or above L{MAX_NUMBER}.
    """
    if 0 <= number < 1 << 8:
        return number.to_bytes(1, "big")
    if 0 < number < 1 << 16:
        return number.to_bytes(2, "big")
    if 0 < number < 1 << 32:
        return number.to_bytes(4, "big")
    if 0 < number <= MAX_NUMBER:
        return number.to_bytes(8, "big")
    raise ValueError(f"{number} is no NonNegativeInteger")


def readNonNegative(buffer: Buffer, start: int, stop: int) -> int:
    """
    Read a NonNegativeInteger: of 1, 2, 4 or 8 bytes, which need not be as few as would do.

    @raise PacketError: if its length is another.
    """
    if stop - start not in (1, 2, 4, 8):
        raise PacketError(f"a NonNegativeInteger has 1, 2, 4 or 8 bytes, not {stop - start}")
    return int.from_bytes(buffer[start:stop], "big")


def encodeInteger(elementType: int, number: int) -> bytes:
    """
    An element that holds a NonNegativeInteger.

    @raise ValueError: as L{encodeElement} and L{nonNegative}.
    """
    return encodeElement(elementType, nonNegative(number))


def isCritical(elementType: int) -> bool:
    """
    Whether an element that is not recognised, or is out of order, makes what holds it an error; else it is ignored
    (section "Considerations for Evolvability of TLV-Based Encoding").
    """
    return elementType <= 31 or elementType % 2 == 1


def passOver(elementType: int, what: str) -> None:
    """
    Pass over an element that is not recognised or out of order.

    @param what: what holds it, for the error.
    @raise PacketError: if its type is critical.
    """
    if elementType <= 31 or elementType % 2:
        raise PacketError(f"an element of the critical type {elementType:#x} is unknown or out of order in {what}")
