"""
Hosts and ports as they come in requests: a name or an IP address, and a decimal number.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address

from hermes.wire.errors import MalformedError

MAX_NAME = 255
"""
The longest host, in bytes (RFC 1035 section 2.3.4).
"""

# The unreserved characters of RFC 3986: no name in use has others, and those could mean something to who comes next.
_NAME = re.compile(rb"[A-Za-z0-9._~-]+")
_PORT = re.compile(rb"[0-9]{1,5}")


def parseHost(raw: bytes) -> str:
    """
    A host without brackets: a name, an IPv4 address, or an IPv6 address, which is given back in its canonical form.

    @raise MalformedError: for what is none of them: too long, empty, a zone ID, a character that is in no name.
    """
    if len(raw) > MAX_NAME:
        raise MalformedError("the host is too long")
    if _NAME.fullmatch(raw):
        return raw.decode("ascii")
    if b":" not in raw or b"%" in raw:
        raise MalformedError("the host is not a name and not an address")
    try:
        return str(IPv6Address(raw.decode("ascii")))
    except ValueError:
        raise MalformedError("the host is not an IPv6 address") from None


def parsePort(raw: bytes) -> int:
    """
    A port, 1 to 65535.

    @raise MalformedError: for anything else.
    """
    if not _PORT.fullmatch(raw) or not 1 <= int(raw) <= 65535:
        raise MalformedError("the port is not a number from 1 to 65535")
    return int(raw)


def parseAuthority(raw: bytes) -> tuple[str, int | None]:
    """
    The authority of a request (RFC 3986 section 3.2, RFC 9110 section 7.2): C{host}, C{host:port}, C{[v6]} or
    C{[v6]:port}.

    @return: the host without brackets, and the port, or L{None} where there is none.
    @raise MalformedError: for anything else: user information, an empty or impossible port, an IPv6 address without
        brackets.
    """
    if raw.startswith(b"["):
        address, bracket, rest = raw[1:].partition(b"]")
        if not bracket or b":" not in address or (rest and not rest.startswith(b":")):
            raise MalformedError("the authority has brackets that enclose no IPv6 address")
        return parseHost(address), parsePort(rest[1:]) if rest else None
    host, colon, port = raw.partition(b":")
    return parseHost(host), parsePort(port) if colon else None


def writeAuthority(host: str, port: int | None = None) -> bytes:
    """
    The inverse of L{parseAuthority}.
    """
    text = f"[{host}]" if ":" in host else host
    return (text if port is None else f"{text}:{port}").encode("ascii")
