"""
Who watches a node beside its metrics: access log and traces.
"""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, Any

from attrs import frozen
from prometheus_client import CollectorRegistry, Counter
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

import hermes
from hermes.admin.accesslog import AccessLog
from hermes.admin.tracing import Tracing
from hermes.config import NodeConfig, TracingConfig
from hermes.errors import HermesError
from hermes.interfaces import IFlowObserver, IRequestObserver

if TYPE_CHECKING:
    from hermes.admin.otlp import SpanExport


class WatcherError(HermesError):
    """
    A watcher can't be had. The text is for the operator.
    """


@frozen(eq=False)
class Watching:
    """
    What one configuration names.

    @ivar config: the configuration.
    @ivar accessLog: its access log, or L{None}.
    @ivar tracing: what decides about traces, or L{None}.
    @ivar spans: where they are sent, or L{None}.
    """

    config: NodeConfig
    accessLog: AccessLog | None
    tracing: Tracing | None
    spans: SpanExport | None


@implementer(IFlowObserver, IRequestObserver)
class Watchers:
    """
    Passes on what happens to the access log and the traces that the last configuration names.
    """

    def __init__(self, reactor: Any, registry: CollectorRegistry) -> None:
        """
        @param registry: where the metrics of tracing are put.
        """
        self._reactor = reactor
        self._watching: Watching | None = None
        self._spans = Counter(
            "hermes_spans", "Spans for the collector, by what became of them.", ("result",), registry=registry
        )

    # Of one configuration

    def make(self, config: NodeConfig, before: Watching | None) -> Watching:
        """
        What C{config} names; what did not change is taken from C{before}.

        @raise WatcherError: with a sentence for the operator.
        """
        accessLog = self._makeAccessLog(config, before)
        if before is not None and (before.config.tracing, before.config.node) == (config.tracing, config.node):
            return Watching(config, accessLog, before.tracing, before.spans)
        tracing = spans = None
        if config.tracing is not None:
            try:
                spans = self._makeSpans(config.tracing, config.node)
            except BaseException:
                if accessLog is not None and (before is None or before.accessLog is not accessLog):
                    accessLog.close()
                raise
            tracing = Tracing(spans.record, self._reactor, Random(), config.tracing.sample, config.tracing.follow)
        return Watching(config, accessLog, tracing, spans)

    def _makeAccessLog(self, config: NodeConfig, before: Watching | None) -> AccessLog | None:
        wanted = config.accessLog
        if before is not None and before.config.accessLog == wanted:
            return before.accessLog
        if wanted is None:
            return None
        try:
            return AccessLog(wanted.path, time.time, self._reactor, wanted.format, wanted.query)
        except OSError as error:
            raise WatcherError(f"{wanted.path}: {error.strerror}") from error

    def _makeSpans(self, config: TracingConfig, node: str) -> SpanExport:
        try:
            # OpenTelemetry is large, and an extra: only who traces loads it.
            from hermes.admin.otlp import SpanExport
        except ImportError as error:
            raise WatcherError(
                f"tracing needs a package that is not here ({error}): pip install 'hermes-overlay[otlp]'"
            ) from error
        try:
            return SpanExport(
                config.endpoint,
                node,
                hermes.__version__,
                self._reactor,
                time.time,
                lambda result, number: self._spans.labels(result).inc(number),
                config.headers,
                config.trust,
            )
        except (OSError, ValueError) as error:
            raise WatcherError(f"tracing: {error}") from error

    def commit(self, watching: Watching) -> None:
        """
        These watch from now on.
        """
        before, self._watching = self._watching, watching
        if before is not None:
            self.discard(before, watching)
            if before.accessLog is not None and before.accessLog is watching.accessLog:
                # A reload is also what log rotation asks for.
                before.accessLog.reopen()

    def discard(self, watching: Watching, kept: Watching | None) -> Deferred[None]:
        """
        Close what C{kept} has not.

        @return: fires once what was gathered is written, and sent or given up.
        """
        if watching.accessLog is not None and (kept is None or kept.accessLog is not watching.accessLog):
            watching.accessLog.close()
        if watching.spans is not None and (kept is None or kept.spans is not watching.spans):
            return watching.spans.close()
        return succeed(None)

    # IFlowObserver

    def flowOpened(self, record: Any) -> None:
        pass

    def flowClosed(self, record: Any) -> None:
        if (log := self._log) is not None:
            log.flowClosed(record)

    def flowRefused(self, record: Any) -> None:
        if (log := self._log) is not None:
            log.flowRefused(record)

    # IRequestObserver

    def requestStarted(self, record: Any) -> None:
        watching = self._watching
        if watching is not None and watching.tracing is not None:
            watching.tracing.requestStarted(record)

    def requestEnded(self, record: Any) -> None:
        watching = self._watching
        if watching is None:
            return
        if watching.accessLog is not None:
            watching.accessLog.requestEnded(record)
        if watching.tracing is not None:
            watching.tracing.requestEnded(record)

    @property
    def _log(self) -> AccessLog | None:
        return None if self._watching is None else self._watching.accessLog
