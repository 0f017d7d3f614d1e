"""
Routes that the same hosts and paths lead to, and the one of them that takes a request.

Where there are many, each is filed under the exact values that it asks for: a user, a method, the value of a header
field. Those that ask for the same kinds of values are in one table, so that what a request costs grows with the number
of tables and not with that of routes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, TypeAlias

from hermes.matching import Criterion, IPNetwork, Match, canonicalHost
from hermes.matching.match import fromSource, takesParameter
from hermes.matching.values import queryParameters
from hermes.values import Flow, RequestHead

Condition: TypeAlias = "Callable[[Flow, RequestHead], bool]"
Candidate: TypeAlias = "tuple[int, tuple[Condition, ...]]"
# The kind of a value, and the value: ("user", "alice"), (("header", b"x-team"), b"red").
Value: TypeAlias = "tuple[Any, Any]"

FEW = 8
"""
How many routes are tried one after the other.
"""

MAX_FILINGS = 256
"""
Under how many combinations of values one route is filed; what would make more of them is looked at afterwards.
"""


class Bucket:
    """
    Some routes.

    @ivar first: the place of the first of them.
    """

    __slots__ = ("_candidates", "_matches", "_tables", "first")

    def __init__(self) -> None:
        self.first = -1
        self._matches: list[tuple[int, Match, tuple[Condition, ...]]] = []
        self._candidates: tuple[Candidate, ...] = ()
        self._tables: tuple[_Table, ...] | None = None

    def add(self, place: int, match: Match, conditions: tuple[Condition, ...]) -> None:
        """
        File a route; they come in the order of their places.

        @param conditions: what is to be looked at beside what this bucket looks at: not users, nodes, listeners,
            sources, methods, header fields and parameters.
        """
        if self.first < 0:
            self.first = place
        if self._matches and self._matches[-1][0] == place and not self._matches[-1][2]:
            # Another of its hosts or paths has led here, and asked for nothing more.
            return
        self._matches.append((place, match, conditions))

    def seal(self) -> None:
        """
        All are filed.
        """
        if len(self._matches) <= FEW:
            self._candidates = tuple(
                (place, (*more, *conditions(match, frozenset()))) for place, match, more in self._matches
            )
        else:
            tables: dict[tuple[Any, ...], _Table] = {}
            for place, match, more in self._matches:
                filed, ways = _filings(match)
                rest = (*more, *conditions(match, filed))
                for values in ways:
                    kinds = tuple(kind for kind, _ in values)
                    table = tables.get(kinds)
                    if table is None:
                        table = tables[kinds] = _Table(kinds, place)
                    table.add(tuple(value for _, value in values), (place, rest))
            self._tables = tuple(tables.values())
        self._matches = []

    def find(self, best: int, flow: Flow, head: RequestHead) -> int:
        """
        The place of the first route that takes a request, where that is before C{best}; else C{best}.
        """
        if self._tables is None:
            return _first(self._candidates, best, flow, head)
        for table in self._tables:
            if table.first >= best:
                break
            for rows in table.find(flow, head):
                if rows[0][0] < best:
                    best = _first(rows, best, flow, head)
        return best


class _Table:
    """
    Routes that ask for the same kinds of values.

    @ivar first: the place of the first of them.
    @ivar rows: routes by the values that they ask for; by the one, where there is one kind.
    """

    __slots__ = ("_getters", "_only", "_parameter", "first", "rows")

    def __init__(self, kinds: tuple[Any, ...], first: int) -> None:
        self.first = first
        self.rows: dict[Any, list[Candidate]] = {}
        # A parameter may have any number of values; it comes last.
        self._parameter: bytes | None = kinds[-1][1] if kinds and kinds[-1][0] == "query" else None
        self._getters = tuple(_getter(kind) for kind in (kinds if self._parameter is None else kinds[:-1]))
        self._only = self._getters[0] if len(kinds) == 1 and self._parameter is None else None

    def add(self, values: tuple[Any, ...], candidate: Candidate) -> None:
        """
        File a route.
        """
        self.rows.setdefault(values if self._only is None else values[0], []).append(candidate)

    def find(self, flow: Flow, head: RequestHead) -> Sequence[list[Candidate]]:
        """
        The routes whose values a request has.
        """
        if self._only is not None:
            rows = self.rows.get(self._only(flow, head))
            return () if rows is None else (rows,)
        values = tuple([getter(flow, head) for getter in self._getters])
        if self._parameter is None:
            rows = self.rows.get(values)
            return () if rows is None else (rows,)
        given = queryParameters(head.path).get(self._parameter, ())
        return [self.rows[key] for one in given if (key := (*values, one)) in self.rows]


def _first(candidates: Sequence[Candidate], best: int, flow: Flow, head: RequestHead) -> int:
    for place, conditions in candidates:
        if place >= best:
            return best
        for condition in conditions:
            if not condition(flow, head):
                break
        else:
            return place
    return best


def conditions(match: Match, filed: frozenset[Any]) -> Iterator[Condition]:
    """
    What a match asks for beside host, path and target, each as a function; the cheap ones first.

    @param filed: the kinds of values that are known to match.
    """
    methods, users, nodes = match.methods, match.users, match.nodes
    listeners, sources = match.listeners, match.sources
    if methods and "method" not in filed:
        yield lambda flow, head: head.method in methods
    if listeners and "listener" not in filed:
        yield lambda flow, head: flow.listener in listeners
    if users and "user" not in filed:
        yield lambda flow, head: flow.identity.user in users
    if nodes and "node" not in filed:
        yield lambda flow, head: flow.identity.node in nodes
    if sources and "source" not in filed:
        yield lambda flow, head: fromSource(flow, sources)
    for criterion in match.headers:
        if ("header", criterion.name) not in filed:
            yield _fieldMatches(criterion)
    for criterion in match.query:
        if ("query", criterion.name) not in filed:
            yield _parameterMatches(criterion)


def _fieldMatches(criterion: Criterion) -> Condition:
    name, matches = criterion.name, criterion.matches
    return lambda flow, head: matches(head.get(name))


def _parameterMatches(criterion: Criterion) -> Condition:
    return lambda flow, head: takesParameter(criterion, head.path)


# Filing


def _filings(match: Match) -> tuple[frozenset[Any], list[tuple[Value, ...]]]:
    """
    The kinds of values that a route is filed under, and every combination of them.
    """
    chosen: list[list[Value]] = []
    filed: set[Any] = set()
    count = 1
    for kind, values in _exactValues(match):
        if not chosen or count * len(values) <= MAX_FILINGS:
            chosen.append(values)
            filed.add(kind)
            count *= len(values)
    return frozenset(filed), list(product(*chosen))


def _exactValues(match: Match) -> Iterator[tuple[Any, list[Value]]]:
    for kind, names in (("user", match.users), ("node", match.nodes)):
        if names:
            yield kind, [(kind, name) for name in sorted(names)]
    for criterion in match.headers:
        if all(pattern.how == "exact" for pattern in criterion.values):
            name = ("header", criterion.name)
            yield name, [(name, pattern.text.encode()) for pattern in criterion.values]
    if match.sources:
        yield "source", [_networkValue(network) for network in match.sources]
    if match.methods:
        yield "method", [("method", method) for method in sorted(match.methods)]
    if match.listeners:
        yield "listener", [("listener", listener) for listener in sorted(match.listeners)]
    # A request may have any number of values for each parameter: one of them is enough to look up.
    for criterion in match.query:
        if all(pattern.how == "exact" for pattern in criterion.values):
            name = ("query", criterion.name)
            yield name, [(name, pattern.text.encode()) for pattern in criterion.values]
            break


def _networkValue(network: IPNetwork) -> Value:
    shift = network.max_prefixlen - network.prefixlen
    return ("source", network.version, shift), int(network.network_address) >> shift


def _getter(kind: Any) -> Callable[[Flow, RequestHead], Any]:
    if kind == "user":
        return lambda flow, head: flow.identity.user
    if kind == "node":
        return lambda flow, head: flow.identity.node
    if kind == "method":
        return lambda flow, head: head.method
    if kind == "listener":
        return lambda flow, head: flow.listener
    if kind[0] == "header":
        name = kind[1]
        return lambda flow, head: head.get(name)
    version, shift = kind[1:]

    def network(flow: Flow, head: RequestHead) -> int | None:
        source = None if flow.source is None else canonicalHost(flow.source[0])
        return None if source is None or isinstance(source, str) or source.version != version else int(source) >> shift

    return network
