"""
Tests for L{hermes.ndn.packet.interest}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.component import PARAMETERS_DIGEST, componentType, parametersDigest
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import decodeInterest, encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekInterest
from hermes.ndn.packet.tlv import encodeElement
from hermes.ndn.security.signers import DigestSigner, HmacSigner
from hermes.ndn.security.verifiers import DigestVerifier, HmacVerifier
from hermes.test.ndn.packet.strategies import interestOptions, longerNames, numbers

NAME = Name.fromText("/a")


class InterestTests(SynchronousTestCase):
    """
    Interests that nobody has signed.
    """

    def test_asTheSpecificationHasThem(self) -> None:
        wire = encodeInterest(NAME, True, True, [NAME], 0x01020304, 1000, 7)
        self.assertEqual(
            wire.hex(),
            "051d" + "0703080161" + "2100" + "1200" + "1e050703080161" + "0a0401020304" + "0c0203e8" + "220107",
        )

    def test_theDefaultLifetimeIsNotWritten(self) -> None:
        self.assertEqual(encodeInterest(NAME).hex(), "05050703080161")

    def test_parametersPutTheirDigestIntoTheName(self) -> None:
        interest = decodeInterest(encodeInterest(NAME, parameters=b"hello"))
        self.assertEqual(interest.parameters, b"hello")
        self.assertEqual(len(interest.name), 2)
        self.assertEqual(componentType(interest.name[-1]), PARAMETERS_DIGEST)

    def test_theDigestReplacesOneThatIsThere(self) -> None:
        name = NAME + parametersDigest(bytes(32)) + NAME
        interest = decodeInterest(encodeInterest(name, parameters=b"hello"))
        self.assertEqual((interest.name[0], interest.name[2]), (NAME[0], NAME[0]))
        self.assertEqual(len(interest.name), 3)
        self.assertNotEqual(interest.name[1], name[1])

    def test_whatCannotBeMadeIsAnError(self) -> None:
        digest = parametersDigest(bytes(32))
        for call in (
            lambda: encodeInterest(Name()),
            lambda: encodeInterest(NAME + digest),
            lambda: encodeInterest(NAME + digest + digest, parameters=b""),
            lambda: encodeInterest(NAME + digest + NAME, signer=DigestSigner()),
            lambda: encodeInterest(NAME, hopLimit=256),
            lambda: encodeInterest(NAME, lifetime=-1),
            lambda: encodeInterest(NAME, parameters=bytes(8800)),
            lambda: encodeInterest(NAME, signer=DigestSigner(), signatureNonce=b""),
        ):
            with self.assertRaises(ValueError):
                call()
        with self.assertRaises(OverflowError):
            encodeInterest(NAME, nonce=1 << 32)

    @given(longerNames, interestOptions)
    def test_roundTrip(self, name: Name, options: dict[str, Any]) -> None:
        wire = encodeInterest(name, **options)
        interest = decodeInterest(wire)
        for what, value in options.items():
            self.assertEqual(getattr(interest, what), value, what)
        self.assertEqual(interest.name[: len(name)], name)
        self.assertEqual(interest.wire, wire)
        self.assertEqual((interest.signatureInfo, interest.signatureValue, interest.signed), (None, None, ()))
        self.assertEqual(encodeInterest(interest.name, **options), wire)
        self.assertEqual(decodeInterest(peekInterest(wire)).name, interest.name)


class SignedInterestTests(SynchronousTestCase):
    """
    Interests with a signature.
    """

    def test_theSignatureIsOfTheNameAndWhatFollows(self) -> None:
        wire = encodeInterest(NAME, nonce=1, parameters=b"hi", signer=DigestSigner(), signatureTime=1000)
        interest = decodeInterest(wire)
        self.assertEqual(
            b"".join(interest.signed), NAME.value + b"\x24\x02hi" + b"\x2c\x07\x1b\x01\x00\x28\x02\x03\xe8"
        )
        assert interest.signatureInfo is not None
        self.assertEqual(interest.signatureInfo.time, 1000)

    def test_withoutParametersItGetsEmptyOnes(self) -> None:
        self.assertEqual(decodeInterest(encodeInterest(NAME, signer=DigestSigner())).parameters, b"")

    def test_halfASignatureIsNone(self) -> None:
        for fields in (b"\x24\x00\x2c\x03\x1b\x01\x00", b"\x24\x00\x2e\x00", b"\x24\x00\x2e\x00\x2c\x03\x1b\x01\x00"):
            interest = decodeInterest(self.withDigest(fields))
            self.assertIsNone(interest.signatureInfo)
            self.assertIsNone(interest.signatureValue)

    def test_theDigestIsTheLastComponentOfItsName(self) -> None:
        fields = b"\x24\x00\x2c\x03\x1b\x01\x00\x2e\x00"
        self.assertEqual(decodeInterest(self.withDigest(fields)).signatureValue, b"")
        with self.assertRaisesRegex(PacketError, "ends with the digest"):
            decodeInterest(self.withDigest(fields, after=NAME))

    def test_aMalformedSignatureInfoIsAnError(self) -> None:
        for info in (
            b"\x2c\x00",
            b"\x2c\x03\x1b\x03\x00",
            b"\x2c\x05\x1b\x01\x00\x26\x00",
            b"\x2c\x05\x1b\x01\x00\x1f\x00",
        ):
            with self.assertRaises(PacketError):
                decodeInterest(self.withDigest(b"\x24\x00" + info + b"\x2e\x00"))

    def withDigest(self, fields: bytes, after: Name | None = None) -> bytes:
        """
        An Interest with these elements, which begin with its parameters, and their digest in its name.
        """
        from hashlib import sha256

        name = NAME + parametersDigest(sha256(fields).digest()) + (after or Name())
        return encodeElement(5, name.encode() + fields)

    @given(
        longerNames,
        interestOptions,
        st.binary(max_size=40),
        st.none() | st.binary(min_size=1, max_size=9),
        st.none() | numbers,
        st.none() | numbers,
    )
    def test_roundTrip(
        self,
        name: Name,
        options: dict[str, Any],
        key: bytes,
        nonce: bytes | None,
        time: int | None,
        sequence: int | None,
    ) -> None:
        for signer, verifier in ((HmacSigner(key, name), HmacVerifier(key)), (DigestSigner(), DigestVerifier())):
            wire = encodeInterest(
                name, **options, signer=signer, signatureNonce=nonce, signatureTime=time, signatureSequence=sequence
            )
            interest = decodeInterest(wire)
            info, value = interest.signatureInfo, interest.signatureValue
            assert info is not None and value is not None
            self.assertEqual((info.nonce, info.time, info.sequence), (nonce, time, sequence))
            self.assertEqual(info.keyLocator, signer.signatureInfo().keyLocator)
            self.assertTrue(verifier.verifies(info.signatureType, interest.signed, value))
            self.assertEqual(interest.name[:-1], name)
