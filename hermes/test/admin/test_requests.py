"""
Tests for L{hermes.admin.requests}.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from twisted.trial.unittest import SynchronousTestCase

from hermes.admin.requests import RequestMetrics
from hermes.admin.summing import sumMetrics
from hermes.errors import TargetRefused
from hermes.messages import RequestRecord
from hermes.test.admin.records import requestRecord
from hermes.test.admin.test_admin import samples


class RequestMetricsTests(SynchronousTestCase):
    """
    L{RequestMetrics}.
    """

    def setUp(self) -> None:
        self.registry = CollectorRegistry()
        self.open: list[RequestRecord] = []
        self.metrics = RequestMetrics(lambda: self.open, self.registry)

    def shown(self, name: str, **labels: str) -> float | None:
        """
        The value of a sample of the route's, or L{None} where there is none.
        """
        everything = {"listener": "web", "route": "shop", "upstream": "stock", **labels}
        text = ",".join(f"{key}={value}" for key, value in sorted(everything.items()) if value)
        return samples(generate_latest(self.registry)).get(f"{name}{{{text}}}")

    def test_exchangesAreCountedByMethodAndStatus(self) -> None:
        for status, number in ((200, 3), (404, 2), (0, 1)):
            for _ in range(number):
                self.metrics.requestEnded(requestRecord(status=status))
        self.metrics.requestEnded(requestRecord(head={"method": b"POST"}))
        name = "hermes_requests_total"
        self.assertEqual(self.shown(name, method="GET", status="200"), 3)
        self.assertEqual(self.shown(name, method="GET", status="404"), 2)
        self.assertEqual(self.shown(name, method="GET", status="none"), 1)
        self.assertEqual(self.shown(name, method="POST", status="200"), 1)

    def test_methodsThatClientsMakeUpAreOne(self) -> None:
        for number in range(100):
            self.metrics.requestEnded(requestRecord(head={"method": b"MADE%d" % number}))
        self.assertEqual(self.shown("hermes_requests_total", method="other", status="200"), 100)
        text = generate_latest(self.registry)
        self.assertEqual(text.count(b"hermes_requests_total{"), 1)
        self.assertNotIn(b"MADE", text)

    def test_durationsAreInBucketsThatIncludeTheirBound(self) -> None:
        for seconds in (0.0004, 0.01, 0.010001, 100.0):
            self.metrics.requestEnded(requestRecord(seconds=seconds, firstByteSeconds=None))
        name = "hermes_request_duration_seconds"
        found = [
            self.shown(f"{name}_bucket", le=bound) for bound in ("0.0005", "0.005", "0.01", "0.025", "60.0", "+Inf")
        ]
        self.assertEqual(found, [1, 1, 2, 3, 3, 4])
        self.assertEqual(self.shown(f"{name}_count"), 4)
        self.assertAlmostEqual(self.shown(f"{name}_sum") or 0, 100.020401)
        self.assertEqual(self.shown("hermes_request_first_byte_seconds_count"), 0)

    def test_theTimeUntilTheHeadOfTheResponseIsThereToo(self) -> None:
        self.metrics.requestEnded(requestRecord(seconds=5.0, firstByteSeconds=0.03))
        name = "hermes_request_first_byte_seconds"
        self.assertEqual([self.shown(f"{name}_bucket", le=bound) for bound in ("0.025", "0.05", "+Inf")], [0, 1, 1])

    def test_howLongAWebSocketIsOpenIsNoDurationOfARequest(self) -> None:
        head = {"method": b"CONNECT", "protocol": b"websocket"}
        self.metrics.requestEnded(requestRecord(head=head, seconds=3600.0, bytesOut=77))
        self.assertEqual(self.shown("hermes_requests_total", method="CONNECT", status="200"), 1)
        self.assertIsNone(self.shown("hermes_request_duration_seconds_count"))
        self.assertEqual(self.shown("hermes_request_bytes_total", direction="out"), 77)

    def test_bytesOfExchangesThatGoOnAreCountedAndCountedOnce(self) -> None:
        one, other = requestRecord(bytesIn=100), requestRecord(bytesIn=20)
        self.open += [one, other]
        name = "hermes_request_bytes_total"
        self.assertEqual(self.shown(name, direction="in"), 120)
        self.assertEqual(self.shown("hermes_requests_open", route="", upstream=""), 2)
        self.open.remove(one)
        self.metrics.requestEnded(one)
        self.assertEqual(self.shown(name, direction="in"), 120)
        self.assertEqual(self.shown("hermes_requests_open", route="", upstream=""), 1)

    def test_retriesAreCountedByTheirReason(self) -> None:
        self.metrics.requestEnded(requestRecord(retries=("connect", "503", "connect")))
        self.metrics.requestEnded(requestRecord(retries=("connect",)))
        self.assertEqual(self.shown("hermes_request_retries_total", reason="connect"), 3)
        self.assertEqual(self.shown("hermes_request_retries_total", reason="503"), 1)

    def test_whatWasResumedAndWhatTheCacheDidIsCounted(self) -> None:
        self.metrics.requestEnded(requestRecord(resumed=2))
        for result in ("hit", "hit", "miss"):
            self.metrics.requestEnded(requestRecord(cache=result))
        self.assertEqual(self.shown("hermes_request_resumed_total"), 2)
        self.assertEqual(self.shown("hermes_request_cache_total", upstream="", result="hit"), 2)
        self.assertEqual(self.shown("hermes_request_cache_total", upstream="", result="miss"), 1)

    def test_failuresAreCountedByTheirProxyStatus(self) -> None:
        refused = requestRecord(status=502)
        refused.failed(TargetRefused("nobody listens"))
        self.metrics.requestEnded(refused)
        gone = requestRecord(status=0)
        gone.failed(ConnectionError("the client went away"))
        self.metrics.requestEnded(gone)
        self.assertEqual(self.shown("hermes_requests_failed_total", reason="connection_refused"), 1)
        self.assertEqual(self.shown("hermes_requests_failed_total", reason="cancelled"), 1)

    def test_theSumOfWorkersIsTheSumOfTheirSamples(self) -> None:
        other = CollectorRegistry()
        more = RequestMetrics(list, other)
        for metrics, seconds in ((self.metrics, 0.02), (more, 0.2), (more, 0.02)):
            metrics.requestEnded(requestRecord(seconds=seconds, retries=("reset",)))
        found = samples(sumMetrics([generate_latest(each).decode() for each in (self.registry, other)]))
        place = "listener=web,route=shop,upstream=stock"
        self.assertEqual(found[f"hermes_request_duration_seconds_bucket{{le=0.025,{place}}}"], 2)
        self.assertEqual(found[f"hermes_request_duration_seconds_bucket{{le=+Inf,{place}}}"], 3)
        self.assertAlmostEqual(found[f"hermes_request_duration_seconds_sum{{{place}}}"], 0.24)
        reason = "listener=web,reason=reset,route=shop,upstream=stock"
        self.assertEqual(found[f"hermes_request_retries_total{{{reason}}}"], 3)
        self.assertEqual(
            found["hermes_requests_total{listener=web,method=GET,route=shop,status=200,upstream=stock}"], 3
        )
