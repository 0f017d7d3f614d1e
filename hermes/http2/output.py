"""
What one end of an HTTP/2 connection sends, sans-IO: frames are gathered here, in the order that they were decided in,
until the owner takes them.
"""

from __future__ import annotations

from collections.abc import Sequence

from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from hermes.http2.abuse import FloodGuard
from hermes.http2.frames import DATA, END_STREAM, ConnectionError, goAwayFrame, packHeader, pingFrame, resetFrame
from hermes.http2.handler import EngineSettings, HeaderList
from hermes.http2.state import Closed, Lane, State
from hermes.values import Buffer

MAX_GATHERED = 256 << 10
"""
Bytes behind which no more DATA is gathered.
"""

_HEADS = 16
_FLAGS = 4


class Output:
    """
    @ivar lanes: the open streams.
    """

    def __init__(self, client: bool, settings: EngineSettings) -> None:
        self.client = client
        self.settings = settings
        self.state = State(client, settings.maxHeaderList)
        self.lanes = self.state.lanes
        self._guard = FloodGuard(settings.floods)
        self._out = bytearray()
        # How many bytes of L{_out} answer control frames of the peer's.
        self._answers = 0
        self._lastProcessed = 0
        # The frame of DATA that was gathered last, and where its flags are.
        self._lastLane: Lane | None = None
        self._lastFlags = self._lastEnd = 0
        offered = {
            SettingCodes.MAX_FRAME_SIZE: settings.maxFrameSize,
            SettingCodes.INITIAL_WINDOW_SIZE: settings.streamWindow,
            SettingCodes.MAX_HEADER_LIST_SIZE: settings.maxHeaderList,
        }
        if client:
            offered[SettingCodes.ENABLE_PUSH] = 0
        else:
            offered[SettingCodes.MAX_CONCURRENT_STREAMS] = settings.maxStreams
            if settings.extendedConnect:
                offered[SettingCodes.ENABLE_CONNECT_PROTOCOL] = 1
        self.state.start(offered, settings.connectionWindow)

    def takeOutput(self) -> bytes:
        """
        What must be sent now, before anything that is framed later.
        """
        output = self.state.takeOutput()
        if self._out:
            output = bytes(self._out) + output if output else bytes(self._out)
            self._out.clear()
            self._answers = 0
            self._lastLane = None
        return output

    @property
    def unsent(self) -> bool:
        """
        Whether C{takeOutput} has something.
        """
        return bool(self._out) or self.state.unsent

    def openLane(self, fields: HeaderList, end: bool) -> Lane:
        """
        Send a request on a new stream. The caller has seen to it that the peer's limits allow one.
        """
        self._sendHead(self.state.nextStreamID, fields, end)
        return self.state.open(end)

    def sendHeaders(self, lane: Lane, fields: HeaderList, end: bool) -> None:
        """
        Send a response or trailers.
        """
        self._sendHead(lane.streamID, fields, end)
        lane.answered = lane.answered or fields[0][1][:1] != b"1"
        if end:
            lane.sending = False
            self._reap(lane)

    def _sendHead(self, streamID: int, fields: HeaderList, end: bool) -> None:
        if self.state.unsent:
            self._collect()
        self._out += self.state.encode(streamID, fields, end)

    def sendWindow(self, lane: Lane) -> int:
        """
        How many bytes of DATA may be sent on the stream now; at most one frame of the peer's size. Negative where the
        peer has made its window smaller than what was sent (RFC 9113 section 6.9.2).
        """
        return self.state.sendWindow(lane)

    @property
    def connectionWindow(self) -> int:
        """
        How many bytes of DATA may be sent on the connection now.
        """
        return self.state.connectionWindow

    def frameData(self, lane: Lane, size: int) -> bytes:
        """
        Account for a DATA frame of C{size} bytes, at most L{sendWindow}.

        @return: its nine bytes; the payload follows them.
        """
        self.state.sent(lane, size)
        self._guard.windowUpdates.earn(4)
        return packHeader(size, DATA, 0, lane.streamID)

    def addData(self, lane: Lane, buffers: Sequence[Buffer], size: int) -> bool:
        """
        Send a DATA frame behind what is still to be sent; for a small one.

        @param buffers: copied; C{size} bytes in all, at most L{sendWindow}.
        @return: whether it was: not where that is much already, and is to be taken first.
        """
        if self.state.unsent:
            self._collect()
        out = self._out
        if len(out) > MAX_GATHERED:
            return False
        self._lastFlags = len(out) + _FLAGS
        out += self.frameData(lane, size)
        for buffer in buffers:
            out += buffer
        self._lastLane, self._lastEnd = lane, len(out)
        return True

    def endLane(self, lane: Lane) -> None:
        """
        Send END_STREAM.
        """
        if lane.sending:
            if self.state.unsent:
                self._collect()
            lane.sending = False
            if self._lastLane is lane and self._lastEnd == len(self._out):
                # Its last frame has not gone.
                self._out[self._lastFlags] |= END_STREAM
                self._lastLane = None
            else:
                self._out += packHeader(0, DATA, END_STREAM, lane.streamID)
            self._reap(lane)

    def resetLane(self, lane: Lane, code: int) -> None:
        """
        Send RST_STREAM, unless the stream has ended.
        """
        if self.lanes.pop(lane.streamID, None) is not None:
            self._collect()
            self.state.close(lane, Closed.RESET)
            self._out += resetFrame(lane.streamID, code)

    def dropLane(self, lane: Lane) -> None:
        """
        Forget a stream that the peer has said it never took (GOAWAY).
        """
        if self.lanes.pop(lane.streamID, None) is not None:
            self.state.close(lane, Closed.RESET)

    def credit(self, lane: Lane, size: int) -> None:
        """
        Let the peer send C{size} bytes more on the stream.
        """
        if lane.receiving:
            self._collect()
            self._out += self.state.credit(lane, size)

    def changeWindow(self, size: int) -> None:
        """
        Tell the peer that each stream may send C{size} bytes before they are consumed.
        """
        self._collect()
        self.state.changeWindow(size)

    def ping(self, payload: bytes) -> None:
        """
        Send a PING of eight bytes.
        """
        self._collect()
        self._out += pingFrame(payload)

    def goAway(self, code: int = ErrorCodes.NO_ERROR, debug: bytes = b"", last: int | None = None) -> None:
        """
        Send GOAWAY: the streams up to C{last} (what we have seen, if not given) are still served.
        """
        self._collect()
        self._out += goAwayFrame(self._lastProcessed if last is None else last, code, debug)

    def _answer(self, frame: bytes) -> None:
        # A frame that the peer has caused, and that it alone can stop from gathering here.
        self._collect()
        self._out += frame
        self._answers += len(frame)

    def _checkUnsent(self) -> None:
        """
        @raise ConnectionError: where the peer makes us answer, and reads nothing of it.
        """
        bound = self.settings.maxUnsent
        if self._answers > bound or len(self._out) > bound * _HEADS:
            raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, "answers that nobody reads")

    def _collect(self) -> None:
        # Keeps what h2 has written and what we write in the order it was decided.
        output = self.state.takeOutput()
        if output:
            self._out += output

    def _reap(self, lane: Lane) -> None:
        if lane.ended and not lane.sending and self.lanes.pop(lane.streamID, None) is not None:
            self.state.close(lane, Closed.ENDED)
