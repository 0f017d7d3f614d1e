"""
What caches tell Prometheus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from hermes.assist.cache.cache import Cache


class CacheMetrics:
    """
    Reads the counts of caches when somebody asks: what C{prometheus_client} calls a collector. What a cache has counted
    stays counted when a reload has replaced it.
    """

    def __init__(self) -> None:
        self._caches: list[Cache] = []
        self._requests: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._evicted: defaultdict[str, int] = defaultdict(int)

    def add(self, cache: Cache) -> None:
        """
        Tell of a cache.
        """
        self._caches.append(cache)

    def remove(self, cache: Cache) -> None:
        """
        A cache is closed.
        """
        self._caches.remove(cache)
        for result, count in cache.counts.items():
            self._requests[cache.name, result] += count
        self._evicted[cache.name] += cache.store.evicted

    def collect(self) -> Iterator[Metric]:
        """
        The families.
        """
        requests, evicted = self._requests.copy(), self._evicted.copy()
        size: defaultdict[str, int] = defaultdict(int)
        objects: defaultdict[str, int] = defaultdict(int)
        for cache in self._caches:
            for result, count in cache.counts.items():
                requests[cache.name, result] += count
            evicted[cache.name] += cache.store.evicted
            size[cache.name] += cache.store.size
            objects[cache.name] += cache.store.objects
        total = CounterMetricFamily(
            "hermes_cache_requests", "Requests by what a cache did about them.", labels=["cache", "result"]
        )
        for (name, result), count in sorted(requests.items()):
            total.add_metric([name, result], count)
        yield total
        gone = CounterMetricFamily(
            "hermes_cache_evictions", "Stored responses that made room for others.", labels=["cache"]
        )
        for name, count in sorted(evicted.items()):
            gone.add_metric([name], count)
        yield gone
        for family, text, values in (
            ("hermes_cache_stored_bytes", "Bytes that a cache holds.", size),
            ("hermes_cache_objects", "Responses that a cache holds.", objects),
        ):
            gauge = GaugeMetricFamily(family, text, labels=["cache"])
            for name, value in sorted(values.items()):
                gauge.add_metric([name], value)
            yield gauge


_OF_REGISTRIES: WeakKeyDictionary[Any, CacheMetrics] = WeakKeyDictionary()


def metricsIn(registry: Any) -> CacheMetrics:
    """
    The metrics of caches in a C{prometheus_client.CollectorRegistry}, one for all generations of a node.
    """
    metrics = _OF_REGISTRIES.get(registry)
    if metrics is None:
        metrics = _OF_REGISTRIES[registry] = CacheMetrics()
        registry.register(metrics)
    return metrics
