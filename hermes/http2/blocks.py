"""
Header blocks as they arrive: a HEADERS frame and the CONTINUATION frames behind it (RFC 9113 section 4.3). Sans-IO.
"""

from __future__ import annotations

from attrs import define
from h2.errors import ErrorCodes

from hermes.http2.abuse import FloodGuard
from hermes.http2.frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    ConnectionError,
    headerFragment,
)


@define
class Block:
    """
    A whole header block.

    @ivar ended: END_STREAM came with it.
    @ivar parent: the stream that its stream is said to depend on; 0 where none is.
    """

    streamID: int
    data: bytes
    ended: bool
    parent: int


class BlockReceiver:
    """
    Puts header blocks together, at most one at a time.

    @ivar streamID: the stream whose block has begun and not ended, or 0. Nothing but its CONTINUATION may come then.
    """

    def __init__(self, guard: FloodGuard, maxSize: int) -> None:
        self.streamID = 0
        self._guard = guard
        self._maxSize = maxSize
        self._data = bytearray()
        self._ended = False
        self._parent = 0

    def begin(self, length: int, frameType: int, streamID: int) -> None:
        """
        The header of a HEADERS or CONTINUATION frame has been read.

        @raise ConnectionError: where it does not belong here, or its block would pass the bound.
        """
        if frameType == CONTINUATION and not self.streamID:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, f"CONTINUATION without HEADERS on stream {streamID}")
        if len(self._data) + length > self._maxSize:
            raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, "a header block beyond the bound")

    def receive(self, payload: memoryview, frameType: int, flags: int, streamID: int, now: float) -> Block | None:
        """
        A frame that has L{begin}.

        @return: the block that it completes.
        """
        if frameType == HEADERS:
            fragment, self._parent = headerFragment(payload, flags)
            self._ended = bool(flags & END_STREAM)
            if flags & END_HEADERS:
                return Block(streamID, bytes(fragment), self._ended, self._parent)
            self.streamID = streamID
            self._data += fragment
            return None
        if not payload:
            self._guard.empty.take(now)
        self._data += payload
        if not flags & END_HEADERS:
            return None
        self.streamID = 0
        block = Block(streamID, bytes(self._data), self._ended, self._parent)
        self._data.clear()
        return block
