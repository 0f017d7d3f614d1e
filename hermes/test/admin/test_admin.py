"""
Metrics of flows, and the sums of metrics and status over workers.
"""

from __future__ import annotations

from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from hermes.admin.metrics import FlowMetrics
from hermes.admin.summing import Ledger, sumMetrics, sumStatus
from hermes.errors import TargetRefused
from hermes.fabric.record import FlowRecord
from hermes.values import Flow, Identity, Target


def record(**more: object) -> FlowRecord:
    """
    The record of a flow that is open.
    """
    flow = Flow("tcp", Target("db.hermes", 3306), ("192.0.2.7", 4000), Identity(user="alice"), "apps")
    return FlowRecord(flow, 10.0, routeName="db", upstream="relay", connectDuration=0.02, **more)  # type: ignore[arg-type]


def samples(exposition: bytes) -> dict[str, float]:
    """
    The samples of an exposition, labels in the name.
    """
    found = {}
    for family in text_string_to_metric_families(exposition.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


class MetricsTests(SynchronousTestCase):
    """
    L{FlowMetrics}.
    """

    def test_bytesOfOpenAndOfClosedFlowsAreCountedOnce(self) -> None:
        one, other = record(), record()
        flows = [one, other]
        metrics = FlowMetrics(lambda: flows, "edge", "1")
        for each in flows:
            metrics.flowOpened(each)
        one.bytesIn, other.bytesIn = 100, 20
        name = "hermes_bytes_total{direction=in,listener=apps}"
        self.assertEqual(samples(generate_latest(metrics.registry))[name], 120)
        flows.remove(one)
        metrics.flowClosed(one)
        found = samples(generate_latest(metrics.registry))
        self.assertEqual(found[name], 120)
        self.assertEqual(found["hermes_flows_open{listener=apps,protocol=tcp}"], 1)
        self.assertEqual(found["hermes_flows_total{listener=apps,protocol=tcp,route=db,upstream=relay}"], 2)

    def test_droppedDatagramsAreCounted(self) -> None:
        class Channel:
            droppedDatagrams = 3

        udp = record()
        udp.flow = Flow("udp", Target("dns.hermes", 53), None, Identity(), "dns")
        udp.channels = (Channel(), Channel())
        metrics = FlowMetrics(lambda: [udp], "edge", "1")
        self.assertEqual(samples(generate_latest(metrics.registry))["hermes_datagrams_dropped_total{listener=dns}"], 6)

    def test_refusalsAreCountedByTheirProxyStatus(self) -> None:
        metrics = FlowMetrics(list, "edge", "1")
        refused = record()
        refused.failed(TargetRefused("nobody listens"))
        metrics.flowRefused(refused)
        found = samples(generate_latest(metrics.registry))
        self.assertEqual(found["hermes_flows_refused_total{listener=apps,protocol=tcp,reason=connection_refused}"], 1)

    def test_theMetricsOfWorkersAreAddedSampleBySample(self) -> None:
        expositions = []
        for number in (1, 2):
            one = record()
            one.bytesOut = 1000 * number
            metrics = FlowMetrics(list, "edge", "1")
            metrics.flowOpened(one)
            metrics.flowClosed(one)
            expositions.append(generate_latest(metrics.registry).decode())
        found = samples(sumMetrics(expositions))
        self.assertEqual(found["hermes_bytes_total{direction=out,listener=apps}"], 3000)
        self.assertEqual(found["hermes_flow_connect_seconds_count{listener=apps,upstream=relay}"], 2)
        self.assertEqual(found["hermes_flow_connect_seconds_bucket{le=0.025,listener=apps,upstream=relay}"], 2)
        self.assertEqual(found["hermes_build_info{node=edge,version=1}"], 1)
        self.assertEqual(found["hermes_scheduled_in_batches{}"], 0)

    def test_whatAWorkerCountedStaysCountedWhenItIsGone(self) -> None:
        def exposition(started: float, opened: int) -> str:
            return (
                f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {started}\n"
                f"# TYPE flows_total counter\nflows_total {opened}\n"
                f"# TYPE flows_created gauge\nflows_created {started}\n"
                f"# TYPE open gauge\nopen {opened}\n"
            )

        ledger = Ledger()
        for texts, flows, nowOpen, created in (
            ({"0": exposition(1, 10), "1": exposition(2, 5)}, 15, 15, 1),
            ({"1": exposition(2, 6)}, 16, 6, 2),
            ({"0": exposition(3, 1), "1": exposition(2, 6)}, 17, 7, 2),
            ({"0": exposition(4, 0), "1": exposition(2, 6)}, 17, 6, 2),
        ):
            found = samples(ledger.sum(texts))
            self.assertEqual((found["flows_total{}"], found["open{}"]), (flows, nowOpen))
            self.assertEqual(found["flows_created{}"], created)


class SumTests(SynchronousTestCase):
    """
    L{sumStatus}.
    """

    def test_countsAreAddedAndListenersOfOneNameAreOne(self) -> None:
        def status(flows: int, draining: bool) -> dict[str, object]:
            return {
                "node": "edge",
                "draining": draining,
                "flows": {"open": flows},
                "listeners": [{"name": "apps", "address": "127.0.0.1:1", "flows": flows}],
            }

        total = sumStatus([status(1, False), status(4, True)])
        self.assertEqual(total["flows"], {"open": 5})
        self.assertEqual(total["listeners"], [{"name": "apps", "address": "127.0.0.1:1", "flows": 5}])
        self.assertEqual((total["node"], total["draining"], total["workers"]), ("edge", True, 2))

    def test_anEndpointIsAsWellAsTheWorstOffWorkerSays(self) -> None:
        def status(state: str, error: str | None = None) -> dict[str, object]:
            endpoint = {"state": state, "healthy": state != "unhealthy", "ejected": state == "ejected", "active": 1}
            endpoints = [{"address": "a:1", **endpoint, "error": error}, {"address": "b:1", "state": "up", "active": 2}]
            return {"upstreams": [{"name": "shop", "requests": 3, "endpoints": endpoints}], "listeners": []}

        for states, state, healthy, ejected in (
            (("up", "up"), "up", True, False),
            (("up", "down"), "down", True, False),
            (("ejected", "down", "up"), "ejected", True, True),
            (("up", "unhealthy", "ejected"), "unhealthy", False, True),
        ):
            total: Any = sumStatus([status(each, "refused" if each == "unhealthy" else None) for each in states])
            (upstream,) = total["upstreams"]
            first, second = upstream["endpoints"]
            self.assertEqual((first["state"], first["healthy"], first["ejected"]), (state, healthy, ejected))
            self.assertEqual(first["error"], None if healthy else "refused")
            count = len(states)
            self.assertEqual((first["active"], second["active"], upstream["requests"]), (count, 2 * count, 3 * count))
