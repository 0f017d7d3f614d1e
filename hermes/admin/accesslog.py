"""
The access log: a line of JSON for each flow that ended or was refused.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from twisted.logger import Logger
from zope.interface import implementer

from hermes.interfaces import IFlowObserver
from hermes.values import Target


@implementer(IFlowObserver)
class AccessLog:
    """
    Writes to a file, or to standard output.
    """

    log = Logger()

    def __init__(self, path: str, now: Callable[[], float]) -> None:
        """
        @param path: the file, which is appended to; C{-} is standard output.
        @param now: seconds since 1970.
        @raise OSError: where it can't be opened.
        """
        self.path = path
        self._now = now
        self._failing = False
        self._file: TextIO = self._open()

    def _open(self) -> TextIO:
        if self.path == "-":
            return sys.stdout
        # Line buffered: a line is whole or not there. Nobody else need know who talks to whom.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        return open(descriptor, "w", encoding="utf-8", buffering=1)

    def reopen(self) -> None:
        """
        Go on in a new file where the old was moved away (log rotation).
        """
        if self.path != "-":
            old, self._file = self._file, self._open()
            old.close()

    def flowOpened(self, record: Any) -> None:
        pass

    def flowClosed(self, record: Any) -> None:
        self._write(record, "refused" if record.error and record.connectDuration is None else "closed")

    def flowRefused(self, record: Any) -> None:
        self._write(record, "refused")

    def _write(self, record: Any, event: str) -> None:
        try:
            self._file.write(json.dumps(describe(record, self._now()) | {"event": event}) + "\n")
            self._failing = False
        except OSError as error:
            # Said once: a full disk must not fill the other log.
            if not self._failing:
                self.log.error("the access log {path} can't be written: {error}", path=self.path, error=error)
            self._failing = True


def describe(record: Any, now: float | None = None) -> dict[str, Any]:
    """
    A flow as a JSON object.

    @param record: a L{hermes.fabric.record.FlowRecord}.
    @param now: the time of the entry, seconds since 1970; without it the entry has none.
    """
    flow = record.flow
    entry: dict[str, Any] = {}
    if now is not None:
        entry["time"] = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    entry |= {
        "listener": flow.listener,
        "protocol": flow.protocol,
        "source": str(Target(*flow.source)) if flow.source else None,
        "user": flow.identity.user,
        "node": flow.identity.node,
        "target": str(flow.target),
        "route": record.routeName,
        "upstream": record.upstream,
        "hops": list(record.hops),
        "bytesIn": record.bytesIn,
        "bytesOut": record.bytesOut,
        "connectSeconds": _rounded(record.connectDuration),
        "seconds": _rounded(record.duration),
    }
    if flow.protocol == "udp":
        entry |= {"datagramsIn": record.datagramsIn, "datagramsOut": record.datagramsOut}
        entry["datagramsDropped"] = record.datagramsDropped
    if record.error is not None:
        entry |= {"error": record.error, "proxyStatus": record.proxyStatus}
    return entry


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
