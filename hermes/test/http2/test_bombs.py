"""
Little that becomes much, and heads that are too large.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.http2.abuse import FloodLimits
from hermes.http2.handler import EngineSettings
from hermes.http2.inbound import Inbound
from hermes.test.http2.conformance import connectionError, goesOn
from hermes.test.http2.raw import (
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GET,
    HEADERS,
    POST,
    RST_STREAM,
    WINDOW_UPDATE,
    RawClient,
    RawServer,
    block,
    data,
    frame,
    headers,
    literal,
)
from hermes.test.http2.wire import Reader


class BombTests(SynchronousTestCase):
    """
    Little that becomes much.
    """

    def test_aFieldOfTheTableRepeatedPassesTheHeaderListsBound(self) -> None:
        peer = RawClient()
        large = frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GET) + b"\x40" + literal(b"x-bomb", b"x" * 3900)[1:])
        peer.send(large)
        self.assertFalse(peer.wire.closed)
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, block(GET) + b"\xbe" * 10_000))
        connectionError(ENHANCE_YOUR_CALM, 1)(self, peer)

    def test_manySmallFieldsPassTheHeaderListsBound(self) -> None:
        peer = RawClient()
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GET) + b"\x90" * 3000))
        connectionError(ENHANCE_YOUR_CALM)(self, peer)

    def test_aHeadThatIsTooLargeIsItsOwnStreamsConcern(self) -> None:
        for end in (True, False):
            peer = RawClient(EngineSettings(maxHeaderList=2000))
            large = block((*GET, (b"x-large", b"x" * 2000)))
            peer.send(headers(1), frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), 3, large), headers(5))
            self.assertEqual(len(peer.handler.exchanges), 2)
            answered = [each for each in peer.of(HEADERS) if each.streamID == 3]
            self.assertEqual(len(answered), 1)
            self.assertEqual([each.code for each in peer.of(RST_STREAM)], [] if end else [0])
            self.assertFalse(peer.wire.closed)

    def test_soAreTrailersAndResponses(self) -> None:
        settings = EngineSettings(maxHeaderList=2000)
        large = (b"x-large", b"x" * 2000)
        peer = RawClient(settings)
        peer.send(headers(1, POST), frame(HEADERS, END_HEADERS | END_STREAM, 1, block((large,))))
        self.assertEqual([each.code for each in peer.of(RST_STREAM)], [ENHANCE_YOUR_CALM])
        server = RawServer(settings)
        server.send(headers(1, ((b":status", b"200"), large)))
        self.assertEqual([each.code for each in server.of(RST_STREAM)], [ENHANCE_YOUR_CALM])
        self.assertFalse(peer.wire.closed or server.wire.closed)

    def test_aBlockBeyondTheBoundIsNotGathered(self) -> None:
        peer = RawClient()
        peer.send(frame(HEADERS, END_HEADERS, 1, length=(128 << 10) + 1))
        connectionError(ENHANCE_YOUR_CALM)(self, peer)

    def test_bodiesInPiecesOfOneByteTakeTheMemoryOfTheirBytes(self) -> None:
        peer = RawClient()
        peer.send(headers(1, POST))
        for _ in range(10):
            peer.send(data(payload=b"x") * 2000)
        exchange = peer.handler.exchanges[0]
        assert isinstance(exchange, Inbound)
        self.assertEqual(exchange.heldBytes, 20_000)
        self.assertLessEqual(len(exchange._inbox), 2)
        reader = Reader()
        peer.handler.exchanges[0].attach(reader)
        self.assertEqual(len(reader.data), 20_000)

    def test_paddingIsCreditedThoughThereIsNoDataToCreditItWith(self) -> None:
        peer = RawClient(EngineSettings(streamWindow=1 << 20, floods=FloodLimits(empty=(100_000, 1))))
        peer.send(headers(1, POST))
        peer.handler.exchanges[0].attach(Reader())
        for _ in range(10):
            peer.send(data(payload=b"", pad=255) * 1000)
        given = sum(int.from_bytes(each.payload, "big") for each in peer.of(WINDOW_UPDATE, 1))
        self.assertGreater(given, 10 * 1000 * 256 - (1 << 18) - 1)
        goesOn(self, peer)
