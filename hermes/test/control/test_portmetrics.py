"""
Tests for L{hermes.control.portmetrics}.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from hermes.control.agent.files import Files
from hermes.control.enrolment.errors import EnrolmentRefused
from hermes.control.portmetrics import PortMetrics
from hermes.test.control.portcase import PortCase


class PortMetricsTests(PortCase):
    """
    L{PortMetrics}.
    """

    def test_whatIsRefusedIsCountedByKind(self) -> None:
        registry = CollectorRegistry()
        PortMetrics(self.port.refusals, registry)

        def value(kind: str) -> float | None:
            return registry.get_sample_value("hermes_controller_refusals_total", {"kind": kind})

        self.assertEqual((value("token"), value("handshake"), value("calls")), (0, 0, None))
        token = self.wait(self.port.registrar.enrol("edge"))
        self.wait(self.member(token, files=Files(self.mktemp()))[0].start())
        self.assertEqual(value("token"), 0)
        self.fails(self.member(token)[0].start(), EnrolmentRefused)
        self.assertEqual(value("token"), 1)
        self.port.refusals.add("calls")
        self.assertEqual(value("calls"), 1)
