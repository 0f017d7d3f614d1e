"""
h2's view of a connection, and the one place that touches its insides: the windows that the lean DATA path counts down,
and the removal of streams that have closed. Sans-IO.

h2 does HPACK, the settings, what is sent, and holds the windows. What a peer may send on a stream is the lane's to say:
a stream that h2 sees is one that h2 was told of, so that no frame of a peer's can find h2 in a state of its own.

h2 counts its open streams by walking over all of them for each new one; with ten thousand tunnels that is the largest
cost there is. The engine counts them, so here the walk is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from attrs import define
from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, ConnectionInputs, H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamInputs
from hpack import Decoder, Encoder, HPACKError, OversizedHeaderListError
from hpack.exceptions import HPACKDecodingError
from hyperframe.frame import SettingsFrame

from hermes.http2.frames import MAX_WINDOW, PREFACE, ConnectionError

MAX_REMEMBERED = 1024
"""
Of how many streams that have closed it is remembered how.
"""

MAX_TABLE = 4096
"""
The largest HPACK table that we keep for what we send, bytes, however much the peer offers: h2 searches it from end to
end for each field.
"""


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

    @ivar receiving: the peer may send DATA.
    @ivar ended: the peer has sent END_STREAM.
    @ivar sending: we may send DATA.
    @ivar answered: we have sent the head of a final response.
    @ivar informational: how many informational responses have come.
    @ivar overhead: padding that was received and must be credited with the data.
    @ivar exchange: whoever the stream belongs to, for the handler's use.
    """

    streamID: int
    stream: H2Stream
    receiving: bool = False
    ended: bool = False
    sending: bool = False
    answered: bool = False
    informational: int = 0
    overhead: int = 0
    exchange: object = None


class _Connection(H2Connection):
    @property
    def open_outbound_streams(self) -> int:
        return 0

    @property
    def open_inbound_streams(self) -> int:
        return 0

    def _terminate_connection(self, error_code: ErrorCodes) -> None:
        # Whether an error is the stream's or the connection's is the engine's to say.
        pass


class _Decoder(Decoder):
    """
    A block may begin with two changes of the table's size (RFC 7541 section 4.2); more would be work for nothing.
    """

    def decode(self, data: bytes, raw: bool = False) -> Iterable[tuple[bytes, bytes]]:  # type: ignore[override]
        self._changes = 0
        return super().decode(data, raw)

    def _update_encoding_context(self, data: bytes | memoryview) -> int:
        self._changes += 1
        if self._changes > 2:
            raise HPACKDecodingError("more than two table size updates")
        return super()._update_encoding_context(data)


class _Encoder(Encoder):
    """
    An encoder whose table is bounded by L{MAX_TABLE}, and that remembers two of the sizes that it was given: the
    smallest and the last (RFC 7541 section 4.2).
    """

    @property
    def header_table_size(self) -> int:
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        self.header_table.maxsize = size = min(value, MAX_TABLE)
        if self.header_table.resized:
            self.table_size_changes.append(size)
        if len(self.table_size_changes) > 2:
            self.table_size_changes = [min(self.table_size_changes), size]


_SETTINGS = frozenset(SettingCodes)


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
        self._h2.encoder = _Encoder()
        self._h2.decoder = self._decoder = _Decoder(maxHeaderList)
        self._window = self._h2._inbound_flow_control_window_manager
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
        stream = self._h2._begin_new_stream(streamID, AllowedStreamIDs.ODD)
        self._h2.state_machine.process_input(ConnectionInputs.RECV_HEADERS)
        stream.state_machine.process_input(StreamInputs.RECV_HEADERS)
        return Lane(streamID, stream, sending=True)

    @property
    def exhausted(self) -> bool:
        """
        Whether we have used up our stream identifiers.
        """
        return self._h2.highest_outbound_stream_id >= MAX_WINDOW - 2

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
        lane.answered = lane.answered or fields[0][1][:1] != b"1"
        if end:
            lane.sending = False

    def end(self, lane: Lane) -> None:
        """
        END_STREAM is sent with DATA.
        """
        lane.sending = False
        lane.stream.state_machine.process_input(StreamInputs.SEND_END_STREAM)

    def close(self, lane: Lane, how: Closed) -> None:
        """
        Forget a stream, save how it ended.
        """
        lane.sending = lane.receiving = False
        closed = self._closed
        self._h2.streams.pop(lane.streamID, None)
        closed[lane.streamID] = how
        if len(closed) > MAX_REMEMBERED:
            oldest = next(iter(closed))
            del closed[oldest]
            self._forgotten = max(self._forgotten, oldest)

    # What we receive

    def decode(self, block: bytes) -> Sequence[tuple[bytes, bytes]]:
        """
        The header list of a header block. Every block must come through here, in order, or HPACK's state is lost.

        @raise ConnectionError: where it does not decode, or is too long.
        """
        try:
            return list(self._decoder.decode(block, raw=True))
        except OversizedHeaderListError as error:
            raise ConnectionError(ErrorCodes.ENHANCE_YOUR_CALM, "a header list beyond the bound") from error
        except (HPACKError, IndexError) as error:
            raise ConnectionError(ErrorCodes.COMPRESSION_ERROR, "a header block that does not decode") from error

    def receiveSettings(self, settings: Iterable[tuple[int, int]]) -> None:
        """
        The peer's settings, in order; h2 acknowledges them and moves the windows. Those that we don't know are dropped
        (RFC 9113 section 6.5.2).

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
