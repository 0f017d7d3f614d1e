"""
What a server, a client and a server that takes its leave owe their peer.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import HopUnavailable
from hermes.http2.exchange import Exchange, ServerExchange
from hermes.http2.handler import EngineSettings
from hermes.test.http2.raw import (
    GOAWAY,
    HEADERS,
    NO_ERROR,
    OK,
    POST,
    REFUSED_STREAM,
    RST_STREAM,
    RawClient,
    RawServer,
    data,
    headers,
    ping,
    reset,
)
from hermes.test.http2.test_connection import CONNECT, GET
from hermes.test.http2.test_exchange import posted
from hermes.test.http2.wire import Reader
from hermes.values import RequestHead, ResponseHead

WINDOW = 1 << 20


class ServerTests(SynchronousTestCase):
    """
    The server's end.
    """

    def test_anAnswerIsGivenOnce(self) -> None:
        peer = RawClient()
        exchange, _ = posted(peer)
        exchange.respond(ResponseHead(103))
        exchange.respond(ResponseHead(200))
        self.assertRaises(RuntimeError, exchange.respond, ResponseHead(200))
        self.assertRaises(RuntimeError, exchange.respond, ResponseHead(103))
        peer.read()
        self.assertEqual([dict(each.fields)[b":status"] for each in peer.of(HEADERS)], [b"103", b"200"])

    def test_anAnswerToSomebodyWhoHasGoneIsNotSent(self) -> None:
        peer = RawClient()
        exchange, _ = posted(peer, reset())
        exchange.respond(ResponseHead(200))
        exchange.write(b"x")
        exchange.loseConnection()
        exchange.reset(8)
        peer.read()
        self.assertEqual(peer.frames, [])

    def test_givingUpBeforeTheAnswerResetsTheStream(self) -> None:
        peer = RawClient()
        exchange, reader = posted(peer)
        exchange.loseConnection()
        peer.read()
        self.assertEqual([each.code for each in peer.of(RST_STREAM)], [ErrorCodes.INTERNAL_ERROR])
        self.assertIsNotNone(reader.lost)

    def test_anAnswerWithoutABodyLetsTheRequestsBodyPass(self) -> None:
        peer = RawClient(EngineSettings(streamWindow=WINDOW))
        peer.send(headers(1, POST))
        exchange = peer.handler.exchanges[0]
        exchange.respond(ResponseHead(403), end=True)
        peer.send(*[data(payload=bytes(1 << 14))] * 200)
        self.assertEqual(peer.of(RST_STREAM), [])
        self.assertEqual(peer.connection.heldBytes, 0)
        peer.send(data(end=True))
        self.assertEqual(peer.connection.openExchanges, 0)
        assert isinstance(exchange, Exchange)
        self.assertTrue(exchange.gone)

    def test_andAfterAWhileAsksForNoMore(self) -> None:
        peer = RawClient()
        peer.send(headers(1, POST))
        peer.handler.exchanges[0].respond(ResponseHead(403), end=True)
        peer.clock.advance(10)
        peer.read()
        self.assertEqual([each.code for each in peer.of(RST_STREAM)], [NO_ERROR])

    def test_aProtocolThatFailsLosesItsStreamAndNoOther(self) -> None:
        peer = RawClient()
        exchange, reader = posted(peer)

        def fail(data: object) -> None:
            raise ZeroDivisionError

        exchange._receive = fail
        peer.send(headers(3, POST), data(1), data(1), data(3))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([(each.streamID, each.code) for each in peer.of(RST_STREAM)], [(1, ErrorCodes.INTERNAL_ERROR)])
        self.assertIsNotNone(reader.lost)
        other = peer.handler.exchanges[1]
        assert isinstance(other, ServerExchange)
        self.assertEqual(other.heldBytes, 4)

    def test_nothingArrivesAfterTheConnectionWasAborted(self) -> None:
        peer = RawClient()
        exchange, reader = posted(peer)

        def abort(data: object) -> None:
            peer.connection.abort()
            peer.hangUp()

        exchange._receive = abort
        peer.send(data(), data(), headers(3), data(3))
        self.assertEqual(len(peer.handler.exchanges), 1)
        assert reader.lost is not None
        reader.lost.trap(ConnectionAborted)


class ClientTests(SynchronousTestCase):
    """
    The client's end.
    """

    def test_aResponseWithoutAnybodyWhoAsksForItIsNoUnhandledError(self) -> None:
        peer = RawServer()
        exchange = peer.connection.open(GET)
        peer.hangUp()
        # Collected here, it would be logged as unhandled; asked for late, it is told.
        self.failureResultOf(exchange.response(), HopUnavailable)

    def test_theHeadOfAHeadResponseMaySayALength(self) -> None:
        peer = RawServer(request=RequestHead(b"HEAD", b"http", b"a.example", b"/"))
        peer.send(headers(1, (*OK, (b"content-length", b"1000")), end=True))
        outcome = peer.outcomes[1]
        assert isinstance(outcome, ResponseHead)
        self.assertEqual(outcome.get(b"content-length"), b"1000")
        reader = Reader()
        peer.exchanges[0].attach(reader)
        assert reader.lost is not None
        reader.lost.trap(ConnectionDone)

    def test_aConnectThatIsAcceptedHasNoContentLength(self) -> None:
        peer = RawServer(request=CONNECT, end=False)
        peer.send(headers(1, (*OK, (b"content-length", b"0"))), data())
        reader = Reader()
        peer.exchanges[0].attach(reader)
        self.assertEqual(bytes(reader.data), b"test")

    def test_pingFailsOnceTheConnectionIsGone(self) -> None:
        peer = RawServer()
        waiting = peer.connection.ping()
        peer.hangUp()
        self.failureResultOf(waiting, ConnectionAborted)
        self.failureResultOf(peer.connection.ping(), ConnectionDone)


class DrainTests(SynchronousTestCase):
    """
    A server that takes its leave.
    """

    def test_streamsThatWereOnTheirWayAreServed(self) -> None:
        peer = RawClient()
        peer.connection.drain()
        peer.read()
        self.assertEqual([each.last for each in peer.of(GOAWAY)], [2**31 - 1])
        self.assertFalse(peer.wire.closed)
        (asked,) = peer.of(6)
        peer.send(headers(1), ping(asked.payload, ack=True), headers(3), ping())
        self.assertEqual([(each.last, each.code) for each in peer.of(GOAWAY)], [(2**31 - 1, 0), (1, 0)])
        self.assertEqual([(each.streamID, each.code) for each in peer.of(RST_STREAM)], [(3, REFUSED_STREAM)])
        self.assertEqual(len(peer.handler.exchanges), 1)
        peer.handler.exchanges[0].respond(ResponseHead(204), end=True)
        self.assertFalse(peer.wire.closed)
        peer.send(data(end=True))
        self.assertTrue(peer.wire.closed)

    def test_anIdleConnectionIsClosedAfterARoundTrip(self) -> None:
        peer = RawClient()
        closed = peer.connection.drain()
        peer.read()
        peer.send(ping(peer.of(6)[0].payload, ack=True))
        self.assertTrue(peer.wire.closed)
        peer.hangUp()
        self.successResultOf(closed)
