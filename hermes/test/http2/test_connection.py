"""
Exchanges between a client and a server connection, in memory.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import HopUnavailable, StreamReset
from hermes.http2.exchange import HIGH_WATER, ClientExchange, ServerExchange
from hermes.http2.handler import EngineSettings
from hermes.http2.liveness import MAX_STREAM_WINDOW
from hermes.http2.pressure import MAX_HELD, PRESSED, TIGHT
from hermes.test.http2.wire import Pair, Reader
from hermes.values import RequestHead, ResponseHead

CONNECT = RequestHead(b"CONNECT", authority=b"db.example:3306")
GET = RequestHead(b"GET", b"http", b"a.example", b"/x?y", headers=((b"accept", b"*/*"),))
OK = ResponseHead(200)


class Tunnel:
    """
    A CONNECT that was accepted, both ends with a reader.
    """

    def __init__(self, pair: Pair, head: RequestHead = CONNECT) -> None:
        self.client: ClientExchange = pair.client.open(head)
        pair.pump()
        server = pair.handler.exchanges[-1]
        assert isinstance(server, ServerExchange)
        self.server = server
        self.far = Reader()
        self.near = Reader()
        server.respond(OK)
        server.attach(self.far)
        pair.pump()
        self.client.attach(self.near)
        pair.pump()


class ExchangeTests(SynchronousTestCase):
    """
    Requests and responses.
    """

    def test_aRequestAndItsResponseCarryHeadBodyAndTrailers(self) -> None:
        pair = Pair()
        exchange = pair.client.open(GET)
        early: list[ResponseHead] = []
        exchange.notifyInformational(early.append)
        exchange.write(b"question")
        exchange.writeTrailers(((b"x-sum", b"1"),))
        pair.pump(7)
        (server,) = pair.handler.exchanges
        reader = Reader()
        server.attach(reader)
        self.assertEqual(server.request, GET)
        self.assertEqual((bytes(reader.data), reader.readLost), (b"question", 1))
        self.assertEqual(server.trailers, ((b"x-sum", b"1"),))
        server.respond(ResponseHead(103))
        server.respond(ResponseHead(200, ((b"content-length", b"6"),)))
        server.write(b"answer")
        server.loseWriteConnection()
        pair.pump(7)
        self.assertEqual(self.successResultOf(exchange.response()).status, 200)
        self.assertEqual(early, [ResponseHead(103)])
        answer = Reader()
        exchange.attach(answer)
        self.assertEqual(bytes(answer.data), b"answer")
        assert answer.lost is not None and reader.lost is not None
        answer.lost.trap(ConnectionDone)
        reader.lost.trap(ConnectionDone)
        self.assertEqual((pair.client.openExchanges, pair.server.openExchanges), (0, 0))

    def test_aHeadWithoutABodyEndsTheStreamAtOnce(self) -> None:
        pair = Pair()
        exchange = pair.client.open(GET, end=True)
        pair.pump()
        pair.handler.exchanges[0].respond(ResponseHead(204), end=True)
        pair.pump()
        self.assertEqual(self.successResultOf(exchange.response()).status, 204)
        reader = Reader()
        exchange.attach(reader)
        self.assertEqual((reader.readLost, bytes(reader.data)), (1, b""))
        self.assertEqual((pair.client.openExchanges, pair.server.openExchanges), (0, 0))

    def test_extendedConnectIsOfferedByTheServerOnly(self) -> None:
        pair = Pair()
        self.assertTrue(pair.client.extendedConnect)
        self.assertFalse(Pair(EngineSettings(extendedConnect=False)).client.extendedConnect)

    def test_aServerThatDoesNotOfferExtendedConnectResetsIt(self) -> None:
        pair = Pair(EngineSettings(extendedConnect=False))
        exchange = pair.client.open(RequestHead(b"CONNECT", b"https", b"a", b"/", b"connect-udp"))
        pair.pump()
        self.assertEqual(self.failureResultOf(exchange.response(), StreamReset).value.code, ErrorCodes.PROTOCOL_ERROR)
        self.assertEqual(pair.handler.exchanges, [])

    def test_aBodyShorterOrLongerThanItsContentLengthResetsTheStreamAndNoOther(self) -> None:
        pair = Pair()
        tunnel = Tunnel(pair)
        for body in (b"ab", b"abcdef"):
            head = RequestHead(b"POST", b"http", b"a", b"/", headers=((b"content-length", b"4"),))
            exchange = pair.client.open(head)
            exchange.write(body)
            exchange.loseWriteConnection()
            pair.pump()
            failure = self.failureResultOf(exchange.response(), StreamReset)
            self.assertEqual(failure.value.code, ErrorCodes.PROTOCOL_ERROR)
        tunnel.client.write(b"still here")
        pair.pump()
        self.assertEqual(bytes(tunnel.far.data), b"still here")

    def test_aClientThatGoesAwayWhileItsRequestIsWorkedOnIsTold(self) -> None:
        pair = Pair()
        exchange = pair.client.open(CONNECT)
        pair.pump()
        told: list[object] = []
        pair.handler.exchanges[0].notifyLost(told.append)
        exchange.response().cancel()
        self.failureResultOf(exchange.response(), StreamReset)
        pair.pump()
        self.assertEqual(len(told), 1)

    def test_aConnectionThatIsLostFailsWhatWaitsForAResponse(self) -> None:
        pair = Pair()
        exchange = pair.client.open(CONNECT)
        pair.serverWire.loseConnection()
        pair.pump()
        self.failureResultOf(exchange.response(), HopUnavailable)


class TunnelTests(SynchronousTestCase):
    """
    Byte streams in both directions.
    """

    @settings(deadline=None, max_examples=40)
    @given(
        sizes=st.lists(st.integers(0, 70_000), max_size=6),
        step=st.sampled_from([1 << 20, 16_393, 1000, 97]),
        frame=st.sampled_from([16_384, 1 << 20]),
    )
    def test_bytesArriveAsTheyWereWrittenHoweverTheyAreCut(self, sizes: list[int], step: int, frame: int) -> None:
        pair = Pair(EngineSettings(maxFrameSize=frame), EngineSettings(maxFrameSize=frame))
        tunnel = Tunnel(pair)
        sent = bytearray()
        for number, size in enumerate(sizes):
            data = bytearray(bytes([number]) * size)
            sent += data
            tunnel.client.write(memoryview(data))
            tunnel.server.writeSequence([data[: size // 2], data[size // 2 :]])
            data[:] = bytes(size)
            pair.pump(step)
        self.assertEqual(bytes(tunnel.far.data), bytes(sent))
        self.assertEqual(bytes(tunnel.near.data), bytes(sent))

    def test_halfCloseIsCarriedEachWay(self) -> None:
        pair = Pair()
        tunnel = Tunnel(pair)
        tunnel.client.write(b"last words")
        tunnel.client.loseWriteConnection()
        pair.pump()
        self.assertEqual((bytes(tunnel.far.data), tunnel.far.readLost), (b"last words", 1))
        tunnel.server.write(b"reply")
        pair.pump()
        self.assertEqual(bytes(tunnel.near.data), b"reply")
        self.assertIsNone(tunnel.near.lost)
        tunnel.server.loseWriteConnection()
        pair.pump()
        for reader in (tunnel.near, tunnel.far):
            assert reader.lost is not None
            reader.lost.trap(ConnectionDone)
        self.assertEqual((pair.client.openExchanges, pair.server.openExchanges), (0, 0))

    def test_anAbortedConnectTellsThePeerAConnectError(self) -> None:
        for udp in (False, True):
            pair = Pair()
            head = RequestHead(b"CONNECT", b"https", b"a", b"/", b"connect-udp") if udp else CONNECT
            tunnel = Tunnel(pair, head)
            tunnel.server.abortConnection()
            pair.pump()
            assert tunnel.near.lost is not None
            expected = ErrorCodes.CANCEL if udp else ErrorCodes.CONNECT_ERROR
            assert isinstance(tunnel.near.lost.value, StreamReset)
            self.assertEqual(tunnel.near.lost.value.code, expected)

    def test_oneStalledReaderHoldsOneWindowAndItsNeighboursGoOn(self) -> None:
        pair = Pair()
        stalled, other = Tunnel(pair), Tunnel(pair)
        stalled.server.pauseProducing()
        chunk = bytes(100_000)
        for _ in range(100):
            stalled.client.write(chunk)
            other.client.write(chunk)
            pair.pump()
        self.assertEqual(len(stalled.far.data), 0)
        self.assertLessEqual(stalled.server.heldBytes, EngineSettings().streamWindow)
        self.assertEqual(len(other.far.data), 100 * len(chunk))
        stalled.server.resumeProducing()
        pair.pump()
        self.assertEqual(len(stalled.far.data), 100 * len(chunk))

    def test_aProducerIsPausedWhileItsStreamIsStalledAndResumedAfter(self) -> None:
        pair = Pair()
        tunnel = Tunnel(pair)
        calls: list[str] = []

        class Producer:
            def pauseProducing(self) -> None:
                calls.append("pause")

            def resumeProducing(self) -> None:
                calls.append("resume")

            def stopProducing(self) -> None:
                calls.append("stop")

        tunnel.client.registerProducer(Producer(), True)  # type: ignore[arg-type]
        tunnel.server.pauseProducing()
        tunnel.client.write(bytes(EngineSettings().streamWindow + HIGH_WATER + 1))
        pair.pump()
        self.assertEqual(calls, ["pause"])
        tunnel.server.resumeProducing()
        pair.pump()
        self.assertEqual(calls, ["pause", "resume"])
        self.assertEqual(tunnel.client.bufferedBytes, 0)

    def test_aFullTransportQueuesAndThenServesAllStreamsInTurn(self) -> None:
        pair = Pair()
        tunnels = [Tunnel(pair) for _ in range(3)]
        pair.clientWire.block()
        tunnels[0].client.write(b"x")
        for tunnel in tunnels:
            tunnel.client.write(bytes(600_000))
        self.assertEqual(pair.clientWire.take().count(bytes(100)), 0)
        pair.clientWire.unblock()
        order = []
        data = b"".join(pair.clientWire.out)
        offset = 0
        while offset < len(data):
            length, stream = int.from_bytes(data[offset : offset + 3], "big"), data[offset + 8]
            order.append(stream)
            offset += 9 + length
        self.assertEqual(len(set(order[:3])), 3, order)

    def test_manyStalledReadersTogetherAreBoundedAndTheirNeighboursGoOn(self) -> None:
        pair = Pair()
        readers = [Tunnel(pair) for _ in range(100)]
        neighbour = Tunnel(pair)
        neighbour.client.write(bytes(900_000))
        for tunnel in readers:
            tunnel.server.pauseProducing()
        for tunnel in readers:
            tunnel.client.write(bytes(5 << 20))
            pair.pump()
        settings = EngineSettings()
        held = sum(tunnel.server.heldBytes for tunnel in readers)
        self.assertLessEqual(held, PRESSED + settings.connectionWindow + settings.maxFrameSize + 100 * TIGHT)
        for _ in range(20):
            neighbour.client.write(bytes(1 << 20))
            pair.pump()
        self.assertEqual(len(neighbour.far.data), 900_000 + (20 << 20))
        late = Tunnel(pair)
        late.client.write(bytes(1 << 20))
        pair.pump()
        self.assertEqual(len(late.far.data), 1 << 20)
        for tunnel in readers:
            tunnel.server.resumeProducing()
            pair.pump()
        self.assertEqual([len(tunnel.far.data) for tunnel in readers], [5 << 20] * 100)
        pair.clock.advance(10)
        pair.pump()
        late.server.pauseProducing()
        late.client.write(bytes(5 << 20))
        pair.pump()
        self.assertEqual(late.server.heldBytes, settings.streamWindow)

    def test_aPeerThatDoesNotLowerItsWindowsIsBoundedByTheConnections(self) -> None:
        settings = EngineSettings()
        pair = Pair()
        tunnels = [Tunnel(pair) for _ in range(60)]
        for tunnel in tunnels:
            tunnel.server.pauseProducing()
        for tunnel in tunnels:
            tunnel.client.write(bytes(4 << 20))
            # All that the client sends, and nothing of what it is told.
            pair.server.dataReceived(memoryview(pair.clientWire.take()))
        held = sum(tunnel.server.heldBytes for tunnel in tunnels)
        self.assertLessEqual(held, PRESSED + settings.connectionWindow + settings.maxFrameSize)
        self.assertLess(held, MAX_HELD)

    def test_theWindowGrowsWithThePathAndNotBeyondItsBound(self) -> None:
        settings = EngineSettings(streamWindow=1 << 20)
        pair = Pair(settings, settings)
        tunnel = Tunnel(pair)
        for _ in range(100):
            if tunnel.client.bufferedBytes < 16 << 20:
                tunnel.client.write(bytes(16 << 20))
            data = pair.clientWire.take()
            pair.server.dataReceived(memoryview(data))
            pair.clock.advance(0.05)
            pair.client.dataReceived(memoryview(pair.serverWire.take()))
        self.assertEqual(pair.server.streamWindow, MAX_STREAM_WINDOW)

    def test_anExchangeThatNobodyListensToAnyMoreIsResetIfItsPeerGoesOn(self) -> None:
        pair = Pair()
        tunnel = Tunnel(pair)
        tunnel.server.loseConnection()
        pair.pump()
        self.assertEqual(tunnel.near.readLost, 1)
        tunnel.client.write(b"talking to a wall")
        pair.pump()
        self.assertEqual(bytes(tunnel.far.data), b"")
        pair.clock.advance(11)
        pair.pump()
        self.assertIsNotNone(tunnel.near.lost)
        self.assertEqual(pair.server.openExchanges, 0)


class ConnectionTests(SynchronousTestCase):
    """
    The life of a connection.
    """

    def test_drainingLetsOpenStreamsEndAndThenCloses(self) -> None:
        pair = Pair()
        tunnel = Tunnel(pair)
        closed = pair.server.drain()
        pair.pump()
        self.assertEqual(pair.client.capacity, 0)
        tunnel.client.write(b"going on")
        pair.pump()
        self.assertEqual(bytes(tunnel.far.data), b"going on")
        self.assertNoResult(closed)
        tunnel.client.loseWriteConnection()
        tunnel.server.loseWriteConnection()
        pair.pump()
        self.assertTrue(pair.serverWire.closed or pair.clientWire.closed)
        self.successResultOf(closed)

    def test_aPeerThatDoesNotAnswerIsDropped(self) -> None:
        pair = Pair()
        tunnel = Tunnel(pair)
        pair.clock.advance(30)
        self.assertFalse(pair.clientWire.aborted)
        pair.clock.advance(30)
        self.assertTrue(pair.clientWire.aborted)
        pair.client.connectionLost(Failure(ConnectionAborted()))
        assert tunnel.near.lost is not None
        tunnel.near.lost.trap(ConnectionAborted)

    def test_aPeerThatAnswersIsKept(self) -> None:
        pair = Pair()
        Tunnel(pair)
        for _ in range(20):
            pair.clock.advance(30)
            pair.pump()
        self.assertFalse(pair.clientWire.closed or pair.serverWire.closed)

    def test_aHandshakeThatDoesNotEndIsAborted(self) -> None:
        pair = Pair(pump=False)
        pair.clock.advance(10)
        self.assertTrue(pair.serverWire.aborted)

    def test_pingMeasuresTheRoundTrip(self) -> None:
        pair = Pair()
        deferred = pair.client.ping()
        pair.clock.advance(0.25)
        pair.pump()
        self.assertEqual(self.successResultOf(deferred), 0.25)
        self.assertEqual(pair.client.roundTrip, 0.25)
