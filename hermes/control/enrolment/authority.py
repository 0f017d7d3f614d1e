"""
The authority of an overlay: made by the first controller that starts, kept in the store, and the same for all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from hermes.control.channel.credentials import OPERATOR, serialText
from hermes.control.enrolment.errors import IdentityBroken
from hermes.control.enrolment.requests import keyText
from hermes.interfaces.store import IStore
from hermes.net.authority import makeAuthority, nameOrAddress, nodeUri, signCertificate

SECRET = "authority"
"""
The name of the store's secret that holds certificate and key.
"""

CONTROLLER_NAME = "controller.hermes"
"""
The DNS name in every controller's certificate. No node's certificate holds a DNS name.
"""

AUTHORITY_DAYS = 3650.0


@frozen
class Issued:
    """
    A certificate that was signed.

    @ivar text: PEM.
    @ivar serial: its serial number, in hexadecimal.
    @ivar expires: when it ends, in seconds since the epoch.
    """

    text: str
    serial: str
    expires: float


@frozen
class Authority:
    """
    See the module. What it signs is valid for as long as it is asked to, and no longer than itself.

    @ivar certificate: its own.
    """

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def make(cls, name: str = "Hermes overlay", days: float = AUTHORITY_DAYS) -> Authority:
        """
        A new one.
        """
        return cls(*makeAuthority(name, days))

    @classmethod
    def fromBytes(cls, data: bytes) -> Authority:
        """
        The reverse of L{toBytes}.

        @raise IdentityBroken: where it can't be read.
        """
        try:
            found = json.loads(data)
            certificate = x509.load_pem_x509_certificate(found["certificate"].encode())
            key = load_pem_private_key(found["key"].encode(), None)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise IdentityBroken("the store's authority can't be read") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise IdentityBroken("the store's authority has a key of another kind")
        return cls(certificate, key)

    def toBytes(self) -> bytes:
        """
        As it is in the store.
        """
        return json.dumps({"certificate": self.trust, "key": keyText(self._key).decode()}).encode()

    @property
    def trust(self) -> str:
        """
        What nodes trust, PEM.
        """
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def fingerprint(self) -> bytes:
        """
        SHA-256 of its certificate, DER: by this, a token knows it.
        """
        return fingerprintOf(self.certificate)

    def node(self, name: str, key: CertificatePublicKeyTypes, days: float, now: datetime | None = None) -> Issued:
        """
        Sign a node's certificate. It names the node, and nothing else.
        """
        return self._sign(key, name, [nodeUri(name)], days, now)

    def operator(self, name: str, key: CertificatePublicKeyTypes, days: float, now: datetime | None = None) -> Issued:
        """
        Sign an operator's certificate, by which it is known to controllers alone.
        """
        uri = x509.UniformResourceIdentifier(OPERATOR + name)
        return self._sign(key, name, [uri], days, now, (ExtendedKeyUsageOID.CLIENT_AUTH,))

    def controller(
        self, key: CertificatePublicKeyTypes, names: Sequence[str], days: float, now: datetime | None = None
    ) -> Issued:
        """
        Sign a controller's certificate.

        @param names: DNS names and addresses that it is reached at, for browsers.
        """
        alternatives = [nameOrAddress(each) for each in dict.fromkeys((CONTROLLER_NAME, *names))]
        return self._sign(key, CONTROLLER_NAME, alternatives, days, now, (ExtendedKeyUsageOID.SERVER_AUTH,))

    def _sign(
        self,
        key: CertificatePublicKeyTypes,
        name: str,
        alternatives: Sequence[x509.GeneralName],
        days: float,
        now: datetime | None,
        usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    ) -> Issued:
        now = now or datetime.now(UTC)
        left = (self.certificate.not_valid_after_utc - now).total_seconds() / 86400
        signed = signCertificate(self.certificate, self._key, key, name, alternatives, min(days, left), usages, now)
        text = signed.public_bytes(Encoding.PEM).decode()
        return Issued(text, serialText(signed.serial_number), signed.not_valid_after_utc.timestamp())


def fingerprintOf(certificate: x509.Certificate) -> bytes:
    """
    SHA-256 of a certificate, DER.
    """
    return sha256(certificate.public_bytes(Encoding.DER)).digest()


async def openAuthority(store: IStore) -> Authority:
    """
    The overlay's authority: of several controllers that start for the first time, one makes it, and the others take
    that.

    @raise IdentityBroken: where it can't be read.
    """
    found = await store.secret(SECRET)
    if found is None:
        made = Authority.make()
        if await store.putSecret(SECRET, made.toBytes()):
            return made
        found = await store.secret(SECRET)
        if found is None:
            raise IdentityBroken("the store has lost the authority")
    return Authority.fromBytes(found)
