"""
A copy of a request goes elsewhere, and nobody waits for what becomes of it.
"""

from __future__ import annotations

from random import Random

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.errors import HopUnavailable, RequestBroken
from hermes.http.mirror import MAX_BEHIND, MAX_COPIES, Mirroring
from hermes.interfaces import IRequestSender
from hermes.interfaces.request import IBody, IBodySink
from hermes.messages import BytesBody, Request, RequestRecord, Response
from hermes.values import Buffer, Flow, Headers, RequestHead, ResponseHead, Target


@implementer(IBodySink)
class Sink:
    """
    Remembers a body.
    """

    def __init__(self) -> None:
        self.data = b""
        self.trailers: Headers | None = None
        self.reason: Failure | None = None

    def dataReceived(self, data: Buffer) -> None:
        self.data += bytes(data)

    def bodyEnded(self, trailers: Headers) -> None:
        self.trailers = trailers

    def bodyFailed(self, reason: Failure) -> None:
        self.reason = reason


@implementer(IRequestSender)
@define(eq=False)
class Sender:
    """
    Answers with what it is given, and reads no body by itself.
    """

    answer: Deferred[Response] | None = None
    requests: list[Request] = field(factory=list)

    def send(self, request: Request) -> Deferred[Response]:
        self.requests.append(request)
        return self.answer or succeed(Response(ResponseHead(200)))

    @property
    def body(self) -> IBody:
        """
        Of the last request.
        """
        body = self.requests[-1].body
        assert body is not None
        return body


@implementer(IBody)
class Source:
    """
    A body that a test delivers.
    """

    length = None

    def __init__(self) -> None:
        self.sink: IBodySink | None = None
        self.calls: list[str] = []

    def start(self, sink: IBodySink) -> None:
        self.sink = sink

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


def request(body: IBody | None = None, protocol: bytes | None = None) -> Request:
    """
    A request for C{http://web.example/}.
    """
    head = RequestHead(b"POST", b"http", b"web.example", b"/", protocol)
    flow = Flow("http", Target("web.example", 80))
    return Request(head, flow, RequestRecord(flow, head, "1.1", 0.0), body, retriesLeft=3, name=b"it")


class MirroringTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sender = Sender()
        self.mirror = Sender()
        self.mirroring = Mirroring(self.sender, self.mirror, 1.0, Random(1))

    def test_theCopyHasTheSameHeadAndARecordOfItsOwn(self) -> None:
        asked = request()
        self.successResultOf(self.mirroring.send(asked))
        (copy,) = self.mirror.requests
        self.assertIs(copy.head, asked.head)
        self.assertIsNot(copy.record, asked.record)
        self.assertEqual((copy.retriesLeft, copy.name), (0, None))
        self.assertEqual((asked.retriesLeft, asked.name), (3, b"it"))

    def test_bothGetTheWholeBody(self) -> None:
        self.mirroring.send(request(BytesBody(b"hello", ((b"t", b"1"),))))
        first, second = Sink(), Sink()
        self.sender.body.start(first)
        self.mirror.body.start(second)
        for sink in (first, second):
            self.assertEqual((b"hello", ((b"t", b"1"),)), (sink.data, sink.trailers))
        self.assertEqual(5, self.mirror.body.length)

    def test_theCopyWaitsForItsReaderWithoutSlowingDownTheRequest(self) -> None:
        source, first, second = Source(), Sink(), Sink()
        self.mirroring.send(request(source))
        self.mirror.body.start(second)
        self.sender.body.start(first)
        assert source.sink is not None
        self.mirror.body.pauseProducing()
        source.sink.dataReceived(memoryview(b"one"))
        source.sink.dataReceived(b"two")
        source.sink.bodyEnded(())
        self.assertEqual((b"onetwo", b""), (first.data, second.data))
        self.assertEqual(source.calls, [])
        self.mirror.body.resumeProducing()
        self.assertEqual((b"onetwo", ()), (second.data, second.trailers))

    def test_aCopyThatFallsBehindIsGivenUp(self) -> None:
        source, first, second = Source(), Sink(), Sink()
        self.mirroring.send(request(source))
        self.sender.body.start(first)
        assert source.sink is not None
        source.sink.dataReceived(b"x" * MAX_BEHIND)
        source.sink.dataReceived(b"x")
        source.sink.dataReceived(b"y")
        source.sink.bodyEnded(())
        self.mirror.body.start(second)
        self.assertEqual(MAX_BEHIND + 2, len(first.data))
        self.assertEqual((), first.trailers)
        assert second.reason is not None
        self.assertEqual((b"", None), (second.data, second.trailers))
        self.assertIsInstance(second.reason.value, RequestBroken)

    def test_whereTheRequestIsGivenUpSoIsTheCopy(self) -> None:
        source, second = Source(), Sink()
        self.mirroring.send(request(source))
        self.mirror.body.start(second)
        self.sender.body.stopProducing()
        self.assertEqual(["stop"], source.calls)
        self.assertIsNotNone(second.reason)

    def test_aBodyThatIsCutShortIsForBoth(self) -> None:
        source, first, second = Source(), Sink(), Sink()
        self.mirroring.send(request(source))
        self.sender.body.start(first)
        self.mirror.body.start(second)
        assert source.sink is not None
        source.sink.dataReceived(b"a")
        reason = Failure(RequestBroken("gone"))
        source.sink.bodyFailed(reason)
        for sink in (first, second):
            self.assertEqual((b"a", reason, None), (sink.data, sink.reason, sink.trailers))

    def test_backpressureOfTheRequestReachesTheClient(self) -> None:
        source = Source()
        self.mirroring.send(request(source))
        self.sender.body.start(Sink())
        self.sender.body.pauseProducing()
        self.sender.body.resumeProducing()
        self.assertEqual(["pause", "resume"], source.calls)

    def test_aCopyThatNobodyWantsIsThrownAway(self) -> None:
        source, first = Source(), Sink()
        self.mirroring.send(request(source))
        self.sender.body.start(first)
        self.mirror.body.stopProducing()
        assert source.sink is not None
        source.sink.dataReceived(b"x" * (MAX_BEHIND + 1))
        source.sink.bodyEnded(())
        self.assertEqual(((), []), (first.trailers, source.calls))

    def test_whatBecomesOfTheCopyChangesNothing(self) -> None:
        self.mirror.answer = fail(HopUnavailable("gone"))
        self.assertEqual(200, self.successResultOf(self.mirroring.send(request())).head.status)
        self.assertEqual((1, 1), (self.mirroring.copied, self.mirroring.failed))

    def test_theAnswerToTheCopyIsStopped(self) -> None:
        body = Source()
        self.mirror.answer = succeed(Response(ResponseHead(200), body))
        self.mirroring.send(request())
        self.assertEqual(["stop"], body.calls)

    def test_onlyTheShareIsCopied(self) -> None:
        mirroring = Mirroring(self.sender, self.mirror, 0.3, Random(5))
        for _ in range(1000):
            mirroring.send(request())
        self.assertTrue(250 < len(self.mirror.requests) < 350, len(self.mirror.requests))
        mirroring = Mirroring(self.sender, self.mirror, 0.0, Random(5))
        mirroring.send(request())
        self.assertEqual(0, mirroring.copied)

    def test_thereAreNoCopiesOfUpgradesNorMoreThanTheBound(self) -> None:
        self.mirroring.send(request(protocol=b"websocket"))
        self.assertEqual([], self.mirror.requests)
        self.mirror.answer = Deferred()
        for _ in range(MAX_COPIES + 5):
            self.mirroring.send(request())
        self.assertEqual((MAX_COPIES, MAX_COPIES + 6), (len(self.mirror.requests), len(self.sender.requests)))
        self.mirror.answer.callback(Response(ResponseHead(200)))
        self.mirroring.send(request())
        self.assertEqual(MAX_COPIES + 1, len(self.mirror.requests))
