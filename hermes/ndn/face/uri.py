"""
Face URIs (NFD): C{udp4://192.0.2.1:6363}, C{tcp6://[2001:db8::1]:6363}, C{unix:///run/hermes/ndn.sock}, C{fd://12},
C{ws://192.0.2.1:9696}; and how the configuration writes addresses of faces, C{udp:HOST:PORT}.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from hermes.values import Target

DEFAULT_PORT: Final = 6363
DEFAULT_WEBSOCKET_PORT: Final = 9696
MULTICAST_PORT: Final = 56363

Transport: TypeAlias = Literal["udp", "tcp", "ws", "unix"]

_TRANSPORTS: Final[tuple[Transport, ...]] = ("udp", "tcp", "ws", "unix")


@frozen
class FaceAddress:
    """
    Where a face leads, or where faces are accepted.

    @ivar transport: C{"udp"}, C{"tcp"}, C{"ws"} or C{"unix"}.
    @ivar target: host and port; L{None} for C{"unix"}.
    @ivar path: of a Unix socket; of a WebSocket's request, C{"/"} where nothing is said.
    """

    transport: Transport
    target: Target | None = None
    path: str = ""

    @classmethod
    def fromText(cls, text: str) -> FaceAddress:
        """
        Parse what the configuration says: C{unix:PATH}, C{udp:HOST:PORT}, C{tcp:HOST:PORT}, C{ws:HOST:PORT} and, with a
        path, C{ws:HOST:PORT/PATH}. Without a port it is NDN's: 6363, and 9696 for WebSocket.

        @raise ValueError: with a sentence for the user.
        """
        transport, colon, rest = text.partition(":")
        if not colon or transport not in _TRANSPORTS:
            raise ValueError(f"{text!r} is no address of a face: write unix:PATH, or udp:, tcp: or ws: and HOST:PORT")
        return _address(transport, rest, text)

    @classmethod
    def fromURI(cls, uri: str) -> FaceAddress:
        """
        Parse a Face URI.

        @raise ValueError: with a sentence for the user.
        """
        scheme, separator, rest = uri.partition("://")
        transport = scheme[:-1] if scheme in ("udp4", "udp6", "tcp4", "tcp6") else scheme
        if not separator or transport not in _TRANSPORTS:
            raise ValueError(f"{uri!r} is no Face URI of a type that a face can be made to")
        address = _address(transport, rest, uri)
        if scheme != transport:
            host = None if address.target is None else address.target.address()
            if host is None or host.version != int(scheme[-1]):
                raise ValueError(f"{uri!r}: {scheme} wants an address of IPv{scheme[-1]}")
        return address

    @property
    def uri(self) -> str:
        """
        As a Face URI, canonical where the host is an address.
        """
        if self.target is None:
            return f"unix://{self.path}"
        scheme: str = self.transport
        address = self.target.address()
        if address is not None and scheme in ("udp", "tcp"):
            scheme += str(address.version)
        return f"{scheme}://{self.target}{'' if self.path in ('', '/') else self.path}"

    def __str__(self) -> str:
        """
        As in the configuration.
        """
        if self.target is None:
            return f"unix:{self.path}"
        return f"{self.transport}:{self.target}{'' if self.path in ('', '/') else self.path}"


def _address(transport: Transport, rest: str, text: str) -> FaceAddress:
    if transport == "unix":
        # sun_path holds 108 bytes, the closing zero included (unix(7)).
        if not rest or len(os.fsencode(rest)) > 107:
            raise ValueError(f"{text!r}: a Unix socket's path has 1 to 107 bytes")
        return FaceAddress("unix", None, rest)
    path = ""
    if transport == "ws":
        rest, _, path = rest.partition("/")
        path = f"/{path}"
    port = DEFAULT_WEBSOCKET_PORT if transport == "ws" else DEFAULT_PORT
    return FaceAddress(transport, Target.fromText(rest, port), path)


def ofAddress(transport: str, address: Any) -> str:
    """
    The Face URI of one end of a transport.

    @param transport: C{"udp"}, C{"tcp"} or C{"ws"}; of no account for a Unix socket.
    @param address: a Twisted L{IAddress}, or a pair of a numeric host and a port.
    """
    if isinstance(address, tuple):
        host, port = address
    else:
        path = getattr(address, "name", None)
        if path is not None:
            return f"unix://{os.fsdecode(path)}"
        host, port = getattr(address, "host", None), getattr(address, "port", None)
        if host is None:
            return f"{transport}://{address}"
    text = str(Target(host, port))
    return f"{transport}://{text}" if transport == "ws" else f"{transport}{6 if ':' in host else 4}://{text}"


def isLoopback(address: Any) -> bool:
    """
    Whether a peer is on this host: at a loopback address (a Twisted L{IAddress}), or beyond a Unix socket.
    """
    host = getattr(address, "host", None)
    if host is None:
        return hasattr(address, "name")
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
