"""
Tests for L{hermes.ndn.packet.data}, L{hermes.ndn.packet.metainfo} and L{hermes.ndn.packet.signatureinfo}.
"""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.component import implicitDigest, segment
from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.metainfo import MetaInfo, readMetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import SignatureInfo, readSignatureInfo
from hermes.ndn.packet.tlv import encodeElement
from hermes.ndn.packet.typenumbers import CONTENT_KEY, INTEREST_SIGNATURE_INFO
from hermes.ndn.security.signers import DigestSigner
from hermes.ndn.security.verifiers import DigestVerifier
from hermes.test.ndn.packet.strategies import metaInfos, names, numbers

NAME = Name.fromText("/a")
SIGNATURE = b"\x16\x03\x1b\x01\x00" + b"\x17\x20" + bytes(32)


class DataTests(SynchronousTestCase):
    """
    L{encodeData} and L{decodeData}.
    """

    def test_asTheSpecificationHasThem(self) -> None:
        wire = encodeData(NAME, b"hi", DigestSigner(), MetaInfo(CONTENT_KEY, 1000, segment(9)))
        signed = bytes.fromhex("0703080161" + "140c1801021902" + "03e81a03320109" + "15026869" + "16031b0100")
        self.assertEqual(wire, encodeElement(6, signed + b"\x17\x20" + sha256(signed).digest()))
        self.assertEqual(decodeData(wire).signed, signed)

    def test_noContentIsNoElement(self) -> None:
        wire = encodeData(NAME, None, DigestSigner())
        self.assertNotIn(b"\x15\x00", wire[:15])
        self.assertIn(b"\x15\x00", encodeData(NAME, b"", DigestSigner())[:15])
        self.assertEqual(decodeData(wire).content, b"")

    def test_contentAndWhatWasSignedAreNotCopied(self) -> None:
        data = decodeData(encodeData(NAME, b"hi", DigestSigner()))
        self.assertIs(data.content.obj, data.wire)
        self.assertIs(data.signed.obj, data.wire)

    def test_theFullNameHasTheDigestOfTheWholePacket(self) -> None:
        data = decodeData(encodeData(NAME, b"hi", DigestSigner()))
        self.assertEqual(data.fullName, NAME + implicitDigest(sha256(data.wire).digest()))

    def test_ignoredElementsWithinAreSigned(self) -> None:
        signed = NAME.encode() + b"\x15\x01x" + b"\x16\x03\x1b\x01\x00"
        value = b"\x17\x20" + sha256(signed).digest()
        data = decodeData(encodeElement(6, signed + value))
        self.assertTrue(DigestVerifier().verifies(0, (data.signed,), data.signatureValue))
        within = NAME.encode() + b"\x30\x00\x15\x01x" + b"\x16\x03\x1b\x01\x00"
        data = decodeData(encodeElement(6, within + b"\x17\x20" + sha256(within).digest() + b"\x32\x00"))
        self.assertTrue(DigestVerifier().verifies(0, (data.signed,), data.signatureValue))

    def test_tooLargeIsRefused(self) -> None:
        size = len(encodeData(NAME, bytes(8000), DigestSigner()))
        encodeData(NAME, bytes(8000 + 8800 - size), DigestSigner())
        with self.assertRaisesRegex(ValueError, "8801"):
            encodeData(NAME, bytes(8001 + 8800 - size), DigestSigner())
        with self.assertRaises(PacketError):
            decodeData(encodeElement(6, NAME.encode() + encodeElement(0x15, bytes(8800)) + SIGNATURE))

    def test_malformedIsAnError(self) -> None:
        name = NAME.encode()
        for value in (
            b"",
            SIGNATURE,
            name,
            name + SIGNATURE[:5],
            name + SIGNATURE[5:],
            name + SIGNATURE[5:] + SIGNATURE[:5],
            name + b"\x16\x00" + SIGNATURE[5:],
            name + b"\x15\x00\x14\x00" + SIGNATURE,
            name + b"\x14\x03\x18\x01" + SIGNATURE,
            name + b"\x13\x00" + SIGNATURE,
            name + SIGNATURE + b"\x31\x00",
            b"\x07\x03\x08\x02a" + SIGNATURE,
        ):
            with self.assertRaises(PacketError):
                decodeData(encodeElement(6, value))
        for wire in (b"", b"\x05\x00", encodeElement(6, name + SIGNATURE) + b"\0"):
            with self.assertRaises(PacketError):
                decodeData(wire)

    @given(names, st.none() | st.binary(max_size=300), metaInfos)
    def test_roundTrip(self, name: Name, content: bytes | None, metaInfo: MetaInfo) -> None:
        wire = encodeData(name, content, DigestSigner(), metaInfo)
        data = decodeData(bytearray(wire))
        self.assertEqual((data.name, data.metaInfo, data.wire), (name, metaInfo, wire))
        self.assertEqual(data.content, content or b"")
        self.assertTrue(DigestVerifier().verifies(0, (data.signed,), data.signatureValue))


class MetaInfoTests(SynchronousTestCase):
    """
    L{MetaInfo}.
    """

    def test_withNothingToSayThereIsNone(self) -> None:
        self.assertEqual(MetaInfo().encode(), b"")
        self.assertEqual(readMetaInfo(b"", 0, 0), (0, 0, None))

    def test_unknownElementsAreIgnoredUnlessTheyAreCritical(self) -> None:
        wire = b"\x30\x00\x18\x01\x02\x80\x01x\x19\x01\x05"
        self.assertEqual(readMetaInfo(wire, 0, len(wire)), (2, 5, None))
        for wire in (b"\x81\x00", b"\x19\x01\x05\x18\x01\x02", b"\x18\x01\x02\x18\x01\x02"):
            with self.assertRaises(PacketError):
                readMetaInfo(wire, 0, len(wire))

    def test_theFinalBlockIsOneComponent(self) -> None:
        for value in (b"", b"\x08", b"\x08\x00\x08\x00", b"\x01\x01a"):
            wire = encodeElement(0x1A, value)
            with self.assertRaises(PacketError):
                readMetaInfo(wire, 0, len(wire))

    @given(metaInfos)
    def test_roundTrip(self, metaInfo: MetaInfo) -> None:
        wire = metaInfo.encode()
        if wire:
            self.assertEqual(wire[0], 0x14)
        self.assertEqual(MetaInfo(*readMetaInfo(wire, len(wire) and 2 + 2 * (wire[1] == 253), len(wire))), metaInfo)


class SignatureInfoTests(SynchronousTestCase):
    """
    L{SignatureInfo}.
    """

    def test_asTheSpecificationHasIt(self) -> None:
        info = SignatureInfo(3, NAME, b"\x01", 1000, 5)
        wire = info.encode(INTEREST_SIGNATURE_INFO)
        self.assertEqual(wire.hex(), "2c14" + "1b0103" + "1c050703080161" + "260101" + "280203e8" + "2a0105")
        certificate = SignatureInfo(3, bytes(2), validity=(b"x", b"y"), description=b"z")
        self.assertEqual(
            certificate.encode().hex(),
            "161c" + "1b0103" + "1c041d020000" + "fd00fd0afd00fe0178fd00ff0179" + "fd010201" + "7a",
        )

    def test_malformedIsAnError(self) -> None:
        for wire in (
            "",
            "1c050703080161",
            "1b00",
            "1b03000000",
            "1b01031b0103",
            "1b01031c0107",
            "1b01031c020800",
            "1b01031c050703080261",
            "1b0103260101260101" + "31" + "00",
            "1b01032600",
            "1b0103fd00fd00",
            "1b0103fd00fd04fd00fe00",
            "1b0103fd00fd08fd00ff00fd00fe00",
            "1b0103fd00fb00",
        ):
            with self.assertRaises(PacketError, msg=wire):
                readSignatureInfo(bytes.fromhex(wire), 0, len(wire) // 2)

    def test_unknownElementsAreIgnoredUnlessTheyAreCritical(self) -> None:
        wire = bytes.fromhex("30001b01033200" + "fd012000")
        self.assertEqual(readSignatureInfo(wire, 0, len(wire)), SignatureInfo(3))

    def test_anEmptyLocatorIsNone(self) -> None:
        self.assertEqual(readSignatureInfo(b"\x1b\x01\x03\x1c\x00", 0, 5), SignatureInfo(3))

    @given(
        st.builds(
            SignatureInfo,
            st.integers(0, 255),
            st.none() | names | st.binary(max_size=40),
            st.none() | st.binary(min_size=1, max_size=9),
            st.none() | numbers,
            st.none() | numbers,
            st.none() | st.tuples(st.binary(max_size=20), st.binary(max_size=20)),
            st.none() | st.binary(max_size=20),
        )
    )
    def test_roundTrip(self, info: SignatureInfo) -> None:
        wire = info.encode()
        start = 4 if wire[1] == 253 else 2
        self.assertEqual(readSignatureInfo(wire, start, len(wire)), info)
