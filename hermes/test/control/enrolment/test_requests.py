"""
Requests for certificates.
"""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.procutils import which
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hermes.control.enrolment.authority import Authority, openAuthority
from hermes.control.enrolment.errors import BadRequest, IdentityBroken
from hermes.control.enrolment.requests import keyText, makeKey, makeRequest, requestedKey, sameKey
from hermes.net.certificates import nodeNames
from hermes.testing.control.store import MemoryStore


def request(key: object, name: str = "x") -> str:
    """
    A request of any key.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, algorithm)  # type: ignore[arg-type]
    return made.public_bytes(Encoding.PEM).decode()


class Requests(SynchronousTestCase):
    """
    What is signed, and what is not.
    """

    def test_ours(self) -> None:
        key = makeKey()
        self.assertTrue(sameKey(requestedKey(makeRequest(key)), key.public_key()))

    def test_other_keys(self) -> None:
        for key in (
            ec.generate_private_key(ec.SECP384R1()),
            rsa.generate_private_key(65537, 2048),
            ed25519.Ed25519PrivateKey.generate(),
        ):
            self.assertTrue(sameKey(requestedKey(request(key)), key.public_key()))

    def test_weak_keys_are_refused(self) -> None:
        for key in (
            rsa.generate_private_key(65537, 1024),
            ec.generate_private_key(ec.SECP256K1()),
            dsa.generate_private_key(2048),
        ):
            self.assertRaises(BadRequest, requestedKey, request(key))

    def test_one_that_somebody_has_changed_is_refused(self) -> None:
        good = x509.load_pem_x509_csr(request(makeKey(), "somebody").encode()).public_bytes(Encoding.DER)
        for changed in (good.replace(b"somebody", b"somebodx"), good[:-1] + bytes([good[-1] ^ 1])):
            text = x509.load_der_x509_csr(changed).public_bytes(Encoding.PEM).decode()
            self.assertIn("its own key", str(self.assertRaises(BadRequest, requestedKey, text)))

    def test_what_is_none_is_refused(self) -> None:
        certificate = Authority.make().trust
        for wrong in ("", "text", "é", certificate, "-----BEGIN CERTIFICATE REQUEST-----\n", "x" * 10_000):
            self.assertRaises(BadRequest, requestedKey, wrong)


class Certificates(SynchronousTestCase):
    """
    What the authority signs.
    """

    def setUp(self) -> None:
        self.authority = Authority.make()
        self.key = makeKey()

    def loaded(self, text: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(text.encode())

    def test_a_nodes_names_the_node_and_nobody_else(self) -> None:
        certificate = self.loaded(self.authority.node("edge", self.key.public_key(), 90.0).text)
        self.assertEqual(nodeNames(certificate), ["edge"])
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(len(list(names)), 1)
        certificate.verify_directly_issued_by(self.authority.certificate)

    def test_what_a_request_says_of_names_is_not_looked_at(self) -> None:
        key = requestedKey(request(self.key, "hermes://relay"))
        self.assertEqual(nodeNames(self.loaded(self.authority.node("edge", key, 90.0).text)), ["edge"])

    def test_an_operators_or_a_controllers_names_no_node(self) -> None:
        for issued in (
            self.authority.operator("alice", self.key.public_key(), 1.0),
            self.authority.controller(self.key.public_key(), ["localhost", "127.0.0.1"], 1.0),
        ):
            self.assertEqual(nodeNames(self.loaded(issued.text)), [])

    def test_none_outlives_the_authority(self) -> None:
        short = Authority.make(days=1.0)
        issued = short.node("edge", self.key.public_key(), 90.0)
        self.assertLessEqual(issued.expires, short.certificate.not_valid_after_utc.timestamp())

    def test_what_is_told_of_it_is_in_it(self) -> None:
        now = datetime(2026, 3, 1, tzinfo=UTC)
        issued = self.authority.node("edge", self.key.public_key(), 90.0, now)
        certificate = self.loaded(issued.text)
        self.assertEqual(int(issued.serial, 16), certificate.serial_number)
        self.assertEqual(issued.expires, (now + timedelta(days=90)).timestamp())

    def test_a_long_name_is_whole_where_it_counts(self) -> None:
        name = "a" * 100
        certificate = self.loaded(self.authority.node(name, self.key.public_key(), 1.0).text)
        self.assertEqual(nodeNames(certificate), [name])

    def test_openssl_takes_the_chain(self) -> None:
        if not which("openssl"):
            raise SkipTest("this machine has no openssl program")
        directory = self.mktemp()
        os.mkdir(directory)
        for name, purpose, text in (
            ("node", "sslclient", self.authority.node("edge", self.key.public_key(), 90.0).text),
            ("node", "sslserver", self.authority.node("edge", self.key.public_key(), 90.0).text),
            ("controller", "sslserver", self.authority.controller(self.key.public_key(), [], 1.0).text),
            ("operator", "sslclient", self.authority.operator("alice", self.key.public_key(), 1.0).text),
        ):
            trust, leaf = os.path.join(directory, "trust.pem"), os.path.join(directory, f"{name}.pem")
            for path, content in ((trust, self.authority.trust), (leaf, text)):
                with open(path, "w") as file:
                    file.write(content)
            command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", trust, leaf]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        command = [
            "openssl",
            "verify",
            "-purpose",
            "sslclient",
            "-CAfile",
            trust,
            leaf.replace("operator", "controller"),
        ]
        self.assertNotEqual(subprocess.run(command, capture_output=True).returncode, 0)


class Kept(SynchronousTestCase):
    """
    In the store.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock, latency=0.0)

    def settle(self) -> None:
        for _ in range(20):
            self.clock.advance(0)

    def test_the_first_controller_makes_it_and_the_others_find_it(self) -> None:
        opening = [Deferred.fromCoroutine(openAuthority(self.store)) for _ in range(3)]
        self.settle()
        found = {self.successResultOf(each).fingerprint for each in opening}
        self.assertEqual(len(found), 1)
        again = Deferred.fromCoroutine(openAuthority(self.store))
        self.settle()
        authority = self.successResultOf(again)
        self.assertEqual({authority.fingerprint}, found)
        certificate = x509.load_pem_x509_certificate(authority.node("edge", makeKey().public_key(), 1.0).text.encode())
        certificate.verify_directly_issued_by(authority.certificate)

    def test_one_that_can_not_be_read_is_told_and_not_replaced(self) -> None:
        for wrong in (b"", b"{}", b'{"certificate": "x", "key": "y"}', b"[]", b"\xff"):
            self.store.state.secrets["authority"] = wrong
            opening = Deferred.fromCoroutine(openAuthority(self.store))
            self.settle()
            self.failureResultOf(opening, IdentityBroken)
            self.assertEqual(self.store.state.secrets["authority"], wrong)

    def test_its_key_is_not_shown(self) -> None:
        authority = Authority.make()
        self.assertNotIn("PrivateKey", repr(authority))
        self.assertEqual(Authority.fromBytes(authority.toBytes()).fingerprint, authority.fingerprint)
        self.assertIn("PRIVATE KEY", authority.toBytes().decode())
        self.assertNotIn(keyText(makeKey()), authority.toBytes())
