"""
Prometheus metrics of upstreams: their pools and the health of their endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

ROUND_TRIP: Final = "hermes_upstream_round_trip_seconds"

_OF_UPSTREAMS: Final = (
    ("requests", "hermes_upstream_requests_open", "Requests that an upstream answers now."),
    ("retries", "hermes_upstream_retries_open", "Requests that are with an upstream once more."),
)
_OF_ENDPOINTS: Final = (
    ("connections", "hermes_upstream_connections", "Open connections to an endpoint, for requests or for tunnels."),
    ("streams", "hermes_upstream_streams", "Tunnels and requests in the connections to an endpoint of a hop."),
    ("active", "hermes_upstream_active", "Requests and flows that are with an endpoint."),
    ("pending", "hermes_upstream_pending", "Requests that wait for a connection to an endpoint."),
    ("unhealthy", "hermes_upstream_unhealthy", "Whether an endpoint's health checks fail; with workers, in how many."),
    (
        "ejected",
        "hermes_upstream_ejected",
        "Whether an endpoint is left out after failures; with workers, in how many.",
    ),
    ("roundTripSeconds", ROUND_TRIP, "The shortest round trip to an endpoint of a hop, as HTTP/2 measures it."),
)


class UpstreamMetrics:
    """
    Reads what upstreams tell the status API when somebody asks: what C{prometheus_client} calls a collector.
    """

    def __init__(self, upstreams: Callable[[], Mapping[str, Any]], registry: CollectorRegistry) -> None:
        """
        @param upstreams: gives those that new flows and requests are sent to, by name.
        """
        self._upstreams = upstreams
        # By upstream: what its predecessors have refused, and what it had when last asked.
        self._refused: dict[str, tuple[int, int]] = {}
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """
        The families.
        """
        statuses = {
            name: dict(upstream.status())
            for name, upstream in sorted(self._upstreams().items())
            if hasattr(upstream, "status")
        }
        for key, name, documentation in _OF_UPSTREAMS:
            gauge = GaugeMetricFamily(name, documentation, labels=["upstream"])
            for upstream, status in statuses.items():
                if key in status:
                    gauge.add_metric([upstream], status[key])
            yield gauge
        refused = CounterMetricFamily(
            "hermes_upstream_refused",
            "Requests and retries that were refused for an upstream's limits.",
            labels=["upstream"],
        )
        for upstream, status in statuses.items():
            if "refused" in status:
                refused.add_metric([upstream], self._grown(upstream, status["refused"]))
        yield refused
        for key, name, documentation in _OF_ENDPOINTS:
            gauge = GaugeMetricFamily(name, documentation, labels=["upstream", "endpoint"])
            for upstream, status in statuses.items():
                for endpoint in status.get("endpoints", ()):
                    value = (
                        not endpoint["healthy"] if key == "unhealthy" and "healthy" in endpoint else endpoint.get(key)
                    )
                    if value is not None:
                        gauge.add_metric([upstream, endpoint["address"]], value)
            yield gauge

    def _grown(self, upstream: str, count: int) -> int:
        """
        A count that does not fall where a reload has made the upstream anew.
        """
        before, last = self._refused.get(upstream, (0, 0))
        if count < last:
            before += last
        self._refused[upstream] = before, count
        return before + count
