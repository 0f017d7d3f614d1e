"""
Tests for L{hermes.control.costmetrics}.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from hermes.control.costmetrics import CostMetrics
from hermes.control.values import LinkFigure
from hermes.test.control.reroutingcase import BAD, ReroutingCase


class CostMetricsTests(ReroutingCase):
    """
    L{CostMetrics}.
    """

    def test_whatIsKnownWhatWasToldAndWhatCameOfIt(self) -> None:
        registry = CollectorRegistry()
        CostMetrics(self.leader.costs, self.leader.rerouter, registry)

        def value(name: str, **labels: str) -> float | None:
            return registry.get_sample_value(f"hermes_controller_{name}", labels)

        self.assertEqual((value("links", state="up"), value("reroutes_total", result="committed")), (0, 0))
        self.measure(one=BAD, two=None)
        self.tell()
        self.leader.costs.heard("edge", [LinkFigure("nobody", 0.1)])
        self.assertEqual((value("links", state="up"), value("links", state="down")), (3, 1))
        self.assertEqual(value("measurements_total", result="taken"), 4)
        self.assertEqual(value("measurements_total", result="refused"), 1)
        self.measure(one=BAD)
        self.pass_(200)
        self.assertEqual(value("reroutes_total", result="committed"), 1)
        self.assertEqual(value("reroutes_total", result="aborted"), 0)
