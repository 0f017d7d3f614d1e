"""
A collector for who has none at hand: takes spans over OTLP/HTTP and writes a line for each to C{spans.log}.

    twistd -n --pidfile=collector.pid -y collector.py
"""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.server import Site


class Traces(Resource):
    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        with open("spans.log", "a", encoding="utf-8") as log:
            for batch in ExportTraceServiceRequest.FromString(request.content.read()).resource_spans:
                for scope in batch.scope_spans:
                    for span in scope.spans:
                        kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
                        milliseconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
                        log.write(f"{span.trace_id.hex()} {kind} {span.name!r} {milliseconds:.1f} ms\n")
        return b""


application = Application("collector")
endpoint = serverFromString(reactor, "tcp:4318:interface=127.0.0.1")
StreamServerEndpointService(endpoint, Site(Traces())).setServiceParent(application)
