"""
The far end of an HTTP/2 connection, written by hand: frames as bytes, right or wrong, and what came back.

Nothing here comes from the code under test. Header blocks are literals that no table remembers, so that a frame means
the same wherever it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack, unpack

from attrs import field, frozen
from hpack import Decoder
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.http2.connection import ClientConnection, ServerConnection
from hermes.http2.exchange import ClientExchange
from hermes.http2.handler import EngineSettings
from hermes.http2.protocol import Connection
from hermes.interfaces import IExchangeHandler, IServerExchange
from hermes.test.http2.wire import Keeper, Wire
from hermes.values import Buffer, RequestHead, ResponseHead

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
WITH_PRIORITY = 32

(
    NO_ERROR,
    PROTOCOL_ERROR,
    INTERNAL_ERROR,
    FLOW_CONTROL_ERROR,
    SETTINGS_TIMEOUT,
    STREAM_CLOSED,
    FRAME_SIZE_ERROR,
    REFUSED_STREAM,
    CANCEL,
    COMPRESSION_ERROR,
    CONNECT_ERROR,
    ENHANCE_YOUR_CALM,
) = range(12)

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)
ENABLE_CONNECT_PROTOCOL = 8

Fields = tuple[tuple[bytes, bytes], ...]

GET: Fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a.example"))
POST: Fields = ((b":method", b"POST"), *GET[1:])
HEAD: Fields = ((b":method", b"HEAD"), *GET[1:])
OK: Fields = ((b":status", b"200"),)
BODY = b"hermes answers"
REQUEST = RequestHead(b"GET", b"http", b"a.example", b"/")


def frame(kind: int, flags: int, streamID: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """
    One frame, whose length field may lie.
    """
    size = len(payload) if length is None else length
    return pack("!I", size)[1:] + bytes([kind, flags]) + pack("!I", streamID) + payload


def integer(value: int, bits: int, first: int) -> bytes:
    """
    An HPACK integer (RFC 7541 section 5.1).
    """
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    value -= limit
    out = [first | limit]
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def literal(name: bytes, value: bytes) -> bytes:
    """
    A literal field with a new name, without indexing (RFC 7541 section 6.2.2).
    """
    return b"\0" + integer(len(name), 7, 0) + name + integer(len(value), 7, 0) + value


def block(fields: Fields) -> bytes:
    """
    A header block of literals.
    """
    return b"".join(literal(name, value) for name, value in fields)


def headers(
    streamID: int = 1, fields: Fields = GET, end: bool = False, flags: int = END_HEADERS, extra: bytes = b""
) -> bytes:
    """
    A HEADERS frame; C{extra} follows the fields in the block.
    """
    return frame(HEADERS, flags | (END_STREAM if end else 0), streamID, block(fields) + extra)


def continuation(streamID: int, fields: Fields = (), end: bool = True) -> bytes:
    """
    A CONTINUATION frame; C{end} is END_HEADERS.
    """
    return frame(CONTINUATION, END_HEADERS if end else 0, streamID, block(fields))


def data(streamID: int = 1, payload: bytes = b"test", end: bool = False, pad: int | None = None) -> bytes:
    """
    A DATA frame.
    """
    flags = END_STREAM if end else 0
    if pad is not None:
        return frame(DATA, flags | PADDED, streamID, bytes([pad]) + payload + bytes(pad))
    return frame(DATA, flags, streamID, payload)


def settings(*pairs: tuple[int, int], ack: bool = False) -> bytes:
    """
    A SETTINGS frame.
    """
    return frame(SETTINGS, ACK if ack else 0, 0, b"".join(pack("!HI", *pair) for pair in pairs))


def ping(payload: bytes = b"are you?", ack: bool = False) -> bytes:
    """
    A PING.
    """
    return frame(PING, ACK if ack else 0, 0, payload)


def reset(streamID: int = 1, code: int = CANCEL) -> bytes:
    """
    A RST_STREAM.
    """
    return frame(RST_STREAM, 0, streamID, pack("!I", code))


def windowUpdate(streamID: int, increment: int) -> bytes:
    """
    A WINDOW_UPDATE.
    """
    return frame(WINDOW_UPDATE, 0, streamID, pack("!I", increment))


def priority(streamID: int, parent: int = 0, weight: int = 255, exclusive: bool = False) -> bytes:
    """
    A PRIORITY.
    """
    return frame(PRIORITY, 0, streamID, pack("!IB", parent | (1 << 31 if exclusive else 0), weight))


def goAway(last: int = 0, code: int = NO_ERROR, debug: bytes = b"") -> bytes:
    """
    A GOAWAY.
    """
    return frame(GOAWAY, 0, 0, pack("!II", last, code) + debug)


@frozen
class Frame:
    """
    A frame that came back. A header block has been decoded.
    """

    kind: int
    flags: int
    streamID: int
    payload: bytes
    fields: Fields = field(default=(), eq=False)

    @property
    def code(self) -> int:
        """
        The error code of a RST_STREAM or GOAWAY.
        """
        value: int = unpack("!I", self.payload[-4:] if self.kind == RST_STREAM else self.payload[4:8])[0]
        return value

    @property
    def last(self) -> int:
        """
        The last stream of a GOAWAY.
        """
        value: int = unpack("!I", self.payload[:4])[0]
        return value


@implementer(IProtocol, IHalfCloseableProtocol)
class _Answer:
    """
    Answers a request once its body has come.
    """

    def __init__(self, exchange: IServerExchange) -> None:
        self._exchange = exchange
        self.body = b""

    def makeConnection(self, transport: object) -> None:
        pass

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: Buffer) -> None:
        self.body += data

    def readConnectionLost(self) -> None:
        isHead = self._exchange.request.method == b"HEAD"
        self._exchange.respond(ResponseHead(200, ((b"x-received", b"%d" % len(self.body)),)), end=isHead)
        if not isHead:
            self._exchange.write(BODY)
            self._exchange.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        pass


@implementer(IExchangeHandler)
class Answering(Keeper):
    """
    Answers each request with 200 and L{BODY}.
    """

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        super().exchangeReceived(exchange)
        exchange.attach(_Answer(exchange))


class Peer:
    """
    The far end of one connection of ours.

    @ivar frames: what has come back, but for the SETTINGS and the WINDOW_UPDATE of our preface.
    @ivar chunk: how many bytes reach the connection at a time; 0 for all.
    """

    connection: Connection

    def __init__(self, chunk: int = 0, handler: Keeper | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.handler = handler or Keeper()
        self.wire = Wire()
        self.chunk = chunk
        self.frames: list[Frame] = []
        self.preface: list[Frame] = []
        self._decoder = Decoder()
        self._block = b""

    def send(self, *frames: bytes) -> None:
        """
        Let the connection read.
        """
        stream = b"".join(frames)
        # Long ones byte by byte would take long.
        step = (self.chunk if len(stream) < 20_000 else 16_383) if self.chunk else max(len(stream), 1)
        for offset in range(0, len(stream), step):
            self.connection.dataReceived(stream[offset : offset + step])
        self.read()

    def read(self) -> None:
        """
        Take what was written.
        """
        written = self.wire.take().removeprefix(PREFACE)
        while written:
            size = int.from_bytes(written[:3], "big")
            kind, flags, streamID = unpack("!BBI", written[3:9])
            payload = written[9 : 9 + size]
            assert len(payload) == size, "half a frame"
            fields: Fields = ()
            if kind in (HEADERS, CONTINUATION):
                self._block += payload
                if flags & END_HEADERS:
                    fields = tuple((bytes(each[0]), bytes(each[1])) for each in self._decoder.decode(self._block, True))
                    self._block = b""
            self.frames.append(Frame(kind, flags, streamID, payload, fields))
            written = written[9 + size :]

    def of(self, kind: int, streamID: int | None = None) -> list[Frame]:
        """
        The frames of one type, on one stream.
        """
        return [each for each in self.frames if each.kind == kind and streamID in (None, each.streamID)]

    def bodyOf(self, streamID: int = 1) -> bytes:
        """
        The DATA on a stream.
        """
        return b"".join(each.payload for each in self.of(DATA, streamID))

    def hangUp(self) -> None:
        """
        Close the connection.
        """
        self.connection.connectionLost(Failure(ConnectionDone()))

    def _begin(self) -> None:
        self.connection.makeConnection(self.wire)
        self.read()
        self.preface, self.frames = self.frames, []


class RawClient(Peer):
    """
    A client of a L{ServerConnection}.
    """

    def __init__(
        self,
        settings: EngineSettings | None = None,
        answers: bool = False,
        handshake: bool = True,
        chunk: int = 0,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(chunk, Answering() if answers else Keeper(), clock)
        self.connection = ServerConnection(self.handler, self.clock, settings)
        self._begin()
        if handshake:
            self.send(PREFACE, frame(SETTINGS, 0, 0), frame(SETTINGS, ACK, 0))
            self.frames.clear()


class RawServer(Peer):
    """
    A server of a L{ClientConnection}, which has asked for something on stream 1.

    @ivar outcomes: the response on each stream, or the error.
    """

    def __init__(
        self,
        settings: EngineSettings | None = None,
        handshake: bool = True,
        chunk: int = 0,
        request: RequestHead = REQUEST,
        end: bool = True,
        offers: tuple[tuple[int, int], ...] = (),
        clock: Clock | None = None,
    ) -> None:
        super().__init__(chunk, clock=clock)
        self.connection: ClientConnection = ClientConnection(self.clock, settings)
        self.connection.ready.addErrback(lambda _: None)
        self.exchanges: list[ClientExchange] = []
        self.outcomes: dict[int, object] = {}
        self._begin()
        if handshake:
            self.send(frame(SETTINGS, 0, 0, b"".join(pack("!HI", *pair) for pair in offers)), frame(SETTINGS, ACK, 0))
            self.frames.clear()
            self.ask(request, end)
            self.frames.clear()

    def ask(self, request: RequestHead = REQUEST, end: bool = True) -> int:
        """
        Let the client open an exchange.

        @return: its stream.
        """
        exchange = self.connection.open(request, end)
        self.exchanges.append(exchange)
        streamID = 2 * len(self.exchanges) - 1
        exchange.response().addBoth(self._came, streamID)
        self.read()
        return streamID

    def _came(self, outcome: ResponseHead | Failure, streamID: int) -> None:
        self.outcomes[streamID] = outcome.value if isinstance(outcome, Failure) else outcome


Step = bytes | Callable[[Peer], object]
