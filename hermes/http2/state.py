"""
The state of a connection: its streams, the windows, and the settings, which are h2's. Sans-IO.

h2 reads and acknowledges SETTINGS and holds the windows of the connection; no stream is known to it. The engine sees to
it that a stream's frames come in an order that RFC 9113 section 5.1 allows; what is counted for each of them is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from struct import Struct

from attrs import define
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hyperframe.frame import SettingsFrame

from hermes.http2.frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    MAX_WINDOW,
    PREFACE,
    WINDOW_UPDATE,
    ConnectionError,
    packHeader,
)
from hermes.http2.hpack import Decoder, Encoder

MAX_REMEMBERED = 1024
"""
Of how many streams that have closed it is remembered how.
"""

_UINT32 = Struct("!I")


class Closed(Enum):
    """
    How a stream closed.
    """

    ENDED = "both sides sent END_STREAM"
    RESET = "we reset it"
    RESET_BY_PEER = "the peer reset it"
    FORGOTTEN = "long ago"
    SKIPPED = "the peer opened one above it"


@define(eq=False)
class Lane:
    """
    One open stream.

    @ivar sendWindow: how many bytes of DATA the peer takes on it now; negative where it has made its window smaller
        than what was sent (RFC 9113 section 6.9.2).
    @ivar receiveWindow: how many bytes of DATA the peer may send on it now.
    @ivar receiving: the peer may send DATA.
    @ivar ended: the peer has sent END_STREAM.
    @ivar sending: we may send DATA.
    @ivar answered: we have sent the head of a final response.
    @ivar informational: how many informational responses have come.
    @ivar overhead: padding that was received and must be credited with the data.
    @ivar exchange: whoever the stream belongs to, for the handler's use.
    """

    streamID: int
    sendWindow: int
    receiveWindow: int
    receiving: bool = False
    ended: bool = False
    sending: bool = False
    answered: bool = False
    informational: int = 0
    overhead: int = 0
    exchange: object = None


class _Connection(H2Connection):
    def _terminate_connection(self, error_code: ErrorCodes) -> None:
        # Whether an error is the stream's or the connection's is the engine's to say.
        pass


_SETTINGS = frozenset(SettingCodes)


class State:
    """
    @ivar lanes: the open streams.
    @ivar peerMaxStreams: the peer's SETTINGS_MAX_CONCURRENT_STREAMS.
    """

    def __init__(self, client: bool, maxHeaderList: int) -> None:
        self.lanes: dict[int, Lane] = {}
        self._client = client
        self._h2 = _Connection(H2Configuration(client_side=client, header_encoding=None))
        self._encoder = Encoder()
        self._h2.encoder = self._encoder  # type: ignore[assignment]  # what h2 sets of it is there
        self._decoder = Decoder(2 * maxHeaderList)
        self._h2.decoder = self._decoder  # type: ignore[assignment]  # the same
        self._window = self._h2._inbound_flow_control_window_manager
        self._receiveWindow = 0
        self._sendWindow = 0
        self.peerMaxStreams = 0
        # The highest stream that we and the peer have opened.
        self._ours = -1 if client else 0
        self._theirs = 0 if client else -1
        self._closed: dict[int, Closed] = {}
        self._forgotten = 0

    def start(self, offered: dict[SettingCodes, int], connectionWindow: int) -> None:
        """
        Write the preface, our first SETTINGS and the connection's window. The settings hold from now on for us: a peer
        that has not seen them yet is held to the larger of the defaults and these.
        """
        h2 = self._h2
        h2.local_settings = Settings(client=self._client, initial_values=dict(offered))
        h2.max_inbound_frame_size = offered[SettingCodes.MAX_FRAME_SIZE]
        if not self._client:
            # The engine has read the preface.
            h2.incoming_buffer.add_data(PREFACE)
        h2.initiate_connection()
        if connectionWindow > self._window.current_window_size:
            h2.increment_flow_control_window(connectionWindow - self._window.current_window_size)
        self._receiveWindow = h2.local_settings.initial_window_size
        self._sendWindow = h2.remote_settings.initial_window_size
        self.peerMaxStreams = h2.remote_settings.max_concurrent_streams

    @property
    def unsent(self) -> bool:
        """
        Whether L{takeOutput} has something.
        """
        return bool(self._h2._data_to_send)

    def takeOutput(self) -> bytes:
        """
        What h2 wants sent.
        """
        return self._h2.data_to_send() if self._h2._data_to_send else b""

    @property
    def peerOffersConnect(self) -> int:
        """
        The peer's SETTINGS_ENABLE_CONNECT_PROTOCOL.
        """
        return self._h2.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL, 0)

    # Streams

    def isIdle(self, streamID: int) -> bool:
        """
        Whether the stream was never opened.
        """
        return streamID > (self._ours if streamID % 2 == int(self._client) else self._theirs)

    def closedBy(self, streamID: int) -> Closed:
        """
        How a stream that is neither idle nor open came to be closed.
        """
        how = self._closed.get(streamID)
        if how is not None:
            return how
        return Closed.FORGOTTEN if streamID <= self._forgotten else Closed.SKIPPED

    def accept(self, streamID: int) -> Lane:
        """
        Open a stream for the peer.
        """
        self._theirs = streamID
        lane = self.lanes[streamID] = Lane(streamID, self._sendWindow, self._receiveWindow, sending=True)
        return lane

    @property
    def exhausted(self) -> bool:
        """
        Whether we have used up our stream identifiers.
        """
        return self._ours >= MAX_WINDOW - 2

    @property
    def nextStreamID(self) -> int:
        """
        That of the stream that L{open} opens.
        """
        return self._ours + 2

    def open(self, end: bool) -> Lane:
        """
        Open a stream for ourselves, whose head is sent.
        """
        self._ours = streamID = self._ours + 2
        lane = self.lanes[streamID] = Lane(streamID, self._sendWindow, self._receiveWindow, sending=not end)
        return lane

    def close(self, lane: Lane, how: Closed) -> None:
        """
        Forget a stream, save how it ended.
        """
        lane.sending = lane.receiving = False
        closed = self._closed
        closed[lane.streamID] = how
        if len(closed) > MAX_REMEMBERED:
            oldest = next(iter(closed))
            del closed[oldest]
            self._forgotten = max(self._forgotten, oldest)

    # Heads

    def encode(self, streamID: int, fields: Sequence[tuple[bytes, bytes]], end: bool) -> bytes:
        """
        The frames of a head. They must be sent in the order in which they were made.
        """
        block = self._encoder.encode(fields)
        flags = END_STREAM if end else 0
        size = self._h2.max_outbound_frame_size
        if len(block) <= size:
            return packHeader(len(block), HEADERS, flags | END_HEADERS, streamID) + block
        out = [packHeader(size, HEADERS, flags, streamID), block[:size]]
        for start in range(size, len(block), size):
            piece = block[start : start + size]
            last = start + size >= len(block)
            out += (packHeader(len(piece), CONTINUATION, END_HEADERS if last else 0, streamID), piece)
        return b"".join(out)

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """
        The header list of a header block. Every block must come through here, in order, or HPACK's state is lost.

        @raise ConnectionError: where it does not decode, or is too long.
        """
        try:
            return self._decoder.decode(block)
        except OversizedHeaderListError as error:
            raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, "a header list beyond the bound") from error
        except HPACKError as error:
            raise ConnectionError(ErrorCodes.COMPRESSION_ERROR, "a header block that does not decode") from error

    @property
    def headerListSize(self) -> int:
        """
        Of the head that was decoded last, bytes as RFC 9113 section 6.5.2 counts them.
        """
        return self._decoder.size

    # Settings

    def receiveSettings(self, settings: Iterable[tuple[int, int]]) -> None:
        """
        The peer's settings, in order; h2 acknowledges them. Those that we don't know are dropped (RFC 9113 section
        6.5.2).

        @raise ConnectionError: where one has a value that it must not have.
        """
        known: dict[int, int] = {}
        try:
            for code, value in settings:
                if code in _SETTINGS:
                    self._h2.remote_settings.validate_received_setting(code, value)
                    known[code] = value
            self._h2._receive_frame(SettingsFrame(settings=known))
        except ProtocolError as error:
            raise ConnectionError(error.error_code, str(error)) from error
        self.peerMaxStreams = self._h2.remote_settings.max_concurrent_streams
        change = self._h2.remote_settings.initial_window_size - self._sendWindow
        if change:
            self._sendWindow += change
            for lane in self.lanes.values():
                lane.sendWindow += change
                if lane.sendWindow > MAX_WINDOW:
                    raise ConnectionError(ErrorCodes.FLOW_CONTROL_ERROR, "a stream's window beyond 2^31-1")

    def changeWindow(self, size: int) -> None:
        """
        Tell the peer that each stream may send C{size} bytes; it holds once that is acknowledged.
        """
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size})

    def receiveAcknowledgement(self) -> None:
        """
        The peer holds to our settings from now on.
        """
        frame = SettingsFrame()
        frame.flags.add("ACK")
        self._h2._receive_frame(frame)
        change = self._h2.local_settings.initial_window_size - self._receiveWindow
        if change:
            self._receiveWindow += change
            for lane in self.lanes.values():
                lane.receiveWindow += change

    # Windows (RFC 9113 section 6.9)

    def sendWindow(self, lane: Lane) -> int:
        """
        How many bytes may be sent on the stream in one frame now.
        """
        h2, window = self._h2, lane.sendWindow
        if h2.outbound_flow_control_window < window:
            window = h2.outbound_flow_control_window
        return window if window < h2.max_outbound_frame_size else h2.max_outbound_frame_size

    @property
    def connectionWindow(self) -> int:
        """
        How many bytes may be sent on the connection now.
        """
        return self._h2.outbound_flow_control_window

    def sent(self, lane: Lane, size: int) -> None:
        """
        DATA was sent.
        """
        lane.sendWindow -= size
        self._h2.outbound_flow_control_window -= size

    def openConnection(self, increment: int) -> bool:
        """
        WINDOW_UPDATE on the connection. False where it would pass 2^31-1.
        """
        self._h2.outbound_flow_control_window += increment
        return self._h2.outbound_flow_control_window <= MAX_WINDOW

    def openStream(self, lane: Lane, increment: int) -> bool:
        """
        WINDOW_UPDATE on a stream. False where it would pass 2^31-1.
        """
        lane.sendWindow += increment
        return lane.sendWindow <= MAX_WINDOW

    def receiveOnConnection(self, size: int) -> bool:
        """
        DATA came. False where the peer has passed the connection's window.
        """
        self._window.current_window_size -= size
        return self._window.current_window_size >= 0

    def receiveOnStream(self, lane: Lane, size: int) -> bool:
        """
        DATA came. False where the peer has passed the stream's window.
        """
        lane.receiveWindow -= size
        return lane.receiveWindow >= 0

    def creditConnection(self, size: int) -> None:
        """
        Have h2 send a WINDOW_UPDATE for the connection.
        """
        self._h2.increment_flow_control_window(size)

    def credit(self, lane: Lane, size: int) -> bytes:
        """
        A WINDOW_UPDATE for a stream.
        """
        lane.receiveWindow += size
        return packHeader(4, WINDOW_UPDATE, 0, lane.streamID) + _UINT32.pack(size)
