from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.fabric.datagrams import MAX_EARLY_DATAGRAMS, DatagramSplice
from hermes.fabric.record import FlowRecord
from hermes.fabric.splice import StreamSplice
from hermes.interfaces import IBorrowingProtocol, IDatagramReceiver
from hermes.test.fabric.fakes import FakeChannel, FakeStream
from hermes.values import Flow, Target

FLOW = Flow("tcp", Target("db.hermes", 3306))


class StreamCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.record = FlowRecord(FLOW, 0.0)
        self.closed: list[Any] = []
        self.splice = StreamSplice(self.record, self.closed.append)
        self.near = FakeStream(self.clock)
        self.far = FakeStream(self.clock)

    def join(self) -> None:
        self.far.attach(self.splice.far)
        self.near.attach(self.splice.near)

    def assertOver(self) -> None:
        self.clock.advance(0)
        self.assertEqual([self.splice], self.closed)
        self.assertIsNone(self.near.producer)
        self.assertIsNone(self.far.producer)


class Streaming(StreamCase):
    def test_theHalvesProvideWhatTransportsAskFor(self) -> None:
        self.join()
        for half in (self.splice.near, self.splice.far):
            verifyObject(IProtocol, half)
            verifyObject(IHalfCloseableProtocol, half)
            verifyObject(IBorrowingProtocol, half)

    def test_whatOneEndReadsTheOtherWrites(self) -> None:
        self.join()
        self.near.deliver(b"question")
        self.far.deliver(b"an answer")
        self.assertEqual(b"question", self.far.taken)
        self.assertEqual(b"an answer", self.near.taken)
        self.assertEqual((8, 9), (self.record.bytesIn, self.record.bytesOut))

    def test_aTransportThatKeepsItsBuffersGetsBytesOfItsOwn(self) -> None:
        transport = StringTransport()
        self.splice.far.makeConnection(transport)
        self.near.attach(self.splice.near)
        self.near.deliver(b"kept")
        self.assertEqual(b"kept", transport.value())

    def test_aBorrowedBufferIsPassedStraightThrough(self) -> None:
        self.join()
        seen: list[object] = []
        self.splice.near._write = seen.append
        lent = memoryview(b"x")
        self.splice.near.dataReceived(lent)
        self.assertIs(lent, seen[0])


class Backpressure(StreamCase):
    def test_aStalledReaderPausesTheSenderAndResumesIt(self) -> None:
        for reader, sender in ((self.near, self.far), (self.far, self.near)):
            self.setUp()
            reader, sender = (self.near, self.far) if reader is self.near else (self.far, self.near)
            reader.room = 0
            self.join()
            sender.deliver(b"x" * 65_537)
            self.assertFalse(sender.reading)
            self.assertTrue(reader.reading)
            reader.take()
            self.assertTrue(sender.reading)

    def test_aStalledReaderBehindASenderThatNeverStopsCostsTheBoundAndOneRead(self) -> None:
        """
        10 GB would be sent; what is held is the writing side's bound (64 KiB) and one read (1 MiB), for each direction.
        """
        bound, chunk = 64 * 1024, 1024 * 1024
        for stalled, sender in ((self.near, self.far), (self.far, self.near)):
            stalled.room = 0
            sender.highWater = bound
        self.join()
        data = bytes(chunk)
        for stalled, sender in ((self.near, self.far), (self.far, self.near)):
            sent = 0
            while sender.reading and sent < 10_000_000_000:
                sender.deliver(data)
                sent += chunk
            self.assertLessEqual(stalled.most, bound + chunk)
        self.assertEqual(0, len(self.splice.near._early) + len(self.splice.far._early))

    def test_whoeverIsUpFirstWaitsForTheOther(self) -> None:
        self.far.attach(self.splice.far)
        self.assertFalse(self.far.reading)
        self.near.attach(self.splice.near)
        self.assertTrue(self.far.reading)
        self.assertTrue(self.near.reading)

    def test_theNearEndMayBeUpFirst(self) -> None:
        self.near.attach(self.splice.near)
        self.assertFalse(self.near.reading)
        self.far.attach(self.splice.far)
        self.near.deliver(b"x")
        self.assertEqual(b"x", self.far.taken)

    def test_whatATransportHadInItsHandsWhenItWasPausedComesFirst(self) -> None:
        self.far.attach(self.splice.far)
        self.splice.far.dataReceived(memoryview(b"banner "))
        self.near.attach(self.splice.near)
        self.far.deliver(b"more")
        self.assertEqual(b"banner more", self.near.taken)

    def test_aStalledNearEndKeepsTheFarEndPausedWhenItJoins(self) -> None:
        self.far.attach(self.splice.far)
        self.splice.far.dataReceived(memoryview(bytes(65_537)))
        self.near.room = 0
        self.near.attach(self.splice.near)
        self.assertFalse(self.far.reading)
        self.near.take()
        self.assertTrue(self.far.reading)


class HalfClose(StreamCase):
    def test_theEndOfTheClientsDirectionReachesTheTargetAndTheAnswerComesBack(self) -> None:
        self.join()
        self.near.deliver(b"request")
        self.near.endReading()
        self.assertEqual(["loseWriteConnection"], self.far.calls)
        self.assertTrue(self.far.writeEnded)
        self.far.deliver(b"response")
        self.assertEqual(b"response", self.near.taken)
        self.assertEqual([], self.near.calls)

    def test_theEndOfTheTargetsDirectionReachesTheClient(self) -> None:
        self.join()
        self.far.endReading()
        self.assertEqual(["loseWriteConnection"], self.near.calls)
        self.near.deliver(b"still")
        self.assertEqual(b"still", self.far.taken)

    def test_whenBothDirectionsHaveEndedBothTransportsAreClosed(self) -> None:
        self.join()
        self.near.endReading()
        self.far.endReading()
        self.assertOver()
        self.assertIsNone(self.record.error)
        self.assertIs(ConnectionDone, self.near.lost and self.near.lost.type)
        self.assertIs(ConnectionDone, self.far.lost and self.far.lost.type)

    def test_whatIsBufferedGoesOutBeforeTheEnd(self) -> None:
        self.near.room = 0
        self.join()
        self.far.deliver(b"tail")
        self.far.endReading()
        self.near.endReading()
        self.clock.advance(0)
        self.assertIsNone(self.near.lost)
        self.near.take()
        self.assertEqual(b"tail", self.near.taken)
        self.assertOver()

    def test_anEndBeforeTheOtherSideIsUpIsCarriedOverWhenItComes(self) -> None:
        self.far.attach(self.splice.far)
        self.splice.far.dataReceived(memoryview(b"bye"))
        self.splice.far.readConnectionLost()
        self.near.attach(self.splice.near)
        self.assertEqual(b"bye", self.near.taken)
        self.assertEqual(["loseWriteConnection"], self.near.calls)
        self.near.deliver(b"thanks")
        self.assertEqual(b"thanks", self.far.taken)
        self.near.endReading()
        self.assertOver()

    def test_aTransportThatCanNotBeHalfClosedIsClosed(self) -> None:
        transport = StringTransport()
        self.splice.far.makeConnection(transport)
        self.near.attach(self.splice.near)
        self.near.endReading()
        self.assertTrue(transport.disconnecting)


class Endings(StreamCase):
    def test_anErrorOfOneEndAbortsTheOther(self) -> None:
        for name, side in (("near", "client"), ("far", "target")):
            self.setUp()
            self.join()
            broken, other = (self.near, self.far) if name == "near" else (self.far, self.near)
            broken.fail(ConnectionLost("reset by peer"))
            self.assertEqual(["abortConnection"], other.calls)
            self.assertOver()
            self.assertTrue((self.record.error or "").startswith(f"{side}: "), self.record.error)

    def test_anOrderlyEndOfOneEndClosesTheOtherAfterWhatIsBuffered(self) -> None:
        self.far.room = 0
        self.join()
        self.near.deliver(b"tail")
        self.near.fail(ConnectionDone())
        self.assertEqual(["loseConnection"], self.far.calls)
        self.clock.advance(0)
        self.assertEqual([], self.closed)
        self.far.take()
        self.assertEqual(b"tail", self.far.taken)
        self.assertOver()

    def test_dataForAnEndThatIsGoneIsDiscarded(self) -> None:
        self.join()
        self.near.fail(ConnectionLost())
        self.splice.far.dataReceived(memoryview(b"late"))
        self.assertEqual(b"", self.near.taken)

    def test_aTargetLostByErrorBeforeTheClientIsUpAbortsTheClient(self) -> None:
        self.far.attach(self.splice.far)
        self.far.fail(ConnectionLost())
        self.near.attach(self.splice.near)
        self.assertEqual(["abortConnection"], self.near.calls)
        self.assertOver()

    def test_aTargetThatEndedInOrderBeforeTheClientIsUpLeavesItWhatItSent(self) -> None:
        self.far.attach(self.splice.far)
        self.splice.far.dataReceived(memoryview(b"busy, try later"))
        self.far.fail(ConnectionDone())
        self.near.attach(self.splice.near)
        self.assertEqual(b"busy, try later", self.near.taken)
        self.assertEqual(["loseConnection"], self.near.calls)
        self.assertOver()

    def test_aClientThatIsGoneBeforeItWasUpEndsTheTarget(self) -> None:
        for error, call in ((ConnectionDone(), "loseConnection"), (ConnectionLost(), "abortConnection")):
            self.setUp()
            self.far.attach(self.splice.far)
            self.splice.near.connectionLost(Failure(error))
            self.assertEqual([call], self.far.calls)
            self.assertOver()

    def test_abortEndsBoth(self) -> None:
        self.join()
        self.splice.abort()
        self.assertEqual(["abortConnection"], self.near.calls[:1])
        self.assertEqual(["abortConnection"], self.far.calls[:1])
        self.assertOver()

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["near", "far"]), st.sampled_from(["data", "end", "take", "done", "lost"])),
            max_size=12,
        ),
        st.booleans(),
    )
    def test_whateverHappensInWhateverOrderBothEndsEndTogether(
        self, events: list[tuple[str, str]], nearFirst: bool
    ) -> None:
        self.setUp()
        self.near.room = self.far.room = 0
        self.near.highWater = self.far.highWater = 4
        streams = {"near": self.near, "far": self.far}
        sent = {"near": b"", "far": b""}
        halves: dict[str, Any] = {"near": self.splice.near, "far": self.splice.far}
        for name in ("near", "far") if nearFirst else ("far", "near"):
            streams[name].attach(halves[name])
        for name, event in events:
            stream = streams[name]
            if event == "take":
                stream.take(3)
            elif stream.lost is None and event in ("done", "lost"):
                stream.fail(ConnectionDone() if event == "done" else ConnectionLost())
            elif stream.reading and not stream.readEnded:
                if event == "data":
                    stream.deliver(b"abc")
                    sent[name] += b"abc"
                else:
                    stream.endReading()
            self.clock.advance(0)
        for stream in streams.values():
            stream.take()
            if stream.reading and not stream.readEnded:
                stream.endReading()
        for stream in streams.values():
            if stream.lost is None and stream.reading and not stream.readEnded:
                stream.endReading()
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual([self.splice], self.closed)
        self.assertTrue(sent["near"].startswith(bytes(self.far.taken)))
        self.assertTrue(sent["far"].startswith(bytes(self.near.taken)))
        if not {"done", "lost"} & {event for _, event in events}:
            self.assertEqual((sent["near"], sent["far"]), (bytes(self.far.taken), bytes(self.near.taken)))


class Datagrams(SynchronousTestCase):
    def setUp(self) -> None:
        self.record = FlowRecord(FLOW, 0.0)
        self.closed: list[Any] = []
        self.splice = DatagramSplice(self.record, self.closed.append)
        self.near = FakeChannel()
        self.far = FakeChannel()

    def join(self) -> None:
        self.far.setReceiver(self.splice.far)
        self.near.setReceiver(self.splice.near)

    def test_batchesPassWholeAndAreCounted(self) -> None:
        self.join()
        verifyObject(IDatagramReceiver, self.splice.near)
        self.near.deliver(b"one", b"", b"three")
        self.far.deliver(b"answer")
        self.assertEqual([b"one", b"", b"three"], self.far.written)
        self.assertEqual([b"answer"], self.near.written)
        self.assertEqual(
            (3, 8, 1, 6), (self.record.datagramsIn, self.record.bytesIn, self.record.datagramsOut, self.record.bytesOut)
        )

    def test_earlyDatagramsWaitAndTheOldestAreDropped(self) -> None:
        self.far.setReceiver(self.splice.far)
        self.far.deliver(*(b"%d" % number for number in range(MAX_EARLY_DATAGRAMS + 1)))
        self.near.setReceiver(self.splice.near)
        self.assertEqual([b"%d" % number for number in range(1, MAX_EARLY_DATAGRAMS + 1)], self.near.written)

    def test_whatWaitsAtTheOtherEndIsKnown(self) -> None:
        self.assertEqual(0, self.splice.near.bufferedBytes)
        self.join()
        self.assertEqual(0, self.splice.near.bufferedBytes)
        self.far.bufferedBytes = 5000  # type: ignore[attr-defined]
        self.assertEqual((5000, 0), (self.splice.near.bufferedBytes, self.splice.far.bufferedBytes))
        self.near.loseChannel()
        self.assertEqual(0, self.splice.near.bufferedBytes)

    def test_anOrderlyEndIsCarriedOver(self) -> None:
        self.join()
        self.near.loseChannel()
        self.assertEqual(["loseChannel"], self.far.calls)
        self.assertEqual([self.splice], self.closed)
        self.assertIsNone(self.record.error)

    def test_anErrorIsCarriedOver(self) -> None:
        self.join()
        self.far.lose(ConnectionLost())
        self.assertEqual(["abortChannel"], self.near.calls)
        self.assertEqual([self.splice], self.closed)
        self.assertTrue((self.record.error or "").startswith("target: "))

    def test_anEndBeforeTheOtherSideIsUpIsCarriedOverWhenItComes(self) -> None:
        self.far.setReceiver(self.splice.far)
        self.far.lose(ConnectionDone())
        self.near.setReceiver(self.splice.near)
        self.assertEqual(["loseChannel"], self.near.calls)
        self.assertEqual([self.splice], self.closed)

    def test_abortEndsBoth(self) -> None:
        self.join()
        self.splice.abort()
        self.assertEqual([self.splice], self.closed)
