"""
Token buckets, one for each of many keys, in bounded memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from attrs import define, field

_FORGIVEN: Final = 1e-6
"""
Seconds: what rounding may cost.
"""


@define(eq=False)
class Buckets:
    """
    Buckets that hold C{burst} tokens each, into which C{rate} flow every second. In any time C{t} one gives at most
    C{burst + rate * t}.

    Of each, only the time is kept at which it will be full again (the generic cell rate algorithm); a bucket that is
    full is the same as none. Where there is no room for a new one, it takes the place of the one that was not used for
    the longest time I{and what that one lacks}: nobody gets a full bucket by pushing their own out.

    @ivar rate: tokens a second.
    @ivar burst: tokens.
    @ivar most: so many buckets that are not full are kept.
    """

    rate: float
    burst: float
    most: int
    _fullAt: OrderedDict[Hashable, float] = field(init=False, factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._fullAt)

    def take(self, key: Hashable, now: float, tokens: float = 1.0) -> float:
        """
        Take C{tokens}, all or none.

        @return: 0 where they were taken; else the seconds until they are there.
        """
        fullAt = max(self._find(key, now), now)
        after = fullAt + tokens / self.rate
        wait = after - now - self.burst / self.rate
        taken = wait <= _FORGIVEN
        self._keep(key, after if taken else fullAt)
        return 0.0 if taken else wait

    def owe(self, key: Hashable, now: float, tokens: float) -> float:
        """
        Take C{tokens}, also those that are not there yet.

        @return: the seconds until what is owed is there.
        """
        after = max(self._find(key, now), now) + tokens / self.rate
        self._keep(key, after)
        return max(0.0, after - now - self.burst / self.rate)

    def wait(self, key: Hashable, now: float, tokens: float = 1.0) -> float:
        """
        The seconds until C{tokens} are there, which are not taken.
        """
        fullAt = self._fullAt.get(key, now)
        wait = max(fullAt, now) + tokens / self.rate - now - self.burst / self.rate
        return wait if wait > _FORGIVEN else 0.0

    def left(self, key: Hashable, now: float) -> float:
        """
        The tokens that are there; below 0 is what is owed.
        """
        return self.burst - max(0.0, self._fullAt.get(key, now) - now) * self.rate

    def _find(self, key: Hashable, now: float) -> float:
        fullAt = self._fullAt.get(key)
        if fullAt is not None:
            return fullAt
        buckets = self._fullAt
        # What is full is forgotten, two for each new one: so those that are not used any more go away.
        for _ in range(2):
            if buckets and next(iter(buckets.values())) <= now:
                buckets.popitem(last=False)
        if len(buckets) >= self.most:
            return buckets.popitem(last=False)[1]
        return now

    def _keep(self, key: Hashable, fullAt: float) -> None:
        self._fullAt[key] = fullAt
        self._fullAt.move_to_end(key)
