"""
Tests of L{hermes.ndn.management.authorization}. Commands are made by python-ndn too.
"""

from __future__ import annotations

import os

from ndn.app_support import nfd_mgmt
from ndn.encoding import InterestParam, make_interest
from ndn.security import DigestSha256Signer
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.authorization import Authorizer, TrustedKey
from hermes.ndn.packet.interest import Interest, decodeInterest, encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.keychain import Keychain
from hermes.ndn.security.signedinterest import InterestSigner
from hermes.ndn.security.signers import DigestSigner

NAME = Name.fromText("/localhost/nfd/rib/register/x")
NOW = 1_700_000_000.0


class AuthorizerTests(SynchronousTestCase):
    """
    Who is obeyed.
    """

    def setUp(self) -> None:
        self.time = NOW
        self.keychain = Keychain(self.mktemp(), lambda: self.time)
        self.certificate = self.keychain.createKey(Name.fromText("/operator"))
        signer = self.keychain.signer(self.certificate.keyName)
        self.operator = InterestSigner(signer, lambda: self.time, os.urandom)

    def command(self) -> Interest:
        """
        One of the operator's.
        """
        return decodeInterest(self.operator.encode(NAME, nonce=1))

    def test_anybodyIsObeyedWhoSigns(self) -> None:
        authorizer = Authorizer(None, lambda: self.time)
        anybody = InterestSigner(DigestSigner(), lambda: self.time, os.urandom)
        self.assertEqual(authorizer.check(decodeInterest(anybody.encode(NAME, nonce=1)), "rib"), NAME)
        self.assertEqual(authorizer.check(self.command(), "rib"), NAME)

    def test_whoDoesNotSignIsNot(self) -> None:
        authorizer = Authorizer(None, lambda: self.time)
        for wire in (encodeInterest(NAME, nonce=1), encodeInterest(NAME, nonce=1, parameters=b"")):
            self.assertRaises(Untrusted, authorizer.check, decodeInterest(wire), "rib")

    def test_pythonNdnsCommandsOfBothVersionsAreTaken(self) -> None:
        authorizer = Authorizer(None, lambda: self.time)
        old = nfd_mgmt.make_command("rib", "register", name="/a")
        name = authorizer.check(decodeInterest(make_interest(old, InterestParam(nonce=1))), "rib")
        self.assertEqual((len(name), str(name[:4])), (5, "/localhost/nfd/rib/register"))
        new = nfd_mgmt.make_command_v2("rib", "register", name="/a")
        wire = make_interest(new, InterestParam(nonce=1), b"", DigestSha256Signer(for_interest=True))
        self.assertEqual(authorizer.check(decodeInterest(wire), "rib"), name)

    def test_whatIsNotWholeIsRefused(self) -> None:
        authorizer = Authorizer(None, lambda: self.time)
        old = nfd_mgmt.make_command("rib", "register", name="/a")
        old[4] = nfd_mgmt.make_command("rib", "register", name="/b")[4]
        command = decodeInterest(make_interest(old, InterestParam(nonce=1)))
        self.assertRaises(Untrusted, authorizer.check, command, "rib")

    def test_aMalformedSignatureIsRefused(self) -> None:
        authorizer = Authorizer(None, lambda: self.time)
        old = nfd_mgmt.make_command("rib", "register", name="/a")
        old[-2] = b"\x08\x04\x16\x01\x1b\x05"
        command = decodeInterest(make_interest(old, InterestParam(nonce=1)))
        self.assertRaises(Untrusted, authorizer.check, command, "rib")

    def test_ofKeysOnlyThoseThatAreKnownAreObeyed(self) -> None:
        authorizer = Authorizer([TrustedKey(self.certificate)], lambda: self.time)
        self.assertEqual(authorizer.check(self.command(), "rib"), NAME)
        stranger = self.keychain.createKey(Name.fromText("/stranger"))
        signers = DigestSigner(), self.keychain.signer(stranger.keyName)
        for signer in signers:
            wire = InterestSigner(signer, lambda: self.time, os.urandom).encode(NAME, nonce=1)
            self.assertRaises(Untrusted, authorizer.check, decodeInterest(wire), "rib")

    def test_whoSaysToBeSomebodyElseIsRefused(self) -> None:
        authorizer = Authorizer([TrustedKey(self.certificate)], lambda: self.time)
        wire = bytearray(self.operator.encode(NAME, nonce=1))
        forged = decodeInterest(bytes(wire))
        assert forged.signatureValue is not None
        forged.signatureValue = forged.signatureValue[:-1] + bytes([forged.signatureValue[-1] ^ 1])
        self.assertRaises(Untrusted, authorizer.check, forged, "rib")

    def test_aKeyHasItsModules(self) -> None:
        authorizer = Authorizer([TrustedKey(self.certificate, ("rib",))], lambda: self.time)
        self.assertRaises(Untrusted, authorizer.check, self.command(), "faces")
        authorizer.check(self.command(), "rib")

    def test_nothingIsTakenTwice(self) -> None:
        authorizer = Authorizer([TrustedKey(self.certificate)], lambda: self.time)
        command = self.command()
        authorizer.check(command, "rib")
        self.assertRaises(Untrusted, authorizer.check, command, "rib")
        authorizer.check(self.command(), "rib")

    def test_aCertificateIsOfNoUseAfterItsTime(self) -> None:
        authorizer = Authorizer([TrustedKey(self.certificate)], lambda: self.time)
        self.time = self.certificate.notAfter + 10
        self.assertRaises(Untrusted, authorizer.check, self.command(), "rib")
