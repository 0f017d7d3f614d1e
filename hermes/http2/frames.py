"""
HTTP/2 frames (RFC 9113 section 4 and 6): the nine bytes of a frame header and what may follow them. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from h2.errors import ErrorCodes

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_WINDOW = 2**31 - 1
HEADER_SIZE = 9

DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20

_HEADER = Struct("!HBBBI")
_UINT32 = Struct("!I")
_SETTING = Struct("!HI")


class ConnectionError(Exception):
    """
    A connection error (RFC 9113 section 5.4.1): GOAWAY with C{code}, then the connection ends.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamError(Exception):
    """
    A stream error (RFC 9113 section 5.4.2): RST_STREAM with C{code}; the other streams go on.
    """

    def __init__(self, streamID: int, code: int, message: str) -> None:
        super().__init__(message)
        self.streamID = streamID
        self.code = code


def packHeader(length: int, frameType: int, flags: int, streamID: int) -> bytes:
    """
    The nine bytes before a payload of C{length} bytes.
    """
    return _HEADER.pack(length >> 8, length & 0xFF, frameType, flags, streamID)


def unpackHeader(buffer: memoryview, offset: int) -> tuple[int, int, int, int]:
    """
    @return: length, type, flags, stream identifier (its reserved bit dropped).
    """
    high, low, frameType, flags, streamID = _HEADER.unpack_from(buffer, offset)
    return high << 8 | low, frameType, flags, streamID & 0x7FFFFFFF


def pingFrame(payload: bytes, ack: bool = False) -> bytes:
    """
    A PING of eight bytes.
    """
    return packHeader(8, PING, ACK if ack else 0, 0) + payload


def resetFrame(streamID: int, code: int) -> bytes:
    """
    A RST_STREAM.
    """
    return packHeader(4, RST_STREAM, 0, streamID) + _UINT32.pack(code)


def goAwayFrame(lastStreamID: int, code: int, debug: bytes = b"") -> bytes:
    """
    A GOAWAY; C{debug} is cut to 256 bytes.
    """
    debug = debug[:256]
    return packHeader(8 + len(debug), GOAWAY, 0, 0) + _UINT32.pack(lastStreamID) + _UINT32.pack(code) + debug


def readSettings(payload: memoryview) -> Iterator[tuple[int, int]]:
    """
    The identifiers and values in a SETTINGS frame, in order.
    """
    iterator: Iterator[tuple[int, int]] = _SETTING.iter_unpack(payload)
    return iterator


def uint32(payload: memoryview, offset: int = 0) -> int:
    """
    Four bytes, big endian.
    """
    value: int = _UINT32.unpack_from(payload, offset)[0]
    return value


# What the length and the stream identifier of each type must be (RFC 9113 sections 6.1 to 6.10).
_ON_STREAM = frozenset({DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION})
_ON_CONNECTION = frozenset({SETTINGS, PING, GOAWAY})
_FIXED_LENGTH = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}


def validateHeader(length: int, frameType: int, flags: int, streamID: int) -> None:
    """
    Check what can be known of a frame from its header.

    @raise ConnectionError: or L{StreamError}, as the RFC says for the type.
    """
    if frameType in _ON_STREAM and not streamID:
        raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, f"frame type {frameType} on stream 0")
    if frameType in _ON_CONNECTION and streamID:
        raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, f"frame type {frameType} on stream {streamID}")
    if _FIXED_LENGTH.get(frameType, length) != length:
        raise ConnectionError(ErrorCodes.FRAME_SIZE_ERROR, f"frame type {frameType} of {length} bytes")
    if frameType == PRIORITY and length != 5:
        raise StreamError(streamID, ErrorCodes.FRAME_SIZE_ERROR, f"PRIORITY of {length} bytes")
    if frameType == GOAWAY and length < 8:
        raise ConnectionError(ErrorCodes.FRAME_SIZE_ERROR, f"GOAWAY of {length} bytes")
    if frameType == SETTINGS and (length % 6 or (flags & ACK and length)):
        raise ConnectionError(ErrorCodes.FRAME_SIZE_ERROR, f"SETTINGS of {length} bytes")


def headerFragment(payload: memoryview, flags: int) -> tuple[memoryview, int]:
    """
    What a HEADERS frame holds between its priority fields and its padding (RFC 9113 section 6.2).

    @return: the fragment of a header block, and the stream that this one depends on (0 where that is not told).
    @raise ConnectionError: where there is no such place: the header block must be decoded or the connection is lost.
    """
    start, end, parent = 0, len(payload), 0
    needed = (1 if flags & PADDED else 0) + (5 if flags & PRIORITY_FLAG else 0)
    if end < needed:
        raise ConnectionError(ErrorCodes.FRAME_SIZE_ERROR, f"HEADERS of {end} bytes")
    if flags & PADDED:
        start = 1
        end -= payload[0]
        if end < needed:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "HEADERS padded beyond its end")
    if flags & PRIORITY_FLAG:
        parent = uint32(payload, start) & MAX_WINDOW
        start += 5
    return payload[start:end], parent
