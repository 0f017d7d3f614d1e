"""
Longest prefix match, and sets of addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, summarize_address_range
from typing import Generic, TypeAlias, TypeVar

IPAddress: TypeAlias = "IPv4Address | IPv6Address"
IPNetwork: TypeAlias = "IPv4Network | IPv6Network"

_T = TypeVar("_T")


class PrefixTable(Generic[_T]):
    """
    Values by prefix, IPv4 and IPv6. To find one is a look into a dictionary for each length of prefix that is in use.
    """

    def __init__(self) -> None:
        self._tables: dict[int, dict[int, dict[int, _T]]] = {4: {}, 6: {}}
        # Longest first: the length, what an address is shifted by, the prefixes of that length.
        self._order: dict[int, list[tuple[int, dict[int, _T]]]] = {4: [], 6: []}

    def __len__(self) -> int:
        return sum(len(table) for tables in self._tables.values() for table in tables.values())

    def __iter__(self) -> Iterator[tuple[IPNetwork, _T]]:
        """
        The prefixes with their values, longest first.
        """
        for version, kind in ((4, IPv4Network), (6, IPv6Network)):
            for shift, table in self._order[version]:
                width = 32 if version == 4 else 128
                for number, value in sorted(table.items()):
                    yield kind((number << shift, width - shift)), value

    def set(self, network: IPNetwork, value: _T) -> None:
        """
        Give a prefix its value.
        """
        tables = self._tables[network.version]
        shift = network.max_prefixlen - network.prefixlen
        table = tables.get(shift)
        if table is None:
            table = tables[shift] = {}
            self._order[network.version] = sorted(tables.items())
        table[int(network.network_address) >> shift] = value

    def get(self, network: IPNetwork) -> _T | None:
        """
        The value of just this prefix.
        """
        shift = network.max_prefixlen - network.prefixlen
        return self._tables[network.version].get(shift, {}).get(int(network.network_address) >> shift)

    def remove(self, network: IPNetwork) -> None:
        """
        Take a prefix out, if it is in.
        """
        tables = self._tables[network.version]
        shift = network.max_prefixlen - network.prefixlen
        table = tables.get(shift)
        if table is not None:
            table.pop(int(network.network_address) >> shift, None)
            if not table:
                del tables[shift]
                self._order[network.version] = sorted(tables.items())

    def find(self, address: IPAddress) -> _T | None:
        """
        The value of the longest prefix that holds C{address}.
        """
        number = int(address)
        for shift, table in self._order[address.version]:
            value = table.get(number >> shift)
            if value is not None:
                return value
        return None

    def findAll(self, address: IPAddress) -> list[_T]:
        """
        The values of all prefixes that hold C{address}, the longest first.
        """
        number = int(address)
        found = (table.get(number >> shift) for shift, table in self._order[address.version])
        return [value for value in found if value is not None]


class AddressSet:
    """
    A set of addresses of one version of IP, as disjoint ranges.
    """

    def __init__(self, version: int) -> None:
        self._kind: type[IPv4Address] | type[IPv6Address] = IPv4Address if version == 4 else IPv6Address
        self._ranges: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def add(self, network: IPNetwork) -> None:
        """
        Every address of C{network} is in.
        """
        first, last = _bounds(network)
        kept = []
        for start, end in self._ranges:
            if end < first - 1 or start > last + 1:
                kept.append((start, end))
            else:
                first, last = min(first, start), max(last, end)
        self._ranges = sorted([*kept, (first, last)])

    def discard(self, network: IPNetwork) -> None:
        """
        No address of C{network} is in.
        """
        first, last = _bounds(network)
        left = []
        for start, end in self._ranges:
            if start < first:
                left.append((start, min(end, first - 1)))
            if end > last:
                left.append((max(start, last + 1), end))
            # What lies within is gone; what lies apart is added once.
        self._ranges = sorted(set(left))

    def ranges(self) -> list[tuple[IPAddress, IPAddress]]:
        """
        The first and the last address of each range, in order.
        """
        return [(self._kind(start), self._kind(end)) for start, end in self._ranges]

    def coarsen(self, most: int) -> None:
        """
        Have C{most} ranges at most: the smallest gaps between them are filled.
        """
        ranges = self._ranges
        if len(ranges) <= most:
            return
        gaps = sorted(range(1, len(ranges)), key=lambda place: ranges[place][0] - ranges[place - 1][1])
        kept = sorted(gaps[len(ranges) - most :])
        starts = [0, *kept]
        self._ranges = [
            (ranges[first][0], ranges[following - 1][1])
            for first, following in zip(starts, [*kept, len(ranges)], strict=True)
        ]

    def networks(self) -> list[IPNetwork]:
        """
        The same as prefixes.
        """
        return [network for start, end in self.ranges() for network in summarize_address_range(start, end)]


def _bounds(network: IPNetwork) -> tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)


def addressSets(networks: Iterable[IPNetwork]) -> dict[int, AddressSet]:
    """
    The sets that some prefixes make, by version of IP.
    """
    sets = {4: AddressSet(4), 6: AddressSet(6)}
    for network in networks:
        sets[network.version].add(network)
    return sets
