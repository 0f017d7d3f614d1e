"""
What makes signatures (packet format v0.3, section "Signature"), one class for each type.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import SignatureInfo, Signer
from hermes.ndn.packet.typenumbers import (
    SIGNATURE_DIGEST_SHA256,
    SIGNATURE_ED25519,
    SIGNATURE_HMAC_WITH_SHA256,
    SIGNATURE_NULL,
    SIGNATURE_SHA256_WITH_ECDSA,
    SIGNATURE_SHA256_WITH_RSA,
)
from hermes.values import Buffer

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey
"""
The private halves of the keys that a certificate can be of.
"""


def hashed(parts: Sequence[Buffer]) -> bytes:
    """
    SHA-256 of the concatenated C{parts}.
    """
    digest = sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


class _Signer:
    """
    What all have: it says the same of each signature.
    """

    signatureType: int

    def __init__(self, locator: Name | bytes | None = None) -> None:
        """
        @param locator: the name of the key or of its certificate, or a digest of the key.
        """
        self._info = SignatureInfo(self.signatureType, locator)

    def signatureInfo(self) -> SignatureInfo:
        """
        See L{Signer}.
        """
        return self._info


class DigestSigner(_Signer):
    """
    A SHA-256 digest: it says that the packet is whole, and nothing of who made it.
    """

    signatureType = SIGNATURE_DIGEST_SHA256

    def __init__(self) -> None:
        super().__init__()

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """
        32 bytes.
        """
        return hashed(parts)


class NullSigner(_Signer):
    """
    No signature, for experiments: an empty value.
    """

    signatureType = SIGNATURE_NULL

    def __init__(self) -> None:
        super().__init__()

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """
        No bytes.
        """
        return b""


class HmacSigner(_Signer):
    """
    HMAC-SHA-256 (RFC 2104), with a key that its verifier has too.
    """

    signatureType = SIGNATURE_HMAC_WITH_SHA256

    def __init__(self, key: bytes, locator: Name | bytes | None = None) -> None:
        super().__init__(locator)
        self._key = key

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """
        32 bytes.
        """
        code = hmac.new(self._key, digestmod="sha256")
        for part in parts:
            code.update(part)
        return code.digest()


class EcdsaSigner(_Signer):
    """
    ECDSA over SHA-256, as in RFC 3279 section 2.2.3: DER. Deterministic where OpenSSL can (3.2).
    """

    signatureType = SIGNATURE_SHA256_WITH_ECDSA

    def __init__(self, key: EllipticCurvePrivateKey, locator: Name | bytes | None = None) -> None:
        super().__init__(locator)
        self._key = key
        try:
            # RFC 6979: the same packet is signed in the same way each time, and so has the same digest.
            self._algorithm = ECDSA(Prehashed(SHA256()), deterministic_signing=True)
        except UnsupportedAlgorithm:
            self._algorithm = ECDSA(Prehashed(SHA256()))

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """
        70 to 72 bytes for a key of 256 bits.
        """
        return self._key.sign(hashed(parts), self._algorithm)


class RsaSigner(_Signer):
    """
    RSASSA-PKCS1-v1_5 over SHA-256 (RFC 8017 section 8.2).
    """

    signatureType = SIGNATURE_SHA256_WITH_RSA

    def __init__(self, key: RSAPrivateKey, locator: Name | bytes | None = None) -> None:
        super().__init__(locator)
        self._key = key
        self._padding = PKCS1v15()
        self._algorithm = Prehashed(SHA256())

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """
        As many bytes as the key has.
        """
        return self._key.sign(hashed(parts), self._padding, self._algorithm)


class Ed25519Signer(_Signer):
    """
    Ed25519 (RFC 8032 section 5.1).
    """

    signatureType = SIGNATURE_ED25519

    def __init__(self, key: Ed25519PrivateKey, locator: Name | bytes | None = None) -> None:
        super().__init__(locator)
        self._key = key

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """
        64 bytes.
        """
        return self._key.sign(b"".join(parts))


def signerFor(key: PrivateKey, locator: Name | bytes | None = None) -> Signer:
    """
    The signer that suits a key.

    @param locator: see L{DigestSigner} and the others.
    """
    if isinstance(key, EllipticCurvePrivateKey):
        return EcdsaSigner(key, locator)
    if isinstance(key, RSAPrivateKey):
        return RsaSigner(key, locator)
    return Ed25519Signer(key, locator)
