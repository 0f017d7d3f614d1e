"""
Tests for L{hermes.net.certificates} and L{hermes.net.authority}.
"""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import HopUntrusted
from hermes.net.certificates import (
    ClientCredentials,
    CredentialsError,
    OverlayAuthority,
    ServerCredentials,
    identityOf,
    nodeNames,
)
from hermes.values import ANONYMOUS, Identity


def certificateWith(*names: x509.GeneralName) -> x509.Certificate:
    """
    A self-signed certificate with these alternative names, or with no such extension.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hermes://common")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


class IdentityTests(SynchronousTestCase):
    def test_theNodeIsInTheURI(self) -> None:
        self.assertEqual(identityOf(certificateWith(uri("hermes://edge"), x509.DNSName("x"))), Identity(node="edge"))

    def test_namesAreComparedInLowerCase(self) -> None:
        self.assertEqual(identityOf(certificateWith(uri("HERMES://Edge-1.site/"))), Identity(node="edge-1.site"))

    def test_nobodyIsNamedByWhatIsNoNode(self) -> None:
        for names in (
            (),
            (uri("https://edge"),),
            (uri("hermes:edge"),),
            (uri("hermes://edge/path"),),
            (uri("hermes://user@edge"),),
            (uri("hermes://"),),
            (uri("hermes://-edge"),),
            (x509.DNSName("edge"),),
        ):
            self.assertEqual(identityOf(certificateWith(*names)), ANONYMOUS)
        self.assertEqual(identityOf(None), ANONYMOUS)

    def test_twoNamesNameNobody(self) -> None:
        certificate = certificateWith(uri("hermes://edge"), uri("hermes://relay"))
        self.assertEqual(nodeNames(certificate), ["edge", "relay"])
        self.assertEqual(identityOf(certificate), ANONYMOUS)


class AuthorityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.authority = OverlayAuthority.create(self.directory)

    def test_itIssuesCertificatesWithANode(self) -> None:
        certificateFile, _ = self.authority.issue("edge", ["localhost", "127.0.0.1"])
        certificate = x509.load_pem_x509_certificate(Path(certificateFile).read_bytes())
        certificate.verify_directly_issued_by(self.authority.certificate)
        self.assertEqual(identityOf(certificate), Identity(node="edge"))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["localhost"])
        self.assertEqual([str(a) for a in names.get_values_for_type(x509.IPAddress)], ["127.0.0.1"])

    def test_keysAreForTheirOwnerAlone(self) -> None:
        _, keyFile = self.authority.issue("edge")
        for path in (Path(keyFile), self.directory / "overlay-ca.key"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    def test_aNodeCanBeIssuedAnew(self) -> None:
        first = Path(self.authority.issue("edge")[0]).read_bytes()
        self.assertNotEqual(Path(self.authority.issue("edge")[0]).read_bytes(), first)

    def test_anAuthorityIsNotOverwritten(self) -> None:
        self.assertRaises(FileExistsError, OverlayAuthority.create, self.directory)

    def test_itIsFoundAgain(self) -> None:
        loaded = OverlayAuthority.load(self.directory)
        certificateFile, _ = loaded.issue("relay")
        x509.load_pem_x509_certificate(Path(certificateFile).read_bytes()).verify_directly_issued_by(
            self.authority.certificate
        )

    def test_aNameThatIsAPathIsRefused(self) -> None:
        self.assertRaises(ValueError, self.authority.issue, "../edge")


class CredentialsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = OverlayAuthority.create(self.mktemp())
        self.certificateFile, self.keyFile = self.authority.issue("edge")

    def test_aMissingFileIsNamed(self) -> None:
        error = self.assertRaises(CredentialsError, ServerCredentials, "/nowhere/edge.pem", self.keyFile)
        self.assertIn("/nowhere/edge.pem: No such file", str(error))
        error = self.assertRaises(
            CredentialsError, ServerCredentials, self.certificateFile, self.keyFile, "/nowhere/trust.pem"
        )
        self.assertIn("/nowhere/trust.pem", str(error))

    def test_aKeyOfAnotherCertificateIsRefused(self) -> None:
        _, other = self.authority.issue("relay")
        error = self.assertRaises(CredentialsError, ServerCredentials, self.certificateFile, other)
        self.assertEqual(str(error), f"{other}: the key is not that of the certificate")

    def test_aFileThatIsNoCertificateIsRefused(self) -> None:
        garbage = Path(self.mktemp())
        garbage.write_text("nothing")
        for files, kind in (
            ((str(garbage), self.keyFile, None), "certificate"),
            ((self.certificateFile, str(garbage), None), "private key"),
            ((self.certificateFile, self.keyFile, str(garbage)), "certificate"),
        ):
            error = self.assertRaises(CredentialsError, ServerCredentials, *files)
            self.assertEqual(str(error), f"{garbage}: it holds no {kind} in PEM form")

    def test_aFileThatWasCutShortIsSaidToBeDamaged(self) -> None:
        cut = Path(self.mktemp())
        cut.write_text(Path(self.certificateFile).read_text()[:200])
        error = self.assertRaises(CredentialsError, ServerCredentials, str(cut), self.keyFile)
        self.assertEqual(str(error), f"{cut}: its PEM is damaged")

    def test_aCertificateNeedsItsKey(self) -> None:
        self.assertRaises(CredentialsError, ClientCredentials, self.certificateFile, serverName="x.example")

    def test_aServerIsKnownByOneName(self) -> None:
        self.assertRaises(CredentialsError, ClientCredentials)
        self.assertRaises(CredentialsError, ClientCredentials, serverName="a.example", expectedNode="a")

    def test_reloadingTakesTheNewFiles(self) -> None:
        credentials = ServerCredentials(self.certificateFile, self.keyFile, self.authority.trustFile)
        old = credentials.context()
        self.authority.issue("edge")
        credentials.reload()
        self.assertIsNot(credentials.context(), old)

    def test_aBrokenFileLeavesTheOldOnesInUse(self) -> None:
        server = ServerCredentials(self.certificateFile, self.keyFile)
        client = ClientCredentials(self.certificateFile, self.keyFile, expectedNode="edge")
        contexts = server.context(), client.context()
        Path(self.keyFile).write_text("broken")
        self.assertRaises(CredentialsError, server.reload)
        self.assertRaises(CredentialsError, client.reload)
        self.assertEqual((server.context(), client.context()), contexts)

    def test_theNameOfTheServerIsChecked(self) -> None:
        names = [
            uri("hermes://relay"),
            uri("https://a:b:c"),
            x509.DNSName("relay.example"),
            x509.DNSName("*.wild.example"),
            x509.IPAddress(__import__("ipaddress").ip_address("192.0.2.1")),
        ]
        certificate = certificateWith(*names)
        for good in (
            ClientCredentials(expectedNode="relay"),
            ClientCredentials(expectedNode="Relay"),
            ClientCredentials(serverName="relay.example"),
            ClientCredentials(serverName="a.wild.example"),
            ClientCredentials(serverName="192.0.2.1"),
        ):
            good._checkName(certificate)
        for bad in (
            ClientCredentials(expectedNode="edge"),
            ClientCredentials(expectedNode="relay.example"),
            ClientCredentials(serverName="relay"),
            ClientCredentials(serverName="other.example"),
            ClientCredentials(serverName="192.0.2.2"),
        ):
            self.assertRaises(HopUntrusted, bad._checkName, certificate)
        self.assertRaises(HopUntrusted, ClientCredentials(expectedNode="common")._checkName, certificateWith())
