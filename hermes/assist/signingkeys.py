"""
The keys that tokens are signed with: JSON Web Key Sets (RFC 7517) and PEM.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt import PyJWK, PyJWTError

from hermes.errors import HermesError

MAX_KEYS: Final = 256
"""
Of a key set.
"""

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final = {
    "secp256r1": frozenset({"ES256"}),
    "secp384r1": frozenset({"ES384"}),
    "secp521r1": frozenset({"ES512"}),
    "secp256k1": frozenset({"ES256K"}),
}
_EDWARDS: Final = frozenset({"EdDSA"})
SECRET_ALGORITHMS: Final = frozenset({"HS256", "HS384", "HS512"})
PUBLIC_ALGORITHMS: Final = _RSA.union(*_CURVES.values(), _EDWARDS)

_MIN_RSA: Final = 2048
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


class BadKeys(HermesError):
    """
    There is no key that can be used. The text is for the operator.
    """


@frozen(eq=False)
class SigningKey:
    """
    @ivar name: the C{kid} that a token names it by; L{None} where it has none.
    @ivar algorithms: what it may be used with, and nothing else: the public key of an RSA pair is no secret for HMAC.
    @ivar key: the key itself, as PyJWT takes it.
    """

    name: str | None
    algorithms: frozenset[str]
    key: Any = field(repr=False)


def parseKeys(data: bytes) -> tuple[SigningKey, ...]:
    """
    The public keys in a JSON Web Key Set, or in PEM: C{PUBLIC KEY} and C{CERTIFICATE}. Keys in a set that can't be used
    here (of unknown types, for encryption, secrets, too short) are left out.

    @raise BadKeys: where none is left.
    """
    if b"-----BEGIN " in data:
        return _parsePEM(data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise BadKeys("neither a JSON Web Key Set nor PEM") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise BadKeys("not a JSON Web Key Set: it has no list of 'keys'")
    found = [key for each in listed[:MAX_KEYS] if (key := _parseJWK(each)) is not None]
    if not found:
        raise BadKeys("no key in it can be used: signing keys of type RSA (2048 bits or more), EC or OKP are")
    return tuple(found)


def _parseJWK(value: object) -> SigningKey | None:
    if not isinstance(value, Mapping) or value.get("use", "sig") != "sig":
        return None
    operations = value.get("key_ops")
    if operations is not None and (not isinstance(operations, list) or "verify" not in operations):
        return None
    # A symmetric key that came with public ones is public.
    if value.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    # Of a private key, only what is public.
    public = {name: item for name, item in value.items() if name not in ("d", "p", "q", "dp", "dq", "qi", "oth")}
    declared = public.pop("alg", None)
    name = public.get("kid")
    try:
        key = PyJWK(public, algorithm=_anyAlgorithm(public)).key
        algorithms = _algorithmsOf(key)
    except (PyJWTError, ValueError, TypeError, KeyError, NotImplementedError):
        return None
    if declared is not None:
        algorithms &= {declared} if isinstance(declared, str) else set()
    if not algorithms:
        return None
    return SigningKey(name if isinstance(name, str) else None, algorithms, key)


def _anyAlgorithm(jwk: Mapping[str, Any]) -> str | None:
    # PyJWT guesses for elliptic curves; any RSA algorithm reads any RSA key.
    return "RS256" if jwk.get("kty") == "RSA" else None


def _parsePEM(data: bytes) -> tuple[SigningKey, ...]:
    found = []
    for match in _PEM.finditer(data):
        kind = match[1].decode("ascii")
        key: object
        try:
            if kind == "CERTIFICATE":
                key = load_pem_x509_certificate(match[0]).public_key()
            elif kind.endswith("PUBLIC KEY"):
                key = load_pem_public_key(match[0])
            elif kind.endswith("PRIVATE KEY"):
                raise BadKeys(
                    "a private key: tokens are checked with public keys, and this one is nobody else's to have"
                )
            else:
                continue
            algorithms = _algorithmsOf(key)
        except (ValueError, TypeError) as error:
            raise BadKeys(f"a {kind.lower()} can't be used: {error}") from None
        if not algorithms:
            raise BadKeys("a key can't be used: RSA (2048 bits or more), elliptic curves and Edwards curves are")
        found.append(SigningKey(None, algorithms, key))
    if not found:
        raise BadKeys("there is no PUBLIC KEY and no CERTIFICATE in it")
    return tuple(found)


def _algorithmsOf(key: object) -> frozenset[str]:
    if isinstance(key, RSAPublicKey):
        return _RSA if key.key_size >= _MIN_RSA else frozenset()
    if isinstance(key, EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, frozenset())
    return _EDWARDS if isinstance(key, Ed25519PublicKey | Ed448PublicKey) else frozenset()
