"""
One HTTP/2 connection (RFC 9113), either end, sans-IO: bytes in, calls to a handler out, bytes to send out.

h2 does HPACK, the settings and the states of streams. DATA does not go through it: a frame is its nine bytes here, and
its payload is handed on as it arrives, in as many pieces as it arrives in. The flow-control windows are h2's own, which
the lean path counts down, so that there is one truth.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, ProtocolError, StreamClosedError, StreamIDTooLowError
from h2.settings import SettingCodes
from hpack import HPACKError

from hermes.http2.abuse import FloodGuard
from hermes.http2.data import DataReceiver
from hermes.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADER_SIZE,
    HEADERS,
    MAX_WINDOW,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ConnectionError,
    StreamError,
    goAwayFrame,
    packHeader,
    pingFrame,
    uint32,
    unpackHeader,
    validateHeader,
    validateHeaders,
)
from hermes.http2.handler import EngineSettings, Handler, HeaderList
from hermes.http2.state import Lane, State


class Engine:
    """
    @ivar lanes: the open streams.
    @ivar closed: a connection error has happened; C{takeOutput} has its GOAWAY.
    """

    def __init__(self, client: bool, handler: Handler, settings: EngineSettings) -> None:
        self.client = client
        self.settings = settings
        self.lanes: dict[int, Lane] = {}
        self.closed = False
        self.settingsSeen = False
        self._handler = handler
        self._guard = FloodGuard(settings.floods)
        self._now = 0.0
        self._out = bytearray()
        self._partial = bytearray()
        self._prefaceLeft = 0 if client else len(PREFACE)
        self._offeredConnect = 0
        # The header block that is being received: its stream (0 where there is none) and its bytes so far.
        self._blockStream = 0
        self._blockSize = 0
        self._lastProcessed = 0
        self.state = State(client, settings.maxHeaderList)
        self.data = DataReceiver(self.state, self.lanes, self._guard, handler, settings)
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

    # What we send

    def takeOutput(self) -> bytes:
        """
        What must be sent now, before anything that is framed later.
        """
        output = self.state.takeOutput()
        if self._out:
            output = bytes(self._out) + output if output else bytes(self._out)
            self._out.clear()
        return output

    @property
    def unsent(self) -> bool:
        """
        Whether C{takeOutput} has something.
        """
        return bool(self._out) or self.state.unsent

    @property
    def peerOffersConnect(self) -> bool:
        """
        Whether the peer has sent SETTINGS_ENABLE_CONNECT_PROTOCOL = 1.
        """
        return self._offeredConnect == 1

    def openLane(self, fields: HeaderList, end: bool) -> Lane:
        """
        Send a request on a new stream. The caller has seen to it that the peer's limits allow one.
        """
        lane = self.state.open(fields, end)
        self.lanes[lane.streamID] = lane
        return lane

    def sendHeaders(self, lane: Lane, fields: HeaderList, end: bool) -> None:
        """
        Send a response or trailers.
        """
        self._collect()
        self.state.sendHeaders(lane, fields, end)
        self._reap(lane)

    def sendWindow(self, lane: Lane) -> int:
        """
        How many bytes of DATA may be sent on the stream now; at most one frame of the peer's size.
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

    def endLane(self, lane: Lane) -> None:
        """
        Send END_STREAM.
        """
        self._collect()
        self.state.end(lane)
        self._reap(lane)

    def resetLane(self, lane: Lane, code: int) -> None:
        """
        Send RST_STREAM, unless the stream has ended.
        """
        if lane.streamID in self.lanes:
            self._collect()
            self.state.reset(lane, code)
            self._reap(lane)

    def credit(self, lane: Lane, size: int) -> None:
        """
        Let the peer send C{size} bytes more on the stream.
        """
        if lane.streamID in self.lanes and lane.receiving:
            self._collect()
            self.state.credit(lane, size)

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

    def _collect(self) -> None:
        # Keeps what h2 has written and what we write in the order it was decided.
        output = self.state.takeOutput()
        if output:
            self._out += output

    def _reap(self, lane: Lane) -> None:
        if self.state.reap(lane):
            self.lanes.pop(lane.streamID, None)

    # What we receive

    def receive(self, data: memoryview, now: float) -> None:
        """
        Take bytes from the peer, borrowed. All that follows from them is told to the handler before this returns.
        """
        if self.closed:
            return
        if self._partial:
            self._partial += data
            data = memoryview(bytes(self._partial))
            self._partial.clear()
        try:
            self._now = now
            offset = self._receive(data, now)
            if len(self._out) > self.settings.maxUnsent:
                raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, "answers that nobody reads")
        except ConnectionError as error:
            self.fail(error)
        else:
            if offset < len(data) and not self.closed:
                self._partial += data[offset:]

    def fail(self, error: ConnectionError) -> None:
        """
        End the connection with a connection error.
        """
        if not self.closed:
            self.state.takeOutput()
            self.goAway(error.code, str(error).encode())
            self.closed = True
            self._handler.goAwayReceived(-1, error.code, str(error).encode())

    def _receive(self, data: memoryview, now: float) -> int:
        """
        @return: how many bytes were taken; the rest is the beginning of a frame.
        """
        offset, size = 0, len(data)
        if self._prefaceLeft:
            offset = self._receivePreface(data)
        while not self.closed:
            if self.data.left:
                offset = self.data.receive(data, offset)
                if offset == size:
                    break
                continue
            if size - offset < HEADER_SIZE:
                break
            length, frameType, flags, streamID = unpackHeader(data, offset)
            if length > self.settings.maxFrameSize:
                raise ConnectionError(ErrorCodes.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            if self._blockStream and (frameType != CONTINUATION or streamID != self._blockStream):
                raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "a frame inside a header block")
            if frameType == DATA and self.settingsSeen:
                if flags & PADDED and size - offset == HEADER_SIZE and length:
                    break
                pad = 0
                offset += HEADER_SIZE
                if flags & PADDED:
                    if not length or data[offset] >= length:
                        raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "DATA padded beyond its end")
                    pad = data[offset]
                    offset += 1
                try:
                    self.data.begin(length, pad, flags, streamID, now)
                except StreamError as error:
                    self._streamError(error)
                continue
            if frameType not in (HEADERS, CONTINUATION) and length > self.settings.maxHeaderList:
                raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, f"frame type {frameType} of {length} bytes")
            if frameType in (HEADERS, CONTINUATION) and self._blockSize + length > self.settings.maxHeaderList:
                raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, "a header block beyond the bound")
            end = offset + HEADER_SIZE + length
            if size < end:
                break
            try:
                self._receiveFrame(data[offset:end], frameType, flags, streamID)
            except StreamError as error:
                self._streamError(error)
            offset = end
        return offset

    def _receivePreface(self, data: memoryview) -> int:
        done = len(PREFACE) - self._prefaceLeft
        part = data[: self._prefaceLeft]
        if bytes(part) != PREFACE[done : done + len(part)]:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "no HTTP/2 preface")
        self._prefaceLeft -= len(part)
        return len(part)

    # Everything else

    def _streamError(self, error: StreamError) -> None:
        self._guard.resets.take(self._now)
        lane = self.lanes.get(error.streamID)
        if lane is None:
            if self.state.isIdle(error.streamID):
                raise ConnectionError(error.code, str(error)) from error
            return
        lane.receiving = False
        self.resetLane(lane, error.code)
        self._handler.streamReset(lane, error.code, False)

    def _receiveFrame(self, frame: memoryview, frameType: int, flags: int, streamID: int) -> None:
        if not self.settingsSeen and (frameType != SETTINGS or flags & ACK):
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        payload = frame[HEADER_SIZE:]
        validateHeader(len(payload), frameType, flags, streamID)
        if frameType in (HEADERS, CONTINUATION):
            self._receiveHeaders(frame, payload, frameType, flags, streamID)
        elif frameType == WINDOW_UPDATE:
            self._receiveWindowUpdate(uint32(payload) & MAX_WINDOW, streamID)
        elif frameType == RST_STREAM:
            self._receiveReset(uint32(payload), streamID)
        elif frameType == PING:
            if flags & ACK:
                self._handler.pingAcknowledged(bytes(payload))
            else:
                self._guard.pings.take(self._now)
                self._collect()
                self._out += pingFrame(bytes(payload), ack=True)
        elif frameType == SETTINGS:
            self._receiveSettings(frame, flags)
        elif frameType == GOAWAY:
            self._handler.goAwayReceived(uint32(payload) & MAX_WINDOW, uint32(payload, 4), bytes(payload[8:264]))
        elif frameType == PRIORITY:
            self._guard.priorities.take(self._now)
            if uint32(payload) & MAX_WINDOW == streamID:
                raise StreamError(streamID, ErrorCodes.PROTOCOL_ERROR, "a stream depends on itself")
        elif frameType == PUSH_PROMISE:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "PUSH_PROMISE, and push is not enabled")
        else:
            self._guard.unknown.take(self._now)

    def _receiveHeaders(
        self, frame: memoryview, payload: memoryview, frameType: int, flags: int, streamID: int
    ) -> None:
        if frameType == HEADERS:
            validateHeaders(payload, flags, streamID)
            if streamID % 2 == 0 or (self.client and self.state.isIdle(streamID)):
                raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, f"HEADERS on stream {streamID}")
        elif not self._blockStream:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        elif not payload:
            self._guard.empty.take(self._now)
        self._blockSize += len(payload)
        self._blockStream = streamID
        ended = bool(flags & END_HEADERS)
        if ended:
            self._blockStream = self._blockSize = 0
        try:
            block = self.state.receiveHeaders(frame)
        except DenialOfServiceError as error:
            raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, "a header list beyond the bound") from error
        except (StreamClosedError, StreamIDTooLowError) as error:
            raise ConnectionError(error.error_code, f"HEADERS on stream {streamID}") from error
        except ProtocolError as error:
            if isinstance(error.__cause__, HPACKError | IndexError):
                raise ConnectionError(ErrorCodes.COMPRESSION_ERROR, "the header block does not decode") from error
            if not self.state.known(streamID):
                raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, str(error)) from error
            self._adopt(streamID)
            raise StreamError(streamID, ErrorCodes.PROTOCOL_ERROR, str(error)) from error
        self._collect()
        if block is not None:
            self._headers(streamID, block.fields, block.ended)
        elif ended and (lane := self.lanes.get(streamID)) is not None and self.state.reap(lane):
            # h2 has reset it: HEADERS after END_STREAM.
            self._guard.resets.take(self._now)
            self.lanes.pop(streamID, None)
            self._handler.streamReset(lane, ErrorCodes.STREAM_CLOSED, False)

    def _adopt(self, streamID: int) -> Lane:
        lane = self.lanes.get(streamID)
        if lane is None:
            lane = self.lanes[streamID] = self.state.lane(streamID)
            self._lastProcessed = max(self._lastProcessed, streamID)
        return lane

    def _headers(self, streamID: int, fields: HeaderList, ended: bool) -> None:
        isNew = streamID not in self.lanes
        lane = self._adopt(streamID)
        if isNew and not self.client and len(self.lanes) > self.settings.maxStreams:
            raise StreamError(streamID, ErrorCodes.REFUSED_STREAM, "too many streams")
        lane.receiving = not ended
        lane.ended = ended
        self._reap(lane)
        try:
            self._handler.headersReceived(lane, fields, ended)
        except ValueError as error:
            raise StreamError(streamID, ErrorCodes.PROTOCOL_ERROR, str(error)) from error

    def _receiveWindowUpdate(self, increment: int, streamID: int) -> None:
        self._guard.windowUpdates.take(self._now)
        if not streamID:
            if not increment:
                raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            if not self.state.openConnection(increment):
                raise ConnectionError(ErrorCodes.FLOW_CONTROL_ERROR, "the connection's window beyond 2^31-1")
            self._handler.windowOpened(None)
            return
        lane = self.lanes.get(streamID)
        if lane is None:
            if self.state.isIdle(streamID):
                raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, f"WINDOW_UPDATE on idle stream {streamID}")
            return
        if not increment:
            raise StreamError(streamID, ErrorCodes.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        if not self.state.openStream(lane, increment):
            raise StreamError(streamID, ErrorCodes.FLOW_CONTROL_ERROR, "the stream's window beyond 2^31-1")
        self._handler.windowOpened(lane)

    def _receiveReset(self, code: int, streamID: int) -> None:
        if self.state.isIdle(streamID):
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, f"RST_STREAM on idle stream {streamID}")
        self._guard.resets.take(self._now)
        lane = self.lanes.pop(streamID, None)
        if lane is not None:
            lane.receiving = lane.sending = False
            self.state.receiveReset(lane)
            self._handler.streamReset(lane, code, True)

    def _receiveSettings(self, frame: memoryview, flags: int) -> None:
        if not flags & ACK:
            self._guard.settings.take(self._now)
        try:
            self.state.receiveSettings(frame)
        except ProtocolError as error:
            raise ConnectionError(error.error_code, str(error)) from error
        self._collect()
        if flags & ACK:
            return
        self.settingsSeen = True
        offered = self.state.peerOffersConnect
        if self._offeredConnect and not offered:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "SETTINGS_ENABLE_CONNECT_PROTOCOL taken back")
        self._offeredConnect = offered
        self._handler.settingsReceived()
