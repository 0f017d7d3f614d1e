"""
Tests for L{hermes.control.agent.measuring}, and for L{hermes.control.loss}.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer
from zope.interface.verify import verifyObject

from hermes.control.agent.measuring import AT_ONCE, DOWN, INTERVAL, LINKS, PATIENCE, PINGS, SAMPLES, LinkMeasurer
from hermes.control.loss import FEW, lossOf
from hermes.control.values import LinkFigure
from hermes.errors import HopUnavailable, ShuttingDown
from hermes.interfaces import IDialer, IHop, IMeasuredHop


@implementer(IMeasuredHop)
@define(eq=False)
class FakeHop:
    """
    Answers as it is told to.

    @ivar trips: the round trip, an error, a L{Deferred}, or a list of them, by address.
    @ivar asked: how often it was asked.
    """

    name: str
    trips: dict[str, Any] = field(factory=dict)
    segments: tuple[int, int] = (0, 0)
    takesExchanges: bool = True
    asked: int = 0
    dialer: Any = None

    @property
    def addresses(self) -> list[str]:
        return list(self.trips)

    def ping(self, address: str) -> Deferred[float]:
        self.asked += 1
        trip = self.trips[address]
        if isinstance(trip, Deferred):
            answer: Deferred[float] = Deferred()

            def passOn(found: float) -> float:
                answer.callback(found)
                return found

            trip.addCallback(passOn)
            return answer
        if isinstance(trip, list):
            trip = trip.pop(0)
        return fail(trip) if isinstance(trip, Exception) else succeed(trip)

    def status(self) -> dict[str, Any]:
        sent, resent = self.segments
        return {"type": "hop", "endpoints": [{"segmentsSent": sent, "segmentsResent": resent}]}

    def through(self, dialer: IDialer) -> IDialer:
        raise NotImplementedError

    def close(self) -> Deferred[None]:
        raise NotImplementedError


class Other:
    """
    An upstream that is no hop.
    """


class MeasuringTests(SynchronousTestCase):
    """
    L{LinkMeasurer}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.relay = FakeHop("relay", {"r:1": 0.02})
        self.upstreams: dict[str, Any] = {"relay": self.relay, "db": Other()}
        self.measurer = LinkMeasurer(self.clock, lambda: self.upstreams)
        self.rounds = 0
        self.measurer.watch(self.measured)
        self.addCleanup(self.measurer.stop)

    def measured(self) -> None:
        """
        One more round.
        """
        self.rounds += 1

    def round(self, *trips: Any) -> LinkFigure | None:
        """
        Rounds in which this is measured; the figure then.
        """
        for trip in trips:
            self.relay.trips["r:1"] = trip
            self.clock.advance(INTERVAL)
        return self.measurer.figures.get("relay")

    def test_theFakeIsAHop(self) -> None:
        verifyObject(IMeasuredHop, self.relay)

    def test_itBeginsAtOnceAndGoesOn(self) -> None:
        self.measurer.start()
        self.assertEqual(self.measurer.figures, {"relay": LinkFigure("relay", 0.02)})
        self.clock.advance(INTERVAL)
        self.assertEqual((self.relay.asked, self.rounds), (2 * PINGS, 2))
        self.measurer.stop()
        self.clock.advance(10 * INTERVAL)
        self.assertEqual(self.relay.asked, 2 * PINGS)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_theShortestOfTheLastCounts(self) -> None:
        """
        A queue on the way that is gone again is not seen; a link that has become slow is.
        """
        self.measurer.start()
        self.assertEqual(self.round(*[0.5] * (SAMPLES - 1), 0.03, 0.5), LinkFigure("relay", 0.03))
        self.assertEqual(self.round(*[0.5] * SAMPLES), LinkFigure("relay", 0.5))
        self.assertEqual(self.round(0.01), LinkFigure("relay", 0.01))

    def test_ofSeveralAtATimeTheShortestCounts(self) -> None:
        self.relay.trips["r:1"] = [0.5, 0.04, 0.3]
        self.measurer.start()
        self.assertEqual(self.measurer.figures, {"relay": LinkFigure("relay", 0.04)})

    def test_aLinkIsDownWhereNothingComesBackTwice(self) -> None:
        self.measurer.start()
        gone = HopUnavailable("refused")
        self.assertEqual(self.round(*[gone] * (DOWN - 1)), LinkFigure("relay", 0.02))
        self.assertEqual(self.round(gone), LinkFigure("relay", None, up=False))
        self.assertEqual(self.round(0.03), LinkFigure("relay", 0.03))

    def test_atFirstItIsTooSoonToSay(self) -> None:
        self.relay.trips["r:1"] = HopUnavailable("refused")
        self.measurer.start()
        self.assertEqual(self.measurer.figures, {})

    def test_whoDoesNotAnswerIsNotWaitedForForEver(self) -> None:
        self.upstreams["other"] = FakeHop("other", {"o:1": 0.01})
        self.relay.trips["r:1"] = Deferred()
        self.measurer.start()
        self.clock.advance(PATIENCE)
        self.assertEqual((self.rounds, list(self.measurer.figures)), (1, ["other"]))

    def test_aRoundThatTakesLongIsNotBegunTwice(self) -> None:
        self.relay.trips = {f"r:{n}": Deferred() for n in range(3)}
        self.measurer.start()
        self.clock.advance(PATIENCE)
        self.clock.advance(PATIENCE)
        self.assertEqual((self.relay.asked, self.rounds), (3, 0))
        self.clock.advance(PATIENCE)
        self.assertEqual(self.rounds, 1)

    def test_theNearestOfItsEndpointsCounts(self) -> None:
        self.relay.trips = {"r:1": HopUnavailable("refused"), "r:2": 0.04, "r:3": 0.03}
        self.measurer.start()
        self.assertEqual(self.measurer.figures, {"relay": LinkFigure("relay", 0.03)})

    def test_whatTCPHasLostIsTold(self) -> None:
        self.relay.segments = 100, 10
        self.measurer.start()
        self.assertEqual(self.measurer.figures["relay"].loss, 0.1)
        self.relay.segments = 200, 10
        self.assertEqual(self.round(0.02), LinkFigure("relay", 0.02, 0.0))

    def test_onlyNodesAreMeasuredAndNotTooMany(self) -> None:
        """
        No proxy of somebody else's, no service, and no upstream that is no hop.
        """
        self.upstreams["foreign"] = FakeHop("foreign", {"f:1": 0.01}, takesExchanges=False)
        hop = Other()
        directlyProvides(hop, IHop)
        self.upstreams["unmeasured"] = hop
        self.measurer.start()
        self.assertEqual(list(self.measurer.figures), ["relay"])
        many = {f"n{n:04}": FakeHop(f"n{n:04}", {"n:1": Deferred()}) for n in range(LINKS + 1)}
        self.upstreams = dict(many)
        self.clock.advance(INTERVAL)
        self.assertEqual(sum(each.asked for each in many.values()), AT_ONCE)
        for each in many.values():
            each.trips["n:1"].callback(0.01)
        self.assertEqual(len(self.measurer.figures), LINKS)

    def test_whatIsNotThereAnyMoreIsForgotten(self) -> None:
        self.measurer.start()
        self.relay.trips["r:1"] = ShuttingDown("another configuration")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.measurer.figures, {"relay": LinkFigure("relay", 0.02)})
        self.upstreams.clear()
        self.clock.advance(INTERVAL)
        self.assertEqual(self.measurer.figures, {})

    def test_whatGoesWrongIsTriedAgain(self) -> None:
        del self.relay.trips["r:1"]
        self.upstreams["relay"] = Other()
        directlyProvides(self.upstreams["relay"], IMeasuredHop)
        self.measurer.start()
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.upstreams["relay"] = self.relay
        self.assertEqual(self.round(0.02), LinkFigure("relay", 0.02))


class LossTests(SynchronousTestCase):
    """
    L{lossOf}.
    """

    def test_itIsOfLateOrWhereFewWereSentOfAll(self) -> None:
        self.assertIsNone(lossOf(0, 0))
        self.assertEqual(lossOf(100, 5), 0.05)
        self.assertEqual(lossOf(100 + FEW, 5, 100, 5), 0)
        self.assertEqual(lossOf(100 + FEW - 1, 5, 100, 5), 5 / (100 + FEW - 1))

    def test_countsThatBeginAnewDoNoHarm(self) -> None:
        self.assertEqual(lossOf(50, 5, 1000, 900), 0.1)
        self.assertEqual(lossOf(50, 99), 1)
