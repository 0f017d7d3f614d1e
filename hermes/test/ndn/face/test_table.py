"""
Tests for L{hermes.ndn.face.table} and for what C{INDNFace} adapts.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.components import registerAdapter
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

import hermes.ndn.face  # noqa: F401  registers the adapters
from hermes.errors import Overloaded
from hermes.fabric.joint import joint
from hermes.interfaces import IDatagramChannel, IStreamTransport
from hermes.ndn.face.face import Face
from hermes.ndn.face.table import FaceTable
from hermes.ndn.face.uri import FaceAddress
from hermes.ndn.interfaces import FIRST_FACE, INTERNAL_FACE, IFaceTable, INDNFace
from hermes.ndn.management.internalface import InternalFace
from hermes.test.fabric.fakes import FakeStream
from hermes.test.ndn.face.fakes import FakeObserver, FakeReceiver, Wire, data, interest


class TableCase(SynchronousTestCase):
    """
    A table with an observer.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.receiver = FakeReceiver()
        self.table = FaceTable(self.clock, 5)
        self.table.receiver = self.receiver
        self.observer = FakeObserver()
        self.table.addObserver(self.observer)

    def events(self) -> list[tuple[str, int]]:
        """
        What was heard since the last time.
        """
        events, self.observer.events = self.observer.events, []
        return events


class FaceTableTests(TableCase):
    """
    Faces come and go.
    """

    def test_itIsATable(self) -> None:
        verifyObject(IFaceTable, self.table)

    def test_aFaceIsNumberedAndStarted(self) -> None:
        wire = Wire()
        face = self.table.add(Face(wire, "udp4://192.0.2.1:6363"))
        self.assertEqual((face.id, face.up), (FIRST_FACE, True))
        self.assertEqual(self.events(), [("created", FIRST_FACE), ("up", FIRST_FACE)])
        wire.deliver(interest().wire)
        self.assertIs(self.receiver.packets[0][1], face)
        self.assertIs(self.table.get(FIRST_FACE), face)
        self.assertEqual(list(self.table), [face])

    def test_numbersAreNotUsedAgain(self) -> None:
        first = self.table.add(Face(Wire()))
        first.close()
        self.assertEqual(self.table.add(Face(Wire())).id, FIRST_FACE + 1)

    def test_aFaceLeavesWhenItEnds(self) -> None:
        wire, other = Wire(), Wire()
        self.table.add(Face(wire))
        self.table.add(Face(other)).close()
        self.events()
        wire.lose(ConnectionLost())
        self.assertEqual(self.events(), [("down", FIRST_FACE), ("destroyed", FIRST_FACE)])
        self.assertEqual((len(self.table), self.table.get(FIRST_FACE)), (0, None))

    def test_facesAreFoundByTheirEnds(self) -> None:
        one = self.table.add(Face(Wire(), "udp4://192.0.2.1:6363", "udp4://192.0.2.9:6363"))
        two = self.table.add(Face(Wire(), "udp4://192.0.2.1:6363", "udp4://192.0.2.8:6363"))
        self.assertIs(self.table.byURI("udp4://192.0.2.1:6363"), one)
        self.assertIs(self.table.byURI("udp4://192.0.2.1:6363", "udp4://192.0.2.8:6363"), two)
        self.assertIsNone(self.table.byURI("udp4://192.0.2.2:6363"))

    def test_someAreForProgramsOfThisHost(self) -> None:
        """
        Whoever connects from elsewhere as often as it can does not keep them out.
        """
        self.table.maxFaces = 32
        for _ in range(30):
            self.table.add(Face(Wire()))
        with self.assertRaises(Overloaded):
            self.table.add(Face(Wire()))
        for _ in range(2):
            self.table.add(Face(Wire(), local=True))
        with self.assertRaises(Overloaded):
            self.table.add(Face(Wire(), local=True))
        self.assertEqual((len(self.table), self.table.refused), (32, 2))

    def test_thereAreOnlySoMany(self) -> None:
        for _ in range(5):
            self.table.add(Face(Wire()))
        wire = Wire()
        with self.assertRaises(Overloaded):
            self.table.add(Face(wire))
        self.assertEqual((wire.calls, len(self.table), self.table.refused), (["loseChannel"], 5, 1))
        next(iter(self.table)).close()
        self.table.add(Face(Wire()))

    def test_facesWithoutALinkHaveANumberOfTheirOwn(self) -> None:
        face = InternalFace(self.clock, self.receiver)
        self.table.add(face, INTERNAL_FACE)
        self.assertEqual(self.events(), [("created", INTERNAL_FACE), ("up", INTERNAL_FACE)])
        self.table.remove(face)
        self.assertEqual(self.events(), [("down", INTERNAL_FACE), ("destroyed", INTERNAL_FACE)])

    def test_anObserverThatComesLateHearsOfThoseThatAreThere(self) -> None:
        self.table.add(Face(Wire()))
        late = FakeObserver()
        self.table.addObserver(late)
        self.assertEqual(late.events, [("created", FIRST_FACE), ("up", FIRST_FACE)])
        self.table.removeObserver(late)
        self.table.closeAll()
        self.assertEqual(len(late.events), 2)

    def test_anObserverThatFailsDoesNotHoldUpTheOthers(self) -> None:
        self.table.removeObserver(self.observer)
        self.table.addObserver(object())  # type: ignore[arg-type]
        self.table.addObserver(self.observer)
        self.table.add(Face(Wire()))
        self.assertEqual(len(self.observer.events), 2)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 2)

    def test_itKnowsWhereFacesAreAccepted(self) -> None:
        self.table.accepts("a", lambda: ["udp4://0.0.0.0:6363"])
        self.table.accepts("b", lambda: ["unix:///run/x"])
        self.assertEqual(self.table.channels(), ["udp4://0.0.0.0:6363", "unix:///run/x"])
        self.table.accepts("a", None)
        self.assertEqual(self.table.channels(), ["unix:///run/x"])

    def test_facesSentOfOneBatchLeaveTogether(self) -> None:
        near, far = Wire(), Wire()
        self.table.add(Face(near))
        other = self.table.add(Face(far))
        writes: list[int] = []
        write = far.write
        far.write = lambda datagrams: (writes.append(len(datagrams)), write(datagrams))[1]  # type: ignore[method-assign, func-returns-value]
        self.receiver.answer = lambda face, view: other.sendInterest(view)
        near.deliver(*[interest(nonce=nonce).wire for nonce in range(7)])
        self.assertEqual(writes, [7])


class CreatingTests(TableCase):
    """
    Faces that somebody asks for.
    """

    def make(self, address: FaceAddress, persistency: object, mtu: object, flags: object) -> INDNFace:
        """
        See L{hermes.ndn.face.table.Maker}.
        """
        self.asked = (address, persistency, mtu, flags)
        if address.transport == "unix":
            raise ValueError("not to Unix sockets")
        return Face(Wire(), address.uri)

    def test_oneIsMade(self) -> None:
        self.table.maker = self.make
        face = self.successResultOf(self.table.create("udp4://192.0.2.1:6363", None, "permanent", 1400, 3))
        self.assertEqual(self.asked, (FaceAddress.fromText("udp:192.0.2.1:6363"), "permanent", 1400, 3))
        self.assertIs(self.table.get(FIRST_FACE), face)
        again = self.successResultOf(self.table.create("udp4://192.0.2.1:6363"))
        self.assertIs(again, face)

    def test_whatCanNotBeMadeIsToldInASentence(self) -> None:
        failure = self.failureResultOf(self.table.create("udp4://192.0.2.1:6363"), ValueError)
        self.assertEqual(str(failure.value), "faces can't be made here")
        self.table.maker = self.make
        for uri, localURI in (
            ("ether://[08:00:27:01:01:01]", None),
            ("unix:///run/x", None),
            ("udp4://192.0.2.1:6363", "udp4://192.0.2.2:6363"),
        ):
            self.failureResultOf(self.table.create(uri, localURI), ValueError)
        for _ in range(5):
            self.table.add(Face(Wire()))
        self.failureResultOf(self.table.create("udp4://192.0.2.1:6363"), Overloaded)


class IPigeon(Interface):
    """
    Carries packets.
    """


@implementer(IPigeon)
class Pigeon:
    """
    A transport that somebody's extension knows.
    """


class AdaptationTests(TableCase):
    """
    C{INDNFace(x)}.
    """

    def exchange(self, face: INDNFace) -> None:
        """
        Send one packet each way.
        """
        self.table.add(face)
        face.sendData(data())

    def test_aDatagramChannel(self) -> None:
        wire = Wire()
        self.assertTrue(IDatagramChannel.providedBy(wire))
        face = INDNFace(wire)
        self.exchange(face)
        self.assertEqual(wire.take(), [data().wire])
        self.assertEqual((face.remoteURI, face.local), ("udp://", False))

    def test_aByteStream(self) -> None:
        stream = FakeStream(self.clock)
        self.assertTrue(IStreamTransport.providedBy(stream))
        face = INDNFace(stream)
        self.exchange(face)
        self.assertEqual(bytes(stream.taken), data().wire)
        stream.deliver(interest().wire)
        self.assertEqual(self.receiver.wires(), [interest().wire])
        self.assertEqual((face.remoteURI, face.localURI), ("tcp4://127.0.0.1:50000", "tcp4://127.0.0.1:3306"))
        # That an address is one of this host makes nobody local: it may be a proxy's.
        self.assertFalse(face.local)

    def test_theEndOfAFlow(self) -> None:
        near, far = joint(self.clock)
        peer = FakeReceiver()
        other = FaceTable(self.clock)
        other.receiver = peer
        self.exchange(INDNFace(near))
        other.add(INDNFace(far))
        self.assertEqual(peer.wires(), [data().wire])

    def test_oneOfTwistedsTransports(self) -> None:
        transport = StringTransport()
        self.assertTrue(ITransport.providedBy(transport))
        self.exchange(INDNFace(transport))
        self.assertEqual(transport.value(), data().wire)

    def test_whatAnExtensionKnows(self) -> None:
        with self.assertRaises(TypeError):
            INDNFace(Pigeon())
        wire = Wire()
        registerAdapter(lambda pigeon: Face(wire, "pigeon://1"), IPigeon, INDNFace)
        face = INDNFace(Pigeon())
        self.exchange(face)
        self.assertEqual((face.remoteURI, wire.take()), ("pigeon://1", [data().wire]))
