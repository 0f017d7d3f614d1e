"""
The bodies of the exchange with the client and of the one with the origin are joined.
"""

from __future__ import annotations

from hermes.errors import RequestBroken
from hermes.http.bodies import CANCEL, INTERNAL_ERROR
from hermes.test.http.forwarding import Joining
from hermes.values import RequestHead

TUNNEL = RequestHead(b"CONNECT", b"http", b"origin.example", b"/", b"websocket")


class BodyTests(Joining):
    def test_bothBodiesArriveWithTheirEndsAndTrailers(self) -> None:
        self.ask()
        self.browser.write(b"question")
        self.network.pump()
        self.browser.write(b", and more")
        self.respond()
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
        (record,) = self.watching.ended
        self.assertEqual((record.bytesIn, record.bytesOut, record.error), (18, 6, None))

    def test_aTunnelHasTwoDirectionsThatEndEachForItself(self) -> None:
        self.ask(TUNNEL)
        self.respond()
        self.origin.write(b"hello")
        self.origin.loseWriteConnection()
        self.network.pump()
        self.assertEqual((self.browserBody.data, self.browserBody.ended), (b"hello", True))
        self.browser.write(b"still here")
        self.network.pump()
        self.assertEqual((self.originBody.data, self.originBody.ended), (b"still here", False))
        self.browser.loseWriteConnection()
        self.network.pump()
        self.assertTrue(self.originBody.ended)
        self.assertIsNone(self.browser.resetWith)
        self.assertTrue(self.browser.disconnected)

    def test_aStalledReaderPausesTheSender(self) -> None:
        self.ask()
        self.respond()
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

    def test_aClientThatGoesAwayCancelsTheOrigin(self) -> None:
        self.ask()
        self.respond()
        self.browser.reset(CANCEL)
        self.network.pump()
        self.assertEqual(self.origin.resetWith, CANCEL)

    def test_aClientThatGoesAwayInItsUploadCancelsTheOrigin(self) -> None:
        self.ask()
        self.browser.write(b"half")
        self.network.pump()
        self.browser.reset(CANCEL)
        self.network.pump()
        self.assertEqual((self.originBody.data, self.originBody.ended), (b"half", False))
        self.assertEqual(self.origin.resetWith, CANCEL)

    def test_anOriginThatBreaksOffResetsTheClient(self) -> None:
        self.ask()
        self.respond()
        self.origin.write(b"half")
        self.network.pump()
        self.origin.reset(CANCEL)
        self.network.pump()
        self.assertEqual((self.browserBody.data, self.browserBody.ended), (b"half", False))
        self.assertEqual(self.browser.resetWith, INTERNAL_ERROR)
        self.assertIsNotNone(self.watching.ended[0].error)

    def test_anOriginThatBreaksOffEarlierIsABadGateway(self) -> None:
        self.ask()
        self.origin.reset(CANCEL)
        self.network.pump()
        self.assertEqual(self.server.responses[0].status, RequestBroken.status)

    def test_anOriginThatAnswersEarlyEndsTheUpload(self) -> None:
        self.ask()
        self.respond()
        self.browser.write(b"begin")
        self.network.pump()
        self.origin.write(b"no")
        # As RST_STREAM with NO_ERROR does (RFC 9113 section 8.1): it listens no more.
        self.origin.loseConnection()
        self.client.loseWriteConnection()
        self.network.pump()
        self.assertEqual((self.browserBody.data, self.browserBody.ended), (b"no", True))
        self.browser.write(b"in vain")
        self.browser.loseWriteConnection()
        self.network.pump()
        self.assertEqual((self.originBody.data, self.browser.resetWith), (b"begin", None))
        self.assertTrue(self.browser.disconnected)
