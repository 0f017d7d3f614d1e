"""
A link that breaks between two nodes.
"""

from __future__ import annotations

from random import Random

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.errors import RequestBroken
from hermes.http.reliable import Delivery, Reliable
from hermes.http.resume import ResumePolicy
from hermes.http.spool import SpoolPolicy
from hermes.interfaces import IBody, IBodySink, IRequestSender
from hermes.messages import Request, RequestRecord, Response
from hermes.test.http.delivery import FLOW, FakeBody, FakeSender, Sink, request, response
from hermes.values import Buffer, Headers, Identity

ETAG = (b"etag", b'"a"')


NODE = evolve(FLOW, identity=Identity(node="edge"))


DATA = bytes(range(256)) * 4


@implementer(IBody, IBodySink)
class LinkBody:
    """
    A body on its way over a link.
    """

    def __init__(self, inner: IBody) -> None:
        self._inner = inner
        self._sink: IBodySink | None = None
        self.length = inner.length

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        self._inner.start(self)

    def pauseProducing(self) -> None:
        self._inner.pauseProducing()

    def resumeProducing(self) -> None:
        self._inner.resumeProducing()

    def stopProducing(self) -> None:
        self._sink = None
        self._inner.stopProducing()

    def dataReceived(self, data: Buffer) -> None:
        if self._sink is not None:
            self._sink.dataReceived(data)

    def bodyEnded(self, trailers: Headers) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.bodyEnded(trailers)

    def bodyFailed(self, reason: Failure) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.bodyFailed(reason)

    def fall(self) -> None:
        """
        The link breaks.
        """
        if self._sink is not None:
            self._inner.stopProducing()
            self.bodyFailed(Failure(RequestBroken("the link broke")))


@implementer(IRequestSender)
class Link:
    """
    The way from a near node to a far one.
    """

    def __init__(self, far: Reliable) -> None:
        self._far = far
        self._body: LinkBody | None = None

    def send(self, request: Request) -> Deferred[Response]:
        record = RequestRecord(NODE, request.head, "2", 0.0)
        return self._far.send(evolve(request, flow=NODE, record=record)).addCallback(self._answered)

    def _answered(self, answer: Response) -> Response:
        assert answer.body is not None
        self._body = LinkBody(answer.body)
        return Response(answer.head, self._body)

    def fall(self) -> None:
        """
        It breaks.
        """
        if self._body is not None:
            self._body.fall()


class LinkTests(SynchronousTestCase):
    """
    Two nodes with a link between that breaks, and an origin that sends piece by piece.
    """

    @given(st.lists(st.sampled_from("pppbbc"), max_size=60), st.integers(2000, 4000))
    def test_whateverBreaksTheClientHasTheWhole(self, steps: list[str], most: int) -> None:
        """
        @param steps: a piece comes from the origin; the link breaks; time passes.
        """
        clock = Clock()
        origin = FakeSender()
        spooling = Delivery(resume=ResumePolicy(3, spool=SpoolPolicy(most, most // 2, 50.0)))
        far = Reliable(origin, spooling, clock, Random(1))
        link = Link(far)
        near = Reliable(link, Delivery(resume=ResumePolicy(1000)), clock, Random(2))
        answer = near.send(request())
        source = FakeBody()
        origin.waiting[0].callback(response(200, ETAG, (b"content-length", b"%d" % len(DATA)), body=source))
        clock.advance(0)
        sink = Sink()
        found = self.successResultOf(answer)
        assert found.body is not None
        found.body.start(sink)
        given = 0

        def piece() -> None:
            nonlocal given
            if given < len(DATA) and not source.paused:
                source.give(DATA[given : given + 100])
                given += 100

        for step in steps:
            if step == "p":
                piece()
            elif step == "b":
                link.fall()
            else:
                clock.advance(1.0)
        for _ in range(30):
            clock.advance(1.0)
            piece()
        if given >= len(DATA):
            source.end()
        self.assertEqual(sink.data, DATA[: len(sink.data)])
        self.assertEqual((sink.data, sink.trailers), (DATA, ()))
        self.assertEqual(len(origin.sent), 1)
