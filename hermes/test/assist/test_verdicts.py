"""
Equal questions are asked once, few at once, and their answers are kept for a while.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.fetching import FetchFailed
from hermes.assist.verdicts import Questions, Verdict, VerdictCache
from hermes.errors import Overloaded

YES, NO = Verdict(True), Verdict(False)


class CacheTests(SynchronousTestCase):
    """
    L{VerdictCache}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.cache = VerdictCache(self.clock.seconds, 5.0, 2)

    def test_aVerdictIsKeptForAWhile(self) -> None:
        self.cache.keep("q", NO)
        self.clock.advance(4.9)
        self.assertIs(self.cache.get("q"), NO)
        self.clock.advance(0.2)
        self.assertIsNone(self.cache.get("q"))
        self.assertEqual(len(self.cache), 0)

    def test_onlySoManyAreKept(self) -> None:
        self.cache.keep("a", YES)
        self.cache.keep("b", YES)
        self.cache.get("a")
        self.cache.keep("c", YES)
        self.assertEqual([self.cache.get(each) for each in "abc"], [YES, None, YES])

    def test_someAreNotKept(self) -> None:
        self.cache.keep("q", Verdict(False, lasting=False))
        never = VerdictCache(self.clock.seconds, 0.0, 2)
        never.keep("q", YES)
        self.assertEqual((len(self.cache), len(never)), (0, 0))


class QuestionsTests(SynchronousTestCase):
    """
    L{Questions}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.questions = Questions(VerdictCache(self.clock.seconds, 5.0, 100), atOnce=2, waiting=2)
        self.asked: list[tuple[str, Deferred[Verdict]]] = []
        self.cancelled = 0
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """
        Answer what still waits, and what then begins.
        """
        for _, answer in self.asked:
            if not answer.called:
                answer.callback(NO)

    def ask(self, question: str) -> Deferred[Verdict]:
        return self.questions.ask(question, lambda: self.begin(question))

    def begin(self, question: str) -> Deferred[Verdict]:
        answer: Deferred[Verdict] = Deferred(self.cancel)
        self.asked.append((question, answer))
        return answer

    def cancel(self, answer: Deferred[Verdict]) -> None:
        self.cancelled += 1

    def names(self) -> list[str]:
        return [question for question, _ in self.asked]

    def test_equalQuestionsAreAskedOnce(self) -> None:
        waiting = [self.ask("a") for _ in range(10)]
        self.assertEqual(self.names(), ["a"])
        self.asked[0][1].callback(YES)
        for each in (*waiting, self.ask("a")):
            self.assertIs(self.successResultOf(each), YES)
        self.assertEqual(self.names(), ["a"])
        self.clock.advance(6)
        self.ask("a")
        self.assertEqual(self.names(), ["a", "a"])

    def test_aFailureIsToldToAllAndNotKept(self) -> None:
        waiting = [self.ask("a") for _ in range(3)]
        self.asked[0][1].errback(FetchFailed("down"))
        for each in waiting:
            self.failureResultOf(each, FetchFailed)
        self.ask("a")
        self.assertEqual(self.names(), ["a", "a"])

    def test_fewAreAskedAtOnceAndFewWait(self) -> None:
        waiting = [self.ask(each) for each in "abcd"]
        self.assertEqual(self.names(), ["a", "b"])
        with self.assertRaises(Overloaded):
            self.ask("e")
        # Who asks what somebody waits for already waits with them.
        waiting.append(self.ask("d"))
        for number in range(4):
            self.asked[number][1].callback(YES)
        self.assertEqual(self.names(), ["a", "b", "c", "d"])
        for each in waiting:
            self.successResultOf(each)
        self.assertEqual(len(self.questions), 0)
        for question in "efg":
            self.ask(question)
        self.assertEqual(self.names()[4:], ["e", "f"])

    def test_aQuestionThatNobodyWaitsForIsGivenUp(self) -> None:
        running, other, queued, last = [self.ask(each) for each in "abcd"]
        for each in (queued, running):
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.assertEqual((self.cancelled, self.names()), (1, ["a", "b", "d"]))
        self.asked[2][1].callback(NO)
        self.assertIs(self.successResultOf(last), NO)
        self.assertNoResult(other)
        again = self.ask("a")
        self.asked[3][1].callback(YES)
        self.assertIs(self.successResultOf(again), YES)

    def test_anAnswerThatIsThereAtOnceIsKept(self) -> None:
        self.assertIs(self.successResultOf(self.questions.ask("a", lambda: succeed(YES))), YES)
        self.assertIs(self.successResultOf(self.ask("a")), YES)
        self.assertEqual((self.asked, len(self.questions)), ([], 0))
