"""
How long to wait before the next try.
"""

from __future__ import annotations

from collections.abc import Callable
from random import random

from attrs import define


@define(eq=False)
class Backoff:
    """
    Twice as long each time, and by chance half of that or all of it: nodes that lost their controller at the same
    moment do not come back at the same moment.

    @ivar first: in seconds.
    @ivar most: in seconds.
    @ivar chance: a number from 0 to 1.
    """

    first: float = 0.5
    most: float = 60.0
    chance: Callable[[], float] = random
    _failures: int = 0

    def next(self) -> float:
        """
        Seconds to wait, after one more failure.
        """
        longest = min(self.most, self.first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return longest * (0.5 + 0.5 * self.chance())

    def reset(self) -> None:
        """
        It went well.
        """
        self._failures = 0
