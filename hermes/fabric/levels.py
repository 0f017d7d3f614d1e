"""
Endpoints by preference: those of a better priority before others, and among them those of one's own zone. A level takes
all there is as long as enough of it is fit, and less the fewer are; what it can't take, the next one gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hermes.fabric.places import Endpoint

ENOUGH: Final = 1 / 1.4
"""
The share of a level's weight that can carry all that is meant for it.
"""


def levels(endpoints: Sequence[Endpoint], zone: str | None) -> list[list[Endpoint]]:
    """
    The endpoints of each level, the best level first.

    @param zone: one's own; L{None} where zones don't matter.
    """
    ordered: dict[tuple[int, bool], list[Endpoint]] = {}
    for endpoint in endpoints:
        away = zone is not None and endpoint.zone != zone
        ordered.setdefault((endpoint.priority, away), []).append(endpoint)
    return [ordered[key] for key in sorted(ordered)]


def shares(byLevel: Sequence[Sequence[Endpoint]], fit: Callable[[Endpoint], bool]) -> list[float]:
    """
    Which part of all flows each level gets, together 1; nothing for any where no endpoint is fit.
    """
    found: list[float] = []
    left = 1.0
    for level in byLevel:
        whole = sum(endpoint.weight for endpoint in level)
        able = sum(endpoint.weight for endpoint in level if fit(endpoint))
        share = min(left, able / whole / ENOUGH)
        found.append(share)
        left -= share
    taken = sum(found)
    return [share / taken for share in found] if taken else found
