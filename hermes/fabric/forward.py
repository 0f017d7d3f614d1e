"""
The proxy as RFC 9110 section 3.7 has it: requests in absolute-form, C{GET http://host/path}, sent on to their origin.
"""

from __future__ import annotations

from collections import OrderedDict
from os import urandom
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import (
    BadRequest,
    CredentialsRequired,
    FlowError,
    HopUnavailable,
    NotImplementedHere,
    StreamReset,
    TargetTimeout,
)
from hermes.fabric.endpoint import FlowEndpoint
from hermes.fabric.forwardheads import ForwardHeads
from hermes.fabric.relay import CANCEL, ExchangeRelay
from hermes.http1.client import ConnectionLimits, HTTP1Client
from hermes.interfaces import IClientExchange, IExchangeHandler, IListenerContext, IServerExchange
from hermes.values import Flow, Headers, Identity, RequestHead, ResponseHead, Target
from hermes.wire.errors import MalformedError
from hermes.wire.fields import proxyStatus
from hermes.wire.host import parseAuthority

DIAL_TIME: Final = 60.0
"""
Seconds until a request is on its way to the origin.
"""

MAX_ORIGINS: Final = 1024
"""
Origins, for one client's connection each, whose connections are kept for a next request.
"""

IDLE_TIME: Final = 10.0
IDLE_CONNECTIONS: Final = 2

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})


class OriginBroken(FlowError):
    """
    The origin, or what is before it, broke off before it answered.
    """

    proxyStatus = "http_response_incomplete"


class OriginConfused(FlowError):
    """
    The origin asks for what only a proxy may ask for.
    """

    proxyStatus = "http_protocol_error"


class LoopDetected(FlowError):
    """
    The request was here before.
    """

    proxyStatus = "proxy_loop_detected"


@implementer(IExchangeHandler)
class ForwardHandler:
    """
    Sends requests on, each over a flow whose protocol is C{"http"}. A flow is one client's: its connection to an origin
    serves that client's next request too, where it comes soon.
    """

    log = Logger()

    def __init__(self, context: IListenerContext, listener: str, anonymous: bool) -> None:
        """
        @param listener: the listener's name.
        @param anonymous: whether somebody without a name is taken, unless the authenticator requires one.
        """
        self.clock = context.reactor
        self._flows = context.flows
        self._authenticator = context.authenticator
        self._nodeName: str = context.nodeName
        self._listener = listener
        self._anonymous = anonymous and not context.authenticator.required
        # Not the node's name: an origin is not to learn how the overlay is built, and the name of another's node may be
        # the same.
        self.heads = ForwardHeads(b"hermes-" + urandom(6).hex().encode())
        self._clients: OrderedDict[Flow, tuple[HTTP1Client, FlowEndpoint]] = OrderedDict()

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        try:
            self._receive(exchange)
        except FlowError as error:
            self.refuse(exchange, error)

    def _receive(self, exchange: IServerExchange) -> None:
        head: RequestHead = exchange.request
        identity = self._identify(exchange)
        target = self._target(head)
        if self.heads.wasHere(head):
            raise LoopDetected("the request came back to this proxy")
        hops = self.heads.hopsLeft(head)
        if hops == 0:
            exchange.respond(ResponseHead(200, ((b"content-length", b"0"),)), end=True)
            return
        flow = Flow("http", target, exchange.source, identity, self._listener)
        Forwarding(self, exchange, flow, self.heads.request(head, exchange.version, hops)).start()

    def _identify(self, exchange: IServerExchange) -> Identity:
        identity: Identity = exchange.identity
        authorization = exchange.request.get(b"proxy-authorization")
        if authorization is not None:
            user = self._authenticator.authenticate(authorization)
            if user is None:
                raise CredentialsRequired("the credential is wrong")
            return evolve(identity, user=user)
        if not identity and not self._anonymous:
            raise CredentialsRequired("this proxy takes nobody it can't name")
        return identity

    def _target(self, head: RequestHead) -> Target:
        if head.method in (b"CONNECT", b"TRACE"):
            raise NotImplementedHere(f"{head.method.decode()} is not sent on to origins")
        if head.scheme != b"http":
            raise NotImplementedHere("only http: is sent on; for https: use CONNECT")
        try:
            host, port = parseAuthority(head.authority)
        except MalformedError as error:
            raise BadRequest(str(error)) from None
        return Target(host, port or 80)

    def client(self, flow: Flow) -> tuple[HTTP1Client, FlowEndpoint]:
        """
        What sends requests over flows like this one, and what opens them.
        """
        found = self._clients.get(flow)
        if found is None:
            endpoint = FlowEndpoint(self._flows, flow, self.clock)
            client = HTTP1Client(
                endpoint, self.clock, bounds=ConnectionLimits(idle=IDLE_CONNECTIONS, idleTime=IDLE_TIME)
            )
            found = self._clients[flow] = client, endpoint
            if len(self._clients) > MAX_ORIGINS:
                _, (oldest, _) = self._clients.popitem(last=False)
                oldest.close()
        else:
            self._clients.move_to_end(flow)
        return found

    def drain(self) -> None:
        """
        Keep no connection that waits for a next request.
        """
        clients, self._clients = self._clients, OrderedDict()
        for client, _ in clients.values():
            client.close()

    def refuse(self, exchange: IServerExchange, error: FlowError) -> None:
        """
        Answer with the error's status, a Proxy-Status field (RFC 9209) and its text.
        """
        text = f"{error}\n".encode()
        status = proxyStatus(self._nodeName, error.proxyStatus, str(error), error.answered, error.hopStatus)
        headers: Headers = (
            (b"proxy-status", status),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(text)),
        )
        if isinstance(error, CredentialsRequired):
            realm = self._nodeName.replace("\\", "\\\\").replace('"', '\\"').encode("ascii", "replace")
            headers += (
                (b"proxy-authenticate", b'Basic realm="%s", charset="UTF-8"' % realm),
                (b"proxy-authenticate", b'Bearer realm="%s"' % realm),
            )
        exchange.respond(ResponseHead(error.status, headers))
        if exchange.request.method != b"HEAD":
            exchange.write(text)
        exchange.loseConnection()


class Forwarding:
    """
    One request on its way. It is sent once it is known whether it has a body: HTTP/1.1 says so to the next.
    """

    log = Logger()

    def __init__(self, handler: ForwardHandler, exchange: IServerExchange, flow: Flow, head: RequestHead) -> None:
        """
        @param head: as it is to be sent.
        """
        self._handler = handler
        self._exchange = exchange
        self._flow = flow
        self._head = head
        self._relay = ExchangeRelay(exchange, self._known, self._clientGone)
        self._empty = False
        self._reused = False
        self._retried = False
        self._gone = False
        self._timedOut = False
        self._begin: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._opening: Deferred[Any] | None = None

    def start(self) -> None:
        """
        Read the request's body.
        """
        if (self._exchange.request.get(b"expect") or b"").lower() == b"100-continue":
            self._exchange.respond(ResponseHead(100))
        # Whoever neither sends a body nor ends it may wait for the answer first.
        self._begin = self._handler.clock.callLater(0, self._known)
        self._relay.start()

    def _known(self) -> None:
        """
        The body begins, or has ended, or is not to be waited for.
        """
        begin, self._begin = self._begin, None
        if begin is not None:
            if begin.active():
                begin.cancel()
            self._send()

    def _send(self) -> None:
        relay = self._relay
        self._empty = relay.request.ended and relay.request.empty
        client, endpoint = self._handler.client(self._flow)
        opened = endpoint.opened
        self._timer = self._handler.clock.callLater(DIAL_TIME, self._tooSlow)
        self._opening = opening = client.exchange(self._head, self._empty)
        self._reused = endpoint.opened == opened
        # From here on it may be settled, and the attribute empty.
        opening.addBoth(self._settled)
        opening.addCallback(self._opened)
        opening.addErrback(self._failed)
        opening.addErrback(lambda failure: self.log.failure("answering a request failed", failure))

    def _settled(self, result: Any) -> Any:
        self._opening = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        return result

    def _tooSlow(self) -> None:
        self._timedOut = True
        if self._opening is not None:
            self._opening.cancel()

    def _clientGone(self) -> None:
        self._gone = True
        begin, self._begin = self._begin, None
        if begin is not None and begin.active():
            begin.cancel()
        if self._opening is not None:
            self._opening.cancel()

    def _opened(self, client: IClientExchange) -> Deferred[None] | None:
        if self._gone:
            client.reset(CANCEL)
            return None
        self._relay.openRequest(client)
        return client.response().addCallback(self._answered, client)

    def _answered(self, head: ResponseHead, client: IClientExchange) -> None:
        if head.status == 407:
            client.reset(CANCEL)
            raise OriginConfused("the origin asked for what only a proxy may ask for")
        self._exchange.respond(self._handler.heads.response(head))
        self._relay.openResponse()

    def _failed(self, failure: Failure) -> None:
        if self._gone or self._relay.lost:
            return
        error = failure.value
        if self._timedOut:
            error = TargetTimeout("the origin could not be reached in time")
        elif isinstance(error, HopUnavailable) and self._mayRetry():
            self._retried = True
            self._send()
            return
        elif isinstance(error, StreamReset):
            error = OriginBroken("the origin broke off before it answered")
        elif not isinstance(error, FlowError):
            self.log.failure("sending a request on failed", failure)
            error = FlowError("internal error")
        self._handler.refuse(self._exchange, error)

    def _mayRetry(self) -> bool:
        """
        A connection that was kept may have been closed by the origin just as the request went out (RFC 9112 section
        9.3.1); nothing was done then, or can be done again.
        """
        return self._reused and not self._retried and self._empty and self._head.method in IDEMPOTENT
