"""
Tests for L{hermes.ndn.face.accepting}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionLost

from hermes.ndn.face.accepting import StreamFaces
from hermes.ndn.interfaces import INDNFace
from hermes.test.fabric.fakes import FakeStream
from hermes.test.ndn.face.fakes import data, interest
from hermes.test.ndn.face.test_table import TableCase


class StreamFacesTests(TableCase):
    """
    A face for each connection.
    """

    def setUp(self) -> None:
        super().setUp()
        self.faces = StreamFaces(self.table)

    def connect(self, peer: Any = None, host: Any = None) -> FakeStream:
        """
        A program connects.
        """
        stream = FakeStream(self.clock)
        stream.peer = peer or stream.peer
        stream.host = host or stream.host
        stream.attach(self.faces.buildProtocol(None))
        return stream

    def last(self) -> INDNFace:
        """
        The newest face.
        """
        return list(self.table)[-1]

    def test_aConnectionIsAFace(self) -> None:
        stream = self.connect()
        face = self.last()
        self.assertEqual((face.remoteURI, face.localURI), ("tcp4://127.0.0.1:50000", "tcp4://127.0.0.1:3306"))
        self.assertEqual((face.persistency, face.up), ("on-demand", True))
        stream.deliver(interest().wire)
        self.assertEqual(self.receiver.packets[0][:2], ("interest", face))
        face.sendData(data())
        self.assertEqual(bytes(stream.taken), data().wire)

    def test_whoIsOnThisHostIsLocal(self) -> None:
        self.connect()
        self.assertTrue(self.last().local)
        self.connect(IPv4Address("TCP", "192.0.2.1", 5))
        self.assertFalse(self.last().local)

    def test_aProgramAtAUnixSocketHasNoName(self) -> None:
        self.connect(UNIXAddress(None), UNIXAddress("/run/ndn.sock"))
        first = self.last()
        self.connect(UNIXAddress(None), UNIXAddress("/run/ndn.sock"))
        self.assertTrue(first.local and self.last().local)
        self.assertEqual(first.localURI, "unix:///run/ndn.sock")
        self.assertRegex(first.remoteURI, r"fd://\d+")
        self.assertNotEqual(first.remoteURI, self.last().remoteURI)

    def test_theFaceEndsWithItsConnection(self) -> None:
        self.connect().fail(ConnectionLost())
        self.assertEqual(len(self.table), 0)

    def test_whoSendsSomethingElseIsLeftAndTheOthersGoOn(self) -> None:
        good, bad = self.connect(), self.connect()
        bad.deliver(b"\0GET / HTTP/1.1\r\n\r\n")
        self.clock.advance(0)
        self.assertEqual((bad.calls, len(self.table)), (["abortConnection"], 1))
        good.deliver(interest().wire)
        self.assertEqual(len(self.receiver.packets), 1)

    def test_aPacketThatIsNoneIsCountedAndTheOthersAreTaken(self) -> None:
        stream = self.connect()
        stream.deliver(b"\x05\x01\x00" + b"\x64\x02\x52\x00" + b"\x81\x00" + interest().wire)
        self.assertEqual(self.receiver.wires(), [interest().wire])
        self.assertEqual(self.last().counters.malformedPackets, 3)

    def test_whereTheTableIsFullConnectionsAreClosed(self) -> None:
        self.table.maxFaces = 1
        self.connect()
        stream = self.connect()
        self.assertEqual((stream.calls, len(self.table)), (["loseConnection"], 1))

    def test_transportsAreKnownUntilTheyEnd(self) -> None:
        stream = self.connect()
        self.assertEqual(self.faces.transports(), [stream])
        stream.disconnected = True  # type: ignore[attr-defined]
        self.assertEqual(self.faces.transports(), [])

    def test_aMarkIsSetForAProgramThatDoesNotRead(self) -> None:
        stream = self.connect()
        stream.room = 0
        face = self.last()
        for _ in range(2000):
            face.sendData(data(content=bytes(4000)))
            self.clock.advance(0.01)
        self.assertGreater(face.counters.congestionMarks, 10)
        self.assertGreater(face.counters.droppedPackets, 500)
