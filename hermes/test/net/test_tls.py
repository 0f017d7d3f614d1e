"""
Tests for L{hermes.net.tls} and L{hermes.net.session}: streams after their handshake.
"""

from __future__ import annotations

import socket as sockets

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost

from hermes.net.openssl import RECORD, inRecords
from hermes.net.sending import HIGH_WATER
from hermes.test.net.sockets import Borrower, Plain, Producer, tcpPair
from hermes.test.net.tlscase import TLSCase

MEGABYTE = 1024 * 1024


class StreamTests(TLSCase):
    def setUp(self) -> None:
        super().setUp()
        self.client, self.atClient, self.server, self.atServer = self.connected()

    def test_dataGoesBothWays(self) -> None:
        self.client.write(b"question")
        self.server.writeSequence([b"ans", bytearray(b"w"), memoryview(b"er")])
        self.reactor.settle()
        self.assertEqual((self.atServer.received, self.atClient.received), (b"question", b"answer"))
        self.assertIs(type(self.atServer.calls[0]), bytes)

    def test_aBorrowingProtocolGetsAView(self) -> None:
        borrower = Borrower()
        self.server.attach(borrower)
        self.client.write(b"data")
        self.reactor.settle()
        self.assertEqual((borrower.calls, borrower.received), ([memoryview], b"data"))

    def test_muchDataIsDeliveredInLargePieces(self) -> None:
        data = bytes(range(256)) * 4096
        self.client.write(data)
        self.client.writeSequence([b"head", data, b"mid", memoryview(data)[5:], b"tail"])
        self.reactor.settle()
        self.assertEqual(self.atServer.received, data + b"head" + data + b"mid" + data[5:] + b"tail")
        self.assertLess(len(self.atServer.calls), len(self.atServer.received) // RECORD)

    def test_aHeaderSharesARecordWithWhatFollows(self) -> None:
        pieces = list(inRecords([b"123456789", b"x" * (4 * RECORD + 5), b"y" * 7]))
        self.assertEqual([len(piece) for piece in pieces], [RECORD, 3 * RECORD, 21])

    def test_whatIsBorrowedIsNotNeededAfterwards(self) -> None:
        borrowed = bytearray(b"x" * 2 * MEGABYTE)
        self.client.write(borrowed)
        borrowed[:] = b"y" * 2 * MEGABYTE
        self.reactor.settle()
        self.assertEqual(self.atServer.received, b"x" * 2 * MEGABYTE)

    def test_aStalledReaderPausesTheSender(self) -> None:
        producer = Producer()
        self.client.registerProducer(producer, True)
        self.server.pauseProducing()
        self.client.write(b"x" * MEGABYTE)
        self.reactor.settle()
        self.assertEqual(producer.calls, ["pause"])
        self.assertGreater(self.client.bufferedBytes, HIGH_WATER)
        self.server.resumeProducing()
        self.reactor.settle()
        self.assertEqual(producer.calls, ["pause", "resume"])
        self.assertEqual(len(self.atServer.received), MEGABYTE)

    def test_anExceptionAbortsOnlyThatConnection(self) -> None:
        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        self.atServer.dataReceived = fail  # type: ignore[method-assign]
        self.server.attach(self.atServer)
        self.client.write(b"data")
        self.reactor.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsInstance(self.atServer.reason, ConnectionAborted)

    def test_closingIsToldInOrder(self) -> None:
        self.client.write(b"x" * MEGABYTE)
        self.client.loseConnection()
        self.reactor.settle()
        self.assertEqual(len(self.atServer.received), MEGABYTE)
        self.assertIsInstance(self.atClient.reason, ConnectionDone)
        self.assertEqual(self.atServer.events, ["connected", "read lost"])

    def test_thePeersCloseEndsAProtocolWithoutHalfClose(self) -> None:
        plain = Plain()
        self.server.attach(plain)
        self.client.write(b"last")
        self.client.loseConnection()
        self.reactor.settle()
        self.assertEqual(plain.received, b"last")
        self.assertIsInstance(plain.reason, ConnectionDone)

    def test_halfCloseLeavesTheOtherDirectionOpen(self) -> None:
        self.client.loseWriteConnection()
        self.reactor.settle()
        self.assertEqual(self.atClient.events, ["connected", "write lost"])
        self.assertEqual(self.atServer.events, ["connected", "read lost"])
        self.client.write(b"too late")
        self.server.write(b"y" * MEGABYTE)
        self.server.loseWriteConnection()
        self.reactor.settle()
        self.assertEqual(len(self.atClient.received), MEGABYTE)
        self.assertEqual(self.atServer.received, b"")
        for recorder in (self.atClient, self.atServer):
            self.assertEqual(recorder.events[-1], "lost")
            self.assertIsInstance(recorder.reason, ConnectionDone)

    def test_anEndWithoutCloseNotifyIsAnError(self) -> None:
        self.client.write(b"some")
        self.client.socket.shutdown(sockets.SHUT_WR)
        self.reactor.settle()
        self.assertEqual(self.atServer.received, b"some")
        self.assertIsInstance(self.atServer.reason, ConnectionLost)
        self.assertIn("close_notify", str(self.atServer.reason))

    def test_forgedBytesEndTheConnection(self) -> None:
        self.client.socket.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        self.reactor.settle()
        self.assertIsInstance(self.atServer.reason, ConnectionLost)
        # Our alert told the other side.
        self.assertIsInstance(self.atClient.reason, ConnectionLost)
        self.assertIn("alert", str(self.atClient.reason))

    def test_abortIsAnErrorToThePeer(self) -> None:
        client, atClient, _, atServer = self.connected(sockets=tcpPair)
        client.abortConnection()
        self.reactor.until(lambda: atServer.reason)
        self.assertIsInstance(atClient.reason, ConnectionAborted)
        self.assertIsInstance(atServer.reason, ConnectionLost)

    def test_writingToAPeerThatIsGoneIsToldLater(self) -> None:
        self.server.socket.close()
        self.reactor.readers.remove(self.server)
        self.client.write(b"x" * MEGABYTE)
        self.assertIsNone(self.atClient.reason)
        self.reactor.settle()
        self.assertIsInstance(self.atClient.reason, ConnectionLost)
