"""
Lines of a log on their way to a file, gathered: one system call for many of them.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

BATCH_SIZE: Final = 65_536
"""
Characters that are gathered at most before they are written.
"""

BATCH_DELAY: Final = 0.1
"""
Seconds that a line waits at most.
"""

RETRY_DELAY: Final = 1.0
"""
Seconds after which a file that can't be written is tried again.
"""

MAX_HELD: Final = 1_048_576
"""
Bytes that are kept, to be tried again, where a file can't be written. What comes then is lost, and counted.
"""

STANDARD_OUTPUT: Final = 1
_FOR_APPENDING: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class LineWriter:
    """
    Appends lines to a file, or to standard output. Several processes may write to the same one: their lines stay whole.

    @ivar path: the file, or C{-}.
    @ivar lost: how many lines were lost since the file could last be written.
    """

    log = Logger()

    def __init__(self, path: str, clock: IReactorTime, descriptor: int = STANDARD_OUTPUT) -> None:
        """
        @param path: the file; C{-} is C{descriptor}.
        @raise OSError: where it can't be opened.
        """
        self.path = path
        self.lost = 0
        self._clock = clock
        self._standard = descriptor
        self._lines: list[str] = []
        self._size = 0
        self._unsent = b""
        self._failing = False
        self._closed = False
        self._timer: IDelayedCall | None = None
        self._descriptor = self._open()

    def _open(self) -> int:
        # Nobody else need know who talks to whom.
        descriptor = self._standard if self.path == "-" else os.open(self.path, _FOR_APPENDING, 0o640)
        # More than this is not written to a pipe in one piece (pipe(7)), and others may write to it too.
        self._piece = 4096 if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else BATCH_SIZE
        return descriptor

    def write(self, line: str) -> None:
        """
        @param line: in ASCII, with its end.
        """
        self._lines.append(line)
        self._size += len(line)
        if self._closed:
            self.flush()
        elif self._timer is None:
            # The first after a silence does not wait.
            self.flush()
            self._rest()
        elif self._size >= BATCH_SIZE:
            self.flush()

    def _rest(self) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(RETRY_DELAY if self._failing else BATCH_DELAY, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._lines or self._unsent:
            self.flush()
            self._rest()

    def flush(self) -> None:
        """
        Write what was gathered, now.
        """
        lines, self._lines, self._size = self._lines, [], 0
        if self._unsent:
            lines = self._kept(lines)
        elif not lines:
            return
        data = self._unsent + "".join(lines).encode("ascii", "backslashreplace")
        try:
            self._unsent = b""
            self._send(data)
        except OSError as error:
            self._failed(error)
        else:
            self._recovered()

    def _kept(self, lines: list[str]) -> list[str]:
        room = MAX_HELD - len(self._unsent)
        for number, line in enumerate(lines):
            room -= len(line)
            if room < 0:
                self.lost += len(lines) - number
                return lines[:number]
        return lines

    def _send(self, data: bytes) -> None:
        """
        @raise OSError: with what was not written in C{_unsent}.
        """
        begin = 0
        descriptor = self._descriptor
        if self._closed and self.path != "-":
            descriptor = os.open(self.path, _FOR_APPENDING, 0o640)
        try:
            while begin < len(data):
                end = begin + self._piece
                if end < len(data):
                    # A piece ends where a line does; one that is longer than a piece has one of its own.
                    end = data.rfind(b"\n", begin, end) + 1 or data.find(b"\n", end) + 1 or len(data)
                begin += os.write(descriptor, data[begin:end])
        except OSError:
            self._unsent = data[begin:]
            raise
        finally:
            if descriptor != self._descriptor:
                os.close(descriptor)

    def _failed(self, error: OSError) -> None:
        # Said once: a full disk must not fill the other log. A pipe that is full for a moment is no failure.
        if not self._failing and not isinstance(error, BlockingIOError):
            self._failing = True
            self.log.error("the access log {path} can't be written: {error}", path=self.path, error=error)
        if not self._closed:
            self._rest()

    def _recovered(self) -> None:
        if self._failing or self.lost:
            lost, self.lost, self._failing = self.lost, 0, False
            self.log.info("the access log {path} is written again; {lost} lines were lost", path=self.path, lost=lost)

    def reopen(self) -> None:
        """
        Go on in a new file where the old was moved away (log rotation). Where that can't be opened, in the old one.
        """
        self.flush()
        if self.path == "-" or self._closed:
            return
        try:
            old, self._descriptor = self._descriptor, self._open()
        except OSError as error:
            self.log.error("the access log {path} can't be opened anew: {error}", path=self.path, error=error)
        else:
            os.close(old)

    def close(self) -> None:
        """
        Write what was gathered and close the file. A line that comes later all the same is written at once.
        """
        if self._closed:
            return
        self.flush()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.path != "-":
            os.close(self._descriptor)
            self._descriptor = -1
