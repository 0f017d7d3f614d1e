"""
Prometheus metrics of what links cost, and of the changes that follow it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hermes.control.linkcosts import LinkCosts
from hermes.control.rerouting import Rerouter
from hermes.control.values import Result


class CostMetrics:
    """
    Reads them when somebody asks: what C{prometheus_client} calls a collector.
    """

    def __init__(self, costs: LinkCosts, rerouter: Rerouter, registry: CollectorRegistry) -> None:
        self._costs = costs
        self._rerouter = rerouter
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """
        The families.
        """
        known = self._costs.known().values()
        links = GaugeMetricFamily(
            "hermes_controller_links",
            "Links without a weight of which nodes have told lately, by what they are.",
            labels=["state"],
        )
        for state, up in (("up", True), ("down", False)):
            links.add_metric([state], float(sum(figure.up is up for figure in known)))
        yield links
        figures = CounterMetricFamily(
            "hermes_controller_measurements",
            "Measurements of links that nodes have told; refused: of links that they do not have, or what can't be.",
            labels=["result"],
        )
        figures.add_metric(["taken"], float(self._costs.taken))
        figures.add_metric(["refused"], float(self._costs.refused))
        yield figures
        reroutes = CounterMetricFamily(
            "hermes_controller_reroutes",
            "Changes that the controller has made because of what links cost, by what came of them.",
            labels=["result"],
        )
        for result in (*get_args(Result), "failed"):
            reroutes.add_metric([result], float(self._rerouter.results[result]))
        yield reroutes
