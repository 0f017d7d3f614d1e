"""
Tunnels pass the assisting components of their listener before they are opened.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.http.bodies import INTERNAL_ERROR
from hermes.http.chain import ListenerChain
from hermes.http.fields import Heads
from hermes.interfaces import IAdmission, IBody, IBodySink, IServerExchange
from hermes.messages import Request, RequestRecord, Response
from hermes.values import Buffer, Flow, Headers, RequestHead, ResponseHead


class AnsweredForTunnel(FlowError):
    """
    An assisting component answered a request for a tunnel as if it were its end. That is a fault of its configuration.
    """

    status = 500


class NotAdmitted(FlowError):
    """
    An assisting component refused a flow. The status is what it answered.
    """

    proxyStatus = "http_request_denied"

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


@implementer(IAdmission)
class Admission:
    """
    To the assisting components, a tunnel is a CONNECT request without a body whose flow is of protocol C{tcp} or
    C{udp}. Where they pass it on it is admitted, as the flow that they have made of it.
    """

    def __init__(self, chain: ListenerChain, heads: Heads, clock: IReactorTime) -> None:
        self._chain = chain
        self._heads = heads
        self._clock = clock

    @property
    def identifies(self) -> bool:
        return self._chain.current().identifies

    def admit(self, exchange: IServerExchange, flow: Flow, gateway: bool) -> Deferred[Flow | None]:
        head = exchange.request
        onward = self._heads.request(head, exchange.version, exchange.source, exchange.identity.node is not None)
        asking = self._ask(head, onward, exchange.version, flow, gateway)
        return asking.addCallback(self._answer, exchange)

    def admitFlow(self, flow: Flow) -> Deferred[Flow]:
        head = RequestHead(b"CONNECT", authority=str(flow.target).encode("utf-8", "replace"))
        return self._ask(head, head, "1.1", flow, False).addCallback(self._refuse)

    def _ask(
        self, head: RequestHead, onward: RequestHead, version: str, flow: Flow, gateway: bool
    ) -> Deferred[Flow | Response]:
        """
        @return: the flow that was admitted, or what is answered in its place.
        """
        record = RequestRecord(flow, head, version, self._clock.seconds())
        request = Request(onward, flow, record, gateway=gateway)
        admitted: list[Flow] = []

        def admit(passed: Request) -> Deferred[Response]:
            # Who it is and where from may have changed; what it is and where to is not for them to say.
            admitted.append(evolve(flow, identity=passed.flow.identity))
            return succeed(Response(ResponseHead(200)))

        def answered(response: Response) -> Flow | Response:
            if response.head.status >= 300:
                return response
            if response.body is not None:
                response.body.stopProducing()
            if not admitted:
                raise AnsweredForTunnel("a tunnel was answered before it was admitted")
            return admitted[-1]

        return self._chain.current().run(request, admit).addCallback(answered)

    def _answer(self, found: Flow | Response, exchange: IServerExchange) -> Flow | None:
        if isinstance(found, Flow):
            return found
        date = () if found.head.get(b"date") is not None else (self._heads.date(),)
        exchange.respond(ResponseHead(found.head.status, (*found.head.headers, *date)))
        if found.body is None:
            exchange.loseConnection()
        else:
            _Refusal(exchange, found.body).start()
        return None

    def _refuse(self, found: Flow | Response) -> Flow:
        if isinstance(found, Flow):
            return found
        if found.body is not None:
            found.body.stopProducing()
        raise NotAdmitted(found.head.status)


@implementer(IBodySink)
class _Refusal:
    """
    Sends the body of a refusal.
    """

    log = Logger()

    def __init__(self, exchange: IServerExchange, body: IBody) -> None:
        self._exchange: Any = exchange
        self._body: Any = body

    def start(self) -> None:
        """
        Begin.
        """
        self._exchange.notifyLost(self._lost)
        self._body.start(self)

    def _lost(self, reason: Failure) -> None:
        self._body.stopProducing()

    def dataReceived(self, data: Buffer) -> None:
        self._exchange.write(data)

    def bodyEnded(self, trailers: Headers) -> None:
        self._exchange.loseConnection()

    def bodyFailed(self, reason: Failure) -> None:
        self._exchange.reset(INTERNAL_ERROR)
