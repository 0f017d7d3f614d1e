"""
Tests for L{hermes.ndn.app.slowstart}.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.app.slowstart import SlowStart


def grown(slowStart: SlowStart, rounds: int, roundTrip: Callable[[float], float], size: float = 2.0) -> list[float]:
    """
    The size after each round, in which the whole window is answered after C{roundTrip(size)}.
    """
    sizes = []
    for _ in range(rounds):
        begin = size
        for _ in range(int(begin)):
            size += slowStart.growth(size, roundTrip(begin))
        sizes.append(size)
    return sizes


def queue(base: float, service: float) -> Callable[[float], float]:
    """
    A path with a queue before a link that takes C{service} seconds for a segment.
    """
    return lambda size: max(base, size * service)


class SlowStartTests(SynchronousTestCase):
    """
    L{SlowStart}.
    """

    def test_itDoublesWhileRoundTripsStayAsTheyAre(self) -> None:
        self.assertEqual(grown(SlowStart(), 5, lambda size: 0.05), [4, 8, 16, 32, 64])

    def test_itEndsOnceAQueueFills(self) -> None:
        # 50 ms and 1 ms for a segment: 50 fill the path.
        slowStart = SlowStart()
        sizes = grown(slowStart, 20, queue(0.05, 0.001))
        self.assertEqual(sizes[-1], sizes[-2])
        self.assertEqual(slowStart.threshold, sizes[-1])
        self.assertGreater(sizes[-1], 50)
        self.assertLess(sizes[-1], 400)

    def test_withoutALookItGoesOn(self) -> None:
        sizes = grown(SlowStart(careful=False), 10, queue(0.05, 0.001))
        self.assertEqual(sizes[-1], 2048)

    def test_itGoesOnAsBeforeWhereItWasSomethingElse(self) -> None:
        sizes = iter([0.05] * 14 + [0.2] * 16 + [0.05] * 4000)
        slowStart = SlowStart()
        grownTo = grown(slowStart, 9, lambda size: next(sizes))
        self.assertEqual(slowStart.threshold, float("inf"))
        self.assertLess(grownTo[3], 32)
        self.assertGreater(grownTo[-1], 400)

    def test_aThresholdEndsIt(self) -> None:
        self.assertEqual(grown(SlowStart(threshold=10), 4, lambda size: 0.05)[-1], 10)

    def test_fewRoundTripsSayNothing(self) -> None:
        # Below eight in a round, as RFC 9406 has it.
        times = iter([0.01] * 2 + [0.5] * 4)
        slowStart = SlowStart()
        self.assertEqual(grown(slowStart, 2, lambda size: next(times)), [4, 8])

    @given(st.lists(st.floats(0, 2), max_size=300), st.booleans())
    def test_itNeverShrinksAndNeverMoreThanDoubles(self, roundTrips: list[float], careful: bool) -> None:
        slowStart = SlowStart(careful=careful)
        size, ended = 2.0, False
        for roundTrip in roundTrips:
            growth = slowStart.growth(size, roundTrip)
            self.assertIn(growth, (0.0, 0.25, 1.0))
            ended = ended or not growth
            self.assertEqual(ended, not growth)
            size += growth
