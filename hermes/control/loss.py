"""
How much of what is sent over TCP is lost, by what the kernel counts.
"""

from __future__ import annotations

from typing import Final

FEW: Final = 20
"""
Fewer segments than this say nothing of how many are lost.
"""


def lossOf(segments: float, resent: float, segmentsBefore: float = 0, resentBefore: float = 0) -> float | None:
    """
    The share of segments that were lost: of those since the last time, or where they are few, of all; L{None} where
    there are none. Counts that have begun anew since, with another connection, do no harm.

    @param segments: with data that were sent, so far, those that were sent again included.
    @param resent: those that were sent again.
    @param segmentsBefore: as it was the last time.
    @param resentBefore: likewise.
    """
    lately, again = segments - segmentsBefore, resent - resentBefore
    if lately < FEW or not 0 <= again <= lately:
        lately, again = segments, min(resent, segments)
    return again / lately if lately else None
