"""
Tests for L{hermes.ndn.app.windows}.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.app.windows import AimdWindow, CubicWindow, FixedWindow, Window


def rounds(window: Window, count: int, roundTrip: float = 0.1, now: float = 0.0) -> float:
    """
    So many round trips, in each of which the whole window is answered; returns the time after them.
    """
    for _ in range(count):
        now += roundTrip
        for _ in range(int(window.size)):
            window.received(now, roundTrip, roundTrip)
    return now


class FixedTests(SynchronousTestCase):
    """
    L{FixedWindow}.
    """

    def test_itStays(self) -> None:
        window = FixedWindow(7)
        rounds(window, 3)
        window.lost(1)
        self.assertEqual(window.size, 7)

    def test_withoutRoomItIsAnError(self) -> None:
        with self.assertRaises(ValueError):
            FixedWindow(0)


class AimdTests(SynchronousTestCase):
    """
    L{AimdWindow}.
    """

    def test_slowStartDoubles(self) -> None:
        window = AimdWindow()
        sizes = [window.size]
        for _ in range(4):
            rounds(window, 1)
            sizes.append(window.size)
        self.assertEqual(sizes, [2, 4, 8, 16, 32])

    def test_thenItGrowsByOneEachRoundTrip(self) -> None:
        window = AimdWindow(initial=10, threshold=10)
        rounds(window, 1)
        self.assertAlmostEqual(window.size, 11)
        rounds(window, 5)
        self.assertApproximates(window.size, 16, 0.5)

    def test_theStepCanBeChosen(self) -> None:
        window = AimdWindow(initial=10, threshold=10, step=2)
        rounds(window, 1)
        self.assertApproximates(window.size, 12, 0.1)

    def test_aLossHalvesAndEndsSlowStart(self) -> None:
        window = AimdWindow(initial=32)
        window.lost(1)
        self.assertEqual(window.size, 16)
        rounds(window, 1)
        self.assertAlmostEqual(window.size, 17)

    def test_itIsNeverLessThanTwo(self) -> None:
        window = AimdWindow(beta=0.1)
        for _ in range(5):
            window.lost(1)
        self.assertEqual(window.size, 2)

    def test_orItBeginsAnew(self) -> None:
        window = AimdWindow(initial=3, resetToInitial=True)
        rounds(window, 3)
        size = window.size
        window.lost(1)
        self.assertEqual(window.size, 3)
        # Slow start up to half of what it was.
        while window.size < size / 2:
            before = window.size
            window.received(1, 0.1, 0.1)
            self.assertEqual(window.size, before + 1)
        before = window.size
        window.received(1, 0.1, 0.1)
        self.assertLess(window.size, before + 1)

    def test_whatCannotWorkIsAnError(self) -> None:
        for options in ({"initial": 0.5}, {"step": 0.0}, {"beta": 0.0}, {"beta": 1.0}):
            with self.assertRaises(ValueError):
                AimdWindow(**options)  # type: ignore[arg-type]
        for options in ({"initial": 0.5}, {"beta": 0.0}, {"beta": 1.0}):
            with self.assertRaises(ValueError):
                CubicWindow(**options)  # type: ignore[arg-type]


class CubicTests(SynchronousTestCase):
    """
    L{CubicWindow}.
    """

    def test_slowStartDoubles(self) -> None:
        window = CubicWindow()
        rounds(window, 4)
        self.assertEqual(window.size, 32)

    def test_aLossTakesThreeTenths(self) -> None:
        window = CubicWindow(initial=100)
        window.lost(0)
        self.assertAlmostEqual(window.size, 70)

    def test_itComesBackToWhereItWasAtTheTimeThatRFC9438Says(self) -> None:
        window = CubicWindow(initial=1000)
        window.lost(0)
        # K = cbrt(1000 * 0.3 / 0.4) = 9.09 seconds. A long round trip keeps AIMD's share below.
        now = rounds(window, 89, now=0.0)
        self.assertLess(window.size, 1000)
        self.assertGreater(window.size, 980)
        middle = window.size
        rounds(window, 4, now=now)
        # The plateau.
        self.assertLess(window.size - middle, 20)

    def test_beyondItGrowsFasterAndFaster(self) -> None:
        window = CubicWindow(initial=1000)
        window.lost(0)
        now = rounds(window, 100, now=0.0)
        sizes = [window.size]
        for _ in range(4):
            now = rounds(window, 20, now=now)
            sizes.append(window.size)
        steps = [after - before for before, after in pairwise(sizes)]
        self.assertEqual(steps, sorted(steps))
        self.assertGreater(steps[-1], 2 * steps[0])

    def test_itIsNeverSlowerThanAIMD(self) -> None:
        # A short round trip and a small window: the cubic function alone would take seconds.
        cubic, aimd = CubicWindow(initial=20), AimdWindow(initial=20)
        cubic.lost(0)
        aimd.lost(0)
        aimd.size = cubic.size
        rounds(cubic, 50, 0.01)
        rounds(aimd, 50, 0.01)
        self.assertGreater(cubic.size, 14 + 50 * 0.5)
        self.assertLess(cubic.size, aimd.size)

    def test_withFastConvergenceTheSecondLossLeavesMore(self) -> None:
        slow, fast = CubicWindow(initial=100), CubicWindow(initial=100, fastConvergence=True)
        for window in (slow, fast):
            window.lost(0)
            window.lost(1)
            rounds(window, 60, now=1.0)
        self.assertLess(fast.size, slow.size)

    def test_aThresholdEndsSlowStartWithoutALoss(self) -> None:
        window = CubicWindow(threshold=16)
        rounds(window, 3)
        self.assertEqual(window.size, 16)
        rounds(window, 1, now=1.0)
        self.assertLess(window.size, 20)

    @given(
        st.sampled_from([AimdWindow, CubicWindow]),
        st.lists(st.tuples(st.booleans(), st.floats(0, 100), st.floats(0, 5)), max_size=60),
    )
    def test_whateverHappensItIsAWindow(
        self, kind: type[AimdWindow] | type[CubicWindow], events: list[tuple[bool, float, float]]
    ) -> None:
        window = kind()
        now = 0.0
        for lost, later, roundTrip in events:
            now += later
            before = window.size
            if lost:
                window.lost(now)
                self.assertLessEqual(window.size, max(before, 2))
            else:
                window.received(now, roundTrip, roundTrip)
                self.assertTrue(before <= window.size <= before + 1)
            self.assertGreaterEqual(window.size, 2)
