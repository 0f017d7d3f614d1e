"""
h2's view of a connection, and the one place that touches its insides: the windows that the lean DATA path counts down,
and the removal of streams that have closed. Sans-IO.

h2 counts its open streams by walking over all of them for each new one; with ten thousand tunnels that is the largest
cost there is. The engine counts them, so here the walk is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, frozen
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, InformationalResponseReceived, RequestReceived, ResponseReceived, TrailersReceived
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamClosedBy

from hermes.http2.frames import DATA, END_STREAM, MAX_WINDOW, PREFACE, RST_STREAM, packHeader

_MAX_REMEMBERED = 1024


@define(eq=False)
class Lane:
    """
    One open stream.

    @ivar receiving: the peer may send DATA.
    @ivar ended: the peer has sent END_STREAM.
    @ivar sending: we may send DATA.
    @ivar overhead: padding that was received and must be credited with the data.
    @ivar exchange: whoever the stream belongs to, for the handler's use.
    """

    streamID: int
    stream: H2Stream
    receiving: bool = False
    ended: bool = False
    sending: bool = False
    overhead: int = 0
    exchange: object = None


@frozen
class Block:
    """
    A header block that was received.
    """

    fields: Sequence[tuple[bytes, bytes]]
    ended: bool


class _Connection(H2Connection):
    MAX_CLOSED_STREAMS = _MAX_REMEMBERED

    @property
    def open_outbound_streams(self) -> int:
        return 0

    @property
    def open_inbound_streams(self) -> int:
        return 0

    def _terminate_connection(self, error_code: ErrorCodes) -> None:
        # Whether an error is the stream's or the connection's is the engine's to say.
        pass


class State:
    """
    @ivar peerMaxStreams: how many streams the peer lets us have open.
    """

    def __init__(self, client: bool, maxHeaderList: int) -> None:
        self._client = client
        self._h2 = _Connection(
            H2Configuration(
                client_side=client,
                header_encoding=None,
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_inbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._h2.decoder.max_header_list_size = maxHeaderList
        self._window = self._h2._inbound_flow_control_window_manager

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

    @property
    def peerMaxStreams(self) -> int:
        """
        The peer's SETTINGS_MAX_CONCURRENT_STREAMS.
        """
        return self._h2.remote_settings.max_concurrent_streams

    # Streams

    def isIdle(self, streamID: int) -> bool:
        """
        Whether the stream was never opened.
        """
        outbound = streamID % 2 == int(self._client)
        return streamID > (self._h2.highest_outbound_stream_id if outbound else self._h2.highest_inbound_stream_id)

    def known(self, streamID: int) -> bool:
        """
        Whether h2 holds state of the stream.
        """
        return streamID in self._h2.streams

    def closedByReset(self, streamID: int) -> bool:
        """
        Whether a closed stream ended by RST_STREAM of either side, as far as that is remembered.
        """
        return self._h2._stream_is_closed_by_reset(streamID)

    def lane(self, streamID: int) -> Lane:
        """
        The lane of a stream that h2 has just opened for the peer.
        """
        stream = self._h2.streams[streamID]
        return Lane(streamID, stream, receiving=True, sending=True)

    def open(self, fields: Sequence[tuple[bytes, bytes]], end: bool) -> Lane:
        """
        Send a request.
        """
        streamID = self._h2.get_next_available_stream_id()
        self._h2.send_headers(streamID, fields, end_stream=end)
        return Lane(streamID, self._h2.streams[streamID], sending=not end)

    def sendHeaders(self, lane: Lane, fields: Sequence[tuple[bytes, bytes]], end: bool) -> None:
        """
        Send a response or trailers.
        """
        self._h2.send_headers(lane.streamID, fields, end_stream=end)
        if end:
            lane.sending = False

    def end(self, lane: Lane) -> None:
        """
        Send END_STREAM.
        """
        if lane.sending:
            lane.sending = False
            self._h2.end_stream(lane.streamID)

    def reset(self, lane: Lane, code: int) -> None:
        """
        Send RST_STREAM.
        """
        lane.sending = lane.receiving = False
        self._h2.reset_stream(lane.streamID, code)

    def reap(self, lane: Lane) -> bool:
        """
        Forget a stream that has closed. Whether it has.
        """
        if not lane.stream.closed:
            return False
        if self._h2.streams.pop(lane.streamID, None) is not None:
            self._h2._closed_streams[lane.streamID] = lane.stream.closed_by
        return True

    # Frames that h2 reads

    def _receive(self, frame: memoryview | bytes) -> list[Event]:
        return self._h2.receive_data(frame)

    def receiveHeaders(self, frame: memoryview) -> Block | None:
        """
        A HEADERS or CONTINUATION frame.

        @return: the header block, where this completed one that is for us to read.
        """
        for event in self._receive(frame):
            if isinstance(event, RequestReceived | ResponseReceived | TrailersReceived | InformationalResponseReceived):
                # The body's length is the exchange's to check; h2 does not see the body.
                stream = self._h2.streams.get(event.stream_id)
                if stream is not None:
                    stream._expected_content_length = None
                ended = getattr(event, "stream_ended", None) is not None
                return Block(event.headers, ended)
        return None

    def receiveEnd(self, lane: Lane) -> None:
        """
        END_STREAM came with the DATA that the lean path has read.
        """
        lane.receiving = False
        lane.ended = True
        self._receive(packHeader(0, DATA, END_STREAM, lane.streamID))

    def receiveReset(self, lane: Lane) -> None:
        """
        RST_STREAM came.
        """
        self._receive(packHeader(4, RST_STREAM, 0, lane.streamID) + b"\0\0\0\0")
        self._h2.streams.pop(lane.streamID, None)
        self._h2._closed_streams[lane.streamID] = StreamClosedBy.RECV_RST_STREAM

    def receiveSettings(self, frame: memoryview) -> None:
        """
        A SETTINGS frame; h2 acknowledges it and moves the windows.
        """
        self._receive(frame)

    # Windows (RFC 9113 section 6.9)

    def sendWindow(self, lane: Lane) -> int:
        """
        How many bytes may be sent on the stream in one frame now.
        """
        stream, h2 = lane.stream, self._h2
        window = stream.outbound_flow_control_window
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
        lane.stream.outbound_flow_control_window -= size
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
        lane.stream.outbound_flow_control_window += increment
        return lane.stream.outbound_flow_control_window <= MAX_WINDOW

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
        window = lane.stream._inbound_window_manager
        window.current_window_size -= size
        return window.current_window_size >= 0

    def creditConnection(self, size: int) -> None:
        """
        Send a WINDOW_UPDATE for the connection.
        """
        self._h2.increment_flow_control_window(size)

    def credit(self, lane: Lane, size: int) -> None:
        """
        Send a WINDOW_UPDATE for a stream.
        """
        self._h2.increment_flow_control_window(size, lane.streamID)
