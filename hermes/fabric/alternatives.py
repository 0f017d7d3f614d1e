"""
Several ways to one place: the next one where the first can't be had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime
from zope.interface import implementer

from hermes.errors import FlowError, HopRefused, HopUnavailable, HopUntrusted
from hermes.interfaces import IDatagramReceiver, IDialer, IPacketReceiver
from hermes.values import Flow

HELD: Final = 5.0
"""
Seconds for which a way that could not be had comes after the others.
"""

_T = TypeVar("_T")


def isBlocked(error: BaseException) -> bool:
    """
    Whether a way itself failed, and not what is at its end: its first hop can't be reached, or a later one says so of
    the next.
    """
    if isinstance(error, HopUnavailable | HopUntrusted):
        return True
    return isinstance(error, HopRefused) and error.answered in (502, 503, 504) and error.cause in _BLOCKED


_BLOCKED: Final = frozenset((HopUnavailable.proxyStatus, HopUntrusted.proxyStatus))


class Order:
    """
    Which of several ways to try first.
    """

    def __init__(self, count: int, clock: IReactorTime) -> None:
        self._until = [0.0] * count
        self._clock = clock

    def places(self) -> Sequence[int]:
        """
        All, in the order in which they are to be tried.
        """
        now = self._clock.seconds()
        return sorted(range(len(self._until)), key=lambda place: self._until[place] > now)

    def failed(self, place: int) -> None:
        """
        One could not be had.
        """
        self._until[place] = self._clock.seconds() + HELD

    def reached(self, place: int) -> None:
        """
        One could.
        """
        self._until[place] = 0.0


@implementer(IDialer)
class Alternatives:
    """
    Dials by the first way that can be had. One that could not a moment ago is tried after the others.
    """

    def __init__(self, ways: Sequence[IDialer], clock: IReactorTime) -> None:
        """
        @param ways: the first is the one to take if it can be had.
        """
        self._ways = tuple(ways)
        self._order = Order(len(ways), clock)

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        return self._try(lambda way: way.connectStream(flow, protocol))

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        return self._try(lambda way: way.connectDatagrams(flow, receiver))

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        return self._try(lambda way: way.connectPackets(flow, receiver))

    def _try(self, dial: Callable[[IDialer], Deferred[_T]]) -> Deferred[_T]:
        return Deferred.fromCoroutine(self._tryEach(dial))

    async def _tryEach(self, dial: Callable[[IDialer], Deferred[_T]]) -> _T:
        failure: FlowError | None = None
        for place in self._order.places():
            try:
                opened = await dial(self._ways[place])
            except FlowError as error:
                if not isBlocked(error):
                    raise
                self._order.failed(place)
                # What the first says is told: it is the way that was meant.
                failure = failure or error
            else:
                self._order.reached(place)
                return opened
        assert failure is not None
        raise failure
