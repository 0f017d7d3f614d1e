"""
What tests of pools stand on.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.http2.handler import EngineSettings
from hermes.http2.pool import Pool, PoolLimits
from hermes.interfaces import IClientExchange
from hermes.test.http2.endpoint import Endpoint
from hermes.values import RequestHead

GET = RequestHead(b"GET", b"http", b"a.example", b"/")
TWO = EngineSettings(maxStreams=2)


class PoolTestCase(SynchronousTestCase):
    """
    A pool of connections to servers that take two streams each.
    """

    limits: PoolLimits | None = None

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint(self.clock, TWO)
        self.pool = Pool(self.endpoint, self.clock, limits=self.limits)

    def tearDown(self) -> None:
        self.pool.abort()
        self.endpoint.pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def opened(self, head: RequestHead = GET) -> IClientExchange:
        """
        An exchange that can be had at once.
        """
        exchange: IClientExchange = self.successResultOf(self.pool.exchange(head))
        self.endpoint.pump()
        return exchange
