"""
The last lines of a process's log, kept for whoever asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from twisted.logger import ILogObserver, LogEvent, formatEventAsClassicLogText
from zope.interface import implementer

LINES = 1000
LINE = 2000
"""
How many lines are kept, and how many characters of each.
"""


@implementer(ILogObserver)
class RecentLog:
    """
    Remembers the last lines; an observer of Twisted's log.
    """

    def __init__(self, lines: int = LINES) -> None:
        """
        @param lines: how many are kept.
        """
        self._lines: deque[str] = deque(maxlen=lines)

    def __call__(self, event: LogEvent) -> None:
        text = formatEventAsClassicLogText(event)
        if text is not None:
            self._lines.append(text.rstrip("\n")[:LINE])

    def lines(self, count: int) -> Sequence[str]:
        """
        The last lines, oldest first, at most C{count}.
        """
        kept = list(self._lines)
        return kept[max(0, len(kept) - count) :] if count > 0 else []
