"""
Whether a signature is that of a key.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.typenumbers import (
    SIGNATURE_DIGEST_SHA256,
    SIGNATURE_ED25519,
    SIGNATURE_HMAC_WITH_SHA256,
    SIGNATURE_SHA256_WITH_ECDSA,
    SIGNATURE_SHA256_WITH_RSA,
)
from hermes.ndn.security.signers import hashed
from hermes.values import Buffer

MIN_RSA_BITS = 2048
"""
Keys that are smaller are taken for none.
"""

_PREHASHED = Prehashed(SHA256())
_ECDSA = ECDSA(_PREHASHED)
_PKCS1 = PKCS1v15()


class Verifier(Protocol):
    """
    Knows a key.
    """

    def verifies(self, signatureType: int, parts: Sequence[Buffer], value: Buffer) -> bool:
        """
        Whether C{value} is this key's signature of the concatenated C{parts}.

        @param signatureType: SignatureType; of another type than the key, it is not.
        """


class DigestVerifier:
    """
    That a packet is whole.
    """

    def verifies(self, signatureType: int, parts: Sequence[Buffer], value: Buffer) -> bool:
        """
        See L{Verifier}.
        """
        return signatureType == SIGNATURE_DIGEST_SHA256 and hashed(parts) == value


class HmacVerifier:
    """
    A key that is shared with the signer.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def verifies(self, signatureType: int, parts: Sequence[Buffer], value: Buffer) -> bool:
        """
        See L{Verifier}.
        """
        if signatureType != SIGNATURE_HMAC_WITH_SHA256:
            return False
        code = hmac.new(self._key, digestmod="sha256")
        for part in parts:
            code.update(part)
        return hmac.compare_digest(code.digest(), value)


class PublicKey:
    """
    A public key: RSA, elliptic curve or Ed25519.

    @ivar der: as certificates have it: SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    """

    def __init__(self, key: EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey) -> None:
        self.der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._key = key

    @classmethod
    def fromDER(cls, der: Buffer) -> PublicKey:
        """
        @raise PacketError: if it is no key, or none of a kind that signs NDN packets.
        """
        try:
            key = load_der_public_key(bytes(der))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise PacketError(f"this is no public key: {error}") from error
        if not isinstance(key, EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey):
            raise PacketError(f"{type(key).__name__} signs no NDN packets")
        if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
            raise PacketError(f"an RSA key of {key.key_size} bits: it needs {MIN_RSA_BITS}")
        return cls(key)

    def verifies(self, signatureType: int, parts: Sequence[Buffer], value: Buffer) -> bool:
        """
        See L{Verifier}.
        """
        key = self._key
        try:
            if isinstance(key, EllipticCurvePublicKey):
                if signatureType != SIGNATURE_SHA256_WITH_ECDSA:
                    return False
                key.verify(bytes(value), hashed(parts), _ECDSA)
            elif isinstance(key, RSAPublicKey):
                if signatureType != SIGNATURE_SHA256_WITH_RSA:
                    return False
                key.verify(bytes(value), hashed(parts), _PKCS1, _PREHASHED)
            else:
                if signatureType != SIGNATURE_ED25519:
                    return False
                key.verify(bytes(value), b"".join(parts))
        except InvalidSignature:
            return False
        return True
