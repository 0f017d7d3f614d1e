"""
When nodes were last seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.store.errors import StoreUnavailable
from hermes.control.store.lastseen import LastSeen
from hermes.control.values import NodeEntry


class LastSeenTests(SynchronousTestCase):
    """
    When nodes were seen.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.written: list[dict[str, float]] = []
        self.answers: list[Deferred[object]] = []
        self.last = LastSeen(self.clock, self.write, 30.0)

    def write(self, times: Mapping[str, float]) -> Deferred[object]:
        """
        As a store would.
        """
        self.written.append(dict(times))
        return self.answers.pop(0) if self.answers else succeed(None)

    def test_all_are_written_at_once_and_the_latest_of_each(self) -> None:
        for number in range(1000):
            self.last.seen(f"node{number % 10}", float(number))
        self.last.seen("node0", 5.0)
        self.clock.advance(29)
        self.assertEqual(self.written, [])
        self.clock.advance(1)
        self.assertEqual(self.written, [{f"node{number}": 990.0 + number for number in range(10)}])
        self.clock.advance(100)
        self.assertEqual(len(self.written), 1)

    def test_what_could_not_be_written_is_written_later(self) -> None:
        self.answers.append(fail(StoreUnavailable("no")))
        self.last.seen("edge", 1.0)
        self.last.seen("relay", 1.0)
        self.clock.advance(30)
        self.last.seen("edge", 2.0)
        self.clock.advance(30)
        self.assertEqual(self.written[1], {"edge": 2.0, "relay": 1.0})

    def test_what_is_seen_while_it_writes_is_written_after(self) -> None:
        answer: Deferred[object] = Deferred()
        self.answers.append(answer)
        self.last.seen("edge", 1.0)
        self.clock.advance(30)
        self.last.seen("edge", 2.0)
        self.assertEqual(self.last.merged(NodeEntry("edge")).lastSeen, 2.0)
        self.clock.advance(60)
        self.assertEqual(len(self.written), 1)
        answer.callback(None)
        self.clock.advance(30)
        self.assertEqual(self.written[1], {"edge": 2.0})

    def test_stopping_writes_what_there_is_and_nothing_after(self) -> None:
        answer: Deferred[object] = Deferred()
        self.answers.append(answer)
        self.last.seen("edge", 1.0)
        self.clock.advance(30)
        self.last.seen("relay", 2.0)
        stopping = self.last.stop()
        self.last.seen("late", 3.0)
        self.assertNoResult(stopping)
        answer.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.written, [{"edge": 1.0}, {"relay": 2.0}])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_does_not_wait_for_what_cannot_be_written(self) -> None:
        self.answers.append(fail(StoreUnavailable("no")))
        self.last.seen("edge", 1.0)
        self.successResultOf(self.last.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
