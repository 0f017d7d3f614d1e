"""
Connecting to whichever address of a target answers first (Happy Eyeballs v2, RFC 8305).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.errors import FlowError, TargetTimeout, TargetUnreachable
from hermes.net.failures import flowError
from hermes.net.resolution import resolve
from hermes.values import Address, Target

ATTEMPT_DELAY = 0.25
"""
How long one address has before the next is tried beside it, in seconds (RFC 8305 section 5).
"""

CONNECT_TIMEOUT = 10.0
"""
How long connecting may take in all once the addresses are known, in seconds.
"""

A = TypeVar("A")
T = TypeVar("T")


def connectTarget(
    reactor: Any,
    target: Target,
    connectAddress: Callable[[Address], Deferred[T]],
    allowSpecial: bool = False,
    timeout: float = CONNECT_TIMEOUT,
) -> Deferred[T]:
    """
    Resolve a target and connect to it. Can be cancelled.

    @param reactor: provides C{IReactorTime} and C{IReactorPluggableNameResolver}.
    @param connectAddress: tries one address; what it returns can be cancelled, and then closes what it has opened.
    @param allowSpecial: see L{resolve}.
    @param timeout: for connecting, in seconds.
    @return: fires with what C{connectAddress} gave first. Errback with L{FlowError}.
    """
    return resolve(reactor, target, allowSpecial).addCallback(
        lambda addresses: connectAny(reactor, addresses, connectAddress, str(target), timeout)
    )


def connectAny(
    clock: IReactorTime,
    addresses: Sequence[A],
    connectAddress: Callable[[A], Deferred[T]],
    what: str,
    timeout: float = CONNECT_TIMEOUT,
) -> Deferred[T]:
    """
    Connect to the first of some addresses that answers; see L{connectTarget}.

    @param addresses: what C{connectAddress} takes, in the order in which to try them; one at least.
    @param what: what they are the addresses of, for the error's text.
    """
    return _Race(clock, addresses, connectAddress, what).start(timeout)


class _Race(Generic[A, T]):
    """
    Attempts, each a little later than the one before or as soon as that has failed. The first to succeed ends it.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        addresses: Sequence[A],
        connectAddress: Callable[[A], Deferred[T]],
        what: str,
    ) -> None:
        self._clock = clock
        self._left = list(reversed(addresses))
        self._connectAddress = connectAddress
        self._what = what
        self._attempts: set[Deferred[T]] = set()
        self._error: FlowError | None = None
        self._result: Deferred[T] = Deferred(self._cancelled)
        self._starting = False
        self._ended = False
        self._next: IDelayedCall | None = None
        self._timeout: IDelayedCall | None = None

    def start(self, timeout: float) -> Deferred[T]:
        self._timeout = self._clock.callLater(timeout, self._timedOut)
        self._tryNext()
        return self._result

    def _tryNext(self) -> None:
        """
        Start the next attempt, and others as long as they fail at once.
        """
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._starting = True
        while self._left and not self._ended:
            attempt = self._connectAddress(self._left.pop())
            self._attempts.add(attempt)
            attempt.addCallback(self._won, attempt)
            attempt.addErrback(self._lost, attempt)
            if attempt in self._attempts:
                if self._left:
                    self._next = self._clock.callLater(ATTEMPT_DELAY, self._tryNext)
                break
        self._starting = False
        self._checkForEnd()

    def _won(self, value: T, attempt: Deferred[T]) -> None:
        self._attempts.discard(attempt)
        self._end()
        self._result.callback(value)

    def _lost(self, failure: Failure, attempt: Deferred[T]) -> None:
        self._attempts.discard(attempt)
        if self._ended:
            return
        if not failure.check(FlowError, OSError, ConnectError, ConnectionClosed):
            self.log.failure("connecting to {what} failed in an unexpected way", failure, what=self._what)
        # That one address was refused says more than that there is no way to another.
        if self._error is None or isinstance(self._error, TargetUnreachable):
            self._error = flowError(failure.value, self._what)
        if self._left and not self._starting:
            self._tryNext()
        else:
            self._checkForEnd()

    def _checkForEnd(self) -> None:
        if not (self._ended or self._starting or self._left or self._attempts):
            self._end()
            self._result.errback(Failure(self._error))

    def _timedOut(self) -> None:
        self._end()
        self._result.errback(TargetTimeout(f"{self._what} did not answer in time"))

    def _cancelled(self, result: Deferred[T]) -> None:
        self._end()

    def _end(self) -> None:
        """
        Start nothing more and give up what is under way.
        """
        self._ended = True
        for call in self._next, self._timeout:
            if call is not None and call.active():
                call.cancel()
        for attempt in list(self._attempts):
            attempt.cancel()
