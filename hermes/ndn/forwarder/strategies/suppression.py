"""
How often the same Interest is sent on (NFD's RetxSuppressionExponential): a consumer may ask again as often as it
likes; upstream it goes again after 10 ms, then 20, then 40, up to every 250.
"""

from __future__ import annotations

from typing import Final

from hermes.ndn.forwarder.pitentry import OutRecord, PITEntry

INITIAL: Final = 0.01
MULTIPLIER: Final = 2.0
MOST: Final = 0.25
"""
Seconds after which an Interest may go again, at first; what this is multiplied with each time; seconds at most.
"""


def pending(entry: PITEntry, now: float) -> bool:
    """
    Whether somebody was asked who may still answer.
    """
    # A generator would cost more than the loop.
    for out in entry.outs.values():  # noqa: SIM110
        if out.nack is None and out.expiry > now:
            return True
    return False


def entrySuppressed(entry: PITEntry, now: float) -> bool:
    """
    Whether an Interest that somebody was asked for is not to be sent again yet, to whomever. If it is, the next will
    have to wait longer.
    """
    interval = entry.interval or INITIAL
    earliest = now - interval
    for out in entry.outs.values():
        if out.sent > earliest:
            return True
    entry.interval = min(interval * MULTIPLIER, MOST)
    return False


def faceSuppressed(out: OutRecord, now: float) -> bool:
    """
    The same for each face by itself.
    """
    interval = out.interval or INITIAL
    if now - out.sent < interval:
        return True
    out.interval = min(interval * MULTIPLIER, MOST)
    return False
