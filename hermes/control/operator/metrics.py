"""
Prometheus metrics of a controller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from twisted.internet.defer import Deferred

import hermes
from hermes.control.controller import Controller
from hermes.control.status import OverlayStatus
from hermes.control.values import Result

_STATES = ("connected", "current", "trial", "draining", "revoked", "problem")


class OperatorMetrics:
    """
    Counts what passes the operator's interface, and reads the rest from the controller when somebody asks.

    @ivar registry: everything; others may add what they count.
    """

    def __init__(self, controller: Controller, registry: CollectorRegistry | None = None) -> None:
        """
        @param registry: where they are put; one of their own where not given.
        """
        self.registry = CollectorRegistry() if registry is None else registry
        self._controller = controller
        self._status: OverlayStatus | None = None
        self._audited = 0
        self._calls = Counter(
            "hermes_controller_api_calls",
            "Calls of the REST interface, by what was asked and how it was answered.",
            ("method", "path", "status"),
            registry=self.registry,
        )
        self._changes = Counter(
            "hermes_controller_changes",
            "Changes that operators have asked for, by what came of them.",
            ("result",),
            registry=self.registry,
        )
        for result in get_args(Result):
            self._changes.labels(result)
        information = Gauge("hermes_controller_build_info", "This controller.", ("version",), registry=self.registry)
        information.labels(hermes.__version__).set(1)
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def called(self, method: str, path: str, status: int) -> None:
        """
        A call was answered.

        @param path: with C{{}} in place of names, so that there are few.
        """
        self._calls.labels(method, path, str(status)).inc()

    def changed(self, result: str) -> None:
        """
        A change has ended.
        """
        self._changes.labels(result).inc()

    def text(self) -> Deferred[bytes]:
        """
        All of them, as Prometheus reads it.
        """
        return Deferred.fromCoroutine(self._text())

    async def _text(self) -> bytes:
        status = await self._controller.status()
        audited = await self._controller.audits(1)
        # Nothing comes between these and the reading of them.
        self._status, self._audited = status, audited[0].number if audited else 0
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """
        The families that are read from the controller.
        """
        status = self._status
        if status is None:
            return
        for name, text, value in (
            ("leading", "Whether this controller leads: of several, one does.", int(status.leading)),
            ("version", "The version of the overlay that is committed; 0 before the first.", status.version or 0),
            ("version_time_seconds", "When that was applied, seconds since the epoch.", status.time),
            ("change_running", "Whether a change is under way.", int(status.change is not None)),
            ("audit_entries", "Entries of the audit log.", self._audited),
        ):
            yield GaugeMetricFamily(f"hermes_controller_{name}", text, value=float(value))
        counts = dict.fromkeys(_STATES, 0)
        for node in status.nodes:
            held = _held(node)
            for state in _STATES:
                counts[state] += held[state]
        nodes = GaugeMetricFamily(
            "hermes_controller_nodes", "Nodes that the controller knows, by what they are.", labels=["state"]
        )
        nodes.add_metric(["all"], float(len(status.nodes)))
        for state, count in counts.items():
            nodes.add_metric([state], float(count))
        yield nodes


def _held(node: Any) -> dict[str, bool]:
    return {
        "connected": node.state.connected,
        "current": node.current,
        "trial": node.state.connected and node.state.trial,
        "draining": node.state.connected and node.state.draining,
        "revoked": node.revoked,
        "problem": node.problem is not None,
    }
