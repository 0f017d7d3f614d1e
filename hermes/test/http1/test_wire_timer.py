"""
The one timer of a connection, which is lazy.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.http1.wire import Wire


class TimerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.wire = Wire(self.clock)
        self.fired: list[str] = []

    def start(self, delay: float, name: str = "it") -> None:
        self.wire._startTimer(delay, lambda: self.fired.append(name))

    def pass_(self, seconds: float, *fired: str) -> None:
        """
        Time passes, a little at a time.
        """
        self.clock.pump([0.5] * int(seconds * 2))
        self.assertEqual(self.fired, list(fired))
        self.fired.clear()
        self.assertLessEqual(len(self.clock.getDelayedCalls()), 1)

    def test_itFiresWhenItIsDue(self) -> None:
        self.start(10)
        self.pass_(9.5)
        self.pass_(0.5, "it")
        self.pass_(100)

    def test_itIsNotEarlyThoughItWasStartedAnew(self) -> None:
        self.start(10, "first")
        self.pass_(9)
        self.start(10, "second")
        self.pass_(9.5)
        self.pass_(0.5, "second")
        self.pass_(100)

    def test_norLateWhereItIsDueBeforeThat(self) -> None:
        self.start(10, "first")
        self.pass_(1)
        self.start(2, "second")
        self.pass_(1.5)
        self.pass_(0.5, "second")
        self.pass_(100)

    def test_oneThatWasStoppedDoesNotFire(self) -> None:
        self.start(10)
        self.pass_(5)
        self.wire._stopTimer()
        self.pass_(100)
        self.start(1)
        self.pass_(1, "it")

    def test_oneThatWasStoppedAndStartedAnewFiresOnce(self) -> None:
        self.start(10, "first")
        self.pass_(5)
        self.wire._stopTimer()
        self.pass_(1)
        self.start(10, "second")
        self.pass_(9.5)
        self.pass_(0.5, "second")
        self.pass_(100)

    def test_itMayBeStartedFromWithin(self) -> None:
        self.wire._startTimer(1, lambda: self.start(2, "second"))
        self.pass_(2.5)
        self.pass_(0.5, "second")

    def test_nothingIsLeftOfOneThatIsDropped(self) -> None:
        self.start(10)
        self.wire._dropTimer()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.pass_(100)

    @given(st.lists(st.tuples(st.sampled_from(["start", "stop", "pass"]), st.integers(1, 20)), max_size=30))
    def test_itIsAsIfEachStartHadATimerOfItsOwn(self, steps: list[tuple[str, int]]) -> None:
        self.setUp()
        due: int | None = None
        now = 0
        expected: list[int] = []
        fired: list[float] = []
        for step, number in steps:
            if step == "start":
                due = now + number
                self.wire._startTimer(number, lambda: fired.append(self.clock.seconds() - 1000))
            elif step == "stop":
                due = None
                self.wire._stopTimer()
            else:
                self.clock.pump([1] * number)
                now += number
                if due is not None and due <= now:
                    expected.append(due)
                    due = None
        self.assertEqual(fired, expected)
