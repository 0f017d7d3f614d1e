"""
A CONNECT-IP client of the plainest kind, for packets that no decent client sends: HTTP/1.1 Upgrade and capsules, by
hand (RFC 9484 section 3, RFC 9297). Nothing of Hermes; it blocks.

And eyes: what is written to a device.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from types import TracebackType

from hermes.test.namespaces import Namespace

PATIENCE = 20.0

DATAGRAM, ADDRESS_ASSIGN, ADDRESS_REQUEST, ROUTE_ADVERTISEMENT = 0, 1, 2, 3

REQUEST = (
    "GET /.well-known/masque/ip/{target}/{protocol}/ HTTP/1.1\r\n"
    "Host: {host}\r\nConnection: Upgrade\r\nUpgrade: connect-ip\r\nCapsule-Protocol: ?1\r\n\r\n"
)


class TunnelEnded(AssertionError):
    """
    The proxy has ended the tunnel.
    """


class RawTunnel:
    """
    A tunnel to a proxy that asks for no name and no TLS.

    @ivar addresses: what was assigned, by version of IP.
    @ivar capsules: types and values of what came and was not read.
    """

    def __init__(self, host: Namespace, proxy: tuple[str, int], target: str = "%2A", protocol: str = "%2A") -> None:
        """
        @param target: a prefix or a name, as it is in the path.
        @param protocol: a number.
        """
        with host.entered():
            self._socket = socket.create_connection(proxy, PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bytes = b""
        self.addresses: dict[int, str] = {}
        self.capsules: list[tuple[int, bytes]] = []
        self._socket.sendall(REQUEST.format(host=f"{proxy[0]}:{proxy[1]}", target=target, protocol=protocol).encode())
        while b"\r\n\r\n" not in self._bytes:
            self._more()
        head, _, self._bytes = self._bytes.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise TunnelEnded(head.decode())

    def __enter__(self) -> RawTunnel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _more(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except ConnectionResetError as error:
            raise TunnelEnded("the tunnel was reset") from error
        if not data:
            raise TunnelEnded("the tunnel has ended")
        self._bytes += data

    def capsule(self) -> tuple[int, bytes]:
        """
        The next capsule.
        """
        while True:
            for kind, at in _varint(self._bytes, 0):
                for size, start in _varint(self._bytes, at):
                    if len(self._bytes) - start >= size:
                        value = self._bytes[start : start + size]
                        self._bytes = self._bytes[start + size :]
                        return kind, value
            self._more()

    def write(self, kind: int, value: bytes) -> None:
        """
        Send a capsule.
        """
        self._socket.sendall(encode(kind) + encode(len(value)) + value)

    def send(self, packet: bytes, context: int = 0) -> None:
        """
        Send a packet.
        """
        self.write(DATAGRAM, encode(context) + packet)

    def receive(self) -> bytes:
        """
        The next packet.
        """
        while True:
            kind, value = self.capsule()
            if kind == DATAGRAM:
                for context, at in _varint(value, 0):
                    if context == 0:
                        return value[at:]
            else:
                self.capsules.append((kind, value))

    def ask(self, *wishes: str) -> None:
        """
        Ask for addresses, and wait until they are assigned.

        @param wishes: prefixes; C{0.0.0.0/32} for any IPv4 address, C{::/128} for any IPv6 address.
        """
        value = b""
        for number, wish in enumerate(map(ipaddress.ip_network, wishes), 1):
            value += encode(number) + bytes((wish.version,)) + wish.network_address.packed + bytes((wish.prefixlen,))
        self.write(ADDRESS_REQUEST, value)
        while len(self.addresses) < len(wishes):
            kind, value = self.capsule()
            if kind != ADDRESS_ASSIGN:
                self.capsules.append((kind, value))
                continue
            at = 0
            while at < len(value):
                ((_, at),) = _varint(value, at)
                version = value[at]
                size = 4 if version == 4 else 16
                self.addresses[version] = str(ipaddress.ip_address(value[at + 1 : at + 1 + size]))
                at += size + 2


def encode(number: int) -> bytes:
    """
    A varint (RFC 9000 section 16).
    """
    if number < 1 << 6:
        return struct.pack("!B", number)
    if number < 1 << 14:
        return struct.pack("!H", number | 1 << 14)
    return struct.pack("!I", number | 1 << 31)


def _varint(data: bytes, at: int) -> list[tuple[int, int]]:
    """
    The varint at C{at} and where it ends; nothing where it has not come yet.
    """
    if at >= len(data):
        return []
    size = 1 << (data[at] >> 6)
    if len(data) - at < size:
        return []
    return [(int.from_bytes(data[at : at + size], "big") & (1 << 8 * size - 2) - 1, at + size)]


class Eyes:
    """
    Sees every packet that a device of a host hands to its kernel, and those that it is given.
    """

    def __init__(self, host: Namespace, device: str) -> None:
        with host.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self._socket.bind((device, 3))
        self._socket.settimeout(PATIENCE)

    def __enter__(self) -> Eyes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def until(self, marker: bytes) -> list[bytes]:
        """
        What came from outside, before the packet that holds C{marker}.
        """
        seen: list[bytes] = []
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            data, (_, _, kind, *_) = self._socket.recvfrom(1 << 17)
            if kind == socket.PACKET_OUTGOING:
                continue
            if marker in data:
                return seen
            seen.append(data)
        raise AssertionError("the last packet did not come")


def inject(host: Namespace, device: str, packets: list[bytes]) -> None:
    """
    Send packets through a device as they are, past the kernel's own checks.
    """
    with host.entered():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with raw:
        for packet in packets:
            protocol = 0x86DD if packet[:1] and packet[0] >> 4 == 6 else 0x0800
            raw.sendto(packet, (device, protocol))
