"""
Passwords that cost time to check, checked beside the reactor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from hermes.errors import Overloaded
from hermes.interfaces import IAuthenticator

AT_ONCE: Final = 2
"""
Checks that go on at once. scrypt needs 16 MiB for each, and a core.
"""

WAITING: Final = 64
"""
Checks that wait.
"""


class PasswordChecker:
    """
    Checks passwords in threads, few at once; the others wait, and not many do.
    """

    def __init__(
        self,
        authenticator: IAuthenticator,
        inThread: Callable[[Callable[[], bool]], Deferred[bool]],
        atOnce: int = AT_ONCE,
        waiting: int = WAITING,
    ) -> None:
        """
        @param inThread: calls in a thread; see L{threadsOf}.
        """
        self._authenticator = authenticator
        self._inThread = inThread
        self._atOnce = atOnce
        self._most = waiting
        self._running = 0
        self._queue: deque[tuple[str, str, Deferred[bool]]] = deque()

    @property
    def waiting(self) -> int:
        """
        How many checks wait or go on.
        """
        return self._running + len(self._queue)

    def check(self, user: str, password: str) -> Deferred[bool]:
        """
        Whether C{password} is C{user}'s.

        @raise Overloaded: where too many wait.
        """
        if len(self._queue) >= self._most:
            raise Overloaded("too many passwords are being checked")
        checked: Deferred[bool] = Deferred(self._cancel)
        self._queue.append((user, password, checked))
        self._next()
        return checked

    def _cancel(self, checked: Deferred[bool]) -> None:
        self._queue = deque(each for each in self._queue if each[2] is not checked)

    def _next(self) -> None:
        while self._queue and self._running < self._atOnce:
            user, password, checked = self._queue.popleft()
            # The one before may have been the same.
            known = self._authenticator.knownPassword(user, password)
            if known is not None:
                checked.callback(known)
                continue
            self._running += 1
            running = self._inThread(lambda u=user, p=password: self._authenticator.authenticatePassword(u, p))  # type: ignore[misc]
            running.addBoth(self._done, checked)

    def _done(self, result: Any, checked: Deferred[bool]) -> None:
        self._running -= 1
        if not checked.called:
            checked.callback(result)
        self._next()


def threadsOf(reactor: Any) -> Callable[[Callable[[], bool]], Deferred[bool]]:
    """
    Calls in threads of C{reactor}.
    """
    return lambda function: deferToThreadPool(reactor, reactor.getThreadPool(), function)
