"""
Bytes that have arrived and are not consumed yet.
"""

from __future__ import annotations

import re

from hermes.http1.errors import Malformed
from hermes.values import Buffer

_EMPTY = memoryview(b"")


class Inbox:
    """
    A received buffer is borrowed: what it holds of a body is handed on without a copy, and only what can't be consumed
    now is kept.
    """

    def __init__(self) -> None:
        # At most one of the two holds anything.
        self._view = _EMPTY
        self._partial = bytearray()
        self._searched = 0
        self._borrowed = False

    def __len__(self) -> int:
        return len(self._view) + len(self._partial)

    def add(self, data: Buffer) -> None:
        """
        Append what arrived. It is borrowed until L{settle}.
        """
        if self._partial:
            self._partial += data
        elif self._view:
            self._view = memoryview(bytes(self._view) + bytes(data))
            self._borrowed = False
        else:
            self._view = memoryview(data)
            self._borrowed = True

    def settle(self) -> None:
        """
        Copy what is left, before the lender takes its buffer back.
        """
        if self._borrowed:
            self._view = memoryview(bytes(self._view)) if self._view else _EMPTY
            self._borrowed = False

    def take(self, limit: int) -> memoryview | None:
        """
        Consume up to C{limit} bytes; L{None} where there are none.
        """
        view = self._view
        if not view:
            return None
        if len(view) <= limit:
            self._view = _EMPTY
            return view
        self._view = view[limit:]
        return view[:limit]

    def block(self, end: re.Pattern[bytes], limit: int, status: int = 400) -> bytes | None:
        """
        Consume through the first match of C{end}, or give L{None} where it has not arrived.

        A match of less than three bytes can't end more than it can begin: the search for C{end} resumes three bytes
        before where the last one stopped.

        @raise Malformed: with C{status}, where more than C{limit} bytes come before the end.
        """
        partial = self._partial
        if partial:
            found = end.search(partial, max(0, self._searched - 3))
            if found is None and len(partial) < limit:
                self._searched = len(partial)
                return None
            self._view = memoryview(partial)
            self._partial = bytearray()
            self._searched = 0
            window = bytes(self._view[:limit])
        else:
            window = bytes(self._view[:limit])
            found = end.search(window)
        if found is None or found.end() > limit:
            if len(window) < limit:
                self._partial += window
                self._searched = len(window)
                self._view = _EMPTY
                self._borrowed = False
                return None
            raise Malformed(f"more than {limit} bytes", status)
        stop = found.end()
        self._view = self._view[stop:]
        return window[:stop]

    def head(self, limit: int) -> bytes | None:
        """
        Consume through the first empty line, or give L{None} where that has not arrived.

        @raise Malformed: where more than C{limit} bytes come before it, or a lone LF, which ends nothing.
        """
        partial = self._partial
        if partial:
            start = max(0, self._searched - 3)
            stop = partial.find(b"\r\n\r\n", start, limit)
            if stop < 0 and len(partial) < limit:
                self._checkLines(partial, start)
                self._searched = len(partial)
                return None
            window = bytes(partial[:limit])
            self._view = memoryview(partial)
            self._partial = bytearray()
            self._searched = 0
        else:
            window = bytes(self._view[:limit])
            stop = window.find(b"\r\n\r\n")
        if stop < 0:
            self._checkLines(window, 0)
            if len(window) < limit:
                self._partial += window
                self._searched = len(window)
                self._view = _EMPTY
                self._borrowed = False
                return None
            raise Malformed(f"more than {limit} bytes", 431)
        stop += 4
        self._view = self._view[stop:]
        return window[:stop]

    def _checkLines(self, data: bytes | bytearray, start: int) -> None:
        if data.count(b"\n", start) != data.count(b"\r\n", max(0, start - 1)):
            raise Malformed("a lone LF in the head")

    def rest(self) -> bytes:
        """
        Consume everything.
        """
        data = bytes(self._view) + bytes(self._partial)
        self.clear()
        return data

    def clear(self) -> None:
        """
        Drop everything.
        """
        self._view = _EMPTY
        self._partial = bytearray()
        self._searched = 0
        self._borrowed = False
