"""
What of a request its limit is counted by.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal, TypeAlias

from hermes.messages import Request
from hermes.values import Address

By: TypeAlias = Literal["user", "node", "source", "listener", "route", "host", "header", "all"]


def sourceKey(source: Address | None, prefix4: int = 32, prefix6: int = 64) -> Hashable:
    """
    The network that a client is in: an IPv4 address in IPv6 is that IPv4 address. L{None} for a client without an
    address (a Unix socket).

    @param prefix4: the bits of an IPv4 address that count.
    @param prefix6: those of an IPv6 address; one customer commonly has 64 of his own.
    """
    return None if source is None else _hostKey(source[0], prefix4, prefix6)


@lru_cache(8192)
def _hostKey(host: str, prefix4: int, prefix6: int) -> Hashable:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            return (6, int(address) >> (128 - prefix6))
        address = mapped
    return (4, int(address) >> (32 - prefix4))


_SIMPLE: Final[dict[str, Callable[[Request], Hashable]]] = {
    "user": lambda request: request.flow.identity.user,
    "node": lambda request: request.flow.identity.node,
    "listener": lambda request: request.flow.listener,
    "route": lambda request: request.record.routeName,
    "host": lambda request: request.flow.target.host.lower().removesuffix("."),
    "all": lambda request: None,
}


def keyOf(by: Sequence[By], header: bytes = b"", prefix4: int = 32, prefix6: int = 64) -> Callable[[Request], Hashable]:
    """
    What gives the key of a request.

    @param by: what it is made of; more than one make a key together.
    @param header: the field for C{header}.
    """
    parts: list[Callable[[Request], Hashable]] = []
    for each in by:
        if each == "source":
            parts.append(lambda request: sourceKey(request.flow.source, prefix4, prefix6))
        elif each == "header":
            parts.append(lambda request: request.head.get(header))
        else:
            parts.append(_SIMPLE[each])
    if len(parts) == 1:
        return parts[0]
    return lambda request: tuple([part(request) for part in parts])
