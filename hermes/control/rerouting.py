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
from hermes.control.damping import Damping
from hermes.control.errors import Busy, ControlError, NotLeading, Superseded
from hermes.control.leading import Parts
from hermes.control.linkcosts import AGE, LinkCosts
from hermes.control.plans import Plan
from hermes.control.values import CONTROLLER, VersionRecord

LOOK: Final = 1.0
"""
Seconds from when a link costs something else until it is seen what comes of it, with all that have changed by then.
"""

SHARE: Final = 20.0
"""
To see what comes of it takes the controller at most one of so many seconds.
"""


class Rerouter:
    """
    Makes such changes, where this controller leads and the document wants them.

    From any change to one of these, C{rerouteAfter} seconds pass, or more: see L{Damping}. Whoever else makes a change
    comes first: see L{Controller.apply}.

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
        self._damping = Damping()

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
        self._damping.committed(None if committed is None else committed[0].number, self._clock.seconds())
        if committed is None:
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
        if not self._moves:
            self._damping.notCalledFor()
            # Figures grow old without a word.
            return AGE
        left = self._damping.calledFor(self._clock.seconds(), plan.settings.rerouteAfter)
        if left > 0:
            return left
        await self._apply(record, text)
        return self._rest

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
        self._seen = None
        self._damping.made(self._clock.seconds())
