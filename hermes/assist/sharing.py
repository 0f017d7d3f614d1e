"""
One piece of work that many wait for.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """
    Tells its result to each who waits. Who is cancelled waits no more; when nobody does, the work is cancelled.

    @ivar done: whether there is a result.
    """

    def __init__(self, work: Deferred[_T]) -> None:
        self.done = False
        self._work = work
        self._waiting: list[Deferred[_T]] = []
        self._result: Any = None
        work.addBoth(self._finished)

    def wait(self) -> Deferred[_T]:
        """
        The result, now or later.
        """
        waiting: Deferred[_T] = Deferred(self._cancelled)
        if self.done:
            waiting.callback(self._result)
        else:
            self._waiting.append(waiting)
        return waiting

    def _finished(self, result: Any) -> None:
        # A failure is told like a result, and is then theirs to handle.
        self.done = True
        self._result = result
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(result)

    def _cancelled(self, waiting: Deferred[_T]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
            if not self._waiting:
                self._work.cancel()
