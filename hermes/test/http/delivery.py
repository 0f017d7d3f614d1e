"""
Senders, bodies and sinks in memory, for what delivers requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBody, IBodySink, IRequestSender
from hermes.messages import Request, RequestRecord, Response
from hermes.values import Buffer, Flow, Headers, RequestHead, ResponseHead, Target

FLOW = Flow("http", Target("origin.example", 80))


def request(method: bytes = b"GET", headers: Headers = (), body: IBody | None = None, **keys: Any) -> Request:
    """
    A request for C{http://origin.example/a}.
    """
    head = RequestHead(method, b"http", b"origin.example", b"/a", None, headers)
    return Request(head, FLOW, RequestRecord(FLOW, head, "2", 0.0), body, **keys)


def response(status: int, *headers: tuple[bytes, bytes], body: IBody | None = None) -> Response:
    """
    A response.
    """
    return Response(ResponseHead(status, headers), body)


@implementer(IBodySink)
@define(eq=False)
class Sink:
    """
    Takes a body.

    @ivar pieces: what has come.
    @ivar trailers: L{None} until it has ended.
    @ivar failure: why it was cut short.
    @ivar received: called after each piece.
    """

    pieces: list[bytes] = field(factory=list)
    trailers: Headers | None = None
    failure: Any = None
    received: Callable[[], None] | None = None

    @property
    def data(self) -> bytes:
        """
        All that has come.
        """
        return b"".join(self.pieces)

    @property
    def over(self) -> bool:
        """
        Nothing more comes.
        """
        return self.trailers is not None or self.failure is not None

    def dataReceived(self, data: Buffer) -> None:
        assert not self.over and len(data)
        self.pieces.append(bytes(data))
        if self.received is not None:
            self.received()

    def bodyEnded(self, trailers: Headers) -> None:
        assert not self.over
        self.trailers = trailers

    def bodyFailed(self, reason: Failure) -> None:
        assert not self.over
        self.failure = reason.value


@implementer(IBody)
@define(eq=False)
class FakeBody:
    """
    A body that a test gives, and that must be asked as L{IBody} says.

    @ivar calls: what was asked of it.
    """

    length: int | None = None
    sink: Any = None
    calls: list[str] = field(factory=list)
    paused: bool = False
    stopped: bool = False

    def start(self, sink: IBodySink) -> None:
        assert self.sink is None and not self.stopped
        self.sink = sink
        self.calls.append("start")

    def pauseProducing(self) -> None:
        self.paused = True
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.paused = False
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.stopped = True
        self.calls.append("stop")

    def give(self, data: bytes) -> None:
        """
        A piece comes.
        """
        assert not self.stopped
        # Borrowed: worthless once the call has returned.
        piece = bytearray(data)
        self.sink.dataReceived(memoryview(piece))
        piece[:] = bytes(len(piece))

    def end(self, trailers: Headers = ()) -> None:
        """
        It is complete.
        """
        self.sink.bodyEnded(trailers)

    def fail(self, error: BaseException) -> None:
        """
        It is cut short.
        """
        self.sink.bodyFailed(Failure(error))


Outcome = Response | BaseException | None


@implementer(IRequestSender)
@define(eq=False)
class FakeSender:
    """
    Answers requests as it is told, one after the other; what it is not told about waits.

    @ivar outcomes: the answers to come.
    @ivar sent: the requests, and
    @ivar waiting: what each of them that waits will be answered.
    @ivar cancelled: how many of those were given up.
    """

    outcomes: list[Outcome] = field(factory=list)
    sent: list[Request] = field(factory=list)
    waiting: list[Deferred[Response]] = field(factory=list)
    cancelled: int = 0

    def send(self, request: Request) -> Deferred[Response]:
        self.sent.append(request)
        request.record.tries += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Response):
            return succeed(outcome)
        if outcome is not None:
            return fail(outcome)
        waiting: Deferred[Response] = Deferred(self._cancel)
        self.waiting.append(waiting)
        return waiting

    def _cancel(self, _: Deferred[Response]) -> None:
        self.cancelled += 1


@define(eq=False)
class Steered:
    """
    Stands for L{random.Random}: always the largest number.
    """

    def uniform(self, low: float, high: float) -> float:
        """
        C{high}.
        """
        return high

    def getrandbits(self, count: int) -> int:
        """
        All of them.
        """
        return (1 << count) - 1
