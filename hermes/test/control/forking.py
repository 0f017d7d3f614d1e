"""
Processes that begin with everything imported: one process imports it, once, and forks for each that is wanted. What
runs is what C{twistd} would run, in a process of its own, that can be killed; it only begins a second earlier.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from hermes.test.control.processes import environment
from hermes.test.processes import ProxyProcess

TOLD = "\0"
"""
What a line begins with that is not the process's own, but says something of it.
"""

_PROGRAM = "import sys; from hermes.test.control.forking import serve; serve(int(sys.argv[1]))"

# In the process that forks


def dieTogether() -> None:
    """
    This process ends with the one that has started it (PR_SET_PDEATHSIG).
    """
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def serve(listening: int) -> None:
    """
    Fork for whoever connects: it sends a line of JSON, the environment and C{twistd}'s arguments. It is told the
    process's id, reads what the process prints, and is told how it has ended.

    @param listening: the descriptor of a Unix socket that listens.
    """
    from hermes.test.control.killable import run

    assert "twisted.internet.reactor" not in sys.modules, "each process is to have its own"
    dieTogether()
    listener = socket.socket(fileno=listening)
    waking, woken = socket.socketpair()
    for each in (waking, woken):
        each.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(waking.fileno())
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    running: dict[int, socket.socket] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is woken:
                woken.recv(4096)
                _buried(running)
                continue
            asking, _ = listener.accept()
            asked = json.loads(asking.makefile("rb").readline())
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGINT):
                    signal.signal(number, signal.SIG_DFL)
                dieTogether()
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                for descriptor in (1, 2):
                    os.dup2(asking.fileno(), descriptor)
                selector.close()
                for each in (listener, waking, woken, asking, *running.values()):
                    each.close()
                _be(run, asked["environment"], asked["arguments"])
            running[child] = asking
            _say(asking, f"pid {child}")


def _be(run: Callable[[], None], given: Mapping[str, str], arguments: Sequence[str]) -> None:
    """
    Be that process, to its end.
    """
    status = 1
    try:
        os.environ.clear()
        os.environ.update(given)
        sys.argv[:] = ["twistd", *arguments]
        run()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _buried(running: dict[int, socket.socket]) -> None:
    """
    Tell of those that have ended.
    """
    for child, asking in list(running.items()):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            del running[child]
            _say(asking, f"status {os.waitstatus_to_exitcode(status)}")
            asking.close()


def _say(asking: socket.socket, text: str) -> None:
    with suppress(OSError):
        # It may be that nobody listens any more.
        asking.sendall(f"\n{TOLD}{text}\n".encode())


# In the test's


@cache
def _server() -> str:
    """
    The one of this process, started when it is first wanted.

    @return: the path of its socket.
    """
    directory = mkdtemp()
    atexit.register(rmtree, directory, ignore_errors=True)
    path = os.path.join(directory, "fork")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        descriptor = listener.fileno()
        server = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(descriptor)],
            env=environment(),
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
        )
    atexit.register(server.wait)
    atexit.register(server.kill)
    return path


class _Forked(ProxyProcess):
    """
    One process; it is its own transport.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self.pid = 0
        self.transport = self

    def signalProcess(self, name: str) -> None:
        """
        As L{twisted.internet.interfaces.IProcessTransport} does.
        """
        if self.status is None:
            os.kill(self.pid, getattr(signal, f"SIG{name}"))


class _Ended(Exception):
    """
    How a process has ended.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.exitCode = status if status >= 0 else None
        self.signal = -status if status < 0 else None


class _Output(Protocol):
    """
    What a process prints, and what is said of it.
    """

    def __init__(self, process: _Forked) -> None:
        self._process = process
        self._data = b""
        self._status = -int(signal.SIGKILL)

    def dataReceived(self, data: bytes) -> None:
        *lines, self._data = (self._data + data).split(b"\n")
        for line in lines:
            if line.startswith(TOLD.encode()):
                word, number = line[1:].split()
                assert word == b"status"
                self._status = int(number)
            elif line:
                self._process.childDataReceived(1, line + b"\n")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._process.processEnded(Failure(_Ended(self._status)))


def fork(reactor: Any, arguments: Sequence[str], **more: str) -> ProxyProcess:
    """
    Start C{twistd} with these arguments.

    @param more: what its environment has beside this process's.
    """
    process = _Forked(reactor)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(_server())
        asked = {"environment": {**environment(), **more}, "arguments": list(arguments)}
        connection.sendall(json.dumps(asked).encode() + b"\n")
        told = b""
        # It is the first that is said; the server may still be starting.
        while not told.endswith(b"\n") or TOLD.encode() not in told:
            byte = connection.recv(1)
            if not byte:
                raise AssertionError("nobody forks")
            told += byte
        process.pid = int(told.split()[-1])
        output = _Output(process)
        connection.setblocking(False)
        reactor.adoptStreamConnection(connection.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: output))
    return process
