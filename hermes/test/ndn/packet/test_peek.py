"""
Tests for L{hermes.ndn.packet.peek}.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.component import generic, implicitDigest, parametersDigest, segment
from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import decodeInterest, encodeInterest
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView, peekData, peekInterest
from hermes.ndn.packet.tlv import encodeElement
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.packet.strategies import datas, interestOptions, interests, longerNames, metaInfos, names

NAME = b"\x07\x03\x08\x01a"


def interest(*fields: bytes) -> bytes:
    """
    An Interest with these elements after the name C{/a}.
    """
    return encodeElement(5, NAME + b"".join(fields))


def data(*fields: bytes) -> bytes:
    """
    Data with these elements after the name C{/a}.
    """
    return encodeElement(6, NAME + b"".join(fields))


PREFIX, FRESH, NONCE = b"\x21\x00", b"\x12\x00", b"\x0a\x04\x01\x02\x03\x04"
LIFETIME, HOPS = b"\x0c\x02\x03\xe8", b"\x22\x01\x07"
SIGNATURE = (b"\x16\x03\x1b\x01\x00", b"\x17\x20" + bytes(32))


class InterestViewTests(SynchronousTestCase):
    """
    L{peekInterest}.
    """

    def test_whatItSays(self) -> None:
        wire = interest(PREFIX, FRESH, b"\x1e\x0a" + NAME + NAME, NONCE, LIFETIME, HOPS)
        view = peekInterest(wire)
        self.assertEqual(view.wire, wire)
        self.assertEqual((view.name, view.ends), (NAME[2:], (3,)))
        self.assertTrue(view.canBePrefix and view.mustBeFresh)
        self.assertEqual(view.hint, (NAME[2:], NAME[2:]))
        self.assertEqual((view.nonce, view.lifetime, view.hopLimit), (0x01020304, 1000, 7))
        self.assertEqual(wire[view.hopLimitOffset], 7)

    def test_whatItDoesNotSay(self) -> None:
        view = peekInterest(interest())
        self.assertFalse(view.canBePrefix or view.mustBeFresh)
        self.assertEqual((view.hint, view.nonce, view.lifetime, view.hopLimit), ((), None, 4000, None))
        self.assertEqual(view.hopLimitOffset, 0)

    def test_hintsOfBefore2021AreUnderstood(self) -> None:
        view = peekInterest(interest(b"\x1e\x0a\x1f\x08\x1e\x01\x05" + NAME))
        self.assertEqual(view.hint, (NAME[2:],))

    def test_unknownElementsAreIgnoredUnlessTheyAreCritical(self) -> None:
        view = peekInterest(interest(b"\x30\x01x", PREFIX, b"\xfd\x03\x20\x00", NONCE, b"\x32\x00"))
        self.assertTrue(view.canBePrefix)
        for critical in (b"\x1d\x00", b"\x31\x00", b"\xfd\x03\x21\x00", b"\x07\x00"):
            with self.assertRaisesRegex(PacketError, "critical"):
                peekInterest(interest(PREFIX, critical))

    def test_elementsOutOfOrderAreUnknown(self) -> None:
        for fields in ((FRESH, PREFIX), (NONCE, NONCE), (LIFETIME, NONCE), (NONCE, FRESH)):
            with self.assertRaisesRegex(PacketError, "out of order"):
                peekInterest(interest(*fields))
        # HopLimit is not critical: the second one is ignored.
        view = peekInterest(interest(HOPS, b"\x22\x01\x09"))
        self.assertEqual(view.hopLimit, 7)

    def test_aNameIsNeededAndIsNotEmpty(self) -> None:
        for wire in (b"\x05\x00", b"\x05\x02\x07\x00", b"\x05\x02\x08\x00", encodeElement(5, PREFIX + NAME)):
            with self.assertRaises(PacketError):
                peekInterest(wire)

    def test_fieldsOfTheWrongLengthAreErrors(self) -> None:
        for field in (b"\x21\x01\x00", b"\x12\x01\x00", b"\x0a\x03abc", b"\x0a\x05abcde", b"\x0c\x03abc", b"\x22\x00"):
            with self.assertRaises(PacketError):
                peekInterest(interest(field))

    def test_lengthsThatLeadOutsideAreErrors(self) -> None:
        for wire in (
            b"",
            b"\x05",
            b"\x05\x05" + NAME + b"\x00",
            b"\x05\x06" + NAME,
            b"\x05\x05\x07\x04\x08\x01a",
            b"\x05\x05\x07\x03\x08\x02a",
            b"\x05\x05\x07\x03\x08\xfda",
            interest(b"\x0a"),
            interest(b"\x0a\x04abc"),
            interest(b"\x30\xfd\x01"),
            interest(b"\x00\x00"),
            data(*SIGNATURE),
        ):
            with self.assertRaises(PacketError):
                peekInterest(wire)

    def test_lengthsThatAreNotTheShortestAreErrors(self) -> None:
        for wire in (b"\x05\xfd\x00\x05" + NAME, interest(b"\x30\xfd\x00\x00"), b"\x05\x07\x07\xfd\x00\x03\x08\x01a"):
            with self.assertRaisesRegex(PacketError, "shortest"):
                peekInterest(wire)

    def test_tooLargeIsRefused(self) -> None:
        whole = interest(encodeElement(0x30, bytes(8800 - 4 - 5 - 4)))
        self.assertEqual(len(whole), 8800)
        peekInterest(whole)
        with self.assertRaisesRegex(PacketError, "8801"):
            peekInterest(interest(encodeElement(0x30, bytes(8800 - 4 - 5 - 3))))

    def test_digestsInNamesHaveThirtyTwoBytes(self) -> None:
        name = Name.fromText("/a") + implicitDigest(bytes(32))
        self.assertEqual(peekInterest(encodeInterest(name)).ends, (3, 37))
        for kind in (1, 2):
            with self.assertRaises(PacketError):
                peekInterest(encodeElement(5, encodeElement(7, encodeElement(kind, bytes(31)))))

    def test_theDigestOfParametersIsVerified(self) -> None:
        wire = encodeInterest(Name.fromText("/a"), parameters=b"hello")
        view = peekInterest(wire)
        self.assertEqual(len(view.ends), 2)
        with self.assertRaisesRegex(PacketError, "not that of the parameters"):
            peekInterest(wire.replace(b"hello", b"Hello"))

    def test_parametersAndTheirDigestComeTogether(self) -> None:
        with self.assertRaisesRegex(PacketError, "no digest"):
            peekInterest(interest(b"\x24\x00"))
        digest = parametersDigest(sha256(b"\x24\x00").digest())
        with self.assertRaisesRegex(PacketError, "no parameters"):
            peekInterest(encodeElement(5, encodeElement(7, digest)))
        peekInterest(encodeElement(5, encodeElement(7, digest) + b"\x24\x00"))
        for between in (b"", generic(bytes(300))):
            with self.assertRaisesRegex(PacketError, "at most one"):
                peekInterest(encodeElement(5, encodeElement(7, digest + between + digest) + b"\x24\x00"))

    def test_theHopLimitCanBeChanged(self) -> None:
        wire = interest(NONCE, HOPS)
        view = peekInterest(wire).withHopLimit(0)
        self.assertEqual(view.wire, interest(NONCE, b"\x22\x01\x00"))
        self.assertEqual(view.hopLimit, 0)
        self.assertSame(view, peekInterest(view.wire))
        with self.assertRaises(ValueError):
            peekInterest(interest(NONCE)).withHopLimit(3)

    def test_aNonceCanBePutIn(self) -> None:
        for before, after in (((), ()), ((PREFIX, FRESH), (LIFETIME, HOPS)), ((), (HOPS,)), ((FRESH,), (b"\x30\x00",))):
            view = peekInterest(interest(*before, *after)).withNonce(0x01020304)
            self.assertSame(view, peekInterest(view.wire))
            self.assertEqual(view.nonce, 0x01020304)
            again = view.withNonce(5)
            self.assertEqual(peekInterest(again.wire).nonce, 5)
            self.assertSame(again, peekInterest(again.wire))

    def test_aNonceThatMakesItTooLargeIsAnError(self) -> None:
        view = peekInterest(interest(encodeElement(0x30, bytes(8800 - 4 - 5 - 4))))
        with self.assertRaises(PacketError):
            view.withNonce(1)

    def assertSame(self, one: InterestView, other: InterestView) -> None:
        """
        Fail unless both views say the same.
        """
        for slot in InterestView.__slots__:
            self.assertEqual(getattr(one, slot), getattr(other, slot), slot)

    @given(longerNames, interestOptions)
    def test_itSaysWhatWasWritten(self, name: Name, options: dict[str, Any]) -> None:
        wire = encodeInterest(name, **options)
        view = peekInterest(wire)
        self.assertEqual(view.ends[-1], len(view.name))
        self.assertTrue(name.isPrefixOf(Name.fromValue(view.name)))
        self.assertEqual(len(view.ends), len(name) + (options["parameters"] is not None))
        for what in ("canBePrefix", "mustBeFresh", "nonce", "lifetime", "hopLimit"):
            self.assertEqual(getattr(view, what), options[what])
        self.assertEqual(view.hint, tuple(each.value for each in options["hint"]))
        if view.hopLimit is not None:
            self.assertEqual(wire[view.hopLimitOffset - 2 : view.hopLimitOffset + 1], bytes([0x22, 1, view.hopLimit]))

    @given(interests, st.integers(0, (1 << 32) - 1))
    def test_changesChangeNothingElse(self, wire: bytes, nonce: int) -> None:
        view = peekInterest(wire)
        changed = view.withNonce(nonce)
        self.assertSame(changed, peekInterest(changed.wire))
        self.assertEqual(changed.name, view.name)
        if view.nonce is not None:
            self.assertEqual(changed.withNonce(view.nonce).wire, wire)

    @given(interests)
    def test_theWholeDecoderAgrees(self, wire: bytes) -> None:
        view, whole = peekInterest(memoryview(wire)), decodeInterest(wire)
        self.assertEqual(view.name, whole.name.value)
        self.assertEqual(view.ends, tuple(len(whole.name[: n + 1].value) for n in range(len(whole.name))))


class DataViewTests(SynchronousTestCase):
    """
    L{peekData}.
    """

    def test_whatItSays(self) -> None:
        metaInfo = b"\x14\x0c\x18\x01\x02\x19\x02\x03\xe8\x1a\x03\x32\x01\x09"
        wire = data(metaInfo, b"\x15\x01x", *SIGNATURE)
        view = peekData(wire)
        self.assertEqual((view.wire, view.name, view.ends), (wire, NAME[2:], (3,)))
        self.assertEqual((view.contentType, view.freshness, view.finalBlock), (2, 1000, segment(9)))
        self.assertEqual(view.digest(), sha256(wire).digest())
        self.assertIs(view.digest(), view.digest())

    def test_whatItDoesNotSay(self) -> None:
        view = peekData(data(*SIGNATURE))
        self.assertEqual((view.contentType, view.freshness, view.finalBlock), (0, 0, None))

    def test_theContentIsTheFirstOneBeforeTheSignature(self) -> None:
        for fields, content in (
            (SIGNATURE, b""),
            ((b"\x14\x00", b"\x30\x01y", b"\x15\x01x", *SIGNATURE), b"x"),
            ((b"\x15\x00", *SIGNATURE), b""),
        ):
            self.assertEqual(peekData(data(*fields)).content(), content)

    def test_anEmptyNameIsAName(self) -> None:
        self.assertEqual(peekData(encodeElement(6, b"\x07\x00" + b"".join(SIGNATURE))).ends, ())

    def test_unsignedDataIsAnError(self) -> None:
        for fields in ((), (b"\x15\x00",), SIGNATURE[:1], SIGNATURE[1:], SIGNATURE[::-1]):
            with self.assertRaises(PacketError):
                peekData(data(*fields))

    def test_unknownElementsAreIgnoredUnlessTheyAreCritical(self) -> None:
        peekData(data(b"\x30\x00", *SIGNATURE, b"\xfd\x03\x20\x00"))
        for critical in (b"\x13\x00", b"\x18\x00", b"\x31\x00", NAME):
            for fields in ((critical, *SIGNATURE), (*SIGNATURE, critical)):
                with self.assertRaisesRegex(PacketError, "critical"):
                    peekData(data(*fields))

    def test_elementsOutOfOrderAreErrors(self) -> None:
        for fields in ((b"\x15\x00", b"\x14\x00", *SIGNATURE), (b"\x15\x00", b"\x15\x00", *SIGNATURE)):
            with self.assertRaisesRegex(PacketError, "out of order"):
                peekData(data(*fields))

    def test_malformedMetaInfoIsAnErrorEachTime(self) -> None:
        for value in (b"\x18\x03abc", b"\x1a\x00", b"\x1a\x06\x08\x01a\x08\x01b", b"\x19\x01\x01\x18\x01\x01", b"\x18"):
            for _ in range(2):
                with self.assertRaises(PacketError):
                    peekData(data(encodeElement(0x14, value), *SIGNATURE))

    def test_ofAnyLength(self) -> None:
        for size in (0, 1, 251, 252, 253, 254, 255, 256, 8000):
            content = encodeElement(0x15, bytes(size))
            view = peekData(data(content, *SIGNATURE))
            self.assertEqual(view.ends, (3,))
        long = Name([generic(bytes(300)), generic(b"x")])
        self.assertEqual(peekData(encodeData(long, b"", DigestSigner())).ends, (304, 307))

    def test_lengthsThatLeadOutsideAreErrors(self) -> None:
        whole = data(b"\x15\x00", *SIGNATURE)
        for end in range(len(whole)):
            with self.assertRaises(PacketError):
                peekData(whole[:end])
        with self.assertRaises(PacketError):
            peekData(whole + b"\0")
        large = data(encodeElement(0x15, bytes(400)), *SIGNATURE)
        for end in range(len(large)):
            with self.assertRaises(PacketError):
                peekData(large[:end])
        with self.assertRaises(PacketError):
            peekData(large + b"\0")

    def test_tooLargeIsRefused(self) -> None:
        room = 8800 - len(data(encodeElement(0x15, bytes(300)), *SIGNATURE)) + 300
        peekData(data(encodeElement(0x15, bytes(room)), *SIGNATURE))
        with self.assertRaisesRegex(PacketError, "8801"):
            peekData(data(encodeElement(0x15, bytes(room + 1)), *SIGNATURE))

    def test_metaInfosThatWereSeenDoNotPileUp(self) -> None:
        from hermes.ndn.packet import peekdata

        for number in range(1000):
            wire = encodeData(Name(), b"", DigestSigner(), MetaInfo(freshness=number + 1))
            self.assertEqual(peekData(wire).freshness, number + 1)
        self.assertLessEqual(len(peekdata._metaInfos), 256)

    @given(names, metaInfos, st.binary(max_size=400))
    def test_itSaysWhatWasWritten(self, name: Name, metaInfo: MetaInfo, content: bytes) -> None:
        view = peekData(encodeData(name, content, DigestSigner(), metaInfo))
        self.assertEqual(view.name, name.value)
        self.assertEqual(view.ends, tuple(len(name[: n + 1].value) for n in range(len(name))))
        self.assertEqual(MetaInfo(view.contentType, view.freshness, view.finalBlock), metaInfo)

    @given(datas)
    def test_theWholeDecoderAgrees(self, wire: bytes) -> None:
        view, whole = peekData(memoryview(wire)), decodeData(wire)
        self.assertEqual(view.name, whole.name.value)
        self.assertEqual(view.digest(), whole.digest)
        self.assertEqual(MetaInfo(view.contentType, view.freshness, view.finalBlock), whole.metaInfo)
        self.assertEqual(view.content(), whole.content)
        self.assertIs(view.content().obj, view.wire)
