"""
Tests for L{hermes.ndn.face.udp} and L{hermes.ndn.face.multicast}.
"""

from __future__ import annotations

from hermes.ndn.face.multicast import GROUPS, multicastFace
from hermes.ndn.face.udp import IDLE, ROOM_EVERY, UDPFaces
from hermes.ndn.interfaces import FIRST_FACE, INDNFace
from hermes.test.fabric.fakes import FakeSocket
from hermes.test.ndn.face.fakes import data, dataOf, interest
from hermes.test.ndn.face.test_table import TableCase

HERE = "udp4://127.0.0.1:5353"
ONE = ("192.0.2.1", 6363)
TWO = ("2001:db8::2", 6363)


class UDPFacesTests(TableCase):
    """
    A face for each peer of a socket.
    """

    def setUp(self) -> None:
        super().setUp()
        self.socket = FakeSocket()
        self.faces = UDPFaces(self.table, self.socket, maxPeers=3)

    def tearDown(self) -> None:
        self.faces.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def face(self, address: tuple[str, int] = ONE) -> INDNFace:
        """
        That of a peer, which sends an Interest first.
        """
        self.socket.deliver(address, interest().wire)
        face: INDNFace = self.receiver.packets[-1][1]
        return face

    def test_everyPeerHasOne(self) -> None:
        one, two = self.face(ONE), self.face(TWO)
        self.assertIs(self.face(ONE), one)
        self.assertEqual((one.remoteURI, one.localURI), ("udp4://192.0.2.1:6363", HERE))
        self.assertEqual(two.remoteURI, "udp6://[2001:db8::2]:6363")
        self.assertEqual((one.persistency, one.local, len(self.table)), ("on-demand", False, 2))
        one.sendData(data())
        two.sendInterest(interest())
        self.assertEqual(self.socket.written, [(ONE, data().wire), (TWO, interest().wire)])

    def test_aPeerIsNotLocalWhereverItIs(self) -> None:
        self.assertFalse(self.face(("127.0.0.1", 4000)).local)

    def test_whoSendsNoPacketHasNone(self) -> None:
        self.socket.deliver(ONE, b"hello", interest().wire)
        self.assertEqual((len(self.table), self.faces.strays), (0, 2))

    def test_oneThatIsToldToStayDoesAndMakesNoRoom(self) -> None:
        one, two = self.face(ONE), self.face(TWO)
        one.persistency = "persistent"
        self.assertEqual((one.expires, two.expires), (None, IDLE))
        self.clock.advance(IDLE / 2)
        three = self.face(("192.0.2.3", 1))
        four = self.face(("192.0.2.4", 1))
        self.assertEqual(list(self.table), [one, three, four])
        self.clock.pump([IDLE / 2] * 4)
        self.assertEqual(list(self.table), [one])
        one.persistency = "on-demand"
        self.clock.pump([IDLE / 2] * 4)
        self.assertEqual(list(self.table), [])

    def test_whereAllStayNobodyElseGetsOne(self) -> None:
        stay = [self.face((f"192.0.2.{number}", 1)) for number in range(3)]
        for face in stay:
            face.persistency = "permanent"
        self.socket.deliver(ONE, interest().wire)
        self.assertEqual((list(self.table), self.faces.evicted), (stay, 0))

    def test_garbageOfOneIsNotTheOthers(self) -> None:
        one, two = self.face(ONE), self.face(TWO)
        self.socket.deliver(ONE, b"\x05\xff", b"", b"\x99")
        self.socket.deliver(TWO, data().wire)
        self.assertEqual((one.counters.malformedPackets, two.counters.malformedPackets), (3, 0))
        self.assertEqual(self.receiver.packets[-1][:2], ("data", two))
        self.assertEqual(len(self.table), 2)

    def test_theFaceThatWasSilentLongestMakesRoom(self) -> None:
        first = self.face(("192.0.2.1", 1))
        second = self.face(("192.0.2.1", 2))
        self.face(("192.0.2.1", 3))
        self.face(("192.0.2.1", 1))
        self.face(("192.0.2.1", 4))
        self.assertIsNone(self.table.get(second.id))
        self.assertIs(self.table.get(first.id), first)
        self.assertEqual((len(self.table), self.faces.evicted), (3, 1))

    def test_whoHasMostFacesMakesRoomForItself(self) -> None:
        """
        Whoever sends from many ports does not drive out the others.
        """
        self.faces.stop()
        self.faces = UDPFaces(self.table, self.socket, maxPeers=5)
        others = [self.face(ONE), self.face(TWO)]
        for port in range(50):
            self.clock.advance(ROOM_EVERY)
            self.face(("198.51.100.1", port))
            self.clock.advance(ROOM_EVERY)
            # Of IPv6 a network counts, as a host has as many addresses as it likes.
            self.face((f"2001:db8:1::{port:x}", 6363))
        self.assertEqual([self.table.get(face.id) for face in others], others)
        self.assertEqual(len(self.table), 5)

    def test_roomIsMadeSoOftenAndNotMore(self) -> None:
        """
        Faces come and go at some cost, which whoever sends from a new port each time does not pay.
        """
        for port in range(3):
            self.face(("192.0.2.1", port))
        for port in range(3, 50):
            self.socket.deliver(("192.0.2.1", port), interest().wire)
        self.assertEqual((self.faces.evicted, self.faces.refused), (1, 46))
        self.clock.advance(ROOM_EVERY)
        self.face(("192.0.2.1", 60))
        self.assertEqual((self.faces.evicted, len(self.faces)), (2, 3))

    def test_aSilentFaceEnds(self) -> None:
        one = self.face(ONE)
        self.clock.advance(IDLE / 2)
        two = self.face(TWO)
        self.assertEqual((one.expires, two.expires), (IDLE / 2, IDLE))
        # That we send to it is no sign of life.
        one.sendInterest(interest())
        self.clock.advance(IDLE / 2)
        self.assertEqual(list(self.table), [two])
        self.clock.advance(IDLE / 2)
        self.assertEqual(list(self.table), [])
        self.assertIsNot(self.face(ONE), one)

    def test_aFaceThatSpeaksStays(self) -> None:
        one = self.face(ONE)
        for _ in range(10):
            self.clock.advance(IDLE / 2)
            self.assertIs(self.face(ONE), one)

    def test_whereTheTableIsFullNobodyNewHasOne(self) -> None:
        self.table.maxFaces = 1
        self.face(ONE)
        self.socket.deliver(TWO, interest().wire)
        self.assertEqual((len(self.table), len(self.faces)), (1, 1))

    def test_aFaceThatIsClosedComesAgainWithItsPeer(self) -> None:
        one = self.face(ONE)
        one.close()
        self.assertEqual(len(self.table), 0)
        self.assertIsNot(self.face(ONE), one)

    def test_theSocketTakesItsFacesAlong(self) -> None:
        self.face(ONE)
        self.assertEqual(self.table.channels(), [HERE])
        self.faces.stop()
        self.assertTrue(self.socket.stopped)
        self.assertEqual((len(self.table), self.table.channels()), (0, []))
        self.socket.deliver(TWO, interest().wire)
        self.assertEqual(len(self.table), 0)


class MulticastFaceTests(TableCase):
    """
    A face to a group.
    """

    def setUp(self) -> None:
        super().setUp()
        self.socket = FakeSocket()
        self.face = multicastFace(self.socket, GROUPS[0], "eth0")
        self.table.add(self.face)

    def test_itIsForAll(self) -> None:
        self.assertEqual(self.face.linkType, "multi-access")
        self.assertEqual((self.face.remoteURI, self.face.localURI), ("udp4://224.0.23.170:56363", "dev://eth0"))
        self.assertEqual(self.events(), [("created", FIRST_FACE), ("up", FIRST_FACE)])
        self.face.sendInterest(interest())
        self.assertEqual(self.socket.written, [(GROUPS[0], interest().wire)])

    def test_fragmentsOfSeveralSendersAreNotMixed(self) -> None:
        other = FakeSocket()
        sender = multicastFace(other, GROUPS[0], "eth0")
        self.table.add(sender)
        one, two = dataOf(3000, "/1"), dataOf(3000, "/2")
        sender.sendData(one)
        first = [datagram for _, datagram in other.written]
        other.written.clear()
        sender._link._sequence = 0
        sender.sendData(two)
        second = [datagram for _, datagram in other.written]
        self.assertEqual(len(first), 3)
        # Both count alike.
        sender._link._sequence = 0
        other.written.clear()
        sender.sendData(one)
        first = [datagram for _, datagram in other.written]
        for mine, theirs in zip(first, second, strict=True):
            self.socket.deliver(("192.0.2.1", 56363), mine)
            self.socket.deliver(("192.0.2.2", 56363), theirs)
        self.assertEqual(self.receiver.wires(), [one.wire, two.wire])

    def test_itLeavesTheGroupWhenItEnds(self) -> None:
        self.face.close()
        self.face.close()
        self.assertTrue(self.socket.stopped)
        self.assertEqual(len(self.table), 0)
