"""
Requests sent on over exchanges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, HopUnavailable, RequestBroken, StreamRefused, StreamReset
from hermes.http.bodies import CANCEL, RequestSink, ResponseBody
from hermes.http.retry import IDEMPOTENT
from hermes.http.websocket import withKey
from hermes.http1.websocket import WEBSOCKET
from hermes.interfaces import IClientExchange, IExchangeClient, IReadyExchangeClient, IRequestSender
from hermes.messages import Request, Response
from hermes.values import RequestHead, ResponseHead, fieldValue

REFUSED_STREAM: Final = 0x7

Attempt: TypeAlias = "Callable[[RequestHead, bool], IClientExchange | None]"


class OriginConfused(FlowError):
    """
    The origin asks for what only a proxy may ask for.
    """

    proxyStatus = "http_protocol_error"
    sent = True


@implementer(IRequestSender)
class ExchangeSender:
    """
    Sends requests to one peer, or to one set of equal peers.
    """

    __slots__ = ("__provides__", "_client", "_try")

    def __init__(self, client: IExchangeClient) -> None:
        """
        @param client: opens exchanges with the peer.
        """
        self._client = client
        self._try = client.tryExchange if IReadyExchangeClient.providedBy(client) else _never

    def send(self, request: Request) -> Deferred[Response]:
        return _Sending(self._client, self._try, request).begin()


def _never(head: RequestHead, end: bool = False) -> IClientExchange | None:
    return None


class _Sending:
    """
    One request, until its response is there.
    """

    __slots__ = (
        *("_again", "_client", "_exchange", "_expects", "_head", "_opening", "_request", "_responded", "_sink"),
        "_try",
    )

    def __init__(self, client: IExchangeClient, attempt: Attempt, request: Request) -> None:
        self._client = client
        self._try = attempt
        self._request = request
        self._head = request.head
        self._sink: RequestSink | None = None
        # Whether a connection that had closed was replaced.
        self._again = False
        # Whether the body waits for the peer's 100.
        self._expects = False
        self._exchange: Any = None
        self._opening: Deferred[Any] | None = None
        # None once it has fired: nothing may hold what nobody waits for, or only the collector would find it.
        self._responded: Deferred[Response] | None = Deferred(self._cancel)

    def begin(self) -> Deferred[Response]:
        record = self._request.record
        record.tries += 1
        notes = record.notes
        if notes is not None and "trace" in notes:
            self._head = notes["trace"].outgoing(self._head)
        if self._head.protocol == WEBSOCKET:
            self._head = withKey(self._head)
        responded = self._responded
        assert responded is not None
        self._open()
        return responded

    def _open(self) -> None:
        end = self._request.body is None
        try:
            exchange = self._try(self._head, end)
        except Exception:
            self._fail(Failure())
            return
        if exchange is not None:
            self._opened(exchange)
            return
        self._opening = opening = self._client.exchange(self._head, end)
        opening.addCallbacks(self._opened, self._notOpened)

    def _cancel(self, _: Deferred[Response]) -> None:
        self._responded = None
        if self._exchange is not None:
            if self._sink is not None:
                self._sink.over()
            self._exchange.reset(CANCEL)
        elif self._opening is not None:
            self._opening.cancel()

    def _notOpened(self, failure: Failure) -> None:
        self._fail(failure)

    def _opened(self, exchange: IClientExchange) -> None:
        if self._responded is None:
            exchange.reset(CANCEL)
            return
        self._exchange = exchange
        request = self._request
        if request.informational is not None or request.body is not None:
            exchange.notifyInformational(self._informed)
        body = request.body
        if body is not None:
            self._expects = (fieldValue(request.head.headers, b"expect") or b"").lower() == b"100-continue"
            sink = self._sink = RequestSink(exchange, body, request.record)
            try:
                body.start(sink)
            except Exception:
                failure = Failure()
                exchange.reset(CANCEL)
                self._fail(failure)
                return
        exchange.whenAnswered(self._answered, self._broken)

    def _informed(self, head: ResponseHead) -> None:
        if head.status == 100:
            self._expects = False
        if self._request.informational is not None and self._responded is not None:
            self._request.informational(head)

    def _answered(self, head: ResponseHead) -> None:
        if self._responded is None:
            return
        exchange, sink, body = self._exchange, self._sink, None
        if head.status == 407:
            exchange.reset(CANCEL)
            self._fail(Failure(OriginConfused("the origin asked for what only a proxy may ask for")))
            return
        # The request's head told of a body, and nothing of it will come.
        declined = self._expects and sink is not None and not sink.begun and not sink.ended
        # With an upload that goes on, somebody has to hear when it is wanted no more.
        if not exchange.bodyless or (sink is not None and not sink.ended and not declined):
            body = ResponseBody(
                exchange,
                exchange.bodyLength,
                None if sink is None or sink.ended else sink.over,
                declined,
            )
        if declined and sink is not None:
            sink.over()
            if body is None:
                exchange.reset(CANCEL)
        self._settle().callback(Response(head, body, exchange.version))

    def _settle(self) -> Deferred[Response]:
        responded = self._responded
        assert responded is not None
        self._responded = self._exchange = self._sink = self._opening = None
        return responded

    def _broken(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, StreamReset):
            if error.drained and self._responded is not None and self._request.body is None and not self._again:
                # A server that closes in order has not looked at it: whatever its method, it may go on another.
                self._again, self._exchange = True, None
                self._open()
                return
            if error.code == REFUSED_STREAM:
                failure = Failure(StreamRefused("the next hop refused the request"))
            else:
                failure = Failure(RequestBroken("the request was broken off before it was answered"))
        elif isinstance(error, HopUnavailable):
            if self._mayOpenAgain():
                self._again, self._exchange = True, None
                self._open()
                return
            failure = Failure(RequestBroken(str(error)))
        elif isinstance(error, FlowError):
            error.sent = True
        self._fail(failure)

    def _mayOpenAgain(self) -> bool:
        """
        A connection that waited may have been closed by the peer just as the request went out (RFC 9112 section 9.3.1).
        Nothing was done then, or can be done again; once, lest a request that servers end with goes through them all.
        """
        request = self._request
        return (
            self._responded is not None
            and not self._again
            and self._exchange.reused
            and request.body is None
            and request.head.method in IDEMPOTENT
        )

    def _fail(self, failure: Failure) -> None:
        if self._responded is not None:
            if failure.check(CancelledError):
                failure = Failure(CancelledError())
            sink, responded = self._sink, self._settle()
            if sink is not None:
                # Nobody takes the rest of the body, and who sends it may wait for leave to go on.
                sink.over()
            responded.errback(failure)
