"""
Connections in advance.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionRefusedError

from hermes.test.http2.poolcase import GET, PoolTestCase


class WarmTests(PoolTestCase):
    """
    Connections that are made in advance.
    """

    def test_theyAreMadeOneAfterTheOther(self) -> None:
        self.pool.warm(2)
        self.endpoint.accept()
        self.endpoint.accept()
        self.assertEqual(([], 2, 0), (self.endpoint.attempts, self.pool.size, self.pool.pending))
        self.pool.warm(2)
        self.assertEqual([], self.endpoint.attempts)
        for _ in range(4):
            self.opened()
        self.assertEqual(2, self.pool.size)

    def test_whereOneFailsTheNextRequestTriesAgain(self) -> None:
        self.pool.warm(2)
        self.endpoint.attempts.pop()[1].errback(ConnectionRefusedError())
        self.assertEqual([], self.endpoint.attempts)
        waiting = self.pool.exchange(GET)
        self.endpoint.accept()
        self.successResultOf(waiting)

    def test_closingEndsThem(self) -> None:
        self.pool.warm(3)
        link = self.endpoint.accept()
        self.pool.close()
        self.endpoint.pump()
        self.assertTrue(link.lost)
        self.assertEqual([], self.endpoint.attempts)
