"""
Prometheus metrics of a node.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from zope.interface import implementer

from hermes.interfaces import IFlowObserver
from hermes.net.scheduling import scheduledInBatches

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DURATIONS = (0.01, 0.1, 1, 10, 60, 600, 3600)
_BYTES = (("in", "bytesIn"), ("out", "bytesOut"))
_DATAGRAMS = (("in", "datagramsIn"), ("out", "datagramsOut"))


@implementer(IFlowObserver)
class FlowMetrics:
    """
    Counts flows. A flow that is open counts its bytes in its record; they are read there when somebody asks, so that
    counting costs the data nothing.

    @ivar registry: everything, for C{prometheus_client.generate_latest}.
    """

    def __init__(
        self,
        openFlows: Callable[[], Iterable[Any]],
        node: str,
        version: str,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """
        @param openFlows: gives the L{hermes.fabric.record.FlowRecord}s of the flows that are open.
        @param registry: where they are put; one of their own where not given.
        """
        self.registry = CollectorRegistry() if registry is None else registry
        self._openFlows = openFlows
        self._moved: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        flowLabels = ("listener", "protocol", "route", "upstream")
        self._opened = Counter("hermes_flows", "Flows that were opened.", flowLabels, registry=self.registry)
        self._refused = Counter(
            "hermes_flows_refused",
            "Flows that were refused or failed to open, by Proxy-Status error type.",
            ("listener", "protocol", "reason"),
            registry=self.registry,
        )
        self._broken = Counter(
            "hermes_flows_broken", "Flows that ended with an error.", ("listener", "protocol"), registry=self.registry
        )
        self._connect = Histogram(
            "hermes_flow_connect_seconds",
            "Time until the far side of a flow was up.",
            ("listener", "upstream"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._duration = Histogram(
            "hermes_flow_duration_seconds",
            "How long flows were open.",
            ("listener", "protocol"),
            buckets=_DURATIONS,
            registry=self.registry,
        )
        information = Gauge("hermes_build_info", "This node.", ("node", "version"), registry=self.registry)
        information.labels(node, version).set(1)
        batches = Gauge(
            "hermes_scheduled_in_batches",
            "Processes that the kernel schedules in batches now (SCHED_BATCH).",
            registry=self.registry,
        )
        batches.set_function(scheduledInBatches)
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def flowOpened(self, record: Any) -> None:
        flow = record.flow
        self._opened.labels(flow.listener, flow.protocol, record.routeName, record.upstream).inc()
        if record.connectDuration is not None:
            self._connect.labels(flow.listener, record.upstream).observe(record.connectDuration)

    def flowClosed(self, record: Any) -> None:
        flow = record.flow
        self._add(self._moved, record)
        self._duration.labels(flow.listener, flow.protocol).observe(record.duration or 0)
        if record.error is not None:
            self._broken.labels(flow.listener, flow.protocol).inc()

    def flowRefused(self, record: Any) -> None:
        flow = record.flow
        self._refused.labels(flow.listener, flow.protocol, record.proxyStatus or "cancelled").inc()

    def _add(self, moved: defaultdict[tuple[str, str, str], int], record: Any) -> None:
        if record.flow.protocol == "udp":
            moved["dropped", record.flow.listener, ""] += record.datagramsDropped
        for kind, fields in (("bytes", _BYTES), ("datagrams", _DATAGRAMS)):
            for direction, attribute in fields:
                count = getattr(record, attribute)
                if count:
                    moved[kind, record.flow.listener, direction] += count

    def collect(self) -> Iterator[Metric]:
        """
        The metrics that are read from the records: what C{prometheus_client} calls a collector.
        """
        moved = self._moved.copy()
        number: defaultdict[tuple[str, str], int] = defaultdict(int)
        for record in self._openFlows():
            self._add(moved, record)
            number[record.flow.listener, record.flow.protocol] += 1
        labels = ["listener", "direction"]
        families = {
            "bytes": CounterMetricFamily("hermes_bytes", "Payload bytes; in: from clients.", labels=labels),
            "datagrams": CounterMetricFamily("hermes_datagrams", "Datagrams; in: from clients.", labels=labels),
        }
        dropped = CounterMetricFamily(
            "hermes_datagrams_dropped",
            "Datagrams that found a queue full, grew too old or were too large.",
            None,
            ["listener"],
        )
        for (kind, listener, direction), count in sorted(moved.items()):
            if kind == "dropped":
                dropped.add_metric([listener], count)
            else:
                families[kind].add_metric([listener, direction], count)
        yield from families.values()
        yield dropped
        open = GaugeMetricFamily("hermes_flows_open", "Flows that are open now.", labels=["listener", "protocol"])
        for (listener, protocol), count in sorted(number.items()):
            open.add_metric([listener, protocol], count)
        yield open
