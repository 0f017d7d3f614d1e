"""
A program that runs, watched by what it says.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure


def program(name: str) -> str:
    """
    The path of a program.

    @raise SkipTest: where it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise SkipTest(f"{name} is not installed")
    return path


class ProcessError(AssertionError):
    """
    A process did not do what a test waited for. The text holds the end of its output.
    """


class Process(ProcessProtocol):
    """
    A program that runs.

    @ivar output: what it has written, standard output and standard error together.
    @ivar stdout: what it has written to standard output.
    @ivar status: its exit status once it has ended; negative: the signal that ended it.
    """

    log = Logger()

    def __init__(self, name: str) -> None:
        self.name = name
        self.output = ""
        self.stdout = b""
        self.status: int | None = None
        self._lines: list[tuple[re.Pattern[str], int, Deferred[re.Match[str]]]] = []
        self._ends: list[Deferred[int]] = []

    @property
    def pid(self) -> int:
        """
        Its process number.
        """
        pid: int | None = self.transport.pid  # type: ignore[union-attr]
        assert pid is not None
        return pid

    def outReceived(self, data: bytes) -> None:
        self.stdout += data
        self._received(data)

    def errReceived(self, data: bytes) -> None:
        self._received(data)

    def _received(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        self.output += text
        # Into the log of the test run: it is what there is to look at when a test fails.
        for line in text.splitlines():
            self.log.info("{name}: {line}", name=self.name, line=line)
        waiting, self._lines = self._lines, []
        for pattern, since, found in waiting:
            self._look(pattern, since, found)

    def _look(self, pattern: re.Pattern[str], since: int, found: Deferred[re.Match[str]]) -> None:
        match = pattern.search(self.output, since)
        if match is not None:
            found.callback(match)
        elif self.status is not None:
            found.errback(ProcessError(f"{self.name} ended before it said {pattern.pattern!r}:\n{self.output[-4000:]}"))
        else:
            self._lines.append((pattern, since, found))

    def processEnded(self, reason: Failure) -> None:
        value: Any = reason.value
        self.status = value.exitCode if value.exitCode is not None else -(value.signal or 0)
        self._received(b"")
        ends, self._ends = self._ends, []
        for end in ends:
            end.callback(self.status)

    def said(self, pattern: str, since: int = 0) -> Deferred[re.Match[str]]:
        """
        Wait until its output matches a regular expression (C{^} and C{$} are those of lines), beginning at C{since}.
        Errback with L{ProcessError} where it ends before.
        """
        found: Deferred[re.Match[str]] = Deferred()
        self._look(re.compile(pattern, re.MULTILINE), since, found)
        return found

    def end(self) -> Deferred[int]:
        """
        Wait until it has ended. Fires with its status.
        """
        end: Deferred[int] = Deferred()
        if self.status is not None:
            end.callback(self.status)
        else:
            self._ends.append(end)
        return end

    def write(self, data: bytes) -> None:
        """
        Write to its standard input.
        """
        self.transport.write(data)  # type: ignore[union-attr]

    def closeInput(self) -> None:
        """
        End its standard input.
        """
        self.transport.closeStdin()  # type: ignore[union-attr]

    def signal(self, number: int) -> None:
        """
        Send it a signal.
        """
        os.kill(self.pid, number)

    def kill(self) -> Deferred[int]:
        """
        End it at once, and wait for that.
        """
        if self.status is None:
            self.signal(signal.SIGKILL)
        return self.end()

    def residentBytes(self) -> int:
        """
        How much memory it has.
        """
        return self._memory("VmRSS:")

    def peakBytes(self) -> int:
        """
        The most memory that it ever had.
        """
        return self._memory("VmHWM:")

    def _memory(self, key: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
        raise ProcessError(f"{self.name} has no memory any more")
