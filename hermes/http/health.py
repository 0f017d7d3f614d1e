"""
Active health checks: each endpoint of an upstream is asked from time to time whether it is well.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from attrs import define, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.errors import HermesError
from hermes.fabric.balance import Balancer
from hermes.fabric.places import Endpoint

JITTER: Final = 0.1
"""
By how much an interval may be shorter or longer, so that nodes do not all ask at once.
"""


class Unwell(HermesError):
    """
    An endpoint answered, and not as it should.
    """


class Undecided(HermesError):
    """
    Whether an endpoint is well could not be found out: the hop on the way there is at fault.
    """


Probe = Callable[[Endpoint], "Deferred[Any]"]
"""
Asks an endpoint: fires with anything where it is well; errback where it is not, with L{Undecided} where that can't be
told. Can be cancelled.
"""


@frozen
class HealthRules:
    """
    @ivar interval: seconds between two checks of an endpoint.
    @ivar timeout: seconds that one may take.
    @ivar healthy: how many in a row must succeed before one that was not healthy is.
    @ivar unhealthy: how many must fail before one that was healthy is not.
    """

    interval: float = 5.0
    timeout: float = 2.0
    healthy: int = 2
    unhealthy: int = 3


@define(eq=False)
class _Check:
    """
    One endpoint's.

    @ivar known: whether there was a verdict.
    @ivar run: how many results in a row were other than what it is held for.
    @ivar error: why the last check failed; L{None} where it did not.
    """

    endpoint: Endpoint
    known: bool = False
    run: int = 0
    error: str | None = None
    asking: Deferred[Any] | None = None
    timer: IDelayedCall | None = None
    timedOut: bool = False


class HealthChecks:
    """
    Tells a balancer which endpoints are healthy. Before anything is known, all are.
    """

    log = Logger()

    def __init__(
        self,
        balancer: Balancer,
        probe: Probe,
        clock: IReactorTime,
        rules: HealthRules,
        random: Random | None = None,
        recovered: Callable[[Endpoint], object] = lambda endpoint: None,
    ) -> None:
        """
        @param recovered: called when an endpoint is healthy again.
        """
        self._balancer = balancer
        self._probe = probe
        self._clock = clock
        self._rules = rules
        self._random = random or Random()
        self._recovered = recovered
        self._checks = {endpoint: _Check(endpoint) for endpoint in balancer.endpoints}
        self._running = False

    def start(self) -> None:
        """
        Begin, where that was not done: the first checks at once.
        """
        if not self._running:
            self._running = True
            for check in self._checks.values():
                self._ask(check)

    def stop(self) -> None:
        """
        End; what was found out stays.
        """
        self._running = False
        for check in self._checks.values():
            if check.timer is not None:
                check.timer.cancel()
                check.timer = None
            if check.asking is not None:
                check.asking.cancel()

    def error(self, endpoint: Endpoint) -> str | None:
        """
        Why its last check failed; L{None} where it did not.
        """
        return self._checks[endpoint].error

    def _ask(self, check: _Check) -> None:
        check.timedOut = False
        check.timer = self._clock.callLater(self._rules.timeout, self._tooSlow, check)
        # By the time that this returns, it may be over.
        check.asking = asking = self._probe(check.endpoint)
        asking.addCallbacks(self._well, self._unwell, callbackArgs=(check,), errbackArgs=(check,))
        asking.addErrback(lambda failure: self.log.failure("a health check failed", failure))

    def _tooSlow(self, check: _Check) -> None:
        check.timer = None
        check.timedOut = True
        assert check.asking is not None
        check.asking.cancel()

    def _well(self, result: object, check: _Check) -> None:
        check.error = None
        self._told(check, True)

    def _unwell(self, failure: Failure, check: _Check) -> None:
        if failure.check(CancelledError) and not check.timedOut:
            check.asking = None
            return
        if failure.check(Undecided):
            check.error = str(failure.value)
            self._again(check)
            return
        if not failure.check(HermesError, CancelledError):
            self.log.failure("asking {address} failed", failure, address=check.endpoint.address)
        check.error = "no answer in time" if check.timedOut else str(failure.value) or type(failure.value).__name__
        self._told(check, False)

    def _told(self, check: _Check, well: bool) -> None:
        endpoint, rules = check.endpoint, self._rules
        if endpoint.healthy == well:
            check.run = 0
        else:
            check.run += 1
            if not check.known or check.run >= (rules.healthy if well else rules.unhealthy):
                check.run = 0
                self._changed(check, well)
        check.known = True
        self._again(check)

    def _changed(self, check: _Check, well: bool) -> None:
        endpoint = check.endpoint
        if well:
            self.log.info("{address} is healthy again", address=endpoint.address)
        else:
            self.log.warn("{address} is not healthy: {error}", address=endpoint.address, error=check.error)
        self._balancer.checked(endpoint, well)
        if well:
            self._recovered(endpoint)

    def _again(self, check: _Check) -> None:
        check.asking = None
        if check.timer is not None:
            check.timer.cancel()
            check.timer = None
        if self._running:
            delay = self._rules.interval * (1 + JITTER * (2 * self._random.random() - 1))
            check.timer = self._clock.callLater(delay, self._ask, check)
