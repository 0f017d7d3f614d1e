"""
C{type: authentication}: who asks. Identity is set here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from hermes.assist.buckets import Buckets
from hermes.assist.credentials import ORIGIN, PROXY, Challenges, Place
from hermes.assist.keys import sourceKey
from hermes.assist.passwords import PasswordChecker
from hermes.assist.refusals import TooMany, dropBody, refusal, retryAfter
from hermes.assist.tokens import InvalidToken, Proof, TokenChecker
from hermes.errors import CredentialsRequired, FlowError
from hermes.interfaces import IAuthenticator, IIdentifyingAssistant
from hermes.messages import Request, Response
from hermes.values import Headers, Identity, RequestHead
from hermes.wire.errors import MalformedError
from hermes.wire.fields import parseBasic, parseBearer

MAX_SOURCES: Final = 65_536
"""
Sources whose failures are remembered.
"""


class WrongCredential(CredentialsRequired):
    """
    What was brought proves nobody.

    @ivar description: what is wrong with a token; L{None} where it was no token.
    """

    def __init__(self, message: str, place: Place, description: str | None = None) -> None:
        super().__init__(message)
        self.status = place.status
        self.description = description


@implementer(IIdentifyingAssistant)
class Authentication:
    """
    Names who asks by what they bring: the password or token of one of the node's users, or a token that somebody else
    has signed. A client's certificate has named its node already.

    Who brings something wrong is refused, also where nothing is needed. Whoever does that often, by source, is refused
    unheard, save with what was found right before.

    @ivar failures: how many credentials were wrong.
    """

    def __init__(
        self,
        nodeName: str,
        authenticator: IAuthenticator,
        passwords: PasswordChecker | None,
        tokens: TokenChecker | None,
        challenges: Challenges,
        limit: Buckets,
        seconds: Callable[[], float],
        *,
        opaque: bool = True,
        place: Place | None = None,
        required: bool = True,
        nodes: bool = True,
        strip: bool = True,
        certificates: Mapping[str, str] | None = None,
        claimed: frozenset[bytes] = frozenset(),
        finish: Callable[[], Deferred[None]] | None = None,
    ) -> None:
        """
        @param passwords: checks the node's users' passwords; L{None}: none is taken.
        @param tokens: checks tokens that others have signed; L{None}: none is taken.
        @param limit: of failures, by source.
        @param opaque: whether the tokens of the node's users are taken.
        @param place: where credentials are; L{None} for where the listener has them.
        @param required: whether somebody has to be named.
        @param nodes: whether a node's certificate is enough.
        @param strip: whether a credential goes no further.
        @param certificates: the users that the certificates of nodes stand for, by the node's name.
        @param claimed: fields that only tokens set.
        @param finish: called in the end.
        """
        self.failures = 0
        self._nodeName = nodeName
        self._authenticator = authenticator
        self._passwords = passwords
        self._tokens = tokens
        self._challenges = challenges
        self._limit = limit
        self._seconds = seconds
        self._opaque = opaque
        self._place = place
        self._required = required
        self._nodes = nodes
        self._strip = strip
        self._certificates = certificates or {}
        self._claimed = claimed
        self._finish = finish

    def assist(self, request: Request, onward: Callable[[Request], Deferred[Response]]) -> Deferred[Response]:
        place = self._place or (ORIGIN if request.gateway else PROXY)
        # Of a proxy's own credential the head that goes on is rid already.
        credential = request.record.head.get(place.field)
        if credential is None and request.gateway and self._place is None:
            # Clients of CONNECT-UDP send it so.
            credential = request.record.head.get(PROXY.field)
        if credential is None:
            return self._withoutCredential(request, onward, place)
        proof = self._known(credential)
        if proof is not None:
            self._name(request, place, proof)
            return onward(request)
        return Deferred.fromCoroutine(self._check(request, onward, place, credential))

    def _withoutCredential(
        self, request: Request, onward: Callable[[Request], Deferred[Response]], place: Place
    ) -> Deferred[Response]:
        node = request.flow.identity.node
        # SOCKS5 has asked for its user itself.
        user = request.flow.identity.user
        if node is not None and user is None:
            user = self._certificates.get(node)
        if self._required and user is None and (node is None or not self._nodes):
            error = WrongCredential("this proxy takes nobody it can't name", place)
            return succeed(self._refusal(request, place, error))
        self._name(request, place, Proof(user) if user is not None else None)
        return onward(request)

    def _name(self, request: Request, place: Place, proof: Proof | None) -> None:
        flow = request.flow
        identity = Identity(flow.identity.node, proof.user if proof is not None else None)
        request.flow = request.record.flow = evolve(flow, identity=identity)
        headers: Headers = proof.headers if proof is not None else ()
        gone = self._claimed | {place.field} if self._strip else self._claimed
        request.head = _withFields(request.head, gone, headers)

    # What is known already: the way of nearly every request

    def _known(self, credential: bytes) -> Proof | None:
        """
        What a credential proves, where it takes no work to tell.
        """
        if self._tokens is not None:
            proof = self._tokens.known(credential)
            if proof is not None:
                return proof
        try:
            if parseBearer(credential) is None:
                return self._knownPassword(credential)
        except MalformedError:
            return None
        user = self._authenticator.authenticate(credential) if self._opaque else None
        return None if user is None else Proof(user)

    def _knownPassword(self, credential: bytes) -> Proof | None:
        basic = parseBasic(credential) if self._passwords is not None else None
        if basic is not None and self._authenticator.knownPassword(*basic):
            return Proof(basic[0])
        return None

    # What has to be found out

    async def _check(
        self,
        request: Request,
        onward: Callable[[Request], Deferred[Response]],
        place: Place,
        credential: bytes,
    ) -> Response:
        source = sourceKey(request.flow.source)
        wait = 0.0 if source is None else self._limit.wait(source, self._seconds())
        if wait:
            error = TooMany("too many wrong credentials came from this address")
            return refusal(request, self._nodeName, error, (retryAfter(wait),))
        try:
            proof = await self._proven(credential, place)
        except WrongCredential as error:
            self.failures += 1
            if source is not None:
                self._limit.owe(source, self._seconds(), 1)
            return self._refusal(request, place, error)
        except FlowError:
            dropBody(request)
            raise
        self._name(request, place, proof)
        return await onward(request)

    async def _proven(self, credential: bytes, place: Place) -> Proof:
        try:
            token = parseBearer(credential)
            basic = parseBasic(credential) if token is None else None
        except MalformedError as error:
            raise WrongCredential(str(error), place) from None
        if token is not None:
            if self._tokens is not None:
                try:
                    return await self._tokens.check(token.encode("ascii"), credential)
                except InvalidToken as error:
                    raise WrongCredential(str(error), place, str(error)) from None
            raise WrongCredential("the credential is wrong", place, "the token is not known")
        if basic is None or self._passwords is None:
            raise WrongCredential("the credential is of a scheme that is not taken here", place)
        if not await self._passwords.check(*basic):
            raise WrongCredential("the credential is wrong", place)
        return Proof(basic[0])

    def _refusal(self, request: Request, place: Place, error: WrongCredential) -> Response:
        return refusal(request, self._nodeName, error, self._challenges.fields(place, error.description))

    # The rest

    def status(self) -> Mapping[str, Any]:
        return {
            "failures": self.failures,
            "checking": 0 if self._passwords is None else self._passwords.waiting,
            "remembered": 0 if self._tokens is None else self._tokens.remembered,
        }

    def close(self) -> Deferred[None]:
        return succeed(None) if self._finish is None else self._finish()


def _withFields(head: RequestHead, gone: frozenset[bytes], headers: Headers) -> RequestHead:
    """
    A head without some fields, and with others in their place.
    """
    kept = tuple([pair for pair in head.headers if pair[0] not in gone])
    if len(kept) == len(head.headers) and not headers:
        return head
    return evolve(head, headers=kept + headers)
