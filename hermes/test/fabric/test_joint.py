"""
A joint behaves as two ends of a socket would.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.fabric.joint import JointEnd, joint
from hermes.interfaces import IAttachable, IBorrowingProtocol
from hermes.values import Buffer


class Reader(Protocol):
    """
    Records what it hears; ends with the peer's end, as a protocol without half-close does.
    """

    transport: JointEnd

    def __init__(self) -> None:
        self.received: list[Buffer] = []
        self.ends: list[str] = []
        self.lost: Failure | None = None

    def dataReceived(self, data: Buffer) -> None:
        self.received.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.lost is None
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class HalfReader(Reader):
    """
    The same with half-close.
    """

    def readConnectionLost(self) -> None:
        self.ends.append("read")

    def writeConnectionLost(self) -> None:
        self.ends.append("write")


@implementer(IBorrowingProtocol)
class Borrower(Reader):
    """
    Takes any buffer.
    """


class Echo(Reader):
    """
    Sends back the first few pieces that it hears.
    """

    def dataReceived(self, data: Buffer) -> None:
        super().dataReceived(data)
        if len(self.received) < 100:
            self.transport.write(b"e" + bytes(data[:9]))


class Producer:
    """
    Notes what is asked of it.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class JointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.near, self.far = joint(self.clock, highWater=100)

    def attach(self, near: Reader, far: Reader) -> None:
        self.near.attach(near)
        self.far.attach(far)

    def test_bothEndsAreAttachableTransports(self) -> None:
        self.assertTrue(verifyObject(IAttachable, self.near))

    def test_whatIsWrittenIsReadAtOnceAndInOrder(self) -> None:
        near, far = Reader(), Reader()
        self.attach(near, far)
        self.near.writeSequence([b"one", b"two"])
        self.far.write(memoryview(b"three"))
        self.assertEqual(far.received, [b"one", b"two"])
        self.assertEqual(near.received, [b"three"])
        self.assertIs(type(near.received[0]), bytes)

    def test_aBorrowerGetsTheBufferItself(self) -> None:
        self.attach(Reader(), borrower := Borrower())
        view = memoryview(b"borrowed")
        self.near.write(view)
        self.assertIs(borrower.received[0], view)

    def test_whatIsWrittenBeforeAProtocolIsThereWaits(self) -> None:
        self.near.attach(Reader())
        buffer = bytearray(b"early")
        self.near.write(buffer)
        buffer[:] = b"XXXXX"
        self.assertEqual(self.near.bufferedBytes, 5)
        self.far.attach(far := Reader())
        self.assertEqual(far.received, [b"early"])
        self.assertEqual(self.near.bufferedBytes, 0)

    def test_aProtocolPutsAnotherInItsOwnPlace(self) -> None:
        successor = Reader()

        class First(Reader):
            def dataReceived(self, data: Buffer) -> None:
                super().dataReceived(data)
                self.transport.attach(successor)

        self.attach(Reader(), first := First())
        self.near.write(b"1")
        self.near.write(b"2")
        self.near.loseConnection()
        self.clock.advance(0)
        self.assertEqual((first.received, successor.received), ([b"1"], [b"2"]))
        self.assertIsNone(first.lost)
        self.assertIsNotNone(successor.lost)

    def test_twoThatAnswerEachOtherDoNotRecurse(self) -> None:
        near, far = Echo(), Echo()
        self.attach(near, far)
        self.near.write(b"start")
        self.assertEqual(len(far.received), 100)
        self.assertEqual(len(near.received), 99)

    def test_aStalledReaderPausesTheSender(self) -> None:
        self.attach(Reader(), far := Reader())
        self.near.registerProducer(producer := Producer(), True)
        self.far.pauseProducing()
        self.near.write(bytes(100))
        self.assertEqual(producer.calls, [])
        self.near.write(b"x")
        self.assertEqual((producer.calls, far.received), (["pause"], []))
        self.far.resumeProducing()
        self.assertEqual(producer.calls, ["pause", "resume"])
        self.assertEqual(sum(map(len, far.received)), 101)

    def test_aProducerThatComesToAFullQueueIsPaused(self) -> None:
        self.near.write(bytes(101))
        self.near.registerProducer(producer := Producer(), True)
        self.assertEqual(producer.calls, ["pause"])
        self.near.unregisterProducer()
        self.far.attach(Reader())
        self.assertEqual(producer.calls, ["pause"])

    def test_aSecondProducerAndAPullProducerAreRefused(self) -> None:
        self.assertRaises(ValueError, self.near.registerProducer, Producer(), False)
        self.near.registerProducer(Producer(), True)
        self.assertRaises(RuntimeError, self.near.registerProducer, Producer(), True)

    def test_aReaderThatPausesInTheMiddleGetsNoMore(self) -> None:
        class OneAtATime(Reader):
            def dataReceived(self, data: Buffer) -> None:
                super().dataReceived(data)
                self.transport.pauseProducing()

        self.near.writeSequence([b"1", b"2", b"3"])
        self.far.attach(far := OneAtATime())
        self.assertEqual(far.received, [b"1"])
        self.far.resumeProducing()
        self.assertEqual(far.received, [b"1", b"2"])

    def test_halfCloseIsHeardAfterTheData(self) -> None:
        near, far = HalfReader(), HalfReader()
        self.attach(near, far)
        self.far.pauseProducing()
        self.near.write(b"last")
        self.near.loseWriteConnection()
        self.near.write(b"too late")
        self.assertEqual((near.ends, far.ends), ([], []))
        self.far.resumeProducing()
        self.assertEqual((near.ends, far.ends, far.received), (["write"], ["read"], [b"last"]))
        self.far.write(b"answer")
        self.assertEqual(near.received, [b"answer"])
        self.clock.advance(0)
        self.assertIsNone(near.lost)

    def test_theConnectionEndsOnceBothDirectionsHave(self) -> None:
        near, far = HalfReader(), HalfReader()
        self.attach(near, far)
        self.near.loseWriteConnection()
        self.far.loseWriteConnection()
        self.assertEqual((near.ends, far.ends), (["write", "read"], ["read", "write"]))
        self.clock.advance(0)
        for reader in (near, far):
            assert reader.lost is not None
            self.assertTrue(reader.lost.check(ConnectionDone))

    def test_aProtocolWithoutHalfCloseEndsWithThePeersDirection(self) -> None:
        near, far = HalfReader(), Reader()
        self.attach(near, far)
        self.near.loseWriteConnection()
        self.assertIsNone(far.lost)
        self.clock.advance(0)
        assert far.lost is not None and near.lost is not None
        self.assertTrue(far.lost.check(ConnectionDone))
        self.assertTrue(near.lost.check(ConnectionDone))

    def test_loseConnectionSendsWhatWaitsFirst(self) -> None:
        near, far = Reader(), Reader()
        self.attach(near, far)
        self.far.pauseProducing()
        self.near.write(b"last")
        self.near.loseConnection()
        self.near.loseConnection()
        self.far.write(b"to nobody")
        self.clock.advance(0)
        self.assertIsNone(near.lost)
        self.far.resumeProducing()
        self.clock.advance(0)
        self.assertEqual((far.received, near.received), ([b"last"], []))
        assert far.lost is not None and near.lost is not None
        self.assertTrue(far.lost.check(ConnectionDone))

    def test_bothMayLoseTheConnectionWhileDataWaits(self) -> None:
        near, far = Reader(), Reader()
        self.attach(near, far)
        self.far.pauseProducing()
        self.near.write(b"unread")
        self.near.loseConnection()
        self.far.loseConnection()
        self.clock.advance(0)
        self.assertIsNotNone(near.lost)
        self.assertIsNotNone(far.lost)

    def test_loseConnectionAfterHalfCloseEndsIt(self) -> None:
        near, far = HalfReader(), HalfReader()
        self.attach(near, far)
        self.near.loseWriteConnection()
        self.near.loseConnection()
        self.clock.advance(0)
        self.assertIsNotNone(near.lost)
        self.assertIsNotNone(far.lost)

    def test_abortIsAnErrorForBothAndDropsWhatWaits(self) -> None:
        near, far = Reader(), Reader()
        self.attach(near, far)
        self.far.pauseProducing()
        self.near.registerProducer(before := Producer(), True)
        self.near.write(b"dropped")
        self.near.abortConnection()
        self.far.resumeProducing()
        self.clock.advance(0)
        assert far.lost is not None and near.lost is not None
        self.assertTrue(near.lost.check(ConnectionAborted))
        self.assertTrue(far.lost.check(ConnectionLost))
        self.assertEqual(far.received, [])
        self.near.registerProducer(producer := Producer(), True)
        self.assertEqual((before.calls, producer.calls), (["stop"], ["stop"]))

    def test_aProtocolThatFailsEndsTheConnection(self) -> None:
        class Failing(Reader):
            def dataReceived(self, data: Buffer) -> None:
                raise ZeroDivisionError

        near, far = Reader(), Failing()
        self.attach(near, far)
        self.near.write(b"boom")
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        assert far.lost is not None and near.lost is not None
        self.assertTrue(far.lost.check(ZeroDivisionError))
        self.assertTrue(near.lost.check(ConnectionLost))
