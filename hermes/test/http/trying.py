"""
Requests that are tried, in memory.
"""

from __future__ import annotations

from random import Random
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.http.retry import REASONS, Backoff, RetryPolicy
from hermes.http.tries import Permit, Tries
from hermes.messages import Request, Response
from hermes.test.http.delivery import FakeSender, Steered

POLICY: dict[str, Any] = {"reasons": REASONS, "tries": 3, "backoff": Backoff(1.0, 4.0)}


class Trying(SynchronousTestCase):
    """
    A sender that answers as it is told, a clock, and delays that are as long as they may be.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.sender = FakeSender()
        self.permit: Permit | None = None

    def send(self, asked: Request, **policy: Any) -> Deferred[Response]:
        tries = Tries(
            self.sender,
            RetryPolicy(**{**POLICY, **policy}),
            self.clock,
            cast(Random, Steered()),
            self.permit,
            asked,
        )
        return tries.begin()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [], "a timer is left")
