"""
The capsules of CONNECT-IP: addresses and routes (RFC 9484 section 4.7), and the one that is ours, in which an end says
what it takes beyond the standard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias

from hermes.wire.buffers import Buffer
from hermes.wire.errors import MalformedError
from hermes.wire.varint import decodeVarint, encodeVarint

ADDRESS_ASSIGN: Final = 0x01
ADDRESS_REQUEST: Final = 0x02
ROUTE_ADVERTISEMENT: Final = 0x03

ANNOUNCE: Final = 0x2A48_4950
"""
The type of our own capsule: C{*HIP}. A varint of four bytes, and none of those that are sent only to see whether they
are skipped (C{0x29 * N + 0x17}, RFC 9297 section 5.4).
"""

MAX_ADDRESSES: Final = 256
"""
How many addresses one capsule may hold. Its receiver keeps and answers each of them.
"""

MAX_ROUTES: Final = 1024
"""
How many ranges one capsule may hold.
"""

MIN_MTU: Final = 1280
"""
What every link must carry in one piece where IPv6 crosses it (RFC 8200 section 5); tunnels must too (RFC 9484).
"""

MAX_MTU: Final = 65535

IPAddress: TypeAlias = "IPv4Address | IPv6Address"
IPNetwork: TypeAlias = "IPv4Network | IPv6Network"

_OFFLOAD = 1


def encodeAddresses(entries: Iterable[tuple[int, IPNetwork]]) -> bytes:
    """
    The value of an ADDRESS_ASSIGN or ADDRESS_REQUEST capsule (RFC 9484 sections 4.7.1 and 4.7.2; their form is the
    same).

    @param entries: of each address the request ID, a varint, and the prefix.
    @raise ValueError: if a request ID has no varint, or there are more than L{MAX_ADDRESSES}.
    """
    parts: list[bytes] = []
    for requestID, network in entries:
        parts += (
            encodeVarint(requestID),
            bytes((network.version,)),
            network.network_address.packed,
            bytes((network.prefixlen,)),
        )
    if len(parts) > 4 * MAX_ADDRESSES:
        raise ValueError(f"a capsule holds at most {MAX_ADDRESSES} addresses, not {len(parts) // 4}")
    return b"".join(parts)


def decodeAddresses(value: Buffer, request: bool) -> list[tuple[int, IPNetwork]]:
    """
    Read the value of an ADDRESS_ASSIGN or ADDRESS_REQUEST capsule.

    A request must ask for something, and its IDs are not 0 and differ. That none of them comes again in a later capsule
    is for the caller to see to.

    @param request: whether it is an ADDRESS_REQUEST.
    @return: of each address the request ID and the prefix, in order.
    @raise MalformedError: the peer breaks the protocol; the stream is to be aborted.
    """
    entries: list[tuple[int, IPNetwork]] = []
    seen: set[int] = set()
    at, end = 0, len(value)
    while at < end:
        if len(entries) == MAX_ADDRESSES:
            raise MalformedError(f"a capsule holds more than {MAX_ADDRESSES} addresses")
        decoded = decodeVarint(value, at)
        if decoded is None:
            raise MalformedError("a capsule of addresses ends within a request ID")
        requestID, at = decoded
        if request:
            if requestID == 0:
                raise MalformedError("an address is requested under the ID 0")
            if requestID in seen:
                raise MalformedError(f"two addresses are requested under the ID {requestID}")
            seen.add(requestID)
        address, at = _address(value, at + 1, _version(value, at))
        if at >= end:
            raise MalformedError("a capsule of addresses ends before a prefix length")
        entries.append((requestID, _network(address, value[at])))
        at += 1
    if request and not entries:
        raise MalformedError("an address request asks for no address")
    return entries


def encodeRoutes(routes: Iterable[tuple[IPAddress, IPAddress, int]]) -> bytes:
    """
    The value of a ROUTE_ADVERTISEMENT capsule (RFC 9484 section 4.7.3).

    @param routes: first address, last address and IP protocol (0 for every one) of each range, in the order that the
        RFC wants and without overlap: what L{joinRoutes} returns.
    @raise ValueError: if they are not, or are more than L{MAX_ROUTES}.
    """
    parts: list[bytes] = []
    checked: list[tuple[IPAddress, IPAddress, int]] = []
    for start, end, protocol in routes:
        checked.append((start, end, protocol))
        if start.version != end.version:
            raise ValueError(f"a range does not begin with {start} and end with {end}")
        parts += (bytes((start.version,)), start.packed, end.packed, bytes((protocol,)))
    if len(checked) > MAX_ROUTES:
        raise ValueError(f"a capsule holds at most {MAX_ROUTES} ranges, not {len(checked)}")
    _checkRoutes(checked)
    return b"".join(parts)


def decodeRoutes(value: Buffer) -> list[tuple[IPAddress, IPAddress, int]]:
    """
    Read the value of a ROUTE_ADVERTISEMENT capsule.

    @return: first address, last address and IP protocol of each range, in the order of the RFC, none of which overlaps
        with another of its protocol or of all protocols.
    @raise MalformedError: the peer breaks the protocol; the stream is to be aborted.
    """
    routes: list[tuple[IPAddress, IPAddress, int]] = []
    at, size = 0, len(value)
    while at < size:
        if len(routes) == MAX_ROUTES:
            raise MalformedError(f"a capsule holds more than {MAX_ROUTES} routes")
        version = _version(value, at)
        start, at = _address(value, at + 1, version)
        end, at = _address(value, at, version)
        if at >= size:
            raise MalformedError("a capsule of routes ends before a protocol")
        routes.append((start, end, value[at]))
        at += 1
    _checkRoutes(routes)
    return routes


def joinRoutes(routes: Iterable[tuple[IPAddress, IPAddress, int]]) -> list[tuple[IPAddress, IPAddress, int]]:
    """
    The same set of addresses and protocols in the fewest ranges, in the order that the RFC wants: by version, protocol
    and address. What overlaps or adjoins is joined, and no range of one protocol covers what a range of all protocols
    does.

    @param routes: first address, last address and IP protocol of ranges, in any order.
    @raise ValueError: if a range ends before it begins, or in the other version.
    """
    ranges: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for start, end, protocol in routes:
        if start.version != end.version or int(end) < int(start):
            raise ValueError(f"a range does not begin with {start} and end with {end}")
        ranges.setdefault((start.version, protocol), []).append((int(start), int(end)))
    joined: list[tuple[IPAddress, IPAddress, int]] = []
    whole: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for (version, protocol), found in sorted(ranges.items()):
        merged = _join(found)
        if protocol == 0:
            whole[version] = merged
        else:
            merged = _without(merged, whole[version])
        make = IPv4Address if version == 4 else IPv6Address
        joined += [(make(first), make(last), protocol) for first, last in merged]
    return joined


def encodeAnnounce(offload: bool, mtu: int) -> bytes:
    """
    The value of an ANNOUNCE capsule: a varint of flags (bit 0: frames are taken under context ID 2), a varint of the
    MTU. More may follow in later versions.

    @param offload: whether whole frames, as segmentation offload makes them, are taken under context ID 2.
    @param mtu: the largest IP packet in bytes that is taken under context ID 0, L{MIN_MTU} to L{MAX_MTU}.
    @raise ValueError: if the MTU is outside.
    """
    if not MIN_MTU <= mtu <= MAX_MTU:
        raise ValueError(f"an MTU is {MIN_MTU} to {MAX_MTU} bytes, not {mtu}")
    return encodeVarint(_OFFLOAD if offload else 0) + encodeVarint(mtu)


def decodeAnnounce(value: Buffer) -> tuple[bool, int]:
    """
    Read the value of an ANNOUNCE capsule. Flags and bytes that we don't know are passed over.

    @return: whether the peer takes frames under context ID 2; its MTU in bytes, L{MIN_MTU} to L{MAX_MTU}.
    @raise MalformedError: if it is too short, or the MTU is outside.
    """
    flags = decodeVarint(value)
    mtu = None if flags is None else decodeVarint(value, flags[1])
    if flags is None or mtu is None:
        raise MalformedError("an announcement ends before its MTU")
    if not MIN_MTU <= mtu[0] <= MAX_MTU:
        raise MalformedError(f"an MTU of {mtu[0]} is announced")
    return bool(flags[0] & _OFFLOAD), mtu[0]


def _version(value: Buffer, at: int) -> int:
    """
    The IP version at C{at}.
    """
    if at >= len(value):
        raise MalformedError("a capsule ends before an IP version")
    version = value[at]
    if version not in (4, 6):
        raise MalformedError(f"{version} is no IP version")
    return version


def _address(value: Buffer, at: int, version: int) -> tuple[IPAddress, int]:
    """
    The address at C{at}, and the offset behind it.
    """
    end = at + (4 if version == 4 else 16)
    if end > len(value):
        raise MalformedError("a capsule ends within an address")
    number = int.from_bytes(value[at:end], "big")
    return (IPv4Address(number) if version == 4 else IPv6Address(number)), end


def _network(address: IPAddress, length: int) -> IPNetwork:
    """
    A prefix. What it does not cover of the address must be 0.
    """
    if length > address.max_prefixlen:
        raise MalformedError(f"an IPv{address.version} prefix of {length} bits")
    if int(address) & (1 << address.max_prefixlen - length) - 1:
        raise MalformedError(f"{address}/{length} has bits set behind its prefix")
    if isinstance(address, IPv4Address):
        return IPv4Network((int(address), length))
    return IPv6Network((int(address), length))


def _checkRoutes(routes: Sequence[tuple[IPAddress, IPAddress, int]]) -> None:
    """
    @raise MalformedError: if a range is empty, or they are not in order, or two overlap.
    """
    previous = (0, 0, 0)
    everything: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    some: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for start, end, protocol in routes:
        first, last = int(start), int(end)
        if last < first:
            raise MalformedError(f"a route begins with {start} and ends with {end}")
        key = (start.version, protocol)
        if key < previous[:2]:
            raise MalformedError("routes are not in order of version and protocol")
        if key == previous[:2] and first <= previous[2]:
            raise MalformedError(f"the route from {start} overlaps with the one before, or should come before it")
        previous = (*key, last)
        if protocol == 0:
            everything[start.version].append((first, last))
        else:
            some.setdefault(key, []).append((first, last))
    for (version, protocol), ranges in some.items():
        if everything[version] and _without(ranges, everything[version]) != ranges:
            raise MalformedError(f"a route of protocol {protocol} overlaps with one of all protocols")


def _join(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """
    Ranges of numbers in any order, sorted, with what overlaps or adjoins joined.
    """
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _without(ranges: list[tuple[int, int]], others: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """
    What is in C{ranges} and not in C{others}; both sorted and without overlap. Linear in both.
    """
    left: list[tuple[int, int]] = []
    at = 0
    for first, last in ranges:
        while at < len(others) and others[at][1] < first:
            at += 1
        # One of the others may reach into several ranges: it is looked at again for the next.
        behind = at
        while behind < len(others) and others[behind][0] <= last:
            if first < others[behind][0]:
                left.append((first, others[behind][0] - 1))
            first = others[behind][1] + 1
            behind += 1
        if first <= last:
            left.append((first, last))
        at = max(at, behind - 1)
    return left
