"""
Tests for L{hermes.ndn.face.dialed}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost

from hermes.errors import NoRoute, TargetRefused
from hermes.ndn.face.dialed import (
    FIRST_PAUSE,
    LONGEST_FRUITLESS,
    LONGEST_PAUSE,
    LONGEST_WANTED,
    MAX_KEPT,
    MAX_KEPT_AGE,
    PERSISTS,
    STABLE,
    DialedFace,
)
from hermes.ndn.interfaces import FIRST_FACE
from hermes.test.ndn.face.fakes import Wire, data, interest
from hermes.test.ndn.face.test_table import TableCase


class DialedFaceTests(TableCase):
    """
    A face opens its link, and opens it again.
    """

    def setUp(self) -> None:
        super().setUp()
        self.dials: list[Deferred[Any]] = []
        self.cancelled = 0

    def dial(self) -> Deferred[Any]:
        """
        Wait to be told what becomes of it.
        """

        def cancelled(_: object) -> None:
            self.cancelled += 1

        self.dials.append(Deferred(cancelled))
        return self.dials[-1]

    def face(self, persistency: str = "permanent") -> DialedFace:
        """
        One that is in the table.
        """
        face = DialedFace(self.dial, "udp://far.hermes:6363", persistency=persistency, random=Random(1))
        self.table.add(face)
        return face

    def tearDown(self) -> None:
        self.table.closeAll()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def up(self) -> Wire:
        """
        The last dial succeeds.
        """
        wire = Wire()
        self.dials[-1].callback(wire)
        return wire

    def pauses(self, error: Exception, count: int) -> list[float]:
        """
        How long it waits after each of so many failures.
        """
        found = []
        for _ in range(count):
            before = len(self.dials)
            self.dials[-1].errback(error)
            start = self.clock.seconds()
            while len(self.dials) == before:
                self.clock.advance(0.01)
            found.append(self.clock.seconds() - start)
        return found

    def test_itIsInTheTableBeforeItsLinkIsUp(self) -> None:
        face = self.face()
        self.assertEqual(self.events(), [("created", FIRST_FACE)])
        self.assertFalse(face.up)
        wire = self.up()
        self.assertEqual(self.events(), [("up", FIRST_FACE)])
        face.sendData(data())
        self.assertEqual(wire.take(), [data().wire])

    def test_whatIsSentMeanwhileWaitsForTheLink(self) -> None:
        face = self.face()
        self.dials[-1].errback(TargetRefused("refused"))
        face.sendInterest(interest("/1"))
        face.sendInterest(interest("/2"))
        self.clock.advance(FIRST_PAUSE * 1.3)
        wire = self.up()
        self.assertEqual(wire.take(), [interest("/1").wire, interest("/2").wire])
        self.assertEqual((face.counters.droppedPackets, face.counters.outPackets), (0, 2))

    def test_itDoesNotWaitForLong(self) -> None:
        face = self.face()
        face.sendInterest(interest("/1"))
        self.clock.advance(MAX_KEPT_AGE)
        face.sendInterest(interest("/2"))
        self.assertEqual(self.up().take(), [interest("/2").wire])
        self.assertEqual(face.counters.droppedPackets, 1)

    def test_notMuchWaits(self) -> None:
        face = self.face()
        for _ in range(100):
            face.sendData(data(content=bytes(4000)))
        self.assertLessEqual(sum(map(len, self.up().take())), MAX_KEPT)
        self.assertGreater(face.counters.droppedPackets, 80)

    def test_itTriesAgainEverMoreSeldom(self) -> None:
        face = self.face()
        found = self.pauses(TargetRefused("refused"), 12)
        for index, pause in enumerate(found):
            expected = min(FIRST_PAUSE * 2**index, LONGEST_PAUSE)
            self.assertTrue(0.74 * expected <= pause <= 1.26 * expected + 0.02, (index, pause))
        self.assertEqual(face.problem, "refused")
        self.up()
        self.assertTrue(face.up)
        self.assertEqual(face.problem, "")

    def test_whileSomethingIsSentItTriesMoreOften(self) -> None:
        face = self.face()
        self.pauses(TargetRefused("refused"), 10)
        self.dials[-1].errback(TargetRefused("refused"))
        tried = len(self.dials)
        # A while without anybody who asks counts.
        self.clock.advance(LONGEST_WANTED * 2)
        self.assertEqual(len(self.dials), tried)
        face.sendInterest(interest("/1"))
        self.clock.advance(0)
        self.assertEqual(len(self.dials), tried + 1)
        for number in range(10):
            self.dials[-1].errback(TargetRefused("refused"))
            since = self.clock.seconds()
            while len(self.dials) == tried + 1 + number:
                self.clock.advance(0.1)
                face.sendInterest(interest(f"/{number}"))
                self.clock.advance(0)
            pause = self.clock.seconds() - since
            self.assertTrue(0.7 * LONGEST_WANTED < pause < 1.4 * LONGEST_WANTED, pause)
        # Nobody asks any more.
        self.assertGreater(self.pauses(TargetRefused("refused"), 1)[0], LONGEST_WANTED * 2)
        self.up()

    def test_whatIsSentMakesNoPauseLonger(self) -> None:
        face = self.face()
        self.dials[-1].errback(TargetRefused("refused"))
        face.sendInterest(interest("/1"))
        self.clock.advance(FIRST_PAUSE * 1.3)
        self.assertEqual(len(self.dials), 2)
        self.up()

    def test_aLinkThatIsLostIsOpenedAgain(self) -> None:
        face = self.face()
        wire = self.up()
        self.events()
        self.clock.advance(STABLE)
        wire.lose(ConnectionLost())
        self.assertEqual(self.events(), [("down", FIRST_FACE)])
        self.assertEqual(len(self.dials), 1)
        self.clock.advance(FIRST_PAUSE * 1.3)
        self.assertEqual(len(self.dials), 2)
        self.up()
        self.assertEqual(self.events(), [("up", FIRST_FACE)])
        self.assertIs(self.table.get(FIRST_FACE), face)

    def test_aLinkThatIsLostAtOnceEachTimeIsOpenedEverMoreSeldom(self) -> None:
        self.face()
        for _ in range(8):
            self.up().lose(ConnectionDone())
            before = len(self.dials)
            while len(self.dials) == before:
                self.clock.advance(0.01)
        self.assertGreater(self.clock.seconds(), 3 * LONGEST_FRUITLESS)
        self.assertLess(self.clock.seconds(), 8 * LONGEST_FRUITLESS * 1.3)

    def test_aLinkThatSomethingCameOverIsOpenedSoon(self) -> None:
        self.face()
        for _ in range(8):
            wire = self.up()
            wire.deliver(data().wire)
            wire.lose(ConnectionDone())
            self.clock.advance(FIRST_PAUSE * 1.3)
        self.assertEqual(len(self.dials), 9)

    def test_aPersistentFaceEndsInTheEnd(self) -> None:
        face = self.face("persistent")
        wire = self.up()
        self.clock.advance(1000)
        wire.lose(ConnectionLost())
        start = self.clock.seconds()
        while self.table.get(face.id) is not None:
            if not self.dials[-1].called:
                self.dials[-1].errback(NoRoute("no route"))
            self.clock.advance(0.1)
        self.assertGreaterEqual(self.clock.seconds() - start, PERSISTS)
        self.assertLess(self.clock.seconds() - start, PERSISTS + 1.3 * LONGEST_PAUSE)
        self.assertTrue(face.ended)

    def test_aPermanentOneDoesNot(self) -> None:
        face = self.face()
        start = self.clock.seconds()
        while self.clock.seconds() - start < 3 * PERSISTS:
            if not self.dials[-1].called:
                self.dials[-1].errback(NoRoute("no route"))
            self.clock.advance(0.5)
        self.assertIs(self.table.get(face.id), face)

    def test_itTriesAtOnceWhenSomethingHasChanged(self) -> None:
        face = self.face()
        self.pauses(NoRoute("no route"), 8)
        self.dials[-1].errback(NoRoute("no route"))
        count = len(self.dials)
        face.retry()
        self.assertEqual(len(self.dials), count + 1)
        # Not where it is dialing, or up.
        face.retry()
        self.up()
        face.retry()
        self.assertEqual(len(self.dials), count + 1)

    def test_aFaceThatIsClosedStopsDialing(self) -> None:
        face = self.face()
        face.close()
        self.assertEqual((self.cancelled, len(self.table)), (1, 0))
        self.assertEqual(self.events(), [("created", FIRST_FACE), ("destroyed", FIRST_FACE)])

    def test_aFaceThatIsClosedWhileItWaitsStopsWaiting(self) -> None:
        face = self.face()
        self.dials[-1].errback(NoRoute("no route"))
        face.close()
        self.assertEqual((len(self.table), self.clock.getDelayedCalls()), (0, []))

    def test_aLinkThatComesUpAllTheSameIsEnded(self) -> None:
        late = Wire()
        face = DialedFace(lambda: Deferred(lambda dialing: dialing.callback(late)), "udp://far.hermes:6363")
        self.table.add(face)
        face.close()
        self.assertEqual(late.calls, ["abortChannel"])
        self.assertFalse(face.up)

    def test_aLinkThatIsThereAtOnce(self) -> None:
        wire = Wire()

        def dial() -> Deferred[Any]:
            dialing: Deferred[Any] = Deferred()
            dialing.callback(wire)
            return dialing

        face = self.table.add(DialedFace(dial, "udp://far.hermes:6363"))
        self.assertEqual(self.events(), [("created", FIRST_FACE), ("up", FIRST_FACE)])
        face.close()
        self.assertEqual(wire.calls, ["loseChannel"])

    def test_anErrorThatIsNoneOfOursIsLogged(self) -> None:
        self.face()
        self.pauses(RuntimeError("what"), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
