"""
Keys and certificates for tests, made once.
"""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generateRSA
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hermes.ndn.packet.component import fromText
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.certificate import SELF, Certificate, makeCertificate
from hermes.ndn.security.signers import PrivateKey, signerFor
from hermes.ndn.security.verifiers import PublicKey

NOW = 1_700_000_000
KINDS = ("ecdsa", "rsa", "ed25519")


def key(kind: str, number: int = 0) -> PrivateKey:
    """
    The key of this kind with this number.
    """
    return _key(kind, number)


@cache
def _key(kind: str, number: int) -> PrivateKey:
    if kind == "rsa":
        return generateRSA(65537, 2048)
    return generate_private_key(SECP256R1()) if kind == "ecdsa" else Ed25519PrivateKey.generate()


def der(private: PrivateKey) -> bytes:
    """
    As python-ndn takes private keys.
    """
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


class Identity:
    """
    Somebody with a key and a certificate.

    @ivar signer: signs, and names the certificate.
    """

    def __init__(
        self,
        identity: str,
        issuer: Identity | None = None,
        kind: str = "ecdsa",
        number: int = 0,
        validity: tuple[float, float] = (NOW - 10, NOW + 1000),
        keyID: str = "k",
    ) -> None:
        self.private = key(kind, number)
        self.keyName = Name.fromText(f"{identity}/KEY/{keyID}")
        own = signerFor(self.private, self.keyName)
        self.certificate: Certificate = makeCertificate(
            self.keyName,
            PublicKey(self.private.public_key()),
            own if issuer is None else issuer.signer,
            SELF if issuer is None else fromText("issuer"),
            NOW,
            *validity,
        )
        self.signer: Signer = signerFor(self.private, self.certificate.name)
