"""
The corners of a stream's life, seen by the protocols at its ends.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import StreamReset
from hermes.http2.exchange import HIGH_WATER, ServerExchange
from hermes.http2.handler import EngineSettings
from hermes.test.http2.raw import (
    DATA,
    NO_ERROR,
    OK,
    POST,
    RST_STREAM,
    WINDOW_UPDATE,
    RawClient,
    RawServer,
    data,
    headers,
    reset,
    settings,
    windowUpdate,
)
from hermes.test.http2.test_connection import Tunnel
from hermes.test.http2.wire import Pair, Reader
from hermes.values import Buffer, ResponseHead

WINDOW = 1 << 20


def posted(peer: RawClient, *frames: bytes) -> tuple[ServerExchange, Reader]:
    """
    A POST with a reader, and what follows it.
    """
    peer.send(headers(1, POST))
    exchange = peer.handler.exchanges[0]
    assert isinstance(exchange, ServerExchange)
    reader = Reader()
    exchange.attach(reader)
    peer.send(*frames)
    return exchange, reader


class Producer:
    """
    Notes what it is told.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class PausedReaderTests(SynchronousTestCase):
    """
    A reader that does not read while its stream goes on, or ends.
    """

    def test_aStreamClosedByBothSidesKeepsWhatIsHeld(self) -> None:
        pair = Pair()
        tunnel = Tunnel(pair)
        tunnel.server.pauseProducing()
        tunnel.client.write(b"last words")
        tunnel.client.loseWriteConnection()
        tunnel.server.loseWriteConnection()
        pair.pump()
        self.assertEqual((pair.client.openExchanges, pair.server.openExchanges), (0, 0))
        self.assertEqual((bytes(tunnel.far.data), tunnel.far.lost), (b"", None))
        tunnel.server.resumeProducing()
        self.assertEqual((bytes(tunnel.far.data), tunnel.far.readLost), (b"last words", 1))
        assert tunnel.far.lost is not None
        tunnel.far.lost.trap(ConnectionDone)

    def test_itKeepsItThoughTheConnectionEnds(self) -> None:
        pair = Pair()
        tunnel = Tunnel(pair)
        tunnel.server.pauseProducing()
        tunnel.client.write(b"last words")
        tunnel.client.loseWriteConnection()
        tunnel.server.loseWriteConnection()
        pair.pump()
        pair.clientWire.loseConnection()
        pair.pump()
        tunnel.server.resumeProducing()
        self.assertEqual(bytes(tunnel.far.data), b"last words")

    def test_aResetDropsWhatIsHeld(self) -> None:
        peer = RawClient()
        exchange, reader = posted(peer)
        exchange.pauseProducing()
        peer.send(data(payload=bytes(10_000)), reset())
        assert reader.lost is not None
        assert isinstance(reader.lost.value, StreamReset)
        self.assertEqual(reader.lost.value.code, ErrorCodes.CANCEL)
        self.assertEqual((len(reader.data), exchange.heldBytes, peer.connection.heldBytes), (0, 0, 0))
        exchange.resumeProducing()
        self.assertEqual(len(reader.data), 0)

    def test_aResetOfNoErrorBehindTheResponseDoesNot(self) -> None:
        peer = RawServer(end=False)
        producer = Producer()
        exchange = peer.exchanges[0]
        exchange.registerProducer(producer, True)  # type: ignore[arg-type]
        reader = Reader()
        exchange.attach(reader)
        exchange.pauseProducing()
        peer.send(headers(1, OK), data(end=True), reset(1, NO_ERROR))
        self.assertEqual((bytes(reader.data), reader.writeLost, producer.calls), (b"", 1, ["stop"]))
        exchange.write(b"to nobody")
        exchange.resumeProducing()
        self.assertEqual((bytes(reader.data), reader.readLost), (b"test", 1))
        assert reader.lost is not None
        reader.lost.trap(ConnectionDone)

    def test_aResetOfNoErrorBeforeTheResponsesEndIsAnError(self) -> None:
        peer = RawServer(end=False)
        peer.send(headers(1, OK), reset(1, NO_ERROR))
        reader = Reader()
        peer.exchanges[0].attach(reader)
        assert reader.lost is not None
        reader.lost.trap(StreamReset)

    def test_aReaderThatPausesInsideABatchGetsTheRestLater(self) -> None:
        peer = RawClient()
        exchange, reader = posted(peer)

        def pause(data: Buffer) -> None:
            Reader.dataReceived(reader, data)
            exchange.pauseProducing()

        exchange._receive = pause
        peer.send(data(payload=b"a"), data(payload=b"b"), data(payload=b"c", end=True))
        self.assertEqual((bytes(reader.data), reader.readLost), (b"a", 0))
        exchange.resumeProducing()
        self.assertEqual((bytes(reader.data), reader.readLost), (b"abc", 1))


class CreditTests(SynchronousTestCase):
    """
    Windows are opened in time, and not for each byte.
    """

    def test_windowUpdatesAreFew(self) -> None:
        peer = RawClient(EngineSettings(streamWindow=WINDOW))
        posted(peer, *[data(payload=bytes(1 << 14))] * 640)
        credits = [int.from_bytes(each.payload, "big") for each in peer.of(WINDOW_UPDATE, 1)]
        self.assertEqual(len(credits), 40)
        self.assertEqual(sum(credits), 10 * WINDOW)

    def test_theConnectionIsCreditedAtOnceAndTheStreamOnceItWasRead(self) -> None:
        peer = RawClient(EngineSettings(streamWindow=WINDOW, connectionWindow=WINDOW))
        exchange, _ = posted(peer)
        exchange.pauseProducing()
        peer.send(data(payload=bytes(WINDOW // 2)))
        self.assertEqual((len(peer.of(WINDOW_UPDATE, 0)), len(peer.of(WINDOW_UPDATE, 1))), (1, 0))
        exchange.resumeProducing()
        peer.read()
        self.assertEqual((len(peer.of(WINDOW_UPDATE, 0)), len(peer.of(WINDOW_UPDATE, 1))), (1, 1))

    def test_paddingIsCreditedWithItsData(self) -> None:
        peer = RawClient(EngineSettings(streamWindow=WINDOW))
        posted(peer, *[data(payload=bytes(744), pad=255)] * 4000)
        credit = sum(int.from_bytes(each.payload, "big") for each in peer.of(WINDOW_UPDATE, 1))
        self.assertGreater(credit, 4000 * 1000 - WINDOW // 2)
        self.assertLessEqual(credit, 4000 * 1000)

    def test_nothingIsCreditedToAStreamThatHasEnded(self) -> None:
        peer = RawClient(EngineSettings(streamWindow=WINDOW))
        exchange, reader = posted(peer)
        exchange.pauseProducing()
        peer.send(data(payload=bytes(WINDOW // 2), end=True))
        exchange.resumeProducing()
        peer.read()
        self.assertEqual((len(reader.data), peer.of(WINDOW_UPDATE, 1)), (WINDOW // 2, []))


class SendingTests(SynchronousTestCase):
    """
    What waits, and how it ends.
    """

    def stalled(self, producer: Producer | None = None) -> tuple[RawClient, ServerExchange]:
        """
        A stream whose peer gives it no window.
        """
        peer = RawClient()
        peer.send(settings((4, 0)), headers(1, POST))
        exchange = peer.handler.exchanges[0]
        assert isinstance(exchange, ServerExchange)
        exchange.respond(ResponseHead(200))
        if producer is not None:
            exchange.registerProducer(producer, True)  # type: ignore[arg-type]
        return peer, exchange

    def test_smallWritesThatWaitedGoAsFewFrames(self) -> None:
        peer, exchange = self.stalled()
        for number in range(10_000):
            exchange.write(bytes([number & 255]))
        peer.send(windowUpdate(1, 1 << 20))
        sent = peer.of(DATA, 1)
        self.assertEqual(b"".join(each.payload for each in sent), bytes(range(256)) * 39 + bytes(range(16)))
        self.assertLessEqual(len(sent), 3)

    def test_whatWaitsIsSentInPiecesOfTheWindow(self) -> None:
        peer, exchange = self.stalled()
        exchange.write(bytes(100))
        exchange.write(bytes(50))
        for size in (30, 90, 1, 100):
            peer.send(windowUpdate(1, size))
        self.assertEqual([len(each.payload) for each in peer.of(DATA)], [30, 70, 20, 1, 29])
        self.assertEqual(exchange.bufferedBytes, 0)

    def test_endingDoesNotWaitForAProducerThatIsPaused(self) -> None:
        producer = Producer()
        peer, exchange = self.stalled(producer)
        exchange.write(bytes(HIGH_WATER + 1))
        exchange.loseWriteConnection()
        peer.send(windowUpdate(0, 1 << 20), windowUpdate(1, 1 << 20))
        self.assertEqual(producer.calls, ["pause"])
        self.assertEqual(peer.of(DATA)[-1].flags, 1)

    def test_aPullProducerIsAskedAsItGoes(self) -> None:
        peer = RawClient()
        peer.send(headers(1, POST))
        exchange = peer.handler.exchanges[0]
        exchange.respond(ResponseHead(200))

        class Pulled:
            left = 3

            def resumeProducing(self) -> None:
                if self.left:
                    self.left -= 1
                    exchange.write(bytes(40_000))
                else:
                    exchange.unregisterProducer()
                    exchange.loseWriteConnection()

            def stopProducing(self) -> None:
                pass

        producer = Pulled()
        exchange.registerProducer(producer, False)  # type: ignore[arg-type]
        for _ in range(20):
            peer.clock.advance(0)
            peer.send(windowUpdate(0, 10_000), windowUpdate(1, 10_000))
        self.assertEqual(len(peer.bodyOf(1)), 120_000)
        self.assertEqual(peer.of(DATA)[-1].flags, 1)

    def test_aProducerIsStoppedWhenItsStreamIsReset(self) -> None:
        producer = Producer()
        peer, exchange = self.stalled(producer)
        peer.send(reset())
        self.assertEqual(producer.calls, ["stop"])
        late = Producer()
        exchange.registerProducer(late, True)  # type: ignore[arg-type]
        self.assertEqual(late.calls, ["stop"])

    def test_nothingIsSentAfterTheEnd(self) -> None:
        peer, exchange = self.stalled()
        peer.send(windowUpdate(1, 1000))
        exchange.loseWriteConnection()
        exchange.write(b"more")
        exchange.writeTrailers(((b"x", b"1"),))
        exchange.loseWriteConnection()
        peer.read()
        self.assertEqual([(each.payload, each.flags) for each in peer.of(DATA)], [(b"", 1)])

    def test_aSlowReaderIsGivenItsTimeThoughNobodyListensAnyMore(self) -> None:
        peer, exchange = self.stalled()
        exchange.write(bytes(1000))
        exchange.attach(Reader())
        exchange.loseConnection()
        for _ in range(5):
            peer.clock.advance(9)
            peer.send(windowUpdate(1, 200))
        self.assertEqual((len(peer.bodyOf(1)), peer.of(RST_STREAM)), (1000, []))
        peer.clock.advance(10)
        peer.read()
        self.assertEqual([each.code for each in peer.of(RST_STREAM)], [NO_ERROR])
