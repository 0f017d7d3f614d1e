"""
Who wants to know of changes.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.store.watching import Watchers


class WatchersTests(SynchronousTestCase):
    """
    Who wants to know.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.watchers = Watchers(self.clock)
        self.calls: list[str] = []

    def test_changes_of_one_turn_are_told_once(self) -> None:
        self.watchers.watch(lambda: self.calls.append("versions"), "versions")
        self.watchers.watch(lambda: self.calls.append("nodes"), "nodes")
        for _ in range(5):
            self.watchers.changed(("nodes", "versions"))
        self.assertEqual(self.calls, [])
        self.clock.advance(0)
        self.assertEqual(self.calls, ["versions", "nodes"])

    def test_one_that_ends_another_keeps_it_from_being_called(self) -> None:
        self.watchers.watch(lambda: stop(), "nodes")
        stop = self.watchers.watch(lambda: self.calls.append("never"), "nodes")
        self.watchers.changed(("nodes",))
        self.clock.advance(0)
        self.assertEqual(self.calls, [])

    def test_the_same_callback_may_watch_twice(self) -> None:
        def callback() -> None:
            self.calls.append("x")

        first = self.watchers.watch(callback, "nodes")
        self.watchers.watch(callback, "nodes")
        first()
        first()
        self.watchers.changed(("nodes",))
        self.clock.advance(0)
        self.assertEqual(self.calls, ["x"])

    def test_a_change_that_is_made_while_it_is_told_is_told_too(self) -> None:
        def callback() -> None:
            self.calls.append("x")
            if len(self.calls) < 3:
                self.watchers.changed(("nodes",))

        self.watchers.watch(callback, "nodes")
        self.watchers.changed(("nodes",))
        self.clock.pump([0] * 5)
        self.assertEqual(len(self.calls), 3)

    def test_nobody_is_told_after_the_end(self) -> None:
        self.watchers.watch(lambda: self.calls.append("x"), "nodes")
        self.watchers.changed(("nodes",))
        self.watchers.end()
        self.clock.advance(1)
        self.assertEqual((self.calls, self.clock.getDelayedCalls()), ([], []))
