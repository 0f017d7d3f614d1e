"""
Who wants to know of changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, get_args

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hermes.interfaces.store import Watched

WATCHED: Final[tuple[Watched, ...]] = get_args(Watched)


class Watchers:
    """
    Callbacks. Each is called once for all changes that come in one turn of the clock, and never by whoever tells of a
    change.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._watching: dict[Watched, list[Callable[[], object]]] = {each: [] for each in WATCHED}
        self._changed: set[Watched] = set()
        self._call: IDelayedCall | None = None

    def watch(self, callback: Callable[[], object], what: Watched) -> Callable[[], None]:
        """
        See L{hermes.interfaces.store.IStore.watch}.
        """

        # Somebody may watch twice with the same callback.
        def told() -> object:
            return callback()

        watching = self._watching[what]
        watching.append(told)

        def stop() -> None:
            if told in watching:
                watching.remove(told)

        return stop

    def changed(self, what: Iterable[Watched]) -> None:
        """
        Something has changed, or may have.
        """
        self._changed.update(what)
        if self._changed and self._call is None:
            self._call = self._clock.callLater(0, self._tell)

    def end(self) -> None:
        """
        Nobody is told any more.
        """
        for watching in self._watching.values():
            watching.clear()
        self._changed.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _tell(self) -> None:
        self._call = None
        changed, self._changed = self._changed, set()
        for what in WATCHED:
            if what not in changed:
                continue
            watching = self._watching[what]
            for each in list(watching):
                # One that was called before may have ended this one.
                if each not in watching:
                    continue
                try:
                    each()
                except Exception:
                    self.log.failure("who watches {what} has failed", what=what)
