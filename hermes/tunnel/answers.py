"""
Who asks, and how a request is refused.
"""

from __future__ import annotations

from attrs import evolve, frozen
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.errors import BadRequest, CredentialsRequired, FlowError
from hermes.interfaces import IAuthenticator, IServerExchange
from hermes.tunnel.request import Kind
from hermes.values import Headers, Identity, ResponseHead
from hermes.wire.errors import MalformedError
from hermes.wire.fields import parseVia, proxyStatus


class InternalError(FlowError):
    """
    A mistake of ours; the log says which.
    """

    status = 500
    proxyStatus = "proxy_internal_error"


class Unauthorized(CredentialsRequired):
    """
    The same where we are the origin of the request: 401 and not 407.
    """

    status = 401


def readVia(exchange: IServerExchange) -> tuple[str, ...]:
    """
    The hops that the node at the other end asks for; whoever is no node asks for none.
    """
    if exchange.identity.node is None:
        return ()
    value = exchange.request.get(b"hermes-via")
    if value is None:
        return ()
    try:
        return parseVia(value)
    except MalformedError as error:
        raise BadRequest(f"hermes-via: {error}") from None


@frozen
class Challenges:
    """
    The fields that tell a client how it can prove who it is (RFC 9110 section 11.6 and 11.7).

    @ivar templated: with 401, for the requests that name us as their origin.
    @ivar classic: with 407, for CONNECT.
    """

    templated: Headers
    classic: Headers

    @classmethod
    def forRealm(cls, realm: str) -> Challenges:
        """
        Basic and Bearer.
        """
        quoted = realm.replace("\\", "\\\\").replace('"', '\\"').encode("ascii", "replace")
        values = (b'Basic realm="%s", charset="UTF-8"' % quoted, b'Bearer realm="%s"' % quoted)
        return cls(
            tuple((b"www-authenticate", value) for value in values),
            tuple((b"proxy-authenticate", value) for value in values),
        )


class Answers:
    """
    Names whoever asks, and refuses.

    Who asks is the node that the connection's certificate names, and the user whom a credential proves:
    C{Proxy-Authorization} for CONNECT, C{Authorization} for the templated kinds, whose proxy is an origin
    (draft-ietf-httpbis-connect-tcp section 3.3); there C{Proxy-Authorization} is taken too, because clients send it. No
    other field makes an identity. A wrong credential is refused even where none is needed.
    """

    log = Logger()

    def __init__(self, authenticator: IAuthenticator, nodeName: str, anonymous: bool) -> None:
        """
        @param anonymous: whether somebody without a name is taken, unless the authenticator requires one.
        """
        self._authenticator = authenticator
        self._nodeName = nodeName
        self._anonymous = anonymous and not authenticator.required
        self._challenges = Challenges.forRealm(nodeName)

    def identify(self, exchange: IServerExchange, kind: Kind) -> Identity:
        """
        Who asks.

        @raise CredentialsRequired: where that has to be known and is not.
        """
        identity: Identity = exchange.identity
        authorization = exchange.request.get(b"proxy-authorization")
        if kind.templated:
            authorization = exchange.request.get(b"authorization") or authorization
        if authorization is not None:
            user = self._authenticator.authenticate(authorization)
            if user is None:
                raise self._unnamed(kind, "the credential is wrong")
            return evolve(identity, user=user)
        self.check(identity, kind)
        return identity

    def check(self, identity: Identity, kind: Kind) -> None:
        """
        @raise CredentialsRequired: where nobody is taken who has no name.
        """
        if not identity and not self._anonymous:
            raise self._unnamed(kind, "this proxy takes nobody it can't name")

    def _unnamed(self, kind: Kind, message: str) -> CredentialsRequired:
        return Unauthorized(message) if kind.templated else CredentialsRequired(message)

    def refuse(self, exchange: IServerExchange, error: FlowError, headers: Headers = ()) -> None:
        """
        Answer with the error's status, a Proxy-Status field (RFC 9209) and its text.
        """
        if isinstance(error, Unauthorized):
            headers += self._challenges.templated
        elif isinstance(error, CredentialsRequired):
            headers += self._challenges.classic
        text = f"{error}\n".encode()
        status = proxyStatus(self._nodeName, error.proxyStatus, str(error), error.answered, error.hopStatus)
        headers += (
            (b"proxy-status", status),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(text)),
        )
        exchange.respond(ResponseHead(error.status, headers))
        exchange.write(text)
        exchange.loseConnection()

    def refuseFailure(self, exchange: IServerExchange, failure: Failure) -> None:
        """
        The same for whatever went wrong: what is no L{FlowError} is ours, so it is logged and the peer not told.
        """
        if isinstance(failure.value, FlowError):
            self.refuse(exchange, failure.value)
        else:
            self.log.failure("opening a tunnel failed", failure=failure)
            self.refuse(exchange, InternalError("internal error"))
