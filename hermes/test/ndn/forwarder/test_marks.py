"""
Congestion marks on Interests: what comes with one goes on with it, as in NFD.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.face import Face
from hermes.ndn.face.table import FaceTable
from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.packet.lp import decode, encode
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import marked
from hermes.test.ndn.face.fakes import Wire, interest


class MarkTests(SynchronousTestCase):
    """
    A forwarder between two faces.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.table = FaceTable(self.clock)
        self.forwarder = Forwarder(self.clock, regions=[Name.fromText("/here").value])
        self.table.receiver = self.forwarder
        self.table.addObserver(self.forwarder)
        self.down, self.up = Wire(), Wire()
        _, face = [self.table.add(Face(wire)) for wire in (self.down, self.up)]
        self.forwarder.setNextHop(b"", face.id)

    def tearDown(self) -> None:
        self.table.closeAll()
        self.forwarder.stop()

    def passed(self, wire: bytes) -> list[bytes]:
        """
        What goes on of a link packet.
        """
        self.down.deliver(wire)
        self.clock.advance(0)
        return self.up.take()

    def test_aMarkGoesOn(self) -> None:
        asked = interest("/a", nonce=1)
        [packet] = self.passed(encode(asked.wire, congestionMark=3))
        self.assertEqual((decode(packet).congestionMark, decode(packet).fragment), (3, asked.wire))

    def test_withoutOneItIsBare(self) -> None:
        asked = interest("/a", nonce=1)
        self.assertEqual(self.passed(encode(asked.wire, pitToken=b"token")), [asked.wire])
        self.assertEqual(self.passed(interest("/b").wire), [interest("/b").wire])

    def test_itOutlivesWhatChangesThePacket(self) -> None:
        for view, expected in (
            (interest("/a", nonce=1, hopLimit=7), interest("/a", nonce=1, hopLimit=6)),
            (interest("/b", nonce=1, hint=[Name.fromText("/here")]), interest("/b", nonce=1)),
        ):
            [packet] = self.passed(encode(view.wire, congestionMark=2))
            self.assertEqual((decode(packet).congestionMark, decode(packet).fragment), (2, expected.wire))

    def test_aNonceThatIsPutInKeepsIt(self) -> None:
        view = marked(interest("/a", nonce=1), 2)
        self.assertEqual(view.withNonce(5).congestionMark, 2)
        self.assertEqual(view.withNonce(5).wire, interest("/a", nonce=5).wire)
        self.assertIs(marked(view, 0), view)
