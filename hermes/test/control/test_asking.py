"""
Tests for L{hermes.control.asking}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.asking import GRACE, Asking, names
from hermes.control.errors import NodeLost
from hermes.control.values import READY, Answer


class AskingTests(SynchronousTestCase):
    """
    Several nodes, asked at once.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.waiting: dict[str, Deferred[Answer]] = {name: Deferred() for name in "abc"}
        self.heard: list[str] = []

    def ask(self, *names: str) -> Deferred[Asking[Answer]]:
        """
        Ask some.
        """
        asking: Asking[Answer] = Asking(
            self.clock, lambda answer: not answer.ready, lambda name, asking: self.heard.append(name)
        )
        return asking.ask({name: lambda name=name: self.waiting[name] for name in names}, 10.0)  # type: ignore[misc]

    def test_itWaitsForAll(self) -> None:
        asked = self.ask("a", "b")
        self.waiting["b"].callback(READY)
        self.assertNoResult(asked)
        self.waiting["a"].callback(READY)
        done = self.successResultOf(asked)
        self.assertEqual((done.answers, done.failures), ({"a": READY, "b": READY}, {}))
        self.assertEqual(self.heard, ["b", "a"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobodyIsAsked(self) -> None:
        self.assertEqual(self.successResultOf(self.ask()).answers, {})

    def test_answersMayBeThereAtOnce(self) -> None:
        self.waiting = {name: succeed(READY) for name in "abc"}
        self.assertEqual(len(self.successResultOf(self.ask("a", "b", "c")).answers), 3)

    def test_whoDoesNotAnswerInTimeHasNot(self) -> None:
        asked = self.ask("a", "b")
        self.waiting["a"].callback(READY)
        self.clock.advance(10.0)
        done = self.successResultOf(asked)
        self.assertEqual(list(done.answers), ["a"])
        self.assertEqual(str(done.failures["b"]), "it did not answer in 10 seconds")

    def test_afterARefusalTheOthersHaveALittleTime(self) -> None:
        asked = self.ask("a", "b", "c")
        self.waiting["a"].callback(Answer.refused("no"))
        self.clock.advance(GRACE / 2)
        self.waiting["b"].callback(Answer.refused("nor I"))
        self.assertNoResult(asked)
        self.clock.advance(GRACE / 2)
        done = self.successResultOf(asked)
        self.assertEqual(sorted(done.answers), ["a", "b"])
        self.assertEqual(str(done.failures["c"]), "it had not answered yet")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whoIsLostHasNotAnswered(self) -> None:
        asked = self.ask("a", "b")
        self.waiting["a"].errback(NodeLost("gone"))
        self.waiting["b"].callback(READY)
        self.assertEqual(str(self.successResultOf(asked).failures["a"]), "gone")

    def test_aMistakeIsAsGoodAsNoAnswer(self) -> None:
        self.waiting["a"] = fail(RuntimeError("oops"))
        self.assertEqual(str(self.successResultOf(self.ask("a")).failures["a"]), "oops")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_whoeverAsksMayWantToKnowNoMore(self) -> None:
        cancelled: list[object] = []
        self.waiting["a"] = Deferred(cancelled.append)
        asked = self.ask("a", "b")
        self.waiting["b"].callback(READY)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(cancelled, [self.waiting["a"]])
        self.assertEqual((self.heard, self.clock.getDelayedCalls()), (["b"], []))

    def test_namesForASentence(self) -> None:
        self.assertEqual(names(["b", "a"]), "a, b")
        self.assertEqual(names("gfedcba", 3), "a, b, c and 4 more")
