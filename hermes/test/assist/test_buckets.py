"""
Buckets give what they promise and no more, and can't be reset by pushing them out.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.buckets import Buckets

RATES = st.floats(0.01, 1000)
BURSTS = st.integers(1, 50)


class BucketTests(SynchronousTestCase):
    """
    L{Buckets}.
    """

    def test_aFullBucketGivesItsBurstAndThenItsRate(self) -> None:
        buckets = Buckets(rate=2.0, burst=3, most=10)
        self.assertEqual([buckets.take("a", 100.0) for _ in range(4)], [0, 0, 0, 0.5])
        self.assertAlmostEqual(buckets.take("a", 100.49), 0.01)
        self.assertEqual(buckets.take("a", 100.5), 0)
        self.assertAlmostEqual(buckets.take("a", 100.5), 0.5)

    def test_eachKeyHasItsOwn(self) -> None:
        buckets = Buckets(1.0, 1, 10)
        self.assertEqual((buckets.take("a", 0.0), buckets.take("b", 0.0)), (0, 0))
        self.assertEqual(buckets.take("a", 0.0), 1.0)

    def test_whatIsRefusedTakesNothing(self) -> None:
        buckets = Buckets(1.0, 2, 10)
        self.assertEqual(buckets.take("a", 0.0, 2), 0)
        for _ in range(100):
            self.assertEqual(buckets.take("a", 0.0), 1.0)
        self.assertEqual(buckets.take("a", 1.0), 0)

    def test_debtsArePaidBeforeAnythingIsGiven(self) -> None:
        buckets = Buckets(10.0, 10, 10)
        self.assertEqual(buckets.owe("a", 0.0, 5), 0)
        self.assertEqual(buckets.owe("a", 0.0, 25), 2.0)
        self.assertEqual(buckets.left("a", 0.0), -20)
        self.assertAlmostEqual(buckets.take("a", 1.0), 1.1)
        self.assertEqual(buckets.owe("a", 2.0, 0), 0)

    def test_waitingTakesNothing(self) -> None:
        buckets = Buckets(1.0, 1, 10)
        self.assertEqual(buckets.wait("a", 0.0), 0)
        self.assertEqual(len(buckets), 0)
        buckets.owe("a", 0.0, 3)
        self.assertEqual(buckets.wait("a", 0.0), 3.0)
        self.assertEqual(buckets.left("b", 0.0), 1)

    def test_bucketsThatAreFullAgainAreForgotten(self) -> None:
        buckets = Buckets(1.0, 1, 1000)
        for number in range(100):
            buckets.take(number, 0.0)
        self.assertEqual(len(buckets), 100)
        for number in range(100, 200):
            buckets.take(number, 10.0)
        self.assertEqual(len(buckets), 100)

    def test_aBucketThatIsPushedOutLeavesWhatItLacks(self) -> None:
        buckets = Buckets(0.001, 5, 2)
        for key in ("greedy", "other"):
            for _ in range(5):
                self.assertEqual(buckets.take(key, 0.0), 0)
        self.assertGreater(buckets.take("third", 0.0), 900)
        self.assertEqual(len(buckets), 2)
        # It was "greedy" that went; it comes back to what "other" has left.
        self.assertGreater(buckets.take("greedy", 0.0), 900)

    def test_whoIsRefusedIsStillInUse(self) -> None:
        buckets = Buckets(0.001, 1, 2)
        buckets.take("hammering", 0.0)
        buckets.take("quiet", 0.0)
        buckets.take("hammering", 0.0)
        buckets.take("new", 500.0)
        self.assertEqual(list(buckets._fullAt), ["hammering", "new"])

    @given(RATES, BURSTS, st.lists(st.tuples(st.floats(0, 10), st.integers(1, 5)), max_size=60))
    def test_inNoTimeMoreIsGivenThanBurstAndRate(self, rate: float, burst: int, steps: list[tuple[float, int]]) -> None:
        buckets = Buckets(rate, burst, 10)
        now = 0.0
        given: list[tuple[float, int]] = []
        for pause, tokens in steps:
            now += pause
            if buckets.take("key", now, tokens) == 0:
                given.append((now, tokens))
        for first in range(len(given)):
            total = 0
            for at, tokens in given[first:]:
                total += tokens
                allowed = burst + rate * (at - given[first][0])
                self.assertLessEqual(total, allowed + 1e-5 * max(rate, 1))

    @given(RATES, BURSTS, st.floats(0, 100))
    def test_whoWaitsAsLongAsToldIsGivenWhatHeAsked(self, rate: float, burst: int, now: float) -> None:
        buckets = Buckets(rate, burst, 10)
        while not (wait := buckets.take("key", now)):
            pass
        self.assertEqual(buckets.take("key", now + wait), 0)

    @given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 0.5)), max_size=200))
    def test_anyNumberOfKeysGetsNoMoreThanTheBucketsThereAre(self, steps: list[tuple[int, float]]) -> None:
        most, burst, rate = 4, 3, 1.0
        buckets = Buckets(rate, burst, most)
        now, given = 0.0, 0
        for key, pause in steps:
            now += pause
            given += buckets.take(key, now) == 0
            self.assertLessEqual(len(buckets), most)
        self.assertLessEqual(given, most * (burst + rate * now) + 1e-6)
