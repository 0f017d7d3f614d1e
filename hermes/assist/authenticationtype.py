"""
The options of C{type: authentication}, and how one is made.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final, Literal

from attrs import field, frozen
from attrs.validators import ge, min_len
from twisted.internet.defer import Deferred
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.assist.authentication import MAX_SOURCES, Authentication
from hermes.assist.buckets import Buckets
from hermes.assist.credentials import ORIGIN, PROXY, Challenges
from hermes.assist.fetching import Fetcher, FetchFailed
from hermes.assist.keysets import FixedKeys, KeySet
from hermes.assist.options import certificates, httpURL, ownFieldNames, positive
from hermes.assist.passwords import PasswordChecker, threadsOf
from hermes.assist.signingkeys import PUBLIC_ALGORITHMS, SECRET_ALGORITHMS, SigningKey, parseKeys
from hermes.assist.tokens import MAX_REMEMBERED, Keys, TokenChecker, TokenRules
from hermes.config.types import ExistingFile, FieldName, Seconds, Secret
from hermes.errors import HermesError
from hermes.interfaces import IAssistant, IAssistantContext, IAssistantType

FETCH_TIME: Final = 5.0
"""
Seconds for a key set to come.
"""

DEFAULT_LEEWAY = Seconds(30.0)

MAX_KEY_FILE: Final = 1 << 20
"""
Bytes of a file with keys.
"""

_PLACES: Final = {"auto": None, "proxy": PROXY, "origin": ORIGIN}
_LENGTHS: Final = {"HS256": 32, "HS384": 48, "HS512": 64}


def _algorithms(instance: object, attribute: Any, value: tuple[str, ...]) -> None:
    known = PUBLIC_ALGORITHMS | SECRET_ALGORITHMS
    for each in value:
        if each not in known:
            raise ValueError(f"{each!r} is not an algorithm of signatures: there are {', '.join(sorted(known))}")


class _KeyFile:
    """
    A file with keys.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self) -> bytes:
        if os.path.getsize(self._path) > MAX_KEY_FILE:
            raise OSError(f"{self._path} is too large for a file with keys")
        with open(self._path, "rb") as file:
            return file.read()


def _keyFile(instance: object, attribute: Any, value: str | None) -> None:
    if value is not None:
        try:
            parseKeys(_KeyFile(value)())
        except (HermesError, OSError) as error:
            raise ValueError(f"{value}: {error}") from None


def _claimFields(instance: object, attribute: Any, value: dict[str, FieldName]) -> None:
    ownFieldNames(instance, attribute, tuple(value.values()))


@frozen
class TokenOptions:
    """
    Signed tokens (JWT) that somebody else gives out. Exactly one of C{url}, C{keys}, C{secret} is given.

    @ivar url: where the issuer's public keys are, a JSON Web Key Set.
    @ivar keys: a file with them: a JSON Web Key Set, or PEM. It is read again every C{refresh}.
    @ivar secret: the key that they are signed with, for HS256 and the like only.
    @ivar algorithms: the algorithms that are taken; left out, RS256 and ES256, or HS256 with a C{secret}.
    @ivar issuer: one of which a token's C{iss} must be; left out, any.
    @ivar audience: one of which must be in its C{aud}; left out, it must have none.
    @ivar leeway: by how much clocks may differ.
    @ivar expires: whether a token must have an end.
    @ivar user: the claim that is the user's name.
    @ivar prefix: what is put before that name, so that it is nobody's whom the node itself knows.
    @ivar claims: other claims, and the field of the request that each is put in. From a client such a field is dropped.
        C{.} goes into an object: C{realm_access.roles}.
    @ivar refresh: after how long the keys are asked for again.
    @ivar trust: certificates (PEM) that the server of C{url} is checked against; left out, those of the system.
    """

    url: str | None = field(default=None, validator=httpURL)
    keys: ExistingFile | None = field(default=None, validator=_keyFile)
    secret: Secret | None = field(default=None, repr=False)
    algorithms: tuple[str, ...] = field(default=(), validator=_algorithms)
    issuer: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    leeway: Seconds = DEFAULT_LEEWAY
    expires: bool = True
    user: str = field(default="sub", validator=min_len(1))
    prefix: str = ""
    claims: dict[str, FieldName] = field(factory=dict, validator=_claimFields)
    refresh: Seconds = field(default=Seconds(300.0), validator=positive)
    trust: ExistingFile | None = field(default=None, validator=certificates)

    def __attrs_post_init__(self) -> None:
        if [self.url, self.keys, self.secret].count(None) != 2:
            raise ValueError("give exactly one of 'url', 'keys', 'secret'")
        if self.trust is not None and self.url is None:
            raise ValueError("'trust' goes only with 'url'")
        wrong = [each for each in self.algorithms if (each in SECRET_ALGORITHMS) != (self.secret is not None)]
        if wrong and self.secret is not None:
            raise ValueError(f"{wrong[0]} has public keys: with a 'secret', algorithms are HS256, HS384, HS512")
        if wrong:
            raise ValueError(f"{wrong[0]} needs a 'secret': a public key is none")
        if self.secret is not None:
            least = max(_LENGTHS.get(each, 32) for each in self.taken())
            if len(self.secret.encode()) < least:
                raise ValueError(f"the secret is too short to be safe: {least} bytes at least (RFC 7518 section 3.2)")

    def taken(self) -> frozenset[str]:
        """
        The algorithms that are taken.
        """
        return frozenset(self.algorithms or (("RS256", "ES256") if self.secret is None else ("HS256",)))


@frozen
class AuthenticationOptions:
    """
    Who asks: the node's users by their passwords and tokens, others by signed tokens, nodes by their certificates. On a
    listener that names one, nothing else names who asks.

    @ivar realm: what a client is asked for a credential for; left out, the node's name.
    @ivar required: whether somebody has to be named. A wrong credential is refused either way.
    @ivar nodes: whether a node's certificate is enough for that.
    @ivar where: where credentials are. C{proxy}: in Proxy-Authorization, asked for with 407; C{origin}: in
        Authorization, asked for with 401; C{auto}: as the listener is one or the other.
    @ivar strip: whether a credential is taken off the request once it was checked.
    @ivar basic: whether the passwords of the node's users are taken.
    @ivar bearer: whether their tokens are.
    @ivar jwt: which signed tokens are.
    @ivar certificates: the user that a node's certificate stands for, by the node's name.
    @ivar failures: how many wrong credentials may come at once from one source (an IPv4 address, a /64 of IPv6); then
        it is answered with 429, save for credentials that were right before.
    @ivar failuresEvery: after how long one more may.
    """

    realm: str | None = None
    required: bool = True
    nodes: bool = True
    where: Literal["auto", "proxy", "origin"] = "auto"
    strip: bool = True
    basic: bool = True
    bearer: bool = True
    jwt: TokenOptions | None = None
    certificates: dict[str, str] = field(factory=dict)
    failures: int = field(default=20, validator=ge(1))
    failuresEvery: Seconds = field(default=Seconds(5.0), validator=positive)

    def __attrs_post_init__(self) -> None:
        if not (self.basic or self.bearer or self.jwt or self.certificates):
            raise ValueError("takes no credential: allow 'basic', 'bearer', 'jwt' or 'certificates'")


class _KeyURL:
    """
    A URL with keys.
    """

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self._fetcher = fetcher
        self._url = url

    def __call__(self) -> Deferred[bytes]:
        return Deferred.fromCoroutine(self._get())

    async def _get(self) -> bytes:
        answer = await self._fetcher(b"GET", self._url, ((b"accept", b"application/jwk-set+json, application/json"),))
        if answer.status != 200:
            raise FetchFailed(f"{self._url} answered {answer.status}")
        return answer.body


@implementer(IPlugin, IAssistantType)
class AuthenticationType:
    """
    C{type: authentication}.
    """

    type = "authentication"
    options = AuthenticationOptions

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """
        @param now: seconds since 1970.
        """
        self._now = now

    def assistant(self, name: str, options: Any, context: IAssistantContext) -> IAssistant:
        reactor = context.reactor
        jwt: TokenOptions | None = options.jwt
        finish = None
        tokens = None
        claimed: frozenset[bytes] = frozenset()
        if jwt is not None:
            keys, finish = self._keys(jwt, reactor)
            rules = _rules(jwt)
            tokens = TokenChecker(rules, keys, self._now, MAX_REMEMBERED)
            claimed = frozenset(rules.claims.values())
        return Authentication(
            context.nodeName,
            context.authenticator,
            PasswordChecker(context.authenticator, threadsOf(reactor)) if options.basic else None,
            tokens,
            Challenges(options.realm or context.nodeName, options.basic, options.bearer or tokens is not None),
            Buckets(1 / options.failuresEvery, options.failures, MAX_SOURCES),
            reactor.seconds,
            opaque=options.bearer,
            place=_PLACES[options.where],
            required=options.required,
            nodes=options.nodes,
            strip=options.strip,
            certificates=options.certificates,
            claimed=claimed,
            finish=finish,
        )

    def _keys(self, jwt: TokenOptions, reactor: Any) -> tuple[Keys, Callable[[], Deferred[None]] | None]:
        if jwt.secret is not None:
            return FixedKeys(SigningKey(None, SECRET_ALGORITHMS, jwt.secret.encode())), None
        if jwt.keys is not None:
            return KeySet(_KeyFile(jwt.keys), jwt.keys, reactor, jwt.refresh), None
        assert jwt.url is not None
        fetcher = Fetcher(reactor, FETCH_TIME, trust=jwt.trust)
        return KeySet(_KeyURL(fetcher, jwt.url), jwt.url, reactor, jwt.refresh), fetcher.close


def _rules(jwt: TokenOptions) -> TokenRules:
    return TokenRules(
        jwt.taken(),
        frozenset(jwt.issuer),
        frozenset(jwt.audience),
        jwt.leeway,
        jwt.expires,
        jwt.user,
        jwt.prefix,
        {claim: name.encode("ascii") for claim, name in jwt.claims.items()},
    )
