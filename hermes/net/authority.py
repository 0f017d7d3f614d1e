"""
A small certificate authority for an overlay: for C{hermes pki}, for the demo and for tests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SCHEME = "hermes://"
"""
What stands before a node's name in the URI of its certificate.
"""

NODE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")

AUTHORITY = "overlay-ca"

# Clocks of machines differ.
_SKEW = timedelta(hours=1)


@frozen
class OverlayAuthority:
    """
    An authority in a directory: C{overlay-ca.pem} and C{overlay-ca.key}, and beside them what it issues. Keys are ECDSA
    P-256, readable to their owner alone.

    @ivar certificate: its own certificate.
    """

    directory: Path
    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, directory: str | Path, name: str = "Hermes overlay", days: float = 3650) -> OverlayAuthority:
        """
        Make a new authority.

        @raise FileExistsError: where there is one already.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        certificate, key = makeAuthority(name, days)
        _writeKey(directory / f"{AUTHORITY}.key", key)
        (directory / f"{AUTHORITY}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        return cls(directory, certificate, key)

    @classmethod
    def load(cls, directory: str | Path) -> OverlayAuthority:
        """
        Open the authority in a directory.

        @raise OSError: where there is none.
        """
        directory = Path(directory)
        certificate = x509.load_pem_x509_certificate((directory / f"{AUTHORITY}.pem").read_bytes())
        key = load_pem_private_key((directory / f"{AUTHORITY}.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{directory / AUTHORITY}.key is not a key that this authority made")
        return cls(directory, certificate, key)

    @property
    def trustFile(self) -> str:
        """
        The path of the bundle that nodes trust.
        """
        return str(self.directory / f"{AUTHORITY}.pem")

    def issue(self, node: str, names: Sequence[str] = (), days: float = 397) -> tuple[str, str]:
        """
        Issue a certificate for a node, in place of the one it had, if any.

        @param node: its name; becomes C{hermes://NAME}.
        @param names: DNS names and addresses that stand in it too, for clients that know no nodes.
        @return: the paths of the certificate and of the key, C{NODE.pem} and C{NODE.key}.
        @raise ValueError: where the name can't be a node's.
        """
        checkNodeName(node)
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = [nodeUri(node), *map(nameOrAddress, names)]
        certificate = signCertificate(self.certificate, self._key, key.public_key(), node, alternatives, days)
        certificateFile, keyFile = self.directory / f"{node}.pem", self.directory / f"{node}.key"
        keyFile.unlink(missing_ok=True)
        _writeKey(keyFile, key)
        certificateFile.write_bytes(certificate.public_bytes(Encoding.PEM))
        return str(certificateFile), str(keyFile)


def checkNodeName(node: str) -> None:
    """
    @raise ValueError: where the name can't be a node's.
    """
    if not NODE_NAME.fullmatch(node.lower()):
        raise ValueError(f"{node!r} can't be the name of a node: letters, digits, '.', '-' and '_'")


def nodeUri(node: str) -> x509.UniformResourceIdentifier:
    """
    What names a node in its certificate.
    """
    return x509.UniformResourceIdentifier(SCHEME + node.lower())


def makeAuthority(name: str, days: float) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """
    The certificate and the key of a new authority.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(subject, subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_keyUsage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def signCertificate(
    authority: x509.Certificate,
    authorityKey: ec.EllipticCurvePrivateKey,
    key: CertificatePublicKeyTypes,
    name: str,
    alternatives: Sequence[x509.GeneralName],
    days: float,
    usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    now: datetime | None = None,
) -> x509.Certificate:
    """
    A certificate for a public key.

    @param name: the common name, for whoever looks at it; X.509 has room for 64 characters.
    @param alternatives: whom it names.
    @param now: when it begins, an hour before that; the present where not given.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    return (
        _builder(subject, authority.subject, key, days, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_keyUsage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authorityKey.public_key()), critical=False)
        .sign(authorityKey, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    days: float,
    now: datetime | None = None,
) -> x509.CertificateBuilder:
    now = now or datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _keyUsage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def nameOrAddress(name: str) -> x509.GeneralName:
    """
    A DNS name or an address, as it stands in a certificate.
    """
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _writeKey(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
