"""
From measurements of links to what they cost: coarse, and slow to change, so that noise moves no path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import ceil, log
from typing import Final

from attrs import field, frozen

from hermes.control.values import DOWN

STEP: Final = 1.5
"""
One cost is so many times the next lower one.
"""

HYSTERESIS: Final = 0.3
"""
How far into the next step a measurement must reach before the cost changes, as a share of the step.
"""


__all__ = ["DOWN", "HYSTERESIS", "NONE", "STEP", "Measurements", "costOf"]

_LEVELS = [ceil(STEP**level) for level in range(29)]


@frozen
class Measurements:
    """
    What links cost, by the names of their nodes in alphabetical order.
    """

    costs: Mapping[tuple[str, str], int] = field(factory=dict)

    def toText(self) -> str:
        """
        As it is kept with a version: the same costs give the same text.
        """
        return json.dumps({f"{a} {b}": cost for (a, b), cost in sorted(self.costs.items())}) if self.costs else ""

    @classmethod
    def fromText(cls, text: str) -> Measurements:
        """
        From what L{toText} gave.

        @raise ValueError: where it is none.
        """
        if not text:
            return NONE
        found: dict[tuple[str, str], int] = {}
        for names, cost in json.loads(text).items():
            a, _, b = names.partition(" ")
            found[a, b] = int(cost)
        return cls(found)


NONE: Final = Measurements()


def costOf(roundTrip: float, loss: float, before: int | None = None) -> int:
    """
    What a link costs.

    @param roundTrip: in seconds.
    @param loss: the share of what is lost, 0 to 1. A lost packet costs about as much as three more round trips.
    @param before: what it costs now: that stays unless the measurement is clearly another.
    @return: 1 for a tenth of a millisecond or less, and in steps of L{STEP} up to 86,000.
    """
    raw = max(roundTrip, 0.0001) * (1 + 3 * min(max(loss, 0.0), 1.0)) * 10_000
    level = max(log(raw, STEP), 0.0)
    if before in _LEVELS and abs(level - _LEVELS.index(before)) < 0.5 + HYSTERESIS:
        return before
    return _LEVELS[min(round(level), len(_LEVELS) - 1)]
