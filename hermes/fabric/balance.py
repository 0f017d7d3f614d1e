"""
Which endpoint of an upstream gets the next flow.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from random import Random
from typing import Final, Literal, TypeAlias, get_args

from twisted.internet.interfaces import IReactorTime

from hermes.fabric.hashing import Maglev, Ring, fraction, rendezvous
from hermes.fabric.levels import levels, shares
from hermes.fabric.pickers import Pick, Weighted, atRandom, leastRequest, only, roundRobin
from hermes.fabric.places import Endpoint, Place

Balance: TypeAlias = Literal["round-robin", "least-request", "random", "ring-hash", "maglev"]

BALANCES: Final[tuple[str, ...]] = get_args(Balance)

RETRY_AFTER: Final = 5.0
"""
Seconds for which an endpoint that could not be reached is tried only after the others.
"""

SLOW_STEPS: Final = 10
"""
In how many steps an endpoint that has come back gets its whole share again.
"""

_PICKERS: Final[dict[str, Callable[[Weighted, Random], Pick]]] = {
    "round-robin": roundRobin,
    "least-request": leastRequest,
    "random": atRandom,
}
_TABLES: Final[dict[str, type[Ring] | type[Maglev]]] = {"ring-hash": Ring, "maglev": Maglev}


class Balancer:
    """
    Picks an endpoint for each flow among those that are fit: reachable as far as is known, healthy, not ejected. Where
    none is, all of them are.

    @ivar endpoints: all of them.
    @ivar keyed: whether it picks by keys.
    """

    def __init__(
        self,
        places: Sequence[Place | str],
        balance: Balance,
        clock: IReactorTime,
        random: Random | None = None,
        retryAfter: float = RETRY_AFTER,
        zone: str | None = None,
        slowStart: float = 0.0,
    ) -> None:
        """
        @param places: at least one; text is an address.
        @param random: what chance draws from.
        @param retryAfter: see L{RETRY_AFTER}.
        @param zone: our own, whose endpoints are preferred; L{None} where zones don't matter.
        @param slowStart: seconds in which an endpoint that has come back gets its whole share again. Those that are
            picked by key get theirs at once.
        @raise ValueError: where there is no address, or no such balance.
        """
        if not places:
            raise ValueError("an upstream needs at least one endpoint")
        if balance not in BALANCES:
            raise ValueError(f"{balance!r} is not a way to balance: write {', '.join(BALANCES)}")
        self.endpoints = tuple(map(Endpoint.at, places))
        self.keyed = balance in _TABLES
        self._balance = balance
        self._clock = clock
        self._rng = random or Random()
        self._retryAfter = retryAfter
        self._slowStart = slowStart
        self._levels = levels(self.endpoints, zone)
        self._tables: dict[int, Ring | Maglev] = {}
        # When what is known now is out of date; None where nothing is to come.
        self._until: float | None = None
        self._choose: Pick
        self._look()

    def pick(self, key: bytes | None = None) -> Endpoint:
        """
        The endpoint to try first.

        @param key: what is to go to the same endpoint each time, where that is how it balances.
        """
        until = self._until
        if until is not None and self._clock.seconds() >= until:
            self._look()
        return self._choose(key)

    def rest(self, tried: Collection[Endpoint], key: bytes | None = None) -> list[Endpoint]:
        """
        The others, in the order in which to go on to them: those that are not fit come last.
        """
        now = self._clock.seconds()
        fit: list[Endpoint] = []
        out: list[Endpoint] = []
        for level in self._levels:
            found = [endpoint for endpoint in level if endpoint not in tried]
            if self.keyed and key is not None:
                found = rendezvous(found, key)
            else:
                self._rng.shuffle(found)
                found.sort(key=lambda endpoint: endpoint.active / endpoint.weight)
            for endpoint in found:
                (out if endpoint.isOut(now) else fit).append(endpoint)
        return fit + out

    def order(self, key: bytes | None = None) -> list[Endpoint]:
        """
        All endpoints, in the order in which to try them.
        """
        first = self.pick(key)
        return [first] if len(self.endpoints) == 1 else [first, *self.rest((first,), key)]

    def failed(self, endpoint: Endpoint) -> None:
        """
        It could not be reached.
        """
        endpoint.failures += 1
        endpoint.downUntil = self._clock.seconds() + self._retryAfter
        # Where it was out already, nothing changes before somebody looks again anyway.
        if not endpoint.out:
            self._look()

    def reached(self, endpoint: Endpoint) -> None:
        """
        It answered.
        """
        if endpoint.downUntil:
            endpoint.downUntil = 0.0
            self._look()

    def checked(self, endpoint: Endpoint, healthy: bool) -> None:
        """
        What active health checks say of it.
        """
        if endpoint.healthy != healthy:
            endpoint.healthy = healthy
            self._look()

    def eject(self, endpoint: Endpoint, seconds: float) -> None:
        """
        Leave it out for some time.
        """
        endpoint.ejectedUntil = self._clock.seconds() + seconds
        if not endpoint.out:
            self._look()

    def _look(self) -> None:
        """
        Find out who is fit now, and how long that holds.
        """
        now = self._clock.seconds()
        times: list[float] = []
        for endpoint in self.endpoints:
            out = endpoint.isOut(now)
            if endpoint.out and not out:
                endpoint.since = now
            endpoint.out = out
            times += [time for time in (endpoint.downUntil, endpoint.ejectedUntil) if time > now]
            if not out and self._slowStart and endpoint.since + self._slowStart > now:
                times.append(now + self._slowStart / SLOW_STEPS)
        self._until = min(times, default=None)
        parts = shares(self._levels, lambda endpoint: not endpoint.out)
        if not any(parts):
            # Better one that may fail than none.
            parts = [1.0] + [0.0] * (len(self._levels) - 1)
            self._choose = self._picker(0, self._levels[0], now)
            return
        picks = [
            self._picker(number, [endpoint for endpoint in self._levels[number] if not endpoint.out], now)
            for number, part in enumerate(parts)
            if part
        ]
        self._choose = picks[0] if len(picks) == 1 else self._spill(picks, [part for part in parts if part])

    def _spill(self, picks: list[Pick], parts: list[float]) -> Pick:
        bounds = list(accumulate(parts))[:-1]

        def choose(key: bytes | None) -> Endpoint:
            at = fraction(key) if self.keyed and key is not None else self._rng.random()
            return picks[bisect(bounds, at)](key)

        return choose

    def _picker(self, level: int, fit: list[Endpoint], now: float) -> Pick:
        if len(fit) == 1:
            return only(fit[0])
        if not self.keyed:
            return _PICKERS[self._balance]([(endpoint, self._weight(endpoint, now)) for endpoint in fit], self._rng)
        table = self._tables.get(level)
        if table is None:
            table = self._tables[level] = _TABLES[self._balance](self._levels[level], self._rng)
        table.keep(fit)
        return table.pick

    def _weight(self, endpoint: Endpoint, now: float) -> float:
        if not self._slowStart:
            return endpoint.weight
        grown = (now - endpoint.since) / self._slowStart
        return endpoint.weight * min(1.0, max(1 / SLOW_STEPS, grown))
