"""
Tests for L{hermes.http.alternatives}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import FlowError, HopUnavailable, NoRoute
from hermes.fabric.alternatives import HELD
from hermes.http.alternatives import AlternativeSender
from hermes.test.http.delivery import FakeSender, request, response


class AlternativeSenderTests(SynchronousTestCase):
    """
    Requests by two ways, of which one may be down.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.first, self.second = FakeSender(), FakeSender()
        self.sender = AlternativeSender([self.first, self.second], self.clock)

    def status(self) -> int:
        """
        Send a request that is answered.
        """
        return self.successResultOf(self.sender.send(request())).head.status

    def test_theFirstIsTaken(self) -> None:
        """
        Whatever it answers.
        """
        self.first.outcomes = [response(200), response(503)]
        self.assertEqual((self.status(), self.status(), len(self.second.sent)), (200, 503, 0))

    def test_whereItIsDownTheOtherIsTakenAndForAWhileAtOnce(self) -> None:
        """
        It is tried again after that.
        """
        self.first.outcomes = [HopUnavailable("down"), response(200)]
        self.second.outcomes = [response(201), response(202)]
        self.assertEqual((self.status(), self.status(), len(self.first.sent)), (201, 202, 1))
        self.clock.advance(HELD)
        self.assertEqual((self.status(), len(self.first.sent)), (200, 2))

    def test_aRequestOfWhichSomethingWasSentIsNotSentTwice(self) -> None:
        """
        Nor one that was refused.
        """
        broken = HopUnavailable("it broke off")
        broken.sent = True
        for error in (broken, NoRoute("denied"), FlowError("the target is down")):
            self.first.outcomes = [error]
            self.assertIs(self.failureResultOf(self.sender.send(request())).value, error)
        self.assertEqual(self.second.sent, [])

    def test_whereAllAreDownTheFirstIsTold(self) -> None:
        """
        Each was tried once.
        """
        first = HopUnavailable("the first")
        self.first.outcomes, self.second.outcomes = [first], [HopUnavailable("the second")]
        self.assertIs(self.failureResultOf(self.sender.send(request())).value, first)
        self.assertEqual((len(self.first.sent), len(self.second.sent)), (1, 1))
