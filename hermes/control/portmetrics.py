"""
Prometheus metrics of the port where nodes come.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric

from hermes.control.channel.counts import Refusals

KINDS = ("handshake", "protocol", "certificate", "slow", "full", "malformed", "unread", "token", "failed", "NotAllowed")
"""
Kinds that are there from the start, so that the first of each is seen as one more.
"""


class PortMetrics:
    """
    Reads them when somebody asks: what C{prometheus_client} calls a collector.
    """

    def __init__(self, refusals: Refusals, registry: CollectorRegistry) -> None:
        self._refusals = refusals
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """
        The families.
        """
        family = CounterMetricFamily(
            "hermes_controller_refusals",
            "What was refused to those who come to the port for nodes, by kind.",
            labels=["kind"],
        )
        for kind, count in sorted({**dict.fromkeys(KINDS, 0), **self._refusals.counts}.items()):
            family.add_metric([kind], float(count))
        yield family
