"""
The record of a version in the store: what it says in the end is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hermes.control.errors import NotLeading
from hermes.control.values import NodeReason, Phase
from hermes.interfaces.store import IStore

STORE_RETRY = 1.0
"""
Seconds until the store is asked again, where it has not answered what must be known.
"""

ABORTING = 120.0
"""
Seconds after which it is not asked any more to write down that a version is aborted: by then every node has gone back
by itself. The record is looked at again before the next change.
"""


class Record:
    """
    The record of one version.

    @ivar number: the version's number.
    @ivar phase: the phase that it was last known to be in.
    """

    log = Logger()

    def __init__(self, store: IStore, number: int, clock: IReactorTime, phase: Phase = "preparing") -> None:
        self.number = number
        self.phase = phase
        self._store = store
        self._clock = clock

    async def move(
        self, expected: Phase, phase: Phase, reasons: Sequence[NodeReason] = (), until: float | None = None
    ) -> Phase | None:
        """
        Have it go from one phase to another. Where the store does not answer it is asked again.

        @raise NotLeading: where another controller leads.
        @param until: when to give up; L{None} for never.
        @return: the phase that it is in then, or L{None} where that could not be known in time. C{expected} where it is
            in that phase and the store does not move it: the overlay has another version than it was made for.
        """
        while True:
            try:
                if await self._store.setPhase(self.number, expected, phase, tuple(reasons)):
                    self.phase = phase
                    return phase
                found = await self._store.version(self.number)
                # What the store has lost is not committed, and never will be.
                self.phase = "aborted" if found is None else found.phase
                return self.phase
            except (CancelledError, NotLeading):
                raise
            except Exception as error:
                self.log.error("the store does not answer, it is asked again: {error}", error=error)
            if until is not None and self._clock.seconds() + STORE_RETRY > until:
                return None
            await deferLater(self._clock, STORE_RETRY)

    async def abort(self, reasons: Sequence[NodeReason], until: float) -> Phase | None:
        """
        Have it aborted, unless it is decided already.

        @param until: when to give up.
        @return: C{aborted} or C{committed}; L{None} where that could not be known in time.
        @raise NotLeading: where another controller leads.
        """
        while self.phase in ("preparing", "trial"):
            if await self.move(self.phase, "aborted", reasons, until) is None:
                return None
        return self.phase
