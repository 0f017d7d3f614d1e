"""
The bodies of two exchanges are joined.
"""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.fabric.relay import CANCEL, INTERNAL_ERROR, ExchangeRelay
from hermes.testing import MemoryNetwork
from hermes.values import RequestHead, ResponseHead

REQUEST = RequestHead(b"POST", b"http", b"origin.example", b"/")


@implementer(IHalfCloseableProtocol)
class Body(Protocol):
    """
    Collects a body.
    """

    def __init__(self) -> None:
        self.data = b""
        self.ended = False
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def readConnectionLost(self) -> None:
        self.ended = True

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class RelayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.browser, self.server = self.network.pair(REQUEST)
        self.client, self.origin = self.network.pair(REQUEST)
        self.gone: list[bool] = []
        self.begun = 0
        self.relay = ExchangeRelay(self.server, self.begin, lambda: self.gone.append(True))
        self.relay.start()
        self.browserBody, self.originBody = Body(), Body()
        self.browser.attach(self.browserBody)
        self.origin.attach(self.originBody)

    def begin(self) -> None:
        self.begun += 1

    def open(self) -> None:
        self.relay.openRequest(self.client)
        self.origin.respond(ResponseHead(200))
        self.server.respond(ResponseHead(200))
        self.relay.openResponse()
        self.network.pump()

    def test_bothBodiesArriveWithTheirEndsAndTrailers(self) -> None:
        self.browser.write(b"question")
        self.network.pump()
        self.browser.write(b", and more")
        self.open()
        self.browser.writeTrailers(((b"sum", b"1"),))
        self.origin.write(b"answer")
        self.origin.writeTrailers(((b"check", b"2"),))
        self.network.pump()
        self.assertEqual((self.originBody.data, self.originBody.ended), (b"question, and more", True))
        self.assertEqual((self.browserBody.data, self.browserBody.ended), (b"answer", True))
        self.assertEqual(self.origin.trailers, ((b"sum", b"1"),))
        self.assertEqual(self.browser.trailers, ((b"check", b"2"),))
        for exchange in (self.browser, self.server, self.client, self.origin):
            self.assertIsNone(exchange.resetWith)
            self.assertTrue(exchange.disconnected)

    def test_aRequestThatEndedBeforeTheOriginWasThereIsKnownToBeEmpty(self) -> None:
        self.browser.loseWriteConnection()
        self.network.pump()
        self.assertTrue(self.relay.request.ended and self.relay.request.empty)
        self.assertEqual(self.begun, 1)

    def test_whatIsHeldForTheOriginIsOneReadAndTheClientIsPaused(self) -> None:
        self.browser.write(b"x" * 1000)
        self.network.pump()
        self.browser.write(b"y" * 1000)
        self.network.pump()
        self.assertEqual((self.browser._queued, self.begun), (1000, 1))

    def test_aStalledReaderPausesTheSender(self) -> None:
        self.open()
        self.client.window = self.server.window = 1000
        self.origin.pauseProducing()
        self.browser.write(b"x" * 2000)
        self.network.pump()
        self.browser.write(b"y" * 2000)
        self.network.pump()
        self.assertEqual((self.client._queued, self.browser._queued), (2000, 2000))
        self.browser.pauseProducing()
        self.origin.write(b"x" * 2000)
        self.network.pump()
        self.origin.write(b"y" * 2000)
        self.network.pump()
        self.assertEqual((self.server._queued, self.origin._queued), (2000, 2000))
        self.origin.resumeProducing()
        self.browser.resumeProducing()
        self.network.pump()
        self.assertEqual((len(self.originBody.data), len(self.browserBody.data)), (4000, 4000))

    def test_whatIsHeldCanFillTheOriginAtOnce(self) -> None:
        self.client.window = 100
        self.origin.pauseProducing()
        self.browser.write(b"x" * 1000)
        self.network.pump()
        self.browser.write(b"y" * 1000)
        self.open()
        self.assertEqual(self.browser._queued, 1000)
        self.origin.resumeProducing()
        self.network.pump()
        self.assertEqual(len(self.originBody.data), 2000)

    def test_aClientThatGoesAwayCancelsTheOrigin(self) -> None:
        self.open()
        self.browser.reset(CANCEL)
        self.network.pump()
        self.assertEqual(self.origin.resetWith, CANCEL)

    def test_aClientThatGoesAwayEarlyIsTold(self) -> None:
        self.browser.reset(CANCEL)
        self.network.pump()
        self.assertEqual(self.gone, [True])

    def test_anOriginThatBreaksOffResetsTheClient(self) -> None:
        self.open()
        self.origin.write(b"half")
        self.network.pump()
        self.origin.reset(CANCEL)
        self.network.pump()
        self.assertEqual((self.browserBody.data, self.browserBody.ended), (b"half", False))
        self.assertEqual(self.browser.resetWith, INTERNAL_ERROR)

    def test_anOriginThatAnswersEarlyEndsTheUpload(self) -> None:
        self.open()
        self.browser.write(b"begin")
        self.network.pump()
        self.origin.write(b"no")
        self.origin.loseConnection()
        self.network.pump()
        self.assertEqual((self.browserBody.data, self.browserBody.ended), (b"no", True))
        self.browser.write(b"in vain")
        self.browser.loseWriteConnection()
        self.network.pump()
        self.assertEqual((self.originBody.data, self.browser.resetWith), (b"begin", None))
        self.assertTrue(self.browser.disconnected)
