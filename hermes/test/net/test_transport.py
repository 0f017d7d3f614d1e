"""
Tests for L{hermes.net.transport} and L{hermes.net.sending}.
"""

from __future__ import annotations

import socket as sockets
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces import IAttachable
from hermes.net.sending import HIGH_WATER, MAX_BUFFERS
from hermes.net.transport import StreamTransport
from hermes.test.net.sockets import Borrower, HandReactor, Plain, Producer, Recorder, tcpPair, unixPair
from hermes.values import Buffer

MEGABYTE = 1024 * 1024


class TransportCase(SynchronousTestCase):
    """
    A transport on one side and a bare socket on the other.
    """

    def setUp(self) -> None:
        self.reactor = HandReactor()
        self.connect(unixPair)

    def connect(self, pair: Any) -> None:
        ours, self.peer = pair()
        self.peer.settimeout(5)
        self.transport = StreamTransport(ours, self.reactor)
        self.addCleanup(ours.close)
        self.addCleanup(self.peer.close)

    def attach(self, protocol: Any = None) -> Any:
        protocol = protocol or Recorder()
        self.transport.attach(protocol)
        return protocol

    def receive(self, size: int) -> bytes:
        """
        Take C{size} bytes out of the peer, turning the reactor meanwhile.
        """
        self.peer.setblocking(False)
        data = bytearray()
        while len(data) < size:
            try:
                chunk = self.peer.recv(size - len(data))
            except BlockingIOError:
                self.reactor.turn(1000)
                continue
            if not chunk:
                break
            data += chunk
        return bytes(data)


class ReadingTests(TransportCase):
    def test_itProvidesWhatItPromises(self) -> None:
        verifyObject(IAttachable, self.transport)
        verifyObject(ITCPTransport, self.transport)

    def test_nothingIsReadBeforeAProtocolIsAttached(self) -> None:
        self.peer.send(b"early")
        self.transport.startReading()
        self.assertEqual(self.reactor.readers, [])
        recorder = self.attach()
        self.reactor.settle()
        self.assertEqual((recorder.received, recorder.events), (b"early", ["connected"]))

    def test_anOrdinaryProtocolGetsBytes(self) -> None:
        recorder = self.attach()
        self.peer.send(b"data")
        self.reactor.settle()
        self.assertEqual(recorder.calls, [b"data"])
        self.assertIs(type(recorder.calls[0]), bytes)

    def test_aBorrowingProtocolGetsAView(self) -> None:
        borrower = self.attach(Borrower())
        self.peer.send(b"data")
        self.reactor.settle()
        self.assertEqual((borrower.calls, borrower.received), ([memoryview], b"data"))

    def test_aSecondProtocolTakesOverWithoutAGap(self) -> None:
        first, second = Recorder(), Recorder()

        def sniff(data: bytes) -> None:
            self.transport.attach(second)
            second.dataReceived(data)

        first.dataReceived = sniff  # type: ignore[method-assign]
        self.attach(first)
        self.peer.send(b"one ")
        self.reactor.settle()
        self.peer.send(b"two")
        self.reactor.settle()
        self.assertEqual((second.received, first.events), (b"one two", ["connected"]))

    def test_dataWaitsWhilePaused(self) -> None:
        recorder = self.attach()
        self.transport.pauseProducing()
        self.peer.send(b"data")
        self.reactor.settle()
        self.assertEqual(recorder.received, b"")
        self.transport.resumeProducing()
        self.reactor.settle()
        self.assertEqual(recorder.received, b"data")

    def test_anExceptionAbortsOnlyThatConnection(self) -> None:
        recorder = Recorder()

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        recorder.dataReceived = fail  # type: ignore[method-assign]
        self.attach(recorder)
        self.peer.send(b"data")
        self.reactor.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsInstance(recorder.reason, ConnectionAborted)

    def test_aResetByThePeerIsAnError(self) -> None:
        self.connect(tcpPair)
        recorder = self.attach()
        self.peer.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.peer.close()
        self.reactor.until(lambda: recorder.reason)
        self.assertIsInstance(recorder.reason, ConnectionLost)

    def test_theEndEndsAProtocolWithoutHalfClose(self) -> None:
        plain = self.attach(Plain())
        self.peer.send(b"last")
        self.peer.shutdown(sockets.SHUT_WR)
        self.reactor.settle()
        self.assertEqual(plain.received, b"last")
        self.assertIsInstance(plain.reason, ConnectionDone)

    def test_anErrorThatTheReactorSeesIsNotAnOrderlyEnd(self) -> None:
        self.connect(tcpPair)
        recorder = self.attach()
        self.peer.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.peer.close()
        self.transport.readConnectionLost(None)  # type: ignore[arg-type]
        self.assertIsInstance(recorder.reason, ConnectionLost)


class WritingTests(TransportCase):
    def test_aWriteIsSentAtOnce(self) -> None:
        self.attach()
        self.transport.write(b"now")
        self.assertEqual(self.peer.recv(10), b"now")
        self.assertEqual((self.transport.bufferedBytes, self.reactor.writers), (0, []))

    def test_aSequenceIsSentAtOnce(self) -> None:
        self.attach()
        buffers: list[Buffer] = [b"a", bytearray(b"b"), memoryview(b"c"), b""]
        self.transport.writeSequence(iter(buffers))
        self.transport.writeSequence([])
        self.assertEqual(self.peer.recv(10), b"abc")

    def test_whatTheKernelDoesNotTakeIsCopied(self) -> None:
        self.attach()
        borrowed = bytearray(b"x" * MEGABYTE)
        self.transport.write(borrowed)
        self.assertGreater(self.transport.bufferedBytes, 0)
        borrowed[:] = b"y" * MEGABYTE
        self.assertEqual(self.receive(MEGABYTE), b"x" * MEGABYTE)
        self.assertEqual((self.transport.bufferedBytes, self.reactor.writers), (0, []))

    def test_aSequenceIsCopiedToo(self) -> None:
        self.attach()
        borrowed = [bytearray(bytes([number]) * 65536) for number in range(32)]
        expected = b"".join(borrowed)
        self.transport.writeSequence(borrowed)
        for buffer in borrowed:
            buffer[:] = b"y" * 65536
        self.assertEqual(self.receive(len(expected)), expected)

    def test_orderIsKeptBehindWhatWaits(self) -> None:
        self.attach()
        self.transport.write(b"x" * MEGABYTE)
        self.transport.write(b"one")
        self.transport.writeSequence([b"two", b"three"])
        self.assertEqual(self.receive(MEGABYTE + 11)[MEGABYTE:], b"onetwothree")

    def test_manyWritesWaitAtLittleCost(self) -> None:
        self.attach()
        self.transport.write(b"x" * MEGABYTE)
        for _ in range(3 * MAX_BUFFERS):
            self.transport.write(b"small")
        self.assertEqual(self.receive(MEGABYTE + 15 * MAX_BUFFERS)[MEGABYTE:], b"small" * 3 * MAX_BUFFERS)

    def test_aSequenceMayBeLongerThanTheKernelTakes(self) -> None:
        self.attach()
        self.transport.writeSequence([b"ab"] * (MAX_BUFFERS + 1))
        self.assertEqual(self.receive(2 * MAX_BUFFERS + 2), b"ab" * (MAX_BUFFERS + 1))

    def test_anErrorIsToldLaterAndOnce(self) -> None:
        recorder = self.attach()
        self.peer.close()
        self.transport.write(b"into the void")
        self.transport.write(b"again")
        self.transport.loseConnection()
        self.assertIsNone(recorder.reason)
        self.reactor.settle()
        self.assertIsInstance(recorder.reason, ConnectionLost)
        self.assertEqual(recorder.events.count("lost"), 1)

    def test_anErrorWhileFlushingEndsTheConnection(self) -> None:
        recorder = self.attach()
        self.transport.write(b"x" * MEGABYTE)
        self.peer.close()
        self.reactor.settle()
        self.assertIsInstance(recorder.reason, ConnectionLost)

    def test_writingAfterTheEndDoesNothing(self) -> None:
        self.attach()
        self.transport.loseConnection()
        self.reactor.settle()
        self.transport.write(b"late")
        self.transport.writeSequence([b"late"])
        self.assertEqual(self.peer.recv(10), b"")

    def test_smallTCPWritesAreNotDelayed(self) -> None:
        self.connect(tcpPair)
        self.assertTrue(self.transport.getTcpNoDelay())
        self.transport.setTcpKeepAlive(True)
        self.assertTrue(self.transport.getTcpKeepAlive())


class ProducerTests(TransportCase):
    def test_aStalledReaderPausesTheSender(self) -> None:
        self.attach()
        producer = Producer()
        self.transport.registerProducer(producer, True)
        self.transport.write(b"x" * MEGABYTE)
        self.assertGreater(self.transport.bufferedBytes, HIGH_WATER)
        self.transport.write(b"more")
        self.assertEqual(producer.calls, ["pause"])
        self.receive(MEGABYTE + 4)
        self.reactor.settle()
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_aLateProducerIsPausedAtOnce(self) -> None:
        self.attach()
        self.transport.write(b"x" * MEGABYTE)
        producer = Producer()
        self.transport.registerProducer(producer, True)
        self.assertEqual(producer.calls, ["pause"])

    def test_aPullProducerIsAskedUntilItUnregisters(self) -> None:
        self.attach()
        chunks = [b"one", b"two", b"three"]
        transport = self.transport

        class Puller(Producer):
            def resumeProducing(self) -> None:
                if chunks:
                    transport.write(chunks.pop(0))
                else:
                    transport.unregisterProducer()
                    transport.loseConnection()

        transport.registerProducer(Puller(), False)
        self.assertEqual(len(chunks), 2)
        self.assertEqual(self.receive(100), b"onetwothree")

    def test_oneProducerAtATime(self) -> None:
        self.attach()
        self.transport.registerProducer(Producer(), True)
        self.assertRaises(RuntimeError, self.transport.registerProducer, Producer(), True)
        self.transport.unregisterProducer()
        self.transport.registerProducer(Producer(), True)

    def test_theEndStopsTheProducer(self) -> None:
        self.attach()
        producer, late = Producer(), Producer()
        self.transport.registerProducer(producer, True)
        self.transport.abortConnection()
        self.reactor.settle()
        self.transport.registerProducer(late, True)
        self.assertEqual((producer.calls, late.calls), (["stop"], ["stop"]))

    def test_closingWaitsForTheProducer(self) -> None:
        recorder = self.attach()
        self.transport.registerProducer(Producer(), True)
        self.transport.loseConnection()
        self.reactor.settle()
        self.transport.write(b"the rest")
        self.assertIsNone(recorder.reason)
        self.transport.unregisterProducer()
        self.reactor.settle()
        self.assertIsInstance(recorder.reason, ConnectionDone)
        self.assertEqual(self.peer.recv(100), b"the rest")


class EndingTests(TransportCase):
    def test_closingFlushesFirst(self) -> None:
        recorder = self.attach()
        self.transport.write(b"x" * MEGABYTE)
        self.transport.loseConnection()
        self.transport.loseConnection()
        self.assertEqual(self.receive(2 * MEGABYTE), b"x" * MEGABYTE)
        self.assertIsInstance(recorder.reason, ConnectionDone)
        self.assertEqual(recorder.events, ["connected", "lost"])

    def test_thePeersHalfCloseLeavesOurDirectionOpen(self) -> None:
        recorder = self.attach()
        self.peer.shutdown(sockets.SHUT_WR)
        self.reactor.settle()
        self.assertEqual(recorder.events, ["connected", "read lost"])
        self.transport.write(b"still")
        self.assertEqual(self.peer.recv(10), b"still")
        self.transport.resumeProducing()
        self.assertEqual(self.reactor.readers, [])
        self.transport.loseWriteConnection()
        self.reactor.settle()
        self.assertEqual(recorder.events, ["connected", "read lost", "write lost", "lost"])
        self.assertIsInstance(recorder.reason, ConnectionDone)

    def test_ourHalfCloseLeavesThePeersDirectionOpen(self) -> None:
        recorder = self.attach()
        self.transport.write(b"x" * MEGABYTE)
        self.transport.loseWriteConnection()
        self.transport.write(b"too late")
        self.assertEqual(self.receive(2 * MEGABYTE), b"x" * MEGABYTE)
        self.assertEqual(recorder.events, ["connected", "write lost"])
        self.peer.send(b"answer")
        self.reactor.settle()
        self.assertEqual(recorder.received, b"answer")
        self.peer.close()
        self.reactor.settle()
        self.assertEqual(recorder.events, ["connected", "write lost", "read lost", "lost"])

    def test_halfCloseDoesNotWaitForAPausedProducer(self) -> None:
        recorder = self.attach()
        producer = Producer()
        self.transport.registerProducer(producer, True)
        self.transport.write(b"x" * MEGABYTE)
        self.transport.loseWriteConnection()
        self.receive(2 * MEGABYTE)
        self.assertEqual(recorder.events, ["connected", "write lost"])
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_closingAfterHalfCloseEnds(self) -> None:
        recorder = self.attach()
        self.transport.loseWriteConnection()
        self.reactor.settle()
        self.transport.loseConnection()
        self.reactor.settle()
        self.assertIsInstance(recorder.reason, ConnectionDone)

    def test_halfCloseThenCloseBeforeTheFlush(self) -> None:
        recorder = self.attach()
        self.transport.write(b"x" * MEGABYTE)
        self.transport.loseWriteConnection()
        self.transport.loseConnection()
        self.assertEqual(self.receive(2 * MEGABYTE), b"x" * MEGABYTE)
        self.assertEqual(recorder.events, ["connected", "write lost", "lost"])

    def test_abortResetsTheConnection(self) -> None:
        self.connect(tcpPair)
        recorder = self.attach()
        self.transport.write(b"lost")
        self.transport.abortConnection()
        self.transport.abortConnection()
        self.assertIsNone(recorder.reason)
        self.reactor.settle()
        self.assertIsInstance(recorder.reason, ConnectionAborted)
        self.assertRaises(ConnectionResetError, lambda: [self.peer.recv(100) for _ in range(2)])

    def test_anEndThatNobodyAskedForIsNoEndInOrder(self) -> None:
        self.connect(tcpPair)
        self.attach()  # and the reactor stops
        self.transport.connectionLost(Failure(ConnectionLost()))
        self.assertRaises(ConnectionResetError, lambda: [self.peer.recv(100) for _ in range(2)])

    def test_aLateProtocolLearnsThatItIsOver(self) -> None:
        self.transport.abortConnection()
        self.reactor.settle()
        recorder = self.attach()
        self.assertEqual(recorder.events, ["connected", "lost"])

    def test_addressesAreThoseOfTheSocket(self) -> None:
        self.assertEqual(self.transport.getPeer(), UNIXAddress(None))
        self.connect(tcpPair)
        self.assertEqual(self.transport.getHost(), IPv4Address("TCP", *self.peer.getpeername()))
        self.assertEqual(self.transport.getPeer(), IPv4Address("TCP", *self.peer.getsockname()))

    def test_theLogNamesTheProtocol(self) -> None:
        self.attach(Plain())
        self.assertEqual(self.transport.logPrefix(), "Plain")
