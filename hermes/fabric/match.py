"""
Which flows a route takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import inet_aton
from typing import Final, TypeAlias

from attrs import field, frozen

from hermes.values import Flow

IPNetwork: TypeAlias = "IPv4Network | IPv6Network"
IPAddress: TypeAlias = "IPv4Address | IPv6Address"

PROTOCOLS: Final = ("tcp", "udp", "http", "listen")
LISTEN: Final = "listen"
"""
To open a listening port here for somebody else: a right that only a route which names it gives.
"""

# RFC 6890 and the registries it founded, multicast (RFC 5771, RFC 4291) included: whoever writes one of these as a
# target means what is there.
SPECIAL_NETWORKS: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "::/127",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    )
)


def isSpecialNetwork(network: IPNetwork) -> bool:
    """
    Whether all of C{network} is inside one special-purpose block.
    """
    return any(
        network.version == special.version and network.subnet_of(special)  # type: ignore[arg-type]
        for special in SPECIAL_NETWORKS
    )


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
            return cls(suffix=_checkedName(host[1:].lower().removesuffix("."), text), port=port)
        canonical = canonicalHost(host)
        if isinstance(canonical, str):
            _checkedName(canonical, text)
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


def _checkedName(name: str, text: str) -> str:
    if not re.fullmatch(r"[^\s*/:\[\]@]+", name) or ".." in name:
        raise ValueError(f"{text!r} is not a host: write HOST, HOST:PORT, *.NAME, CIDR or :PORT")
    return name


def _networks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise ValueError(f"{text!r} is not a network: {error}") from None
    return tuple(networks)


@frozen
class Match:
    """
    What must hold for a route to take a flow: one of each that is given. Nothing given matches every flow.

    @ivar targets: where the flow goes.
    @ivar users: who sent it, by credential.
    @ivar nodes: which proxy sent it, by certificate.
    @ivar listeners: the listener that accepted it.
    @ivar protocols: of C{tcp}, C{udp}, C{http}, C{listen}; none given is all but C{listen}.
    @ivar sources: where the client is. A client without an address (Unix socket) is in none.
    """

    targets: tuple[TargetPattern, ...] = ()
    users: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    listeners: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()
    sources: tuple[IPNetwork, ...] = ()

    @classmethod
    def fromTexts(
        cls,
        targets: Iterable[str] = (),
        users: Iterable[str] = (),
        nodes: Iterable[str] = (),
        listeners: Iterable[str] = (),
        protocols: Iterable[str] = (),
        sources: Iterable[str] = (),
    ) -> Match:
        """
        Parse the values of a C{match} in the configuration.

        @raise ValueError: with a sentence for the user.
        """
        for protocol in (protocols := tuple(protocols)):
            if protocol not in PROTOCOLS:
                raise ValueError(f"{protocol!r} is not a protocol: write {', '.join(PROTOCOLS)}")
        return cls(
            tuple(map(TargetPattern.fromText, targets)),
            frozenset(users),
            frozenset(nodes),
            frozenset(listeners),
            frozenset(protocols),
            _networks(sources),
        )

    def takes(self, flow: Flow) -> bool:
        """
        Whether all but the target matches.
        """
        identity = flow.identity
        return (
            (flow.protocol in self.protocols if self.protocols else flow.protocol != LISTEN)
            and (not self.listeners or flow.listener in self.listeners)
            and (not self.users or identity.user in self.users)
            and (not self.nodes or identity.node in self.nodes)
            and (not self.sources or self._fromSource(flow))
        )

    def refusal(self, flow: Flow) -> str | None:
        """
        Why L{takes} is false, in words; L{None} where it is true.
        """
        if self.protocols and flow.protocol not in self.protocols:
            return f"protocol is {flow.protocol}, not {_either(self.protocols)}"
        if not self.protocols and flow.protocol == LISTEN:
            return "protocol is listen, which must be named"
        if self.listeners and flow.listener not in self.listeners:
            return f"listener is {flow.listener or 'none'}, not {_either(self.listeners)}"
        if self.users and flow.identity.user not in self.users:
            return f"user is {flow.identity.user or 'nobody'}, not {_either(self.users)}"
        if self.nodes and flow.identity.node not in self.nodes:
            return f"node is {flow.identity.node or 'none'}, not {_either(self.nodes)}"
        if self.sources and not self._fromSource(flow):
            source = flow.source[0] if flow.source else "without an address"
            return f"source is {source}, not in {_either(map(str, self.sources))}"
        return None

    def targetRefusal(self, flow: Flow) -> str | None:
        """
        Why the target does not match, in words; L{None} where it does.
        """
        host = canonicalHost(flow.target.host)
        if not self.targets or any(pattern.matches(host, flow.target.port) for pattern in self.targets):
            return None
        return f"target is {flow.target}, not {_either(map(str, self.targets))}"

    def _fromSource(self, flow: Flow) -> bool:
        if flow.source is None:
            return False
        source = canonicalHost(flow.source[0])
        return not isinstance(source, str) and any(source in network for network in self.sources)


def _either(values: Iterable[str]) -> str:
    return " or ".join(sorted(values))
