"""
Requests for assisting components, and what stands behind them.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBody, IBodySink
from hermes.messages import BytesBody, Request, RequestRecord, Response
from hermes.values import ANONYMOUS, Address, Buffer, Flow, Headers, Identity, RequestHead, ResponseHead, Target

SOURCE: Address = ("192.0.2.7", 4000)


def request(
    path: bytes = b"/",
    headers: Headers = (),
    identity: Identity = ANONYMOUS,
    method: bytes = b"GET",
    source: Address | None = SOURCE,
    body: IBody | None = None,
    gateway: bool = False,
    host: str = "origin.example",
    protocol: str = "http",
    listener: str = "apps",
) -> Request:
    """
    A request as a listener hands it on: the credential for a proxy is only in the head as it came.
    """
    head = RequestHead(method, b"http", host.encode(), path, None, headers)
    onward = RequestHead(
        method,
        b"http",
        host.encode(),
        path,
        None,
        tuple(pair for pair in headers if pair[0] != b"proxy-authorization"),
    )
    flow = Flow(protocol, Target(host, 80), source, identity, listener)
    return Request(onward, flow, RequestRecord(flow, head, "1.1", 0.0), body, gateway=gateway)


@define(eq=False)
class Behind:
    """
    What is behind an assisting component: answers at once with 200, or when it is told to.

    @ivar passed: the requests that came through.
    @ivar waits: whether it is told to.
    """

    passed: list[Request] = field(factory=list)
    waits: bool = False
    waiting: list[Deferred[Response]] = field(factory=list)
    cancelled: int = 0

    def __call__(self, request: Request) -> Deferred[Response]:
        self.passed.append(request)
        if not self.waits:
            return succeed(Response(ResponseHead(200), BytesBody(b"ok")))
        waiting: Deferred[Response] = Deferred(self._cancel)
        self.waiting.append(waiting)
        return waiting

    def _cancel(self, waiting: Deferred[Response]) -> None:
        self.cancelled += 1


@implementer(IBody)
@define(eq=False)
class Source:
    """
    A body that a test delivers.

    @ivar calls: what was asked of it.
    """

    calls: list[str] = field(factory=list)
    sink: Any = None
    length: int | None = None

    def start(self, sink: IBodySink) -> None:
        self.sink = sink

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


@implementer(IBodySink)
@define(eq=False)
class Sink:
    """
    Collects a body.
    """

    data: bytes = b""
    trailers: Headers | None = None
    failure: Failure | None = None

    def dataReceived(self, data: Buffer) -> None:
        self.data += bytes(data)

    def bodyEnded(self, trailers: Headers) -> None:
        self.trailers = trailers

    def bodyFailed(self, reason: Failure) -> None:
        self.failure = reason


def textOf(response: Response) -> bytes:
    """
    The body of a response that is all there.
    """
    sink = Sink()
    assert response.body is not None
    response.body.start(sink)
    assert sink.trailers is not None
    return sink.data


def fieldsOf(response: Response) -> dict[bytes, bytes]:
    """
    The fields of a response, the last of each name.
    """
    return dict(response.head.headers)
