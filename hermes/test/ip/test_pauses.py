"""
Tests of L{hermes.ip.pauses}.
"""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ip.pauses import AT_FIRST, FIRST, LATER, SOON, SPREAD, WANTED, Pauses


class PausesTests(SynchronousTestCase):
    """
    A hop that can't be reached.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.pauses = Pauses(self.clock, Random(1))

    def tries(self, seconds: float) -> list[float]:
        """
        Fail for so long.

        @return: the pauses.
        """
        until = self.clock.seconds() + seconds
        pauses: list[float] = []
        while self.clock.seconds() < until:
            pauses.append(self.pauses.next())
            self.clock.advance(pauses[-1])
        return pauses

    def within(self, pauses: list[float], expected: float) -> None:
        """
        They are this long, but for chance, and not all the same.
        """
        self.assertGreater(len(pauses), 1)
        for pause in pauses:
            self.assertLessEqual(abs(pause - expected), SPREAD * expected + 1e-9)
        self.assertEqual(len(set(pauses)), len(pauses))

    def test_theyGetLongerAndStayShortForTheFirstMinute(self) -> None:
        """
        So that one whose process starts anew is found within about a second.
        """
        pauses = self.tries(AT_FIRST)
        expected = FIRST
        for pause in pauses[:4]:
            self.assertLessEqual(abs(pause - expected), SPREAD * expected + 1e-9)
            expected *= 2
        self.within(pauses[5:], SOON)

    def test_thenTheyGetLong(self) -> None:
        """
        Up to a bound, however long it takes.
        """
        self.tries(AT_FIRST)
        self.tries(5 * LATER)
        self.within(self.tries(3600), LATER)

    def test_oneThatWasReachedOrHasJustGoneIsTriedSoon(self) -> None:
        """
        However long it was away before.
        """
        self.tries(600)
        self.pauses.reset()
        self.assertLess(self.pauses.next(), 2 * FIRST)
        self.within(self.tries(AT_FIRST - 1)[5:], SOON)

    def test_oneThatIsWantedIsTriedSooner(self) -> None:
        """
        Not at once, or packets would drive it.
        """
        self.tries(600)
        self.pauses.next()
        left = self.pauses.wanted()
        self.assertLessEqual(abs(left - WANTED), SPREAD * WANTED)
        self.clock.advance(2 * WANTED)
        self.assertEqual(self.pauses.wanted(), 0.0)

    def test_nodesThatLostItTogetherComeBackSpread(self) -> None:
        """
        A thousand of them, the moment it is back: in no tenth of a second much more than their share.
        """
        back = 30.0
        tries: list[float] = []
        for seed in range(1000):
            pauses, now = Pauses(Clock(), Random(seed)), 0.0
            while now < back:
                now += pauses.next()
            tries.append(now - back)
        self.assertLess(max(tries), SOON * (1 + SPREAD))
        tenths = [sum(place <= seen * 10 < place + 1 for seen in tries) for place in range(13)]
        self.assertLess(max(tenths), 150)
