"""
The values that pass between the parts of a proxy. Immutable; no behaviour beyond parsing and printing themselves.
"""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import define, field, frozen

if TYPE_CHECKING:
    from attrs import frozen as message
else:
    # Some are made several times for each request, and the guard against assignment would be half of what they cost:
    # there the type checker is the guard.
    message = partial(define, unsafe_hash=True)

Buffer: TypeAlias = "bytes | bytearray | memoryview"
"""
What holds bytes. A C{Buffer} passed to a method is I{borrowed}: it is valid until that method returns, and whoever
keeps it makes a copy.
"""

Headers: TypeAlias = "tuple[tuple[bytes, bytes], ...]"
"""
HTTP fields in order: lower-case names, values without surrounding white space.
"""

Address: TypeAlias = "tuple[str, int]"
"""
A numeric IP address and a port.
"""

Forwarded: TypeAlias = Literal["address", "obfuscated", "none"]
"""
What is said about a client to whoever is beyond (RFC 7239): its address; a word that stands for it, the same for as
long as this process runs; nothing.
"""


@frozen
class Target:
    """
    Where a flow wants to go: a host (a name, or an IP address without brackets) and a port.
    """

    host: str
    port: int = field()

    @port.validator
    def _portInRange(self, attribute: object, value: int) -> None:
        if not 0 <= value <= 65535:
            raise ValueError(f"port {value} is not between 0 and 65535")

    @classmethod
    def fromText(cls, text: str, defaultPort: int | None = None) -> Target:
        """
        Parse C{host:port}, C{[v6]:port} or, where C{defaultPort} is given, a bare host.

        @raise ValueError: with a sentence for the user.
        """
        host, colon, port = text.rpartition(":")
        if text.startswith("[") and text.endswith("]"):
            host, colon, port = text, "", ""
        elif not colon:
            host, port = text, ""
        if not port:
            if defaultPort is None or colon:
                raise ValueError(f"{text!r} names no port: write HOST:PORT")
            port = str(defaultPort)
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            ip_address(host)
        elif ":" in host:
            raise ValueError(f"{text!r}: write an IPv6 address in brackets, [ADDRESS]:PORT")
        if not host:
            raise ValueError(f"{text!r} names no host")
        if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
            raise ValueError(f"{text!r}: {port!r} is not a port")
        return cls(host, int(port))

    def address(self) -> IPv4Address | IPv6Address | None:
        """
        The host as an IP address, or L{None} where it is a name.
        """
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen
class Identity:
    """
    Who sent a flow, as far as it was authenticated: a proxy by its certificate, a user by a credential. Headers never
    make one.

    @ivar node: the name in the peer certificate's C{hermes://NAME} URI.
    @ivar user: the user's name.
    """

    node: str | None = None
    user: str | None = None

    def __bool__(self) -> bool:
        return self.node is not None or self.user is not None

    def __str__(self) -> str:
        return "+".join(part for part in (self.node, self.user) if part) or "-"


ANONYMOUS = Identity()


@message
class Flow:
    """
    One stream, or one sequence of datagrams or IP packets, that a listener has accepted: what it is, to where, who sent
    it, from where.

    @ivar protocol: C{"tcp"}, C{"udp"}, C{"ip"}, or C{"http"} for a stream known to carry HTTP requests.
    @ivar target: where it wants to go, as it was asked for. IP packets have no port, so that it is 0; and there the
        host may be a prefix, or C{"*"} for everywhere.
    @ivar source: the address of the client, or L{None} where it has none (a Unix socket).
    @ivar identity: who sent it.
    @ivar listener: the name of the listener that accepted it.
    @ivar via: names of the hops that an authenticated proxy before us asked for; usually empty.
    @ivar ipProtocol: of IP packets, the one protocol that they are to be of (RFC 9484 section 4.6), or L{None} for all.
    """

    protocol: str
    target: Target
    source: Address | None = None
    identity: Identity = ANONYMOUS
    listener: str = ""
    via: tuple[str, ...] = ()
    ipProtocol: int | None = None


@message
class RequestHead:
    """
    The head of an HTTP request, the same for every version of HTTP.

    @ivar method: as sent, C{b"GET"}.
    @ivar scheme: C{b"http"} or C{b"https"}; empty where the request has none (CONNECT, RFC 9113 section 8.5).
    @ivar authority: host and port as sent; HTTP/1.1's C{Host} or request target.
    @ivar path: with the query; empty for CONNECT.
    @ivar protocol: the C{:protocol} of an extended CONNECT (RFC 8441), or the token of an HTTP/1.1 Upgrade, whose
        method is then given as C{b"CONNECT"} too, so that a tunnel looks the same on both; else L{None}.
    @ivar headers: the fields, without C{Host}, pseudo-header fields and hop-by-hop fields.
    """

    method: bytes
    scheme: bytes = b""
    authority: bytes = b""
    path: bytes = b""
    protocol: bytes | None = None
    headers: Headers = ()

    def get(self, name: bytes) -> bytes | None:
        """
        The values of the field C{name} (lower case) joined with commas, or L{None} where it is absent.
        """
        return fieldValue(self.headers, name)


@message
class ResponseHead:
    """
    The head of an HTTP response: a status from 100 to 599 and the fields.
    """

    status: int
    headers: Headers = ()

    def get(self, name: bytes) -> bytes | None:
        """
        The values of the field C{name} (lower case) joined with commas, or L{None} where it is absent.
        """
        return fieldValue(self.headers, name)


def fieldValue(headers: Headers, name: bytes) -> bytes | None:
    """
    The combined value of a field (RFC 9110 section 5.3), or L{None}.
    """
    values = [value for key, value in headers if key == name]
    return b", ".join(values) if values else None
