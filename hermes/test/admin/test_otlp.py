"""
Tests for L{hermes.admin.otlp}, with a collector in this process that reads what it is sent.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from hermes.admin.otlp import MAX_SPANS, SpanExport
from hermes.admin.tracing import Trace, Tracing
from hermes.errors import TargetRefused
from hermes.messages import RequestRecord
from hermes.test.admin.collector import Collector, Reactor, serve, told
from hermes.test.admin.records import requestRecord

reactor: Any = installedReactor

NOW = 1_700_000_000.0
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


class SpanExportTests(TestCase):
    """
    L{SpanExport}.
    """

    timeout = 30

    def setUp(self) -> None:
        self.collector = Collector()
        self.port = serve(self, self.collector)
        self.clock = Reactor()
        self.counted: Counter[str] = Counter()
        self.said: list[str] = []
        self._expected: list[tuple[str, int, Deferred[None]]] = []
        observer: Any = self._observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _observe(self, event: Any) -> None:
        if event.get("log_namespace") == "hermes.admin.otlp.SpanExport":
            self.said.append(event["log_format"].format(**event))

    def export(self, timeout: float = 5.0, **options: Any) -> SpanExport:
        """
        What is tested.
        """
        endpoint = f"http://127.0.0.1:{self.port.getHost().port}/v1/traces"
        return SpanExport(
            endpoint, "edge", "1.2", self.clock, lambda: NOW, self._count, timeout=timeout, delay=0.01, **options
        )

    def _count(self, result: str, number: int) -> None:
        self.counted[result] += number
        for expected in list(self._expected):
            if self.counted[expected[0]] >= expected[1]:
                self._expected.remove(expected)
                expected[2].callback(None)

    def counts(self, result: str, number: int) -> Deferred[None]:
        """
        Fires once C{number} spans came to that.
        """
        expected: Deferred[None] = Deferred()
        self._expected.append((result, number, expected))
        self._count(result, 0)
        return expected

    def traced(self, export: SpanExport, record: RequestRecord, *sent: float) -> Trace:
        """
        An exchange that was sent on at C{sent}, and has ended.
        """
        tracing = Tracing(export.record, self.clock, Random(3))
        tracing.requestStarted(record)
        assert record.notes is not None
        trace = record.notes["trace"]
        assert isinstance(trace, Trace)
        for seconds in sent:
            self.clock.advance(seconds)
            trace.outgoing(record.head)
        self.clock.advance(1.0)
        tracing.requestEnded(record)
        return trace

    async def test_anExchangeIsASpanAndSoIsEachTry(self) -> None:
        export = self.export(headers={"x-api-key": "s3cret"})
        record = requestRecord(
            ((b"traceparent", f"00-{TRACE}-{SPAN}-01".encode()), (b"tracestate", b"vendor=1")),
            seconds=1.75,
            retries=("connect",),
            hops=("relay", "exit"),
            cache="miss",
        )
        trace = self.traced(export, record, 0.25, 0.5)
        await export.close()
        self.assertEqual(self.collector.headers["x-api-key"], "s3cret")
        self.assertEqual(self.collector.headers["content-type"], "application/x-protobuf")
        (batch,) = self.collector.batches
        (resource,) = batch.resource_spans
        about = told(resource.resource.attributes)
        self.assertEqual((about["service.name"], about["service.namespace"]), ("edge", "hermes"))
        (scope,) = resource.scope_spans
        self.assertEqual((scope.scope.name, scope.scope.version), ("hermes", "1.2"))
        server, first, second = scope.spans
        self.assertEqual({span.trace_id.hex() for span in scope.spans}, {TRACE})
        self.assertEqual({span.trace_state for span in scope.spans}, {"vendor=1"})
        self.assertEqual((server.span_id.hex(), server.parent_span_id.hex()), (trace.spanID, SPAN))
        self.assertEqual([span.kind for span in scope.spans], [Span.SPAN_KIND_SERVER, *[Span.SPAN_KIND_CLIENT] * 2])
        self.assertEqual([span.span_id.hex() for span in (first, second)], [spanID for spanID, _ in trace.tries])
        self.assertEqual({span.parent_span_id for span in (first, second)}, {server.span_id})
        times = [
            (round(span.start_time_unix_nano / 1e9 - NOW, 3), round(span.end_time_unix_nano / 1e9 - NOW, 3))
            for span in scope.spans
        ]
        self.assertEqual(times, [(-1.75, 0.0), (-1.5, -1.0), (-1.0, 0.0)])
        self.assertEqual({span.name for span in scope.spans}, {"GET shop"})
        found = told(server.attributes)
        expected = {
            "http.request.method": "GET",
            "url.scheme": "http",
            "url.path": "/items",
            "server.address": "shop.example",
            "server.port": 80,
            "client.address": "192.0.2.7",
            "http.response.status_code": 200,
            "enduser.id": "alice",
            "hermes.route": "shop",
            "hermes.hops": ["relay", "exit"],
            "hermes.cache": "miss",
        }
        self.assertEqual({key: found.get(key) for key in expected}, expected)
        self.assertNotIn("error.type", found)
        failed, answered = told(first.attributes), told(second.attributes)
        self.assertEqual((failed["error.type"], first.status.code), ("connect", Status.STATUS_CODE_ERROR))
        self.assertEqual(answered["http.request.resend_count"], 1)
        self.assertEqual(answered["network.peer.address"], "10.0.0.5:8080")
        self.assertEqual((answered["http.response.status_code"], second.status.code), (200, Status.STATUS_CODE_UNSET))
        self.assertEqual((self.counted, export.waiting), ({"exported": 3}, 0))

    async def test_whatFailedIsAnError(self) -> None:
        export = self.export()
        record = requestRecord(status=502, endpoint="", head={"method": b"MADEUP"}, routeName="0")
        record.failed(TargetRefused("nobody listens"))
        self.traced(export, record)
        await export.close()
        (span,) = self.collector.spans()
        found = told(span.attributes)
        self.assertEqual((span.name, found["http.request.method"]), ("HTTP", "_OTHER"))
        self.assertEqual((found["error.type"], span.status.code), ("connection_refused", Status.STATUS_CODE_ERROR))
        self.assertEqual(span.parent_span_id, b"")

    async def test_theQueryAndCredentialsAreNotTold(self) -> None:
        export = self.export()
        head = {"path": b"/items?token=s3cret", "authority": b"u:s3cret@shop.example"}
        self.traced(export, requestRecord(((b"authorization", b"s3cret"),), head=head), 0.0)
        await export.close()
        self.assertEqual(len(self.collector.spans()), 2)
        self.assertNotIn(b"s3cret", self.collector.batches[0].SerializeToString())

    async def test_spansAreSentWithoutAnybodyClosing(self) -> None:
        export = self.export()
        self.addCleanup(export.close)
        self.traced(export, requestRecord(), 0.0)
        await self.counts("exported", 2)
        self.assertEqual(len(self.collector.spans()), 2)

    async def test_aCollectorThatRefusesIsToldOfOnceAndThatItIsWellAgain(self) -> None:
        export = self.export(timeout=0.1)
        self.addCleanup(export.close)
        self.collector.status = 400
        for number in (1, 2):
            self.traced(export, requestRecord())
            await self.counts("lost", number)
        await self.turn()
        self.assertEqual(len(self.said), 1, self.said)
        self.assertIn("400", self.said[0])
        self.collector.status = 200
        self.traced(export, requestRecord())
        await self.counts("exported", 1)
        await self.turn()
        self.assertEqual(self.said[1:], ["spans are exported again"])
        self.assertEqual(export.waiting, 0)

    async def test_whereNobodyListensSpansAreLostAndCounted(self) -> None:
        export = self.export(timeout=0.1)
        await self.port.stopListening()
        for _ in range(10):
            self.traced(export, requestRecord(), 0.0)
        await export.close()
        self.assertEqual((self.counted, export.waiting), ({"lost": 20}, 0))

    async def test_aCollectorThatDoesNotAnswerCostsNoMoreThanItsBound(self) -> None:
        self.collector.status = None
        export = self.export(timeout=20.0)
        asked = self.collector.asked()
        for _ in range(MAX_SPANS + 100):
            self.traced(export, requestRecord())
        # Nothing of this has waited for the collector: what does not fit is lost at once.
        self.assertEqual((export.waiting, self.counted), (MAX_SPANS, {"lost": 100}))
        await asked
        self.assertEqual(len(self.collector.batches), 1)
        self.assertLessEqual(len(self.collector.spans()), 512)
        self.collector.status = 200
        for request in self.collector.unanswered:
            request.finish()
        await export.close()
        self.assertEqual((self.counted["exported"], export.waiting), (MAX_SPANS, 0))

    def turn(self) -> Deferred[None]:
        """
        Fires when what threads have called by now is done.
        """
        done: Deferred[None] = Deferred()
        reactor.callFromThread(done.callback, None)
        return done
