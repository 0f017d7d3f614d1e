"""
Addresses as the kernel, Python's sockets, Twisted and Hermes write them.
"""

from __future__ import annotations

import os
from functools import lru_cache
from socket import AF_INET, AF_INET6, AF_UNIX, if_indextoname, if_nametoindex, inet_ntop, inet_pton, socket
from struct import unpack_from
from sys import byteorder
from typing import Any, Literal

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from hermes.values import Address

MAPPED = bytes(10) + b"\xff\xff"
"""
How an IPv4 address begins where a socket that takes both families shows it (RFC 4291 section 2.5.5.2).
"""


@lru_cache(maxsize=16384)
def fromSockaddr(name: bytes) -> Address | str:
    """
    @param name: a C{struct sockaddr}.
    @return: a numeric host and a port, IPv4 as such though the socket speaks IPv6, and a link-local address with its
        interface (C{fe80::1%eth0}); or a Unix socket's path, empty where it has none.
    """
    family = int.from_bytes(name[:2], byteorder)
    if family == AF_INET:
        return inet_ntop(AF_INET, name[4:8]), int.from_bytes(name[2:4], "big")
    if family == AF_INET6:
        port, _, host, scope = unpack_from("!H4s16s", name, 2) + unpack_from("@I", name, 24)
        return _hostText(host, scope), port
    path = name[2:]
    return os.fsdecode(path if path.startswith(b"\0") else path.rstrip(b"\0"))


def _hostText(host: bytes, scope: int) -> str:
    if host.startswith(MAPPED):
        return inet_ntop(AF_INET, host[12:])
    text = inet_ntop(AF_INET6, host)
    if scope:
        try:
            return f"{text}%{if_indextoname(scope)}"
        except OSError:
            return f"{text}%{scope}"
    return text


@lru_cache(maxsize=16384)
def forSocket(address: Address | str, family: int) -> Any:
    """
    What C{sendto} and C{connect} of a socket of C{family} take for C{address}, the reverse of L{fromSockaddr}.
    """
    if isinstance(address, str) or family != AF_INET6:
        return address
    host, port = address
    if ":" not in host:
        return f"::ffff:{host}", port, 0, 0
    host, _, zone = host.partition("%")
    if not zone:
        return host, port, 0, 0
    return host, port, 0, int(zone) if zone.isdigit() else if_nametoindex(zone)


def plainAddress(name: Any) -> Address | str:
    """
    The same as L{fromSockaddr}, for a name as C{accept}, C{getpeername} and C{getaddrinfo} give it.
    """
    if isinstance(name, (str, bytes)):
        return os.fsdecode(name)
    host, port = name[:2]
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    elif len(name) == 4 and name[3] and "%" not in host:
        host = _hostText(inet_pton(AF_INET6, host), name[3])
    return host, port


def twistedAddress(sock: socket, name: Any, kind: Literal["TCP", "UDP"]) -> IPv4Address | IPv6Address | UNIXAddress:
    """
    @param name: what C{getsockname}, C{getpeername} or C{accept} gave.
    @param kind: C{"TCP"} or C{"UDP"}.
    """
    if sock.family == AF_UNIX:
        return UNIXAddress(name or None)
    address: Any = plainAddress(name)
    return IPv6Address(kind, *address) if ":" in address[0] else IPv4Address(kind, *address)
