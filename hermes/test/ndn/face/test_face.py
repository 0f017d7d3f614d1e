"""
Tests for L{hermes.ndn.face.face}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.ndn.face.face import DEFAULT_MTU, Face
from hermes.ndn.face.link import CONGESTION_MARKING, LEAST_MTU, LOCAL_FIELDS
from hermes.ndn.face.streamchannel import UNBOUNDED
from hermes.ndn.face.turn import Turn
from hermes.ndn.interfaces import INDNFace
from hermes.ndn.packet.lp import decode, encode
from hermes.test.ndn.face.fakes import FakeReceiver, Wire, data, dataOf, interest


class FaceCase(SynchronousTestCase):
    """
    A face over a link in memory.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.wire = Wire()
        self.receiver = FakeReceiver()
        self.changes: list[Failure | None] = []
        self.face = self.make()

    def make(self, wire: Wire | None = None, **arguments: Any) -> Face:
        """
        One that is up.
        """
        face = Face(wire or self.wire, "udp4://192.0.2.1:6363", "udp4://192.0.2.2:6363", **arguments)
        face.start(self.receiver, self.clock, Turn(self.clock), lambda _, reason: self.changes.append(reason))
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(face.close)
        return face


class ReceivingTests(FaceCase):
    """
    What comes from the link.
    """

    def test_itIsAFace(self) -> None:
        verifyObject(INDNFace, self.face)
        self.assertTrue(self.face.up)
        self.assertEqual(self.changes, [None])

    def test_bareInterestsAndData(self) -> None:
        one, two = interest(), data()
        self.wire.deliver(one.wire, two.wire)
        self.assertEqual(
            self.receiver.packets,
            [("interest", self.face, one.wire, None, None, 0), ("data", self.face, two.wire, None, 0, None)],
        )
        counters = self.face.counters
        self.assertEqual((counters.inInterests, counters.inData, counters.inPackets), (1, 1, 2))
        self.assertEqual(counters.inBytes, len(one.wire) + len(two.wire))

    def test_whatIsSaidAboutThem(self) -> None:
        one, two = interest(), data()
        self.wire.deliver(
            encode(one.wire, pitToken=b"token", congestionMark=1),
            encode(two.wire, pitToken=b"other", congestionMark=2),
            encode(one.wire, nackReason=150, pitToken=b"third"),
        )
        self.assertEqual(
            self.receiver.packets,
            [
                ("interest", self.face, one.wire, b"token", None, 1),
                ("data", self.face, two.wire, b"other", 2, None),
                ("nack", self.face, one.wire, 150, b"third"),
            ],
        )
        self.assertEqual(self.face.counters.inNacks, 1)

    def test_localFieldsAreForThoseWhoMayUseThem(self) -> None:
        hop = encode(interest().wire, nextHopFace=300)
        policy = encode(data().wire, cachePolicy=1)
        self.wire.deliver(hop, policy)
        self.assertEqual([packet[0] for packet in self.receiver.packets], ["data"])
        self.assertEqual(self.receiver.packets[0][5], None)
        self.assertEqual(self.face.counters.malformedPackets, 1)
        self.face.flags |= LOCAL_FIELDS
        self.wire.deliver(hop, policy)
        self.assertEqual(self.receiver.packets[1][4], 300)
        self.assertEqual(self.receiver.packets[2][5], 1)

    def test_garbageIsCountedAndWhatComesWithItIsTaken(self) -> None:
        good = interest()
        garbage = [
            b"",
            b"\x05",
            b"\x05\x01",
            b"\x00\x00",
            b"\x07\x03abc",
            good.wire + b"x",
            good.wire[:-1],
            data().wire[:-3],
            encode(b"\x99\x00", pitToken=b"x"),
            encode(data().wire, nackReason=50),
            encode(b"", sequence=5),
            b"\x64\x04\x52\x01\x05\x50",
        ]
        self.wire.deliver(*[datagram for bad in garbage for datagram in (bad, good.wire)])
        self.assertEqual(self.receiver.wires(), [good.wire] * len(garbage))
        self.assertEqual(self.face.counters.malformedPackets, len(garbage))
        self.assertTrue(self.face.up)

    def test_oneThatCannotBeDealtWithDoesNotKeepTheOthers(self) -> None:
        """
        A strategy of an extension may have errors.
        """

        def answer(face: Any, view: Any) -> None:
            if view.nonce == 1:
                raise ZeroDivisionError()

        self.receiver.answer = answer
        wires = [interest(nonce=nonce).wire for nonce in range(3)]
        self.wire.deliver(*wires)
        self.wire.deliver(encode(wires[1], pitToken=b"x"), wires[2])
        self.assertEqual(self.receiver.wires(), [*wires, *wires[1:]])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual((self.face.up, self.face.counters.malformedPackets), (True, 0))

    def test_whatIsAnsweredToABatchLeavesAsOne(self) -> None:
        writes: list[int] = []
        write = self.wire.write
        self.wire.write = lambda datagrams: (writes.append(len(datagrams)), write(datagrams))[1]  # type: ignore[method-assign, func-returns-value]
        answer = data()
        self.receiver.answer = lambda face, view: face.sendData(answer)
        self.wire.deliver(*[interest(nonce=nonce).wire for nonce in range(5)])
        self.assertEqual(writes, [5])
        self.assertEqual(self.wire.take(), [answer.wire] * 5)

    def test_whatComesWithTheEndOfAFaceIsNotTaken(self) -> None:
        self.receiver.answer = lambda face, view: face.close()
        self.wire.deliver(interest().wire, interest().wire)
        self.assertEqual(len(self.receiver.packets), 1)


class SendingTests(FaceCase):
    """
    What goes to the link.
    """

    def test_bareWhereThereIsNothingToSay(self) -> None:
        one, two = interest(), data()
        self.face.sendInterest(one)
        self.face.sendInterest(one, None, 300)
        self.face.sendData(two, incomingFace=300)
        self.assertEqual(self.wire.take(), [one.wire, one.wire, two.wire])
        counters = self.face.counters
        self.assertEqual((counters.outInterests, counters.outData, counters.outPackets), (2, 1, 3))
        self.assertEqual(counters.outBytes, 2 * len(one.wire) + len(two.wire))

    def test_withWhatThereIsToSay(self) -> None:
        self.face.flags |= LOCAL_FIELDS
        one, two = interest(), data()
        self.face.sendInterest(one, b"token", 300)
        self.face.sendData(two, b"other", 3, 301)
        self.face.sendNack(one, 150, b"third", 302)
        self.face.sendNack(one, 0)
        first, second, third, fourth = map(decode, self.wire.take())
        self.assertEqual((first.fragment, first.pitToken, first.incomingFace), (one.wire, b"token", 300))
        self.assertEqual((second.fragment, second.pitToken, second.congestionMark), (two.wire, b"other", 3))
        self.assertEqual(second.incomingFace, 301)
        self.assertEqual((third.fragment, third.nackReason, third.pitToken), (one.wire, 150, b"third"))
        self.assertEqual(third.incomingFace, 302)
        self.assertEqual(fourth.nackReason, 0)
        self.assertEqual(self.face.counters.outNacks, 2)

    def test_whoHasNoLocalFieldsIsNotToldOfFaces(self) -> None:
        self.face.sendData(data(), b"token", 0, 300)
        self.face.sendNack(interest(), 150, None, 300)
        self.assertEqual([decode(wire).incomingFace for wire in self.wire.take()], [None, None])

    def test_aMarkIsSetWhereWhatWaitsStaysLong(self) -> None:
        self.wire.bufferedBytes = 100_000
        self.face.sendData(data())
        self.clock.advance(0.11)
        self.face.sendData(data())
        self.face.sendData(data())
        self.face.sendData(data())
        marks = [decode(wire).congestionMark for wire in self.wire.take()]
        self.assertEqual(marks, [0, 0, 1, 0])
        self.assertEqual(self.face.counters.congestionMarks, 1)

    def test_noMarkIsSetWhereTheQueueBecomesShort(self) -> None:
        self.wire.bufferedBytes = 100_000
        self.face.sendData(data())
        self.wire.bufferedBytes = 10
        self.clock.advance(0.2)
        for _ in range(3):
            self.face.sendData(data())
        self.wire.bufferedBytes = 100_000
        self.face.sendData(data())
        self.clock.advance(0.05)
        self.face.sendData(data())
        self.face.sendData(data())
        self.assertEqual({decode(wire).congestionMark for wire in self.wire.take()}, {0})

    def test_noMarkIsSetWhereNoneAreWanted(self) -> None:
        self.face.flags &= ~CONGESTION_MARKING
        self.wire.bufferedBytes = 100_000
        for _ in range(10):
            self.face.sendData(data())
            self.clock.advance(0.2)
        self.assertEqual({decode(wire).congestionMark for wire in self.wire.take()}, {0})

    def test_aMarkThatIsThereStays(self) -> None:
        self.face.sendData(data(), congestionMark=5)
        self.assertEqual(decode(self.wire.take()[0]).congestionMark, 5)


class LifeTests(FaceCase):
    """
    Links come and go.
    """

    def test_theMTUIsTheChannelsAtMost(self) -> None:
        self.assertEqual(self.face.mtu, DEFAULT_MTU)
        self.assertEqual(self.make(Wire(1452)).mtu, 1452)
        self.assertEqual(self.make(Wire(), mtu=1400).mtu, 1400)
        self.assertEqual(self.make(Wire(1452), mtu=9000).mtu, 1452)

    def test_aStreamHasNone(self) -> None:
        face = self.make(Wire(UNBOUNDED), mtu=1400)
        self.assertEqual(face.mtu, UNBOUNDED)
        face.mtu = 500
        self.assertEqual(face.mtu, UNBOUNDED)
        face.sendData(dataOf(8800), b"token")
        self.assertEqual(face.counters.outPackets, 1)

    def test_theMTUCanBeSet(self) -> None:
        self.face.mtu = 1000
        self.assertEqual(self.face.mtu, 1000)
        self.face.mtu = 1
        self.assertEqual(self.face.mtu, LEAST_MTU)
        self.face.mtu = 100_000
        self.assertEqual(self.face.mtu, 65_507)
        with self.assertRaises(ValueError):
            Face(Wire(), mtu=LEAST_MTU - 1)

    def test_whatIsSentWithoutALinkIsDroppedAndCounted(self) -> None:
        self.wire.lose(ConnectionLost())
        self.face.sendInterest(interest())
        self.face.sendData(data())
        self.assertFalse(self.face.up)
        self.assertEqual((self.face.counters.droppedPackets, self.face.counters.outPackets), (2, 0))
        assert self.changes[-1] is not None
        self.assertIsInstance(self.changes[-1].value, ConnectionLost)

    def test_anotherLinkMayTakeItsPlace(self) -> None:
        self.wire.droppedDatagrams = 3
        self.wire.lose(ConnectionLost())
        other = Wire(1452)
        other.droppedDatagrams = 4
        self.face.carry(other)
        self.face.sendInterest(interest())
        self.assertEqual(len(other.take()), 1)
        self.assertEqual(self.face.mtu, 1452)
        self.assertEqual(self.face.counters.droppedPackets, 7)
        self.assertEqual(self.changes[0::2], [None, None])

    def test_itIsClosedOnce(self) -> None:
        self.face.close()
        self.face.close()
        self.assertEqual(self.wire.calls, ["loseChannel"])
        self.assertTrue(self.face.ended)
        assert self.changes[-1] is not None
        self.assertIsInstance(self.changes[-1].value, ConnectionDone)
        self.face.sendInterest(interest())
        self.assertEqual(self.wire.take(), [])

    def test_whatWasSentBeforeItIsClosedLeaves(self) -> None:
        def answer(face: INDNFace, view: object) -> None:
            face.sendData(data())
            face.close()

        self.receiver.answer = answer
        self.wire.deliver(interest().wire)
        self.assertEqual(self.wire.take(), [data().wire])
