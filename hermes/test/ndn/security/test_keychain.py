"""
Tests for L{hermes.ndn.security.keychain}.
"""

from __future__ import annotations

import os
from stat import S_IMODE

from twisted.trial.unittest import TestCase

from hermes.ndn.packet.component import fromText, generic
from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.name import Name
from hermes.ndn.security.certificate import makeCertificate
from hermes.ndn.security.keychain import Keychain, KeyType
from hermes.ndn.security.verifiers import PublicKey
from hermes.test.ndn.security.keys import NOW, Identity, key

ALICE = Name.fromText("/org/alice")


class KeychainTests(TestCase):
    """
    L{Keychain}.
    """

    def setUp(self) -> None:
        self.now = float(NOW)
        self.directory = os.path.join(self.mktemp(), "keys")
        self.keychain = Keychain(self.directory, lambda: self.now)

    def test_aKeySignsAndItsCertificateVerifies(self) -> None:
        kinds: tuple[KeyType, ...] = ("ecdsa", "rsa", "ed25519")
        for kind in kinds:
            certificate = self.keychain.createKey(ALICE, kind)
            self.assertTrue(certificate.selfSigned)
            self.assertEqual(certificate.identity, ALICE)
            data = decodeData(encodeData(ALICE, b"x", self.keychain.signer(certificate.keyName)))
            self.assertEqual(data.signatureInfo.keyLocator, certificate.name)
            self.assertTrue(certificate.verifies(data))
        self.assertEqual(len(self.keychain.certificates()), 3)

    def test_onlyTheOwnerMayReadKeys(self) -> None:
        self.keychain.createKey(ALICE)
        self.assertEqual(S_IMODE(os.stat(self.directory).st_mode), 0o700)
        modes = {name.rpartition(".")[2]: S_IMODE(os.stat(os.path.join(self.directory, name)).st_mode)
                 for name in os.listdir(self.directory)}  # fmt: skip
        self.assertEqual(modes, {"key": 0o600, "ndncert": 0o644})

    def test_anotherProgramSeesTheSame(self) -> None:
        certificate = self.keychain.createKey(ALICE)
        other = Keychain(self.directory, lambda: self.now)
        self.assertEqual(other.certificate(ALICE).name, certificate.name)
        self.assertTrue(certificate.verifies(decodeData(encodeData(ALICE, b"x", other.signer()))))

    def test_theNewestValidOneIsTaken(self) -> None:
        first = self.keychain.createKey(ALICE, days=1)
        self.now += 10
        second = self.keychain.createKey(ALICE, days=2)
        bob = self.keychain.createKey(Name.fromText("/org/bob"), days=0.5)
        self.assertEqual(self.keychain.certificate(ALICE).name, second.name)
        for name in (first.name, first.keyName):
            self.assertEqual(self.keychain.certificate(name).name, first.name)
        self.assertIn(self.keychain.certificate().name, (second.name, bob.name))
        self.now += 1.5 * 86400
        self.assertEqual(self.keychain.certificate().name, second.name)
        with self.assertRaisesRegex(ValueError, "no key of /org/bob that is valid now"):
            self.keychain.signer(bob.identity)

    def test_withNothingInItThereIsNoKey(self) -> None:
        self.assertEqual(self.keychain.certificates(), [])
        with self.assertRaisesRegex(ValueError, "has no key"):
            self.keychain.signer()

    def test_aNameIsGivenOnce(self) -> None:
        keyID = generic(b"1")
        self.assertEqual(str(self.keychain.createKey(ALICE, keyID=keyID).keyName), "/org/alice/KEY/1")
        with self.assertRaisesRegex(ValueError, "there is a key"):
            self.keychain.createKey(ALICE, keyID=keyID)

    def test_anIssuedCertificateTakesThePlaceOfTheOwnOne(self) -> None:
        own = self.keychain.createKey(ALICE)
        root = Identity("/org")
        issued = makeCertificate(own.keyName, own.key, root.signer, fromText("org"), NOW + 1, NOW, NOW + 100)
        self.keychain.install(issued)
        self.assertEqual(self.keychain.certificate(ALICE).name, issued.name)
        data = decodeData(encodeData(ALICE, b"x", self.keychain.signer()))
        self.assertEqual(data.signatureInfo.keyLocator, issued.name)
        self.assertEqual(len(self.keychain.certificates()), 1)

    def test_aCertificateOfAnotherKeyIsNotInstalled(self) -> None:
        own = self.keychain.createKey(ALICE)
        root = Identity("/org")
        other = PublicKey(key("ecdsa", 5).public_key())
        with self.assertRaisesRegex(ValueError, "another key"):
            self.keychain.install(
                makeCertificate(own.keyName, other, root.signer, fromText("org"), NOW + 1, NOW, NOW + 100)
            )
        with self.assertRaisesRegex(ValueError, "no key"):
            self.keychain.install(root.certificate)

    def test_aKeyCanBeRemoved(self) -> None:
        own = self.keychain.createKey(ALICE)
        self.keychain.remove(own.keyName)
        self.assertEqual(os.listdir(self.directory), [])
        with self.assertRaises(ValueError):
            self.keychain.remove(own.keyName)

    def test_anUnknownKindIsAnError(self) -> None:
        with self.assertRaisesRegex(ValueError, "not a kind of key"):
            self.keychain.createKey(ALICE, "dsa")  # type: ignore[arg-type]
        self.assertFalse(os.path.exists(self.directory))

    def test_aBrokenKeyFileIsAnError(self) -> None:
        own = self.keychain.createKey(ALICE)
        (path,) = (os.path.join(self.directory, name) for name in os.listdir(self.directory) if name.endswith(".key"))
        with open(path, "w") as file:
            file.write("hello")
        with self.assertRaises(ValueError):
            self.keychain.signer(own.name)
