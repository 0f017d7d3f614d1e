"""
One request on its way to an origin for the cache, those who wait for its answer, and what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hermes.assist.cache.asked import Asked
from hermes.assist.cache.dates import writeDate
from hermes.assist.cache.fill import Fill
from hermes.assist.cache.freshness import Freshness, assess
from hermes.assist.cache.joined import JoinedBody, contentRange
from hermes.assist.cache.stored import StoredResponse
from hermes.assist.cache.storing import mayStore, merged, selecting, storedHeaders, varying
from hermes.messages import BytesBody, Request, Response
from hermes.values import Headers, RequestHead, ResponseHead

if TYPE_CHECKING:
    from hermes.assist.cache.cache import Cache


class Outcome(Enum):
    """
    What a request to the origin came to.

    STORING: a new response, which is being stored: C{Flight.fill}.
    RENEWED: a stored response is up to date again: C{Flight.stored}.
    FAILED: no response, or one that says that the origin has failed.
    PASSED: a response that is not stored.
    """

    STORING = auto()
    RENEWED = auto()
    FAILED = auto()
    PASSED = auto()


class Flight:
    """
    A request to the origin. Who has caused it is its leader; others may wait for what it comes to. It is given up when
    they all are gone.

    @ivar asked: what it was caused by.
    @ivar stored: what is stored for it, to be validated, to be completed, or renewed; L{None} where nothing is.
    @ivar fill: what is being stored, while it is.
    @ivar wanted: whether the response may be stored: nobody has changed its URL since.
    """

    def __init__(
        self,
        cache: Cache,
        asked: Asked,
        stored: StoredResponse | None,
        request: Request,
        onward: Callable[[Request], Deferred[Response]],
    ) -> None:
        self.asked = asked
        self.stored = stored
        self.fill: Fill | None = None
        self.wanted = True
        self._cache = cache
        self._request = request
        self._onward = onward
        self._leader: Deferred[tuple[Outcome, Response | Failure]] | None = None
        self._waiters: list[Deferred[Outcome]] = []
        self._background = False
        self._sending: Deferred[Response] | None = None
        self._sentAt = 0.0
        self._over = False

    def lead(self) -> Deferred[tuple[Outcome, Response | Failure]]:
        """
        Send the request. Fires with what it came to, and the response as the origin gave it: its body is to be had
        from C{fill} where it is being stored, and is stopped where it is not needed. Cancelling leaves.
        """
        leader: Deferred[tuple[Outcome, Response | Failure]] = Deferred(lambda _: self._leaderLeft())
        self._leader = leader
        self._send()
        return leader

    def fly(self) -> None:
        """
        Send the request with nobody waiting for it.
        """
        self._background = True
        self._send()

    def wait(self, seconds: float) -> Deferred[Outcome]:
        """
        Wait for the head of the response, for so long; then it is L{Outcome.PASSED} as far as who waits is concerned.
        """
        waiter: Deferred[Outcome] = Deferred(self._waiterLeft)
        self._waiters.append(waiter)
        timer = self._cache.clock.callLater(seconds, self._tired, waiter)

        def settled(outcome: Outcome | Failure) -> Outcome | Failure:
            if timer.active():
                timer.cancel()
            return outcome

        waiter.addBoth(settled)
        return waiter

    def discard(self) -> None:
        """
        Do not store the response: it may be older than a change.
        """
        self.wanted = False
        if self.fill is not None:
            self.fill.unwanted()

    def stop(self) -> None:
        """
        Give it up.
        """
        if self.fill is not None:
            self.fill.stop()
        elif self._sending is not None:
            self._sending.cancel()

    def _tired(self, waiter: Deferred[Outcome]) -> None:
        self._waiters.remove(waiter)
        waiter.callback(Outcome.PASSED)
        self._giveUp()

    def _waiterLeft(self, waiter: Deferred[Outcome]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._giveUp()

    def _leaderLeft(self) -> None:
        self._leader = None
        self._giveUp()

    def _giveUp(self) -> None:
        if self._leader is None and not self._waiters and not self._background and self._sending is not None:
            self._sending.cancel()

    def _send(self) -> None:
        self._sentAt = self._cache.clock.seconds()
        head = RequestHead(
            self.asked.head.method,
            self.asked.head.scheme,
            self.asked.head.authority,
            self.asked.head.path,
            None,
            self._fields(),
        )
        informational = self._informational if self._request.informational is not None else None
        # What it is called belongs to what was asked, and another question is another request.
        name = self._request.name if self.stored is None else None
        request = evolve(self._request, head=head, informational=informational, name=name)
        if self._background:
            # Its time is not that of who has asked, and neither is the record of it.
            request = evolve(request, record=evolve(request.record), deadline=None, name=None)
        # Known before its callbacks run: it may have fired, and they may send another.
        self._sending = sending = self._onward(request)
        sending.addCallbacks(self._answered, self._failed).addErrback(self._broken)

    def _fields(self) -> Headers:
        stored = self.stored
        if stored is None:
            return self.asked.head.headers
        fields = self.asked.plain()
        freshness = stored.freshness
        if not stored.complete:
            assert freshness.strong is not None and stored.length is not None
            return (*fields, (b"range", b"bytes=%d-" % stored.length), (b"if-range", freshness.strong))
        if freshness.etag is not None:
            fields = (*fields, (b"if-none-match", freshness.etag))
        if freshness.lastModified is not None:
            fields = (*fields, (b"if-modified-since", freshness.lastModified))
        return fields

    def _informational(self, head: ResponseHead) -> None:
        if self._leader is not None and self._request.informational is not None:
            self._request.informational(head)

    def _failed(self, failure: Failure) -> None:
        self._settle(Outcome.FAILED, failure)

    def _broken(self, failure: Failure) -> None:
        self._cache.log.failure("a response could not be handled by the cache", failure)
        if self.fill is not None:
            self.fill.stop()
        elif not self._over:
            self._settle(Outcome.FAILED, failure)

    def _answered(self, response: Response) -> None:
        head = response.head
        stored = self.stored
        if stored is not None:
            if head.status == 304:
                self._notModified(stored, response)
                return
            if not stored.complete and head.status in (206, 416):
                self._rest(stored, response)
                return
            if head.status >= 500:
                self._settle(Outcome.FAILED, response)
                return
        if self.asked.headOnly:
            self._headAnswered(response)
        elif not self._store(response):
            if stored is not None:
                self._cache.store.remove(stored)
            self._settle(Outcome.PASSED, response)

    def _settle(self, outcome: Outcome, response: Response | Failure) -> None:
        self._over = outcome is not Outcome.STORING
        self._sending = None
        if self._over:
            self._cache.landed(self, outcome, response)
        waiters, self._waiters = self._waiters, []
        leader, self._leader = self._leader, None
        if leader is not None:
            leader.callback((outcome, response))
        elif isinstance(response, Response) and self.fill is None and response.body is not None:
            response.body.stopProducing()
        for waiter in waiters:
            waiter.callback(outcome)

    def _notModified(self, stored: StoredResponse, response: Response) -> None:
        if response.body is not None:
            response.body.stopProducing()
        etag, known = response.head.get(b"etag"), stored.freshness.etag
        if not stored.complete or (etag is not None and etag != known):
            # It is about something that is not here (RFC 9111 section 4.3.3).
            self._again(stored)
            return
        headers = self._merged(stored, response.head)
        freshness = self._assess(ResponseHead(stored.status, _withAge(headers, response.head)))
        self.stored = renewed = evolve(
            stored,
            headers=headers,
            requestedAt=self._sentAt,
            receivedAt=self._cache.clock.seconds(),
            freshness=freshness,
        )
        if self.wanted:
            self._cache.store.replace(stored, renewed)
        self._settle(Outcome.RENEWED, response)

    def _rest(self, stored: StoredResponse, response: Response) -> None:
        part = contentRange(response.head)
        fits = (
            response.head.status == 206
            and part == (stored.length, stored.total, stored.total)
            and response.head.get(b"etag") == stored.freshness.strong
            and response.body is not None
        )
        if not fits:
            if response.body is not None:
                response.body.stopProducing()
            self._again(stored)
            return
        assert stored.length is not None and stored.total is not None and response.body is not None
        fields = _unranged(self._merged(stored, response.head), stored.total)
        body = JoinedBody(self._cache.store.body(stored, 0, stored.length), response.body, stored.total)
        whole = evolve(response, head=ResponseHead(200, _withAge(fields, response.head)), body=body)
        if not self._store(whole):
            self._settle(Outcome.PASSED, whole)

    def _again(self, stored: StoredResponse) -> None:
        """
        What is stored is of no use: ask as if it were not.
        """
        self._cache.store.remove(stored)
        self.stored = None
        head = evolve(self._request.head, headers=self.asked.plain())
        self._request = evolve(self._request, head=head, name=None)
        self.asked = evolve(self.asked, head=head)
        self._send()

    def _headAnswered(self, response: Response) -> None:
        """
        What a HEAD tells about a stored GET (RFC 9111 section 4.3.5).
        """
        stored, head = self.stored, response.head
        if stored is not None and head.status == 200:
            length = head.get(b"content-length")
            same = head.get(b"etag") == stored.freshness.etag and (
                head.get(b"last-modified") == stored.freshness.lastModified
            )
            if same and stored.freshness.validator and (length is None or length == b"%d" % (stored.length or 0)):
                self._notModified(stored, response)
                return
            self._cache.store.remove(stored)
        self._settle(Outcome.PASSED, response)

    def _store(self, response: Response) -> bool:
        """
        Begin to store a response, if it may be.
        """
        if response.kept:
            return False
        head = response.head
        status, part = head.status, None
        if status == 206:
            # The beginning of a body is kept as one that was cut short.
            part = contentRange(head)
            if part is None or part[0] != 0:
                return False
        freshness = self._assess(head)
        names = varying(head)
        plain = head if part is None else ResponseHead(200, _unranged(head.headers, part[2]))
        if not self.wanted or names is None or not mayStore(self.asked.head, plain, freshness, self.asked.personal):
            return False
        length = _lengthOf(plain)
        if length is not None and length > self._cache.store.largest:
            return False
        if part is not None and freshness.strong is None:
            return False
        stored = StoredResponse(
            key=self.asked.key,
            selecting=selecting(names, self.asked.head),
            status=plain.status,
            headers=self._dated(storedHeaders(plain)),
            requestedAt=self._sentAt,
            receivedAt=self._cache.clock.seconds(),
            freshness=freshness,
            length=length,
        )
        body = response.body if response.body is not None else BytesBody(b"")
        keepsOn = self._background or self._cache.options.finish
        self.fill = fill = Fill(self._cache.store, stored, body, keepsOn, self._filled)
        self._settle(Outcome.STORING, response)
        fill.start()
        return True

    def _filled(self) -> None:
        self._over = True
        self._cache.landed(self, Outcome.STORING, None)

    def _assess(self, head: ResponseHead) -> Freshness:
        return assess(head, self._sentAt, self._cache.clock.seconds(), self._cache.rules)

    def _merged(self, stored: StoredResponse, told: ResponseHead) -> Headers:
        """
        The fields of a stored response brought up to date, that of now where the origin does not say one: with the old
        date, the response would be as old as it was.
        """
        old = tuple(pair for pair in stored.headers if pair[0] != b"date")
        return self._dated(merged(old, told))

    def _dated(self, headers: Headers) -> Headers:
        """
        With a date, which a cache adds where the origin has none (RFC 9110 section 6.6.1).
        """
        if any(name == b"date" for name, _ in headers):
            return headers
        return (*headers, (b"date", writeDate(int(self._cache.clock.seconds()))))


def _withAge(headers: Headers, head: ResponseHead) -> Headers:
    """
    C{age} is not stored, and yet counts where it came with what renews a response.
    """
    return (*headers, *(pair for pair in head.headers if pair[0] == b"age"))


def _unranged(headers: Headers, total: int) -> Headers:
    left = tuple(pair for pair in headers if pair[0] not in (b"content-range", b"content-length"))
    return (*left, (b"content-length", b"%d" % total))


def _lengthOf(head: ResponseHead) -> int | None:
    value = head.get(b"content-length")
    return int(value) if value is not None and value.isdigit() and len(value) < 20 else None
