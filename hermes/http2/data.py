"""
DATA frames as they arrive: the lean path. Sans-IO.

A frame is its nine bytes; its payload is handed on in as many pieces as it arrives in, so that a frame of 1 MiB costs
no memory here. Flow control counts the frame as soon as its header is read (RFC 9113 section 6.9.1).
"""

from __future__ import annotations

from collections.abc import Callable

from h2.errors import ErrorCodes

from hermes.http2.abuse import FloodGuard
from hermes.http2.frames import END_STREAM, PADDED, ConnectionError, StreamError
from hermes.http2.handler import EngineSettings, Handler
from hermes.http2.state import Closed, Lane, State


class DataReceiver:
    """
    @ivar left: bytes of the current frame's payload that have not arrived, padding included; 0 between frames.
    @ivar hold: set while what waits for stalled readers on this connection is beyond its bound: no credit is given to
        the connection then.
    """

    def __init__(
        self,
        state: State,
        guard: FloodGuard,
        handler: Handler,
        settings: EngineSettings,
        credit: Callable[[Lane, int], None],
    ) -> None:
        """
        @param credit: sends a WINDOW_UPDATE for a stream.
        """
        self.left = 0
        self.hold = False
        self._state = state
        self._lanes = state.lanes
        self._credit = credit
        self._guard = guard
        self._handler = handler
        self._dataLeft = 0
        self._lane: Lane | None = None
        self._ends = False
        self._owed = 0
        self._creditAt = settings.connectionWindow >> 2
        self._paddingAt = settings.streamWindow >> 2

    def begin(self, length: int, pad: int, flags: int, streamID: int, now: float) -> None:
        """
        A frame header, and the pad length where the frame is padded, have been read.

        @param length: of the frame's payload.
        @param pad: of the padding; the byte that tells it has been read too.
        @raise ConnectionError: or L{StreamError}; the payload is then skipped.
        """
        if not streamID:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "DATA on stream 0")
        self._ends = bool(flags & END_STREAM)
        if length:
            if not self._state.receiveOnConnection(length):
                raise ConnectionError(ErrorCodes.FLOW_CONTROL_ERROR, "DATA beyond the connection's window")
            self._owe(length)
        overhead = pad + 1 if flags & PADDED else 0
        self.left = length - 1 if overhead else length
        self._dataLeft = length - overhead
        self._lane = None
        if not self._dataLeft and not self._ends:
            self._guard.empty.take(now)
        lane = self._lanes.get(streamID)
        if lane is None or not lane.receiving:
            self._stray(lane, streamID)
            return
        if length and not self._state.receiveOnStream(lane, length):
            raise StreamError(streamID, ErrorCodes.FLOW_CONTROL_ERROR, "DATA beyond the stream's window")
        self._lane = lane
        if overhead:
            # It is credited with the data that it came with, or else, where it is most of what comes, here.
            lane.overhead += overhead
            if lane.overhead >= self._paddingAt:
                self._credit(lane, lane.overhead)
                lane.overhead = 0
        if not self.left and self._ends:
            self._end(lane)

    def skip(self, length: int) -> None:
        """
        The payload of a frame of some other type is to be passed over.
        """
        self.left = length
        self._dataLeft = 0
        self._lane = None
        self._ends = False

    def receive(self, data: memoryview, offset: int) -> int:
        """
        Take payload from C{data} at C{offset}.

        @return: the offset behind what was taken.
        """
        lane = self._lane
        if self._dataLeft:
            piece = data[offset : offset + self._dataLeft]
            taken = len(piece)
            self._dataLeft -= taken
            self.left -= taken
            offset += taken
            if lane is not None and taken and lane.receiving:
                self._handler.bodyReceived(lane, piece)
        if self.left and not self._dataLeft:
            taken = min(self.left, len(data) - offset)
            self.left -= taken
            offset += taken
        if not self.left and self._ends and lane is not None:
            self._end(lane)
        return offset

    def _end(self, lane: Lane) -> None:
        self._ends = False
        if lane.receiving:
            lane.receiving = False
            lane.ended = True
            if not lane.sending and self._lanes.pop(lane.streamID, None) is not None:
                self._state.close(lane, Closed.ENDED)
            self._handler.bodyEnded(lane)

    def _stray(self, lane: Lane | None, streamID: int) -> None:
        if lane is None:
            if self._state.isIdle(streamID):
                raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, f"DATA on idle stream {streamID}")
            # RFC 9113 section 5.1, on closed streams.
            how = self._state.closedBy(streamID)
            if how in (Closed.ENDED, Closed.SKIPPED):
                raise ConnectionError(ErrorCodes.STREAM_CLOSED, f"DATA on closed stream {streamID}")
            if how is Closed.RESET_BY_PEER:
                raise StreamError(streamID, ErrorCodes.STREAM_CLOSED, "DATA after RST_STREAM")
            # It was on its way when we reset it.
        elif lane.ended:
            raise StreamError(streamID, ErrorCodes.STREAM_CLOSED, "DATA after END_STREAM")
        else:
            raise StreamError(streamID, ErrorCodes.PROTOCOL_ERROR, "DATA before a head")

    def _owe(self, size: int) -> None:
        # What arrives is credited to the connection at once: the streams' own windows bound what waits.
        self._owed += size
        if self._owed >= self._creditAt and not self.hold:
            self._state.creditConnection(self._owed)
            self._owed = 0

    def release(self) -> None:
        """
        Stop to L{hold}, and give the credit that was withheld.
        """
        self.hold = False
        self._owe(0)
