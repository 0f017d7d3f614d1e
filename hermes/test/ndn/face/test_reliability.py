"""
Tests for L{hermes.ndn.face.reliability}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.reassembly import SEQUENCES
from hermes.ndn.face.reliability import (
    ACK_DELAY,
    ACK_SIZE,
    MAX_RETRANSMISSIONS,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    REMEMBERED,
    Reliability,
    Sending,
)
from hermes.ndn.face.roundtrip import INITIAL, LEAST, MOST, RoundTrip
from hermes.ndn.packet.lp import LpPacket, decode
from hermes.test.ndn.face.fakes import interest


class ReliabilityTests(SynchronousTestCase):
    """
    What is not acknowledged is sent again.
    """

    def setUp(self) -> None:
        self.reliability = Reliability(100)
        self.sequence = 0

    def send(self, now: float = 0.0, sending: Sending | None = None, payload: bytes = b"payload") -> int:
        """
        Send something.

        @return: its TxSequence.
        """
        self.sequence += 1
        fields = {"sequence": self.sequence}
        return self.number(self.reliability.send(payload, fields, sending or Sending(), now))

    def number(self, wire: bytes) -> int:
        """
        The TxSequence of a packet.
        """
        number = decode(wire).txSequence
        assert number is not None
        return number

    def test_whatIsAcknowledgedIsDoneWith(self) -> None:
        numbers = [self.send() for _ in range(3)]
        self.assertEqual(numbers, [100, 101, 102])
        self.assertEqual(self.reliability.acknowledged(tuple(numbers), 0.1), [])
        self.assertEqual((len(self.reliability), self.reliability.nextEvent()), (0, None))
        self.assertEqual(self.reliability.expire(100.0), [])

    def test_whatIsLateIsSentAgainAsItWas(self) -> None:
        self.send(payload=b"one")
        self.assertEqual(self.reliability.nextEvent(), INITIAL)
        self.assertEqual(self.reliability.expire(INITIAL - 0.01), [])
        (again,) = self.reliability.expire(INITIAL)
        packet = decode(again)
        self.assertEqual((packet.fragment, packet.sequence, packet.txSequence), (b"one", 1, 101))
        self.assertEqual(self.reliability.retransmitted, 1)

    def test_whatLaterPacketsHavePassedIsSentAgainAtOnce(self) -> None:
        first, *others = [self.send() for _ in range(4)]
        self.assertEqual(self.reliability.acknowledged(tuple(others[:2]), 0.05), [])
        (again,) = self.reliability.acknowledged((others[2],), 0.06)
        self.assertEqual(decode(again).sequence, 1)
        # The old number is of no account any more.
        self.assertEqual(self.reliability.acknowledged((first,), 0.07), [])
        self.assertEqual(len(self.reliability), 1)
        self.reliability.acknowledged((self.number(again),), 0.08)
        self.assertEqual(len(self.reliability), 0)

    def test_aPacketIsGivenUpAfterAFewTimes(self) -> None:
        view = interest()
        self.send(sending=Sending(view))
        now, sent = 0.0, 1
        while self.reliability.nextEvent() is not None:
            now = self.reliability.nextEvent() or 0.0
            sent += len(self.reliability.expire(now))
        self.assertEqual(sent, 1 + MAX_RETRANSMISSIONS)
        self.assertEqual(self.reliability.lost, [view])

    def test_withOneFragmentItsPacketIsGivenUp(self) -> None:
        sending = Sending(interest())
        numbers = [self.send(sending=sending) for _ in range(5)]
        now = 0.0
        # All arrive but the first.
        self.reliability.acknowledged(tuple(numbers[1:3]), now)
        while not self.reliability.lost:
            now = self.reliability.nextEvent() or 0.0
            self.reliability.expire(now)
        self.assertEqual(self.reliability.lost, [sending.view])
        self.assertEqual(len(self.reliability), 0)
        self.assertEqual(self.reliability.expire(now + 1000), [])

    def test_theRoundTripIsMeasuredOfWhatWasSentOnce(self) -> None:
        number = self.send(0.0)
        (again,) = self.reliability.expire(1.0)
        self.reliability.acknowledged((self.number(again), number), 1.5)
        self.assertIsNone(self.reliability.roundTrip.smoothed)
        self.reliability.acknowledged((self.send(2.0),), 2.25)
        self.assertEqual(self.reliability.roundTrip.smoothed, 0.25)

    def test_whatWaitsIsBounded(self) -> None:
        for _ in range(MAX_WAITING + 10):
            self.send()
        self.assertEqual(len(self.reliability), MAX_WAITING)
        self.assertEqual(len(self.reliability.lost), 10)
        self.reliability = Reliability()
        for _ in range(MAX_WAITING_BYTES // 8000 + 10):
            self.send(payload=bytes(8000))
        self.assertLessEqual(len(self.reliability) * 8000, MAX_WAITING_BYTES)

    def test_numbersWrap(self) -> None:
        self.reliability = Reliability(SEQUENCES - 1)
        numbers = [self.send() for _ in range(5)]
        self.assertEqual(numbers, [SEQUENCES - 1, 0, 1, 2, 3])
        (again,) = self.reliability.acknowledged((0, 1, 2), 0.1)
        self.assertEqual(decode(again).sequence, 1)

    def test_whatNobodyHasSentCanNotBeAcknowledged(self) -> None:
        self.send()
        self.assertEqual(self.reliability.acknowledged((5, 6, 7, 8), 0.1), [])
        self.assertEqual(len(self.reliability), 1)

    def test_acknowledgementsGoWithWhatIsSent(self) -> None:
        for number in (7, 8, 9):
            self.assertTrue(self.reliability.received(number, number, 0.0))
        packet: LpPacket = decode(self.reliability.send(b"x", {"sequence": 1}, Sending(), 0.0, 2 * ACK_SIZE + 5))
        self.assertEqual(packet.acks, (7, 8))
        self.assertEqual(self.reliability.takeAcks(100), (9,))
        self.assertEqual(self.reliability.takeAcks(100), ())
        self.assertEqual(self.reliability.takeAcks(-50), ())

    def test_anAckFieldIsAsLargeAsItIsSaidToBe(self) -> None:
        bare = self.reliability.send(b"x" * 300, {}, Sending(), 0.0)
        self.reliability.received(2**64 - 1, 1, 0.0)
        self.assertEqual(len(self.reliability.send(b"x" * 300, {}, Sending(), 0.0, 50)) - len(bare), ACK_SIZE)

    def test_acknowledgementsWaitALittle(self) -> None:
        self.reliability.received(1, 1, 5.0)
        self.reliability.received(2, 2, 5.004)
        self.assertEqual(self.reliability.nextEvent(), 5.0 + ACK_DELAY)
        self.assertFalse(self.reliability.ackIsDue(5.0 + ACK_DELAY / 2))
        self.assertTrue(self.reliability.ackIsDue(5.0 + ACK_DELAY))
        self.assertEqual(self.reliability.takeAcks(1000), (1, 2))
        self.assertFalse(self.reliability.ackIsDue(6.0))

    def test_whatComesAgainIsKnown(self) -> None:
        self.assertTrue(self.reliability.received(1, 500, 0.0))
        self.assertFalse(self.reliability.received(9, 500, 1.0))
        self.assertEqual(self.reliability.takeAcks(1000), (1, 9))
        # A peer that was started anew may count from there again.
        self.assertTrue(self.reliability.received(10, 500, REMEMBERED + 0.1))

    def test_whatIsRememberedOfThePeerIsBounded(self) -> None:
        for number in range(3 * MAX_WAITING):
            self.reliability.received(number, number, 0.0)
        self.assertLessEqual(len(self.reliability._seen), MAX_WAITING)
        self.assertEqual(len(self.reliability.takeAcks(10**9)), MAX_WAITING)


class RoundTripTests(SynchronousTestCase):
    """
    How long to wait.
    """

    def test_itFollowsWhatWasMeasured(self) -> None:
        trip = RoundTrip()
        self.assertEqual(trip.timeout, INITIAL)
        trip.measured(0.2)
        self.assertAlmostEqual(trip.timeout, 0.2 + 4 * 0.1)
        for _ in range(100):
            trip.measured(0.3)
        self.assertApproximates(trip.timeout, 0.3, 0.01)

    def test_itIsBounded(self) -> None:
        trip = RoundTrip()
        for _ in range(50):
            trip.measured(0.001)
        self.assertEqual(trip.timeout, LEAST)
        for _ in range(50):
            trip.backOff()
        self.assertEqual(trip.timeout, MOST)
