"""
Finds the first route that takes an HTTP request without trying the others: by host, then by path, then by whatever else
routes ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hermes.errors import BadRequest
from hermes.fabric.buckets import Condition
from hermes.fabric.pathindex import PathIndex
from hermes.matching import (
    AMBIGUOUS,
    IPAddress,
    Match,
    TargetPattern,
    authorityHost,
    canonicalHost,
    readings,
)
from hermes.values import Flow, RequestHead

NOWHERE: Final = 1 << 62
"""
The place of no route.
"""


class _Targets:
    """
    Routes that ask for no host, by their targets.
    """

    __slots__ = ("hosts", "networks", "ports", "suffixes")

    def __init__(self) -> None:
        self.hosts: dict[str | IPAddress, PathIndex] = {}
        self.suffixes: dict[str, PathIndex] = {}
        # By IP version and the number of bits behind the prefix; then by prefix.
        self.networks: dict[tuple[int, int], dict[int, PathIndex]] = {}
        self.ports: dict[int, PathIndex] = {}

    def __bool__(self) -> bool:
        return bool(self.hosts or self.suffixes or self.networks or self.ports)

    def table(self, target: TargetPattern) -> tuple[dict[Any, PathIndex], Any] | None:
        """
        Where a route with this target is, and its key there; L{None} where it takes every target.
        """
        if target.host is not None:
            return self.hosts, target.host
        if target.suffix is not None:
            return self.suffixes, target.suffix
        if target.network is not None:
            network = target.network
            shift = network.max_prefixlen - network.prefixlen
            return self.networks.setdefault((network.version, shift), {}), int(network.network_address) >> shift
        return None if target.port is None else (self.ports, target.port)

    def find(self, flow: Flow, found: list[PathIndex]) -> None:
        """
        Append what may hold a route for a flow.
        """
        host = canonicalHost(flow.target.host)
        indexes = [self.hosts.get(host), self.ports.get(flow.target.port)]
        if isinstance(host, str):
            indexes += [self.suffixes.get(suffix) for suffix in suffixesOf(host)] if self.suffixes else ()
        else:
            number, version = int(host), host.version
            indexes += [
                table.get(number >> shift) for (other, shift), table in self.networks.items() if other == version
            ]
        found += [index for index in indexes if index is not None]


def suffixesOf(host: str) -> Iterator[str]:
    """
    What of a name C{*.SUFFIX} may stand for, each with its leading dot.
    """
    dot = host.find(".")
    while dot >= 0:
        yield host[dot:]
        dot = host.find(".", dot + 1)


def _targetMatches(patterns: tuple[TargetPattern, ...]) -> Condition:
    def matches(flow: Flow, head: RequestHead) -> bool:
        host, port = canonicalHost(flow.target.host), flow.target.port
        return any(pattern.matches(host, port) for pattern in patterns)

    return matches


class RequestIndex:
    """
    All routes, by host.
    """

    def __init__(self) -> None:
        self._hosts: dict[str | IPAddress, PathIndex] = {}
        self._suffixes: dict[str, PathIndex] = {}
        self._everything: PathIndex | None = None
        self._targets = _Targets()
        self._targeted = False
        self._all: list[PathIndex] = []

    def add(self, place: int, match: Match) -> None:
        """
        File a route; they come in the order of their places.
        """
        if match.protocols and "http" not in match.protocols:
            return
        if match.hosts:
            targeted: tuple[Condition, ...] = (_targetMatches(match.targets),) if match.targets else ()
            for pattern in match.hosts:
                if pattern.host is not None:
                    index = self._index(self._hosts, pattern.host, place)
                elif pattern.suffix is not None:
                    index = self._index(self._suffixes, pattern.suffix, place)
                else:
                    index = self._forEverything(place)
                index.add(place, match, targeted)
        elif match.targets:
            for target in match.targets:
                table = self._targets.table(target)
                if table is None:
                    self._forEverything(place).add(place, match, ())
                else:
                    exact = target.port is None or table[0] is self._targets.ports
                    self._index(*table, place).add(place, match, () if exact else (_targetMatches((target,)),))
        else:
            self._forEverything(place).add(place, match, ())

    def _index(self, table: dict[Any, PathIndex], key: Any, place: int) -> PathIndex:
        index = table.get(key)
        if index is None:
            index = table[key] = PathIndex(place)
            self._all.append(index)
        return index

    def _forEverything(self, place: int) -> PathIndex:
        if self._everything is None:
            self._everything = PathIndex(place)
            self._all.append(self._everything)
        return self._everything

    def seal(self) -> None:
        """
        All are filed.
        """
        self._targeted = bool(self._targets)
        for index in self._all:
            index.seal()

    def find(self, flow: Flow, head: RequestHead) -> int:
        """
        The place of the first route that takes a request, or L{NOWHERE}.

        @raise BadRequest: where that depends on how somebody reads the path.
        """
        indexes = self._indexes(flow, head)
        best = NOWHERE
        path = b""
        others: tuple[bytes, ...] | None = None
        for index in indexes:
            if index.first < best:
                if others is None and index.asks:
                    path, others = readings(head.path)
                best = index.find(path, best, flow, head)
        if others:
            for other in others:
                again = NOWHERE
                for index in indexes:
                    again = index.find(other, again, flow, head)
                if again != best:
                    raise BadRequest(AMBIGUOUS)
        return best

    def _indexes(self, flow: Flow, head: RequestHead) -> list[PathIndex]:
        """
        Those that may hold a route for a request.
        """
        host = authorityHost(head.authority) if head.authority else canonicalHost(flow.target.host)
        found: list[PathIndex] = []
        index = self._hosts.get(host)
        if index is not None:
            found.append(index)
        suffixes = self._suffixes
        if suffixes and isinstance(host, str):
            dot = host.find(".")
            while dot >= 0:
                index = suffixes.get(host[dot:])
                if index is not None:
                    found.append(index)
                dot = host.find(".", dot + 1)
        if self._targeted:
            self._targets.find(flow, found)
        if self._everything is not None:
            found.append(self._everything)
        return found
