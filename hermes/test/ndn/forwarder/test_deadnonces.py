"""
Nonces are known for a while, and not for ever.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.forwarder.deadnonces import LIFETIME, DeadNonceList


class DeadNonceListTests(SynchronousTestCase):
    """
    L{DeadNonceList}.
    """

    def setUp(self) -> None:
        self.dead = DeadNonceList(100)

    def test_aNonceIsDeadForItsNameOnly(self) -> None:
        self.dead.add(b"a", 1, 50.0)
        self.assertTrue(self.dead.has(b"a", 1, 50.0))
        self.assertFalse(self.dead.has(b"a", 2, 50.0))
        self.assertFalse(self.dead.has(b"b", 1, 50.0))

    def test_itIsKnownForItsLifetimeAndForgottenAfterTwo(self) -> None:
        dead = DeadNonceList(10_000)
        for number in range(200):
            now = 50 + number / 10
            dead.add(b"a", number, now)
            for other in range(number):
                age = (number - other) / 10
                if age < LIFETIME:
                    self.assertTrue(dead.has(b"a", other, now), age)
                if age > 2 * LIFETIME:
                    self.assertFalse(dead.has(b"a", other, now), age)

    def test_itIsForgottenThoughNoOtherComes(self) -> None:
        self.dead.add(b"a", 1, 50.0)
        self.assertTrue(self.dead.has(b"a", 1, 50 + LIFETIME))
        self.assertFalse(self.dead.has(b"a", 1, 50 + 2 * LIFETIME))
        self.dead.add(b"a", 2, 50 + 3 * LIFETIME)
        self.assertFalse(self.dead.has(b"a", 1, 50 + 3 * LIFETIME))
        self.assertEqual(len(self.dead), 1)

    def test_thereAreNeverTooMany(self) -> None:
        for number in range(10_000):
            self.dead.add(b"a", number, 50.0)
            self.assertLessEqual(len(self.dead), 100)
        self.assertTrue(all(self.dead.has(b"a", number, 50.0) for number in range(9_951, 10_000)))
