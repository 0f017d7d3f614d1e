"""
C{type: limits}: how many requests, how many at once, how many bytes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen
from attrs.validators import ge, gt, le, optional
from twisted.internet.defer import Deferred, succeed
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.assist.buckets import Buckets
from hermes.assist.keys import By, keyOf
from hermes.assist.pacing import PacedBody, WatchedBody
from hermes.assist.refusals import Quota, TooMany, refusal, retryAfter
from hermes.config.types import FieldName
from hermes.interfaces import IAssistant, IAssistantContext, IAssistantType
from hermes.messages import Request, Response

MAX_BUCKETS: Final = 100_000


@frozen
class LimitsOptions:
    """
    Limits of requests, each beyond them answered with 429. C{rate}, C{concurrent}, C{upload} and C{download} are limits
    of their own; at least one is given.

    @ivar by: who or what has a limit of its own: C{user}, C{node}, C{source}, C{listener}, C{route}, C{host},
        C{header}, C{all}; of more than one, each combination. Those that have none of it (no user) share one.
    @ivar header: the field whose value counts, for C{by: header}.
    @ivar prefix4: how many bits of an IPv4 address count, for C{by: source}.
    @ivar prefix6: the same of an IPv6 address.
    @ivar rate: requests a second, for good.
    @ivar burst: how many may come at once after a pause; left out, as many as come in one second, at least one.
    @ivar concurrent: how many may be going on at once.
    @ivar upload: bytes of request bodies a second; a second's worth may pass at once.
    @ivar download: the same for bodies of responses.
    @ivar buckets: so many limits that are not unused are kept, of each kind.
    @ivar tell: whether also those that are not refused are told what is left of C{rate}.
    """

    by: tuple[By, ...] = ("source",)
    header: FieldName | None = None
    prefix4: int = field(default=32, validator=[ge(1), le(32)])
    prefix6: int = field(default=64, validator=[ge(1), le(128)])
    rate: float | None = field(default=None, validator=optional(gt(0)))
    burst: float | None = field(default=None, validator=optional(ge(1)))
    concurrent: int | None = field(default=None, validator=optional(ge(1)))
    upload: int | None = field(default=None, validator=optional(gt(0)))
    download: int | None = field(default=None, validator=optional(gt(0)))
    buckets: int = field(default=MAX_BUCKETS, validator=ge(1))
    tell: bool = False

    def __attrs_post_init__(self) -> None:
        if self.rate is self.concurrent is self.upload is self.download is None:
            raise ValueError("limits nothing: give a 'rate', 'concurrent', 'upload' or 'download'")
        if not self.by:
            raise ValueError("'by' is empty: say 'by: all' for one limit for everything")
        if ("header" in self.by) != (self.header is not None):
            raise ValueError("'by: header' and 'header: NAME' go together")
        if self.burst is not None and self.rate is None:
            raise ValueError("'burst' goes only with 'rate'")


@implementer(IAssistant)
class Limits:
    """
    @ivar refused: how many requests were refused.
    """

    def __init__(self, name: str, options: LimitsOptions, reactor: Any, nodeName: str) -> None:
        self.refused = 0
        self._clock = reactor
        self._nodeName = nodeName
        header = (options.header or "").encode("ascii")
        self._key = keyOf(options.by, header, options.prefix4, options.prefix6)
        self._buckets: Buckets | None = None
        if options.rate is not None:
            burst = options.burst if options.burst is not None else max(1.0, options.rate)
            self._buckets = Buckets(options.rate, burst, options.buckets)
            self._quota = Quota(name, options.rate, burst)
        self._tell = options.tell and self._buckets is not None
        self._concurrent = options.concurrent
        self._goingOn: dict[Hashable, int] = {}
        self._upload = _bytes(options.upload, options.buckets)
        self._download = _bytes(options.download, options.buckets)

    def assist(self, request: Request, onward: Callable[[Request], Deferred[Response]]) -> Deferred[Response]:
        key = self._key(request)
        buckets = self._buckets
        if self._concurrent is not None and self._goingOn.get(key, 0) >= self._concurrent:
            self.refused += 1
            error = TooMany("too many requests at once")
            return succeed(refusal(request, self._nodeName, error, (retryAfter(1),)))
        if buckets is not None:
            now = self._clock.seconds()
            wait = buckets.take(key, now)
            if wait:
                self.refused += 1
                fields = (retryAfter(wait), *self._quota.fields(buckets.left(key, now)))
                return succeed(refusal(request, self._nodeName, TooMany("too many requests"), fields))
        if self._upload is not None and request.body is not None:
            request.body = PacedBody(request.body, self._owing(self._upload, key), self._clock)
        answer = onward(request) if self._concurrent is None else self._counted(key, request, onward)
        if self._download is not None:
            answer.addCallback(self._paced, self._download, key)
        if self._tell:
            answer.addCallback(self._told, key)
        return answer

    def _counted(
        self, key: Hashable, request: Request, onward: Callable[[Request], Deferred[Response]]
    ) -> Deferred[Response]:
        """
        Pass a request on that counts until its response is over.
        """
        self._goingOn[key] = self._goingOn.get(key, 0) + 1

        def over() -> None:
            left = self._goingOn[key] - 1
            if left:
                self._goingOn[key] = left
            else:
                del self._goingOn[key]

        def answered(response: Response) -> Response:
            if response.body is None:
                over()
            else:
                response.body = WatchedBody(response.body, over)
            return response

        def failed(failure: Failure) -> Failure:
            over()
            return failure

        return onward(request).addCallbacks(answered, failed)

    def _paced(self, response: Response, buckets: Buckets, key: Hashable) -> Response:
        if response.body is not None:
            response.body = PacedBody(response.body, self._owing(buckets, key), self._clock)
        return response

    def _owing(self, buckets: Buckets, key: Hashable) -> Callable[[int], float]:
        clock = self._clock
        return lambda size: buckets.owe(key, clock.seconds(), size)

    def _told(self, response: Response, key: Hashable) -> Response:
        assert self._buckets is not None
        fields = self._quota.fields(self._buckets.left(key, self._clock.seconds()))
        response.head = evolve(response.head, headers=(*response.head.headers, *fields))
        return response

    def status(self) -> Mapping[str, Any]:
        return {
            "refused": self.refused,
            "buckets": len(self._buckets) if self._buckets is not None else 0,
            "goingOn": sum(self._goingOn.values()),
        }

    def close(self) -> Deferred[None]:
        return succeed(None)


def _bytes(rate: int | None, most: int) -> Buckets | None:
    return None if rate is None else Buckets(rate, rate, most)


@implementer(IPlugin, IAssistantType)
class LimitsType:
    """
    C{type: limits}.
    """

    type = "limits"
    options = LimitsOptions

    def assistant(self, name: str, options: Any, context: IAssistantContext) -> IAssistant:
        return Limits(name, options, context.reactor, context.nodeName)
