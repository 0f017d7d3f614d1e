"""
Tokens prove who signed them meant, and hostile ones prove nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import jwt
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.keysets import PAUSE, FixedKeys, KeySet, KeysUnavailable
from hermes.assist.signingkeys import SECRET_ALGORITHMS, SigningKey
from hermes.assist.tokens import MAX_TOKEN, InvalidToken, Proof, TokenChecker, TokenRules
from hermes.test.assist.tokens import (
    NOW,
    Source,
    claims,
    ecKey,
    edwardsKey,
    jwk,
    keySet,
    part,
    publicPEM,
    rsaKey,
    token,
)

RULES = TokenRules(frozenset({"RS256", "ES256", "EdDSA"}), frozenset({"https://issuer.example"}))
SECRET = b"0123456789abcdef0123456789abcdef"


class TokenCase(SynchronousTestCase):
    """
    What these tests share.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.now = NOW
        self.keys = self.keysOf(keySet(jwk(rsaKey(), "r"), jwk(ecKey(), "e"), jwk(edwardsKey(), "o")))
        self.checker = self.checkerOf(RULES)

    def keysOf(self, data: bytes) -> KeySet:
        return KeySet(lambda: data, "keys", self.clock)

    def checkerOf(self, rules: TokenRules, keys: Any = None) -> TokenChecker:
        return TokenChecker(rules, self.keys if keys is None else keys, lambda: self.now)

    def prove(self, given: bytes, checker: TokenChecker | None = None) -> Proof:
        return self.successResultOf(
            Deferred.fromCoroutine((self.checker if checker is None else checker).check(given, given))
        )

    def refuse(self, given: bytes, reason: str, checker: TokenChecker | None = None) -> None:
        checker = self.checker if checker is None else checker
        failure = self.failureResultOf(Deferred.fromCoroutine(checker.check(given, given)), InvalidToken)
        self.assertRegex(str(failure.value), reason)
        self.assertIsNone(checker.known(given))


class ProofTests(TokenCase):
    """
    Good tokens.
    """

    def test_anyKeyOfTheSetMayHaveSigned(self) -> None:
        for key, algorithm, name in ((rsaKey(), "RS256", "r"), (ecKey(), "ES256", "e"), (edwardsKey(), "EdDSA", "o")):
            for header in (None, {"kid": name}):
                self.assertEqual(self.prove(token(key, algorithm, header)), Proof("alice"))

    def test_aSecretWillDoWhereItIsMeant(self) -> None:
        keys = FixedKeys(SigningKey(None, SECRET_ALGORITHMS, SECRET))
        checker = self.checkerOf(evolve(RULES, algorithms=frozenset({"HS256"})), keys)
        self.assertEqual(self.prove(token(SECRET, "HS256"), checker), Proof("alice"))
        self.refuse(token(SECRET[::-1], "HS256"), "signature", checker)
        self.refuse(token(SECRET * 2, "HS512"), "algorithm", checker)

    def test_theUserIsInTheClaimThatIsNamed(self) -> None:
        checker = self.checkerOf(evolve(RULES, user="email", prefix="oidc:"))
        self.assertEqual(self.prove(token(rsaKey(), email="a@x.example"), checker).user, "oidc:a@x.example")
        nested = self.checkerOf(evolve(RULES, user="realm.name"))
        self.assertEqual(self.prove(token(rsaKey(), realm={"name": "al"}), nested).user, "al")
        both: dict[str, Any] = {"realm.name": "bo", "realm": {"name": "al"}}
        plain = self.checkerOf(evolve(RULES, user="realm.name"))
        self.assertEqual(self.prove(token(rsaKey(), **both), plain).user, "bo")

    def test_claimsBecomeFields(self) -> None:
        names = {name: b"x-" + name.encode() for name in ("groups", "admin", "level", "dept", "none", "deep")}
        checker = self.checkerOf(evolve(RULES, claims=names))
        made = token(
            rsaKey(),
            groups=["dev", "a,admin", "ops", "b\r\nx-admin: 1", "", {"x": 1}, 7],
            admin=True,
            level=3,
            dept="Größe",
            none=None,
            deep={"x": 1},
        )
        self.assertEqual(
            self.prove(made, checker).headers,
            (
                (b"x-groups", b"dev, ops, 7"),
                (b"x-admin", b"true"),
                (b"x-level", b"3"),
                (b"x-dept", "Größe".encode()),
            ),
        )

    def test_aClaimThatNoFieldCanHoldIsNone(self) -> None:
        checker = self.checkerOf(evolve(RULES, claims={"x": b"x-x"}))
        for value in ("a\r\nb: c", "a\nb", "\0", " a", "a ", "", "x" * 5000, [], [","], {"a": 1}, "\ud800"):
            self.assertEqual(self.prove(token(rsaKey(), x=value), checker).headers, (), repr(value))

    def test_clocksMayDifferBySoMuch(self) -> None:
        lenient = self.checkerOf(evolve(RULES, leeway=60.0))
        good: tuple[dict[str, Any], ...] = ({"exp": NOW - 59}, {"nbf": NOW + 59}, {"iat": NOW + 59})
        for changed in good:
            self.assertEqual(self.prove(token(rsaKey(), **changed), lenient), Proof("alice"))
        bad: tuple[dict[str, Any], ...] = ({"exp": NOW - 60}, {"nbf": NOW + 61}, {"iat": NOW + 61})
        for changed in bad:
            self.refuse(token(rsaKey(), **changed), "expired|not valid yet|future", lenient)

    def test_oneOfTheAudiencesIsEnough(self) -> None:
        checker = self.checkerOf(evolve(RULES, audiences=frozenset({"proxy", "edge"})))
        for audience in ("proxy", ["x", "edge"]):
            self.assertEqual(self.prove(token(rsaKey(), aud=audience), checker), Proof("alice"))
        for wrong in (None, "x", [], ["x"], 7, [7], {"proxy": 1}):
            self.refuse(token(rsaKey(), aud=wrong), "audience", checker)

    def test_aTokenForSomebodyIsForNobodyElse(self) -> None:
        self.refuse(token(rsaKey(), aud="somebody"), "audience")

    def test_aTokenNeedNotEndWhereThatIsAllowed(self) -> None:
        self.refuse(token(rsaKey(), exp=None), "no exp")
        checker = self.checkerOf(evolve(RULES, expires=False))
        self.assertEqual(self.prove(token(rsaKey(), exp=None), checker), Proof("alice"))


class HostileTests(TokenCase):
    """
    Tokens that somebody else has made.
    """

    def test_aTokenWithoutASignature(self) -> None:
        for algorithm in ("none", "None", "nOnE", ""):
            head = part({"alg": algorithm, "typ": "JWT"})
            for signature in (b"", part(b"x")):
                self.refuse(head + b"." + part(claims()) + b"." + signature, "algorithm")

    def test_noneIsNoAlgorithmEvenWhereItIsNamed(self) -> None:
        checker = self.checkerOf(evolve(RULES, algorithms=frozenset({"none"})))
        self.refuse(part({"alg": "none"}) + b"." + part(claims()) + b".", "key that is not known", checker)

    def test_thePublicKeyIsNoSecret(self) -> None:
        # The classic: HS256 with the public key's PEM, or its JWK, as the secret.
        secrets = [publicPEM(rsaKey()), publicPEM(rsaKey()).strip(), keySet(jwk(rsaKey(), "r"))]
        for rules in (RULES, evolve(RULES, algorithms=frozenset({"RS256", "HS256"}))):
            checker = self.checkerOf(rules)
            for secret in secrets:
                for name in ({}, {"kid": "r"}):
                    signed = part({"alg": "HS256", **name}) + b"." + part(claims())
                    signature = part(hmac.digest(secret, signed, hashlib.sha256))
                    self.refuse(signed + b"." + signature, "algorithm|key that is not known", checker)

    def test_aKeyIsUsedOnlyWithItsOwnAlgorithms(self) -> None:
        keys = self.keysOf(keySet(jwk(rsaKey(), "r", alg="RS512")))
        self.refuse(token(rsaKey(), "RS256", {"kid": "r"}), "key that is not known", self.checkerOf(RULES, keys))

    def test_aTokenBringsNoKeyOfItsOwn(self) -> None:
        mallory = rsaKey(7)
        for header in (
            {"jwk": jwk(mallory)},
            {"jku": "https://mallory.example/keys"},
            {"x5u": "https://mallory.example/cert"},
            {"x5c": ["AAAA"]},
            {"kid": "r", "jwk": jwk(mallory)},
        ):
            self.refuse(token(mallory, header=header), "signature is wrong")

    def test_aNameOfAKeyIsANameAndNothingElse(self) -> None:
        for name in ("../../etc/passwd", "' OR 1=1 --", "r\0", "R", "/dev/null", "x" * 5000, ""):
            self.refuse(token(rsaKey(), header={"kid": name}), "key that is not known|kid")
        for number in (7, None, ["r"], {"r": 1}, True):
            signed = part({"alg": "RS256", "kid": number}) + b"." + part(claims())
            self.refuse(signed + b"." + part(b"x"), "can't be read|signature")

    def test_anotherKeysSignature(self) -> None:
        self.refuse(token(rsaKey(7), header={"kid": "r"}), "signature is wrong")
        self.refuse(token(ecKey(7), "ES256"), "signature is wrong")

    def test_whatWasChangedAfterwards(self) -> None:
        head, payload, signature = token(rsaKey()).split(b".")
        self.refuse(b".".join((head, part(claims(sub="root")), signature)), "signature is wrong")
        self.refuse(b".".join((part({"alg": "RS256", "kid": "r", "x": 1}), payload, signature)), "signature is wrong")
        # A signature of zeros was taken for ECDSA by some.
        es = token(ecKey(), "ES256").split(b".")
        self.refuse(b".".join((es[0], es[1], part(bytes(64)))), "signature is wrong")

    def test_tokensThatAreTooOldOrTooYoungOrElses(self) -> None:
        for changed, reason in (
            ({"exp": NOW}, "expired"),
            ({"exp": NOW - 1e6}, "expired"),
            ({"nbf": NOW + 1}, "not valid yet"),
            ({"iat": NOW + 1}, "future"),
            ({"iss": "https://mallory.example"}, "issuer"),
            ({"iss": None}, "issuer"),
            ({"iss": ["https://issuer.example"]}, "issuer"),
            ({"sub": None}, "names no user"),
            ({"sub": ""}, "names no user"),
            ({"sub": "x" * 256}, "names no user"),
            ({"sub": "a\nb"}, "names no user"),
            ({"sub": " alice"}, "names no user"),
        ):
            self.refuse(token(rsaKey(), **changed), reason)

    def test_timesThatAreNone(self) -> None:
        for value in (b'"1"', b"true", b"null", b"[]", b"1e999", b"NaN", b"-Infinity", b"1" + b"0" * 400, b"{}"):
            for name in ("exp", "nbf", "iat"):
                payload = b'{"sub": "alice", "iss": "https://issuer.example", "exp": 2e9, "%s": %s}'
                made = jwt.PyJWS().encode(payload % (name.encode(), value), rsaKey(), "RS256").encode()
                self.refuse(made, "no time")

    def test_criticalExtensionsAreUnknown(self) -> None:
        headers: tuple[dict[str, Any], ...] = (
            {"crit": ["exp"], "exp": 1},
            {"crit": ["b64"], "b64": True},
            {"crit": []},
        )
        for header in headers:
            signed = part({"alg": "RS256", **header}) + b"." + part(claims())
            self.refuse(signed + b"." + part(b"x"), "critical|can't be read")

    def test_whatIsNoTokenAtAll(self) -> None:
        deep = b"[" * 3000
        for given_ in (
            b"",
            b".",
            b"..",
            b"a.b",
            b"a.b.c",
            b"a.b.c.d.e",
            part(deep) + b"." + part(b"{}") + b"." + part(b"x"),
            part(b"[]") + b"." + part(b"{}") + b"." + part(b"x"),
            part({"alg": ["RS256"]}) + b"." + part(b"{}") + b"." + part(b"x"),
            part({"alg": None}) + b"." + part(b"{}") + b"." + part(b"x"),
            part({}) + b"." + part(b"{}") + b"." + part(b"x"),
            b"\xff" * 10,
        ):
            self.refuse(given_, "can't be read|algorithm")

    def test_claimsThatAreNoObject(self) -> None:
        for payload in (b"[]", b"1", b"null", b"x", b"[" * 3000, b'{"sub": "alice"'):
            self.refuse(jwt.PyJWS().encode(payload, rsaKey(), "RS256").encode(), "can't be read|not an object")

    def test_aHugeTokenIsNotLookedAt(self) -> None:
        self.refuse(token(rsaKey(), x="x" * MAX_TOKEN), "too long")

    @given(st.binary(max_size=300) | st.lists(st.binary(max_size=60).map(part), max_size=4).map(b".".join))
    def test_anythingIsRefused(self, given_: bytes) -> None:
        self.failureResultOf(Deferred.fromCoroutine(self.checker.check(given_, given_)), InvalidToken)
        self.assertIsNone(self.checker.known(given_))


class MemoryTests(TokenCase):
    """
    What was found good is remembered, as long as it is.
    """

    def test_aTokenIsVerifiedOnce(self) -> None:
        good = token(rsaKey())
        self.assertIsNone(self.checker.known(good))
        proof = self.prove(good)
        self.assertIs(self.checker.known(good), proof)
        self.assertIsNone(self.checker.known(good + b"x"))

    def test_aRememberedTokenEndsWhenItEnds(self) -> None:
        checker = self.checkerOf(evolve(RULES, leeway=30.0))
        good = token(rsaKey())
        self.prove(good, checker)
        self.now = NOW + 329
        self.assertIsNotNone(checker.known(good))
        self.now = NOW + 330
        self.refuse(good, "expired", checker)
        self.assertEqual(checker.remembered, 0)

    def test_onlySoManyAreRemembered(self) -> None:
        checker = TokenChecker(RULES, self.keys, lambda: self.now, remembered=2)
        first, second, third = (token(rsaKey(), jti=str(number)) for number in range(3))
        self.prove(first, checker)
        self.prove(second, checker)
        checker.known(first)
        self.prove(third, checker)
        self.assertEqual([checker.known(each) is not None for each in (first, second, third)], [True, False, True])

    def test_whenKeysChangeNothingIsRemembered(self) -> None:
        source = Source()
        keys = KeySet(source, "keys", self.clock, interval=300)
        checker = self.checkerOf(RULES, keys)
        good = token(rsaKey(), header={"kid": "r"}, exp=NOW + 1e6)
        checking = Deferred.fromCoroutine(checker.check(good, good))
        source.asked[0].callback(keySet(jwk(rsaKey(), "r")))
        self.successResultOf(checking)
        self.clock.advance(300)
        self.assertIsNotNone(checker.known(good))
        source.asked[1].callback(keySet(jwk(rsaKey(1), "r")))
        self.refuse(good, "signature", checker)


class RotationTests(TokenCase):
    """
    Keys that come and go.
    """

    def setUp(self) -> None:
        super().setUp()
        self.source = Source()
        self.keys = KeySet(self.source, "keys", self.clock, interval=300)
        self.checker = self.checkerOf(RULES)

    def begin(self, given: bytes) -> Deferred[Proof]:
        return Deferred.fromCoroutine(self.checker.check(given, given))

    def test_theFirstTokenWaitsForTheKeys(self) -> None:
        checking = self.begin(token(rsaKey()))
        self.assertNoResult(checking)
        self.source.asked[0].callback(keySet(jwk(rsaKey())))
        self.assertEqual(self.successResultOf(checking), Proof("alice"))

    def test_withoutKeysNothingCanBeTold(self) -> None:
        checking = self.begin(token(rsaKey()))
        self.source.asked[0].errback(OSError("down"))
        failure = self.failureResultOf(checking, KeysUnavailable)
        self.assertEqual(failure.value.status, 503)
        self.failureResultOf(self.begin(token(rsaKey())), KeysUnavailable)
        self.assertEqual(len(self.source.asked), 1)

    def test_aTokenOfANewKeyHasTheKeysAskedForOnce(self) -> None:
        first = self.begin(token(rsaKey(), header={"kid": "old"}))
        self.source.asked[0].callback(keySet(jwk(rsaKey(), "old")))
        self.successResultOf(first)
        self.clock.advance(PAUSE)
        waiting = [self.begin(token(rsaKey(1), header={"kid": "new"})) for _ in range(3)]
        self.assertEqual(len(self.source.asked), 2)
        self.source.asked[1].callback(keySet(jwk(rsaKey(), "old"), jwk(rsaKey(1), "new")))
        for each in waiting:
            self.assertEqual(self.successResultOf(each), Proof("alice"))
        # Names that nobody has do not make us ask each time.
        for number in range(50):
            self.refuse(token(rsaKey(2), header={"kid": f"made up {number}"}), "key that is not known")
        self.assertEqual(len(self.source.asked), 2)
