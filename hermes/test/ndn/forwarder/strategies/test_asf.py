"""
ASF: each rule by itself.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any, ClassVar

from hermes.ndn.forwarder.strategies.asf import _BROKEN, _UNKNOWN, _WORKS, Path
from hermes.test.ndn.forwarder.forwarding import LATE, NO_ROUTE, FakeFace, ForwardingCase, data, interest, value


class ASFCase(ForwardingCase):
    """
    Three ways to /a.
    """

    strategy = "asf/probing-interval~10000"
    options: ClassVar[dict[str, Any]] = {"random": Random(1)}

    def setUp(self) -> None:
        super().setUp()
        self.consumer, self.first, self.second, self.third = (self.face() for _ in range(4))
        self.upstreams = [self.first, self.second, self.third]
        self.route("/a", *self.upstreams)
        self.number = 0

    def asf(self) -> Any:
        chosen = self.forwarder.strategies.get(b"")
        assert chosen is not None
        return chosen.strategy

    def path(self, face: FakeFace) -> Path:
        """
        What is known of a face.
        """
        namespace = self.asf()._namespaces.of(value("/a"), self.forwarder.now)
        found: Path = namespace.paths[self.forwarder._ports[face.id]]
        return found

    def noProbes(self) -> None:
        """
        Put off the next probe.
        """
        self.asf()._namespaces.of(value("/a"), self.clock.seconds()).probeAt = self.clock.seconds() + 1e6

    def probeNow(self) -> None:
        """
        The next probe is due.
        """
        self.asf()._namespaces.of(value("/a"), self.clock.seconds()).probeAt = self.clock.seconds()

    def express(self, **more: Any) -> str:
        self.number += 1
        name = f"/a/{self.number}"
        self.consumer.express(interest(name, nonce=self.number, **more))
        return name

    def asked(self) -> list[FakeFace]:
        """
        The faces that something was sent to since the last time.
        """
        return [face for face in self.upstreams if face.take()]

    def exchange(self, face: FakeFace, delay: float = 0.01) -> None:
        """
        An Interest that this face answers, and no other is asked.
        """
        self.asked()
        name = self.express()
        self.assertEqual(self.asked(), [face])
        self.pass_(delay)
        face.put(data(name))

    def teach(self, face: FakeFace, trip: float) -> None:
        """
        Let a face have this round trip.
        """
        namespace = self.asf()._namespaces.of(value("/a"), self.clock.seconds())
        port = self.forwarder._ports[face.id]
        path = namespace.paths.setdefault(port, Path(port))
        path.trip.measured(trip)
        path.state = _WORKS
        self.noProbes()


class ForwardingTests(ASFCase):
    """
    Where an Interest goes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.noProbes()

    def test_whileNothingIsKnownToTheCheapest(self) -> None:
        self.express()
        self.assertEqual(self.asked(), [self.first])

    def test_toTheOneThatAnswersSoonest(self) -> None:
        self.teach(self.first, 0.05)
        self.teach(self.second, 0.02)
        self.teach(self.third, 0.03)
        self.express()
        self.assertEqual(self.asked(), [self.second])

    def test_oneThatAnswersComesBeforeOneThatNothingIsKnownOf(self) -> None:
        self.teach(self.third, 3)
        self.express()
        self.assertEqual(self.asked(), [self.third])

    def test_theRoundTripIsMeasured(self) -> None:
        self.exchange(self.first, 0.1)
        path = self.path(self.first)
        self.assertEqual((path.state, round(path.trip.smoothed or 0, 3)), (_WORKS, 0.1))

    def test_aFaceThatDoesNotAnswerThreeTimesIsBrokenAndTheNextIsTried(self) -> None:
        for _ in range(3):
            self.express(lifetime=1500)
            self.assertEqual(self.asked(), [self.first])
            self.pass_(1 + LATE)
        self.assertEqual(self.path(self.first).state, _BROKEN)
        self.express()
        self.assertEqual(self.asked(), [self.second])

    def test_anAnswerInBetweenBeginsTheCountAnew(self) -> None:
        for _ in range(4):
            self.express(lifetime=1500)
            self.pass_(1 + LATE)
            self.asked()
            self.exchange(self.first)
        self.assertEqual((self.path(self.first).state, self.path(self.first).timeouts), (_WORKS, 0))

    def test_aTimeoutComesAfterWhatTheRoundTripSays(self) -> None:
        for _ in range(20):
            self.exchange(self.first, 0.01)
        timeout = self.path(self.first).trip.timeout
        self.assertLess(timeout, 0.25)
        self.express()
        self.pass_(timeout + LATE)
        self.assertEqual(self.path(self.first).timeouts, 1)

    def test_whatIsAnsweredInTimeIsNoTimeout(self) -> None:
        """
        The timer runs on from one Interest to the next.
        """
        for _ in range(300):
            self.exchange(self.first, 0.02)
            self.assertLessEqual(len(self.forwarder._timers), 1)
        self.assertEqual(self.path(self.first).timeouts, 0)
        self.asked()
        name = self.express()
        self.pass_(0.15)
        self.assertEqual(self.path(self.first).timeouts, 0)
        self.first.put(data(name))

    def test_aHundredOnTheWayHaveOneTimer(self) -> None:
        for _ in range(100):
            self.express()
        self.assertEqual(len(self.forwarder._timers), 1)
        self.pass_(1 + LATE)
        self.assertEqual(self.path(self.first).timeouts, 1)

    def test_afterANackTheFaceIsBroken(self) -> None:
        self.express()
        view = self.first.take()[0].view
        self.first.nack(view, NO_ROUTE)
        self.assertEqual([sent.reason for sent in self.consumer.take()], [NO_ROUTE])
        self.express()
        self.assertEqual(self.asked(), [self.second])

    def test_brokenFacesAreTriedWhereThereIsNoOther(self) -> None:
        for face in self.upstreams:
            self.express()
            self.assertEqual(self.asked(), [face])
            self.path(face).state = _BROKEN
        self.express()
        self.assertEqual(self.asked(), [self.first])
        # It answers: it is held to work at once.
        self.first.put(data(f"/a/{self.number}"))
        self.assertEqual(self.path(self.first).state, _WORKS)

    def test_aFaceWhoseLinkIsDownIsTheLastChoice(self) -> None:
        self.teach(self.first, 0.01)
        self.forwarder.faceDown(self.first)
        self.express()
        self.assertEqual(self.asked(), [self.second])
        for face in (self.second, self.third):
            self.forwarder.faceDown(face)
        self.asked()
        self.express()
        self.assertEqual(self.asked(), [self.first])

    def test_sentAgainItGoesToOneThatWasNotAsked(self) -> None:
        self.consumer.express(interest("/a/x", nonce=1))
        for nonce, face in ((2, self.second), (3, self.third), (4, self.first)):
            self.asked()
            self.consumer.express(interest("/a/x", nonce=1000 + nonce))
            self.assertEqual(self.asked(), [])
            self.pass_(0.3)
            self.consumer.express(interest("/a/x", nonce=nonce))
            self.assertEqual(self.asked(), [face])

    def test_reliabilityThatHasGivenUpCountsAsNoAnswerAndTheNextIsAsked(self) -> None:
        for _ in range(3):
            self.express()
            self.forwarder.interestLost(self.first, self.first.take()[-1].view)
            self.assertEqual(self.asked(), [self.second])
        self.assertEqual(self.path(self.first).state, _BROKEN)

    def test_whereALinkGoesDownTheNextIsAskedAndNothingIsHeldAgainstIt(self) -> None:
        self.teach(self.first, 0.01)
        for _ in range(5):
            self.express()
        self.asked()
        self.forwarder.faceDown(self.first)
        self.assertEqual(len(self.second.sent), 5)
        self.pass_(1 + LATE)
        self.assertEqual((self.path(self.first).state, self.path(self.first).timeouts), (_WORKS, 0))
        self.forwarder.faceUp(self.first)
        self.asked()
        self.express()
        self.assertEqual(self.asked(), [self.first])

    def test_theNextIsTheBestNext(self) -> None:
        self.teach(self.first, 0.01)
        self.teach(self.third, 0.02)
        self.express()
        self.forwarder.faceDown(self.first)
        self.assertEqual(self.asked(), [self.first, self.third])

    def test_nothingLeadsThere(self) -> None:
        self.consumer.express(interest("/x/y"))
        self.assertEqual([sent.reason for sent in self.consumer.take()], [NO_ROUTE])
        self.first.express(interest("/only", nonce=1))
        self.assertIdle()

    def test_whatWasMeasuredIsOfOnePrefix(self) -> None:
        self.route("/b", self.first, self.second)
        self.teach(self.second, 0.01)
        self.consumer.express(interest("/b/1"))
        self.assertEqual(self.asked(), [self.first])
        self.assertEqual(self.asf().measured, 2)
        self.assertEqual(self.forwarder.status().measurementsEntries, 2)

    def test_aFaceThatIsGoneIsForgotten(self) -> None:
        self.exchange(self.first)
        self.first.close()
        self.exchange(self.second)
        namespace = self.asf()._namespaces.of(value("/a"), self.clock.seconds())
        self.assertEqual([port.id for port in namespace.paths], [self.second.id])

    def test_whatIsNotUsedIsForgotten(self) -> None:
        self.exchange(self.first)
        self.clock.advance(301)
        self.express()
        self.assertEqual(self.path(self.first).state, _UNKNOWN)

    def test_anAnswerBeforeSendingReturnsLeavesNoTimer(self) -> None:
        self.first.answer = lambda view: self.first.put(data(f"/a/{self.number}"))
        self.express()
        self.assertEqual(self.consumer.took(), [("data", "/a/1")])
        self.assertIsNone(self.path(self.first).waiting)
        self.assertIdle()
        self.pass_(1 + LATE)
        self.assertEqual((len(self.forwarder._timers), self.path(self.first).timeouts), (0, 0))


class ProbingTests(ASFCase):
    """
    When other faces are tried.
    """

    def test_theFirstProbeComesWithinFiveSecondsTheNextAfterTheInterval(self) -> None:
        probes: list[float] = []
        for _ in range(2500):
            self.exchangeOrProbe(probes)
            self.pass_(0.01)
        self.assertLessEqual(probes[0], 5)
        gaps = [later - earlier for earlier, later in pairwise(probes)]
        self.assertTrue(gaps)
        for gap in gaps:
            self.assertTrue(10 <= gap < 10.2, gap)

    def exchangeOrProbe(self, probes: list[float]) -> None:
        name = self.express()
        if len(self.asked()) > 1:
            probes.append(self.clock.seconds() - 1000)
        self.first.put(data(name))

    def test_aProbeIsTheSameInterestWithAnotherNonce(self) -> None:
        self.exchange(self.first)
        self.probeNow()
        self.express()
        (used,), (probe,) = self.first.take(), self.second.take()
        self.assertEqual(used.name, probe.name)
        self.assertNotEqual(used.view.nonce, probe.view.nonce)

    def test_whatNothingIsKnownOfIsProbedFirst(self) -> None:
        self.teach(self.first, 0.01)
        self.teach(self.second, 0.01)
        self.probeNow()
        self.express()
        self.assertEqual(self.asked(), [self.first, self.third])

    def test_betterFacesAreProbedMoreOften(self) -> None:
        for face, trip in zip(self.upstreams, (0.01, 0.02, 0.03), strict=True):
            self.teach(face, trip)
        counts = {self.second: 0, self.third: 0}
        for _ in range(300):
            self.probeNow()
            name = self.express()
            used, probed = self.asked()
            self.assertIs(used, self.first)
            counts[probed] += 1
            self.noProbes()
            self.first.put(data(name))
            self.pass_(0.06)
        # Two to one.
        self.assertTrue(1.4 < counts[self.second] / counts[self.third] < 2.8, counts)

    def test_theAnswerToAProbeIsMeasuredThoughItComesAfterTheOther(self) -> None:
        self.exchange(self.first)
        self.consumer.take()
        self.probeNow()
        name = self.express()
        self.assertEqual(self.asked(), [self.first, self.second])
        self.pass_(0.01)
        self.first.put(data(name))
        self.assertEqual(self.consumer.took(), [("data", name)])
        self.assertEqual(len(self.forwarder.pit), 1)
        self.pass_(0.03)
        self.second.put(data(name))
        self.assertEqual(self.consumer.took(), [])
        self.assertEqual(round(self.path(self.second).trip.smoothed or 0, 3), 0.04)
        self.assertEqual(self.forwarder.counters.unsolicited, 0)
        self.pass_(0.05)
        self.assertIdle()
        self.assertEqual(self.forwarder.counters.satisfied, 2)

    def test_aBetterFaceThatWasProbedIsUsedFromThenOn(self) -> None:
        self.exchange(self.first, 0.05)
        self.probeNow()
        name = self.express()
        self.asked()
        self.pass_(0.02)
        self.second.put(data(name))
        self.express()
        self.assertEqual(self.asked(), [self.second])

    def test_whoeverAsksInTheMeantimeIsAnsweredAsIfNothingWas(self) -> None:
        self.exchange(self.first)
        self.forwarder.cs.admit = False
        self.probeNow()
        name = self.express()
        self.asked()
        self.first.put(data(name))
        other = self.face()
        other.express(interest(name, nonce=99_999))
        self.assertEqual(self.asked(), [self.first])
        self.first.put(data(name))
        self.assertEqual(other.took(), [("data", name)])
        self.assertIdle()

    def test_aProbeWithoutAnAnswerIsATimeoutAndTheInterestIsAnswered(self) -> None:
        self.exchange(self.first)
        self.probeNow()
        name = self.express()
        self.first.put(data(name))
        self.pass_(1 + LATE)
        self.assertEqual(self.path(self.second).timeouts, 1)
        self.assertEqual(self.path(self.first).timeouts, 0)

    def test_aFaceThatIsDownIsNotProbed(self) -> None:
        self.exchange(self.first)
        self.forwarder.faceDown(self.second)
        self.forwarder.faceDown(self.third)
        self.probeNow()
        self.express()
        self.assertEqual(self.asked(), [self.first])

    def test_theOneWhoAsksIsNotProbed(self) -> None:
        self.route("/a", *self.upstreams)
        self.teach(self.first, 0.01)
        self.probeNow()
        self.second.express(interest("/a/z", nonce=5000))
        self.assertEqual(self.asked(), [self.first, self.third])

    def test_aNackForAProbeIsNotTheConsumers(self) -> None:
        self.exchange(self.first)
        self.consumer.take()
        self.probeNow()
        name = self.express()
        self.second.nack(self.second.take()[-1].view, NO_ROUTE)
        self.assertEqual((self.consumer.sent, self.path(self.second).state), ([], _BROKEN))
        self.first.put(data(name))
        self.assertEqual(self.consumer.took(), [("data", name)])
        self.assertIdle()
