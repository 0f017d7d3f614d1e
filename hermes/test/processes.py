"""
Real processes, for tests: C{twistd hermes-proxy}, watched by what it logs.
"""

from __future__ import annotations

import os
import random
import re
import socket
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

PATIENCE = 60.0
"""
Seconds after which a wait fails; on a busy machine a start takes several.
"""


def ports(count: int, kind: int = socket.SOCK_STREAM) -> list[int]:
    """
    Ports of 127.0.0.1 that nobody has, and that the kernel gives to nobody who connects or does not care.
    """
    found: dict[int, socket.socket] = {}
    try:
        while len(found) < count:
            port = random.randrange(20_000, 32_000)
            if port not in found:
                probe = socket.socket(socket.AF_INET, kind)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    probe.close()
                else:
                    found[port] = probe
        return list(found)
    finally:
        for each in found.values():
            each.close()


def freePort(kind: int = socket.SOCK_STREAM) -> int:
    """
    One such port.
    """
    (port,) = ports(1, kind)
    return port


class ProxyProcess(ProcessProtocol):
    """
    One C{twistd -n hermes-proxy}.

    @ivar lines: what it has printed.
    @ivar status: how it exited, a signal that ended it below zero; L{None} before. Told to end by a signal, twistd ends
        by that signal, once it has shut down.
    """

    transport: Any

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.lines: list[str] = []
        self.status: int | None = None
        self._rest = ""
        self._waiting: list[tuple[Callable[[str], bool], Deferred[str], Any]] = []
        self._ends: list[Deferred[int]] = []

    @classmethod
    def start(cls, reactor: Any, config: str, *options: str) -> ProxyProcess:
        """
        Start a proxy.

        @param config: the path of its configuration.
        @param options: for twistd, before its subcommand.
        """
        process = cls(reactor)
        program = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
        command = [sys.executable, "-c", program, "-n", "--pidfile=", *options, "hermes-proxy", "--config", config]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        reactor.spawnProcess(process, sys.executable, command, env=environment)
        return process

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        It printed something.
        """
        *lines, self._rest = (self._rest + data.decode("utf-8", "replace")).split("\n")
        self.lines += lines
        for line in lines:
            for waiting in list(self._waiting):
                wanted, found, timer = waiting
                if wanted(line):
                    self._waiting.remove(waiting)
                    timer.cancel()
                    found.callback(line)

    def printed(self, pattern: str, after: int = 0) -> Deferred[str]:
        """
        Fires with the first line that holds C{pattern}, a regular expression.

        @param after: how many lines to pass over.
        """
        for line in self.lines[after:]:
            if re.search(pattern, line):
                done: Deferred[str] = Deferred()
                done.callback(line)
                return done
        found: Deferred[str] = Deferred()
        timer = self._reactor.callLater(PATIENCE, self._giveUp, found, pattern)
        self._waiting.append((lambda line: re.search(pattern, line) is not None, found, timer))
        return found

    def _giveUp(self, found: Deferred[str], pattern: str) -> None:
        self._waiting = [waiting for waiting in self._waiting if waiting[1] is not found]
        found.errback(AssertionError(f"{pattern!r} was not printed in time, but:\n" + "\n".join(self.lines)))

    def ready(self) -> Deferred[str]:
        """
        Fires once it accepts connections.
        """
        return self.printed(r" is ready: ")

    def signal(self, name: str) -> None:
        """
        Send it a signal: C{"HUP"}.
        """
        self.transport.signalProcess(name)

    def ended(self) -> Deferred[int]:
        """
        Fires with its exit status once it has ended.
        """
        ended: Deferred[int] = Deferred()
        if self.status is not None:
            ended.callback(self.status)
        else:
            self._ends.append(ended)
        return ended

    def stop(self) -> Deferred[int]:
        """
        End it, if it has not.
        """
        if self.status is None:
            self.transport.signalProcess("KILL")
        return self.ended()

    def processEnded(self, reason: Failure) -> None:
        value: Any = reason.value
        if isinstance(value, ProcessDone):
            self.status = 0
        else:
            self.status = value.exitCode if value.signal is None else -value.signal
        waiting, self._waiting = self._waiting, []
        for _, found, timer in waiting:
            timer.cancel()
            found.errback(AssertionError("it has ended:\n" + "\n".join(self.lines)))
        for ended in self._ends:
            ended.callback(self.status)
