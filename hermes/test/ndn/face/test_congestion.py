"""
Tests for L{hermes.ndn.face.congestion}.
"""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.congestion import CongestionMarker


class CongestionMarkerTests(SynchronousTestCase):
    """
    When packets are marked.
    """

    def setUp(self) -> None:
        self.marker = CongestionMarker(threshold=1000, interval=0.1)

    def marks(self, queued: int, start: float, end: float, step: float = 0.001) -> list[float]:
        """
        When it says so, asked every millisecond.
        """
        times = [start + index * step for index in range(round((end - start) / step))]
        return [round(now, 3) for now in times if self.marker.isDue(queued, now)]

    def test_aShortQueueIsNotMarked(self) -> None:
        self.assertEqual(self.marks(1000, 0.0, 5.0), [])

    def test_aLongQueueIsMarkedAfterAnInterval(self) -> None:
        self.assertEqual(self.marks(1001, 0.0, 0.1), [])
        self.assertTrue(self.marker.isDue(1001, 0.1))

    def test_marksComeMoreOftenTheLongerItStays(self) -> None:
        times = self.marks(5000, 0.0, 1.0)
        gaps = [after - before for before, after in pairwise(times)]
        self.assertGreater(len(times), 15)
        self.assertApproximates(gaps[0], 0.1 / 2**0.5, 0.002)
        self.assertApproximates(gaps[8], 0.1 / 10**0.5, 0.002)

    def test_aQueueThatWasShortAgainBeginsAnew(self) -> None:
        self.marks(5000, 0.0, 1.0)
        self.assertFalse(self.marker.isDue(10, 1.0))
        times = self.marks(5000, 1.1, 1.4)
        self.assertApproximates(times[0], 1.2, 0.002)
        self.assertApproximates(times[1] - times[0], 0.1 / 2**0.5, 0.002)
