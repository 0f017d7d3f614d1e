"""
Tests for L{hermes.admin.tracing}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.admin.entries import describeRequest
from hermes.admin.tracing import Trace, Tracing
from hermes.messages import RequestRecord
from hermes.test.admin.records import requestRecord
from hermes.values import Headers
from hermes.wire.tracecontext import RANDOM, SAMPLED, TraceParent, traceContext

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def parentOf(headers: Headers) -> TraceParent:
    """
    What C{traceparent} says, which is there once.
    """
    context = traceContext(headers)
    assert context is not None, headers
    return context[0]


class TracingTests(SynchronousTestCase):
    """
    L{Tracing}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.recorded: list[tuple[RequestRecord, Trace]] = []

    def tracing(self, **options: Any) -> Tracing:
        """
        What is tested.
        """
        return Tracing(lambda *ended: self.recorded.append(ended), self.clock, Random(7), **options)

    def trace(self, record: RequestRecord, **options: Any) -> Trace:
        """
        What is made of an exchange.
        """
        self.tracing(**options).requestStarted(record)
        trace = (record.notes or {})["trace"]
        assert isinstance(trace, Trace)
        return trace

    def coming(self, flags: str, state: str | None = None) -> RequestRecord:
        """
        An exchange that is part of a trace.
        """
        fields = [(b"accept", b"*/*"), (b"traceparent", f"00-{TRACE}-{SPAN}-{flags}".encode())]
        if state is not None:
            fields.append((b"tracestate", state.encode()))
        return requestRecord(tuple(fields))

    def test_aRequestOfNoTraceBeginsOneThatItsUpstreamIsPartOf(self) -> None:
        record = requestRecord(((b"accept", b"*/*"),))
        trace = self.trace(record)
        self.assertIsNone(trace.parentID)
        sent = trace.outgoing(record.head)
        parent = parentOf(sent.headers)
        self.assertEqual((parent.traceID, parent.flags), (trace.traceID, SAMPLED))
        self.assertEqual([spanID for spanID, _ in trace.tries], [parent.spanID])
        self.assertNotEqual(parent.spanID, trace.spanID)
        self.assertEqual(sent.headers[0], (b"accept", b"*/*"))
        self.assertEqual((sent.method, sent.path), (record.head.method, record.head.path))

    def test_aTraceThatCameGoesOnWithOurSpanInIt(self) -> None:
        record = self.coming("01", "vendor=1")
        trace = self.trace(record)
        self.assertEqual((trace.traceID, trace.parentID, trace.sampled), (TRACE, SPAN, True))
        sent = trace.outgoing(record.head).headers
        parent = parentOf(sent)
        self.assertEqual(parent.traceID, TRACE)
        self.assertNotIn(parent.spanID, (SPAN, trace.spanID))
        self.assertEqual([value for name, value in sent if name == b"tracestate"], [b"vendor=1"])

    def test_eachTryHasASpanOfItsOwn(self) -> None:
        record = self.coming("01")
        trace = self.trace(record)
        self.clock.advance(1)
        first = parentOf(trace.outgoing(record.head).headers)
        self.clock.advance(2)
        second = parentOf(trace.outgoing(record.head).headers)
        self.assertEqual(trace.tries, [(first.spanID, 1.0), (second.spanID, 3.0)])
        self.assertEqual(len({first.spanID, second.spanID, trace.spanID}), 3)

    def test_whereTheSenderRecordedNothingNeitherDoWeAndTheHeadGoesOnAsItIs(self) -> None:
        record = self.coming("00", "vendor=1")
        trace = self.trace(record)
        self.assertIs(trace.outgoing(record.head), record.head)
        self.tracing().requestEnded(record)
        self.assertEqual((trace.tries, self.recorded), ([], []))

    def test_whatIsNotChosenIsNotChosenByThoseAfterUsEither(self) -> None:
        record = requestRecord()
        trace = self.trace(record, sample=0.0)
        first, second = (parentOf(trace.outgoing(record.head).headers) for _ in range(2))
        self.assertEqual((first.traceID, first.flags), (trace.traceID, 0))
        self.assertEqual(first, second)
        self.tracing().requestEnded(record)
        self.assertEqual(self.recorded, [])

    def test_theShareIsTheShare(self) -> None:
        tracing = self.tracing(sample=0.25)
        sampled = 0
        for _ in range(2000):
            record = requestRecord()
            tracing.requestStarted(record)
            assert record.notes is not None
            sampled += record.notes["trace"].sampled
        # Seven standard deviations.
        self.assertTrue(365 < sampled < 635, sampled)

    def test_nodesOfOneShareChooseTheSameTraces(self) -> None:
        for number in range(50):
            trace = f"{number * 7919:016x}{number * 2**57 + 1:016x}"
            record = requestRecord(((b"traceparent", f"00-{trace}-{SPAN}-00".encode()),))
            chosen = {self.trace(record, sample=0.5, follow=False).sampled for _ in range(3)}
            self.assertEqual(chosen, {number * 2**57 + 1 < 2**63})

    def test_aSenderThatIsNotFollowedDecidesNothing(self) -> None:
        record = self.coming("01")
        trace = self.trace(record, sample=0.0, follow=False)
        self.assertFalse(trace.sampled)
        # Those after us are told what was decided, and nobody is told of a span that nobody sees.
        self.assertEqual(parentOf(trace.outgoing(record.head).headers), TraceParent(TRACE, SPAN, 0))
        record = self.coming("00")
        trace = self.trace(record, sample=1.0, follow=False)
        self.assertEqual(parentOf(trace.outgoing(record.head).headers).flags, SAMPLED)

    def test_whatIsInvalidBeginsAnewAndItsStateDoesNotGoOn(self) -> None:
        record = requestRecord(((b"traceparent", b"00-nonsense"), (b"tracestate", b"vendor=1")))
        trace = self.trace(record)
        sent = trace.outgoing(record.head).headers
        self.assertEqual(parentOf(sent).traceID, trace.traceID)
        self.assertEqual([name for name, _ in sent], [b"traceparent"])

    def test_thatATraceIDIsRandomIsPassedOn(self) -> None:
        trace = self.trace(self.coming("03"))
        self.assertEqual(parentOf(trace.outgoing(requestRecord().head).headers).flags, SAMPLED | RANDOM)

    def test_whatIsSampledIsRecordedWhenItHasEnded(self) -> None:
        record = self.coming("01")
        tracing = self.tracing()
        tracing.requestStarted(record)
        self.assertEqual(self.recorded, [])
        tracing.requestEnded(record)
        assert record.notes is not None
        self.assertEqual(self.recorded, [(record, record.notes["trace"])])

    def test_whatBeganBeforeThereWasTracingIsLeftAlone(self) -> None:
        self.tracing().requestEnded(requestRecord())
        self.assertEqual(self.recorded, [])

    def test_otherNotesStay(self) -> None:
        record = requestRecord(notes={"mine": 1})
        self.trace(record)
        assert record.notes is not None
        self.assertEqual(set(record.notes), {"mine", "trace"})

    def test_theAccessLogNamesTheTrace(self) -> None:
        record = requestRecord()
        trace = self.trace(record)
        self.assertEqual(describeRequest(record)["traceID"], trace.traceID)
