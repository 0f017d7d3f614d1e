"""
One HTTP/2 connection (RFC 9113), either end, sans-IO: bytes in, calls to a handler out, bytes to send out.

h2 does the settings. Neither heads nor DATA go through it: a frame is its nine bytes here, and the payload of DATA is
handed on as it arrives, in as many pieces as it arrives in. The connection's flow-control windows are h2's own, which
the lean path counts down, so that there is one truth.
"""

from __future__ import annotations

from h2.errors import ErrorCodes

from hermes.http2.blocks import Block, BlockReceiver
from hermes.http2.data import DataReceiver
from hermes.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
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
    pingFrame,
    readSettings,
    resetFrame,
    uint32,
    unpackHeader,
    validateHeader,
)
from hermes.http2.handler import EngineSettings, Handler
from hermes.http2.output import Output
from hermes.http2.state import Closed, Lane


class Engine(Output):
    """
    @ivar closed: nothing more is read: a connection error has happened and C{takeOutput} has its GOAWAY, or L{stop} was
        called.
    @ivar settingsSeen: the peer's preface is complete.
    @ivar refusing: streams that the peer opens from now on are refused.
    """

    def __init__(self, client: bool, handler: Handler, settings: EngineSettings) -> None:
        super().__init__(client, settings)
        self.closed = False
        self.settingsSeen = False
        self.refusing = False
        self._handler = handler
        self._now = 0.0
        self._partial = bytearray()
        self._needed = 0
        self._prefaceLeft = 0 if client else len(PREFACE)
        self._offeredConnect = 0
        self._blocks = BlockReceiver(self._guard, 2 * settings.maxHeaderList)
        self.data = DataReceiver(self.state, self._guard, handler, settings, self.credit)

    @property
    def peerOffersConnect(self) -> bool:
        """
        Whether the peer has sent SETTINGS_ENABLE_CONNECT_PROTOCOL = 1.
        """
        return self._offeredConnect == 1

    def receive(self, data: memoryview, now: float) -> None:
        """
        Take bytes from the peer, borrowed. All that follows from them is told to the handler before this returns.
        """
        if self.closed:
            return
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data = memoryview(bytes(self._partial))
            self._partial.clear()
        try:
            self._now = now
            offset = self._receive(data, now)
            self._checkUnsent()
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
            self.goAway(error.code, str(error).encode())
            self.stop()
            self._handler.connectionFailed(error.code, str(error))

    def stop(self) -> None:
        """
        Read nothing more.
        """
        self.closed = True
        for lane in self.lanes.values():
            lane.receiving = False

    def _receive(self, data: memoryview, now: float) -> int:
        """
        @return: how many bytes were taken; the rest is the beginning of a frame, of L{_needed} bytes at least.
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
                self._needed = HEADER_SIZE
                break
            length, frameType, flags, streamID = unpackHeader(data, offset)
            if length > self.settings.maxFrameSize:
                # What is no HTTP/2 at all would be read as a long frame.
                code = ErrorCodes.FRAME_SIZE_ERROR if self.settingsSeen else ErrorCodes.PROTOCOL_ERROR
                raise ConnectionError(code, f"a frame of {length} bytes")
            if self._blocks.streamID and (frameType != CONTINUATION or streamID != self._blocks.streamID):
                raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "a frame inside a header block")
            if frameType == DATA and self.settingsSeen:
                pad = 0
                if flags & PADDED:
                    if not length:
                        raise ConnectionError(ErrorCodes.FRAME_SIZE_ERROR, "DATA without its pad length")
                    if size - offset == HEADER_SIZE:
                        self._needed = HEADER_SIZE + 1
                        break
                    pad = data[offset + HEADER_SIZE]
                    if pad >= length:
                        raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "DATA padded beyond its end")
                    offset += 1
                offset += HEADER_SIZE
                try:
                    self.data.begin(length, pad, flags, streamID, now)
                except StreamError as error:
                    self._streamError(error)
                continue
            self._admit(length, frameType, flags, streamID)
            end = offset + HEADER_SIZE + length
            if frameType > CONTINUATION:
                # RFC 9113 section 5.5: an extension's; skipped as it arrives.
                self._guard.unknown.take(now)
                self.data.skip(length)
                offset += HEADER_SIZE
                continue
            if size < end:
                self._needed = HEADER_SIZE + length
                break
            try:
                self._receiveFrame(data[offset + HEADER_SIZE : end], frameType, flags, streamID)
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

    def _admit(self, length: int, frameType: int, flags: int, streamID: int) -> None:
        """
        Judge a frame by its header, before its payload is waited for.
        """
        if not self.settingsSeen and (frameType != SETTINGS or flags & ACK):
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if frameType in (HEADERS, CONTINUATION):
            validateHeader(length, frameType, flags, streamID)
            if streamID % 2 == 0 or (self.client and self.state.isIdle(streamID)):
                raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, f"HEADERS on stream {streamID}")
            self._blocks.begin(length, frameType, streamID)
        elif length > self.settings.maxHeaderList and frameType <= CONTINUATION:
            raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, f"frame type {frameType} of {length} bytes")

    def _streamError(self, error: StreamError, lane: Lane | None = None) -> None:
        lane = lane or self.lanes.get(error.streamID)
        if lane is None and self.state.isIdle(error.streamID):
            raise ConnectionError(error.code, str(error)) from error
        if lane is None or not self.client:
            self._guard.resets.take(self._now)
        if lane is None:
            self._answer(resetFrame(error.streamID, error.code))
        else:
            self.resetLane(lane, error.code)
            self._handler.streamReset(lane, error.code, False)

    def _receiveFrame(self, payload: memoryview, frameType: int, flags: int, streamID: int) -> None:
        if frameType in (HEADERS, CONTINUATION):
            block = self._blocks.receive(payload, frameType, flags, streamID, self._now)
            if block is not None:
                self._receiveBlock(block)
            return
        validateHeader(len(payload), frameType, flags, streamID)
        if frameType == WINDOW_UPDATE:
            self._receiveWindowUpdate(uint32(payload) & MAX_WINDOW, streamID)
        elif frameType == RST_STREAM:
            self._receiveReset(uint32(payload), streamID)
        elif frameType == PING:
            if flags & ACK:
                self._handler.pingAcknowledged(bytes(payload))
            else:
                self._guard.pings.take(self._now)
                self._answer(pingFrame(bytes(payload), ack=True))
        elif frameType == SETTINGS:
            self._receiveSettings(payload, flags)
        elif frameType == GOAWAY:
            self._guard.goAways.take(self._now)
            self._handler.goAwayReceived(uint32(payload) & MAX_WINDOW, uint32(payload, 4), bytes(payload[8:264]))
        elif frameType == PRIORITY:
            self._guard.priorities.take(self._now)
            if uint32(payload) & MAX_WINDOW == streamID:
                raise StreamError(streamID, ErrorCodes.PROTOCOL_ERROR, "a stream depends on itself")
        elif frameType == PUSH_PROMISE:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "PUSH_PROMISE, and push is not enabled")

    def _receiveBlock(self, block: Block) -> None:
        fields = self.state.decode(block.data)
        streamID = block.streamID
        lane = self.lanes.get(streamID)
        if lane is None:
            if not self.state.isIdle(streamID):
                self._strayBlock(streamID)
                return
            lane = self._accept(streamID)
        elif lane.ended:
            raise StreamError(streamID, ErrorCodes.STREAM_CLOSED, "HEADERS after END_STREAM")
        if block.parent == streamID:
            raise StreamError(streamID, ErrorCodes.PROTOCOL_ERROR, "a stream depends on itself")
        lane.receiving = not block.ended
        lane.ended = block.ended
        self._reap(lane)
        if self.state.headerListSize > self.settings.maxHeaderList:
            self._refuseHead(lane)
            return
        try:
            self._handler.headersReceived(lane, fields, block.ended)
        except ValueError as error:
            self._streamError(StreamError(streamID, ErrorCodes.PROTOCOL_ERROR, str(error)), lane)

    def _refuseHead(self, lane: Lane) -> None:
        """
        A head is too large, and yet was read: HPACK has to see every one.
        """
        if self.client or lane.exchange is not None:
            raise StreamError(lane.streamID, ErrorCodes.ENHANCE_YOUR_CALM, "a header list beyond the bound")
        self._guard.resets.take(self._now)
        self.sendHeaders(lane, ((b":status", b"431"), (b"content-length", b"0")), True)
        # What is still to come of the request is of no use.
        self.resetLane(lane, ErrorCodes.NO_ERROR)

    def _accept(self, streamID: int) -> Lane:
        lane = self.state.accept(streamID)
        if self.refusing:
            raise StreamError(streamID, ErrorCodes.REFUSED_STREAM, "a stream above the last one of GOAWAY")
        self._lastProcessed = streamID
        if len(self.lanes) > self.settings.maxStreams:
            raise StreamError(streamID, ErrorCodes.REFUSED_STREAM, "too many streams")
        return lane

    def _strayBlock(self, streamID: int) -> None:
        # RFC 9113 section 5.1, on closed streams.
        how = self.state.closedBy(streamID)
        if how is Closed.ENDED:
            raise ConnectionError(ErrorCodes.STREAM_CLOSED, f"HEADERS on closed stream {streamID}")
        if how is Closed.SKIPPED:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, f"HEADERS on stream {streamID}, below one before")
        if how is Closed.RESET_BY_PEER:
            raise StreamError(streamID, ErrorCodes.STREAM_CLOSED, "HEADERS after RST_STREAM")
        # They were on their way when we reset it.
        self._guard.resets.take(self._now)

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
        lane = self.lanes.get(streamID)
        if lane is None or not (self.client or lane.answered):
            # A stream that we had answered cost the peer as much as us. One too many ends the connection: then its
            # exchange must be found among the others.
            self._guard.resets.take(self._now)
        if lane is not None:
            del self.lanes[streamID]
            self.state.close(lane, Closed.RESET_BY_PEER)
            self._handler.streamReset(lane, code, True)

    def _receiveSettings(self, payload: memoryview, flags: int) -> None:
        if flags & ACK:
            self.state.receiveAcknowledgement()
            self._handler.settingsAcknowledged()
            return
        self._guard.settings.take(self._now)
        self._collect()
        self.state.receiveSettings(readSettings(payload))
        self._answer(self.state.takeOutput())
        self.settingsSeen = True
        offered = self.state.peerOffersConnect
        if self._offeredConnect and not offered:
            raise ConnectionError(ErrorCodes.PROTOCOL_ERROR, "SETTINGS_ENABLE_CONNECT_PROTOCOL taken back")
        self._offeredConnect = offered
        self._handler.settingsReceived()
