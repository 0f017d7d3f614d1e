"""
A response's body that goes on where it was cut short: the rest is asked for with Range and If-Range.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, RequestBroken, ResponseTimeout
from hermes.http.ranges import (
    ContentRange,
    contentLength,
    isSingleRange,
    parseContentRange,
    rangeRequest,
    strongValidator,
)
from hermes.http.retry import Backoff
from hermes.http.spool import SpoolPolicy
from hermes.interfaces import IBody, IBodySink
from hermes.messages import Request, Response
from hermes.values import Buffer, Headers, ResponseHead


@frozen
class ResumePolicy:
    """
    How a body goes on that was cut short.

    @ivar tries: how often in a row the rest is asked for without a byte of it.
    @ivar backoff: how long is waited before, from the second time on.
    @ivar stall: seconds without a byte, while some is wanted, after which a body counts as cut short; L{None} for
        never.
    @ivar spool: how far a response that another node asked for is read ahead, and kept while that is away; L{None}
        where it is not.
    """

    tries: int = 10
    backoff: Backoff = field(factory=Backoff)
    stall: float | None = None
    spool: SpoolPolicy | None = None


class RepresentationChanged(FlowError):
    """
    What was asked for is not any more what the first part of it was of.
    """

    proxyStatus = "http_response_incomplete"
    sent = True


@frozen
class Resumable:
    """
    What is known of a response whose body can go on.

    @ivar validator: a field and its value that every part has.
    @ivar first: the offset of the body's first byte within the representation.
    @ivar end: the offset behind its last; L{None} where that is not known.
    @ivar total: how many bytes the whole representation has; L{None} where that is not known.
    @ivar encoding: its content coding.
    """

    validator: tuple[bytes, bytes]
    first: int
    end: int | None
    total: int | None
    encoding: bytes | None

    def part(self, head: ResponseHead, first: int) -> ContentRange | None:
        """
        What part of the same representation a response is; L{None} where it is none, or does not begin at C{first}.
        """
        part = parseContentRange(head.get(b"content-range"))
        field, value = self.validator
        if head.status != 206 or part is None or part.first != first or head.get(field) != value:
            return None
        encoding, length = head.get(b"content-encoding"), contentLength(head)
        # A 206 for If-Range need not repeat it (RFC 9110 section 15.3.7).
        if encoding is not None and encoding != self.encoding:
            return None
        if length is not None and length != part.last + 1 - first:
            return None
        total = self.total if part.total is None else part.total
        if total is None or (self.total is not None and total != self.total):
            return None
        return part if self.end is None or part.last < self.end else None


def resumable(request: Request, response: Response) -> Resumable | None:
    """
    What must be known to go on with a response's body; L{None} where it can't.
    """
    head = response.head
    if response.body is None or request.head.method != b"GET" or head.get(b"trailer") is not None:
        return None
    validator = strongValidator(head)
    if validator is None:
        return None
    encoding = head.get(b"content-encoding")
    if head.status == 200:
        length = contentLength(head)
        return Resumable(validator, 0, length, length, encoding)
    if head.status != 206:
        return None
    asked, part = request.head.get(b"range"), parseContentRange(head.get(b"content-range"))
    if asked is None or part is None or not isSingleRange(asked):
        return None
    return Resumable(validator, part.first, part.last + 1, part.total, encoding)


@implementer(IBody, IBodySink)
class ResumedBody:
    """
    Reads one response after the other, as one body. What comes is what the first response began, byte for byte, or it
    fails.
    """

    def __init__(
        self,
        request: Request,
        response: Response,
        known: Resumable,
        policy: ResumePolicy,
        send: Callable[[Request], Deferred[Response]],
        clock: IReactorTime,
        random: Random,
    ) -> None:
        """
        @param request: as it was sent; its C{retriesLeft} bounds how often it is sent in a row without a byte.
        @param known: of the response.
        @param send: sends a request for a part.
        """
        assert response.body is not None
        self._request = request
        self._known = known
        self._policy = policy
        self._send = send
        self._clock = clock
        self._random = random
        self._body: IBody | None = response.body
        self.length: int | None = response.body.length
        self._sink: Any = None
        self._next = known.first
        self._end = known.end
        self._bound = known.end
        self._lastByte = b""
        self._overlap = b""
        retries = policy.tries - 1
        if request.retriesLeft is not None:
            retries = min(retries, request.retriesLeft)
        # Where bytes have come, the rest is another request, and not a retry of one.
        self._budget = 1 + max(0, retries)
        self._left = self._budget
        self._over = False
        self._paused = False
        self._held: IBody | None = None
        self._asking: Deferred[Response] | None = None
        self._timer: Any = None
        self._watch: Any = None
        self._heard = True

    # IBody

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        if self._policy.stall is not None:
            self._watch = self._clock.callLater(self._policy.stall, self._look, self._policy.stall)
        body = self._body
        assert body is not None
        body.start(self)

    def pauseProducing(self) -> None:
        self._paused = True
        if self._body is not None:
            self._body.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        self._heard = True
        held, self._held = self._held, None
        if held is not None:
            self._body = held
            held.start(self)
        elif self._body is not None:
            self._body.resumeProducing()

    def stopProducing(self) -> None:
        self._finish()

    # IBodySink

    def dataReceived(self, data: Buffer) -> None:
        self._heard = True
        if self._overlap:
            if bytes(data[:1]) != self._overlap:
                self._fail(RepresentationChanged("the representation changed while it was being sent"))
                return
            self._overlap = b""
            data = memoryview(data)[1:]
            if not data:
                return
        after = self._next + len(data)
        if self._bound is None:
            self._lastByte = bytes(data[-1:])
        elif after > self._bound:
            self._fail(RequestBroken("the body is longer than was announced"))
            return
        self._next = after
        self._left = self._budget
        self._sink.dataReceived(data)

    def bodyEnded(self, trailers: Headers) -> None:
        if self._overlap or (self._end is not None and self._next < self._end):
            self._cut(RequestBroken("the body ended before its end"))
        else:
            self._body = None
            self._finish()
            self._sink.bodyEnded(trailers)

    def bodyFailed(self, reason: Failure) -> None:
        if self._next == self._end:
            self.bodyEnded(())
        else:
            self._cut(reason.value)

    # The rest

    def _look(self, stall: float) -> None:
        self._watch = self._clock.callLater(stall, self._look, stall)
        body = self._body
        if not self._heard and body is not None and not self._paused:
            body.stopProducing()
            self._cut(ResponseTimeout(f"nothing of the body has come for {stall:g} s"))
        self._heard = False

    def _cut(self, error: BaseException | None) -> None:
        self._body = None
        if self._over:
            return
        if self._left <= 0:
            self._fail(RequestBroken(f"the body was cut short: {error}"))
            return
        barren = self._budget - self._left
        self._left -= 1
        self._timer = self._clock.callLater(self._policy.backoff.delay(barren, self._random), self._ask)

    def _ask(self) -> None:
        self._timer = None
        known, first = self._known, self._next
        self._overlap = b""
        if self._end is None and first > known.first:
            # Were all of it here, a range that begins behind it would be refused: with one byte of what is here, it is
            # seen that nothing is missing.
            first -= 1
            self._overlap = self._lastByte
        last = None if known.end is None or known.end == known.total else known.end - 1
        request = self._request
        head = rangeRequest(request.head, first, last, known.validator)
        spent = request.record.spent
        self._asking = asking = self._send(
            evolve(request, head=head, body=None, retriesLeft=self._left, informational=None)
        )
        asking.addCallbacks(self._answered, self._notAnswered, (first, spent))

    def _answered(self, response: Response, first: int, spent: int) -> None:
        self._asking = None
        self._left -= self._request.record.spent - spent
        part, body = self._known.part(response.head, first), response.body
        if part is None or body is None:
            if body is not None:
                body.stopProducing()
            self._fail(_refusal(response.head))
            return
        if self._end is None:
            self._end = part.total
        self._bound = part.last + 1
        self._request.record.resumed += 1
        self._heard = True
        if self._paused:
            self._held = body
        else:
            self._body = body
            body.start(self)

    def _notAnswered(self, failure: Failure) -> None:
        self._asking = None
        if not self._over:
            self._fail(RequestBroken(f"the body was cut short, and its rest is not to be had: {failure.value}"))

    def _fail(self, error: FlowError) -> None:
        if not self._over:
            self._finish()
            self._sink.bodyFailed(Failure(error))

    def _finish(self) -> None:
        """
        Nothing more is read.
        """
        if self._over:
            return
        self._over = True
        for timer in (self._timer, self._watch):
            if timer is not None:
                timer.cancel()
        body, self._body = self._body or self._held, None
        if body is not None:
            body.stopProducing()
        if self._asking is not None:
            self._asking.cancel()


def _refusal(head: ResponseHead) -> FlowError:
    if head.status >= 400 and head.status not in (404, 410, 412, 416):
        return RequestBroken(f"the body was cut short, and its rest was answered with {head.status}")
    return RepresentationChanged("the representation changed while it was being sent")
