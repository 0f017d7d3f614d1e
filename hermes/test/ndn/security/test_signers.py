"""
Tests for L{hermes.ndn.security.signers} and L{hermes.ndn.security.verifiers}, with python-ndn as the other side.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ndn.encoding as enc
import ndn.security as theirs
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import decodeInterest, encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.security.signers import DigestSigner, HmacSigner, NullSigner, signerFor
from hermes.ndn.security.verifiers import DigestVerifier, HmacVerifier, PublicKey, Verifier
from hermes.test.ndn.packet.strategies import longerNames, names
from hermes.test.ndn.security.keys import KINDS, der, key

KEY_NAME = Name.fromText("/me/KEY/1")
CHECKERS = {"ecdsa": theirs.EccChecker, "rsa": theirs.RsaChecker, "ed25519": theirs.Ed25519Checker}
SIGNERS = {
    "ecdsa": theirs.Sha256WithEcdsaSigner,
    "rsa": theirs.Sha256WithRsaSigner,
    "ed25519": theirs.Ed25519Signer,
}


def publicKey(kind: str, number: int = 0) -> PublicKey:
    """
    The public half.
    """
    return PublicKey(key(kind, number).public_key())


def check(checker: Any, name: Any, signature: Any) -> bool:
    """
    What python-ndn thinks of a signature.
    """
    return bool(asyncio.run(checker(name, signature)))


class PublicKeyTests(SynchronousTestCase):
    """
    RSA, ECDSA and Ed25519.
    """

    @given(names, st.binary(max_size=200))
    @settings(max_examples=8, deadline=None)
    def test_pythonNdnVerifiesOurData(self, name: Name, content: bytes) -> None:
        for kind in KINDS:
            wire = encodeData(name, content, signerFor(key(kind), KEY_NAME))
            found, _, _, signature = enc.parse_data(wire)
            checker = CHECKERS[kind].from_key(str(KEY_NAME), publicKey(kind).der)
            self.assertTrue(check(checker, found, signature))

    @given(names, st.binary(max_size=200))
    @settings(max_examples=8, deadline=None)
    def test_weVerifyPythonNdnsData(self, name: Name, content: bytes) -> None:
        for kind in KINDS:
            signer = SIGNERS[kind](str(KEY_NAME), der(key(kind)))
            data = decodeData(bytes(enc.make_data(list(name.components), enc.MetaInfo(), content, signer)))
            info = data.signatureInfo
            self.assertEqual(info.keyLocator, KEY_NAME)
            self.assertTrue(publicKey(kind).verifies(info.signatureType, (data.signed,), data.signatureValue))

    @given(longerNames, st.binary(max_size=200))
    @settings(max_examples=8, deadline=None)
    def test_signedInterestsBothWays(self, name: Name, parameters: bytes) -> None:
        for kind in KINDS:
            wire = encodeInterest(
                name, parameters=parameters, signer=signerFor(key(kind), KEY_NAME), signatureNonce=b"12345678"
            )
            found, _, _, signature = enc.parse_interest(wire)
            checker = CHECKERS[kind].from_key(str(KEY_NAME), publicKey(kind).der)
            self.assertTrue(check(checker, found, signature))
            self.assertTrue(check(theirs.params_sha256_checker, found, signature))
            signer = SIGNERS[kind](str(KEY_NAME), der(key(kind)))
            theirWire = enc.make_interest(list(name.components), enc.InterestParam(), parameters, signer)
            interest = decodeInterest(bytes(theirWire))
            assert interest.signatureInfo is not None and interest.signatureValue is not None
            self.assertTrue(
                publicKey(kind).verifies(interest.signatureInfo.signatureType, interest.signed, interest.signatureValue)
            )

    def test_whatWasChangedOrIsOfAnotherKeyIsNotVerified(self) -> None:
        for kind in KINDS:
            data = decodeData(encodeData(KEY_NAME, b"hello", signerFor(key(kind))))
            signatureType = data.signatureInfo.signatureType
            changed = bytes(data.signed).replace(b"hello", b"Hello")
            self.assertTrue(publicKey(kind).verifies(signatureType, (data.signed,), data.signatureValue))
            self.assertFalse(publicKey(kind).verifies(signatureType, (changed,), data.signatureValue))
            self.assertFalse(publicKey(kind, 1).verifies(signatureType, (data.signed,), data.signatureValue))
            for other in KINDS:
                if other != kind:
                    self.assertFalse(publicKey(other).verifies(signatureType, (data.signed,), data.signatureValue))
            for value in (b"", b"x", data.signatureValue[:-1], data.signatureValue + b"x", bytes(64), b"\x30" * 72):
                self.assertFalse(publicKey(kind).verifies(signatureType, (data.signed,), value))

    def test_theSamePacketIsSignedInTheSameWay(self) -> None:
        for kind in KINDS:
            signer = signerFor(key(kind), KEY_NAME)
            self.assertEqual(encodeData(KEY_NAME, b"x", signer), encodeData(KEY_NAME, b"x", signer))

    def test_theTypeIsHeeded(self) -> None:
        for kind in KINDS:
            data = decodeData(encodeData(KEY_NAME, b"hello", signerFor(key(kind))))
            for signatureType in (0, 1, 3, 4, 5, 200, 77):
                self.assertEqual(
                    publicKey(kind).verifies(signatureType, (data.signed,), data.signatureValue),
                    signatureType == data.signatureInfo.signatureType,
                )

    def test_whatIsNoKeyIsAnError(self) -> None:
        for wire in (b"", b"hello", publicKey("ecdsa").der[:-1]):
            with self.assertRaises(PacketError):
                PublicKey.fromDER(wire)
        other = X25519PrivateKey.generate().public_key()
        with self.assertRaisesRegex(PacketError, "signs no NDN packets"):
            PublicKey.fromDER(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        small = generate_private_key(65537, 1024).public_key()
        with self.assertRaisesRegex(PacketError, "1024 bits"):
            PublicKey.fromDER(small.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def test_throughDER(self) -> None:
        for kind in KINDS:
            self.assertEqual(PublicKey.fromDER(publicKey(kind).der).der, publicKey(kind).der)

    @given(st.binary(max_size=100))
    def test_anyBytesAreAKeyOrAnError(self, wire: bytes) -> None:
        try:
            PublicKey.fromDER(wire)
        except PacketError:
            return
        self.fail("that was unlikely")


class SharedTests(SynchronousTestCase):
    """
    Digests and keys that both sides have.
    """

    @given(names, st.binary(max_size=200), st.binary(max_size=100))
    def test_bothWays(self, name: Name, content: bytes, secret: bytes) -> None:
        ours: Any
        verifier: Verifier
        for ours, signer, verifier, checker in (
            (DigestSigner(), theirs.DigestSha256Signer(), DigestVerifier(), theirs.sha256_digest_checker),
            (
                HmacSigner(secret, KEY_NAME),
                theirs.HmacSha256Signer(str(KEY_NAME), secret),
                HmacVerifier(secret),
                theirs.HmacChecker.from_key(str(KEY_NAME), secret),
            ),
        ):
            found, _, _, signature = enc.parse_data(encodeData(name, content, ours))
            self.assertTrue(check(checker, found, signature))
            data = decodeData(bytes(enc.make_data(list(name.components), enc.MetaInfo(), content, signer)))
            signatureType = data.signatureInfo.signatureType
            self.assertTrue(verifier.verifies(signatureType, (data.signed,), data.signatureValue))
            self.assertFalse(verifier.verifies(signatureType, (data.signed, b"x"), data.signatureValue))
            self.assertFalse(verifier.verifies(signatureType, (data.signed,), b""))
            self.assertFalse(verifier.verifies(1, (data.signed,), data.signatureValue))

    def test_anotherKeyDoesNotVerify(self) -> None:
        data = decodeData(encodeData(KEY_NAME, b"", HmacSigner(b"one")))
        self.assertFalse(HmacVerifier(b"other").verifies(4, (data.signed,), data.signatureValue))

    def test_theNullSignatureIsEmpty(self) -> None:
        wire = encodeData(KEY_NAME, b"x", NullSigner())
        self.assertEqual((decodeData(wire).signatureInfo.signatureType, decodeData(wire).signatureValue), (200, b""))
        theirWire = enc.make_data(list(KEY_NAME.components), enc.MetaInfo(), b"x", theirs.NullSigner())
        self.assertEqual(decodeData(bytes(theirWire)).signatureInfo, decodeData(wire).signatureInfo)
