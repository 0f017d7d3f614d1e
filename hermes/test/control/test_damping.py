"""
When a change may be made that nobody has asked for.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.control.damping import LONGEST, SETTLE, Damping


class DampingTests(SynchronousTestCase):
    """
    L{Damping}, where ten seconds pass from one change to the next.
    """

    def setUp(self) -> None:
        self.damping = Damping()
        self.damping.committed(1, 0.0)

    def left(self, now: float, least: float = 10.0) -> float:
        """
        Called for at that time.
        """
        return self.damping.calledFor(now, least)

    def change(self, now: float) -> float:
        """
        One is called for from that time on, and made as soon as it may be.

        @return: after how many seconds.
        """
        left = self.left(now)
        self.damping.made(now + left)
        return left

    def test_itMustBeCalledForForAWhile(self) -> None:
        self.assertEqual(self.left(1000.0), SETTLE)
        self.assertEqual(self.left(1003.0), SETTLE - 3)
        self.damping.notCalledFor()
        self.assertEqual(self.left(1004.0), SETTLE)
        self.assertEqual(self.left(1004.0 + SETTLE), 0)

    def test_aChangeOfSomebodyElseComesFirst(self) -> None:
        self.damping.committed(2, 1000.0)
        self.assertEqual(self.left(1001.0), 9)
        self.damping.committed(2, 1002.0)
        self.assertEqual(self.left(1002.0), 8)
        self.damping.committed(3, 1005.0)
        self.assertEqual(self.left(1006.0), 9)

    def test_eachTakesTwiceAsLongAsTheOneBefore(self) -> None:
        now, waits = 1000.0, []
        for _ in range(4):
            waits.append(self.change(now))
            now += waits[-1]
        self.assertEqual(waits, [SETTLE, 20, 40, 80])

    def test_untilForAsLongAgainNoneWasCalledFor(self) -> None:
        self.change(1000.0)
        made = 1000.0 + SETTLE
        self.assertEqual(self.left(made + 41), SETTLE)
        self.damping.made(made + 41 + SETTLE)
        self.assertEqual(self.left(made + 41 + SETTLE), 20)

    def test_thereIsALongestTime(self) -> None:
        for number in range(100):
            self.damping.made(1000.0 + number)
        self.assertEqual(self.left(1099.0), LONGEST)

    def test_butNotForWhoWantsItLonger(self) -> None:
        self.damping.made(1000.0)
        self.assertEqual(self.left(1000.0, 2 * LONGEST), 2 * LONGEST)

    def test_aNewTimeAsTheLeaderBeginsAnew(self) -> None:
        self.damping.made(1000.0)
        self.damping.made(1000.0)
        self.damping.committed(None, 1001.0)
        self.damping.committed(1, 1002.0)
        self.assertEqual(self.left(1002.0), 10)
