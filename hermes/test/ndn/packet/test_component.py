"""
Tests for L{hermes.ndn.packet.component}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.component import (
    BYTE_OFFSET,
    GENERIC,
    SEGMENT,
    VERSION,
    byteOffset,
    componentType,
    componentValue,
    fromText,
    generic,
    implicitDigest,
    isNumber,
    keyword,
    number,
    parametersDigest,
    segment,
    sequence,
    timestamp,
    toText,
    typed,
    version,
)
from hermes.ndn.packet.errors import PacketError
from hermes.test.ndn.packet.strategies import components

DIGEST = bytes(range(32))


class MakingTests(SynchronousTestCase):
    """
    Components of all kinds.
    """

    def test_eachConventionHasItsType(self) -> None:
        for component, wire in (
            (generic(b"ab"), "08026162"),
            (keyword(b"metadata"), "20086d65746164617461"),
            (segment(0), "320100"),
            (segment(256), "32020100"),
            (byteOffset(65536), "340400010000"),
            (version(7), "360107"),
            (timestamp(1 << 32), "38080000000100000000"),
            (sequence(5), "3a0105"),
            (implicitDigest(DIGEST), "0120" + DIGEST.hex()),
            (parametersDigest(DIGEST), "0220" + DIGEST.hex()),
            (typed(300, b""), "fd012c00"),
        ):
            self.assertEqual(component.hex(), wire)

    def test_partsCanBeTakenOutAgain(self) -> None:
        self.assertEqual(componentType(typed(300, b"xy")), 300)
        self.assertEqual(componentValue(typed(300, b"xy")), b"xy")
        self.assertEqual(componentValue(generic(bytes(300))), bytes(300))
        self.assertEqual(number(segment(1000)), 1000)
        self.assertEqual(number(generic(b"\x01\x00")), 256)

    def test_numbersAreNumbersOfTheRightType(self) -> None:
        self.assertTrue(isNumber(segment(3), SEGMENT))
        self.assertFalse(isNumber(segment(3), VERSION))
        self.assertFalse(isNumber(typed(SEGMENT, b"abc"), SEGMENT))

    def test_whatHoldsNoNumberIsAnError(self) -> None:
        for value in (b"", b"abc", bytes(9)):
            with self.assertRaises(PacketError):
                number(typed(SEGMENT, value))

    def test_whatCannotBeMadeIsAnError(self) -> None:
        for kind, value in ((0, b""), (65536, b""), (1, bytes(31)), (2, bytes(33))):
            with self.assertRaises(ValueError):
                typed(kind, value)
        with self.assertRaises(ValueError):
            segment(-1)
        with self.assertRaises(ValueError):
            version(1 << 64)

    def test_whatIsNoComponentIsAnError(self) -> None:
        for wire in (b"", b"\x08", b"\x08\x02a", b"\x08\x01ab"):
            with self.assertRaises(PacketError):
                componentType(wire)


class TextTests(SynchronousTestCase):
    """
    URIs.
    """

    def test_asTheSpecificationWritesThem(self) -> None:
        for text, component in (
            ("hello", generic(b"hello")),
            ("a%2Fb%20c", generic(b"a/b c")),
            ("%C3%A9", generic("é".encode())),
            ("...", generic(b"")),
            ("....", generic(b".")),
            (".....", generic(b"..")),
            ("......", generic(b"...")),
            ("a..", generic(b"a..")),
            ("x%3Dy", generic(b"x=y")),
            ("seg=13", segment(13)),
            ("off=0", byteOffset(0)),
            ("v=18446744073709551615", version((1 << 64) - 1)),
            ("t=1600000000000000", timestamp(1600000000000000)),
            ("seq=256", sequence(256)),
            ("32=metadata", keyword(b"metadata")),
            ("32=...", keyword(b"")),
            ("50=abc", typed(SEGMENT, b"abc")),
            ("50=%00%01", typed(SEGMENT, b"\x00\x01")),
            ("65535=%00", typed(65535, b"\0")),
            (f"sha256digest={DIGEST.hex()}", implicitDigest(DIGEST)),
            (f"params-sha256={DIGEST.hex()}", parametersDigest(DIGEST)),
        ):
            self.assertEqual(fromText(text), component, text)
            self.assertEqual(toText(component), text)

    def test_otherWaysToWriteTheSame(self) -> None:
        for text, component in (
            ("8=hello", generic(b"hello")),
            ("50=%0D", segment(13)),
            ("%68ello", generic(b"hello")),
            ("é ", generic("é ".encode())),
            ("a:b+c", generic(b"a:b+c")),
            (f"sha256digest={DIGEST.hex().upper()}", implicitDigest(DIGEST)),
        ):
            self.assertEqual(fromText(text), component, text)

    def test_canonicallyNumbersAreBytes(self) -> None:
        self.assertEqual(toText(segment(13), alternate=False), "50=%0D")
        self.assertEqual(toText(generic(b"a"), alternate=False), "a")

    def test_whatIsNoComponentIsAnErrorThatNamesIt(self) -> None:
        for text in (
            "",
            ".",
            "..",
            "a%",
            "a%2",
            "a%zz",
            "a=b",
            "0=a",
            "08=a",
            "65536=a",
            "-1=a",
            "³=a",
            "seg=",
            "seg=x",
            "seg=01",
            "seg=-1",
            "seg=³",
            "v=18446744073709551616",
            "seg=99999999999999999999999",
            "sha256digest=00",
            "sha256digest=" + "zz" * 32,
            "params-sha256=" + "0" * 63,
        ):
            with self.assertRaises(ValueError) as caught:
                fromText(text)
            self.assertIn(repr(text), str(caught.exception))

    @given(components)
    def test_roundTrip(self, component: bytes) -> None:
        self.assertEqual(fromText(toText(component)), component)
        self.assertEqual(fromText(toText(component, alternate=False)), component)

    @given(st.text(max_size=30))
    def test_anyTextIsAComponentOrAnError(self, text: str) -> None:
        try:
            component = fromText(text)
        except ValueError:
            return
        self.assertEqual(fromText(toText(component)), component)

    def test_theOrderOfBytesIsTheCanonicalOne(self) -> None:
        ordered = [
            implicitDigest(bytes(32)),
            parametersDigest(bytes(32)),
            generic(b""),
            generic(b"b"),
            generic(b"aa"),
            generic(bytes(252)),
            generic(bytes(300)),
            keyword(b""),
            typed(BYTE_OFFSET, b""),
            typed(253, b""),
            typed(65535, b""),
        ]
        self.assertEqual(sorted(ordered), ordered)
        self.assertEqual(componentType(ordered[2]), GENERIC)
