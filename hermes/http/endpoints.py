"""
Requests to the endpoints of an upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import (
    HopRefused,
    HopUnavailable,
    HopUntrusted,
    NameNotFound,
    NameTimeout,
    NotImplementedHere,
    Overloaded,
    RequestBroken,
    ResponseTimeout,
    TargetRefused,
    TargetTimeout,
    TargetUnreachable,
)
from hermes.fabric.endpoints import Group
from hermes.fabric.places import Endpoint
from hermes.fabric.reach import CarrierFailed
from hermes.http.breakers import Breakers
from hermes.http.keys import RequestKey
from hermes.http.senders import SenderPool
from hermes.interfaces import IBody, IBodySink, IRequestSender
from hermes.messages import Request, Response
from hermes.values import Buffer, Headers

UNREACHED: Final = (
    TargetRefused,
    TargetUnreachable,
    TargetTimeout,
    NameNotFound,
    NameTimeout,
    HopUnavailable,
    HopUntrusted,
    HopRefused,
)
"""
What another endpoint may do better at, where nothing of the request was sent.
"""


@implementer(IRequestSender)
class EndpointSender:
    """
    Sends each request to the endpoint that the balancer picks, and on to the next where that can't be reached.

    @ivar group: the endpoints.
    @ivar breakers: how much goes on at once.
    @ivar pool: what sends to each endpoint.
    """

    def __init__(
        self, group: Group, breakers: Breakers, pool: SenderPool, key: RequestKey | None, clock: IReactorTime
    ) -> None:
        """
        @param key: what requests are balanced by, where that is by a key.
        """
        self.group = group
        self.breakers = breakers
        self.pool = pool
        self.clock = clock
        self._key = key
        self._pick = group.balancer.pick
        # Straight, every endpoint can be reached.
        self._choosy = pool.reach.carrier is not None

    def send(self, request: Request) -> Deferred[Response]:
        breakers = self.breakers
        if breakers.requests >= breakers.maxRequests:
            breakers.refused += 1
            return fail(Overloaded(f"{breakers.maxRequests} requests go on to the upstream: no more are sent"))
        key = None if self._key is None else self._key(request)
        endpoint = self._pick(key)
        record = request.record
        if self._choosy or (record.tries and record.endpoint == endpoint.address):
            another = self._another(endpoint, record.endpoint if record.tries else "", key)
            if another is None:
                return fail(NotImplementedHere("the upstream has only Unix sockets, which are not behind a hop"))
            endpoint = another
        breakers.requests += 1
        return _Sending(self, request, key, endpoint).begin()

    def _another(self, picked: Endpoint, failed: str, key: bytes | None) -> Endpoint | None:
        """
        One that can be reached in this way, and if possible is not the one that the request was sent to before.
        """
        takes = self.pool.reach.takes
        if picked.address != failed and takes(picked):
            return picked
        now = self.clock.seconds()
        for endpoint in self.group.balancer.rest((picked,), key):
            if takes(endpoint) and not (takes(picked) and endpoint.isOut(now)):
                return endpoint
        return picked if takes(picked) else None

    def next(self, tried: Endpoint, key: bytes | None) -> Iterator[Endpoint]:
        """
        Those to go on to, the first first.
        """
        return iter([each for each in self.group.balancer.rest((tried,), key) if self.pool.reach.takes(each)])


def _discard(data: Buffer) -> None:
    pass


@implementer(IBody, IBodySink)
class _Sending:
    """
    One request, from an endpoint's being picked to the end of the response's body: towards the body it is a sink, and
    towards whoever reads it the body. What passes between the two does not pass through here.
    """

    __slots__ = (
        "__provides__",
        "_body",
        "_endpoint",
        "_key",
        "_left",
        "_over",
        "_owner",
        "_request",
        "_sink",
        "dataReceived",
        "length",
        "pauseProducing",
        "resumeProducing",
    )

    length: int | None
    dataReceived: Callable[[Buffer], None]
    pauseProducing: Callable[[], None]
    resumeProducing: Callable[[], None]

    def __init__(self, owner: EndpointSender, request: Request, key: bytes | None, endpoint: Endpoint) -> None:
        self._owner = owner
        self._request = request
        self._key = key
        self._endpoint = endpoint
        self._left: Iterator[Endpoint] | None = None
        self._sink: Any = None
        self._over = False

    def begin(self) -> Deferred[Response]:
        endpoint, request = self._endpoint, self._request
        endpoint.active += 1
        request.record.endpoint = endpoint.address
        return self._owner.pool.to(endpoint, request).send(request).addCallbacks(self._answered, self._failed)

    def _answered(self, response: Response) -> Response:
        endpoint, group = self._endpoint, self._owner.group
        if response.head.status < 500:
            if endpoint.consecutive or endpoint.downUntil:
                group.reached(endpoint)
        elif group.outliers is not None:
            group.outliers.failed(endpoint)
        body = response.body
        if body is None:
            self._ended()
        else:
            self._body: Any = body
            self.length = body.length
            self.pauseProducing = body.pauseProducing
            self.resumeProducing = body.resumeProducing
            response.body = self
        return response

    def _failed(self, failure: Failure) -> Any:
        error: Any = failure.value
        endpoint, group = self._endpoint, self._owner.group
        if isinstance(error, UNREACHED) and not error.sent:
            if not isinstance(error, CarrierFailed):
                group.failed(endpoint)
                if self._left is None:
                    self._left = self._owner.next(endpoint, self._key)
                another = next(self._left, None)
                if another is not None:
                    endpoint.active -= 1
                    self._endpoint = another
                    return self.begin()
        elif isinstance(error, RequestBroken | ResponseTimeout) or self._tooLate(error):
            self._blame()
        self._ended()
        return failure

    def _tooLate(self, error: Exception) -> bool:
        """
        Whether the request was given up because nothing came in time.
        """
        deadline = self._request.deadline
        return isinstance(error, CancelledError) and deadline is not None and self._owner.clock.seconds() >= deadline

    def _blame(self) -> None:
        self._endpoint.failures += 1
        if self._owner.group.outliers is not None:
            self._owner.group.outliers.failed(self._endpoint)

    def _ended(self) -> None:
        """
        The endpoint has nothing more to do with it.
        """
        if not self._over:
            self._over = True
            self._endpoint.active -= 1
            self._owner.breakers.requests -= 1

    # IBody

    def start(self, sink: IBodySink) -> None:
        self._sink = sink
        self.dataReceived = sink.dataReceived
        self._body.start(self)

    def stopProducing(self) -> None:
        self._ended()
        self._letGo()
        self._body.stopProducing()

    def _letGo(self) -> Any:
        # Whoever took the body is let go of: it holds this.
        sink, self._sink = self._sink, None
        self.dataReceived = _discard
        return sink

    # IBodySink

    def bodyEnded(self, trailers: Headers) -> None:
        self._ended()
        self._letGo().bodyEnded(trailers)

    def bodyFailed(self, reason: Failure) -> None:
        if not self._over:
            self._blame()
            self._ended()
        self._letGo().bodyFailed(reason)
