"""
Tests for L{hermes.ndn.tally}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.ndn.face.face import Face
from hermes.ndn.interfaces import IFaceObserver
from hermes.ndn.tally import COUNTED, FaceTally, kindOf
from hermes.test.ndn.face.fakes import Wire, data
from hermes.test.ndn.face.test_table import TableCase


class KindTests(SynchronousTestCase):
    """
    What a face without a name is called.
    """

    def test_theSchemeIsTheKind(self) -> None:
        for uri, kind in (
            ("udp4://192.0.2.1:6363", "udp:"),
            ("udp6://[2001:db8::1]:6363", "udp:"),
            ("tcp4://192.0.2.1:6363", "tcp:"),
            ("fd://17", "fd:"),
            ("hermes://edge", "hermes:"),
            ("internal://", "internal:"),
        ):
            self.assertEqual(kindOf(Face(remoteURI=uri)), kind)


class FaceTallyTests(TableCase):
    """
    L{FaceTally}, of a table.
    """

    def setUp(self) -> None:
        super().setUp()
        self.names: dict[Face, str] = {}
        self.tally = FaceTally(lambda face: self.names.get(face))  # type: ignore[call-overload]
        verifyObject(IFaceObserver, self.tally)
        self.table.addObserver(self.tally)

    def face(self, uri: str, name: str = "") -> Face:
        """
        One in the table.
        """
        face = Face(Wire(), uri)
        if name:
            self.names[face] = name
        self.table.add(face)
        return face

    def test_facesWithANameAreByThemselvesAndOthersTogether(self) -> None:
        named = self.face("udp4://192.0.2.1:6363", "far")
        others = [self.face(f"udp4://192.0.2.2:{port}") for port in (1, 2)]
        named.sendData(data())
        for face in others:
            face.sendData(data())
            face.sendData(data())
        self.clock.advance(0)
        groups = self.tally.groups()
        self.assertEqual(groups.keys(), {"far", "udp:"})
        told = {key: (counts["faces"], counts["up"], counts["outData"]) for key, counts in groups.items()}
        self.assertEqual(told, {"far": (1, 1, 1), "udp:": (2, 2, 4)})
        self.assertEqual(groups["udp:"]["outBytes"], 4 * len(data().wire))
        self.assertEqual(groups["far"].keys(), {"faces", "up", *COUNTED})

    def test_whatHasEndedStaysCountedUnderTheNameThatItHad(self) -> None:
        face = self.face("udp4://192.0.2.1:6363", "far")
        face.sendData(data())
        self.names.clear()
        face.close()
        self.clock.advance(0)
        self.assertEqual(self.tally.groups()["far"]["outData"], 1)
        self.assertEqual(self.tally.groups()["far"]["faces"], 0)
        # It comes again, and counts from the beginning.
        self.face("udp4://192.0.2.1:6363").sendData(data())
        self.clock.advance(0)
        self.assertEqual({key: counts["outData"] for key, counts in self.tally.groups().items()}, {"far": 1, "udp:": 1})

    def test_aFaceThatIsUnknownEndsQuietly(self) -> None:
        self.tally.faceDestroyed(Face(remoteURI="udp4://192.0.2.1:1"))
        self.assertEqual(self.tally.groups(), {})
