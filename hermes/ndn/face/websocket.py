"""
A WebSocket as a channel of packets (RFC 6455): each binary message is one packet, as NFD and browsers' libraries have
it. The protocol itself is wsproto's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITransport
from twisted.python.failure import Failure
from wsproto import WSConnection
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from hermes.errors import FlowError, HopUnavailable
from hermes.ndn.face.backlog import MAX_BATCH
from hermes.ndn.face.framing import MAX_LINK_PACKET
from hermes.ndn.face.streamchannel import StreamChannel
from hermes.values import Buffer, Target

HANDSHAKE_TIME: Final = 10.0
"""
Seconds that the opening handshake may take.
"""

PING_EVERY: Final = 60.0
"""
Seconds of silence after which the peer is asked whether it is there; if it says nothing for as long again, it is not.
"""


_FORWARDED = frozenset((b"via", b"forwarded", b"x-forwarded-for"))


class WebSocketRefused(FlowError):
    """
    The opening handshake failed. The text says why.
    """

    status = 502
    proxyStatus = "http_upgrade_failed"


class WebSocketChannel(StreamChannel):
    """
    One end of a WebSocket: make it the protocol of a stream.

    @ivar origin: the C{Origin} that a browser names, as the server; L{None} where it is no browser.
    @ivar forwarded: whether the request came by a proxy that says so, as the server: the peer's address is the proxy's.
    """

    def __init__(
        self, clock: IReactorTime, opened: Callable[[WebSocketChannel], None], origins: Sequence[str] | None = None
    ) -> None:
        """
        The server's end.

        @param opened: is called once the handshake is done. Where it fails, C{connectionLost} is all there is.
        @param origins: the origins whose pages may connect, C{https://app.example}; L{None}: all. Who is no browser
            names none, and is not asked.
        """
        super().__init__()
        self.origin: str | None = None
        self.forwarded = False
        self._clock = clock
        self._opened = opened
        self._origins = origins
        self._failed: Callable[[Failure], None] | None = None
        self._request: Request | None = None
        self._websocket = WSConnection(ConnectionType.SERVER)
        self._isOpen = False
        self._parts: list[bytes] = []
        self._partsSize = 0
        self._timer: IDelayedCall | None = None
        self._reading: IDelayedCall | None = None
        self._heard = True

    @classmethod
    def client(
        cls,
        clock: IReactorTime,
        opened: Callable[[WebSocketChannel], None],
        failed: Callable[[Failure], None],
        target: Target,
        path: str = "/",
    ) -> WebSocketChannel:
        """
        The client's end.

        @param failed: is called where the handshake fails, with a L{hermes.errors.FlowError}.
        """
        channel = cls(clock, opened)
        channel._failed = failed
        channel._websocket = WSConnection(ConnectionType.CLIENT)
        channel._request = Request(host=str(target), target=path or "/")
        return channel

    def _framed(self, packets: Sequence[Buffer]) -> Sequence[Buffer]:
        send = self._websocket.send
        return [send(BytesMessage(data=bytes(packet))) for packet in packets]

    # The stream

    def makeConnection(self, transport: ITransport) -> None:
        self.transport = transport
        self._timer = self._clock.callLater(HANDSHAKE_TIME, self._tooSlow)
        if self._ending is not None:
            self._finish()
        elif self._request is not None:
            self.transport.write(self._websocket.send(self._request))

    def dataReceived(self, data: Buffer) -> None:
        self._heard = True
        if self._websocket.state in (ConnectionState.CLOSED, ConnectionState.REJECTING):
            return
        try:
            self._websocket.receive_data(bytes(data))
        except (RemoteProtocolError, LocalProtocolError) as error:
            self._wrong(error)
            return
        if self._reading is None:
            self._read()

    def _readOn(self) -> None:
        """
        It is this one's turn again.
        """
        self._reading = None
        self._read()
        if self._reading is None:
            self.goOnReading()

    def _read(self) -> None:
        """
        Take what has come. Of more than a face deals with before others, the rest has to wait: messages cost more to
        read than packets of a stream.
        """
        packets: list[bytes] = []
        try:
            for event in self._websocket.events():
                self._take(event, packets)
                if self._lost is not None:
                    return
                if len(packets) == MAX_BATCH:
                    self._reading = self._clock.callLater(0, self._readOn)
                    self.holdReading()
                    break
        except (RemoteProtocolError, LocalProtocolError) as error:
            self._wrong(error)
        if packets and self._ending is None:
            self._deliver(packets)

    def _wrong(self, error: RemoteProtocolError | LocalProtocolError) -> None:
        """
        What has come is no WebSocket's; or, as the local error, it comes after its end.
        """
        hint = getattr(error, "event_hint", None)
        if isinstance(hint, RejectConnection):
            self._reject(hint.status_code, str(error))
        else:
            self._fail(str(error))

    def _take(self, event: Event, packets: list[bytes]) -> None:
        if isinstance(event, BytesMessage):
            self._message(event, packets)
        elif isinstance(event, Request):
            self._accept(event)
        elif isinstance(event, AcceptConnection):
            self._begin()
        elif isinstance(event, Ping):
            self.transport.write(self._websocket.send(event.response()))
        elif isinstance(event, TextMessage):
            self._close(CloseReason.UNSUPPORTED_DATA, "packets are binary")
        elif isinstance(event, CloseConnection):
            # A peer that has ended in order, or sent what is no frame.
            if self._websocket.state in (ConnectionState.REMOTE_CLOSING, ConnectionState.OPEN):
                self.transport.write(self._websocket.send(event.response()))
            self._takeQueue()
            self.transport.loseConnection()
        elif isinstance(event, (RejectConnection, RejectData)):
            status = getattr(event, "status_code", 0)
            self._fail(f"the server refused the WebSocket with status {status}" if status else "refused")

    def _message(self, event: BytesMessage, packets: list[bytes]) -> None:
        self._partsSize += len(event.data)
        if self._partsSize > MAX_LINK_PACKET:
            self._close(CloseReason.MESSAGE_TOO_BIG, "no packet is so large")
            return
        if event.message_finished and not self._parts:
            packets.append(bytes(event.data))
        else:
            self._parts.append(bytes(event.data))
            if not event.message_finished:
                return
            packets.append(b"".join(self._parts))
            self._parts.clear()
        self._partsSize = 0

    # The handshake

    def _accept(self, request: Request) -> None:
        headers = dict(request.extra_headers)
        self.forwarded = not _FORWARDED.isdisjoint(headers)
        origin = headers.get(b"origin")
        if origin is not None:
            self.origin = origin.decode("ascii", "replace")
            if self._origins is not None and self.origin not in self._origins:
                self._reject(403, f"pages of {self.origin} may not connect")
                return
        self.transport.write(self._websocket.send(AcceptConnection()))
        self._begin()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.callLater(PING_EVERY, self._ping)
        self._isOpen = True
        self._open()
        self._opened(self)

    def _reject(self, status: int, reason: str) -> None:
        self.log.info("{peer}: no WebSocket: {reason}", peer=self.transport.getPeer(), reason=reason)
        # It ends before anything else of it is looked at.
        self.transport.write(self._websocket.send(RejectConnection(status_code=status)))
        self._ending = WebSocketRefused(reason)
        self.transport.loseConnection()

    def _tooSlow(self) -> None:
        self._timer = None
        self._fail("the handshake took too long")

    def _ping(self) -> None:
        self._timer = None
        if not self._heard:
            self._fail("the peer is silent")
            return
        self._heard = False
        if self._websocket.state is ConnectionState.OPEN:
            self.transport.write(self._websocket.send(Ping()))
        self._timer = self._clock.callLater(PING_EVERY, self._ping)

    # The end

    def _fail(self, reason: str) -> None:
        if self._ending is None and not self._isOpen:
            self._ending = WebSocketRefused(reason)
        self.transport.abortConnection()

    def _close(self, code: CloseReason, reason: str) -> None:
        """
        What the peer sends is not taken.
        """
        self.log.info("{peer}: {reason}", peer=self.transport.getPeer(), reason=reason)
        if self._websocket.state is ConnectionState.OPEN:
            self.transport.write(self._websocket.send(CloseConnection(code=code, reason=reason)))
        self.loseChannel()

    def _finish(self) -> None:
        queue = self._takeQueue()
        if self._websocket.state is ConnectionState.OPEN:
            if queue:
                self.transport.writeSequence(self._framed(queue))
            self.transport.write(self._websocket.send(CloseConnection(code=CloseReason.NORMAL_CLOSURE)))
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._reading is not None and self._reading.active():
            self._reading.cancel()
        super().connectionLost(reason)
        failed, self._failed = self._failed, None
        if failed is not None and not self._isOpen:
            error = self._ending or HopUnavailable("the connection ended within the handshake of its WebSocket")
            failed(Failure(error))
