"""
Time that nobody can set.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from hermes.control.store.steadytime import SteadyTime


class SteadyTimeTests(TestCase):
    """
    L{SteadyTime}, on the real reactor.
    """

    def setUp(self) -> None:
        self.time = SteadyTime(reactor)
        self.calls: list[str] = []
        self.addCleanup(self.cancelAll)

    def cancelAll(self) -> None:
        """
        Nothing is left.
        """
        for each in self.time.getDelayedCalls():
            each.cancel()

    def after(self, delay: float) -> Deferred[None]:
        """
        Fires then.
        """
        waiting: Deferred[None] = Deferred()
        self.time.callLater(delay, waiting.callback, None)
        return waiting

    def test_it_is_time(self) -> None:
        verifyObject(IReactorTime, self.time)

    def frozen(self) -> Any:
        """
        Let no time pass, so that what is asked for now is in the order of its delays.
        """
        now = self.time.seconds()
        return self.patch(self.time, "seconds", lambda: now)

    async def test_calls_come_in_the_order_of_their_times(self) -> None:
        begun = self.time.seconds()
        frozen = self.frozen()
        for delay in (0.03, 0.01, 0.02):
            self.time.callLater(delay, self.calls.append, f"{delay}")
        waiting = self.after(0.04)
        frozen.restore()
        await waiting
        self.assertEqual(self.calls, ["0.01", "0.02", "0.03"])
        self.assertGreaterEqual(self.time.seconds() - begun, 0.04)

    async def test_what_is_due_at_once_comes_in_a_later_turn(self) -> None:
        waiting = self.after(0)
        self.time.callLater(0, self.calls.append, "second")
        self.assertFalse(waiting.called)
        await waiting
        await self.after(0)
        self.assertEqual(self.calls, ["second"])

    async def test_a_call_can_be_cancelled(self) -> None:
        call = self.time.callLater(0.01, self.calls.append, "never")
        call.cancel()
        self.assertEqual(self.time.getDelayedCalls(), [])
        await self.after(0.02)
        self.assertEqual(self.calls, [])

    async def test_a_call_can_be_cancelled_by_one_that_is_due_with_it(self) -> None:
        self.time.callLater(0.0, lambda: later.cancel())
        later = self.time.callLater(0.0, self.calls.append, "never")
        await self.after(0.01)
        self.assertEqual(self.calls, [])

    async def test_a_call_can_be_put_off_and_brought_forward(self) -> None:
        frozen = self.frozen()
        off = self.time.callLater(0.01, self.calls.append, "off")
        forward = self.time.callLater(600, self.calls.append, "forward")
        off.reset(0.03)
        forward.reset(0.02)
        between, end = self.after(0.025), self.after(0.04)
        frozen.restore()
        await between
        self.assertEqual(self.calls, ["forward"])
        await end
        self.assertEqual(self.calls, ["forward", "off"])
        self.assertEqual(self.time.getDelayedCalls(), [])

    async def test_a_call_that_fails_does_not_keep_the_others(self) -> None:
        def wrong() -> None:
            raise LookupError("mine")

        self.time.callLater(0.0, wrong)
        await self.after(0.01)
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

    async def test_a_clock_that_is_set_back_holds_nothing_up(self) -> None:
        real: Any = reactor
        there = real.seconds()
        # From now on the reactor believes that it is an hour earlier: what was asked of it comes in an hour.
        held = real.callLater(0.01, self.calls.append, "the reactor's")
        self.patch(real, "seconds", lambda: time.time() - 3600)
        await self.after(0.05)
        self.assertEqual(self.calls, [])
        held.cancel()
        self.assertLess(real.seconds(), there)

    def test_nothing_is_left_open_where_nothing_waits(self) -> None:
        before = len(self.descriptors())
        call = self.time.callLater(600, self.calls.append, "never")
        self.assertEqual(len(self.descriptors()), before + 1)
        call.cancel()
        self.assertEqual(len(self.descriptors()), before)

    def descriptors(self) -> list[Any]:
        """
        What the reactor waits for.
        """
        real: Any = reactor
        return [each for each in real.getReaders() if each.logPrefix() == "SteadyTime"]
