"""
Tests for L{hermes.fabric.alternatives}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import FlowError, HopRefused, HopUnavailable, NoRoute
from hermes.fabric.alternatives import HELD, Alternatives, isBlocked
from hermes.test.fabric.fakedialer import FakeDialer
from hermes.values import Flow, Target


class Receiver:
    """
    Takes a channel, and nothing from it.
    """

    def channelConnected(self, channel: Any) -> None:
        """
        It is there.
        """


FLOW = Flow("tcp", Target("db.hermes", 3306))


class AlternativesTests(SynchronousTestCase):
    """
    Two ways, of which one may be down.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.first, self.second = FakeDialer(self.clock), FakeDialer(self.clock)
        self.dialer = Alternatives([self.first, self.second], self.clock)

    def dialed(self) -> tuple[int, int]:
        """
        How often each way was tried since the last call.
        """
        counts = len(self.first.flows), len(self.second.flows)
        self.first.flows.clear()
        self.second.flows.clear()
        return counts

    def test_theFirstIsTaken(self) -> None:
        """
        As long as it can be had; for streams, datagrams and packets.
        """
        self.successResultOf(self.dialer.connectStream(FLOW, Protocol()))
        receiver: Any = Receiver()
        self.successResultOf(self.dialer.connectDatagrams(FLOW, receiver))
        self.successResultOf(self.dialer.connectPackets(FLOW, receiver))
        self.assertEqual(self.dialed(), (3, 0))

    def test_whereItIsDownTheOtherIsTakenAndForAWhileAtOnce(self) -> None:
        """
        Then it is tried again; what is connected goes on.
        """
        self.first.failures[""] = HopUnavailable("down")
        self.successResultOf(self.dialer.connectStream(FLOW, Protocol()))
        self.assertEqual(self.dialed(), (1, 1))
        self.successResultOf(self.dialer.connectStream(FLOW, Protocol()))
        self.assertEqual(self.dialed(), (0, 1))
        self.clock.advance(HELD)
        del self.first.failures[""]
        self.successResultOf(self.dialer.connectStream(FLOW, Protocol()))
        self.assertEqual(self.dialed(), (1, 0))

    def test_whereBothAreDownTheFirstIsTold(self) -> None:
        """
        Each is tried, whenever it failed last.
        """
        self.first.failures[""] = HopUnavailable("the first is down")
        self.second.failures[""] = HopUnavailable("the second is down")
        for _ in range(2):
            failure = self.failureResultOf(self.dialer.connectStream(FLOW, Protocol()))
            self.assertEqual((str(failure.value), self.dialed()), ("the first is down", (1, 1)))

    def test_whatIsRefusedIsRefused(self) -> None:
        """
        Another way would lead to the same answer, or to one that was not meant.
        """
        for error in (NoRoute("denied"), HopRefused("403", 403), FlowError("the target is down")):
            self.first.failures[""] = error
            self.failureResultOf(self.dialer.connectStream(FLOW, Protocol()))
            self.assertEqual(self.dialed(), (1, 0))

    def test_aLaterHopThatIsDownBlocksTheWayToo(self) -> None:
        """
        If the one before says so: not where the target itself is down.
        """
        self.assertTrue(isBlocked(HopRefused("502", 502, None, "destination_unavailable")))
        self.assertTrue(isBlocked(HopRefused("502", 502, None, "tls_certificate_error")))
        self.assertFalse(isBlocked(HopRefused("502", 502, None, "connection_refused")))
        self.assertFalse(isBlocked(HopRefused("502", 502)))

    def test_cancellingTriesNoOther(self) -> None:
        """
        The client has gone.
        """
        self.first.hold = True
        dialing = self.dialer.connectStream(FLOW, Protocol())
        dialing.addErrback(lambda failure: None)
        dialing.cancel()
        self.assertEqual(self.dialed(), (1, 0))
