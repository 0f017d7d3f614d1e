"""
What every listener hands its HTTP exchanges to.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from os import urandom
from typing import Final

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from hermes.errors import (
    BadRequest,
    CredentialsRequired,
    FlowError,
    NotImplementedHere,
    Overloaded,
    ShuttingDown,
)
from hermes.fabric.router import Denied
from hermes.http.admission import Admission
from hermes.http.answering import Answering
from hermes.http.chain import ListenerChain
from hermes.http.deadline import readBudget
from hermes.http.fields import Heads
from hermes.http.plans import Plans
from hermes.interfaces import (
    IAdmission,
    IAuthenticator,
    IExchangeHandler,
    IRequestHandler,
    IRequestObserver,
    IServerExchange,
)
from hermes.messages import Request, RequestRecord, Response
from hermes.values import Flow, Forwarded, Identity, RequestHead, Target
from hermes.wire.errors import MalformedError
from hermes.wire.fields import parseVia
from hermes.wire.host import parseAuthority

MAX_REQUESTS: Final = 65_536
"""
Exchanges that may go on at once, where nothing else is said.
"""

_PORTS: Final = {b"http": 80, b"https": 443}


NAMELESS: Final = "this proxy takes nobody it can't name"


class Unnamed(FlowError):
    """
    A reverse proxy takes nobody it can't name, and looks at no credential itself: it has none to ask for.
    """

    status = 403
    proxyStatus = "http_request_denied"


@implementer(IRequestHandler)
class RequestHandler:
    """
    Names who asks, routes, assists, sends, answers, counts.

    @ivar maxRequests: exchanges that may go on at once.
    @ivar plans: what requests are answered with, from now on.
    @ivar nodeName: the node's name, for C{Proxy-Status}.
    @ivar started: how many exchanges were taken.
    @ivar heads: what is changed in heads.
    """

    log = Logger()

    def __init__(
        self,
        plans: Plans,
        authenticator: IAuthenticator,
        observers: Sequence[IRequestObserver],
        clock: IReactorTime,
        nodeName: str,
        maxRequests: int = MAX_REQUESTS,
    ) -> None:
        self.plans = plans
        self.authenticator = authenticator
        self.clock = clock
        self.nodeName = nodeName
        self.maxRequests = maxRequests
        self.started = 0
        # Not the node's name: an origin is not to learn how the overlay is built, and the name of another's node may be
        # the same.
        self.heads = Heads(b"hermes-" + urandom(6).hex().encode(), time.time, urandom(16))
        self._observers = tuple(observers)
        self._open: dict[Answering, None] = {}
        self._draining = False
        self._drained: list[Deferred[None]] = []
        self._retiring: list[tuple[set[Answering], Deferred[None]]] = []

    def listener(
        self,
        name: str,
        assist: tuple[str, ...] = (),
        anonymous: bool = True,
        gateway: bool = False,
        forwarded: Forwarded = "none",
    ) -> IExchangeHandler:
        return ListenerRequests(self, name, assist, anonymous, gateway, forwarded)

    def admission(self, name: str, assist: tuple[str, ...]) -> IAdmission | None:
        if not assist:
            return None
        return Admission(ListenerChain(name, assist, lambda: self.plans), self.heads, self.clock)

    def begin(self, answering: Answering) -> None:
        """
        An exchange begins, be it only to be refused.

        @raise FlowError: where no more are taken.
        """
        refusal: FlowError | None = None
        if self._draining:
            refusal = ShuttingDown("the proxy is shutting down")
        elif len(self._open) >= self.maxRequests:
            refusal = Overloaded(f"{self.maxRequests} requests are open: no more are taken")
        else:
            self.started += 1
        self._open[answering] = None
        for observer in self._observers:
            try:
                observer.requestStarted(answering.record)
            except Exception:
                self.log.failure("{observer} failed on a request's beginning", observer=observer)
        if refusal is not None:
            raise refusal

    def ended(self, answering: Answering) -> None:
        """
        It is over.
        """
        if answering not in self._open:
            return
        del self._open[answering]
        record = answering.record
        record.seconds = self.clock.seconds() - record.startedAt
        for observer in self._observers:
            try:
                observer.requestEnded(record)
            except Exception:
                self.log.failure("{observer} failed on a request's end", observer=observer)
        if self._retiring:
            self._leave(answering)
        if self._drained and not self._open:
            drained, self._drained = self._drained, []
            for waiting in drained:
                waiting.callback(None)

    # The life of a node

    def openRequests(self) -> list[RequestRecord]:
        """
        The records of the exchanges that go on, oldest first.
        """
        return [answering.record for answering in self._open]

    def swap(self, plans: Plans) -> Deferred[None]:
        """
        Answer new requests with these; what goes on goes on as it is. Fires once it has ended.
        """
        self.plans = plans
        retired: Deferred[None] = Deferred()
        if self._open:
            self._retiring.append((set(self._open), retired))
        else:
            retired.callback(None)
        return retired

    def _leave(self, answering: Answering) -> None:
        for retiring in list(self._retiring):
            others, retired = retiring
            others.discard(answering)
            if not others:
                self._retiring.remove(retiring)
                retired.callback(None)

    def drain(self) -> Deferred[None]:
        """
        Take nothing more. Fires when no exchange goes on.
        """
        self._draining = True
        if not self._open:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    def abortAll(self) -> None:
        """
        End every exchange at once, as an error.
        """
        for answering in list(self._open):
            answering.abort()


@implementer(IExchangeHandler)
class ListenerRequests:
    """
    What takes the exchanges of one listener.

    @ivar requests: does what is the same for all listeners.
    @ivar assist: the assisting components that each request passes before it is routed.
    """

    def __init__(
        self,
        requests: RequestHandler,
        name: str,
        assist: tuple[str, ...],
        anonymous: bool,
        gateway: bool,
        forwarded: Forwarded,
    ) -> None:
        self.requests = requests
        self.assist = ListenerChain(name, assist, lambda: requests.plans)
        self._name = name
        self._anonymous = anonymous
        self._gateway = gateway
        self._forwarded = forwarded
        # What authorities stand for, as far as they were met.
        self._targets: dict[tuple[bytes, bytes], Target] = {}

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        requests = self.requests
        head: RequestHead = exchange.request
        target = self._targets.get((head.scheme, head.authority), _NOWHERE)
        flow = Flow("http", target, exchange.source, exchange.identity, self._name)
        record = RequestRecord(flow, head, exchange.version, requests.clock.seconds())
        answering = Answering(requests, exchange, record)
        try:
            requests.begin(answering)
            if target is _NOWHERE or head.method not in _COMMON:
                record.flow = evolve(flow, target=self._target(head))
            self._admit(answering, head)
        except FlowError as error:
            answering.refuse(error)
        except Exception:
            requests.log.failure("taking a request failed")
            answering.refuse(FlowError("internal error"))

    def _admit(self, answering: Answering, head: RequestHead) -> None:
        """
        @raise FlowError: where the request goes no further.
        """
        exchange, record, requests = answering.exchange, answering.record, self.requests
        if not (self._gateway or (self.assist and self.assist.current().identifies)):
            identity = self._identify(exchange)
            if identity is not exchange.identity:
                record.flow = evolve(record.flow, identity=identity)
        if exchange.identity.node is not None and (via := _viaOf(head)):
            record.flow = evolve(record.flow, via=via)
        flow = record.flow
        heads = requests.heads
        last = heads.lastHop(head)
        if last is not None:
            answering.answer(last)
            return
        fromNode = exchange.identity.node is not None
        request = Request(
            heads.request(head, exchange.version, exchange.source, fromNode, self._forwarded),
            flow,
            record,
            answering.body(),
            informational=answering.informed,
            gateway=self._gateway,
        )
        if fromNode:
            budget = readBudget(head, record.startedAt)
            request.deadline, request.retriesLeft, request.name = budget.deadline, budget.retriesLeft, budget.name
        self._run(answering, request)

    def _run(self, answering: Answering, request: Request) -> None:
        if self.assist:
            answering.follow(self.assist.current().run(request, self._named))
        else:
            answering.follow(self._named(request))

    def _named(self, request: Request) -> Deferred[Response]:
        if not (request.flow.identity or self._anonymous):
            raise Unnamed(NAMELESS) if self._gateway else CredentialsRequired(NAMELESS)
        return self._routed(request)

    def _routed(self, request: Request) -> Deferred[Response]:
        record = request.record
        try:
            plan = self.requests.plans.decide(request)
        except Denied as denied:
            record.routeName = denied.routeName
            raise
        record.routeName, record.upstream, record.hops = plan.routeName, plan.upstream, plan.hops
        return plan.send(request)

    def _identify(self, exchange: IServerExchange) -> Identity:
        identity: Identity = exchange.identity
        authorization = exchange.request.get(b"proxy-authorization")
        if authorization is not None:
            user = self.requests.authenticator.authenticate(authorization)
            if user is None:
                raise CredentialsRequired("the credential is wrong")
            return evolve(identity, user=user)
        if not identity and (self.requests.authenticator.required or not self._anonymous):
            raise CredentialsRequired(NAMELESS)
        return identity

    def _target(self, head: RequestHead) -> Target:
        if (head.method == b"CONNECT" and head.protocol is None) or head.method == b"TRACE":
            raise NotImplementedHere(f"{head.method.decode()} is not sent on to origins")
        port = _PORTS.get(head.scheme)
        if port is None:
            raise NotImplementedHere("only http: and https: are sent on")
        try:
            host, given = parseAuthority(head.authority)
        except MalformedError as error:
            raise BadRequest(str(error)) from None
        target = Target(host, given or port)
        if len(self._targets) >= _MAX_TARGETS:
            self._targets.clear()
        self._targets[head.scheme, head.authority] = target
        return target


_NOWHERE: Final = Target("", 0)
_MAX_TARGETS: Final = 4096
_COMMON: Final = frozenset({b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"PATCH"})


def _viaOf(head: RequestHead) -> tuple[str, ...]:
    """
    The hops that the node at the other end asks for.
    """
    value = head.get(b"hermes-via")
    if value is None:
        return ()
    try:
        return parseVia(value)
    except MalformedError as error:
        raise BadRequest(f"hermes-via: {error}") from None
