"""
Tests for tunnels over HTTP/1.1: the server's end, and what is left of us once one is open.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.http1.server import HTTP1ServerProtocol
from hermes.test.http1.memory import HalfReader, Handler, MemoryTransport, Reader
from hermes.values import ResponseHead

CONNECT = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
UPGRADE = (
    b"GET /.well-known/masque/udp/192.0.2.6/443/ HTTP/1.1\r\nHost: a\r\n"
    b"Connection: Upgrade\r\nUpgrade: connect-udp\r\n\r\n"
)
OK = ResponseHead(200)
ANSWERS = {
    CONNECT: b"HTTP/1.1 200 OK\r\n\r\n",
    UPGRADE: b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: connect-udp\r\n\r\n",
}


class TunnelCase(SynchronousTestCase):
    """
    A server that was asked for a tunnel.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.handler = Handler()

    def ask(self, wire: bytes = CONNECT) -> MemoryTransport:
        self.server = HTTP1ServerProtocol(self.handler, self.clock)
        transport = MemoryTransport(self.clock)
        transport.attach(self.server)
        transport.receive(wire)
        self.exchange = self.handler.exchanges[-1]
        return transport

    def turn(self) -> None:
        self.clock.advance(0)


class AnsweredFirstTests(TunnelCase):
    """
    The response is sent, then a protocol is attached: to the transport below, with nothing of ours between.
    """

    def test_bothFormsAreHandedToTheTransport(self) -> None:
        for wire, answer in ANSWERS.items():
            transport = self.ask(wire)
            self.exchange.respond(ResponseHead(200, ((b"content-length", b"0"), (b"transfer-encoding", b"chunked"))))
            reader = HalfReader()
            self.exchange.attach(reader)
            self.assertEqual(transport.takeWritten(), answer)
            self.assertIs(transport.protocol, reader)
            self.assertIs(reader.transport, transport)
            transport.receive(b"GET / HTTP/1.1\r\n\r\n")
            self.assertEqual(reader.data, b"GET / HTTP/1.1\r\n\r\n")
            transport.receiveEnd()
            self.assertEqual(reader.ended, 1)
            transport.lose(Failure(ConnectionAborted()))
            assert reader.lost is not None
            self.assertIs(reader.lost.type, ConnectionAborted)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_theFieldsOfTheAnswerAreKept(self) -> None:
        transport = self.ask(UPGRADE)
        self.exchange.respond(ResponseHead(200, ((b"capsule-protocol", b"?1"),)))
        self.assertIn(b"\r\ncapsule-protocol: ?1\r\n\r\n", transport.takeWritten())

    def test_the101MayBeSaidAsSuch(self) -> None:
        transport = self.ask(UPGRADE)
        self.exchange.respond(ResponseHead(101))
        self.assertEqual(transport.takeWritten(), ANSWERS[UPGRADE])

    def test_bytesThatCameBehindTheHeadComeFirst(self) -> None:
        for wire in ANSWERS:
            for cut in range(len(wire) - 5, len(wire) + 9):
                for kind in (HalfReader, Reader):
                    self.handler.exchanges.clear()
                    server = HTTP1ServerProtocol(self.handler, self.clock)
                    transport = MemoryTransport(self.clock)
                    transport.attach(server)
                    data = wire + b"early bytes"
                    transport.receive(data[:cut])
                    transport.receive(data[cut:])
                    self.assertTrue(transport.paused)
                    self.handler.exchanges[0].respond(OK)
                    reader = kind()
                    self.handler.exchanges[0].attach(reader)
                    self.turn()
                    transport.receive(b", then more")
                    self.assertEqual(reader.data, b"early bytes, then more")
                    self.assertIs(reader.transport, transport)

    def test_anEndThatCameBeforeTheAnswerIsToldAfterIt(self) -> None:
        transport = self.ask(CONNECT + b"early")
        transport.receiveEnd()
        self.assertFalse(transport.aborted)
        self.exchange.respond(OK)
        reader = HalfReader()
        self.exchange.attach(reader)
        self.turn()
        self.assertEqual((reader.data, reader.ended), (b"early", 1))

    def test_anEndThatCameFirstClosesWhoKnowsNoHalfClose(self) -> None:
        transport = self.ask(CONNECT + b"early")
        transport.receiveEnd()
        self.exchange.respond(OK)
        reader = Reader()
        self.exchange.attach(reader)
        self.turn()
        self.assertEqual(reader.data, b"early")
        assert reader.lost is not None
        self.assertIs(reader.lost.type, ConnectionDone)

    def test_aClientThatLeavesBeforeTheAnswerIsLost(self) -> None:
        self.ask().receiveEnd()
        lost: list[Failure] = []
        self.exchange.notifyLost(lost.append)
        self.turn()
        self.assertEqual(len(lost), 1)

    def test_whatIsStillAskedOfTheExchangeIsTheTransports(self) -> None:
        transport = self.ask()
        self.exchange.respond(OK)
        self.exchange.write(b"before ")
        self.exchange.attach(HalfReader())
        transport.takeWritten()
        self.exchange.write(b"x")
        self.exchange.writeTrailers(())
        self.assertEqual(transport.takeWritten(), b"x")
        self.assertTrue(transport.writeClosed)
        self.exchange.reset(0x8)
        self.assertTrue(transport.aborted)

    def test_whoWatchesTheConnectionHearsThatItIsHandedOver(self) -> None:
        finished: list[object] = []
        self.ask()
        self.server.finished = finished.append
        self.exchange.respond(OK)
        self.assertEqual(finished, [])
        self.exchange.attach(HalfReader())
        self.assertEqual(finished, [self.server])

    def test_anOpenTunnelIsNotOursToEnd(self) -> None:
        for attachable in (True, False):
            transport = self.ask() if attachable else StringTransport()
            if isinstance(transport, StringTransport):
                self.server = HTTP1ServerProtocol(self.handler, self.clock)
                self.server.makeConnection(transport)
                self.server.dataReceived(CONNECT)
            self.handler.exchanges[-1].respond(OK)
            self.handler.exchanges[-1].attach(HalfReader())
            self.server.drain()
            self.server.abort()
            closed = transport.disconnecting if isinstance(transport, StringTransport) else transport.writeClosed
            self.assertFalse(closed)

    def test_anOpenTunnelHasAllTheTimeThereIs(self) -> None:
        transport = self.ask()
        self.exchange.respond(OK)
        self.exchange.attach(HalfReader())
        self.clock.advance(100_000)
        self.assertFalse(transport.writeClosed)

    def test_overATransportThatKeepsItsProtocolWePassOn(self) -> None:
        transport = StringTransport()
        server = HTTP1ServerProtocol(self.handler, self.clock)
        server.makeConnection(transport)
        server.dataReceived(CONNECT + b"early")
        reader = HalfReader()
        self.handler.exchanges[0].respond(OK)
        self.handler.exchanges[0].attach(reader)
        server.dataReceived(b"more")
        self.assertEqual(reader.data, b"earlymore")
        lent = bytearray(b"lent")
        assert reader.transport is not None
        reader.transport.write(memoryview(lent))  # type: ignore[arg-type]
        lent[:] = b"gone"
        self.assertTrue(transport.value().endswith(b"\r\n\r\nlent"))
        server.readConnectionLost()
        server.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(reader.ended, 1)
        assert reader.lost is not None
        self.assertIs(reader.lost.type, ConnectionDone)

    def test_overSuchATransportWhoIsNoBorrowerGetsBytes(self) -> None:
        server = HTTP1ServerProtocol(self.handler, self.clock)
        server.makeConnection(StringTransport())
        server.dataReceived(CONNECT)
        reader = Reader()
        self.handler.exchanges[0].respond(OK)
        self.handler.exchanges[0].attach(reader)
        server.dataReceived(b"more")
        self.assertEqual(reader.data, b"more")


class AttachedFirstTests(TunnelCase):
    """
    A protocol is attached, then the response is sent: the protocol keeps the exchange as its transport.
    """

    def test_whatIsWrittenBeforeTheAnswerFollowsIt(self) -> None:
        for wire, answer in ANSWERS.items():
            transport = self.ask(wire + b"early")
            reader: Any = HalfReader()
            self.exchange.attach(reader)
            self.assertIs(reader.transport, self.exchange)
            self.exchange.write(b"held ")
            self.assertEqual(transport.takeWritten(), b"")
            self.assertEqual(reader.data, b"")
            self.exchange.respond(OK)
            reader.transport.write(b"and sent")
            self.assertEqual(transport.takeWritten(), answer + b"held and sent")
            transport.receive(b" more")
            self.turn()
            self.assertEqual(reader.data, b"early more")
            transport.receiveEnd()
            reader.transport.loseWriteConnection()
            self.turn()
            self.assertEqual(reader.ended, 1)
            assert reader.lost is not None
            self.assertIs(reader.lost.type, ConnectionDone)

    def test_muchThatIsHeldPausesTheProducer(self) -> None:
        class Producer:
            def __init__(self) -> None:
                self.calls: list[str] = []

            def pauseProducing(self) -> None:
                self.calls.append("pause")

            def resumeProducing(self) -> None:
                self.calls.append("resume")

            def stopProducing(self) -> None:
                self.calls.append("stop")

        self.ask()
        producer = Producer()
        self.exchange.attach(HalfReader())
        self.exchange.registerProducer(producer, True)
        for _ in range(65):
            self.exchange.write(b"x" * 1024)
        self.assertEqual(producer.calls, ["pause"])
        self.exchange.respond(OK)
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_aReaderThatPausedStaysPaused(self) -> None:
        transport = self.ask()
        self.exchange.attach(HalfReader())
        self.exchange.pauseProducing()
        self.exchange.respond(OK)
        self.turn()
        self.assertTrue(transport.paused)

    def test_anEndThatIsHeldIsSentWhenTheTunnelIsOpen(self) -> None:
        transport = self.ask()
        self.exchange.attach(HalfReader())
        self.exchange.write(b"all")
        self.exchange.loseWriteConnection()
        self.assertFalse(transport.writeClosed)
        self.exchange.respond(OK)
        self.assertEqual(transport.takeWritten(), ANSWERS[CONNECT] + b"all")
        self.assertTrue(transport.writeClosed)


class RefusedTests(TunnelCase):
    """
    The answer to a request for a tunnel is no.
    """

    def test_theConnectionGoesOn(self) -> None:
        for wire in ANSWERS:
            transport = self.ask(wire)
            self.exchange.respond(ResponseHead(407, ((b"content-length", b"2"),)))
            self.exchange.write(b"no")
            self.exchange.loseWriteConnection()
            written = transport.takeWritten()
            self.assertTrue(written.endswith(b"no"))
            self.assertNotIn(b"connection: close", written)
            transport.receive(CONNECT)
            self.handler.exchanges[-1].respond(OK)
            self.assertEqual(transport.takeWritten(), ANSWERS[CONNECT])

    def test_bytesThatWereSentAheadAreNoRequest(self) -> None:
        transport = self.ask(CONNECT + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        self.exchange.respond(ResponseHead(403), end=True)
        self.assertIn(b"connection: close\r\n", transport.takeWritten())
        self.assertTrue(transport.writeClosed)
        self.turn()
        self.assertEqual(len(self.handler.exchanges), 1)

    def test_whatWasHeldIsForgotten(self) -> None:
        transport = self.ask()
        self.exchange.attach(HalfReader())
        self.exchange.write(b"held")
        self.exchange.respond(ResponseHead(502), end=True)
        self.assertNotIn(b"held", transport.takeWritten())

    def test_toHTTP10TheConnectionEnds(self) -> None:
        transport = self.ask(b"CONNECT a:1 HTTP/1.0\r\n\r\n")
        self.exchange.respond(ResponseHead(403), end=True)
        self.assertTrue(transport.writeClosed)
