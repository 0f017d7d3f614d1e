"""
Who a node is, on its disk: its certificate, its key, and what it trusts.

A new key and the certificate for it are two files, and belong together. Both are written under other names first; then
the key takes its place, and then the certificate. A process that is killed between finds the rest when it starts.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hermes.control.agent.files import Files
from hermes.control.enrolment.errors import IdentityBroken
from hermes.control.enrolment.requests import keyText, makeKey, sameKey
from hermes.net.certificates import nodeNames

CERTIFICATE = "node.pem"
KEY = "node.key"
TRUST = "trust.pem"
"""
The names of the files; as L{hermes.control.compiler.compiling.IDENTITY} has them.
"""

NEXT = ".next"
"""
How the names of those end that are to take their place.
"""


@frozen
class NodeIdentity:
    """
    What is on disk.

    @ivar node: the node's name.
    @ivar certificate: its certificate.
    """

    node: str
    certificate: x509.Certificate

    @property
    def renewAt(self) -> float:
        """
        When two thirds of the certificate's life have passed, in seconds since the epoch.
        """
        begin = self.certificate.not_valid_before_utc.timestamp()
        end = self.certificate.not_valid_after_utc.timestamp()
        return begin + (end - begin) * 2 / 3

    @property
    def expires(self) -> float:
        """
        In seconds since the epoch.
        """
        return self.certificate.not_valid_after_utc.timestamp()


class IdentityFiles:
    """
    The identity in a directory. Every method blocks for as long as the disk takes.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    @property
    def paths(self) -> tuple[str, str, str]:
        """
        Of certificate, key, and trust.
        """
        return self._files.path(CERTIFICATE), self._files.path(KEY), self._files.path(TRUST)

    def load(self) -> NodeIdentity | None:
        """
        What there is; L{None} where the node has not joined yet. What an earlier process has begun is finished.

        @raise IdentityBroken: where it can't be used.
        @raise OSError: where it can't be read.
        """
        self._files.create()
        self._finish()
        try:
            data = self._files.read(CERTIFICATE)
            key = self._files.read(KEY)
            self._files.read(TRUST)
        except FileNotFoundError:
            return None
        certificate = _certificate(data, self._files.path(CERTIFICATE))
        if not _belongs(key, certificate):
            raise IdentityBroken(f"{self._files.path(KEY)} is not the key of the certificate")
        names = nodeNames(certificate)
        if len(names) != 1:
            raise IdentityBroken(f"{self._files.path(CERTIFICATE)} names no node, or more than one")
        return NodeIdentity(names[0], certificate)

    def _finish(self) -> None:
        """
        The certificate that is to come belongs to the key that is there: the other half of a change.
        """
        with suppress(FileNotFoundError, IdentityBroken):
            coming = _certificate(self._files.read(CERTIFICATE + NEXT), CERTIFICATE)
            if _belongs(self._files.read(KEY), coming):
                self._files.rename(CERTIFICATE + NEXT, CERTIFICATE)
        for name in KEY, CERTIFICATE:
            self._files.remove(name + NEXT)

    def newKey(self) -> ec.EllipticCurvePrivateKey:
        """
        A new key, kept beside the one that is used, if any.

        @raise OSError: where it can't be.
        """
        self._files.create()
        key = makeKey()
        self._files.write(KEY + NEXT, keyText(key))
        return key

    def install(
        self, key: ec.EllipticCurvePrivateKey, certificate: str, trust: str, node: str | None = None
    ) -> NodeIdentity:
        """
        Use a certificate from now on.

        @param key: from L{newKey}.
        @param certificate: PEM, signed for it.
        @param trust: PEM.
        @param node: whom it must name.
        @raise IdentityBroken: where it is not what was asked for; nothing has changed then.
        @raise OSError: where it can't be kept; what is used then, L{load} says.
        """
        found = _certificate(certificate.encode(), "the certificate that was signed")
        names = nodeNames(found)
        if len(names) != 1 or (node is not None and names != [node]):
            raise IdentityBroken(f"the certificate that was signed names {', '.join(names) or 'nobody'}")
        if not sameKey(found.public_key(), key.public_key()):
            raise IdentityBroken("the certificate that was signed is for another key")
        _checkIssued(found, trust)
        self._files.write(CERTIFICATE + NEXT, certificate.encode())
        if not self._has(TRUST, trust.encode()):
            self._files.write(TRUST, trust.encode())
        self._files.rename(KEY + NEXT, KEY)
        self._files.rename(CERTIFICATE + NEXT, CERTIFICATE)
        return NodeIdentity(names[0], found)

    def _has(self, name: str, data: bytes) -> bool:
        try:
            return self._files.read(name) == data
        except FileNotFoundError:
            return False


def _certificate(data: bytes, what: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError:
        raise IdentityBroken(f"{what} holds no certificate") from None


def _belongs(key: bytes, certificate: x509.Certificate) -> bool:
    try:
        found = load_pem_private_key(key, None)
    except (ValueError, TypeError):
        return False
    return isinstance(found, ec.EllipticCurvePrivateKey) and sameKey(found.public_key(), certificate.public_key())


def _checkIssued(certificate: x509.Certificate, trust: str) -> None:
    """
    Whether one of those that are trusted has signed it, and it is valid now.
    """
    try:
        authorities = x509.load_pem_x509_certificates(trust.encode())
    except ValueError:
        raise IdentityBroken("what is to be trusted holds no certificate") from None
    for authority in authorities:
        with suppress(ValueError, TypeError, InvalidSignature):
            certificate.verify_directly_issued_by(authority)
            break
    else:
        raise IdentityBroken("the certificate that was signed is of another authority than is to be trusted")
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise IdentityBroken("the certificate that was signed has expired: is a clock wrong?")
