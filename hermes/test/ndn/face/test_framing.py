"""
Tests for L{hermes.ndn.face.framing}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.framing import MAX_LINK_PACKET, MAX_SKIPPED, MAX_STRAY, FramingLost, PacketFramer
from hermes.ndn.packet.lp import encode
from hermes.ndn.packet.tlv import encodeElement
from hermes.test.ndn.face.fakes import data, dataOf, interest

PACKETS = [
    interest().wire,
    data().wire,
    encode(interest().wire, pitToken=b"token"),
    dataOf(8800).wire,
    encode(None, acks=(1, 2)),
    dataOf(1300).wire,
]

sizes = st.lists(st.integers(1, 5000), max_size=30)


def chunks(stream: bytes, lengths: list[int]) -> list[bytes]:
    """
    A stream in pieces.
    """
    found = []
    for length in lengths:
        found.append(stream[:length])
        stream = stream[length:]
    return [*found, stream]


class PacketFramerTests(SynchronousTestCase):
    """
    A stream becomes packets.
    """

    def setUp(self) -> None:
        self.framer = PacketFramer()

    def feed(self, stream: bytes, lengths: list[int] | None = None) -> list[bytes]:
        """
        The packets of a stream, which is lent.
        """
        found: list[bytes] = []
        for chunk in chunks(stream, lengths or []):
            lent = bytearray(chunk)
            found += self.framer.receive(memoryview(lent))
            lent[:] = b"!" * len(lent)
        return found

    def test_manyAtOnce(self) -> None:
        self.assertEqual(self.feed(b"".join(PACKETS)), PACKETS)

    def test_byteByByte(self) -> None:
        stream = b"".join(PACKETS)
        self.assertEqual(self.feed(stream, [1] * len(stream)), PACKETS)

    @given(sizes)
    def test_anyChunks(self, lengths: list[int]) -> None:
        self.framer = PacketFramer()
        self.assertEqual(self.feed(b"".join(PACKETS), lengths), PACKETS)

    def test_whatIsTooLargeIsPassedOver(self) -> None:
        large = encodeElement(6, bytes(MAX_LINK_PACKET))
        for lengths in ([], [3, 5000, 5000], [1] * (len(large) + 20)):
            self.framer = PacketFramer()
            self.assertEqual(self.feed(PACKETS[0] + large + PACKETS[1], lengths), PACKETS[:2])
            self.assertEqual(self.framer.skipped, 1)

    def test_theLargestPacketIsNot(self) -> None:
        large = encodeElement(100, bytes(MAX_LINK_PACKET - 4))
        self.assertEqual(self.feed(large), [large])

    def test_unknownTypesArePassedOver(self) -> None:
        strange = encodeElement(0x9000, b"what") + encodeElement(7, b"")
        self.assertEqual(self.feed(PACKETS[0] + strange + PACKETS[1], [40, 3, 1, 1, 1, 1, 1, 1]), PACKETS[:2])
        self.assertEqual(self.framer.skipped, 2)

    def test_aStreamOfThemIsNone(self) -> None:
        strange = encodeElement(0x9000, b"what")
        self.feed(strange * (MAX_STRAY - 1) + PACKETS[0] + strange * (MAX_STRAY - 1))
        with self.assertRaises(FramingLost):
            self.feed(strange)

    def test_somethingElseIsNoStreamOfPackets(self) -> None:
        for garbage in (
            b"\0\0\0\0",
            b"GET / HTTP/1.1\r\nHost: example\r\n\r\n" * 30,
            b"\xfd\x00\x05" + bytes(20),
            b"\x05\xfd\x00\x10" + bytes(20),
            b"\x06\xff" + b"\xff" * 8 + bytes(20),
            encodeElement(6, b"")[:1] + b"\xfe" + (MAX_SKIPPED + 1).to_bytes(4, "big"),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(3000),
        ):
            self.framer = PacketFramer()
            with self.assertRaises(FramingLost):
                for size in range(0, len(garbage), 3):
                    self.framer.receive(garbage[size : size + 3])

    @given(st.binary(max_size=4000), sizes)
    def test_whateverComesItIsFramedOrRefusedAlike(self, stream: bytes, lengths: list[int]) -> None:
        outcomes = []
        for cuts in ([], lengths):
            framer = PacketFramer()
            packets: list[bytes] = []
            refused = False
            try:
                for chunk in chunks(stream, cuts):
                    packets += framer.receive(chunk)
            except FramingLost:
                refused = True
            outcomes.append((refused, None if refused else packets))
        self.assertEqual(outcomes[0], outcomes[1])

    def test_whatWaitsIsNoLargerThanAPacket(self) -> None:
        for _ in range(1000):
            self.framer.receive(encodeElement(6, bytes(MAX_LINK_PACKET - 10))[:-1] if _ == 0 else b"")
        self.assertLessEqual(len(self.framer._rest), MAX_LINK_PACKET)
