"""
Links that go up and down by the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime


class Link(Protocol):
    """
    What can be up and down.
    """

    def up(self) -> None: ...

    def down(self) -> None: ...


class Rotation:
    """
    Of some links, exactly one is up at a time, each for as long, one after the other, and again from the beginning.

    @ivar turn: the index of the one that is up.
    """

    def __init__(
        self,
        clock: IReactorTime,
        links: Sequence[Link],
        period: float,
        turned: Callable[[int], None] | None = None,
    ) -> None:
        """
        @param period: how many seconds each is up.
        @param turned: called with C{turn} after each change.
        """
        self._clock = clock
        self._links = links
        self._period = period
        self._turned = turned
        self._timer: Any = None
        self.turn = 0

    def start(self, turn: int = 0) -> None:
        """
        All but one go down.
        """
        for link in self._links:
            link.down()
        self.turn = turn
        self._raise()

    def stop(self) -> None:
        """
        Leave the links as they are.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _raise(self) -> None:
        self._links[self.turn].up()
        self._timer = self._clock.callLater(self._period, self._next)
        if self._turned is not None:
            self._turned(self.turn)

    def _next(self) -> None:
        self._links[self.turn].down()
        self.turn = (self.turn + 1) % len(self._links)
        self._raise()
