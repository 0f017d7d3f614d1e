"""
CONNECT-IP peers that are not ours, both ends: h2, and capsules as RFC 9297 and RFC 9484 write them down. Nothing of
Hermes speaks here.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

DATAGRAM, ADDRESS_ASSIGN, ADDRESS_REQUEST, ROUTE_ADVERTISEMENT = range(4)


def varint(value: int) -> bytes:
    """
    RFC 9000 section 16.
    """
    for size, prefix in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if value < 1 << (8 * size - 2):
            return (value | prefix << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


def readVarint(data: bytes, at: int) -> tuple[int, int]:
    """
    @raise IndexError: where it is not whole.
    """
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + size], "big") & (1 << (8 * size - 2)) - 1, at + size


def capsule(kind: int, value: bytes) -> bytes:
    """
    RFC 9297 section 3.2.
    """
    return varint(kind) + varint(len(value)) + value


def packetCapsule(packet: bytes) -> bytes:
    """
    RFC 9484 section 6: context ID 0.
    """
    return capsule(DATAGRAM, b"\0" + packet)


def addresses(*entries: tuple[int, str]) -> bytes:
    """
    RFC 9484 sections 4.7.1 and 4.7.2: numbers of requests, and prefixes.
    """
    value = b""
    for number, text in entries:
        address, _, length = text.partition("/")
        parsed = ip_address(address)
        value += varint(number) + bytes([parsed.version]) + parsed.packed + bytes([int(length)])
    return value


def routes(*entries: tuple[str, str, int]) -> bytes:
    """
    RFC 9484 section 4.7.3.
    """
    value = b""
    for start, end, protocol in entries:
        first, last = ip_address(start), ip_address(end)
        value += bytes([first.version]) + first.packed + last.packed + bytes([protocol])
    return value


class Tunnel:
    """
    One stream of a peer.

    @ivar headers: what the other end has sent: a request, or a response.
    @ivar capsules: types and values of what came.
    @ivar ended: whether the other end has ended its direction.
    @ivar reset: the code that it was reset with.
    """

    def __init__(self, peer: Peer, stream: int, headers: dict[str, str]) -> None:
        self._peer = peer
        self.stream = stream
        self.headers = headers
        self.capsules: list[tuple[int, bytes]] = []
        self.ended = False
        self.reset: int | None = None
        self._data = b""

    @property
    def packets(self) -> list[bytes]:
        """
        What came under context ID 0.
        """
        return [value[1:] for kind, value in self.capsules if kind == DATAGRAM and value[:1] == b"\0"]

    def of(self, kind: int) -> list[bytes]:
        """
        The values of the capsules of one type that came.
        """
        return [value for each, value in self.capsules if each == kind]

    def received(self, data: bytes) -> None:
        """
        A part of the other end's stream.
        """
        self._data += data
        while True:
            try:
                kind, at = readVarint(self._data, 0)
                size, at = readVarint(self._data, at)
            except IndexError:
                return
            if len(self._data) < at + size:
                return
            self.capsules.append((kind, self._data[at : at + size]))
            self._data = self._data[at + size :]

    def send(self, data: bytes, piece: int | None = None, padding: int | None = None) -> None:
        """
        Send a part of ours, in DATA frames of C{piece} bytes.
        """
        size = piece or len(data)
        for at in range(0, len(data), size):
            self._peer.connection.send_data(self.stream, data[at : at + size], pad_length=padding)
        self._peer.flush()

    def end(self) -> None:
        """
        End our direction.
        """
        self._peer.connection.end_stream(self.stream)
        self._peer.flush()


class Peer(Protocol):
    """
    An HTTP/2 connection in clear, with prior knowledge.

    @ivar tunnels: by stream.
    """

    client = True

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=self.client, header_encoding="utf-8")
        self.connection = h2.connection.H2Connection(config)
        self.tunnels: dict[int, Tunnel] = {}
        self.lost = False
        self.offersConnect = False
        self._waiting: list[tuple[Any, Deferred[None]]] = []

    def until(self, condition: Any) -> Deferred[None]:
        """
        Fires once C{condition()} holds.
        """
        deferred: Deferred[None] = Deferred()
        self._waiting.append((condition, deferred))
        self._check()
        return deferred

    def _check(self) -> None:
        for entry in list(self._waiting):
            if entry[0]():
                self._waiting.remove(entry)
                entry[1].callback(None)

    def flush(self) -> None:
        """
        Send what h2 has written.
        """
        assert self.transport is not None
        self.transport.write(self.connection.data_to_send())

    def connectionMade(self) -> None:
        settings = {
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20,
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100,
        }
        if not self.client:
            settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] = 1
        self.connection.local_settings = h2.settings.Settings(client=self.client, initial_values=settings)
        self.connection.initiate_connection()
        self.connection.increment_flow_control_window(1 << 24)
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            self._happened(event)
        self.flush()
        self._check()

    def _happened(self, event: Any) -> None:
        stream = getattr(event, "stream_id", None)
        tunnel = self.tunnels.get(stream) if stream is not None else None
        if isinstance(event, h2.events.RemoteSettingsChanged):
            code = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
            self.offersConnect = code in event.changed_settings and event.changed_settings[code].new_value == 1
        elif isinstance(event, h2.events.RequestReceived):
            assert stream is not None
            self.tunnels[stream] = Tunnel(self, stream, dict(event.headers))  # type: ignore[arg-type]
            self.requested(self.tunnels[stream])
        elif tunnel is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            tunnel.headers = dict(event.headers)  # type: ignore[arg-type]
        elif isinstance(event, h2.events.DataReceived):
            tunnel.received(event.data)
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            tunnel.ended = True
        elif isinstance(event, h2.events.StreamReset):
            tunnel.reset = event.error_code

    def requested(self, tunnel: Tunnel) -> None:
        """
        A server was asked for a tunnel.
        """

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = True
        self._check()


class Client(Peer):
    """
    A client.
    """

    async def open(self, path: str = "/.well-known/masque/ip/*/*/", **fields: str) -> Tunnel:
        """
        Ask for a tunnel, as RFC 9484 section 4.4 shows it, and wait for the answer.
        """
        await self.until(lambda: self.offersConnect or self.lost)
        stream = self.connection.get_next_available_stream_id()
        headers = [
            (":method", "CONNECT"),
            (":protocol", "connect-ip"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "proxy.example"),
            ("capsule-protocol", "?1"),
            *fields.items(),
        ]
        tunnel = self.tunnels[stream] = Tunnel(self, stream, {})
        self.connection.send_headers(stream, headers)
        self.flush()
        await self.until(lambda: ":status" in tunnel.headers or tunnel.reset is not None or self.lost)
        return tunnel


class Server(Peer):
    """
    A proxy.
    """

    client = False

    def requested(self, tunnel: Tunnel) -> None:
        self.connection.send_headers(tunnel.stream, [(":status", "200"), ("capsule-protocol", "?1")])

    def goAway(self) -> None:
        """
        Ask the client to finish what is open (RFC 9113 section 6.8).
        """
        # h2 would take no more of anything: this is what a server that drains sends.
        assert self.transport is not None
        self.transport.write(struct.pack("!HBBBLLL", 0, 8, 7, 0, 0, (1 << 31) - 1, 0))
