"""
One GET or HEAD, and what the cache does about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hermes.assist.cache.answers import partial, respond
from hermes.assist.cache.asked import Asked
from hermes.assist.cache.cachestatus import forwarded, hit
from hermes.assist.cache.fill import Fill
from hermes.assist.cache.flight import Flight, Outcome
from hermes.assist.cache.freshness import Use, judge, mayServeOnError
from hermes.assist.cache.joined import contentRange
from hermes.assist.cache.stored import StoredResponse
from hermes.assist.cache.storing import matches, select
from hermes.interfaces import IBody, Send
from hermes.messages import Request, Response, textResponse
from hermes.values import ResponseHead

if TYPE_CHECKING:
    from hermes.assist.cache.cache import Cache


_STALE_IF_ERROR = b"stale-if-error"


@define(eq=False)
class Handling:
    """
    @ivar cache: the cache.
    @ivar asked: the request as it sees it.
    @ivar request: the request.
    @ivar onward: answers it where the cache does not.
    @ivar waited: what another request came to for whose answer this one has waited.
    """

    cache: Cache
    asked: Asked
    request: Request
    onward: Send
    waited: Outcome | None = None

    def found(self, responses: Sequence[StoredResponse]) -> Response | Deferred[Response]:
        """
        Answer.

        @param responses: what is stored for the request's key.
        """
        cache, asked = self.cache, self.asked
        now = cache.clock.seconds()
        stored = select(responses, asked.head)
        if stored is None:
            why = b"vary-miss" if responses else b"uri-miss"
        else:
            use = judge(stored.freshness, asked.directives, now)
            if not stored.complete:
                part = self._partOf(stored, use, now)
                if part is not None:
                    return part
                why = b"partial"
                if asked.headOnly or asked.conditional:
                    stored = None
            elif use is not Use.VALIDATE:
                return self._usable(stored, use, now)
            else:
                if self.waited is Outcome.FAILED and self._standsIn(stored, now):
                    return self._stale(stored, forwarded(cache.title, b"stale", detail=_STALE_IF_ERROR), now)
                why = b"request" if now < stored.freshness.bornAt + stored.freshness.lifetime else b"stale"
        if asked.directives.onlyIfCached:
            return self._unavailable()
        flight = cache.joinable(asked.key)
        if flight is not None:
            joined = self._join(flight, stored, responses, why, now)
            if joined is not None:
                return joined
        leads = flight is None and self._mayLead(stored)
        flight = cache.flight(asked, stored, self.request, self.onward, leads)
        return flight.lead().addCallback(self._landed, flight, why)

    def _usable(self, stored: StoredResponse, use: Use, now: float) -> Response:
        """
        A stored response that needs nobody's word.
        """
        cache = self.cache
        left = int(stored.freshness.bornAt + stored.freshness.lifetime - now)
        if use is Use.FRESH:
            if self.waited is None:
                return self._fromStore(stored, "hit", hit(cache.title, left), now)
            return self._fromStore(stored, "collapsed", forwarded(cache.title, b"stale", collapsed=True), now)
        if use is Use.STALE_WHILE_REVALIDATED and cache.joinable(self.asked.key) is None:
            head = evolve(self.asked.head, method=b"GET", headers=self.asked.plain())
            asked = Asked.of(head, self.asked.key.scope, self.asked.personal)
            cache.flight(asked, stored, self.request, self.onward, True).fly()
        return self._stale(stored, hit(cache.title, left), now)

    def _standsIn(self, stored: StoredResponse, now: float) -> bool:
        return stored.complete and mayServeOnError(stored.freshness, self.asked.directives, now)

    def _stale(self, stored: StoredResponse, status: bytes, now: float) -> Response:
        return self._fromStore(stored, "stale", status, now)

    def _fromStore(self, stored: StoredResponse, result: str, status: bytes, now: float) -> Response:
        cache = self.cache
        cache.note(self.request, result)
        age = (b"age", b"%d" % max(0, now - stored.freshness.bornAt))
        own = (age, *cache.tell(status, self.asked.key))

        def body(start: int, stop: int | None) -> IBody:
            assert stored.length is not None
            return cache.store.body(stored, start, stored.length if stop is None else stop)

        return respond(stored, self.asked, own, body)

    def _partOf(self, stored: StoredResponse, use: Use, now: float) -> Response | None:
        """
        A range that lies within the part of a body that is stored.
        """
        asked, total = self.asked, stored.total
        if use is not Use.FRESH or asked.headOnly or total is None or stored.length is None:
            return None
        if asked.notModified(stored):
            return None
        part = asked.range(stored, total)
        if not part or part[1] > stored.length:
            return None
        self.cache.note(self.request, "hit")
        left = int(stored.freshness.bornAt + stored.freshness.lifetime - now)
        age = (b"age", b"%d" % max(0, now - stored.freshness.bornAt))
        own = (age, *self.cache.tell(hit(self.cache.title, left), asked.key))
        return partial(stored.shown, own, *part, total, self.cache.store.body(stored, *part))

    def _unavailable(self) -> Response:
        """
        Nothing to answer with, and nobody may be asked (RFC 9111 section 5.2.1.7).
        """
        self.cache.note(self.request, "miss")
        own = self.cache.tell(self.cache.title + b"; detail=only-if-cached", self.asked.key)
        return textResponse(504, "not in the cache\n", own)

    def _join(
        self,
        flight: Flight,
        stored: StoredResponse | None,
        responses: Sequence[StoredResponse],
        why: bytes,
        now: float,
    ) -> Response | Deferred[Response] | None:
        """
        Take what another request comes to.
        """
        asked, fill = self.asked, flight.fill
        if fill is not None:
            return self._joinFill(fill, why, now)
        wanted = stored is not None or (b"range" not in asked.fields and not asked.headOnly)
        if self.waited is not None or not wanted or not self._takesAnothers():
            return None
        seconds: float = self.cache.options.collapse
        if self.request.deadline is not None:
            seconds = min(seconds, self.request.deadline - now)
        if seconds <= 0:
            return None

        def settled(outcome: Outcome) -> Response | Deferred[Response]:
            self.waited = outcome
            renewed = outcome is Outcome.RENEWED and flight.stored is not None
            return self.found((flight.stored,) if renewed else responses)  # type: ignore[arg-type]

        return flight.wait(seconds).addCallback(settled)

    def _joinFill(self, fill: Fill, why: bytes, now: float) -> Response | None:
        asked, stored = self.asked, fill.stored
        if not fill.joinable or not matches(stored.selecting, asked.head):
            return None
        if judge(stored.freshness, asked.directives, now) is not Use.FRESH:
            return None
        part = asked.range(stored, stored.length or 0)
        if part is not None and (stored.length is None or part is False or part[0] > fill.received):
            return None
        self.cache.note(self.request, "collapsed")
        age = (b"age", b"%d" % max(0, now - stored.freshness.bornAt))
        own = (age, *self.cache.tell(forwarded(self.cache.title, why, collapsed=True), asked.key))
        return respond(stored, asked, own, fill.body)

    def _takesAnothers(self) -> bool:
        """
        Whether the answer to somebody else's request may do: nothing says that it is about this client alone, and
        nothing is known against it.
        """
        said = self.asked.directives
        if self.asked.personal or said.noCache or said.maxAge == 0:
            return False
        return self.cache.worthWaiting(self.asked.key)

    def _mayLead(self, stored: StoredResponse | None) -> bool:
        if self.asked.headOnly or (stored is None and self.asked.conditional):
            return False
        return not self.asked.personal and self.cache.worthWaiting(self.asked.key)

    def _landed(self, landed: tuple[Outcome, Response | Failure], flight: Flight, why: bytes) -> Response | Failure:
        """
        The request to the origin has come to something.
        """
        outcome, response = landed
        cache, stored = self.cache, flight.stored
        now = cache.clock.seconds()
        status = None if isinstance(response, Failure) else response.head.status
        if outcome is Outcome.RENEWED:
            assert stored is not None
            return self._fromStore(stored, "revalidated", forwarded(cache.title, why, status), now)
        if outcome is Outcome.FAILED and stored is not None and self._standsIn(stored, now):
            if isinstance(response, Response) and response.body is not None:
                response.body.stopProducing()
            return self._stale(stored, forwarded(cache.title, why, status, detail=_STALE_IF_ERROR), now)
        cache.note(self.request, "miss")
        if isinstance(response, Failure):
            return response
        head, fill = response.head, flight.fill
        if fill is None:
            own = cache.tell(forwarded(cache.title, why), self.asked.key)
            return evolve(response, head=ResponseHead(head.status, (*head.headers, *own)))
        left = int(fill.stored.freshness.bornAt + fill.stored.freshness.lifetime - now)
        own = cache.tell(forwarded(cache.title, why, secondsLeft=left, stored=True), self.asked.key)
        if head.status == 206:
            part = contentRange(head)
            assert part is not None
            return evolve(response, head=ResponseHead(206, (*head.headers, *own)), body=fill.body(*part[:2]))
        answer = respond(fill.stored, self.asked, own, fill.body, head.headers)
        answer.version = response.version
        if answer.body is None or answer.head.status == 416:
            fill.keepsOn = True
        return answer
