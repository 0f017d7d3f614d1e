"""
A collector of spans, and servers for tests that end with them.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

reactor: Any = installedReactor


class Served(WrappingFactory):
    """
    A site of which no connection is left behind.
    """

    noisy = False

    def __init__(self, resource: Resource) -> None:
        super().__init__(Site(resource))
        self._gone: Deferred[None] | None = None

    def unregisterProtocol(self, p: Any) -> None:
        super().unregisterProtocol(p)
        if self._gone is not None and not self.protocols:
            gone, self._gone = self._gone, None
            gone.callback(None)

    def hangUp(self) -> Deferred[None]:
        """
        Fires when all its connections are gone.
        """
        if not self.protocols:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._gone = gone
        for each in list(self.protocols):
            each.transport.loseConnection()
        return gone


def serve(case: Any, resource: Resource) -> Any:
    """
    Serve something until a test ends.

    @return: the listening port.
    """
    served = Served(resource)
    port = reactor.listenTCP(0, served, interface="127.0.0.1")
    case.addCleanup(served.hangUp)
    case.addCleanup(port.stopListening)
    return port


class Collector(Resource):
    """
    Reads what is exported.

    @ivar batches: what came.
    @ivar status: what is answered; L{None} to answer nothing.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[ExportTraceServiceRequest] = []
        self.headers: dict[str, str] = {}
        self.status: int | None = 200
        self.unanswered: list[Request] = []
        self._waiting: list[Deferred[None]] = []

    def render_POST(self, request: Any) -> Any:
        self.batches.append(ExportTraceServiceRequest.FromString(request.content.read()))
        self.headers = {
            name.decode().lower(): values[0].decode() for name, values in request.requestHeaders.getAllRawHeaders()
        }
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            # When this has returned, and what it returned is on its way.
            reactor.callLater(0, each.callback, None)
        if self.status is None:
            self.unanswered.append(request)
            return NOT_DONE_YET
        request.setResponseCode(self.status)
        return b""

    def asked(self) -> Deferred[None]:
        """
        Fires with the next batch, once it is answered where it is.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def spans(self) -> list[Any]:
        """
        All spans that came.
        """
        return [
            span
            for batch in self.batches
            for resource in batch.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Reactor(Clock):
    """
    Time of its own, and the real reactor's threads.
    """

    callFromThread = staticmethod(reactor.callFromThread)


def told(attributes: Any) -> dict[str, Any]:
    """
    Attributes as plain values.
    """
    found: dict[str, Any] = {}
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        value = getattr(attribute.value, kind)
        found[attribute.key] = [each.string_value for each in value.values] if kind == "array_value" else value
    return found
