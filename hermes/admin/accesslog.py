"""
The access log: a line for each flow and for each HTTP exchange that ended or was refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.admin.entries import describe
from hermes.admin.formats import CommonLines, JSONLines
from hermes.admin.lines import LineWriter
from hermes.interfaces import IFlowObserver, IRequestObserver


@implementer(IFlowObserver, IRequestObserver)
class AccessLog:
    """
    Writes to a file, or to standard output, many lines at once.

    @ivar path: the file, or C{-}.
    """

    def __init__(
        self,
        path: str,
        now: Callable[[], float],
        clock: IReactorTime,
        format: str = "json",
        query: bool = True,
        writer: LineWriter | None = None,
    ) -> None:
        """
        @param path: the file, which is appended to; C{-} is standard output.
        @param now: seconds since 1970.
        @param clock: tells when lines that were gathered are written.
        @param format: C{"json"}, C{"common"} or C{"combined"}.
        @param query: whether the query of a request's path is told.
        @param writer: what lines are written with; one of its own where not given.
        @raise OSError: where it can't be opened.
        """
        self.path = path
        self._now = now
        self._common = None if format == "json" else CommonLines(now, query, format == "combined")
        self._line = JSONLines(now, query).line if self._common is None else self._common.line
        self._writer = LineWriter(path, clock) if writer is None else writer

    def reopen(self) -> None:
        """
        Go on in a new file where the old was moved away (log rotation).
        """
        self._writer.reopen()

    def flush(self) -> None:
        """
        Write what was gathered, now.
        """
        self._writer.flush()

    def close(self) -> None:
        """
        Write what was gathered and close the file.
        """
        self._writer.close()

    # IRequestObserver

    def requestStarted(self, record: Any) -> None:
        pass

    def requestEnded(self, record: Any) -> None:
        self._writer.write(self._line(record))

    # IFlowObserver

    def flowOpened(self, record: Any) -> None:
        pass

    def flowClosed(self, record: Any) -> None:
        self._flow(record, record.error is None or record.connectDuration is not None)

    def flowRefused(self, record: Any) -> None:
        self._flow(record, False)

    def _flow(self, record: Any, opened: bool) -> None:
        if self._common is not None:
            self._writer.write(self._common.flowLine(record, opened))
            return
        entry = describe(record, self._now()) | {"event": "closed" if opened else "refused"}
        self._writer.write(json.dumps(entry) + "\n")
