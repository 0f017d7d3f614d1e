"""
What was measured is remembered for a while.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.forwarder.measurements import Measurements


class MeasurementsTests(SynchronousTestCase):
    """
    L{Measurements}.
    """

    def setUp(self) -> None:
        self.made: list[bytes] = []
        self.measurements: Measurements[list[bytes]] = Measurements(self.make, 10, 3)

    def make(self, prefix: bytes) -> list[bytes]:
        self.made.append(prefix)
        return [prefix]

    def test_itIsTheSameEachTime(self) -> None:
        first = self.measurements.of(b"a", 1)
        self.assertIs(self.measurements.of(b"a", 2), first)
        self.assertEqual(self.made, [b"a"])

    def test_whatIsUsedStays(self) -> None:
        first = self.measurements.of(b"a", 1)
        for now in range(2, 100, 9):
            self.assertIs(self.measurements.of(b"a", now), first)

    def test_whatWasNotUsedIsForgotten(self) -> None:
        self.measurements.of(b"a", 1)
        self.measurements.of(b"b", 5)
        self.measurements.of(b"c", 11.5)
        self.assertEqual(list(self.measurements), [[b"b"], [b"c"]])
        self.measurements.of(b"b", 16)
        self.assertEqual(self.made, [b"a", b"b", b"c", b"b"])

    def test_thereAreNeverTooMany(self) -> None:
        for number in range(100):
            self.measurements.of(b"%d" % number, 1)
        self.assertEqual(list(self.measurements), [[b"97"], [b"98"], [b"99"]])
