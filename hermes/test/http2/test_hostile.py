"""
Peers that mean harm: each costs bounded memory and work, and then its connection.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.http2.abuse import FloodLimits
from hermes.http2.handler import EngineSettings
from hermes.http2.hpack import MAX_TABLE
from hermes.http2.inbound import Inbound
from hermes.http2.state import MAX_REMEMBERED
from hermes.test.http2.conformance import goesOn
from hermes.test.http2.raw import (
    CONTINUATION,
    DATA,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    POST,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS_TIMEOUT,
    Peer,
    RawClient,
    RawServer,
    data,
    frame,
    headers,
    literal,
    ping,
    priority,
    reset,
    settings,
    windowUpdate,
)
from hermes.values import ResponseHead


def streams(count: int) -> range:
    """
    The first identifiers.
    """
    return range(1, 2 * count, 2)


class FloodTests(SynchronousTestCase):
    """
    More of something than anybody needs.
    """

    def assertCalmed(self, peer: Peer) -> None:
        """
        The connection was ended for the flood.
        """
        final = peer.frames[-1]
        self.assertEqual((final.kind, final.code), (GOAWAY, ENHANCE_YOUR_CALM))
        self.assertTrue(peer.wire.closed)

    def test_rapidReset(self) -> None:
        peer = RawClient()
        count = 0
        for streamID in streams(5000):
            peer.send(headers(streamID, end=True), reset(streamID))
            if peer.wire.closed:
                break
            count += 1
        self.assertCalmed(peer)
        self.assertEqual(count, FloodLimits().resets[0])
        self.assertLessEqual(len(peer.connection._engine.state._closed), MAX_REMEMBERED)

    def test_everyRequestOfAFloodIsTold(self) -> None:
        peer = RawClient()
        told: list[object] = []
        for streamID in streams(5000):
            known = len(peer.handler.exchanges)
            peer.send(headers(streamID, end=True))
            for exchange in peer.handler.exchanges[known:]:
                exchange.notifyLost(told.append)
            peer.send(reset(streamID))
            if peer.wire.closed:
                break
        peer.hangUp()
        self.assertEqual(len(told), len(peer.handler.exchanges))

    def test_aResetWithoutAnErrorEndsARequestThatIsNotAnswered(self) -> None:
        peer = RawClient()
        told: list[object] = []
        peer.send(headers(1, end=True))
        peer.handler.exchanges[0].notifyLost(told.append)
        peer.send(reset(1, 0))
        self.assertEqual(len(told), 1)

    def test_resetsAtThePaceOfAnImpatientUserAreTaken(self) -> None:
        peer = RawClient()
        for streamID in streams(3000):
            peer.send(headers(streamID, end=True), reset(streamID))
            peer.clock.advance(0.02)
        self.assertFalse(peer.wire.closed)

    def test_resetsOfWhatWasAnsweredAreTaken(self) -> None:
        peer = RawClient()
        for streamID in streams(3000):
            peer.send(headers(streamID))
            peer.handler.exchanges.pop().respond(ResponseHead(200))
            peer.send(reset(streamID))
        self.assertFalse(peer.wire.closed)

    def test_streamsThatThePeerMakesUsReset(self) -> None:
        # CVE-2025-8671.
        peer = RawClient()
        for streamID in streams(2000):
            peer.send(headers(streamID))
            if peer.wire.closed:
                break
            peer.handler.exchanges.pop().respond(ResponseHead(200))
            peer.send(windowUpdate(streamID, 0))
        self.assertCalmed(peer)
        self.assertEqual(len(peer.of(RST_STREAM)), FloodLimits().resets[0])

    def test_resetsOfAClosedStream(self) -> None:
        peer = RawClient()
        peer.send(headers(), *[reset()] * 2000)
        self.assertCalmed(peer)

    def test_framesOnAStreamThatThePeerHasReset(self) -> None:
        peer = RawClient()
        peer.send(headers(), reset(), *[data()] * 2000)
        self.assertCalmed(peer)
        self.assertLessEqual(len(peer.of(RST_STREAM)), FloodLimits().resets[0])

    def test_continuations(self) -> None:
        peer = RawClient()
        more = frame(CONTINUATION, 0, 1, literal(b"x-more", bytes(1000)))
        peer.send(headers(flags=0))
        sent = 0
        while not peer.wire.closed and sent < 1000:
            peer.send(more)
            sent += 1
        self.assertCalmed(peer)
        self.assertLess(sent * len(more), 2 * EngineSettings().maxHeaderList + 2 * len(more))

    def test_aContinuationThatIsFarTooLongIsNotWaitedFor(self) -> None:
        peer = RawClient()
        peer.send(headers(flags=0), frame(CONTINUATION, 0, 1, length=1 << 20))
        self.assertCalmed(peer)

    def test_emptyContinuations(self) -> None:
        peer = RawClient()
        peer.send(headers(flags=0), *[frame(CONTINUATION, 0, 1)] * 1000)
        self.assertCalmed(peer)

    def test_settings(self) -> None:
        peer = RawClient()
        peer.send(*[settings((INITIAL_WINDOW_SIZE, 1))] * 1000)
        self.assertCalmed(peer)

    def test_unknownSettingsAreNotKept(self) -> None:
        peer = RawClient()
        for first in range(0, 65_536, 10_000):
            peer.send(settings(*[(code, 1) for code in range(max(first, 10), min(first + 10_000, 65_536))]))
        goesOn(self, peer)
        self.assertLess(len(peer.connection._engine.state._h2.remote_settings), 16)

    def test_tableSizes(self) -> None:
        # What is sent with the next head is bounded, and so is the table.
        peer = RawClient(EngineSettings(floods=FloodLimits(settings=(5000, 1))), answers=True)
        peer.send(*[settings((HEADER_TABLE_SIZE, size)) for size in (100, 2**32 - 1, 0, 2**31) * 1000])
        encoder = peer.connection._engine.state._encoder
        self.assertEqual(encoder._changes, [0, MAX_TABLE])
        peer.send(headers(end=True))
        self.assertEqual(encoder.header_table_size, MAX_TABLE)
        goesOn(self, peer)

    def test_pings(self) -> None:
        peer = RawClient()
        peer.send(*[ping()] * 1000)
        self.assertCalmed(peer)

    def test_priorities(self) -> None:
        peer = RawClient()
        peer.send(*[priority(2 * number + 1) for number in range(6000)])
        self.assertCalmed(peer)

    def test_windowUpdates(self) -> None:
        peer = RawClient()
        peer.send(headers(), *[windowUpdate(1, 1)] * 11_000)
        self.assertCalmed(peer)

    def test_windowUpdatesForWhatWeSendAreTaken(self) -> None:
        peer = RawClient()
        peer.send(headers(), windowUpdate(0, 1 << 30))
        exchange = peer.handler.exchanges[0]
        exchange.respond(ResponseHead(200))
        for _ in range(12_000):
            exchange.write(b"x")
            peer.send(windowUpdate(1, 1), windowUpdate(0, 1))
        self.assertFalse(peer.wire.closed)

    def test_emptyData(self) -> None:
        for each in (data(payload=b""), data(payload=b"", pad=0), data(payload=b"", pad=255)):
            peer = RawClient()
            peer.send(headers(1, POST), *[each] * 1000)
            self.assertCalmed(peer)

    def test_emptyDataOnAResetStream(self) -> None:
        peer = RawClient()
        peer.send(headers(1, POST))
        peer.handler.exchanges[0].reset(8)
        peer.send(*[data(payload=b"")] * 1000)
        self.assertCalmed(peer)

    def test_framesOfUnknownTypes(self) -> None:
        peer = RawClient()
        peer.send(*[frame(0x42, 0, 0)] * 2000)
        self.assertCalmed(peer)

    def test_streamsBeyondTheBoundAreRefusedAndAtLastTheConnection(self) -> None:
        peer = RawClient(EngineSettings(maxStreams=10))
        for streamID in streams(5000):
            peer.send(headers(streamID))
        self.assertCalmed(peer)
        self.assertEqual(len(peer.handler.exchanges), 10)
        refused = peer.of(RST_STREAM)
        self.assertEqual({each.code for each in refused}, {REFUSED_STREAM})
        self.assertEqual(len(refused), FloodLimits().resets[0])

    def test_informationalResponses(self) -> None:
        peer = RawServer()
        peer.send(*[headers(1, ((b":status", b"103"),))] * 1100)
        self.assertEqual([each.code for each in peer.of(RST_STREAM)], [PROTOCOL_ERROR])
        self.assertCalmed(peer)


class SilenceTests(SynchronousTestCase):
    """
    Peers that do not read, or say nothing.
    """

    def test_aPeerThatNeverReadsOurAnswersIsDropped(self) -> None:
        settings = EngineSettings(floods=FloodLimits(pings=(1 << 30, 1)), maxUnsent=10_000)
        peer = RawClient(settings)
        peer.wire.block()
        peer.connection.pauseProducing()
        count = 0
        while not peer.wire.closed and count < 10_000:
            peer.connection.dataReceived(ping() * 10)
            count += 10
        self.assertLessEqual(count, 10_000 // 17 + 20)
        # What it did not read, it may still: but it is not waited for.
        peer.clock.advance(10)
        self.assertTrue(peer.wire.aborted)

    def test_nothingIsWrittenToAPeerThatDoesNotReadAndAllOfItOnceItDoes(self) -> None:
        peer = RawClient(answers=True)
        peer.connection.pauseProducing()
        before = peer.wire.written
        peer.send(ping(b"12345678"), headers(end=True), settings())
        self.assertEqual(peer.wire.written, before)
        peer.connection.resumeProducing()
        peer.read()
        self.assertEqual(len(peer.of(HEADERS, 1)), 1)
        self.assertEqual(len(peer.frames), 5)
        goesOn(self, peer)

    def test_headsOfResponsesThatAreNotReadAreBoundedToo(self) -> None:
        peer = RawClient(EngineSettings(maxUnsent=1000))
        peer.connection.pauseProducing()
        for streamID in streams(2000):
            peer.connection.dataReceived(headers(streamID, end=True))
            if peer.wire.closed:
                break
            peer.handler.exchanges.pop().respond(ResponseHead(200, ((b"x", b"y" * 100),)), end=True)
        self.assertTrue(peer.wire.closed)
        # With its GOAWAY.
        self.assertLess(len(peer.wire.take()), 17_000)

    def test_aClientThatNeverSendsItsSettingsIsDropped(self) -> None:
        for said in (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            peer = RawClient(handshake=False)
            peer.send(said)
            peer.clock.advance(9)
            self.assertFalse(peer.wire.closed)
            peer.clock.advance(1)
            self.assertTrue(peer.wire.aborted)
            peer.read()
            self.assertEqual(peer.frames[-1].code, SETTINGS_TIMEOUT)

    def test_aClientThatDrippsItsPrefaceIsDropped(self) -> None:
        peer = RawClient(handshake=False)
        for octet in b"PRI * HTTP":
            peer.send(bytes([octet]))
            peer.clock.advance(1)
        self.assertTrue(peer.wire.aborted)

    def test_aPeerThatKeepsTheConnectionAfterItsErrorIsDropped(self) -> None:
        peer = RawClient()
        peer.send(headers())
        lost: list[object] = []
        peer.handler.exchanges[0].notifyLost(lost.append)
        peer.send(data(0))
        self.assertTrue(peer.wire.closed)
        self.assertEqual(len(lost), 1)
        peer.clock.advance(10)
        self.assertTrue(peer.wire.aborted)

    def test_dataBeyondTheWindowOfAStalledReaderIsNotKept(self) -> None:
        peer = RawClient(EngineSettings(streamWindow=100_000))
        peer.send(headers(1, POST), *[data(payload=bytes(1 << 14))] * 100)
        self.assertEqual([each.code for each in peer.of(RST_STREAM)], [FLOW_CONTROL_ERROR])
        goesOn(self, peer)
        exchange = peer.handler.exchanges[0]
        assert isinstance(exchange, Inbound)
        self.assertEqual((exchange.heldBytes, peer.connection.heldBytes), (0, 0))

    def test_streamsWhoseEndsAreForgottenDoNotEndTheConnection(self) -> None:
        # A client that gives up on many at once, and whose server had answered all of them.
        peer = RawServer()
        count = 3 * MAX_REMEMBERED
        for _ in range(count):
            peer.ask()
        for exchange in peer.exchanges:
            exchange.reset(8)
        peer.read()
        peer.frames.clear()
        for number, streamID in enumerate(streams(count)):
            peer.send(headers(streamID, ((b":status", b"200"),)), data(streamID), data(streamID, b"", end=True))
            if not number % 100:
                peer.clock.advance(1)
        self.assertEqual((peer.of(RST_STREAM), peer.of(GOAWAY), peer.of(DATA)), ([], [], []))
        goesOn(self, peer)
