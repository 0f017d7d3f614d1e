"""
Traces: which exchanges are recorded, and what is told to whoever they are sent on to (W3C Trace Context).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.interfaces import IRequestObserver
from hermes.values import RequestHead
from hermes.wire.tracecontext import RANDOM, SAMPLED, TraceParent, traceContext

NOTE: Final = "trace"
"""
Under what name an exchange's L{Trace} is among its record's notes.
"""


@define(eq=False)
class Trace:
    """
    This node's part of a trace, for one exchange.

    @ivar traceID: 32 hexadecimal digits.
    @ivar spanID: 16 of them: the exchange.
    @ivar parentID: the span of whoever sent the request; L{None} where the trace begins here.
    @ivar given: the flags that came.
    @ivar flags: those that are sent on.
    @ivar state: the C{tracestate} that came, and goes on.
    @ivar sampled: whether the exchange is recorded.
    @ivar tries: each try that was sent on: its span, and when it was sent, in seconds of the clock.
    """

    traceID: str
    spanID: str
    parentID: str | None
    given: int
    flags: int
    state: bytes
    sampled: bool
    tries: list[tuple[str, float]] = field(init=False, factory=list)
    _seconds: Callable[[], float]
    _newSpan: Callable[[], str]

    def outgoing(self, head: RequestHead) -> RequestHead:
        """
        A head as it is sent on: with this trace's fields for those that came. Called once for each try.
        """
        if self.sampled:
            spanID = self._newSpan()
            self.tries.append((spanID, self._seconds()))
        elif self.parentID is None:
            spanID = self.spanID
        elif self.flags == self.given:
            return head
        else:
            # Nobody sees a span of ours: whoever comes after us is a child of whoever was before us.
            spanID = self.parentID
        fields = [each for each in head.headers if each[0] != b"traceparent" and each[0] != b"tracestate"]
        fields.append((b"traceparent", TraceParent(self.traceID, spanID, self.flags).value()))
        if self.state:
            fields.append((b"tracestate", self.state))
        return RequestHead(head.method, head.scheme, head.authority, head.path, head.protocol, tuple(fields))


@implementer(IRequestObserver)
class Tracing:
    """
    Decides which exchanges are recorded. A request that is part of a trace is recorded where its sender's part was; one
    that is not begins a trace.
    """

    def __init__(
        self,
        record: Callable[[Any, Trace], object],
        clock: IReactorTime,
        random: Random,
        sample: float = 1.0,
        follow: bool = True,
    ) -> None:
        """
        @param record: takes the records of sampled exchanges that have ended, with their traces.
        @param random: where identifiers are from.
        @param sample: the share of traces that are recorded of those that begin here, 0 to 1.
        @param follow: whether a request's own C{traceparent} decides; else C{sample} does for every trace.
        """
        self._record = record
        self._clock = clock
        self._random = random
        self._bound = round(sample * 2**64)
        self._follow = follow

    def requestStarted(self, record: Any) -> None:
        context = traceContext(record.head.headers)
        if context is None:
            traceID, parentID, state, given = self._bits(128), None, b"", 0
            sampled = self._chosen(traceID)
        else:
            parent, state = context
            traceID, parentID, given = parent.traceID, parent.spanID, parent.flags
            sampled = parent.sampled if self._follow else self._chosen(traceID)
        flags = (given & RANDOM) | (SAMPLED if sampled else 0)
        trace = Trace(
            traceID, self._newSpan(), parentID, given, flags, state, sampled, self._clock.seconds, self._newSpan
        )
        notes = record.notes
        if notes is None:
            record.notes = {NOTE: trace}
        else:
            notes[NOTE] = trace

    def requestEnded(self, record: Any) -> None:
        trace = (record.notes or {}).get(NOTE)
        if trace is not None and trace.sampled:
            self._record(record, trace)

    def _chosen(self, traceID: str) -> bool:
        # By its last digits: every node that has the same share takes the same traces.
        return int(traceID[16:], 16) < self._bound

    def _newSpan(self) -> str:
        return self._bits(64)

    def _bits(self, number: int) -> str:
        # All zero is invalid.
        return f"{self._random.getrandbits(number) or 1:0{number // 4}x}"
