"""
Prometheus metrics of IP packets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_COUNTED: Final = (
    ("packets", "hermes_ip_packets", "IP packets, whole segments as one; in: into the node."),
    ("bytes", "hermes_ip_bytes", "Bytes of IP packets; in: into the node."),
)


class PacketMetrics:
    """
    Reads what the IP side of a node tells the status API when somebody asks. What ports are called that come and go
    with their tunnels would make time series without end: they are counted together.
    """

    def __init__(self, status: Callable[[], dict[str, Any]], registry: CollectorRegistry) -> None:
        """
        @param status: see L{hermes.ip.plane.PacketPlane.status}.
        """
        self._status = status
        # What ports that are gone have counted, and what each had when last asked.
        self._gone: Counter[tuple[str, str, str]] = Counter()
        self._seen: dict[tuple[str, str], dict[tuple[str, str, str], int]] = {}
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """
        The families.
        """
        status = self._status()
        totals, open_ = self._totals(status)
        for kind, name, documentation in _COUNTED:
            family = CounterMetricFamily(name, documentation, labels=["port", "direction"])
            for (counted, port, direction), value in sorted(totals.items()):
                if counted == kind:
                    family.add_metric([port, direction], value)
            yield family
        dropped = CounterMetricFamily(
            "hermes_ip_dropped", "IP packets that could not be sent in time.", labels=["port"]
        )
        for (counted, port, _), value in sorted(totals.items()):
            if counted == "dropped":
                dropped.add_metric([port], value)
        yield dropped
        refused = CounterMetricFamily(
            "hermes_ip_refused", "IP packets that were not forwarded, by why.", labels=["reason"]
        )
        for reason, count in sorted(status["refused"].items()):
            refused.add_metric([reason], count)
        yield refused
        ports = GaugeMetricFamily("hermes_ip_ports", "Devices, tunnels and ways over hops.", labels=["port"])
        for port, number in sorted(open_.items()):
            ports.add_metric([port], number)
        yield ports

    def _totals(self, status: dict[str, Any]) -> tuple[Counter[tuple[str, str, str]], Counter[str]]:
        totals: Counter[tuple[str, str, str]] = Counter()
        open_: Counter[str] = Counter()
        seen: dict[tuple[str, str], dict[tuple[str, str, str], int]] = {}
        for each in status["ports"]:
            label = "tunnels" if each["kind"] == "tunnel" else each["listener"] or each["name"]
            open_[label] += 1
            seen[(each["kind"], each["name"])] = {
                ("packets", label, "in"): each["packetsIn"],
                ("packets", label, "out"): each["packetsOut"],
                ("bytes", label, "in"): each["bytesIn"],
                ("bytes", label, "out"): each["bytesOut"],
                ("dropped", label, ""): each["dropped"],
            }
        for key, before in self._seen.items():
            now = seen.get(key)
            if now is None or any(now.get(name, 0) < value for name, value in before.items()):
                self._gone.update(before)
        self._seen = seen
        totals.update(self._gone)
        for counts in seen.values():
            totals.update(counts)
        return totals, open_
