"""
Requests sent on over exchanges.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, HopUnavailable, RequestBroken, StreamRefused, StreamReset
from hermes.http.bodies import CANCEL, RequestSink, ResponseBody
from hermes.interfaces import IClientExchange, IExchangeClient, IRequestSender
from hermes.messages import Request, Response
from hermes.values import ResponseHead, fieldValue

REFUSED_STREAM: Final = 0x7


@implementer(IRequestSender)
class ExchangeSender:
    """
    Sends requests to one peer, or to one set of equal peers.
    """

    __slots__ = ("__provides__", "_client")

    def __init__(self, client: IExchangeClient) -> None:
        """
        @param client: opens exchanges with the peer.
        """
        self._client = client

    def send(self, request: Request) -> Deferred[Response]:
        return _Sending(request).begin(self._client)


class _Sending:
    """
    One request, until its response is there.
    """

    __slots__ = ("_exchange", "_opening", "_request", "_responded")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._exchange: Any = None
        self._opening: Deferred[Any] | None = None
        self._responded: Deferred[Response] = Deferred(self._cancel)

    def begin(self, client: IExchangeClient) -> Deferred[Response]:
        request = self._request
        record, head = request.record, request.head
        record.tries += 1
        notes = record.notes
        if notes is not None and "trace" in notes:
            head = notes["trace"].outgoing(head)
        self._opening = opening = client.exchange(head, request.body is None)
        opening.addCallbacks(self._opened, self._notOpened)
        return self._responded

    def _cancel(self, _: Deferred[Response]) -> None:
        if self._exchange is not None:
            self._exchange.reset(CANCEL)
        elif self._opening is not None:
            self._opening.cancel()

    def _notOpened(self, failure: Failure) -> None:
        self._fail(failure)

    def _opened(self, exchange: IClientExchange) -> None:
        if self._responded.called:
            exchange.reset(CANCEL)
            return
        self._exchange = exchange
        body = self._request.body
        if body is not None:
            body.start(RequestSink(exchange, body, self._request.record))
        exchange.response().addCallbacks(self._answered, self._broken)

    def _answered(self, head: ResponseHead) -> None:
        if self._responded.called:
            return
        exchange = self._exchange
        body = None
        if not exchange.bodyless:
            length = fieldValue(head.headers, b"content-length")
            body = ResponseBody(exchange, int(length) if length is not None and length.isdigit() else None)
        self._responded.callback(Response(head, body, exchange.version))

    def _broken(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, StreamReset):
            if error.code == REFUSED_STREAM:
                failure = Failure(StreamRefused("the next hop refused the request"))
            else:
                failure = Failure(RequestBroken("the request was broken off before it was answered"))
        elif isinstance(error, HopUnavailable):
            failure = Failure(RequestBroken(str(error)))
        elif isinstance(error, FlowError):
            error.sent = True
        self._fail(failure)

    def _fail(self, failure: Failure) -> None:
        if not self._responded.called:
            if failure.check(CancelledError):
                failure = Failure(CancelledError())
            self._responded.errback(failure)
