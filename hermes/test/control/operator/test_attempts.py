"""
Tests for L{hermes.control.operator.attempts}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.operator.attempts import MAX_SOURCES, Attempts


class AttemptsTests(SynchronousTestCase):
    """
    L{Attempts}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.attempts = Attempts(self.clock.seconds, 3, 10)

    def use(self, origin: str) -> int:
        """
        Use what is left.

        @return: how many there were.
        """
        count = 0
        while self.attempts.left(origin):
            self.attempts.add(origin)
            count += 1
        return count

    def test_anAllowanceIsUsedUpAndFillsAgain(self) -> None:
        self.assertEqual(self.use("192.0.2.1"), 3)
        self.assertTrue(1 <= self.attempts.wait("192.0.2.1") <= 11)
        self.clock.advance(self.attempts.wait("192.0.2.1"))
        self.assertEqual(self.use("192.0.2.1"), 1)
        self.clock.advance(3600)
        self.assertEqual(self.use("192.0.2.1"), 3)

    def test_sourcesAreApartAndANetworkOfIPv6IsOne(self) -> None:
        self.use("192.0.2.1")
        self.assertEqual(self.use("192.0.2.2"), 3)
        self.use("2001:db8::1")
        self.assertEqual(self.use("2001:db8::ffff"), 0)
        self.assertEqual(self.use("2001:db8:0:1::1"), 3)
        self.assertEqual(self.use("::ffff:192.0.2.1"), 0)

    def test_sourcesAreBounded(self) -> None:
        for number in range(MAX_SOURCES + 10):
            self.attempts.add(f"x{number}")
        self.assertEqual(len(self.attempts._full), MAX_SOURCES)
