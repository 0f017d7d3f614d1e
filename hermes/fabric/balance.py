"""
Which endpoint of an upstream gets the next flow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Literal, TypeAlias, get_args

from attrs import define
from twisted.internet.interfaces import IReactorTime

Balance: TypeAlias = Literal["round-robin", "least-request", "random"]

BALANCES: Final[tuple[str, ...]] = get_args(Balance)

RETRY_AFTER: Final = 5.0
"""
Seconds for which an endpoint that could not be reached is tried only after the others.
"""


@define(eq=False)
class Endpoint:
    """
    One endpoint of an upstream.

    @ivar address: C{HOST:PORT} or C{unix:PATH}.
    @ivar active: how many flows are open or opening on it.
    @ivar failures: how many times it could not be reached.
    @ivar downUntil: until when it is tried only after the others, in seconds of the clock.
    """

    address: str
    active: int = 0
    failures: int = 0
    downUntil: float = 0.0

    def ended(self) -> None:
        """
        A flow on it has ended.
        """
        self.active -= 1


class Balancer:
    """
    Orders the endpoints for a flow: the first is to be tried first. Every endpoint is in every order, so that a flow
    fails only when all do.

    @ivar endpoints: all of them.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        balance: Balance,
        clock: IReactorTime,
        random: Random | None = None,
        retryAfter: float = RETRY_AFTER,
    ) -> None:
        """
        @param addresses: at least one.
        @param random: what C{random} draws from, and where the others start.
        @param retryAfter: see L{RETRY_AFTER}.
        @raise ValueError: where there is no address, or no such balance.
        """
        if not addresses:
            raise ValueError("an upstream needs at least one endpoint")
        orders: dict[str, Callable[[], list[Endpoint]]] = {
            "round-robin": self._roundRobin,
            "least-request": self._leastRequest,
            "random": self._random,
        }
        if balance not in orders:
            raise ValueError(f"{balance!r} is not a way to balance: write {', '.join(BALANCES)}")
        self.endpoints = tuple(map(Endpoint, addresses))
        self._order = orders[balance]
        self._clock = clock
        self._rng = random or Random()
        self._retryAfter = retryAfter
        # Proxies that start together do not all start with the first endpoint.
        self._next = self._rng.randrange(len(self.endpoints))

    def order(self) -> list[Endpoint]:
        """
        The endpoints in the order in which the next flow tries them.
        """
        ordered = self._order()
        if any(endpoint.downUntil for endpoint in ordered):
            now = self._clock.seconds()
            ordered.sort(key=lambda endpoint: endpoint.downUntil > now)
        return ordered

    def failed(self, endpoint: Endpoint) -> None:
        """
        It could not be reached.
        """
        endpoint.failures += 1
        endpoint.downUntil = self._clock.seconds() + self._retryAfter

    def reached(self, endpoint: Endpoint) -> None:
        """
        It answered.
        """
        endpoint.downUntil = 0.0

    def _roundRobin(self) -> list[Endpoint]:
        first = self._next
        self._next = (first + 1) % len(self.endpoints)
        return [*self.endpoints[first:], *self.endpoints[:first]]

    def _leastRequest(self) -> list[Endpoint]:
        # Sorting is stable: among equals it goes round.
        return sorted(self._roundRobin(), key=lambda endpoint: endpoint.active)

    def _random(self) -> list[Endpoint]:
        return self._rng.sample(self.endpoints, len(self.endpoints))
