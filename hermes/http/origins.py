"""
Requests sent to their own targets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, NotImplementedHere
from hermes.http.clients import ClientOptions, Upgrading, makeClient
from hermes.http.dialed import DialedEndpoint
from hermes.http.sender import ExchangeSender
from hermes.interfaces import IDialer, IRequestSender
from hermes.messages import Request, Response
from hermes.values import Flow, Target

MAX_ORIGINS: Final = 1024
"""
Origins whose connections are kept for a next request.
"""

AT_ORIGINS: Final = ClientOptions()
H2: Final = b"h2"
HTTP1: Final = b"http/1.1"

Secure = Callable[[IStreamClientEndpoint, str, "tuple[bytes, ...]"], IStreamClientEndpoint]
"""
Puts TLS around the connections of an endpoint: C{(endpoint, name of the server, what is offered in ALPN)}. Raises
L{hermes.errors.FlowError} where nothing can have such a name.
"""


@implementer(IRequestSender)
class Origins:
    """
    Keeps connections to each target: HTTP/1.1 in the clear, over TLS what the origin chooses.
    """

    log = Logger()

    def __init__(
        self, dialer: IDialer, clock: IReactorTime, secure: Secure | None = None, options: ClientOptions = AT_ORIGINS
    ) -> None:
        """
        @param dialer: opens the connections, each as a flow to its target.
        @param secure: for C{https:}; L{None} where that is not sent on.
        @param options: bounds of what each origin has.
        """
        self._dialer = dialer
        self._clock = clock
        self._secure = secure
        self._options = options
        self._origins: OrderedDict[tuple[bytes, Target, bool], tuple[ExchangeSender, list[Any]]] = OrderedDict()

    def send(self, request: Request) -> Deferred[Response]:
        head, target = request.head, request.flow.target
        key = head.scheme, target, head.protocol is not None
        found = self._origins.get(key)
        if found is None:
            if head.scheme != b"http" and (head.scheme != b"https" or self._secure is None):
                return fail(NotImplementedHere("only http: and https: are sent on"))
            try:
                found = self._origins[key] = self._make(*key)
            except FlowError as error:
                return fail(error)
            if len(self._origins) > MAX_ORIGINS:
                _, (_, oldest) = self._origins.popitem(last=False)
                for client in oldest:
                    client.close().addErrback(self._closeFailed)
        else:
            self._origins.move_to_end(key)
        return found[0].send(request)

    def _make(self, scheme: bytes, target: Target, upgrade: bool) -> tuple[ExchangeSender, list[Any]]:
        """
        What sends requests, and what it has connections in.

        @param upgrade: for requests that HTTP/2 may have no form for.
        """
        if scheme == b"http":
            client: Any = self._client(target, (), self._options)
            return ExchangeSender(client), [client]
        client = self._client(target, (H2, HTTP1), self._options)
        if not upgrade:
            return ExchangeSender(client), [client]
        other = self._client(target, (HTTP1,), evolve(self._options, version="1.1"))
        return ExchangeSender(Upgrading(client, other)), [client, other]

    def _client(self, target: Target, offered: tuple[bytes, ...], options: ClientOptions) -> Any:
        endpoint: IStreamClientEndpoint = DialedEndpoint(self._dialer, Flow("http", target))
        if offered:
            assert self._secure is not None
            endpoint = self._secure(endpoint, target.host, offered)
        return makeClient(endpoint, self._clock, options, bool(offered))

    def _closeFailed(self, failure: Failure) -> None:
        self.log.failure("closing connections failed", failure)
