"""
Several ways to one place, for requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.fabric.alternatives import Order, isBlocked
from hermes.interfaces import IRequestSender
from hermes.messages import Request, Response


@implementer(IRequestSender)
class AlternativeSender:
    """
    Sends each request by the first way that can be had. It goes on to the next only where nothing of it was sent: the
    same request by two ways would be two requests.
    """

    def __init__(self, ways: Sequence[IRequestSender], clock: IReactorTime) -> None:
        """
        @param ways: the first is the one to take if it can be had.
        """
        self._ways = tuple(ways)
        self._order = Order(len(ways), clock)

    def send(self, request: Request) -> Deferred[Response]:
        return self._next(request, iter(self._order.places()), None)

    def _next(self, request: Request, left: Iterator[int], first: Failure | None) -> Deferred[Response]:
        place = next(left)

        def answered(response: Response) -> Response:
            self._order.reached(place)
            return response

        def failed(failure: Failure) -> Any:
            error: Any = failure.value
            if not isBlocked(error) or error.sent:
                return failure
            self._order.failed(place)
            told = first or failure
            following = next(left, None)
            if following is None:
                return told
            return self._next(request, _from(following, left), told)

        return self._ways[place].send(request).addCallbacks(answered, failed)


def _from(first: int, rest: Iterator[int]) -> Iterator[int]:
    yield first
    yield from rest
