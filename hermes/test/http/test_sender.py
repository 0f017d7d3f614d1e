"""
One request, sent to one peer.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.errors import (
    BadRequest,
    FlowError,
    HopRefused,
    HopUnavailable,
    RequestBroken,
    StreamRefused,
    StreamReset,
    TargetRefused,
)
from hermes.http.sender import REFUSED_STREAM, ExchangeSender, OriginConfused
from hermes.interfaces import IClientExchange, IReadyExchangeClient, IRequestSender
from hermes.messages import BytesBody, Response
from hermes.test.http.forwarding import Body
from hermes.test.http.upstreams import GET, Taken, aRequest
from hermes.test.http.versions import CANCEL, OwnBody
from hermes.test.http1.memory import Handler
from hermes.testing import MemoryClientExchange, MemoryExchangeClient, MemoryNetwork, MemoryServerExchange
from hermes.values import RequestHead, ResponseHead

POST = RequestHead(b"POST", b"http", b"web.example", b"/")


@implementer(IReadyExchangeClient)
@define(eq=False)
class Ready(MemoryExchangeClient):
    """
    Has an exchange at once, or later.

    @ivar ready: whether at once.
    @ivar opening: those that are waited for.
    @ivar cancelled: how many of them were cancelled; where C{late}, they come all the same.
    @ivar raises: what sending the head raises.
    """

    ready: bool = True
    opening: list[tuple[Deferred[Any], RequestHead, bool]] = field(factory=list)
    cancelled: int = 0
    late: bool = False
    raises: Exception | None = None

    def tryExchange(self, head: RequestHead, end: bool = False) -> IClientExchange | None:
        if self.raises is not None:
            raise self.raises
        return self._open(head, end) if self.ready else None

    def _open(self, head: RequestHead, end: bool) -> Any:
        opened: list[Any] = []
        MemoryExchangeClient.exchange(self, head, end).addCallback(opened.append)
        return opened[0]

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        waiting: Deferred[IClientExchange] = Deferred(self._cancelled)
        self.opening.append((waiting, head, end))
        return waiting

    def _cancelled(self, _: object) -> None:
        self.cancelled += 1
        if self.late:
            self.up()

    def up(self) -> None:
        """
        The one that was asked for first is there.
        """
        waiting, head, end = self.opening.pop(0)
        waiting.callback(self._open(head, end))


class Raising(OwnBody):
    """
    A body that can't be read.
    """

    def start(self, sink: object) -> None:
        raise ZeroDivisionError


class Sending(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.client = Ready(self.network, Handler())
        self.body = OwnBody()

    def send(self, head: RequestHead = GET, **options: Any) -> Deferred[Response]:
        self.request = aRequest(head, **options)
        self.sent = ExchangeSender(self.client).send(self.request)
        return self.sent

    def post(self) -> Deferred[Response]:
        return self.send(POST, body=self.body)

    @property
    def ours(self) -> MemoryClientExchange:
        return self.client.exchanges[-1][0]

    @property
    def origin(self) -> MemoryServerExchange:
        return self.client.exchanges[-1][1]

    def respond(self, status: int = 200, data: bytes = b"", end: bool = True) -> None:
        self.origin.respond(ResponseHead(status))
        self.origin.write(data)
        if end:
            self.origin.loseWriteConnection()
        self.network.pump()

    def assertFails(self, kind: type[FlowError], sent: bool) -> Any:
        error: Any = self.failureResultOf(self.sent, kind).value
        self.assertEqual(error.sent, sent)
        return error


class OpeningTests(Sending):
    def test_itIsASender(self) -> None:
        verifyObject(IRequestSender, ExchangeSender(self.client))
        verifyObject(IReadyExchangeClient, self.client)

    def test_anExchangeThatCanBeHadAtOnceIs(self) -> None:
        self.send()
        self.assertEqual((self.ours.request, self.origin.bodyless, self.client.opening), (GET, True, []))
        self.assertNoResult(self.sent)
        self.respond(201, b"made")
        response = self.successResultOf(self.sent)
        self.assertEqual((response.head.status, response.version), (201, "2"))
        self.assertEqual(self.request.record.tries, 1)

    def test_oneThatCanNotIsWaitedFor(self) -> None:
        self.client.ready = False
        self.send()
        self.assertEqual(self.client.exchanges, [])
        self.client.up()
        self.respond(201)
        self.assertEqual(self.successResultOf(self.sent).head.status, 201)

    def test_aClientThatKnowsOnlyTheOneWayIsAskedThatWay(self) -> None:
        plain = MemoryExchangeClient(self.network, Handler())
        sent = ExchangeSender(plain).send(aRequest())
        plain.exchanges[0][1].respond(ResponseHead(204), end=True)
        self.network.pump()
        self.assertEqual(self.successResultOf(sent).head.status, 204)

    def test_whatCanNotBeOpenedFailsAsItIsTold(self) -> None:
        self.client.ready = False
        self.send()
        self.client.opening[0][0].errback(TargetRefused("no"))
        self.assertFails(TargetRefused, False)

    def test_aHeadThatCanNotBeSentFails(self) -> None:
        self.client.raises = BadRequest("no token")
        self.send()
        self.assertFails(BadRequest, False)

    def test_theFieldsOfATraceAreSent(self) -> None:
        class Trace:
            def outgoing(self, head: RequestHead) -> RequestHead:
                return RequestHead(head.method, path=b"/traced")

        self.request = aRequest()
        self.request.record.notes = {"trace": Trace()}
        ExchangeSender(self.client).send(self.request)
        self.assertEqual((self.ours.request.path, self.request.head), (b"/traced", GET))


class CancelTests(Sending):
    def test_whoIsNotSentYetIsNot(self) -> None:
        self.client.ready = False
        self.post()
        self.sent.cancel()
        self.failureResultOf(self.sent, CancelledError)
        self.assertEqual((self.client.cancelled, self.client.exchanges, self.body.sink), (1, [], None))

    def test_anExchangeThatComesAllTheSameIsReset(self) -> None:
        self.client.ready = False
        self.post()
        self.client.late = True
        self.sent.cancel()
        self.failureResultOf(self.sent, CancelledError)
        self.assertEqual((self.ours.resetWith, self.body.sink), (CANCEL, None))

    def test_whoWaitsForItsAnswerIsReset(self) -> None:
        self.post()
        self.sent.cancel()
        self.failureResultOf(self.sent, CancelledError)
        self.network.pump()
        self.assertEqual((self.origin.resetWith, self.body.stopped), (CANCEL, 1))

    def test_theConnectionThatIsToReplaceAClosedOneIsNotWaitedFor(self) -> None:
        self.send()
        self.ours.reused, self.client.ready = True, False
        self.ours._end(Failure(HopUnavailable("closed")))
        self.network.pump()
        self.assertEqual(len(self.client.opening), 1)
        self.sent.cancel()
        self.failureResultOf(self.sent, CancelledError)
        self.assertEqual((self.client.cancelled, len(self.client.exchanges)), (1, 1))

    def test_whatIsAnsweredIsLeftAlone(self) -> None:
        self.send()
        self.respond(data=b"half", end=False)
        self.sent.cancel()
        body = self.successResultOf(self.sent).body
        assert body is not None
        body.start(taken := Taken())
        self.origin.loseWriteConnection()
        self.network.pump()
        self.assertEqual((taken.data, taken.ended), (b"half", True))


class BrokenTests(Sending):
    def lose(self, error: Exception) -> None:
        """
        The exchange ends with an error before there is an answer.
        """
        self.ours._end(Failure(error))
        self.network.pump()

    def test_whatThePeerRefusedMayBeSentAgain(self) -> None:
        self.post()
        self.origin.reset(REFUSED_STREAM)
        self.network.pump()
        self.assertFails(StreamRefused, False)
        self.assertEqual(self.body.stopped, 1)

    def test_whatThePeerBrokeOffMayHaveBeenDone(self) -> None:
        for code in (0, 2, CANCEL):
            self.body = OwnBody()
            self.post()
            self.origin.reset(code)
            self.network.pump()
            self.assertFails(RequestBroken, True)
            self.assertEqual(self.body.stopped, 1)

    def test_whatWasOnALostConnectionMayHaveBeenDone(self) -> None:
        self.post()
        self.lose(HopUnavailable("closed"))
        self.assertFails(RequestBroken, True)
        self.assertEqual(self.body.stopped, 1)

    def test_anAnswerThatIsNoneMayHaveBeenDone(self) -> None:
        self.send()
        self.lose(HopRefused("no upgrade", 200))
        self.assertFails(HopRefused, True)

    def test_aBodyThatCanNotBeReadEndsTheRequest(self) -> None:
        for ready in (True, False):
            self.client.ready = ready
            self.body = Raising()
            self.post()
            if not ready:
                self.client.up()
            self.failureResultOf(self.sent, ZeroDivisionError)
            self.assertEqual((self.ours.resetWith, self.body.stopped), (CANCEL, 1))

    def test_aBodyThatFailsResetsTheRequest(self) -> None:
        self.post()
        self.body.sink.dataReceived(b"half")
        self.body.sink.bodyFailed(Failure(RequestBroken("cut short")))
        self.network.pump()
        self.assertEqual(self.origin.resetWith, CANCEL)
        self.assertFails(RequestBroken, True)

    # Connections that were kept

    def closed(self, reused: bool = True) -> None:
        """
        The connection was closed just as the request went out.
        """
        self.ours.reused = reused
        self.lose(HopUnavailable("closed"))

    def test_aKeptConnectionThatHadClosedIsReplaced(self) -> None:
        self.send()
        self.closed()
        self.assertNoResult(self.sent)
        self.assertEqual(len(self.client.exchanges), 2)
        self.respond(201)
        self.assertEqual((self.successResultOf(self.sent).head.status, self.request.record.tries), (201, 1))

    def test_itIsReplacedOnce(self) -> None:
        self.send()
        self.closed()
        self.closed()
        self.assertFails(RequestBroken, True)
        self.assertEqual(len(self.client.exchanges), 2)

    def test_whatAConnectionThatEndsInOrderHadNotLookedAtGoesOnAnother(self) -> None:
        for head in (GET, POST):
            self.client.exchanges.clear()
            self.send(head, body=None)
            self.lose(StreamReset(REFUSED_STREAM, drained=True))
            self.assertNoResult(self.sent)
            self.respond(201)
            self.assertEqual((self.successResultOf(self.sent).head.status, len(self.client.exchanges)), (201, 2))

    def test_twiceItIsTheAskersToDecide(self) -> None:
        self.send(POST, body=None)
        for _ in range(2):
            self.lose(StreamReset(REFUSED_STREAM, drained=True))
        self.assertFails(StreamRefused, False)

    def test_aNewConnectionIsNot(self) -> None:
        self.send()
        self.closed(reused=False)
        self.assertFails(RequestBroken, True)

    def test_norWhereTheRequestMayHaveBeenDone(self) -> None:
        for head, body in ((POST, None), (POST, OwnBody()), (RequestHead(b"PUT", b"http", b"a", b"/"), OwnBody())):
            self.send(head, body=body)
            self.closed()
            self.assertFails(RequestBroken, True)
            self.client.exchanges.clear()


class AnswerTests(Sending):
    def test_anOriginThatAsksForWhatOnlyAProxyMayIsConfused(self) -> None:
        self.post()
        self.respond(407)
        self.assertFails(OriginConfused, True)
        self.assertEqual((self.ours.resetWith, self.body.stopped), (CANCEL, 1))

    def test_informationalHeadsAreToldUntilTheAnswer(self) -> None:
        told: list[int] = []
        self.send(informational=lambda head: told.append(head.status))
        for status in (103, 102):
            self.origin.respond(ResponseHead(status))
        self.network.pump()
        self.assertEqual(told, [103, 102])
        self.respond()
        self.successResultOf(self.sent)

    def test_theBodyIsSent(self) -> None:
        self.send(POST, body=BytesBody(b"question", ((b"sum", b"1"),)))
        self.origin.attach(taken := Body())
        self.network.pump()
        self.assertEqual((taken.data, self.origin.trailers), (b"question", ((b"sum", b"1"),)))
        self.assertEqual(self.request.record.bytesIn, 8)

    def test_aBodyIsPausedWhereThePeerDoesNotTakeIt(self) -> None:
        self.post()
        self.ours.window = 10
        self.body.sink.dataReceived(bytes(11))
        self.assertTrue(self.body.paused)
        self.origin.attach(Body())
        self.network.pump()
        self.assertFalse(self.body.paused)

    def test_anUploadThatGoesOnBehindTheAnswerIsStoppedWithTheExchange(self) -> None:
        self.post()
        self.respond(data=b"early", end=False)
        body = self.successResultOf(self.sent).body
        assert body is not None
        body.start(taken := Taken())
        self.body.sink.dataReceived(b"more")
        self.network.pump()
        self.assertFalse(self.body.stopped)
        self.origin.reset(CANCEL)
        self.network.pump()
        self.assertTrue(self.body.stopped)
        self.assertEqual(taken.data, b"early")
        self.assertIsInstance(taken.ended, Failure)

    def test_anAnswerWithoutABodyHasOneAsLongAsTheUploadGoesOn(self) -> None:
        self.send()
        self.ours.bodyless = True
        self.respond(204)
        self.assertIsNone(self.successResultOf(self.sent).body)
        self.post()
        self.ours.bodyless = True
        self.respond(204)
        self.assertIsNotNone(self.successResultOf(self.sent).body)

    def test_whoDoesNotWantTheResponseResetsIt(self) -> None:
        self.send()
        self.respond(data=b"half", end=False)
        body = self.successResultOf(self.sent).body
        assert body is not None
        body.stopProducing()
        self.assertEqual(self.ours.resetWith, CANCEL)
