"""
The cache.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urljoin

from attrs import evolve
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.assist.cache.asked import Asked, siteOf, targetOf
from hermes.assist.cache.cachestatus import cacheName, forwarded, keyParameter
from hermes.assist.cache.flight import Flight, Outcome
from hermes.assist.cache.handling import Handling
from hermes.assist.cache.metrics import CacheMetrics
from hermes.assist.cache.options import CacheOptions, rulesOf
from hermes.assist.cache.store import IObjectStore
from hermes.assist.cache.stored import Key, StoredResponse
from hermes.interfaces import IAssistant, Send
from hermes.messages import Request, Response, textResponse
from hermes.values import Headers, RequestHead, ResponseHead

RESULTS: Final = ("hit", "stale", "miss", "revalidated", "bypass", "collapsed")
"""
What L{hermes.messages.RequestRecord.cache} is set to.
"""

MAX_PASSED: Final = 4096
"""
Of so many URLs the cache knows that their responses are not stored: nobody waits for another's then.
"""

PASSED_TIME: Final = 60.0
"""
Seconds for which it believes that.
"""

_SAFE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
_SCHEMES: Final = (b"http", b"https")


@implementer(IAssistant)
class Cache:
    """
    A shared cache (RFC 9111). It answers GET and HEAD; what other methods change it forgets.

    @ivar store: L{IObjectStore}.
    @ivar rules: what it supposes where responses say nothing.
    @ivar counts: how many requests came to what, of L{RESULTS}.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        node: str,
        options: CacheOptions,
        store: IObjectStore,
        clock: Any,
        metrics: CacheMetrics | None = None,
        closed: Callable[[], None] | None = None,
    ) -> None:
        """
        @param name: its name in the configuration.
        @param node: the name of the node.
        @param clock: C{IReactorTime}, whose seconds are those of the epoch.
        @param metrics: tells of it until it is closed.
        @param closed: is called when it is.
        """
        self.name = name
        self.options = options
        self.store = store
        self.clock = clock
        self.rules = rulesOf(options)
        self.counts = dict.fromkeys(RESULTS, 0)
        self.title = cacheName(node, name)
        # Those that others may wait for, one a key, and all there are, by URL.
        self._open: dict[Key, Flight] = {}
        self._flights: dict[bytes, set[Flight]] = {}
        self._passed: OrderedDict[Key, float] = OrderedDict()
        self._tells = options.cacheStatus != "none"
        self._tellsKey = options.cacheStatus == "full"
        self._byUser, self._byRoute = "user" in options.by, "route" in options.by
        self._purgers = frozenset(options.purge)
        # Two that share a file do not share what is in it.
        self._ownScope = f"{name}\n".encode() if options.path is not None else b""
        self._metrics = metrics
        self._closed = closed
        if metrics is not None:
            metrics.add(self)

    def assist(self, request: Request, onward: Send) -> Deferred[Response]:
        head = request.head
        method = head.method
        if head.protocol is not None or method == b"CONNECT":
            return onward(request)
        if method == b"GET" or method == b"HEAD":
            if request.body is not None:
                return self._past(request, onward, b"bypass")
            asked = Asked.of(head, self._scope(request), self._isPersonal(request))
            if asked.forOrigin or asked.directives.noStore:
                return self._past(request, onward, b"request")
            return self.store.lookup(asked.key).addCallback(Handling(self, asked, request, onward).found)
        if method == b"PURGE" and request.flow.identity.user in self._purgers:
            return self._purgeAsked(request)
        passed = self._past(request, onward, b"method")
        return passed if method in _SAFE else passed.addCallback(self._changed, head)

    def purge(self, authority: str, prefix: str = "/") -> Deferred[int]:
        """
        Forget what is stored for URLs of a site.

        @param authority: C{HOST} or C{HOST:PORT}.
        @param prefix: how their paths begin.
        @return: fires with how many responses that were.
        """
        counts = []
        for scheme in _SCHEMES:
            url = siteOf(scheme, authority.encode("utf-8")) + prefix.encode("utf-8")
            for known in [*self._flights]:
                if known.startswith(url):
                    self._discard(known)
            counts.append(self.store.purge(url))
        return gatherResults(counts).addCallback(sum)

    def invalidate(self, url: bytes) -> Deferred[int]:
        """
        Forget what is stored for a URL; fires with how many responses that were.
        """
        self._discard(url)
        return self.store.invalidate(url)

    def status(self) -> Mapping[str, Any]:
        return {
            "type": "cache",
            "store": self.options.store,
            "bytes": self.store.size,
            "objects": self.store.objects,
            "evicted": self.store.evicted,
            "requests": dict(self.counts),
        }

    def close(self) -> Deferred[None]:
        if self._closed is not None:
            self._closed()
        for flights in [*self._flights.values()]:
            for flight in [*flights]:
                flight.stop()
        if self._metrics is not None:
            self._metrics.remove(self)
        return self.store.close()

    def landed(self, flight: Flight, outcome: Outcome, response: Response | Failure | None) -> None:
        """
        Nobody can wait for it any more.
        """
        key = flight.asked.key
        if self._open.get(key) is flight:
            del self._open[key]
        flights = self._flights.get(key.url)
        if flights is not None:
            flights.discard(flight)
            if not flights:
                del self._flights[key.url]
        if outcome is not Outcome.FAILED and not self._isOfUse(flight, response):
            self._passed[key] = self.clock.seconds() + PASSED_TIME
            self._passed.move_to_end(key)
            if len(self._passed) > MAX_PASSED:
                self._passed.popitem(last=False)
        elif outcome is Outcome.STORING:
            self._passed.pop(key, None)

    def flight(
        self, asked: Asked, stored: StoredResponse | None, request: Request, onward: Send, joinable: bool
    ) -> Flight:
        """
        One request to the origin.

        @param joinable: whether others may wait for what it comes to.
        """
        flight = Flight(self, asked, stored, request, onward)
        self._flights.setdefault(asked.key.url, set()).add(flight)
        if joinable:
            self._open[asked.key] = flight
        return flight

    def joinable(self, key: Key) -> Flight | None:
        """
        The request to the origin that another one for the same key may wait for.
        """
        return self._open.get(key)

    def worthWaiting(self, key: Key) -> bool:
        """
        Whether the response to another request may be of use, as far as is known.
        """
        until = self._passed.get(key)
        return until is None or until <= self.clock.seconds()

    def note(self, request: Request, result: str) -> None:
        """
        Count what became of a request, one of L{RESULTS}.
        """
        request.record.cache = result
        self.counts[result] += 1

    def tell(self, status: bytes, key: Key) -> Headers:
        """
        The C{cache-status} of a response, where it is to be told.
        """
        if not self._tells:
            return ()
        return ((b"cache-status", status + keyParameter(key.url) if self._tellsKey else status),)

    def _isOfUse(self, flight: Flight, response: Response | Failure | None) -> bool:
        """
        Whether what a request to the origin has come to may answer other requests, too. An error says nothing about
        that.
        """
        stored = flight.stored if flight.fill is None else flight.fill.stored
        if isinstance(response, Response) and response.head.status != 304:
            return response.head.status >= 500
        return stored is not None and not stored.freshness.always and stored.freshness.lifetime > 0

    def _scope(self, request: Request) -> bytes:
        if not (self._byUser or self._byRoute):
            return self._ownScope
        who = str(request.flow.identity) if self._byUser else ""
        route = request.record.routeName if self._byRoute else ""
        return self._ownScope + f"{who}\n{route}".encode()

    def _isPersonal(self, request: Request) -> bool:
        """
        Whether the client has shown a credential, which its check may have taken off the request. What is kept for
        each user alone may be kept all the same.
        """
        if request.flow.identity.user is None or self._byUser:
            return False
        return request.record.head.get(b"authorization") is not None

    def _past(self, request: Request, onward: Send, why: bytes) -> Deferred[Response]:
        """
        Not for this cache.
        """
        self.note(request, "bypass")
        own = self.tell(forwarded(self.title, why), Key(targetOf(request.head)))

        def told(response: Response) -> Response:
            return evolve(response, head=ResponseHead(response.head.status, (*response.head.headers, *own)))

        return onward(request).addCallback(told) if own else onward(request)

    def _changed(self, response: Response, head: RequestHead) -> Response | Deferred[Response]:
        """
        A method that may change something was answered: forget what it may have changed (RFC 9111 section 4.4).
        """
        if not 200 <= response.head.status < 400:
            return response
        target = targetOf(head)
        urls = {target}
        for name in (b"location", b"content-location"):
            value = response.head.get(name)
            if value is not None:
                urls.add(_resolved(target, value))
        site = siteOf(head.scheme, head.authority) + b"/"
        forgotten = gatherResults([self.invalidate(url) for url in urls if url.startswith(site)], consumeErrors=True)
        # Whoever has changed something must not find it unchanged.
        return forgotten.addBoth(lambda _: response)

    def _discard(self, url: bytes) -> None:
        for flight in [*self._flights.get(url, ())]:
            flight.discard()

    def _purgeAsked(self, request: Request) -> Deferred[Response]:
        self.note(request, "bypass")
        if request.body is not None:
            request.body.stopProducing()
        head = request.head
        if head.path.endswith(b"*"):
            purged = self.purge(head.authority.decode("utf-8", "replace"), head.path[:-1].decode("utf-8", "replace"))
        else:
            purged = self.invalidate(targetOf(head))
        return purged.addCallback(lambda count: textResponse(200, f"{count} purged\n"))


def _resolved(base: bytes, reference: bytes) -> bytes:
    """
    A URI reference as a URL whose site is written as keys have it.
    """
    try:
        url = urljoin(base.decode("latin-1"), reference.decode("latin-1")).encode("latin-1")
    except ValueError:
        return b""
    scheme, _, rest = url.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    return siteOf(scheme, authority) + slash + path.partition(b"#")[0]
