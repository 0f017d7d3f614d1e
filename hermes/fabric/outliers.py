"""
Endpoints whose answers are bad are left out for a while.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hermes.fabric.balance import Balancer
from hermes.fabric.places import Endpoint

LONGEST_EJECTION: Final = 300.0
"""
Seconds for which an endpoint is left out at most, however often it was before; longer only where the first time is.
"""


@frozen
class OutlierRules:
    """
    @ivar consecutive: how many failures in a row eject an endpoint.
    @ivar ejection: for how long, in seconds, the first time; the second time twice as long, and so on.
    @ivar interval: seconds without another after which one ejection is forgiven.
    @ivar mostEjected: how many of the endpoints may be out in this way at once, in percent.
    """

    consecutive: int = 5
    ejection: float = 30.0
    interval: float = 60.0
    mostEjected: int = 50


class Outliers:
    """
    Counts what came of each endpoint's flows and requests.
    """

    log = Logger()

    def __init__(self, balancer: Balancer, clock: IReactorTime, rules: OutlierRules) -> None:
        self._balancer = balancer
        self._clock = clock
        self._rules = rules

    def succeeded(self, endpoint: Endpoint) -> None:
        """
        A flow was opened, a request was answered.
        """
        endpoint.consecutive = 0

    def failed(self, endpoint: Endpoint) -> None:
        """
        It was not, or the answer says that something is wrong with whoever answers.
        """
        endpoint.consecutive += 1
        if endpoint.consecutive >= self._rules.consecutive:
            self._eject(endpoint)

    def _eject(self, endpoint: Endpoint) -> None:
        now, rules = self._clock.seconds(), self._rules
        if endpoint.ejectedUntil > now:
            # It failed at what was under way when it was ejected.
            return
        endpoints = self._balancer.endpoints
        ejected = sum(each.ejectedUntil > now for each in endpoints)
        if (ejected + 1) * 100 > rules.mostEjected * len(endpoints):
            return
        forgiven = int((now - endpoint.ejectedUntil) / rules.interval)
        endpoint.ejections = max(0, endpoint.ejections - forgiven) + 1
        seconds = min(rules.ejection * endpoint.ejections, max(rules.ejection, LONGEST_EJECTION))
        self.log.warn(
            "{address} failed {count} times in a row: it is left out for {seconds:g} s",
            address=endpoint.address,
            count=endpoint.consecutive,
            seconds=seconds,
        )
        endpoint.consecutive = 0
        self._balancer.eject(endpoint, seconds)
