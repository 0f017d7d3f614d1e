"""
A node's certificate is renewed before it ends: when two thirds of its life have passed, as soon as there is a
controller. The node goes on with the one that it has until the new one is on its disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.channel.methods import Renewed
from hermes.control.enrolment.identity import IdentityFiles, NodeIdentity
from hermes.control.enrolment.requests import makeRequest

LOOK = 3600.0
"""
Seconds after which the time is looked at again, since clocks are set.
"""

TRY_AGAIN = 60.0
"""
Seconds after which a renewal that failed is tried again.
"""

WARN = 7 * 86400.0
"""
How long before its certificate ends a node says so.
"""


class Session(Protocol):
    """
    What renews. See L{hermes.control.channel.session.Session}.
    """

    def renew(self, request: str) -> Deferred[Renewed]: ...


class Renewer:
    """
    See the module.

    @ivar identity: what is used.
    @ivar problem: why it could not be renewed, for the operator; or L{None}.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        seconds: Callable[[], float],
        files: IdentityFiles,
        identity: NodeIdentity,
        session: Callable[[], Session | None],
        renewed: Callable[[NodeIdentity], object],
        told: Callable[[str | None], object] = lambda problem: None,
    ) -> None:
        """
        @param clock: tells time that never jumps.
        @param seconds: the time, since the epoch.
        @param session: the connection to a controller, if there is one.
        @param renewed: called when a new certificate is in use.
        @param told: called with C{problem} when that has changed.
        """
        self.identity = identity
        self.problem: str | None = None
        self._clock = clock
        self._seconds = seconds
        self._files = files
        self._session = session
        self._renewed = renewed
        self._told = told
        self._timer: IDelayedCall | None = None
        self._renewing: Deferred[None] | None = None
        self._running = False

    def start(self) -> None:
        """
        Look at the time, now and for as long as it runs.
        """
        self._running = True
        self._look()

    def stop(self) -> None:
        """
        Look no more.
        """
        self._running = False
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._renewing is not None:
            self._renewing.cancel()

    def connected(self) -> None:
        """
        There is a controller.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._look()

    def _look(self) -> None:
        self._timer = None
        due = self.identity.renewAt - self._seconds()
        session = self._session()
        if due > 0:
            self._later(min(due, LOOK))
        elif session is None:
            self._failed("there is no controller")
        else:
            self._renewing = Deferred.fromCoroutine(self._renew(session))
            self._renewing.addCallbacks(self._done, self._notRenewed)

    async def _renew(self, session: Session) -> None:
        key = self._files.newKey()
        signed = await session.renew(makeRequest(key))
        self.identity = self._files.install(key, signed.certificate, signed.trust, self.identity.node)
        self.log.info("the certificate is renewed, until {until}", until=self.identity.certificate.not_valid_after_utc)
        self._renewed(self.identity)

    def _done(self, _: None) -> None:
        self._renewing = None
        self._tell(None)
        if self._running:
            # Where the two clocks differ, a new certificate may be due at once: not at once again.
            begin = self.identity.certificate.not_valid_before_utc.timestamp()
            self._later(min(LOOK, (self.identity.expires - begin) / 12))

    def _notRenewed(self, failure: Failure) -> None:
        self._renewing = None
        if self._running:
            self._failed(failure.getErrorMessage())

    def _failed(self, text: str) -> None:
        left = self.identity.expires - self._seconds()
        if left < WARN:
            problem = f"the certificate ends in {max(left, 0) / 86400:.1f} days and could not be renewed: {text}"
            self.log.warn("{problem}", problem=problem)
            self._tell(problem)
        else:
            self.log.info("the certificate could not be renewed yet: {text}", text=text)
        self._later(TRY_AGAIN)

    def _tell(self, problem: str | None) -> None:
        if problem != self.problem:
            self.problem = problem
            self._told(problem)

    def _later(self, delay: float) -> None:
        self._timer = self._clock.callLater(delay, self._look)
