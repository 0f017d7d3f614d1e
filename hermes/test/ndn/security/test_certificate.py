"""
Tests for L{hermes.ndn.security.certificate}, with python-ndn as the other side.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import ndn.encoding as enc
import ndn.security as theirs
from hypothesis import given
from hypothesis import strategies as st
from ndn.app_support.security_v2 import derive_cert, parse_certificate, self_sign
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.component import fromText, generic
from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.typenumbers import CONTENT_KEY
from hermes.ndn.security.certificate import SELF, Certificate, keyNameOf, makeCertificate, readTime, writeTime
from hermes.ndn.security.signers import DigestSigner
from hermes.ndn.security.verifiers import PublicKey
from hermes.test.ndn.security.keys import KINDS, NOW, Identity, der, key

VALIDITY = (b"20200101T000000", b"20300101T000000")
NAME = Name.fromText("/me/KEY/1/self/v=1")


class CertificateTests(SynchronousTestCase):
    """
    L{Certificate}.
    """

    def test_whatItSays(self) -> None:
        certificate = Identity("/org/alice").certificate
        self.assertEqual(str(certificate.name), f"/org/alice/KEY/k/self/v={NOW * 1000}")
        self.assertEqual(certificate.keyName, Name.fromText("/org/alice/KEY/k"))
        self.assertEqual(certificate.identity, Name.fromText("/org/alice"))
        self.assertEqual((certificate.notBefore, certificate.notAfter), (NOW - 10, NOW + 1000))
        self.assertEqual(certificate.data.metaInfo, MetaInfo(CONTENT_KEY, 3_600_000))
        self.assertTrue(certificate.selfSigned)
        self.assertTrue(certificate.verifies(certificate.data))

    def test_validFromTheFirstSecondToTheEndOfTheLast(self) -> None:
        certificate = Identity("/a").certificate
        for now, valid in ((NOW - 10.5, False), (NOW - 10, True), (NOW + 1000.9, True), (NOW + 1001, False)):
            self.assertEqual(certificate.validAt(now), valid, now)

    def test_issuedBySomebodyElse(self) -> None:
        root = Identity("/org")
        alice = Identity("/org/alice", root, number=1).certificate
        self.assertFalse(alice.selfSigned)
        self.assertEqual(alice.data.signatureInfo.keyLocator, root.certificate.name)
        self.assertTrue(root.certificate.verifies(alice.data))
        self.assertFalse(alice.verifies(alice.data))

    def test_whatIsNoCertificateIsAnError(self) -> None:
        good = PublicKey(key("ecdsa").public_key()).der
        meta = MetaInfo(CONTENT_KEY)
        Certificate.fromWire(encodeData(NAME, good, DigestSigner(), meta, VALIDITY))
        for name, content, metaInfo, validity in (
            (NAME[:3], good, meta, VALIDITY),
            (NAME[:-1] + generic(b"1"), good, meta, VALIDITY),
            (Name.fromText("/me/KEX/1/self/v=1"), good, meta, VALIDITY),
            (NAME, good, MetaInfo(), VALIDITY),
            (NAME, good, meta, None),
            (NAME, good[:-1], meta, VALIDITY),
            (NAME, good, meta, (b"2020", b"2030")),
            (NAME, good, meta, (b"20200101T000000", b"20301301T000000")),
            (NAME, good, meta, (b"20200101X000000", b"20300101T000000")),
            (NAME, good, meta, (b"20200101T00000\xff", b"20300101T000000")),
        ):
            with self.assertRaises(PacketError):
                Certificate.fromWire(encodeData(name, content, DigestSigner(), metaInfo, validity))

    def test_fileOrPacket(self) -> None:
        certificate = Identity("/a").certificate
        text = certificate.toText()
        self.assertTrue(all(len(line) <= 64 for line in text.splitlines()))
        for form in (text, text.encode(), text.replace("\n", "\r\n"), certificate.data.wire):
            self.assertEqual(Certificate.fromText(form).name, certificate.name)
        for wrong in ("", "hello", "BgA=", b"\xff\xfe", b"\x06", b"\x06\x00", text[:-5], text + "!"):
            with self.assertRaises(PacketError):
                Certificate.fromText(wrong)

    def test_whatCannotBeMadeIsAnError(self) -> None:
        public = PublicKey(key("ecdsa").public_key())
        for name in ("/", "/a", "/KEY", "/a/KEX/1"):
            with self.assertRaises(ValueError):
                makeCertificate(Name.fromText(name), public, DigestSigner(), SELF, NOW, NOW, NOW)
        with self.assertRaisesRegex(ValueError, "end before"):
            makeCertificate(NAME[:3], public, DigestSigner(), SELF, NOW, NOW, NOW - 1)
        for wrong in (1e12, 1e20):
            with self.assertRaises(ValueError):
                makeCertificate(NAME[:3], public, DigestSigner(), SELF, NOW, NOW, wrong)

    @given(st.integers(-62135596800, 253402300799))
    def test_timesRoundTrip(self, seconds: int) -> None:
        self.assertEqual(readTime(writeTime(seconds)), seconds)
        self.assertEqual(len(writeTime(seconds)), 15)

    def test_keyNames(self) -> None:
        for text, keyName in (
            ("/a/KEY/1", "/a/KEY/1"),
            ("/a/KEY/1/self/v=1", "/a/KEY/1"),
            ("/a/KEY/1/issuer", "/a/KEY/1"),
            ("/KEY/1", "/KEY/1"),
            ("/a/KEY/KEY/self/v=1", "/a/KEY/KEY"),
        ):
            self.assertEqual(keyNameOf(Name.fromText(text)), Name.fromText(keyName), text)
        for text in ("/", "/a", "/a/KEY", "/a/KEY/1/2/3/4", "/a/b/c/d"):
            self.assertIsNone(keyNameOf(Name.fromText(text)), text)


class PythonNdnTests(SynchronousTestCase):
    """
    Certificates of the other side.
    """

    def test_itReadsOurs(self) -> None:
        for kind in KINDS:
            certificate = Identity("/org/alice", kind=kind).certificate
            found = parse_certificate(certificate.data.wire)
            self.assertEqual(Name(map(bytes, found.name)), certificate.name)
            self.assertEqual(bytes(found.content), certificate.key.der)
            period = found.signature_info.validity_period
            self.assertEqual(
                (bytes(period.not_before), bytes(period.not_after)), (writeTime(NOW - 10), writeTime(NOW + 1000))
            )

    def test_itTrustsOurs(self) -> None:
        checkers = {"ecdsa": theirs.EccChecker, "rsa": theirs.RsaChecker, "ed25519": theirs.Ed25519Checker}
        for kind in KINDS:
            identity = Identity("/org/alice", kind=kind)
            checker = checkers[kind].from_cert(identity.certificate.data.wire)
            name, _, _, signature = enc.parse_data(encodeData(Name.fromText("/org/alice/x"), b"", identity.signer))
            self.assertTrue(asyncio.run(checker(name, signature)))

    def test_weReadWhatItSignsItself(self) -> None:
        public = PublicKey(key("ecdsa").public_key()).der
        signer = theirs.Sha256WithEcdsaSigner("/me/KEY/1", der(key("ecdsa")))
        _, wire = self_sign("/me/KEY/1", public, signer)
        certificate = Certificate.fromWire(bytes(wire))
        self.assertTrue(certificate.selfSigned)
        self.assertTrue(certificate.verifies(certificate.data))
        self.assertEqual(certificate.key.der, public)
        self.assertEqual(certificate.notBefore, 0)

    def test_weReadWhatItIssues(self) -> None:
        root = Identity("/me")
        signer = theirs.Sha256WithEcdsaSigner(str(root.certificate.name), der(key("ecdsa")))
        public = PublicKey(key("ed25519").public_key()).der
        begin = datetime.fromtimestamp(NOW, UTC)
        name, wire = derive_cert("/me/x/KEY/2", "root", public, signer, begin, 1000)
        certificate = Certificate.fromWire(bytes(wire))
        self.assertEqual(certificate.name, Name(map(bytes, name)))
        self.assertEqual(certificate.name[-2], fromText("root"))
        self.assertTrue(root.certificate.verifies(certificate.data))
        self.assertEqual((certificate.notBefore, certificate.notAfter), (NOW, NOW + 1000))
        self.assertEqual(decodeData(bytes(wire)).signatureInfo.keyLocator, root.certificate.name)
