"""
A response that goes on coming while whoever asked for it is away, and is there when it is asked for again.

Between two nodes a link may be down while the links behind it are up, and the other way round. What a node has begun
for another it finishes, within bounds, though that one is gone: asked once more by the same name, it answers with what
has come meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, RequestBroken
from hermes.http.ranges import contentLength, parseContentRange, parseRange, strongValidator
from hermes.http.readahead import ReadAhead
from hermes.http.spoolreader import PIECE, SpoolReader
from hermes.interfaces import IBody, IBodySink
from hermes.messages import Request, Response
from hermes.values import Buffer, Headers, RequestHead, ResponseHead

_REPLACED: Final = frozenset({b"content-length", b"content-range"})


@frozen
class SpoolPolicy:
    """
    How far a response is read ahead.

    @ivar most: bytes of one response that are here at a time.
    @ivar memory: how many of them in memory, before all of them are in a temporary file.
    @ivar keep: seconds that a response is kept, and goes on coming, while nobody asks for it.
    """

    most: int = 16 << 20
    memory: int = 1 << 20
    keep: float = 30.0


@implementer(IBodySink)
class Spool:
    """
    One request, its response as it comes, and whoever waits for it or reads it: one at a time, the last that asked.

    It ends in one of these ways: there was no response; nobody has asked for too long; it is replaced.

    @ivar failure: why no more of the body comes.
    """

    log = Logger()

    def __init__(
        self,
        request: Request,
        fetch: Callable[[Request], Deferred[Response]],
        policy: SpoolPolicy,
        clock: IReactorTime,
        ended: Callable[[Spool], None],
    ) -> None:
        """
        @param fetch: sends a request.
        @param ended: called when this is of no use any more.
        """
        self._request = request
        self._policy = policy
        self._clock = clock
        self._ended = ended
        self._over = False
        self._head: ResponseHead | None = None
        self._range = _partOf(request.head)
        self._first = 0
        self._total: int | None = None
        self._validator: tuple[bytes, bytes] | None = None
        self._store: ReadAhead | None = None
        self._body: IBody | None = None
        self._overflow: deque[bytes] = deque()
        self._paused = False
        self.failure: Failure | None = None
        self._trailers: Headers | None = None
        self._waiter: tuple[Request, Deferred[Response]] | None = None
        self._reader: SpoolReader | None = None
        self._timer: Any = None
        self._fetching: Deferred[Response] | None = None
        self._fetch = fetch

    @property
    def idle(self) -> bool:
        """
        Nobody waits for it or reads it.
        """
        return self._waiter is None and self._reader is None

    def join(self, request: Request) -> Deferred[Response] | None:
        """
        What answers C{request}; L{None} where this can't. Whoever was here before is sent away.
        """
        self._sendAway()
        if self._head is not None:
            response = self._answer(request)
            if response is None:
                return None
            self._attend()
            return succeed(response)
        waiting: Deferred[Response] = Deferred(self._left)
        self._waiter = request, waiting
        self._attend()
        if self._fetching is None:
            # Known before its callbacks run: it may have fired.
            fetching = self._fetching = self._fetch(self._request)
            fetching.addCallbacks(self._answered, self._failed).addErrback(self._crashed)
        return waiting

    def stop(self) -> None:
        """
        It is of no use.
        """
        if self._over:
            return
        self._over = True
        self._sendAway()
        self._attend()
        if self._body is not None and not self._complete:
            self._body.stopProducing()
        elif self._head is None and self._fetching is not None:
            self._fetching.cancel()
        if self._store is not None:
            self._store.close()
        self._ended(self)

    # Whoever asks

    def _sendAway(self) -> None:
        error = RequestBroken("the request was sent again")
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter[1].errback(error)
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.fail(Failure(error))

    def _left(self, _: Deferred[Response]) -> None:
        self._waiter = None
        self._attend()

    def left(self, reader: SpoolReader) -> None:
        """
        C{reader} has what it wanted, or wants no more.
        """
        if self._reader is reader:
            self._reader = None
            self._attend()

    def _attend(self) -> None:
        """
        Count the time for as long as nobody is here.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self.idle and not self._over:
            self._timer = self._clock.callLater(self._policy.keep, self._tooLong)

    def _tooLong(self) -> None:
        self._timer = None
        self.stop()

    # The head

    def _answered(self, response: Response) -> None:
        head, body = response.head, response.body
        if self._over:
            if body is not None:
                body.stopProducing()
            return
        part = parseContentRange(head.get(b"content-range")) if head.status == 206 else None
        if part is not None:
            self._first, self._total = part.first, part.total
        elif head.status == 200:
            self._total = contentLength(head)
        self._head = head
        self._validator = strongValidator(head)
        self._store = ReadAhead(self._first, self._policy.most, self._policy.memory)
        self._body = body
        if body is None:
            self._trailers = ()
        waiter, self._waiter = self._waiter, None
        # What has failed is asked for anew.
        if waiter is None and head.status >= 500:
            self.stop()
            return
        answer = None if waiter is None else self._answer(waiter[0])
        if body is not None:
            body.start(self)
        self._attend()
        if waiter is not None:
            if answer is None:
                waiter[1].errback(RequestBroken("the representation is another one"))
            else:
                answer.unsent = response.unsent
                waiter[1].callback(answer)

    def _failed(self, failure: Failure) -> None:
        waiter, self._waiter = self._waiter, None
        self.stop()
        if waiter is not None:
            waiter[1].errback(failure)
        elif not failure.check(CancelledError, FlowError):
            self.log.failure("a request that nobody waits for failed", failure)

    def _crashed(self, failure: Failure) -> None:
        self.log.failure("a response could not be spooled", failure)
        waiter, self._waiter = self._waiter, None
        self.stop()
        if waiter is not None:
            waiter[1].errback(FlowError("internal error"))

    def _answer(self, request: Request) -> Response | None:
        """
        The response to C{request}, of what is here and what comes; L{None} where it is not to be had of that.
        """
        head, store = self._head, self._store
        assert head is not None and store is not None
        if self.failure is not None:
            return None
        wanted = _partOf(request.head)
        if wanted == self._range:
            if store.begin != self._first:
                return None
            return Response(head, None if self._body is None else self._read(self._first, None))
        asked = None if wanted is None else parseRange(wanted[0])
        if wanted is None or asked is None or self._validator is None or wanted[1] != self._validator[1]:
            return None
        first, total = asked[0], self._total
        last = self._last()
        if last is None or total is None or first < store.begin or first > last:
            return None
        if asked[1] is not None:
            last = min(last, asked[1])
        fields = (
            *(pair for pair in head.headers if pair[0] not in _REPLACED),
            (b"content-range", b"bytes %d-%d/%d" % (first, last, total)),
            (b"content-length", b"%d" % (last + 1 - first)),
        )
        return Response(ResponseHead(206, fields), self._read(first, last + 1))

    def _last(self) -> int | None:
        """
        The offset of the last byte that there will be; L{None} where that is not known.
        """
        assert self._head is not None
        if self._head.status == 206:
            part = parseContentRange(self._head.get(b"content-range"))
            return None if part is None else part.last
        return None if self._head.status != 200 or self._total is None else self._total - 1

    def _read(self, first: int, stop: int | None) -> SpoolReader:
        assert self._store is not None
        length = None if stop is None else stop - first
        if stop is None and self._head is not None:
            length = contentLength(self._head)
        self._reader = SpoolReader(self, first, stop, length)
        return self._reader

    # The body

    def dataReceived(self, data: Buffer) -> None:
        """
        See L{IBodySink}.
        """
        # What has no place is kept beside, and nothing more asked for.
        self._overflow.append(bytes(data))
        self._keep()
        reader = self._reader
        if reader is not None:
            reader.pump()

    def _keep(self) -> None:
        """
        Put what has come where it belongs, as far as there is room.
        """
        store, overflow, reader = self._store, self._overflow, self._reader
        assert store is not None
        try:
            while overflow:
                if store.room < len(overflow[0]) and reader is not None:
                    store.discard(reader.position)
                room = store.room
                if not room:
                    break
                data = overflow.popleft()
                if len(data) > room:
                    overflow.appendleft(data[room:])
                    data = data[:room]
                store.append(data)
        except OSError as error:
            self.log.error("a response can't be spooled: {error}", error=error)
            overflow.clear()
            if self._body is not None and not self._complete:
                self._body.stopProducing()
            self._cut(Failure(RequestBroken("the response could not be kept")))
            return
        body = self._body
        if body is None or self._complete:
            return
        if overflow and not self._paused:
            self._paused = True
            body.pauseProducing()
        elif self._paused and not overflow:
            self._paused = False
            body.resumeProducing()

    def bodyEnded(self, trailers: Headers) -> None:
        """
        See L{IBodySink}.
        """
        self._trailers = trailers
        if self._reader is not None:
            self._reader.pump()

    def bodyFailed(self, reason: Failure) -> None:
        """
        See L{IBodySink}.
        """
        self._cut(reason)

    @property
    def _complete(self) -> bool:
        return self._trailers is not None or self.failure is not None

    def _cut(self, reason: Failure) -> None:
        if self.failure is None:
            self.failure = reason
        if self._reader is None:
            self.stop()
        else:
            self._reader.pump()

    # For the reader

    def piece(self, at: int) -> bytes | None:
        """
        The next bytes from C{at} on; L{None} where there are none yet.
        """
        store = self._store
        assert store is not None
        if at == store.end and self._overflow:
            self._keep()
        return store.read(at, PIECE) if at < store.end else None

    def trailers(self, at: int) -> Headers | None:
        """
        What follows the last byte, where C{at} is the offset behind that; else L{None}.
        """
        assert self._store is not None
        return self._trailers if at == self._store.end and not self._overflow else None


def _partOf(head: RequestHead) -> tuple[bytes, bytes | None] | None:
    """
    What part of a representation is asked for, and on what condition; L{None} for all of it.
    """
    asked = head.get(b"range")
    return None if asked is None else (asked, head.get(b"if-range"))
