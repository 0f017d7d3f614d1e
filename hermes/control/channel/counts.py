"""
How often something was refused, by kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping


class Refusals:
    """
    Counts. The kinds are words of ours, so that there are few.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._watchers: list[Callable[[str], object]] = []

    @property
    def counts(self) -> Mapping[str, int]:
        """
        How often, by kind.
        """
        return self._counts

    def add(self, kind: str) -> None:
        """
        Once more.
        """
        self._counts[kind] += 1
        for watcher in self._watchers:
            watcher(kind)

    def watch(self, callback: Callable[[str], object]) -> None:
        """
        Call C{callback} with the kind of each from now on.
        """
        self._watchers.append(callback)
