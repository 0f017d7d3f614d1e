"""
Keys of nodes, and requests for certificates (PKCS #10, RFC 2986).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from hermes.control.enrolment.errors import BadRequest

MAX_REQUEST = 8 * 1024
"""
How large a request is at most, in bytes of PEM.
"""

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_BITS = range(2048, 8193)


def makeKey() -> ec.EllipticCurvePrivateKey:
    """
    A new key: ECDSA P-256.
    """
    return ec.generate_private_key(ec.SECP256R1())


def keyText(key: ec.EllipticCurvePrivateKey) -> bytes:
    """
    A key, PEM.
    """
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def makeRequest(key: ec.EllipticCurvePrivateKey) -> str:
    """
    A request for a certificate, PEM. It names nobody: for whom it is, the token says or the connection.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hermes")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def requestedKey(text: str) -> CertificatePublicKeyTypes:
    """
    The key of a request, whose sender has shown that it has the other half. What the request says of names is not
    looked at.

    @raise BadRequest: where it is none, or its key is not one that is signed.
    """
    if len(text) > MAX_REQUEST:
        raise BadRequest("the certificate request is too large")
    try:
        request = x509.load_pem_x509_csr(text.encode())
        valid = request.is_signature_valid
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadRequest("the certificate request can't be read") from None
    if not valid:
        raise BadRequest("the certificate request is not signed by its own key")
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, _CURVES):
            raise BadRequest("the key's curve is none of P-256, P-384, P-521")
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            raise BadRequest(f"an RSA key has {_RSA_BITS.start} to {_RSA_BITS.stop - 1} bits")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise BadRequest("the key is of a kind that is not signed here")
    return key


def sameKey(one: CertificatePublicKeyTypes, other: CertificatePublicKeyTypes) -> bool:
    """
    Whether two public keys are one.
    """
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return one.public_bytes(*form) == other.public_bytes(*form)
