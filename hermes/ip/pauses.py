"""
How long to wait before a hop that can't be reached is tried again.

One that has just gone is back soon, as a rule: its process starts anew. So for a minute it is tried at least every
second or so; then more and more seldom, unless there are packets for it. Each pause is longer or shorter by chance, so
that nodes that have lost the same hop at the same moment do not all come back at the same moment.
"""

from __future__ import annotations

from random import Random
from typing import Final

from attrs import define
from twisted.internet.interfaces import IReactorTime

FIRST: Final = 0.05
"""
Seconds of the first pause; each is twice as long as the one before, up to what follows.
"""

SOON: Final = 1.0
"""
Seconds of the longest pause at first.
"""

AT_FIRST: Final = 60.0
"""
For how many seconds after the first failure that is.
"""

LATER: Final = 15.0
"""
Seconds of the longest pause then.
"""

WANTED: Final = 3.0
"""
Seconds of the longest pause in which a packet for the hop comes.
"""

SPREAD: Final = 0.25
"""
By which part a pause may be longer or shorter.
"""


@define(eq=False)
class Pauses:
    """
    The pauses between tries.

    @ivar clock: tells the time.
    @ivar random: spreads them.
    """

    _clock: IReactorTime
    _random: Random
    _pause: float = FIRST
    _since: float | None = None
    _begun: float = 0.0

    def reset(self) -> None:
        """
        It was reached, or is gone since now.
        """
        self._pause = FIRST
        self._since = None

    def next(self) -> float:
        """
        Seconds to wait, after one more failure.
        """
        now = self._begun = self._clock.seconds()
        if self._since is None:
            self._since = now
        pause = self._pause
        self._pause = min(2 * pause, SOON if now - self._since < AT_FIRST else LATER)
        return pause * self._spread()

    def wanted(self) -> float:
        """
        Seconds that may be left of the pause that L{next} began, as somebody wants the hop now.
        """
        return max(0.0, self._begun + WANTED * self._spread() - self._clock.seconds())

    def _spread(self) -> float:
        return self._random.uniform(1 - SPREAD, 1 + SPREAD)
