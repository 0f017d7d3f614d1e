"""
Ways that follow what links cost: a change that the controller makes by itself.

It is a change like any other: compiled, tested, prepared, tried, and taken back where it does no good. What is here
says when it is made, so that noise, a link that comes and goes, or a node that lies, make few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.controller import Controller
from hermes.control.errors import Busy, ControlError, NotLeading, Superseded
from hermes.control.leading import Parts
from hermes.control.linkcosts import AGE, LinkCosts
from hermes.control.plans import Plan
from hermes.control.values import CONTROLLER, VersionRecord

SETTLE: Final = 5.0
"""
Seconds for which other ways must have been better.
"""

LOOK: Final = 1.0
"""
Seconds from when a link costs something else until it is seen what comes of it, with all that have changed by then.
"""

SHARE: Final = 20.0
"""
To see what comes of it takes the controller at most one of so many seconds.
"""

LONGEST: Final = 3600.0
"""
Seconds that it waits at most from one change to the next, or as long as the document says.
"""


class Rerouter:
    """
    Makes such changes, where this controller leads and the document wants them.

    From any change to one of these, C{rerouteAfter} seconds pass; twice as many after each, whatever came of it, until
    for as long again none was called for. Whoever else makes a change comes first: see L{Controller.apply}.

    @ivar results: what came of them, how often.
    """

    log = Logger()

    def __init__(self, parts: Parts, controller: Controller, costs: LinkCosts) -> None:
        self.results: Counter[str] = Counter()
        self._parts = parts
        self._controller = controller
        self._costs = costs
        self._clock = parts.clock
        self._stops: list[Callable[[], None]] = []
        self._timer: IDelayedCall | None = None
        self._busy = False
        self._missed = False
        self._rest = LOOK
        # What was compiled last, and whether nodes would run something else then.
        self._seen: tuple[int, str] | None = None
        self._moves = False
        self._movesSince: float | None = None
        # The version that is committed, and when it came, or a change of ours failed.
        self._number: int | None = None
        self._changedAt = 0.0
        self._made = 0
        self._madeAt = 0.0

    def start(self) -> None:
        """
        Begin.
        """
        self._stops = [self._controller.watch(self._look), self._costs.watch(self._look)]
        self._look()

    def stop(self) -> None:
        """
        Make no more.
        """
        stops, self._stops = self._stops, []
        for stop in stops:
            stop()
        self._again(None)

    def _again(self, delay: float | None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if delay is not None and self._stops:
            self._timer = self._clock.callLater(delay, self._examine)

    def _look(self) -> None:
        """
        Something may be another than it was.
        """
        self._costs.look()
        committed = self._controller.committed
        number = None if committed is None else committed[0].number
        if number != self._number:
            if self._number is None or number is None:
                # A new time as the leader: what was learned in an earlier one is old.
                self._made = 0
            self._number, self._changedAt = number, self._clock.seconds()
            self._movesSince = None
        if number is None:
            return
        if self._busy:
            self._missed = True
        elif self._timer is None or self._timer.getTime() > self._clock.seconds() + self._rest:
            self._again(self._rest)

    def _examine(self) -> None:
        self._timer = None
        self._busy, self._missed = True, False
        Deferred.fromCoroutine(self._consider()).addBoth(self._considered)

    def _considered(self, result: Any) -> None:
        self._busy = False
        if isinstance(result, Failure):
            self.log.failure("following what links cost failed", result)
        elif self._missed:
            self._again(self._rest)
        elif result is not None:
            self._again(result)

    async def _consider(self) -> float | None:
        """
        @return: seconds after which to see again; L{None} where it is for something to change first.
        """
        committed = self._controller.committed
        if committed is None or self._controller.changing or not committed[1].settings.reroute:
            return None
        record, plan = committed
        began = self._clock.seconds()
        text = self._costs.text(record.measurements, keep=True)
        if self._seen != (record.number, text):
            self._moves = await self._differs(record, plan, text)
            self._seen = record.number, text
        self._rest = max(LOOK, SHARE * (self._clock.seconds() - began))
        now = self._clock.seconds()
        if not self._moves:
            self._movesSince = None
            # Figures grow old without a word.
            return AGE
        wait = self._wait(plan)
        if self._movesSince is None:
            self._movesSince = now
            if now - self._madeAt > 2 * wait:
                self._made = 0
                wait = self._wait(plan)
        due = max(self._movesSince + SETTLE, self._changedAt + wait)
        if now < due:
            return due - now
        await self._apply(record, text)
        return self._rest

    def _wait(self, plan: Plan) -> float:
        least: float = plan.settings.rerouteAfter
        return float(min(least * 2 ** min(self._made, 30), max(least, LONGEST)))

    async def _differs(self, record: VersionRecord, plan: Plan, text: str) -> bool:
        """
        Whether nodes would run something else.
        """
        if text == record.measurements:
            return False
        found: Plan = await self._parts.inThread(self._parts.planner.plan, record.document, text)
        if found.problems:
            self.log.warn("ways can't follow what links cost: {reasons}", reasons="; ".join(map(str, found.problems)))
            return False
        # Not with what the record says: another version of the compiler moves no node by itself.
        return found.digests != plan.digests

    async def _apply(self, record: VersionRecord, text: str) -> None:
        comment = self._costs.comment(record.measurements, text)
        try:
            outcome = await self._controller.apply(
                record.document, CONTROLLER, comment, record.number, measurements=text, byItself=True
            )
        except (Busy, Superseded, NotLeading) as error:
            # Somebody else was there first.
            self.log.info("ways were not moved: {error}", error=error)
            return
        except ControlError as error:
            result = "failed"
            self.log.error("ways could not be moved: {error}", error=error)
        else:
            result = outcome.result
        self.results[result] += 1
        self._made += 1
        self._movesSince, self._seen = None, None
        self._changedAt = self._madeAt = self._clock.seconds()
