"""
TCP in capsules.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import StreamReset
from hermes.interfaces import IStreamTransport
from hermes.test.tunnel.fakes import Stream
from hermes.testing import CONNECT_ERROR, MemoryNetwork
from hermes.tunnel.codes import PROTOCOL_ERROR
from hermes.tunnel.request import connectTCPHead
from hermes.tunnel.tcpcapsules import DATA, FINAL_DATA, CapsuleStream
from hermes.values import ResponseHead, Target
from hermes.wire.capsule import encodeCapsule


class CapsuleStreamTests(SynchronousTestCase):
    """
    L{CapsuleStream} at both ends of an exchange.
    """

    def setUp(self) -> None:
        self.open()

    def open(self) -> None:
        self.network = MemoryNetwork()
        self.clientEnd, self.serverEnd = self.network.pair(connectTCPHead(Target("db.hermes", 1), b"p"))
        self.serverEnd.respond(ResponseHead(200))
        self.client, self.server = Stream(), Stream()
        self.clientEnd.attach(CapsuleStream(self.client))
        self.serverEnd.attach(CapsuleStream(self.server))
        self.network.pump()

    def test_itIsAStreamTransport(self) -> None:
        verifyObject(IStreamTransport, self.client.transport)

    def test_bytesCrossBothWays(self) -> None:
        self.client.transport.write(b"question")
        self.client.transport.writeSequence([b"", memoryview(b" mark"), bytearray(b"?")])
        self.server.transport.write(bytes(100_000))
        self.network.pump()
        self.assertEqual(self.server.received, b"question mark?")
        self.assertEqual(self.client.received, bytes(100_000))

    def test_halfCloseLeavesTheOtherDirectionOpen(self) -> None:
        for one, other in ((self.client, self.server), (self.server, self.client)):
            self.open()
            one, other = (self.client, self.server) if one is not self.server else (self.server, self.client)
            one.transport.write(b"all")
            one.transport.loseWriteConnection()
            self.network.pump()
            self.assertEqual((other.received, other.readEnded, other.lost), (b"all", True, None))
            other.transport.write(b"answer")
            other.transport.loseWriteConnection()
            self.network.pump()
            self.assertEqual(one.received, b"answer")
            for stream in (one, other):
                assert stream.lost is not None
                stream.lost.trap(ConnectionDone)

    def test_finalDataGoesBeforeTheEndOfTheStream(self) -> None:
        raw = Stream()
        client, server = self.network.pair(connectTCPHead(Target("db.hermes", 1), b"p"))
        stream = Stream()
        client.attach(raw)
        server.attach(CapsuleStream(stream))
        stream.transport.loseWriteConnection()
        self.network.pump()
        self.assertEqual(raw.received, encodeCapsule(FINAL_DATA, b""))
        self.assertFalse(raw.readEnded)
        client.write(encodeCapsule(FINAL_DATA, b"bye"))
        self.network.pump()
        self.assertEqual((stream.received, stream.readEnded, raw.readEnded), (b"bye", True, True))

    def test_abortIsCarriedAsConnectError(self) -> None:
        self.client.transport.abortConnection()
        self.network.pump()
        self.assertEqual(self.serverEnd.resetWith, CONNECT_ERROR)
        assert self.server.lost is not None and self.client.lost is not None
        self.server.lost.trap(StreamReset)

    def test_anEndWithoutFinalDataIsATruncation(self) -> None:
        self.clientEnd.write(encodeCapsule(DATA, b"half"))
        self.clientEnd.loseWriteConnection()
        self.network.pump()
        self.assertEqual((self.server.received, self.server.readEnded), (b"half", False))
        assert self.server.lost is not None
        self.server.lost.trap(StreamReset)
        self.assertEqual(self.clientEnd.resetWith, CONNECT_ERROR)

    def test_anEndWithinACapsuleIsATruncation(self) -> None:
        self.clientEnd.write(encodeCapsule(FINAL_DATA, b"half")[:-1])
        self.clientEnd.loseWriteConnection()
        self.network.pump()
        assert self.server.lost is not None
        self.server.lost.trap(StreamReset)

    def test_dataAfterFinalDataIsMalformed(self) -> None:
        self.clientEnd.write(encodeCapsule(FINAL_DATA, b"end") + encodeCapsule(DATA, b"more"))
        self.network.pump()
        self.assertEqual(self.server.received, b"end")
        self.assertEqual(self.clientEnd.resetWith, PROTOCOL_ERROR)

    def test_otherCapsulesAreSkipped(self) -> None:
        self.clientEnd.write(
            encodeCapsule(0, b"datagram") + encodeCapsule(DATA, b"a") + encodeCapsule(99, bytes(70_000))
        )
        self.clientEnd.write(encodeCapsule(FINAL_DATA, b"b") + encodeCapsule(99, b""))
        self.network.pump()
        self.assertEqual((self.server.received, self.server.readEnded), (b"ab", True))

    def test_aProtocolWithoutHalfCloseIsClosedAsOverTCP(self) -> None:
        received: list[bytes] = []

        class Plain(Protocol):
            def dataReceived(self, data: bytes) -> None:
                received.append(data)

        client, server = self.network.pair(connectTCPHead(Target("db.hermes", 1), b"p"))
        stream = Stream()
        client.attach(CapsuleStream(stream))
        server.attach(CapsuleStream(Plain()))
        stream.transport.write(b"bytes of its own")
        stream.transport.loseWriteConnection()
        self.network.pump()
        self.assertEqual(received, [b"bytes of its own"])
        self.assertIsInstance(received[0], bytes)
        assert stream.lost is not None
        stream.lost.trap(ConnectionDone)

    def test_losingTheConnectionIsOrderlyAndFinal(self) -> None:
        self.client.transport.write(b"last words")
        self.client.transport.loseConnection()
        self.network.pump()
        self.assertEqual((self.server.received, self.server.readEnded), (b"last words", True))
        self.server.transport.loseConnection()
        self.network.pump()
        for stream in (self.client, self.server):
            assert stream.lost is not None
            stream.lost.trap(ConnectionDone)

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(st.tuples(st.sampled_from([DATA, DATA, 0, 77]), st.binary(max_size=200)), max_size=8),
        st.lists(st.integers(1, 40), min_size=1, max_size=20),
    )
    def test_whatArrivesDoesNotDependOnHowItIsCut(self, capsules: list[tuple[int, bytes]], cuts: list[int]) -> None:
        self.open()
        wire = b"".join(encodeCapsule(*capsule) for capsule in capsules) + encodeCapsule(FINAL_DATA, b"end")
        position = 0
        while position < len(wire):
            size = cuts[position % len(cuts)]
            self.clientEnd.write(wire[position : position + size])
            position += size
        self.network.pump()
        self.assertEqual(self.server.received, b"".join(v for kind, v in capsules if kind == DATA) + b"end")
        self.assertTrue(self.server.readEnded)
