"""
One exchange, from its request to the end of its response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import CredentialsRequired, FlowError, RequestBroken
from hermes.http.bodies import INTERNAL_ERROR, SMALL, RequestBody
from hermes.http.deadline import writeSpent
from hermes.http.websocket import withProof
from hermes.http1.websocket import WEBSOCKET
from hermes.interfaces import IBody, IBodySink, IServerExchange
from hermes.messages import RequestRecord, Response
from hermes.values import Buffer, Headers, ResponseHead, fieldValue
from hermes.wire.fields import proxyStatus

if TYPE_CHECKING:
    from hermes.http.handler import RequestHandler

EXPECT_TIME: Final = 1.0
"""
Seconds after which a client that waits for 100 is told to go on, whatever is known from further on: not everybody knows
of 100.
"""

_BODILESS: Final = frozenset({204, 304})


@implementer(IBodySink)
class Answering:
    """
    It ends in one of these ways: the response is written, whole or cut short; the client goes away; it is aborted. It
    takes the response's body itself.

    @ivar exchange: with the client.
    @ivar record: what is known about it.
    """

    log = Logger()

    __slots__ = (
        *("__provides__", "_body", "_handler", "_pending", "_producing", "_responded", "_response", "_timer"),
        *("_written", "exchange", "record"),
    )

    def __init__(self, handler: RequestHandler, exchange: IServerExchange, record: RequestRecord) -> None:
        self._handler = handler
        self.exchange: Any = exchange
        self.record = record
        self._pending: Deferred[Response] | None = None
        self._response: IBody | None = None
        self._responded = False
        self._producing = False
        # All of the response: the exchange may tell of its end before we are done with it.
        self._written = False
        self._body: RequestBody | None = None
        self._timer: IDelayedCall | None = None
        exchange.notifyLost(self._lost)

    def body(self) -> IBody | None:
        """
        The request's body; L{None} where it has none.
        """
        if self.exchange.bodyless:
            return None
        headers = self.exchange.request.headers
        self._body = RequestBody(
            self.exchange,
            self._lost,
            self._unwanted,
            self._waited,
            self.exchange.bodyLength,
            (fieldValue(headers, b"expect") or b"").lower() == b"100-continue",
        )
        return self._body

    def informed(self, head: ResponseHead) -> None:
        """
        An informational response has come: pass it on.
        """
        if self._responded:
            return
        if head.status != 100:
            self.exchange.respond(self._handler.heads.informational(head))
        elif self._body is not None:
            self._body.proceed()

    def _waited(self) -> None:
        body = self._body
        assert body is not None
        self._timer = self._handler.clock.callLater(EXPECT_TIME, body.proceed)

    def _unwanted(self) -> None:
        """
        Nobody takes the rest of the request's body.
        """
        if self.record.seconds is not None:
            # The response is written: what still comes is read away, within the connection's bounds.
            self.exchange.loseConnection()

    def follow(self, pending: Deferred[Response]) -> None:
        """
        Answer with what C{pending} fires with.
        """
        self._pending = pending
        pending.addCallbacks(self.answer, self._failed)

    def answer(self, response: Response) -> None:
        """
        Send the response.
        """
        if self.record.seconds is not None:
            # Whoever was cancelled has answered all the same.
            if response.body is not None:
                response.body.stopProducing()
            return
        try:
            self._answer(response)
        except Exception:
            self._crashed(Failure())

    def _answer(self, response: Response) -> None:
        self._pending = None
        self._responded = True
        exchange, record, head = self.exchange, self.record, response.head
        record.firstByteSeconds = self._handler.clock.seconds() - record.startedAt
        record.status = head.status
        body = self._response = response.body
        heads = self._handler.heads
        if response.version:
            head = heads.response(head, response.version)
        else:
            if head.get(b"date") is None:
                head = ResponseHead(head.status, (*head.headers, heads.date()))
            if body is not None and (exchange.request.method == b"HEAD" or head.status in _BODILESS):
                # HTTP/1.1 would not write it; HTTP/2 would.
                body.stopProducing()
                body = self._response = None
        if exchange.identity.node is not None:
            head = ResponseHead(head.status, head.headers + writeSpent(record, response.unsent))
        if exchange.request.protocol == WEBSOCKET and head.status < 300:
            head = withProof(head, exchange.request)
        if body is None:
            exchange.respond(head, end=True)
            if exchange.request.method != b"CONNECT" or head.status >= 300:
                exchange.loseConnection()
            self._end()
            return
        exchange.respond(head)
        length = body.length
        if length is None or length > SMALL:
            # What can't fill a buffer is never told to wait; where the client goes it is stopped from here.
            self._producing = True
            exchange.registerProducer(body, True)
        body.start(self)

    # IBodySink

    def dataReceived(self, data: Buffer) -> None:
        self.record.bytesOut += len(data)
        self.exchange.write(data)

    def bodyEnded(self, trailers: Headers) -> None:
        self._written = True
        exchange = self.exchange
        if self._producing:
            exchange.unregisterProducer()
        if trailers:
            exchange.writeTrailers(trailers)
        if self._body is None:
            exchange.loseConnection()
        elif not trailers:
            exchange.loseWriteConnection()
        self._end()

    def bodyFailed(self, reason: Failure) -> None:
        error = reason.value
        # First: the reset may tell at once that the exchange is over.
        self.record.failed(error if isinstance(error, FlowError) else RequestBroken(reason.getErrorMessage()))
        if self._producing:
            self.exchange.unregisterProducer()
        # The body may look whole to the client, where it had no length: it must not.
        self.exchange.reset(INTERNAL_ERROR)
        self._end()

    # What goes wrong

    def _failed(self, failure: Failure) -> None:
        self._pending = None
        error, over = failure.value, self.record.seconds is not None
        if not isinstance(error, FlowError):
            if over and isinstance(error, CancelledError):
                return
            self.log.failure("answering a request failed", failure)
            error = FlowError("internal error")
        if not over:
            self.refuse(error)

    def _crashed(self, failure: Failure) -> None:
        self.log.failure("sending a response failed", failure)
        self.record.failed(FlowError("internal error"))
        self.exchange.reset(INTERNAL_ERROR)
        response = self._response
        self._end()
        if response is not None:
            response.stopProducing()

    def refuse(self, error: FlowError) -> None:
        """
        Answer with the error's status, a Proxy-Status field (RFC 9209) and its text.
        """
        try:
            self._refuse(error)
        except Exception:
            self._crashed(Failure())

    def _refuse(self, error: FlowError) -> None:
        record, exchange = self.record, self.exchange
        record.failed(error)
        record.status = error.status
        self._responded = True
        head = refusal(error, self._handler.nodeName)
        if exchange.identity.node is not None:
            head = ResponseHead(head.status, head.headers + writeSpent(record, not error.sent))
        exchange.respond(head)
        if exchange.request.method != b"HEAD":
            text = b"%s\n" % str(error).encode()
            record.bytesOut += len(text)
            exchange.write(text)
        exchange.loseConnection()
        self._end()

    def abort(self) -> None:
        """
        End it now, as an error.
        """
        self.record.failed(_Aborted("the proxy is shutting down"))
        self.exchange.reset(INTERNAL_ERROR)
        self._lost()

    def _lost(self, reason: Failure | None = None) -> None:
        """
        The exchange is over; in order, where all was done.
        """
        if self._written or self.record.seconds is not None:
            return
        self.record.failed(_Aborted("the client went away"))
        pending, self._pending = self._pending, None
        response = self._response
        self._end()
        if pending is not None:
            pending.cancel()
        elif response is not None:
            response.stopProducing()

    def _end(self) -> None:
        # Its way back holds this.
        self._response = None
        self._handler.ended(self)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        body, self._body = self._body, None
        if body is not None:
            if not body.started:
                body.stopProducing()
            elif body.unwanted:
                self.exchange.loseConnection()


class _Aborted(Exception):
    """
    Nobody waits for the answer any more.
    """


def refusal(error: FlowError, nodeName: str) -> ResponseHead:
    """
    The head of the answer to a request that is refused; its text is the body.
    """
    headers: Headers = (
        (b"proxy-status", proxyStatus(nodeName, error.proxyStatus, str(error), error.answered, error.hopStatus)),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % (len(str(error).encode()) + 1)),
    )
    if isinstance(error, CredentialsRequired):
        realm = nodeName.replace("\\", "\\\\").replace('"', '\\"').encode("ascii", "replace")
        headers += (
            (b"proxy-authenticate", b'Basic realm="%s", charset="UTF-8"' % realm),
            (b"proxy-authenticate", b'Bearer realm="%s"' % realm),
        )
    return ResponseHead(error.status, headers)
