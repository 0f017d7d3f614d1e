"""
One worker's process, seen from the supervisor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import AF_UNIX, SOCK_STREAM, socketpair
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger, eventFromJSON, globalLogPublisher
from twisted.protocols.amp import AMP
from twisted.python.failure import Failure

from hermes.node import NodeError
from hermes.workers.control import CONTROL_DESCRIPTOR, LOG_DESCRIPTOR, Plan, ReloadNode, StartNode
from hermes.workers.worker import INDEX_VARIABLE

RECORD_SEPARATOR = b"\x1e"
MAX_RECORD = 1 << 20


class Worker(Protocol):
    """
    A worker's process.
    """

    def startNode(self, plan: Plan, sockets: Mapping[str, int]) -> Deferred[str]:
        """
        Start its node; fires with where it listens. Errback with L{NodeError}.

        @param sockets: descriptors to inherit, by the address that they are bound to.
        """

    def reloadNode(self, plan: Plan, sockets: Mapping[str, int]) -> Deferred[str]:
        """
        Reload it; fires with what that changed. Errback with L{NodeError}.
        """

    def terminate(self) -> None:
        """
        Ask it to drain and end.
        """

    def kill(self) -> None:
        """
        End it at once.
        """


class _Control(Factory):
    """
    The supervisor's end of one socket pair.
    """

    noisy = False

    def __init__(self) -> None:
        self.amp = AMP()

    def buildProtocol(self, addr: Any) -> AMP:
        return self.amp


class WorkerProcess(ProcessProtocol):
    """
    Implements L{Worker} with a real process.
    """

    log = Logger()
    transport: Any

    def __init__(self, index: int, amp: AMP, ended: Callable[[str], None]) -> None:
        """
        @param ended: called when the process is gone, with how.
        """
        self._index = index
        self._amp = amp
        self._ended = ended
        self._records = b""

    def startNode(self, plan: Plan, sockets: Mapping[str, int]) -> Deferred[str]:
        return self._call(StartNode, plan, sockets)

    def reloadNode(self, plan: Plan, sockets: Mapping[str, int]) -> Deferred[str]:
        return self._call(ReloadNode, plan, sockets)

    def _call(self, command: type, plan: Plan, sockets: Mapping[str, int]) -> Deferred[str]:
        given = [{"bind": bind, "socket": descriptor} for bind, descriptor in sockets.items()]
        if self._amp.transport is None:
            return fail(NodeError("the process is gone"))

        def failed(failure: Failure) -> None:
            raise NodeError(failure.getErrorMessage() or "the process is gone")

        called: Deferred[Any] = self._amp.callRemote(command, plan=plan.toText(), sockets=given)
        return called.addCallbacks(lambda answer: answer["summary"], failed)

    def terminate(self) -> None:
        self._signal("TERM")

    def kill(self) -> None:
        self._signal("KILL")

    def _signal(self, name: str) -> None:
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(name)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        Its log: JSON, each event after a record separator.
        """
        *records, self._records = (self._records + data).split(b"\n")
        for record in records:
            self._relay(record.strip(RECORD_SEPARATOR + b" "))
        if len(self._records) > MAX_RECORD:
            self._records = b""

    def _relay(self, record: bytes) -> None:
        if not record:
            return
        try:
            event = eventFromJSON(record.decode())
        except ValueError:
            self.log.warn("worker {index}: {text}", index=self._index, text=record.decode("utf-8", "replace"))
            return
        event["log_system"] = f"worker {self._index}"
        globalLogPublisher(event)

    def processEnded(self, reason: Failure) -> None:
        if self._amp.transport is not None:
            self._amp.transport.loseConnection()
        value: Any = reason.value
        if getattr(value, "signal", None):
            how = f"was killed by signal {value.signal}"
        else:
            how = f"exited with status {getattr(value, 'exitCode', None)}"
        self._ended(how)


def launch(reactor: Any, path: str, scheduling: str, index: int, ended: Callable[[str], None]) -> WorkerProcess:
    """
    Start a worker's process.

    @param path: the node's file.
    @param scheduling: when the kernel is to let it run, as its supervisor was told.
    """
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    with ours, theirs:
        ours.setblocking(False)
        control = _Control()
        worker = WorkerProcess(index, control.amp, ended)
        environment = {**os.environ, INDEX_VARIABLE: str(index), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        log = ["--log-format", "json", "--log-file", f"/dev/fd/{LOG_DESCRIPTOR}"]
        reactor.spawnProcess(
            worker,
            sys.executable,
            [sys.executable, "-m", "twisted", *log, "hermes-proxy", "--config", path, "--scheduling", scheduling],
            env=environment,
            childFDs={0: 0, 1: 1, 2: 2, CONTROL_DESCRIPTOR: theirs.fileno(), LOG_DESCRIPTOR: "r"},
        )
        reactor.adoptStreamConnection(ours.fileno(), AF_UNIX, control)
    return worker
