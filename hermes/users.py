"""
The users of a node: Basic and Bearer credentials (RFC 7617, RFC 6750) and passwords for SOCKS5 (RFC 1929).
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from os import urandom
from threading import Lock
from typing import Final

from attrs import field, frozen
from twisted.logger import Logger
from zope.interface import implementer

from hermes.interfaces import IAuthenticator
from hermes.wire.errors import MalformedError
from hermes.wire.fields import parseBasic, parseBearer

MAX_WRONG: Final = 32
"""
Wrong passwords that are derived at once, where passwords are hashed; from then on L{WRONG_RATE} of them each second.
"""

WRONG_RATE: Final = 2.0

SCRYPT_PREFIX: Final = "scrypt:"
MAX_SCRYPT_MEMORY: Final = 256 * 1024 * 1024
MAX_CREDENTIAL: Final = 4096
MAX_REMEMBERED: Final = 1024


@frozen
class UserSecret:
    """
    What proves a user.

    @ivar password: the password itself, or what L{hashPassword} made of it; L{None}: no password is right.
    @ivar token: the token of a C{Bearer} credential; L{None}: no token is right.
    """

    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


@frozen
class ScryptCost:
    """
    The parameters of scrypt (RFC 7914 section 2) that say what a guess costs.
    """

    n: int
    r: int
    p: int

    def derive(self, password: bytes, salt: bytes, length: int) -> bytes:
        """
        The hash of a password, C{length} bytes.
        """
        return hashlib.scrypt(
            password, salt=salt, n=self.n, r=self.r, p=self.p, dklen=length, maxmem=self.memory + 1024 * 1024
        )

    @property
    def memory(self) -> int:
        """
        What one derivation needs, in bytes.
        """
        return 128 * self.r * (self.n + self.p + 2)


DEFAULT_COST: Final = ScryptCost(2**14, 8, 1)


@frozen
class PasswordHash:
    """
    A stored password: C{scrypt:N:r:p:salt:hash}, salt and hash in base64.
    """

    cost: ScryptCost
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def fromText(cls, text: str) -> PasswordHash:
        """
        @raise ValueError: with a sentence that does not repeat the secret.
        """
        parts = text.split(":")
        if len(parts) != 6 or parts[0] != "scrypt":
            raise ValueError("a hashed password is written scrypt:N:r:p:salt:hash")
        try:
            n, r, p = (int(part) for part in parts[1:4])
            salt, digest = (b64decode(part, validate=True) for part in parts[4:])
        except ValueError:
            raise ValueError("scrypt: N, r and p must be numbers, salt and hash base64") from None
        if n < 2 or n & (n - 1) or not 1 <= r <= 64 or not 1 <= p <= 64:
            raise ValueError("scrypt: N must be a power of two above 1, r and p from 1 to 64")
        if not 16 <= len(digest) <= 128 or not salt:
            raise ValueError("scrypt: the hash must have 16 to 128 bytes, and the salt at least one")
        cost = ScryptCost(n, r, p)
        if cost.memory > MAX_SCRYPT_MEMORY:
            raise ValueError(f"scrypt: N and r need more than {MAX_SCRYPT_MEMORY >> 20} MiB for each check")
        return cls(cost, salt, digest)

    def __str__(self) -> str:
        salt, digest = (b64encode(part).decode() for part in (self.salt, self.digest))
        return f"{SCRYPT_PREFIX}{self.cost.n}:{self.cost.r}:{self.cost.p}:{salt}:{digest}"


def hashPassword(password: str, cost: ScryptCost = DEFAULT_COST) -> str:
    """
    The text to write in a configuration in place of C{password}.
    """
    salt = urandom(16)
    return str(PasswordHash(cost, salt, cost.derive(password.encode(), salt, 32)))


class Verdicts:
    """
    What was found out about credentials, by keyed digest; the least recently used is forgotten first.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()

    def __len__(self) -> int:
        return len(self._verdicts)

    def get(self, digest: bytes) -> bool | None:
        """
        The verdict, or L{None} where there is none yet.
        """
        verdict = self._verdicts.get(digest)
        if verdict is not None:
            self._verdicts.move_to_end(digest)
        return verdict

    def remember(self, digest: bytes, verdict: bool) -> None:
        """
        Keep a verdict.
        """
        self._verdicts[digest] = verdict
        if len(self._verdicts) > self._size:
            self._verdicts.popitem(last=False)


@implementer(IAuthenticator)
class Users:
    """
    The users of a configuration.

    A hashed password is derived once for each credential seen; the verdict is then remembered under a digest with a key
    that lives as long as this object. Right and wrong verdicts are remembered apart, so that guesses push no user out.

    @ivar required: whether nobody is let in without a credential, whatever a listener's C{anonymous} says.
    """

    log = Logger()

    def __init__(
        self,
        secrets: Mapping[str, UserSecret],
        required: bool = False,
        remembered: int = MAX_REMEMBERED,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        @param seconds: the time, for L{MAX_WRONG}.
        @raise ValueError: where a name or a hashed password can't be used, or two users have one token.
        """
        self.required = required
        self._key = urandom(32)
        self._plain: dict[str, bytes] = {}
        self._hashed: dict[str, PasswordHash] = {}
        self._tokens: dict[bytes, str] = {}
        # What is remembered is for every thread.
        self._lock = Lock()
        self._right = Verdicts(remembered)
        self._wrong = Verdicts(remembered)
        self._seconds = seconds
        self._guesses = float(MAX_WRONG)
        self._guessedAt = seconds()
        for name, secret in secrets.items():
            if not name or ":" in name:
                raise ValueError(f"{name!r} can't be a user's name: it is empty or has a colon")
            self._add(name, secret)
        # Every check derives once for each cost in use, so that its time tells nothing of who exists.
        self._costs = list(dict.fromkeys(hashed.cost for hashed in self._hashed.values()))
        self._decoySalt = urandom(16)

    def _add(self, name: str, secret: UserSecret) -> None:
        if secret.password is not None:
            if secret.password.startswith(SCRYPT_PREFIX):
                try:
                    self._hashed[name] = PasswordHash.fromText(secret.password)
                except ValueError as error:
                    raise ValueError(f"user {name!r}: {error}") from None
            else:
                self._plain[name] = self._digest(secret.password.encode())
        if secret.token is not None:
            try:
                parseBearer(b"Bearer " + secret.token.encode())
            except MalformedError:
                raise ValueError(f"user {name!r}: a token has letters, digits and -._~+/ only") from None
            other = self._tokens.setdefault(self._digest(secret.token.encode()), name)
            if other != name:
                raise ValueError(f"users {other!r} and {name!r} have the same token")

    def _digest(self, secret: bytes) -> bytes:
        return hashlib.blake2b(secret, key=self._key, digest_size=32).digest()

    def authenticate(self, authorization: bytes | None) -> str | None:
        if authorization is None or len(authorization) > MAX_CREDENTIAL:
            return None
        try:
            token = parseBearer(authorization)
            if token is not None:
                # The dictionary compares digests under a secret key: their time tells nothing of the token.
                return self._tokens.get(self._digest(token.encode()))
            credential = parseBasic(authorization)
        except MalformedError:
            return None
        if credential is None:
            return None
        user, password = credential
        return user if self.authenticatePassword(user, password) else None

    def authenticatePassword(self, user: str, password: str) -> bool:
        known = self.knownPassword(user, password)
        if known is not None:
            return known
        if not self._mayDerive():
            return False
        name, given = _encoded(user, password)
        right = self._verify(user, given)
        with self._lock:
            if right:
                self._guesses = min(float(MAX_WRONG), self._guesses + 1)
            (self._right if right else self._wrong).remember(self._credential(name, given), right)
        return right

    def _mayDerive(self) -> bool:
        """
        Whether there are not too many wrong passwords already: each costs a derivation, and so does what is not known
        yet. Whoever was let in before is known.
        """
        with self._lock:
            now = self._seconds()
            wereOut = self._guesses < 1
            self._guesses = min(float(MAX_WRONG), self._guesses + (now - self._guessedAt) * WRONG_RATE)
            self._guessedAt = now
            if self._guesses >= 1:
                self._guesses -= 1
                return True
        if not wereOut:
            self.log.warn("too many wrong passwords: those that are not known yet are refused for a while")
        return False

    def knownPassword(self, user: str, password: str) -> bool | None:
        name, given = _encoded(user, password)
        if len(name) + len(given) > MAX_CREDENTIAL:
            return False
        if not self._costs:
            return self._verify(user, given)
        credential = self._credential(name, given)
        with self._lock:
            right = self._right.get(credential)
            return self._wrong.get(credential) if right is None else right

    def _credential(self, name: bytes, password: bytes) -> bytes:
        return self._digest(len(name).to_bytes(4, "big") + name + password)

    def _verify(self, user: str, password: bytes) -> bool:
        right = hmac.compare_digest(self._digest(password), self._plain.get(user, bytes(32)))
        hashed = self._hashed.get(user)
        for cost in self._costs:
            if hashed is not None and hashed.cost == cost:
                derived = cost.derive(password, hashed.salt, len(hashed.digest))
                right = hmac.compare_digest(derived, hashed.digest)
            else:
                cost.derive(password, self._decoySalt, 32)
        return right


def _encoded(user: str, password: str) -> tuple[bytes, bytes]:
    return user.encode("utf-8", "surrogatepass"), password.encode("utf-8", "surrogatepass")
