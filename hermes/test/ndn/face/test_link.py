"""
Tests for L{hermes.ndn.face.link}: two faces, and a link between them that does what it likes.
"""

from __future__ import annotations

from random import Random

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.face import Face
from hermes.ndn.face.link import LEAST_MTU, RELIABILITY
from hermes.ndn.face.reassembly import MAX_AGE, MAX_PARTIAL_BYTES
from hermes.ndn.face.reliability import MAX_RETRANSMISSIONS
from hermes.ndn.face.turn import Turn
from hermes.ndn.packet.lp import decode, encode
from hermes.test.ndn.face.fakes import FakeReceiver, Wire, data, dataOf, interest


class LinkCase(SynchronousTestCase):
    """
    A link.

    @ivar delay: seconds that a datagram takes.
    @ivar loss: the share that is lost.
    @ivar duplicate: the share that comes twice.
    """

    flags = 0
    mtu = 1400

    def setUp(self) -> None:
        self.clock = Clock()
        self.random = Random(1)
        self.delay = 0.0
        self.loss = 0.0
        self.duplicate = 0.0
        self.wires = Wire(), Wire()
        self.receivers = FakeReceiver(), FakeReceiver()
        self.faces = tuple(Face(wire, mtu=self.mtu, flags=self.flags) for wire in self.wires)
        for face, receiver in zip(self.faces, self.receivers, strict=True):
            face.start(receiver, self.clock, Turn(self.clock))
        self.near, self.far = self.faces
        self.got = self.receivers[1]

    def tearDown(self) -> None:
        for face in self.faces:
            face.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def move(self, shuffle: bool = False) -> int:
        """
        Let what was sent arrive.

        @return: how much that was.
        """
        moved = 0
        for wire, other in (self.wires, self.wires[::-1]):
            datagrams = wire.take()
            moved += len(datagrams)
            arriving = [one for one in datagrams if self.random.random() >= self.loss]
            arriving += [one for one in arriving if self.random.random() < self.duplicate]
            if shuffle:
                self.random.shuffle(arriving)
            if arriving and other.receiver is not None:
                if self.delay:
                    self.clock.callLater(self.delay, other.deliver, *arriving)
                else:
                    other.deliver(*arriving)
        return moved

    def run_(self, seconds: float, shuffle: bool = False) -> None:
        """
        Let time pass, a millisecond at a time.
        """
        for _ in range(round(seconds * 1000)):
            self.move(shuffle)
            self.clock.advance(0.001)


class FragmentationTests(LinkCase):
    """
    A link of 1,400 bytes carries packets of 8,800.
    """

    def test_noPieceIsLargerThanTheLink(self) -> None:
        packet = dataOf(8800)
        for mtu in (LEAST_MTU, 500, 1280, 1400, 4000, 8799):
            self.near.mtu = mtu
            self.near.sendData(packet, b"t" * 32, 7)
            sizes = list(map(len, self.wires[0].sent))
            self.assertLessEqual(max(sizes), mtu)
            self.move()
            self.assertEqual(self.got.packets.pop(), ("data", self.far, packet.wire, b"t" * 32, 7, None))

    def test_itTakesNoMorePiecesThanItMust(self) -> None:
        self.near.sendData(dataOf(8800))
        self.assertEqual(len(self.wires[0].sent), 7)
        self.wires[0].take()
        self.near.sendData(dataOf(1400))
        self.assertEqual(self.wires[0].take(), [dataOf(1400).wire])

    def test_whatWouldFitButForWhatIsSaidAboutItIsCut(self) -> None:
        self.near.sendData(dataOf(1400), b"token")
        self.assertEqual(len(self.wires[0].sent), 2)
        self.move()
        self.assertEqual(self.got.packets[0][2:4], (dataOf(1400).wire, b"token"))

    def test_interestsAndNacksToo(self) -> None:
        view = interest("/" + "long" * 500)
        self.near.sendInterest(view, b"token")
        self.near.sendNack(view, 50)
        self.move(shuffle=True)
        self.assertEqual(
            sorted(self.got.packets, key=lambda packet: str(packet[0])),
            [("interest", self.far, view.wire, b"token", None, 0), ("nack", self.far, view.wire, 50, None)],
        )

    def test_outOfOrderAndDuplicated(self) -> None:
        self.duplicate = 0.5
        packets = [dataOf(8800, f"/{number}") for number in range(20)]
        for packet in packets:
            self.near.sendData(packet)
        self.move(shuffle=True)
        self.assertEqual(set(self.got.wires()), {packet.wire for packet in packets})

    def test_withoutOneOfItsPiecesAPacketIsLost(self) -> None:
        self.near.sendData(dataOf(8800, "/1"))
        self.near.sendData(dataOf(8800, "/2"))
        pieces = self.wires[0].take()
        self.wires[1].deliver(*pieces[:3], *pieces[4:])
        self.assertEqual(self.got.wires(), [dataOf(8800, "/2").wire])
        self.clock.pump([0.1] * 20)
        self.assertEqual(self.far.counters.fragmentsDropped, 6)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertGreater(2.0, MAX_AGE)

    def test_whatAHostilePeerCanFillIsBounded(self) -> None:
        for number in range(5000):
            self.wires[1].deliver(encode(bytes(1300), number * 500, number % 400, 400))
        reassembler = self.far._link._reassembler
        assert reassembler is not None
        self.assertLessEqual(reassembler.heldBytes, MAX_PARTIAL_BYTES)
        self.near.sendData(dataOf(8800))
        self.move()
        self.assertEqual(self.got.wires(), [dataOf(8800).wire])

    def test_malformedFragmentsAreCounted(self) -> None:
        self.near.sendData(dataOf(8800))
        pieces = self.wires[0].take()
        wrong = [
            encode(b"x", 5, 0, 401),
            encode(b"x", decode(pieces[0]).sequence, 0, 9),
            encode(b"\x99\x00", 900, 0, 1),
        ]
        self.wires[1].deliver(*pieces[:3], *wrong)
        self.assertEqual(self.far.counters.malformedPackets, 3)
        self.assertEqual(self.got.packets, [])


class ReliabilityTests(LinkCase):
    """
    Both ends have reliability.
    """

    flags = RELIABILITY

    def test_nothingIsSentAgainWhereNothingIsLost(self) -> None:
        for number in range(20):
            self.near.sendData(dataOf(8800, f"/{number}"))
        self.run_(3)
        self.assertEqual(len(self.got.packets), 20)
        counters = self.near.counters
        self.assertEqual((counters.retransmittedPackets, counters.lostPackets, counters.outPackets), (0, 0, 140))
        # Many acknowledgements go in one packet.
        self.assertLess(self.far.counters.outPackets, 10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whatIsLostComesInTheEnd(self) -> None:
        self.loss, self.delay = 0.05, 0.01
        packets = [dataOf(8800, f"/{number}") for number in range(30)]
        for packet in packets:
            self.near.sendData(packet)
            self.run_(0.01, shuffle=True)
        self.run_(5, shuffle=True)
        self.assertEqual(set(self.got.wires()), {packet.wire for packet in packets})
        self.assertEqual(len(self.got.packets), 30)
        self.assertGreater(self.near.counters.retransmittedPackets, 10)
        self.assertEqual(self.near.counters.lostPackets, 0)

    def test_whatComesTwiceIsTakenOnce(self) -> None:
        self.duplicate = 1.0
        for number in range(10):
            self.near.sendInterest(interest(f"/{number}"))
        self.run_(0.1)
        self.assertEqual(len(self.got.packets), 10)
        self.assertEqual(self.far.counters.duplicatePackets, 10)

    def test_acknowledgementsGoAlongWithWhatIsSentTheOtherWay(self) -> None:
        answer = data()
        self.got.answer = lambda face, view: face.sendData(answer)
        for number in range(10):
            self.near.sendInterest(interest(f"/{number}"))
            self.run_(0.001)
        self.run_(0.003)
        self.assertEqual(len(self.receivers[0].packets), 10)
        self.assertEqual(self.far.counters.outPackets, 10)

    def test_whatNeverArrivesIsGivenUpAndTold(self) -> None:
        self.loss = 1.0
        one, two = interest("/1"), interest("/2")
        self.near.sendInterest(one)
        self.near.sendInterest(two)
        self.near.sendData(data())
        self.run_(30)
        self.assertEqual(self.receivers[0].lost, [one, two])
        self.assertEqual(self.near.counters.lostPackets, 3)
        self.assertEqual(self.near.counters.outPackets, 3 * (1 + MAX_RETRANSMISSIONS))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whoHasOpenedTheLinkSaysSoForBoth(self) -> None:
        self.far.flags = 0
        self.far.sendData(data())
        self.assertEqual(self.wires[1].take(), [data().wire])
        self.near.sendData(data())
        self.run_(0.1)
        self.assertEqual(self.far.flags, RELIABILITY)
        self.far.sendData(data())
        self.assertIsNotNone(decode(self.wires[1].sent[0]).txSequence)

    def test_aPeerWithoutItAcknowledgesAllTheSame(self) -> None:
        self.far.flags = 0
        self.far.persistency = "persistent"
        self.near.sendData(dataOf(8800))
        self.run_(2)
        self.assertEqual(self.near.counters.retransmittedPackets, 0)
        self.far.sendData(data())
        self.assertEqual(self.wires[1].take(), [data().wire])

    def test_whatIsSaidAboutAPacketIsSaidAgainToo(self) -> None:
        self.near.sendData(dataOf(3000), b"token", 5)
        self.wires[0].take()
        self.run_(2)
        self.assertEqual(self.got.packets, [("data", self.far, dataOf(3000).wire, b"token", 5, None)])

    def test_nothingIsSentAgainOverAnotherLink(self) -> None:
        self.near.sendData(data())
        self.wires[0].lose(ConnectionLost())
        other = Wire()
        self.near.carry(other)
        self.run_(5)
        self.assertEqual(other.take(), [])
        self.near.sendData(data())
        self.assertEqual(len(other.take()), 1)
        self.near.close()

    def test_acknowledgementsAloneAreNoPackets(self) -> None:
        self.near.sendData(data())
        self.run_(0.1)
        self.assertEqual(self.receivers[0].packets, [])
        self.assertEqual(self.near.counters.inPackets, 1)
        self.assertEqual(self.near.counters.malformedPackets, 0)
