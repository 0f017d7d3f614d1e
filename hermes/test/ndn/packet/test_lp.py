"""
Tests for L{hermes.ndn.packet.lp}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.lp import LpPacket, decode, encode
from hermes.ndn.packet.tlv import encodeElement
from hermes.test.ndn.packet.strategies import lpFields

INTEREST = b"\x05\x05\x07\x03\x08\x01a"
DATA = b"\x06\x00"


def packet(*fields: bytes) -> bytes:
    """
    An LpPacket with these fields.
    """
    return encodeElement(0x64, b"".join(fields))


def fragment(payload: bytes = INTEREST) -> bytes:
    """
    The field that carries something.
    """
    return encodeElement(0x50, payload)


class DecodeTests(SynchronousTestCase):
    """
    Reading.
    """

    def test_bareNetworkPacketsAreTheirOwnFragment(self) -> None:
        for wire in (INTEREST, DATA):
            self.assertIs(decode(wire).fragment, wire)

    def test_everyField(self) -> None:
        found = decode(
            packet(
                bytes.fromhex("5108" + "0000000000000007"),
                bytes.fromhex("520101" + "530103"),
                bytes.fromhex("6204" + "01020304"),
                bytes.fromhex("fd032c020100" + "fd03300105"),
                bytes.fromhex("fd033405fd03350101"),
                bytes.fromhex("fd03400101"),
                bytes.fromhex("fd0344080000000000000001" + "fd0344080000000000000002"),
                bytes.fromhex("fd0348080000000000000009"),
                bytes.fromhex("fd034c00"),
                bytes.fromhex("fd03500178"),
                fragment(b"piece"),
            )
        )
        self.assertEqual(found.fragment, b"piece")
        self.assertEqual((found.sequence, found.fragIndex, found.fragCount), (7, 1, 3))
        self.assertEqual((found.pitToken, found.incomingFace, found.nextHopFace), (b"\x01\x02\x03\x04", 256, 5))
        self.assertEqual((found.cachePolicy, found.congestionMark), (1, 1))
        self.assertEqual((found.acks, found.txSequence), ((1, 2), 9))
        self.assertEqual((found.nonDiscovery, found.prefixAnnouncement), (True, b"x"))
        self.assertIsNone(found.nackReason)

    def test_nacksMayGiveAReason(self) -> None:
        for field, reason in (("fd032005fd03210132", 50), ("fd032000", 0), ("fd032006fd0321020100", 256)):
            self.assertEqual(decode(packet(bytes.fromhex(field), fragment())).nackReason, reason)

    def test_anIdlePacketHasNoFragment(self) -> None:
        found = decode(packet(bytes.fromhex("fd0344080000000000000001")))
        self.assertIsNone(found.fragment)
        self.assertEqual(found.acks, (1,))
        self.assertIsNone(decode(packet()).fragment)

    def test_fieldsMayComeInAnyOrderBeforeTheFragment(self) -> None:
        found = decode(packet(bytes.fromhex("fd03400101"), bytes.fromhex("62020102"), fragment()))
        self.assertEqual((found.congestionMark, found.pitToken), (1, b"\x01\x02"))

    def test_someUnknownFieldsAreIgnored(self) -> None:
        for kind in (800 + 8, 956):
            self.assertEqual(decode(packet(encodeElement(kind, b"x"), fragment())).fragment, INTEREST)

    def test_otherUnknownFieldsMakeItAnError(self) -> None:
        for kind in (82 + 2, 99, 799, 796, 809, 810, 811, 957, 960, 1000, 5):
            with self.assertRaisesRegex(PacketError, "knows no field"):
                decode(packet(encodeElement(kind, b"x"), fragment()))

    def test_onlyAcksMayComeTwice(self) -> None:
        for field in ("62020102", "fd03400101", "fd034c00", "fd0328" + "00"):
            with self.assertRaisesRegex(PacketError, "twice"):
                decode(packet(bytes.fromhex(field), bytes.fromhex(field), fragment()))

    def test_nothingFollowsTheFragment(self) -> None:
        with self.assertRaisesRegex(PacketError, "follows the fragment"):
            decode(packet(fragment(), b"\x62\x02\x01\x02"))

    def test_fragmentsSayWhichTheyAre(self) -> None:
        sequence = b"\x51\x08" + bytes(8)
        self.assertEqual(decode(packet(sequence, b"\x52\x01\x00", b"\x53\x01\x01", fragment())).fragCount, 1)
        for fields in (
            (b"\x52\x01\x00", b"\x53\x01\x02"),
            (sequence, b"\x52\x01\x02", b"\x53\x01\x02"),
            (sequence, b"\x52\x01\x01"),
            (sequence, b"\x53\x01\x00"),
        ):
            with self.assertRaises(PacketError):
                decode(packet(*fields, fragment()))

    def test_malformedFieldsAreErrors(self) -> None:
        for field in (
            "5104" + "00000000",
            "5203000000",
            "5300",
            "6200",
            "6221" + "00" * 33,
            "fd032c00",
            "fd033400",
            "fd033404fd033500",
            "fd034003000000",
            "fd034404" + "00000000",
            "fd034809" + "00" * 9,
            "fd034c0100",
            "fd032004fd032100",
            "fd032005fd03210a32",
            "51",
        ):
            with self.assertRaises(PacketError, msg=field):
                decode(packet(bytes.fromhex(field), fragment()))

    def test_aNackIsOfAnInterest(self) -> None:
        with self.assertRaisesRegex(PacketError, "no Interest"):
            decode(packet(bytes.fromhex("fd032000")))

    def test_whatIsNoPacketIsAnError(self) -> None:
        for wire in (
            b"",
            b"\x07\x00",
            b"\x64",
            b"\x64\x01",
            INTEREST + b"\0",
            packet(fragment()) + b"\0",
            b"\x64\xfd\0\0",
        ):
            with self.assertRaises(PacketError):
                decode(wire)


class EncodeTests(SynchronousTestCase):
    """
    Writing.
    """

    def test_withNothingToSayItIsTheBarePacket(self) -> None:
        self.assertIs(encode(INTEREST), INTEREST)
        self.assertEqual(encode(memoryview(DATA)), DATA)

    def test_fieldsAreInOrder(self) -> None:
        wire = encode(
            INTEREST, 7, 1, 3, 50, b"\x01", 1, 256, 5, 1, (1, 2), 9, nonDiscovery=True, prefixAnnouncement=b"x"
        )
        self.assertEqual(
            wire.hex(),
            "646b"
            + "51080000000000000007" + "520101" + "530103" + "620101"
            + "fd032005fd03210132" + "fd032c020100" + "fd03300105" + "fd033405fd03350101" + "fd03400101"
            + "fd0344080000000000000001" + "fd0344080000000000000002" + "fd0348080000000000000009"
            + "fd034c00" + "fd03500178" + "5007" + INTEREST.hex(),
        )  # fmt: skip

    def test_aNackWithoutAReasonSaysSo(self) -> None:
        self.assertEqual(encode(INTEREST, nackReason=0).hex(), "6412" + "fd032005fd03210100" + "5007" + INTEREST.hex())

    def test_anIdlePacketHasNoFragment(self) -> None:
        self.assertEqual(encode(None, acks=(1,)), packet(bytes.fromhex("fd0344080000000000000001")))
        self.assertEqual(encode(None), packet())

    def test_whatCannotBeWrittenIsAnError(self) -> None:
        for token in (b"", bytes(33)):
            with self.assertRaises(ValueError):
                encode(INTEREST, pitToken=token)
        with self.assertRaises(ValueError):
            encode(INTEREST, congestionMark=-1)
        with self.assertRaises(OverflowError):
            encode(INTEREST, sequence=1 << 64)

    @given(
        st.none() | st.binary(min_size=1, max_size=300),
        lpFields,
        st.integers(0, (1 << 64) - 1),
        st.integers(1, 1 << 64).flatmap(lambda count: st.tuples(st.integers(0, count - 1), st.just(count - 1))),
    )
    def test_roundTrip(
        self, payload: bytes | None, fields: dict[str, Any], sequence: int, which: tuple[int, int]
    ) -> None:
        if payload is None:
            fields["nackReason"] = None
        index, count = which
        count = max(count, index + 1)
        wire = encode(payload, sequence, index, count, **fields)
        found = decode(wire)
        self.assertEqual((found.fragment, found.sequence), (payload, sequence))
        self.assertEqual((found.fragIndex, found.fragCount), (index, count))
        for what, value in fields.items():
            self.assertEqual(getattr(found, what), value, what)
        self.assertEqual({*LpPacket.__slots__}, {*fields, "fragment", "sequence", "fragIndex", "fragCount"})
