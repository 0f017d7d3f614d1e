"""
Passwords are checked beside the reactor, few at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred
from twisted.python.threadable import isInIOThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hermes.assist.passwords import PasswordChecker, threadsOf
from hermes.errors import Overloaded
from hermes.users import ScryptCost, Users, UserSecret, hashPassword

reactor: Any = theReactor

CHEAP = ScryptCost(16, 1, 1)


class Threads:
    """
    Calls when it is told to.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[[], bool], Deferred[bool]]] = []

    def __call__(self, function: Callable[[], bool]) -> Deferred[bool]:
        called: Deferred[bool] = Deferred()
        self.calls.append((function, called))
        return called

    def run(self) -> None:
        """
        The call that waits longest.
        """
        function, called = self.calls.pop(0)
        called.callback(function())


class CheckerTests(SynchronousTestCase):
    """
    L{PasswordChecker}.
    """

    def setUp(self) -> None:
        self.users = Users({"bob": UserSecret(password=hashPassword("right", CHEAP))})
        self.threads = Threads()
        self.checker = PasswordChecker(self.users, self.threads, atOnce=2, waiting=3)

    def test_fewAreCheckedAtOnceAndFewWait(self) -> None:
        waiting = [self.checker.check("bob", f"wrong {number}") for number in range(5)]
        self.assertEqual((len(self.threads.calls), self.checker.waiting), (2, 5))
        with self.assertRaises(Overloaded):
            self.checker.check("bob", "right")
        for number, each in enumerate(waiting):
            self.assertNoResult(each)
            self.threads.run()
            self.assertIs(self.successResultOf(each), False, number)
        self.assertEqual(self.checker.waiting, 0)

    def test_theSamePasswordIsCheckedOnce(self) -> None:
        waiting = [self.checker.check("bob", "right") for _ in range(4)]
        self.threads.run()
        for each in (waiting[0], *waiting[2:]):
            self.assertIs(self.successResultOf(each), True)
        self.assertEqual(len(self.threads.calls), 1)
        self.threads.run()
        self.assertIs(self.successResultOf(waiting[1]), True)

    def test_whoLeavesIsNotWaitedFor(self) -> None:
        running, _, leaving = [self.checker.check("bob", str(number)) for number in range(3)]
        for each in (running, leaving):
            each.addErrback(lambda failure: None)
            each.cancel()
        self.threads.run()
        self.threads.run()
        self.assertEqual((self.threads.calls, self.checker.waiting), ([], 0))

    def test_aFailureIsToldAndMakesRoom(self) -> None:
        checked = self.checker.check("bob", "1")
        self.threads.calls.pop()[1].errback(MemoryError())
        self.failureResultOf(checked, MemoryError)
        self.assertEqual(self.checker.waiting, 0)


class ThreadTests(TestCase):
    """
    Real threads.
    """

    async def test_aCheckIsInAThreadAndItsAnswerIsNot(self) -> None:
        seen: list[bool] = []

        def call() -> bool:
            seen.append(isInIOThread())
            return True

        self.assertTrue(await threadsOf(reactor)(call))
        self.assertEqual((seen, isInIOThread()), ([False], True))
