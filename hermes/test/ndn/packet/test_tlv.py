"""
Tests for L{hermes.ndn.packet.tlv}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.tlv import (
    MAX_NUMBER,
    MAX_TYPE,
    decodeNumber,
    elements,
    encodeElement,
    encodeInteger,
    encodeNumber,
    isCritical,
    nonNegative,
    only,
    passOver,
    readHead,
    readNonNegative,
)


class NumberTests(SynchronousTestCase):
    """
    Types and lengths.
    """

    def test_shortestForms(self) -> None:
        for number, wire in (
            (0, "00"),
            (252, "fc"),
            (253, "fd00fd"),
            (65535, "fdffff"),
            (65536, "fe00010000"),
            ((1 << 32) - 1, "feffffffff"),
            (1 << 32, "ff0000000100000000"),
            (MAX_NUMBER, "ffffffffffffffffff"),
        ):
            self.assertEqual(encodeNumber(number).hex(), wire)
            self.assertEqual(decodeNumber(bytes.fromhex(wire), 0, len(wire) // 2), (number, len(wire) // 2))

    def test_aLongerFormThanNeededIsRefused(self) -> None:
        for wire in ("fd0000", "fd00fc", "fe00000000", "fe0000ffff", "ff00000000ffffffff"):
            with self.assertRaisesRegex(PacketError, "shortest"):
                decodeNumber(bytes.fromhex(wire), 0, len(wire) // 2)

    def test_aNumberThatReachesBeyondTheEndIsRefused(self) -> None:
        for wire in ("", "fd", "fd01", "fe010000", "ff01000000000000"):
            with self.assertRaisesRegex(PacketError, "ends within"):
                decodeNumber(bytes.fromhex(wire), 0, len(wire) // 2)

    def test_theEndIsHeededThoughTheBufferGoesOn(self) -> None:
        with self.assertRaises(PacketError):
            decodeNumber(b"\xfd\x01\x00", 0, 2)

    def test_whatHasNoNumberIsAnError(self) -> None:
        for number in (-1, MAX_NUMBER + 1):
            with self.assertRaises(ValueError):
                encodeNumber(number)

    @given(st.integers(0, MAX_NUMBER))
    def test_roundTrip(self, number: int) -> None:
        wire = encodeNumber(number)
        self.assertEqual(decodeNumber(b"\x07" + wire + b"\x08", 1, 1 + len(wire)), (number, 1 + len(wire)))


class IntegerTests(SynchronousTestCase):
    """
    NonNegativeInteger.
    """

    def test_ofOneTwoFourOrEightBytes(self) -> None:
        for number, wire in ((0, "00"), (255, "ff"), (256, "0100"), (65536, "00010000"), (1 << 32, "0000000100000000")):
            self.assertEqual(nonNegative(number).hex(), wire)

    def test_itNeedNotBeTheShortest(self) -> None:
        self.assertEqual(readNonNegative(b"\0\0\0\x07", 0, 4), 7)

    def test_otherLengthsAreRefused(self) -> None:
        for size in (0, 3, 5, 6, 7, 9):
            with self.assertRaises(PacketError):
                readNonNegative(bytes(size), 0, size)

    def test_whatHasNoIntegerIsAnError(self) -> None:
        for number in (-1, MAX_NUMBER + 1):
            with self.assertRaises(ValueError):
                nonNegative(number)

    @given(st.integers(0, MAX_NUMBER))
    def test_roundTrip(self, number: int) -> None:
        wire = encodeInteger(25, number)
        self.assertEqual(readNonNegative(wire, 2, len(wire)), number)


class ElementTests(SynchronousTestCase):
    """
    Whole elements.
    """

    def test_typesBeyondThirtyTwoBitsAreRefused(self) -> None:
        with self.assertRaisesRegex(PacketError, "too large"):
            readHead(encodeNumber(MAX_TYPE + 1) + b"\0", 0, 10)
        self.assertEqual(readHead(encodeElement(MAX_TYPE, b"x"), 0, 7), (MAX_TYPE, 6, 7))

    def test_typeZeroIsRefused(self) -> None:
        with self.assertRaises(PacketError):
            readHead(b"\0\0", 0, 2)
        for kind in (0, -1, MAX_TYPE + 1):
            with self.assertRaises(ValueError):
                encodeElement(kind, b"")

    def test_whatReachesBeyondItsEndIsRefused(self) -> None:
        for wire in (b"", b"\x08", b"\x08\x01", b"\x08\xfd\x01\x00", b"\x08\xfd"):
            with self.assertRaises(PacketError):
                readHead(wire, 0, len(wire))

    def test_theEndIsHeededThoughTheBufferGoesOn(self) -> None:
        for end in range(4):
            with self.assertRaises(PacketError):
                readHead(b"\x08\x02ab\x08\x02ab", 0, end)

    def test_onlyOneElementIsOnlyOne(self) -> None:
        self.assertEqual(only(b"\x07\x02ab", 7, "Name"), (2, 4))
        with self.assertRaisesRegex(PacketError, "no Name"):
            only(b"\x08\x02ab", 7, "Name")
        with self.assertRaisesRegex(PacketError, "follow"):
            only(b"\x07\x02ab\0", 7, "Name")

    @given(st.lists(st.tuples(st.integers(1, MAX_TYPE), st.binary(max_size=300)), max_size=8))
    def test_sequencesRoundTrip(self, pairs: list[tuple[int, bytes]]) -> None:
        wire = b"".join(encodeElement(*pair) for pair in pairs)
        found = [(kind, wire[start:stop]) for kind, start, stop in elements(wire, 0, len(wire))]
        self.assertEqual(found, pairs)

    @given(st.binary(max_size=60))
    def test_anyBytesAreElementsOrAnError(self, wire: bytes) -> None:
        try:
            heads = list(elements(wire, 0, len(wire)))
        except PacketError:
            return
        self.assertEqual(b"".join(encodeElement(kind, wire[start:stop]) for kind, start, stop in heads), wire)

    def test_criticalAreLowTypesAndOddOnes(self) -> None:
        self.assertEqual([kind for kind in range(28, 40) if isCritical(kind)], [28, 29, 30, 31, 33, 35, 37, 39])
        passOver(32, "it")
        for kind in (7, 30, 33):
            with self.assertRaisesRegex(PacketError, "critical"):
                passOver(kind, "it")
