"""
Tests for L{hermes.ndn.face.backlog}.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.backlog import MAX_BATCH, MAX_WAITING
from hermes.ndn.face.face import Face
from hermes.ndn.face.streamchannel import StreamChannel
from hermes.ndn.face.turn import Turn
from hermes.test.fabric.fakes import FakeStream
from hermes.test.ndn.face.fakes import FakeReceiver, Wire, interest


class BacklogCase(SynchronousTestCase):
    """
    Faces that others share a forwarder with.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.receiver = FakeReceiver()
        self.lost: list[type[BaseException]] = []
        self.interests = [interest(f"/a/{number}", nonce=number).wire for number in range(2 * MAX_BATCH + 10)]
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(self.clock.advance, 0)

    def turn(self) -> None:
        """
        A turn of a reactor: what is called later in it belongs to the next. L{Clock} would call that too.
        """
        calls, self.clock.calls = self.clock.calls, []
        for call in calls:
            call.called = 1
            call.func(*call.args)

    def start(self, face: Face) -> Face:
        """
        A face that feeds the receiver.
        """

        def changed(face: Face, reason: object) -> None:
            if reason is not None:
                self.lost.append(reason.type)  # type: ignore[attr-defined]

        face.start(self.receiver, self.clock, Turn(self.clock), changed)
        self.addCleanup(face.close)
        return face


class DatagramTests(BacklogCase):
    """
    Of a link that can't be held up.
    """

    def setUp(self) -> None:
        super().setUp()
        self.wire = Wire()
        self.face = self.start(Face(self.wire))

    def test_soManyAtOnceAndTheRestInTheNextTurns(self) -> None:
        self.wire.deliver(*self.interests)
        self.assertEqual(self.receiver.wires(), self.interests[:MAX_BATCH])
        self.turn()
        self.assertEqual(self.receiver.wires(), self.interests[: 2 * MAX_BATCH])
        self.turn()
        self.assertEqual(self.receiver.wires(), self.interests)
        self.assertEqual(self.face.counters.inInterests, len(self.interests))

    def test_anotherFaceIsHeardBeforeTheRest(self) -> None:
        other = Wire()
        self.start(Face(other))
        self.wire.deliver(*self.interests)
        other.deliver(interest("/b").wire)
        self.turn()
        self.turn()
        self.assertEqual(self.receiver.wires().index(interest("/b").wire), MAX_BATCH)

    def test_whatComesMeanwhileComesAfterIt(self) -> None:
        first, then = self.interests[: MAX_BATCH + 2], self.interests[MAX_BATCH + 2 :]
        self.wire.deliver(*first)
        for packet in then[: MAX_BATCH - 1]:
            self.wire.deliver(packet)
        self.assertEqual(len(self.receiver.packets), MAX_BATCH)
        self.turn()
        # They are dealt with together, however they came.
        self.assertEqual(self.receiver.wires(), self.interests[: 2 * MAX_BATCH])
        self.turn()
        self.assertEqual(self.receiver.wires(), self.interests[: 2 * MAX_BATCH + 1])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whatWaitsIsBoundedAndTheOldestGoes(self) -> None:
        count = 3 * MAX_WAITING // len(self.interests[0])
        self.wire.deliver(*([self.interests[0]] * count))
        self.wire.deliver(self.interests[1])
        held = 0
        while self.clock.getDelayedCalls():
            before = len(self.receiver.packets)
            self.turn()
            held += len(self.receiver.packets) - before
        self.assertLessEqual(held * len(self.interests[0]), MAX_WAITING)
        self.assertEqual(self.receiver.wires()[-1], self.interests[1])
        self.assertEqual(self.face.counters.droppedPackets, count + 1 - MAX_BATCH - held)

    def test_whatHasComeBeforeTheLinkIsLostIsTaken(self) -> None:
        self.wire.deliver(*self.interests)
        self.wire.lose(ConnectionLost())
        self.assertEqual(self.lost, [])
        self.turn()
        self.turn()
        self.assertEqual(self.receiver.wires(), self.interests)
        self.assertEqual((self.lost, self.face.up), ([ConnectionLost], False))

    def test_ofAFaceThatIsClosedNothingIsTaken(self) -> None:
        self.wire.deliver(*self.interests)
        self.face.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.receiver.packets), MAX_BATCH)
        self.assertEqual(len(self.lost), 1)

    def test_whoeverTakesThemMayCloseTheFace(self) -> None:
        self.receiver.answer = lambda face, view: face.close()
        self.wire.deliver(*self.interests)
        self.assertEqual(len(self.receiver.packets), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StreamTests(BacklogCase):
    """
    Of a byte stream, which can.
    """

    def setUp(self) -> None:
        super().setUp()
        self.stream = FakeStream(self.clock)
        self.face = self.start(Face(StreamChannel(self.stream)))

    def test_nothingIsReadBeforeTheRestIsDealtWith(self) -> None:
        self.stream.deliver(b"".join(self.interests))
        self.assertEqual(len(self.receiver.packets), MAX_BATCH)
        self.assertFalse(self.stream.reading)
        self.turn()
        self.assertFalse(self.stream.reading)
        self.turn()
        self.assertTrue(self.stream.reading)
        self.assertEqual(self.receiver.wires(), self.interests)

    def test_nothingIsDropped(self) -> None:
        count = 3 * MAX_WAITING // len(self.interests[0])
        self.stream.deliver(self.interests[0] * count)
        while self.clock.getDelayedCalls():
            self.turn()
        self.assertEqual(len(self.receiver.packets), count)
        self.assertEqual(self.face.counters.droppedPackets, 0)
