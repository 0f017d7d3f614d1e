"""
Keys are read for what they may be used for, and nothing else.
"""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.signingkeys import MAX_KEYS, BadKeys, parseKeys
from hermes.test.assist.tokens import ecKey, edwardsKey, jwk, keySet, publicPEM, rsaKey

RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}


class SetTests(SynchronousTestCase):
    """
    JSON Web Key Sets.
    """

    def test_eachKeyHasItsAlgorithms(self) -> None:
        keys = parseKeys(
            keySet(
                jwk(rsaKey(), "r"),
                jwk(ecKey(), "e"),
                jwk(ec.generate_private_key(ec.SECP384R1()), "e3"),
                jwk(edwardsKey(), "o"),
                jwk(rsaKey(1), alg="RS512", use="sig", key_ops=["verify"]),
            )
        )
        self.assertEqual(
            [(key.name, set(key.algorithms)) for key in keys],
            [("r", RSA), ("e", {"ES256"}), ("e3", {"ES384"}), ("o", {"EdDSA"}), (None, {"RS512"})],
        )

    def test_whatIsNotForSignaturesIsLeftOut(self) -> None:
        good = jwk(rsaKey(), "good")
        others: list[Any] = [
            jwk(rsaKey(), use="enc"),
            jwk(rsaKey(), key_ops=["encrypt"]),
            jwk(rsaKey(), key_ops="verify"),
            jwk(rsaKey(), alg="RSA-OAEP"),
            jwk(rsaKey(), alg="HS256"),
            jwk(rsaKey(), alg=7),
            jwk(ecKey(), alg="RS256"),
            jwk(rsaKey(2, 1024)),
            {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
            {"kty": "RSA", "n": "AQAB"},
            {"kty": "RSA", "n": "!", "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "new"},
            {},
            None,
            "text",
        ]
        self.assertEqual([key.name for key in parseKeys(keySet(*others, good))], ["good"])
        for other in others:
            with self.assertRaises(BadKeys):
                parseKeys(keySet(other))

    def test_aPrivateKeyInASetIsReadAsItsPublicOne(self) -> None:
        private = {**jwk(ecKey(), "e"), "d": "AAAA"}
        (key,) = parseKeys(keySet(private))
        self.assertEqual(key.algorithms, {"ES256"})
        self.assertFalse(hasattr(key.key, "sign"))

    def test_aNameThatIsNoTextIsNone(self) -> None:
        (key,) = parseKeys(keySet({**jwk(rsaKey()), "kid": 7}))
        self.assertIsNone(key.name)

    def test_aSetIsReadOnlySoFar(self) -> None:
        keys = [jwk(rsaKey(), str(number)) for number in range(MAX_KEYS + 5)]
        self.assertEqual(len(parseKeys(keySet(*keys))), MAX_KEYS)

    def test_whatIsNoSetIsRefused(self) -> None:
        for data in (b"", b"null", b"[]", b"{}", b'{"keys": 1}', b'{"keys": []}', b"\xff", b"[" * 100_000):
            with self.assertRaises(BadKeys):
                parseKeys(data)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["kty", "n", "e", "kid", "x"]), inner),
        )
    )
    def test_whatIsNoKeyIsRefused(self, value: object) -> None:
        self.assertRaises(BadKeys, parseKeys, json.dumps({"keys": [value]}).encode())


class PEMTests(SynchronousTestCase):
    """
    PEM.
    """

    def test_everyPublicKeyInItIsRead(self) -> None:
        keys = parseKeys(b"# mine\n" + publicPEM(rsaKey()) + publicPEM(ecKey()))
        self.assertEqual([set(key.algorithms) for key in keys], [RSA, {"ES256"}])

    def test_whatCannotBeUsedIsRefused(self) -> None:
        private = ecKey().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for data, reason in (
            (private, "private"),
            (publicPEM(rsaKey(2, 1024)), "2048"),
            (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "public key"),
            (b"-----BEGIN X-----\nAAAA\n-----END X-----\n", "no PUBLIC KEY"),
        ):
            with self.assertRaisesRegex(BadKeys, reason):
                parseKeys(data)
