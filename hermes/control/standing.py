"""
Standing for election, for as long as the process runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.errors import ControlError, NotLeading
from hermes.control.leading import Leading, Parts
from hermes.interfaces.store import ILeadership

LEAD_AGAIN = 1.0
"""
Seconds until what could not be begun is begun again.
"""

_T = TypeVar("_T")


class Standing:
    """
    Leads whenever it is elected.

    @ivar leading: the time as the leader, once what is committed was read; L{None} where this controller does not lead.
    """

    log = Logger()

    def __init__(self, parts: Parts, identity: str, changed: Callable[[], object]) -> None:
        """
        @param identity: who this controller is.
        @param changed: called when it begins to lead, when it does not any more, and when what it leads has changed.
        """
        self.leading: Leading | None = None
        self._parts = parts
        self._identity = identity
        self._changed = changed
        self._elected: Leading | None = None
        self._running: Deferred[None] | None = None
        self._stopped = True

    def start(self) -> None:
        """
        Stand for election from now on. The store is open.
        """
        self._stopped = False
        self._running = Deferred.fromCoroutine(self._stand()).addErrback(self._failed)

    def stop(self) -> None:
        """
        Do not lead, and do not stand any more.
        """
        self._end()
        self._stopped = True
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    def _failed(self, failure: Failure) -> Deferred[None]:
        if self._stopped:
            if failure.check(CancelledError) is None:
                self.log.failure("standing for election failed at its end", failure)
            return succeed(None)
        # Whatever it was: a controller that stands no more would be of no use, and nobody would know.
        self.log.failure("standing for election failed", failure)
        self._end()
        again: Deferred[None] = deferLater(self._parts.clock, LEAD_AGAIN)
        again.addCallback(lambda _: Deferred.fromCoroutine(self._stand()))
        return again.addErrback(self._failed)

    async def _stand(self) -> None:
        while True:
            leadership = await self._parts.store.campaign(self._identity)
            self.log.info("this controller leads")
            leading = self._elected = Leading(self._parts, self._changed)
            lost: Deferred[None] = Deferred()

            def over(result: _T, lost: Deferred[None] = lost) -> _T:
                self._end()
                lost.callback(None)
                return result

            leadership.lost.addBoth(over)
            await self._begin(leading, leadership)
            await lost
            self.log.warn("this controller does not lead any more")

    def _end(self) -> None:
        elected, self._elected = self._elected, None
        if elected is not None:
            self.leading = None
            elected.end()
            self._changed()

    async def _begin(self, leading: Leading, leadership: ILeadership) -> None:
        while leadership.leads:
            try:
                await leading.begin()
            except NotLeading:
                return
            except ControlError as error:
                self.log.error("what is committed can't be read yet: {error}", error=error)
                await deferLater(self._parts.clock, LEAD_AGAIN)
                continue
            if self._elected is leading:
                self.leading = leading
                self._changed()
            return
