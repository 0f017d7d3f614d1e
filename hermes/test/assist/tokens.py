"""
Issuers of tokens, honest ones and others.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Any

import jwt
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from twisted.internet.defer import Deferred

NOW = 1_800_000_000.0


@lru_cache
def rsaKey(number: int = 0, bits: int = 2048) -> Any:
    """
    A private key, the same for the same number.
    """
    return rsa.generate_private_key(65537, bits)


@lru_cache
def ecKey(number: int = 0) -> Any:
    """
    The same on P-256.
    """
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache
def edwardsKey() -> Any:
    """
    The same of Ed25519.
    """
    return ed25519.Ed25519PrivateKey.generate()


def publicPEM(key: Any) -> bytes:
    """
    The public part.
    """
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def jwk(key: Any, name: str | None = None, **members: Any) -> dict[str, Any]:
    """
    The public part as a JSON Web Key.
    """
    algorithm: Any = OKPAlgorithm
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = RSAAlgorithm
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = ECAlgorithm
    made: dict[str, Any] = algorithm.to_jwk(key.public_key(), as_dict=True)
    return {**made, **({} if name is None else {"kid": name}), **members}


def keySet(*keys: dict[str, Any]) -> bytes:
    """
    A JSON Web Key Set.
    """
    return json.dumps({"keys": keys}).encode()


def claims(**changed: Any) -> dict[str, Any]:
    """
    Claims of alice's, good for five minutes; L{None} takes one out.
    """
    made = {"sub": "alice", "iss": "https://issuer.example", "exp": NOW + 300, "iat": NOW, **changed}
    return {name: value for name, value in made.items() if value is not None}


def token(key: Any, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changed: Any) -> bytes:
    """
    A token.
    """
    return jwt.PyJWS().encode(json.dumps(claims(**changed)).encode(), key, algorithm, headers=header).encode()


def part(value: object) -> bytes:
    """
    A part of a token that nobody has signed.
    """
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=")


@define(eq=False)
class Source:
    """
    Where keys come from, when it is told to.

    @ivar asked: what waits for them.
    """

    asked: list[Deferred[bytes]] = field(factory=list)

    def __call__(self) -> Deferred[bytes]:
        asked: Deferred[bytes] = Deferred()
        self.asked.append(asked)
        return asked
