"""
Asking many nodes the same, at the same time: bounded by time, and not for longer than it takes to know the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.errors import NodeCallFailed, NodeTimeout

GRACE = 1.0
"""
Seconds that the others have, once one node has refused: so that the operator hears of all that are wrong.
"""

_T = TypeVar("_T")


class Asking(Generic[_T]):
    """
    A question to many nodes.

    @ivar answers: what was answered, by the node's name.
    @ivar failures: the nodes that have not answered, with why.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        ends: Callable[[_T], bool] = lambda answer: False,
        heard: Callable[[str, Asking[_T]], object] = lambda name, asking: None,
    ) -> None:
        """
        @param ends: whether an answer settles it, so that the others are waited for only L{GRACE} more.
        @param heard: called for each answer or failure, with the node's name.
        """
        self.answers: dict[str, _T] = {}
        self.failures: dict[str, NodeCallFailed] = {}
        self._clock = clock
        self._ends = ends
        self._heard = heard
        self._waiting: dict[str, Deferred[Any]] = {}
        self._over = False
        self._grace: IDelayedCall | None = None
        self._finished: Deferred[Asking[_T]] = Deferred(self._cancelled)

    def ask(self, calls: Mapping[str, Callable[[], Deferred[_T]]], timeout: float) -> Deferred[Asking[_T]]:
        """
        Make all calls at once.

        @param calls: by the node's name.
        @param timeout: seconds that each may take.
        @return: fires with this once all have answered, or L{GRACE} after one has answered what settles it. It never
            errbacks. It can be cancelled: then the calls are.
        """
        # All are asked before anybody is heard: an answer may be there at once.
        self._waiting = {name: maybeDeferred(call) for name, call in calls.items()}
        for name, waiting in list(self._waiting.items()):
            waiting.addTimeout(timeout, self._clock, _timedOut)
            waiting.addCallbacks(self._answered, self._failed, (name,), errbackArgs=(name,))
        if not calls:
            self._finish()
        return self._finished

    def _answered(self, answer: _T, name: str) -> None:
        if self._over:
            return
        self.answers[name] = answer
        if self._grace is None and self._ends(answer):
            self._grace = self._clock.callLater(GRACE, self._finish)
        self._hear(name)

    def _failed(self, failure: Failure, name: str) -> None:
        if self._over:
            return
        error = failure.value
        if not isinstance(error, NodeCallFailed):
            self.log.failure("asking {node} failed", failure, node=name)
            error = NodeCallFailed(str(error) or type(error).__name__)
        self.failures[name] = error
        self._hear(name)

    def _hear(self, name: str) -> None:
        del self._waiting[name]
        self._heard(name, self)
        if not self._waiting:
            self._finish()

    def _finish(self) -> None:
        if self._over:
            return
        for name in self._waiting:
            self.failures[name] = NodeTimeout("it had not answered yet")
        self._end()
        self._finished.callback(self)

    def _cancelled(self, _: Deferred[Asking[_T]]) -> None:
        self._end()

    def _end(self) -> None:
        self._over = True
        if self._grace is not None and self._grace.active():
            self._grace.cancel()
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.cancel()


def _timedOut(result: Any, seconds: float) -> Any:
    raise NodeTimeout(f"it did not answer in {seconds:g} seconds")


def names(found: Iterable[str], most: int = 5) -> str:
    """
    Some names, for a sentence.
    """
    every = sorted(found)
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"
