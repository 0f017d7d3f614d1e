"""
Spans of HTTP exchanges, exported over OTLP/HTTP by OpenTelemetry's SDK.

Importing this needs the packages of the extra C{otlp}.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hermes.admin.entries import readable, withoutQuery
from hermes.admin.requests import METHODS
from hermes.admin.tracing import Trace

MAX_SPANS: Final = 4096
"""
Spans that wait for the collector, or are on their way to it. Those that come then are lost, and counted.
"""

BATCH: Final = 512
"""
Spans in one request to the collector.
"""

EXPORT_TIMEOUT: Final = 5.0
"""
Seconds for one batch, tries included.
"""

EXPORT_DELAY: Final = 1.0
"""
Seconds that a span waits at most before it is sent.
"""

_UNSET = Status(StatusCode.UNSET)


class SpanExport:
    """
    Sends spans, from a thread of its own. A collector that does not answer costs that thread's time and
    L{MAX_SPANS} spans' memory.

    @ivar waiting: how many spans are on their way.
    """

    log = Logger()

    def __init__(
        self,
        endpoint: str,
        node: str,
        version: str,
        reactor: Any,
        now: Callable[[], float],
        counted: Callable[[str, int], object],
        headers: Mapping[str, str] | None = None,
        trust: str | None = None,
        timeout: float = EXPORT_TIMEOUT,
        delay: float = EXPORT_DELAY,
    ) -> None:
        """
        @param endpoint: the collector's URL.
        @param node: the name of this node: the service whose spans they are.
        @param reactor: takes calls from threads, and tells the time.
        @param now: seconds since 1970.
        @param counted: told how many spans were C{"exported"} or C{"lost"}; from any thread.
        @param headers: of each request to the collector.
        @param trust: the file of certificates (PEM) that the collector is checked against.
        @param timeout: seconds for one batch, tries included.
        @param delay: seconds that a span waits at most before it is sent.
        """
        self.waiting = 0
        self._reactor = reactor
        self._now = now
        self._counted = counted
        self._failing = False
        self._resource = Resource.create({"service.name": node, "service.namespace": "hermes"})
        self._scope = InstrumentationScope("hermes", version)
        sender = OTLPSpanExporter(endpoint, certificate_file=trust, headers=dict(headers or {}), timeout=timeout)
        self._exporter = _Exporter(sender, lambda *told: reactor.callFromThread(self._told, *told))
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=MAX_SPANS,
            schedule_delay_millis=delay * 1000,
            max_export_batch_size=BATCH,
        )

    def record(self, record: Any, trace: Trace) -> None:
        """
        An exchange has ended: a span for it, and one for each time it was sent on.

        @param record: a L{hermes.messages.RequestRecord}.
        """
        number = 1 + len(trace.tries)
        if self.waiting + number > MAX_SPANS:
            self._counted("lost", number)
            return
        self.waiting += number
        end, seconds = self._now(), self._reactor.seconds()
        state = _state(trace.state)

        def context(spanID: str, remote: bool = False) -> SpanContext:
            return SpanContext(int(trace.traceID, 16), int(spanID, 16), remote, TraceFlags(trace.flags), state)

        server = context(trace.spanID)
        parent = None if trace.parentID is None else context(trace.parentID, True)
        attributes = serverAttributes(record)
        failed = record.status >= 500 or (record.error is not None and not record.status)
        self._send(_name(record), server, parent, SpanKind.SERVER, attributes, failed, end - record.seconds, end)
        for number, (spanID, started) in enumerate(trace.tries):
            last = number + 1 == len(trace.tries)
            over = end if last else end - (seconds - trace.tries[number + 1][1])
            attributes = clientAttributes(record, number)
            self._send(
                _name(record),
                context(spanID),
                server,
                SpanKind.CLIENT,
                attributes,
                "error.type" in attributes,
                end - (seconds - started),
                over,
            )

    def _send(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        failed: bool,
        start: float,
        end: float,
    ) -> None:
        self._processor.on_end(
            ReadableSpan(
                name,
                context,
                parent,
                self._resource,
                attributes,
                kind=kind,
                status=Status(StatusCode.ERROR) if failed else _UNSET,
                start_time=int(start * 1e9),
                end_time=int(end * 1e9),
                instrumentation_scope=self._scope,
            )
        )

    def _told(self, number: int, problem: str | None) -> None:
        """
        A batch has left the export thread.
        """
        self.waiting -= number
        self._counted("exported" if problem is None else "lost", number)
        if problem is not None and not self._failing:
            # Said once: it is tried again with every batch.
            self.log.error("spans can't be exported: {problem}", problem=problem)
        elif problem is None and self._failing:
            self.log.info("spans are exported again")
        self._failing = problem is not None

    def close(self) -> Deferred[None]:
        """
        Send what waits, until a batch fails; then end. The process does not end before. To be called once: later calls
        fire at once.
        """
        closed: Deferred[None] = Deferred()
        if self._exporter.closing:
            closed.callback(None)
            return closed

        def finish() -> None:
            self._processor.shutdown()
            self._exporter.forget()
            self._reactor.callFromThread(closed.callback, None)

        self._exporter.closing = True
        Thread(target=finish, name="closing the export of spans").start()
        return closed


class _Exporter(SpanExporter):
    """
    Tells what became of each batch. Runs in the export thread.

    @ivar closing: whether no more than one batch may fail.
    """

    def __init__(self, sender: SpanExporter, told: Callable[[int, str | None], object]) -> None:
        self.closing = False
        self._sender = sender
        self._told = told
        self._given_up = False
        # The library says there why a batch failed. As it has a handler, it is not written to standard error too.
        self._reasons = _Reasons()
        self._logger = logging.getLogger("opentelemetry")
        self._logger.addHandler(self._reasons)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._reasons.first = None
        result = SpanExportResult.FAILURE
        try:
            if not self._given_up:
                result = self._sender.export(spans)
        finally:
            problem = None
            if result is not SpanExportResult.SUCCESS:
                self._given_up = self.closing
                problem = self._reasons.first or "the collector took nothing"
            self._told(len(spans), problem)
        return result

    def shutdown(self) -> None:
        self._sender.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._sender.force_flush(timeout_millis)

    def forget(self) -> None:
        """
        Listen to the library's log no more.
        """
        self._logger.removeHandler(self._reasons)


class _Reasons(logging.Handler):
    """
    Keeps the first thing that was said.
    """

    first: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.first is None:
            self.first = record.getMessage()


def _name(record: Any) -> str:
    method = record.head.method
    name = method.decode("ascii") if method in METHODS else "HTTP"
    # A route without a name has its place, which says nothing.
    return name if not record.routeName or record.routeName.isdigit() else f"{name} {record.routeName}"


def _state(state: bytes) -> TraceState | None:
    return TraceState.from_header([state.decode("ascii")]) if state else None


def serverAttributes(record: Any) -> dict[str, Any]:
    """
    What the span of an exchange says, in the words of OpenTelemetry's conventions for HTTP; a query is not told.
    """
    flow, head = record.flow, record.head
    attributes: dict[str, Any] = {
        **_common(record),
        "url.scheme": readable(head.scheme),
        "url.path": readable(withoutQuery(head.path)),
        "hermes.listener": flow.listener,
        "hermes.route": record.routeName,
        "hermes.upstream": record.upstream,
        "http.request.body.size": record.bytesIn,
        "http.response.body.size": record.bytesOut,
    }
    if flow.source is not None:
        attributes["client.address"], attributes["client.port"] = flow.source
    if record.status:
        attributes["http.response.status_code"] = record.status
    if flow.identity.user is not None:
        attributes["enduser.id"] = flow.identity.user
    if flow.identity.node is not None:
        attributes["hermes.node"] = flow.identity.node
    if record.hops:
        attributes["hermes.hops"] = record.hops
    if record.cache:
        attributes["hermes.cache"] = record.cache
    if record.resumed:
        attributes["hermes.resumed"] = record.resumed
    if record.error is not None:
        attributes["hermes.error"] = record.error
    if record.error is not None or record.status >= 500:
        attributes["error.type"] = record.proxyStatus or (str(record.status) if record.status >= 500 else "cancelled")
    return attributes


def clientAttributes(record: Any, number: int) -> dict[str, Any]:
    """
    What the span of a try says.

    @param number: its place among the exchange's tries, from 0.
    """
    attributes = {**_common(record), "hermes.upstream": record.upstream}
    if number:
        attributes["http.request.resend_count"] = number
    if number < len(record.retries):
        attributes["error.type"] = str(record.retries[number])
        return attributes
    if record.endpoint:
        attributes["network.peer.address"] = record.endpoint
    if record.status:
        attributes["http.response.status_code"] = record.status
    if record.error is not None or record.status >= 400:
        attributes["error.type"] = record.proxyStatus or str(record.status or "cancelled")
    return attributes


def _common(record: Any) -> dict[str, Any]:
    head, target = record.head, record.flow.target
    known = head.method in METHODS
    return {
        "http.request.method": head.method.decode("ascii") if known else "_OTHER",
        "server.address": target.host,
        "server.port": target.port,
        "network.protocol.name": "http",
        "network.protocol.version": record.version,
    }
