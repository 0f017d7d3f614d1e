"""
JSON Web Tokens as credentials (RFC 7519, RFC 8725).
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite
from os import urandom
from typing import Any, Final, Protocol

from attrs import define, field, frozen
from jwt import PyJWS, PyJWTError
from twisted.internet.defer import Deferred

from hermes.assist.signingkeys import SigningKey
from hermes.errors import HermesError
from hermes.values import Headers

MAX_TOKEN: Final = 8192
"""
Bytes of a token.
"""

MAX_REMEMBERED: Final = 10_000
"""
Tokens whose verification is remembered.
"""

_MAX_TRIED: Final = 8
_MAX_NAME: Final = 255
_MAX_VALUE: Final = 4096


class InvalidToken(HermesError):
    """
    A token is not one of ours, or not valid now. The text is for whoever sent it: C{error_description} (RFC 6750).
    """


@frozen
class Proof:
    """
    What a credential proves.

    @ivar user: who it is.
    @ivar headers: what else it says, as fields of the request.
    """

    user: str
    headers: Headers = ()


@frozen
class TokenRules:
    """
    What a token must be.

    @ivar algorithms: that it may be signed with.
    @ivar issuers: one of which its C{iss} must be; empty: any.
    @ivar audiences: one of which must be in its C{aud}; empty: it must have none.
    @ivar leeway: seconds by which clocks may differ.
    @ivar expires: whether it must have an C{exp}.
    @ivar user: the claim that is the user's name.
    @ivar prefix: what is put before the name.
    @ivar claims: claims, by name, and the fields that they are put in.
    """

    algorithms: frozenset[str]
    issuers: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    leeway: float = 0.0
    expires: bool = True
    user: str = "sub"
    prefix: str = ""
    claims: Mapping[str, bytes] = field(factory=dict)


class Keys(Protocol):
    """
    See L{hermes.assist.keysets.KeySet}.
    """

    version: int

    def due(self) -> Deferred[None] | None: ...

    def renew(self) -> Deferred[None] | None: ...

    def find(self, name: str | None, algorithm: str) -> list[SigningKey]: ...


@define
class _Remembered:
    """
    A token that was found good.

    @ivar until: its end, the leeway included, in seconds since 1970.
    @ivar version: of the keys that it was verified with.
    """

    proof: Proof
    until: float
    version: int


class TokenChecker:
    """
    Checks tokens. One that was found good is remembered until it ends, or the keys change.
    """

    def __init__(
        self, rules: TokenRules, keys: Keys, now: Callable[[], float], remembered: int = MAX_REMEMBERED
    ) -> None:
        """
        @param now: seconds since 1970.
        """
        self._rules = rules
        self._keys = keys
        self._now = now
        self._most = remembered
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._secret = urandom(32)
        self._signatures = PyJWS()

    @property
    def remembered(self) -> int:
        """
        How many tokens are.
        """
        return len(self._remembered)

    def known(self, credential: bytes) -> Proof | None:
        """
        What the token in C{credential} proves, where that was found out before and holds still.
        """
        digest = self._digest(credential)
        found = self._remembered.get(digest)
        if found is None or self._keys.due() is not None:
            return None
        if found.version != self._keys.version or self._now() >= found.until:
            del self._remembered[digest]
            return None
        self._remembered.move_to_end(digest)
        return found.proof

    async def check(self, token: bytes, credential: bytes) -> Proof:
        """
        What C{token} proves.

        @param credential: the whole value that it came in, by which it is remembered.
        @raise InvalidToken: where it proves nothing.
        @raise KeysUnavailable: where that can't be told.
        """
        name, algorithm = self._readHeader(token)
        due = self._keys.due()
        if due is not None:
            await due
        keys = self._keys.find(name, algorithm)
        if not keys:
            renewing = self._keys.renew()
            if renewing is not None:
                await renewing
                keys = self._keys.find(name, algorithm)
            if not keys:
                raise InvalidToken("the token is signed with a key that is not known here")
        version = self._keys.version
        claims = self._verified(token, keys, algorithm)
        until = self._checkTimes(claims)
        self._checkParties(claims)
        proof = Proof(self._userOf(claims), self._headersOf(claims))
        self._remembered[self._digest(credential)] = _Remembered(proof, until, version)
        if len(self._remembered) > self._most:
            self._remembered.popitem(last=False)
        return proof

    def _digest(self, credential: bytes) -> bytes:
        # Keyed, so that the time that a dictionary takes tells nothing of what is in it.
        return hashlib.blake2b(credential, key=self._secret, digest_size=16).digest()

    # The signature

    def _readHeader(self, token: bytes) -> tuple[str | None, str]:
        if len(token) > MAX_TOKEN:
            raise InvalidToken("the token is too long")
        try:
            header = self._signatures.get_unverified_header(token)
        except (PyJWTError, ValueError, RecursionError):
            raise InvalidToken("the token can't be read") from None
        # Keys that a token brings itself, or says where to get (jwk, jku, x5c, x5u), are not looked at.
        name, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            raise InvalidToken("the token is signed with an algorithm that is not taken here")
        if "crit" in header:
            raise InvalidToken("the token has a critical extension that is not known here")
        if name is not None and not 1 <= len(name) <= _MAX_NAME:
            raise InvalidToken("the token's kid is too long, or empty")
        return name, algorithm

    def _verified(self, token: bytes, keys: Sequence[SigningKey], algorithm: str) -> dict[str, Any]:
        for key in keys[:_MAX_TRIED]:
            try:
                payload = self._signatures.decode(token, key.key, algorithms=[algorithm])
            except (PyJWTError, ValueError, TypeError):
                continue
            try:
                claims = json.loads(payload)
            except (ValueError, RecursionError):
                raise InvalidToken("the token's claims can't be read") from None
            if not isinstance(claims, dict):
                raise InvalidToken("the token's claims are not an object")
            return claims
        raise InvalidToken("the token's signature is wrong")

    # The claims

    def _checkTimes(self, claims: dict[str, Any]) -> float:
        """
        @return: when the token ends.
        """
        now, leeway = self._now(), self._rules.leeway
        until = _time(claims, "exp")
        if until is None:
            if self._rules.expires:
                raise InvalidToken("the token has no exp")
            until = inf
        if now >= until + leeway:
            raise InvalidToken("the token has expired")
        begins = _time(claims, "nbf")
        if begins is not None and now < begins - leeway:
            raise InvalidToken("the token is not valid yet")
        issued = _time(claims, "iat")
        if issued is not None and now < issued - leeway:
            raise InvalidToken("the token was issued in the future")
        return until + leeway

    def _checkParties(self, claims: dict[str, Any]) -> None:
        rules = self._rules
        if rules.issuers:
            issuer = claims.get("iss")
            if not isinstance(issuer, str) or issuer not in rules.issuers:
                raise InvalidToken("the token is from another issuer")
        # A token that says whom it is for is for nobody else (RFC 7519 section 4.1.3).
        if rules.audiences or "aud" in claims:
            audience = claims.get("aud")
            audiences = [audience] if isinstance(audience, str) else audience
            if not isinstance(audiences, list) or not any(
                isinstance(each, str) and each in rules.audiences for each in audiences
            ):
                raise InvalidToken("the token is for another audience")

    def _userOf(self, claims: dict[str, Any]) -> str:
        name = _claim(claims, self._rules.user)
        if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME or not _isPlain(name):
            raise InvalidToken(f"the token names no user: its {self._rules.user} is missing or no name")
        return self._rules.prefix + name

    def _headersOf(self, claims: dict[str, Any]) -> Headers:
        found = []
        for claim, name in self._rules.claims.items():
            value = _fieldValue(_claim(claims, claim))
            if value is not None:
                found.append((name, value))
        return tuple(found)


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise InvalidToken(f"the token's {name} is no time") from None


def _claim(claims: dict[str, Any], name: str) -> object:
    """
    A claim by its name, or by the names on the way to it: C{realm_access.roles}.
    """
    if name in claims:
        return claims[name]
    value: object = claims
    for step in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def _fieldValue(value: object) -> bytes | None:
    """
    A claim as the value of a field: a list is joined with commas. What a field can't hold is left out, and so is what
    would be taken for more than it is: a member of a list that has a comma of its own.
    """
    if isinstance(value, list):
        members = [member for each in value if (member := _fieldValue(each)) is not None and b"," not in member]
        joined = b", ".join(members)
        return joined if members and len(joined) <= _MAX_VALUE else None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int | float):
        made = str(value).encode("ascii")
    elif isinstance(value, str) and _isPlain(value):
        made = value.encode("utf-8")
    else:
        return None
    return made if len(made) <= _MAX_VALUE else None


def _isPlain(text: str) -> bool:
    return text.isprintable() and text == text.strip() != ""
