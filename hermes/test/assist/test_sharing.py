"""
One piece of work, many who wait.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.sharing import Shared


class SharedTests(SynchronousTestCase):
    """
    L{Shared}.
    """

    def test_everybodyIsToldTheResult(self) -> None:
        work: Deferred[int] = Deferred()
        shared = Shared(work)
        waiting = [shared.wait(), shared.wait()]
        work.callback(7)
        self.assertEqual([self.successResultOf(each) for each in (*waiting, shared.wait())], [7, 7, 7])
        self.assertEqual(self.successResultOf(Shared(succeed(1)).wait()), 1)

    def test_everybodyIsToldTheFailure(self) -> None:
        work: Deferred[int] = Deferred()
        shared = Shared(work)
        waiting = [shared.wait(), shared.wait()]
        work.errback(ValueError("x"))
        for each in (*waiting, shared.wait(), Shared[int](fail(ValueError())).wait()):
            self.failureResultOf(each, ValueError)

    def test_theWorkGoesOnWhileSomebodyWaits(self) -> None:
        cancelled: list[object] = []
        work: Deferred[int] = Deferred(cancelled.append)
        shared = Shared(work)
        first, second = shared.wait(), shared.wait()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(cancelled, [])
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertEqual(len(cancelled), 1)
        self.assertTrue(shared.done)
