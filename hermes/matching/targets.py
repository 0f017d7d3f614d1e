"""
Targets of flows, and the patterns for them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import inet_aton
from typing import TypeAlias

from attrs import field, frozen

from hermes.wire.special import isSpecialNetwork

IPNetwork: TypeAlias = "IPv4Network | IPv6Network"
IPAddress: TypeAlias = "IPv4Address | IPv6Address"


@lru_cache(4096)
def canonicalHost(host: str) -> str | IPAddress:
    """
    What a target's host is matched as: an address in whatever spelling as that address (IPv4 in IPv6, and the short,
    octal and hexadecimal forms that C{getaddrinfo} takes, as the IPv4 address), a name in lower case without its final
    dot. Else a rule about C{10.0.0.0/8} would be passed by with C{10.1}.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        pass
    else:
        return getattr(address, "ipv4_mapped", None) or address
    name = host.lower().removesuffix(".")
    if name[:1].isdigit() and re.fullmatch(r"[0-9a-fx.]+", name) and name[-1:] != ".":
        try:
            return IPv4Address(inet_aton(name))
        except OSError:
            pass
    return name


@frozen
class TargetPattern:
    """
    One C{target} of a match.

    @ivar host: an exact host; or L{None}.
    @ivar suffix: C{.example} of C{*.example}: names below it, at any depth, not itself; or L{None}.
    @ivar network: a CIDR; names are never resolved for it; or L{None}.
    @ivar port: a port; or L{None} for all.
    @ivar special: whether naming this allows special-purpose addresses.
    """

    host: str | IPAddress | None = None
    suffix: str | None = None
    network: IPNetwork | None = None
    port: int | None = None
    special: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        network = self.network
        if network is None and isinstance(self.host, IPv4Address | IPv6Address):
            network = ip_network(self.host)
        if self.host == "localhost" or (network is not None and isSpecialNetwork(network)):
            object.__setattr__(self, "special", True)

    @classmethod
    def fromText(cls, text: str) -> TargetPattern:
        """
        Parse C{db.hermes}, C{db.hermes:53}, C{*.example}, C{10.0.0.0/8}, C{2001:db8::/32}, C{[2001:db8::1]:443},
        C{:53}; a port can follow each of the others too (an IPv6 CIDR with one is written in brackets).

        @raise ValueError: with a sentence for the user.
        """
        host, port = _splitPort(text)
        if not host:
            if port is None:
                raise ValueError("a target is empty: write HOST, HOST:PORT, *.NAME, CIDR or :PORT")
            return cls(port=port)
        if host == "*":
            return cls(port=port)
        if "/" in host:
            try:
                return cls(network=ip_network(host), port=port)
            except ValueError as error:
                raise ValueError(f"{text!r} is not a network: {error}") from None
        if host.startswith("*."):
            return cls(suffix=checkedName(host[1:].lower().removesuffix("."), text), port=port)
        canonical = canonicalHost(host)
        if isinstance(canonical, str):
            checkedName(canonical, text)
        return cls(host=canonical, port=port)

    def matches(self, host: str | IPAddress, port: int) -> bool:
        """
        @param host: from L{canonicalHost}.
        """
        if self.port is not None and self.port != port:
            return False
        if self.host is not None:
            return self.host == host
        if self.suffix is not None:
            return isinstance(host, str) and host.endswith(self.suffix)
        if self.network is not None:
            return not isinstance(host, str) and host in self.network
        return True

    def __str__(self) -> str:
        if self.network is not None:
            host = str(self.network)
        elif self.suffix is not None:
            host = f"*{self.suffix}"
        else:
            host = "" if self.host is None else str(self.host)
        if self.port is None:
            return host or "*"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _splitPort(text: str) -> tuple[str, int | None]:
    """
    Take the port off.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r}: write [ADDRESS]:PORT")
        port = rest[1:] if rest else None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
    if port is None:
        return host, None
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise ValueError(f"{text!r}: {port!r} is not a port")
    return host, int(port)


def checkedName(name: str, text: str) -> str:
    """
    C{name} itself, where it is one.

    @raise ValueError: with a sentence about C{text}.
    """
    if not re.fullmatch(r"[^\s*/:\[\]@]+", name) or ".." in name:
        raise ValueError(f"{text!r} is not a host: write HOST, HOST:PORT, *.NAME, CIDR or :PORT")
    return name
