"""
Tests for L{hermes.control.agent}: what an agent does with the controller's calls.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from hermes.control.values import READY, Answer, digestOf
from hermes.interfaces.control import IAgentSide
from hermes.test.control.agent.agents import DECIDE, AgentCase


class OrderTests(AgentCase):
    """
    Prepare, commit, confirm, rollback.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start()

    def test_itIsAnAgentSide(self) -> None:
        verifyObject(IAgentSide, self.agent)

    def test_aNewNodeRunsNothing(self) -> None:
        self.assertRuns(None, None, None)
        self.assertEqual(self.runner.history, [])

    def test_whatIsPreparedDoesNotRun(self) -> None:
        self.assertEqual(self.successResultOf(self.prepare(1, b"one")), READY)
        self.assertRuns(None, None, None)
        self.assertEqual((self.agent.state.prepared, self.runner.open), (1, 1))

    def test_whatIsCommittedRunsOnTrial(self) -> None:
        self.run_(1, b"one")
        self.trial(2, b"two", 1)
        self.assertRuns(b"two", 2, 1)
        self.assertIsNone(self.agent.state.prepared)

    def test_whatIsConfirmedStays(self) -> None:
        self.run_(1, b"one")
        self.run_(2, b"two", 1)
        self.clock.advance(10 * DECIDE)
        self.assertRuns(b"two", 2, 2)
        self.assertEqual(self.runner.history, [b"one", b"two"])
        self.assertEqual((self.runner.open, self.clock.getDelayedCalls()), (0, []))

    def test_whatIsRolledBackOnTrialGivesWayToTheVersionBefore(self) -> None:
        self.run_(1, b"one")
        self.trial(2, b"two", 1)
        self.assertEqual(self.successResultOf(self.agent.rollback(2)), READY)
        self.assertRuns(b"one", 1, 1)
        self.clock.advance(DECIDE)
        self.assertEqual(self.runner.history, [b"one", b"two", b"one"])

    def test_theFirstVersionGivesWayToNothing(self) -> None:
        self.trial(1, b"one")
        self.assertEqual(self.successResultOf(self.agent.rollback(1)), READY)
        self.assertRuns(None, None, None)

    def test_nobodyDecides(self) -> None:
        self.run_(1, b"one")
        self.trial(2, b"two", 1)
        self.clock.advance(DECIDE - 0.1)
        self.assertRuns(b"two", 2, 1)
        self.clock.advance(0.1)
        self.assertRuns(b"one", 1, 1)
        self.assertRefused(self.agent.confirm(2), "it runs version 1, not version 2")

    def test_theTrialGoesOnWithoutAController(self) -> None:
        self.run_(1, b"one")
        self.trial(2, b"two", 1)
        self.agent.controllerLost()
        self.clock.advance(DECIDE - 0.1)
        self.assertRuns(b"two", 2, 1)
        self.agent.controllerConnected()
        self.assertEqual(self.successResultOf(self.agent.confirm(2)), READY)
        self.assertRuns(b"two", 2, 2)

    def test_whatIsPreparedIsForgottenWithTheController(self) -> None:
        self.prepare(1, b"one")
        self.agent.controllerLost()
        self.assertEqual((self.agent.state.prepared, self.runner.open), (None, 0))
        self.assertRefused(self.agent.commit(1), "version 1 is not prepared")

    def test_whatIsPreparedIsForgottenInTime(self) -> None:
        self.prepare(1, b"one")
        self.clock.advance(DECIDE)
        self.assertEqual((self.agent.state.prepared, self.runner.open), (None, 0))

    def test_whatIsPreparedIsForgottenWhenItIsRolledBack(self) -> None:
        self.prepare(1, b"one")
        self.assertEqual(self.successResultOf(self.agent.rollback(1)), READY)
        self.assertEqual((self.agent.state.prepared, self.runner.open), (None, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_oneVersionIsPreparedAtMost(self) -> None:
        self.prepare(1, b"one")
        self.assertEqual(self.successResultOf(self.prepare(2, b"two")), READY)
        self.assertEqual((self.agent.state.prepared, self.runner.open), (2, 1))
        self.assertRefused(self.agent.commit(1), "version 2 is prepared, not version 1")
        self.assertEqual(self.successResultOf(self.agent.commit(2)), READY)
        self.assertRuns(b"two", 2, None)

    def test_eachStepMayBeAskedAgain(self) -> None:
        self.run_(1, b"one")
        for asked in (
            lambda: self.prepare(2, b"two", 1),
            lambda: self.agent.commit(2),
            lambda: self.agent.confirm(2),
            lambda: self.agent.rollback(3),
        ):
            for _ in range(2):
                self.assertEqual(self.successResultOf(asked()), READY)
        self.assertEqual(self.successResultOf(self.agent.commit(2)), READY)
        self.assertRuns(b"two", 2, 2)
        self.assertEqual(self.runner.history, [b"one", b"two"])

    def test_askingToPrepareAgainGivesItTimeAgain(self) -> None:
        self.prepare(1, b"one")
        self.clock.advance(DECIDE - 1)
        self.prepare(1, b"one")
        self.clock.advance(DECIDE - 1)
        self.assertEqual(self.agent.state.prepared, 1)

    def test_whatIsRolledBackIsNotWhatWasConfirmed(self) -> None:
        self.run_(1, b"one")
        self.assertEqual(self.successResultOf(self.agent.rollback(1)), READY)
        self.assertRuns(b"one", 1, 1)

    def test_anotherVersionThanTheOneOnTrialIsLeftAlone(self) -> None:
        self.run_(1, b"one")
        self.trial(2, b"two", 1)
        self.assertEqual(self.successResultOf(self.agent.rollback(3)), READY)
        self.assertRefused(self.agent.confirm(3), "it runs version 2, not version 3")
        self.assertRefused(self.agent.commit(3), "version 3 is not prepared")
        self.assertRefused(self.prepare(3, b"three", 1), "it is busy with version 2, which is not decided: try again")
        self.assertRuns(b"two", 2, 1)

    def test_aLowerNumberIsAVersionLikeAnyOther(self) -> None:
        # A store that was restored from a backup counts from there.
        self.run_(7, b"seven")
        self.run_(3, b"three", 7)
        self.restart()
        self.assertRuns(b"three", 3, 3)


class RefusalTests(AgentCase):
    """
    What a node can't take.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.run_(1, b"one")

    def test_itSaysWhatIsWrong(self) -> None:
        self.assertRefused(self.prepare(2, b"refuse", 1), "version 2: listener apps: address already in use")
        self.assertRefused(self.prepare(2, b"unreadable", 1), "version 2: line 1: can't be read")
        self.assertRuns(b"one", 1, 1)
        self.assertEqual(self.runner.open, 0)

    def test_whatDoesNotArriveWholeIsRefused(self) -> None:
        asked = self.agent.prepare(2, 1, b"twp", digestOf(b"two"), DECIDE)
        self.assertRefused(asked, "what arrived is not what was sent: its digest is another")

    def test_aChangeToSomethingElseIsRefused(self) -> None:
        self.assertRefused(self.prepare(3, b"three", 2), "its last good version is 1, not 2")
        self.assertRefused(self.prepare(3, b"three", None), "its last good version is 1, not none")

    def test_whatFailsAtTheSwapLeavesTheOneBefore(self) -> None:
        self.prepare(2, b"break", 1)
        self.assertRefused(self.agent.commit(2), "listener apps: somebody has taken the port")
        self.assertRuns(b"one", 1, 1)
        self.assertEqual((self.runner.open, self.kinds()), (0, ["1.yaml"]))

    def test_nothingThatIsRefusedIsLeftOnDisk(self) -> None:
        self.prepare(2, b"refuse", 1)
        self.assertEqual(self.kinds(), ["1.yaml"])

    def test_whileItGoesBackItTakesNothing(self) -> None:
        self.trial(2, b"two", 1)
        waits: Deferred[None] = Deferred()
        self.runner.slow = [waits]
        back = self.agent.rollback(2)
        self.assertNoResult(back)
        self.assertRefused(self.prepare(3, b"three", 1), "it is busy with version 2, which is not decided: try again")
        again = self.agent.rollback(2)
        waits.callback(None)
        for each in back, again:
            self.assertEqual(self.successResultOf(each), READY)

    def test_aNodeThatEndsTakesNothing(self) -> None:
        self.assertTrue(self.successResultOf(self.agent.drain(5)))
        self.assertTrue(self.agent.state.draining)
        for asked in self.prepare(2, b"two", 1), self.agent.commit(2), self.agent.confirm(1), self.agent.rollback(1):
            self.assertRefused(asked, "the node is shutting down")


class SlowTests(AgentCase):
    """
    Things that take their time, and what comes meanwhile.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.run_(1, b"one")
        self.waits: Deferred[None] = Deferred(lambda _: None)
        self.runner.slow = [self.waits]

    def test_whatIsStillBeingPreparedCanBeTakenBack(self) -> None:
        asked = self.prepare(2, b"two", 1)
        self.assertNoResult(asked)
        self.assertEqual(self.successResultOf(self.agent.rollback(2)), READY)
        self.assertRefused(asked, "it is not wanted any more")
        self.assertEqual((self.agent.state.prepared, self.kinds()), (None, ["1.yaml"]))

    def test_itIsForgottenWithTheController(self) -> None:
        asked = self.prepare(2, b"two", 1)
        self.agent.controllerLost()
        self.assertRefused(asked, "it is not wanted any more")
        self.assertIsNone(self.agent.state.prepared)

    def test_anotherOneTakesItsPlace(self) -> None:
        first, second = self.prepare(2, b"two", 1), self.prepare(3, b"three", 1)
        self.assertRefused(first, "version 3 was to be prepared in its place")
        self.assertEqual(self.successResultOf(second), READY)
        self.assertEqual((self.agent.state.prepared, self.runner.open), (3, 1))

    def test_theSameOneIsBuiltOnce(self) -> None:
        first, second = self.prepare(2, b"two", 1), self.prepare(2, b"two", 1)
        self.assertRefused(self.agent.commit(2), "version 2 is not prepared")
        self.assertRefused(self.agent.confirm(2), "it runs version 1, not version 2")
        self.waits.callback(None)
        for each in first, second:
            self.assertEqual(self.successResultOf(each), READY)
        self.assertEqual(self.runner.open, 1)

    def test_aSwapIsTakenBackAsSoonAsItIsThere(self) -> None:
        self.runner.slow = []
        self.prepare(2, b"two", 1)
        self.runner.slow = [self.waits]
        committing, again = self.agent.commit(2), self.agent.commit(2)
        back = self.agent.rollback(2)
        self.assertRefused(self.agent.confirm(2), "it runs version 1, not version 2")
        self.assertRefused(self.prepare(3, b"three", 1), "it is busy with what it was told before: try again")
        self.agent.controllerLost()
        self.waits.callback(None)
        for each in committing, again, back:
            self.assertEqual(self.successResultOf(each), READY)
        self.assertRuns(b"one", 1, 1)

    def test_aNodeThatEndsAnswersWhoWaits(self) -> None:
        asked = self.prepare(2, b"two", 1)
        self.agent.stop()
        self.assertRefused(asked, "the node is shutting down")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aSwapThatComesTooLateIsNotRun(self) -> None:
        self.runner.slow = []
        self.prepare(2, b"two", 1)
        self.runner.slow = [self.waits]
        asked = self.agent.commit(2)
        self.agent.stop()
        self.assertRefused(asked, "the node is shutting down")
        self.waits.callback(None)
        self.restart()
        self.assertRuns(b"one", 1, 1)


class ToldTests(AgentCase):
    """
    What whoever watches is told.
    """

    def test_eachNewStateIsToldBeforeTheAnswer(self) -> None:
        self.start()
        self.run_(1, b"one")
        told: list[int] = []
        for ask in lambda: self.prepare(2, b"two", 1), lambda: self.agent.commit(2), lambda: self.agent.confirm(2):
            ask().addCallback(lambda answer: told.append(len(self.states)))
        self.assertEqual(
            [(state.runs, state.confirmed, state.prepared) for state in self.states[-3:]],
            [(1, 1, 2), (2, 1, None), (2, 2, None)],
        )
        self.assertEqual(told, [len(self.states) - 2, len(self.states) - 1, len(self.states)])
        self.assertEqual((self.states[0].name, self.states[0].software), ("edge", "1.0"))

    def test_whatChangesByItselfIsToldOnce(self) -> None:
        self.start()
        self.run_(1, b"one")
        self.trial(2, b"two", 1)
        self.clock.advance(0)
        self.states.clear()
        self.clock.advance(DECIDE)
        self.clock.advance(0)
        self.assertEqual([(state.runs, state.confirmed, state.trial) for state in self.states], [(1, 1, False)])

    def test_whoDoesNotWatchAnyMoreIsNotTold(self) -> None:
        stop = self.agent.watch(lambda state: self.fail("told"))
        stop()
        stop()
        self.start()
        self.clock.advance(0)
        self.assertEqual(len(self.states), 1)

    def test_whoFailsDoesNotHoldUpTheOthers(self) -> None:
        self.agent.watch(lambda state: 1 // 0)
        later: list[object] = []
        self.agent.watch(later.append)
        self.start()
        self.clock.advance(0)
        self.assertEqual(len(later), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_statusHealthAndProbesAreTheRunners(self) -> None:
        self.start()
        self.run_(1, b"one")
        self.assertEqual(self.successResultOf(self.agent.status()), {"config": "one"})
        self.runner.opened = 3
        self.assertEqual(self.successResultOf(self.agent.health()).opened, 3)
        self.assertEqual(self.successResultOf(self.agent.probe([])), [])
        self.assertEqual(self.successResultOf(self.agent.logs(5)), [])

    def test_anAnswerIsForWhoAsked(self) -> None:
        self.start()
        asked = self.prepare(1, b"one")
        self.assertIsInstance(self.successResultOf(asked), Answer)
