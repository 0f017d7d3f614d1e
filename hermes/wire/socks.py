"""
SOCKS version 5 (RFC 1928) and its user name and password method (RFC 1929): the messages of both sides.

Every C{parse} function is given all that has arrived so far and returns the value and how many bytes it has, or L{None}
and 0 where more is needed. It raises L{MalformedError} as soon as the bytes can't become the message. All messages are
short: the longest has 513 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from attrs import frozen

from hermes.wire.buffers import Buffer
from hermes.wire.errors import MalformedError
from hermes.wire.host import parseHost

VERSION: Final = 5

METHOD_NONE: Final = 0x00
METHOD_PASSWORD: Final = 0x02
METHOD_UNACCEPTABLE: Final = 0xFF

COMMAND_CONNECT: Final = 0x01
COMMAND_BIND: Final = 0x02
COMMAND_UDP_ASSOCIATE: Final = 0x03

REPLY_SUCCEEDED: Final = 0x00
REPLY_FAILURE: Final = 0x01
REPLY_NOT_ALLOWED: Final = 0x02
REPLY_NETWORK_UNREACHABLE: Final = 0x03
REPLY_HOST_UNREACHABLE: Final = 0x04
REPLY_REFUSED: Final = 0x05
REPLY_TTL_EXPIRED: Final = 0x06
REPLY_COMMAND_NOT_SUPPORTED: Final = 0x07
REPLY_ADDRESS_NOT_SUPPORTED: Final = 0x08

_REPLY_FOR = {
    "http_request_denied": REPLY_NOT_ALLOWED,
    "destination_ip_prohibited": REPLY_NOT_ALLOWED,
    "dns_error": REPLY_HOST_UNREACHABLE,
    "dns_timeout": REPLY_HOST_UNREACHABLE,
    "destination_not_found": REPLY_HOST_UNREACHABLE,
    "destination_unavailable": REPLY_HOST_UNREACHABLE,
    "destination_ip_unroutable": REPLY_NETWORK_UNREACHABLE,
    "connection_refused": REPLY_REFUSED,
    # RFC 1928 has no time-out; this is what other servers say for it.
    "connection_timeout": REPLY_TTL_EXPIRED,
}

_IPV4, _NAME, _IPV6 = 1, 3, 4
_PASSWORD_VERSION = 1


class SocksError(MalformedError):
    """
    A request that is refused with a reply of its own.

    @ivar reply: the reply code.
    """

    def __init__(self, message: str, reply: int) -> None:
        super().__init__(message)
        self.reply = reply


@frozen
class SocksRequest:
    """
    What a client asks for (RFC 1928 section 4).

    @ivar command: one of the C{COMMAND_} constants, or a number that is none.
    @ivar host: a name or an address, without brackets.
    @ivar port: 0 to 65535.
    """

    command: int
    host: str
    port: int


@frozen
class SocksReply:
    """
    What a server answers (RFC 1928 section 6).

    @ivar code: one of the C{REPLY_} constants, or a number that is none.
    @ivar host: the bound address, or a name.
    @ivar port: the bound port.
    """

    code: int
    host: str = "0.0.0.0"
    port: int = 0


def replyFor(proxyStatus: str) -> int:
    """
    The reply code that comes nearest to a Proxy-Status error type (RFC 9209 section 2.3).
    """
    return _REPLY_FOR.get(proxyStatus, REPLY_FAILURE)


def parseGreeting(buffer: Buffer) -> tuple[tuple[int, ...] | None, int]:
    """
    The client's first message: the authentication methods that it offers.
    """
    _version(buffer, VERSION)
    if len(buffer) < 2 or len(buffer) < 2 + buffer[1]:
        return None, 0
    end = 2 + buffer[1]
    return tuple(buffer[2:end]), end


def writeGreeting(methods: Sequence[int]) -> bytes:
    """
    The inverse of L{parseGreeting}: 1 to 255 methods.
    """
    return bytes([VERSION, len(methods), *methods])


def parseMethod(buffer: Buffer) -> tuple[int | None, int]:
    """
    The server's choice of a method.
    """
    _version(buffer, VERSION)
    return (buffer[1], 2) if len(buffer) >= 2 else (None, 0)


def writeMethod(method: int) -> bytes:
    """
    The inverse of L{parseMethod}.
    """
    return bytes([VERSION, method])


def parsePassword(buffer: Buffer) -> tuple[tuple[str, str] | None, int]:
    """
    User name and password, in UTF-8 (RFC 1929 section 2).
    """
    _version(buffer, _PASSWORD_VERSION)
    if len(buffer) < 2:
        return None, 0
    middle = 2 + buffer[1]
    if len(buffer) <= middle:
        return None, 0
    end = middle + 1 + buffer[middle]
    if len(buffer) < end:
        return None, 0
    try:
        return (bytes(buffer[2:middle]).decode("utf-8"), bytes(buffer[middle + 1 : end]).decode("utf-8")), end
    except UnicodeDecodeError:
        raise MalformedError("user name and password are not in UTF-8") from None


def writePassword(user: str, password: str) -> bytes:
    """
    The inverse of L{parsePassword}.

    @raise ValueError: if one of them has more than 255 bytes.
    """
    return bytes([_PASSWORD_VERSION]) + _short(user.encode("utf-8")) + _short(password.encode("utf-8"))


def parsePasswordReply(buffer: Buffer) -> tuple[bool | None, int]:
    """
    Whether user name and password were right.
    """
    _version(buffer, _PASSWORD_VERSION)
    return (buffer[1] == 0, 2) if len(buffer) >= 2 else (None, 0)


def writePasswordReply(accepted: bool) -> bytes:
    """
    The inverse of L{parsePasswordReply}; after a refusal the server closes the connection.
    """
    return bytes([_PASSWORD_VERSION, 0 if accepted else 1])


def parseRequest(buffer: Buffer) -> tuple[SocksRequest | None, int]:
    """
    The client's request.

    @raise SocksError: if its address can't be used, with the reply that says so.
    """
    found = _parseMessage(buffer)
    if found is None:
        return None, 0
    command, host, port, end = found
    return SocksRequest(command, host, port), end


def writeRequest(request: SocksRequest) -> bytes:
    """
    The inverse of L{parseRequest}.

    @raise ValueError: if the host is no address and no name of 1 to 255 ASCII characters.
    """
    return bytes([VERSION, request.command, 0]) + _writeAddress(request.host, request.port)


def parseReply(buffer: Buffer) -> tuple[SocksReply | None, int]:
    """
    The server's reply.
    """
    found = _parseMessage(buffer)
    if found is None:
        return None, 0
    code, host, port, end = found
    return SocksReply(code, host, port), end


def writeReply(reply: SocksReply) -> bytes:
    """
    The inverse of L{parseReply}.
    """
    return bytes([VERSION, reply.code, 0]) + _writeAddress(reply.host, reply.port)


def parseDatagram(datagram: Buffer) -> tuple[str, int, memoryview]:
    """
    Take a UDP datagram of the relay apart (RFC 1928 section 7).

    @return: host, port and payload. The payload is a slice of C{datagram}, which is borrowed.
    @raise MalformedError: if it is to be dropped: too short, a fragment, an address that is none.
    """
    view = memoryview(datagram)
    if len(view) < 4:
        raise MalformedError("a SOCKS datagram is too short")
    if view[2]:
        raise MalformedError("a SOCKS datagram is a fragment, which this relay does not put together")
    found = _parseAddress(view, 3)
    if found is None:
        raise MalformedError("a SOCKS datagram is too short")
    host, port, end = found
    return host, port, view[end:]


def datagramHeader(host: str, port: int) -> bytes:
    """
    What goes before the payload of a UDP datagram of the relay.
    """
    return b"\x00\x00\x00" + _writeAddress(host, port)


def _version(buffer: Buffer, version: int) -> None:
    """
    Check the first byte, where it is there.
    """
    if len(buffer) and buffer[0] != version:
        raise MalformedError(f"the message has version {buffer[0]} in place of {version}")


def _parseMessage(buffer: Buffer) -> tuple[int, str, int, int] | None:
    """
    A request or a reply: its code, host, port and length.
    """
    _version(buffer, VERSION)
    if len(buffer) < 4:
        return None
    found = _parseAddress(buffer, 3)
    return None if found is None else (buffer[1], *found)


def _parseAddress(buffer: Buffer, at: int) -> tuple[str, int, int] | None:
    """
    Type, address and port (RFC 1928 section 5).

    @return: host, port and the offset behind them, or L{None} where more is needed.
    """
    kind = buffer[at]
    at += 1
    if kind == _NAME:
        if len(buffer) <= at:
            return None
        size = buffer[at]
        at += 1
    elif kind in (_IPV4, _IPV6):
        size = 4 if kind == _IPV4 else 16
    else:
        raise SocksError(f"the address has type {kind}", REPLY_ADDRESS_NOT_SUPPORTED)
    end = at + size + 2
    if len(buffer) < end:
        return None
    raw = bytes(buffer[at : at + size])
    (port,) = struct.unpack_from("!H", buffer, at + size)
    if kind != _NAME:
        return str(ip_address(raw)), port, end
    try:
        return parseHost(raw), port, end
    except MalformedError as error:
        raise SocksError(str(error), REPLY_FAILURE) from None


def _writeAddress(host: str, port: int) -> bytes:
    """
    The inverse of L{_parseAddress}.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        if not host:
            raise ValueError("there is no host") from None
        return bytes([_NAME]) + _short(host.encode("ascii")) + struct.pack("!H", port)
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed + struct.pack("!H", port)


def _short(text: bytes) -> bytes:
    """
    Bytes with their length, one byte, before them.
    """
    if len(text) > 255:
        raise ValueError(f"{len(text)} bytes are too long for SOCKS, which takes 255")
    return bytes([len(text)]) + text
