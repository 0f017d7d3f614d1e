"""
Tests for L{hermes.admin.pools}.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.admin.pools import UpstreamMetrics
from hermes.admin.summing import sumMetrics
from hermes.assembly import Assembly
from hermes.config import loadNodeText
from hermes.net.network import Network
from hermes.test.admin.test_admin import samples


class Told:
    """
    An upstream that tells something.
    """

    def __init__(self, **told: Any) -> None:
        self.told = told

    def status(self) -> dict[str, Any]:
        """
        It.
        """
        return self.told


class UpstreamMetricsTests(SynchronousTestCase):
    """
    L{UpstreamMetrics}.
    """

    def setUp(self) -> None:
        self.upstreams: dict[str, Any] = {}
        self.registry = CollectorRegistry()
        UpstreamMetrics(lambda: self.upstreams, self.registry)

    def shown(self) -> dict[str, float]:
        """
        All samples.
        """
        return samples(generate_latest(self.registry))

    def test_endpointsOfAHopAndOfADirectUpstreamAreTold(self) -> None:
        endpoint = {"address": "h:1", "connections": 2, "streams": 9, "roundTripSeconds": 0.02}
        self.upstreams["relay"] = Told(endpoints=[endpoint, {**endpoint, "address": "h:2", "roundTripSeconds": None}])
        endpoint = {"address": "a:1", "healthy": False, "ejected": True, "active": 4, "connections": 3, "pending": 5}
        self.upstreams["stock"] = Told(requests=7, retries=1, refused=6, endpoints=[endpoint])
        self.upstreams["plain"] = object()
        self.assertEqual(
            {key.removeprefix("hermes_upstream_"): value for key, value in self.shown().items()},
            {
                "requests_open{upstream=stock}": 7,
                "retries_open{upstream=stock}": 1,
                "refused_total{upstream=stock}": 6,
                "connections{endpoint=h:1,upstream=relay}": 2,
                "connections{endpoint=h:2,upstream=relay}": 2,
                "connections{endpoint=a:1,upstream=stock}": 3,
                "streams{endpoint=h:1,upstream=relay}": 9,
                "streams{endpoint=h:2,upstream=relay}": 9,
                "active{endpoint=a:1,upstream=stock}": 4,
                "pending{endpoint=a:1,upstream=stock}": 5,
                "unhealthy{endpoint=a:1,upstream=stock}": 1,
                "ejected{endpoint=a:1,upstream=stock}": 1,
                "round_trip_seconds{endpoint=h:1,upstream=relay}": 0.02,
            },
        )

    def test_whatWasRefusedStaysCountedWhenAReloadMakesTheUpstreamAnew(self) -> None:
        name = "hermes_upstream_refused_total{upstream=stock}"
        for told, total in ((5, 5), (8, 8), (2, 10), (3, 11)):
            self.upstreams["stock"] = Told(refused=told)
            self.assertEqual(self.shown()[name], total)

    def test_ofWorkersPoolsAreAddedAndRoundTripsAreNot(self) -> None:
        texts = []
        for connections, trip in ((1, 0.01), (2, 0.03)):
            endpoint = {"address": "h:1", "connections": connections, "roundTripSeconds": trip}
            self.upstreams["relay"] = Told(endpoints=[endpoint])
            texts.append(generate_latest(self.registry).decode())
        found = samples(sumMetrics(texts))
        self.assertEqual(found["hermes_upstream_connections{endpoint=h:1,upstream=relay}"], 3)
        self.assertEqual(found["hermes_upstream_round_trip_seconds{endpoint=h:1,upstream=relay}"], 0.03)

    def test_realUpstreamsTellWhatIsAskedForHere(self) -> None:
        config = loadNodeText(
            'node: edge\nupstreams: {stock: {type: direct, endpoints: "127.0.0.1:1"}}', "edge.yaml", "/", {}
        )
        clock = Clock()
        assembly = Assembly(clock, Network(clock), {}, {})
        generation = assembly.generation(config, None)
        self.addCleanup(assembly.discard, generation, None)
        self.upstreams.update(generation.upstreams)
        found = self.shown()
        for name in ("connections", "active", "pending", "unhealthy", "ejected"):
            self.assertEqual(found[f"hermes_upstream_{name}{{endpoint=127.0.0.1:1,upstream=stock}}"], 0)
        for name in ("requests_open", "retries_open", "refused_total"):
            self.assertEqual(found[f"hermes_upstream_{name}{{upstream=stock}}"], 0)
