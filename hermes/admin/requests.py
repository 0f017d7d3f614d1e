"""
Prometheus metrics of HTTP exchanges.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from zope.interface import implementer

from hermes.interfaces import IRequestObserver

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""
Upper bounds of the buckets of durations.
"""

METHODS: Final = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"QUERY"}
    | {b"PROPFIND", b"PROPPATCH", b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"REPORT", b"SEARCH"}
)
"""
Methods that are told apart. A client may make up others, and each would be a time series of its own for ever.
"""

_BOUNDS: Final = (*map(str, SECONDS), "+Inf")


class _Series:
    """
    What is counted for one listener, route and upstream.

    @ivar seconds: the sum of durations; C{buckets} how many there were for each of L{SECONDS}, and beyond.
    @ivar firstSeconds: the same until the head of the response.
    """

    __slots__ = ("buckets", "bytesIn", "bytesOut", "firstBuckets", "firstSeconds", "labels", "seconds")

    def __init__(self, labels: tuple[str, str, str]) -> None:
        self.labels = labels
        self.seconds = self.firstSeconds = 0.0
        self.buckets = [0] * len(_BOUNDS)
        self.firstBuckets = [0] * len(_BOUNDS)
        self.bytesIn = self.bytesOut = 0


class _Cell:
    """
    What is counted for one listener, route, upstream, method and status.
    """

    __slots__ = ("count", "series")

    def __init__(self, series: _Series) -> None:
        self.series = series
        self.count = 0


@implementer(IRequestObserver)
class RequestMetrics:
    """
    Counts exchanges: into plain objects, one look-up for each exchange, and into what Prometheus understands only when
    somebody asks. Those that go on count their bytes in their records, which are read there.
    """

    def __init__(self, openRequests: Callable[[], Iterable[Any]], registry: CollectorRegistry) -> None:
        """
        @param openRequests: gives the L{hermes.messages.RequestRecord}s of the exchanges that go on.
        """
        self._openRequests = openRequests
        self._cells: dict[tuple[str, str, str, bytes, int], _Cell] = {}
        self._counted: dict[tuple[str, str, str, str, int], _Cell] = {}
        self._series: dict[tuple[str, str, str], _Series] = {}
        # A stream inside an exchange (WebSocket) lasts for as long as it is used: that says nothing of the origin.
        self._streams: dict[tuple[str, str, str], _Series] = {}
        self._retries: Counter[tuple[str, str, str, str]] = Counter()
        self._resumed: Counter[tuple[str, str, str]] = Counter()
        self._cached: Counter[tuple[str, str, str]] = Counter()
        self._failed: Counter[tuple[str, str, str, str]] = Counter()
        registry.register(self)

    def requestStarted(self, record: Any) -> None:
        pass

    def requestEnded(self, record: Any) -> None:
        try:
            cell = self._cells[
                record.flow.listener, record.routeName, record.upstream, record.head.method, record.status
            ]
        except KeyError:
            cell = self._newCell(record)
        cell.count += 1
        series = cell.series
        seconds = record.seconds
        series.seconds += seconds
        series.buckets[bisect_left(SECONDS, seconds)] += 1
        seconds = record.firstByteSeconds
        if seconds is not None:
            series.firstSeconds += seconds
            series.firstBuckets[bisect_left(SECONDS, seconds)] += 1
        series.bytesIn += record.bytesIn
        series.bytesOut += record.bytesOut
        if record.retries or record.resumed or record.cache or record.error is not None:
            self._seldom(record, series.labels)

    def _newCell(self, record: Any) -> _Cell:
        labels = record.flow.listener, record.routeName, record.upstream
        method = record.head.method
        known = self._streams if method == b"CONNECT" else self._series
        series = known.get(labels)
        if series is None:
            series = known[labels] = _Series(labels)
        name = method.decode("ascii") if method in METHODS else "other"
        cell = self._counted.setdefault((*labels, name, record.status), _Cell(series))
        if method in METHODS:
            self._cells[*labels, method, record.status] = cell
        return cell

    def _seldom(self, record: Any, labels: tuple[str, str, str]) -> None:
        for reason in record.retries:
            self._retries[*labels, str(reason)] += 1
        if record.resumed:
            self._resumed[labels] += record.resumed
        if record.cache:
            self._cached[labels[0], labels[1], record.cache] += 1
        if record.error is not None:
            self._failed[*labels, record.proxyStatus or "cancelled"] += 1

    def collect(self) -> Iterator[Metric]:
        """
        What C{prometheus_client} asks a collector for.
        """
        place = ("listener", "route", "upstream")
        total = CounterMetricFamily(
            "hermes_requests", "HTTP exchanges that have ended.", labels=[*place, "method", "status"]
        )
        for (*labels, status), cell in sorted(self._counted.items()):
            total.add_metric([*map(str, labels), str(status) if status else "none"], cell.count)
        yield total
        yield from self._durations(place)
        yield from self._moved(place)
        yield _counters(
            "hermes_request_retries",
            "Tries after the first, by why the one before failed.",
            (*place, "reason"),
            self._retries,
        )
        yield _counters(
            "hermes_request_resumed",
            "Response bodies that were cut short and went on from another try.",
            place,
            self._resumed,
        )
        yield _counters(
            "hermes_request_cache",
            "HTTP exchanges that passed a cache, by what it did.",
            ("listener", "route", "result"),
            self._cached,
        )
        yield _counters(
            "hermes_requests_failed",
            "HTTP exchanges that were refused or ended with an error, by Proxy-Status error type.",
            (*place, "reason"),
            self._failed,
        )

    def _durations(self, place: Sequence[str]) -> Iterator[Metric]:
        duration = HistogramMetricFamily(
            "hermes_request_duration_seconds",
            "From the head of a request to the end of its response; without streams such as WebSocket.",
            labels=place,
        )
        first = HistogramMetricFamily(
            "hermes_request_first_byte_seconds",
            "From the head of a request to the head of its response.",
            labels=place,
        )
        for labels, series in sorted(self._series.items()):
            duration.add_metric(labels, _cumulative(series.buckets), series.seconds)
            first.add_metric(labels, _cumulative(series.firstBuckets), series.firstSeconds)
        yield duration
        yield first

    def _moved(self, place: Sequence[str]) -> Iterator[Metric]:
        moved: Counter[tuple[str, str, str, str]] = Counter()
        number: Counter[tuple[str]] = Counter()
        for known in (self._series, self._streams):
            for labels, series in known.items():
                moved[*labels, "in"] += series.bytesIn
                moved[*labels, "out"] += series.bytesOut
        for record in self._openRequests():
            labels = record.flow.listener, record.routeName, record.upstream
            moved[*labels, "in"] += record.bytesIn
            moved[*labels, "out"] += record.bytesOut
            number[(record.flow.listener,)] += 1
        yield _counters("hermes_request_bytes", "Bytes of bodies; in: from clients.", (*place, "direction"), moved)
        open = GaugeMetricFamily("hermes_requests_open", "HTTP exchanges that go on now.", labels=["listener"])
        for (listener,), count in sorted(number.items()):
            open.add_metric([listener], count)
        yield open


def _counters(name: str, documentation: str, labels: Sequence[str], counts: Counter[Any]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family


def _cumulative(buckets: Sequence[int]) -> list[tuple[str, float]]:
    return list(zip(_BOUNDS, accumulate(buckets), strict=True))
