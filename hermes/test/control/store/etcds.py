"""
etcd, for tests: processes on loopback, with their data in a directory of their own.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Sequence
from functools import cache
from shutil import rmtree, which
from tempfile import mkdtemp
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from hermes.test.processes import freePort

PATIENCE = 30.0
"""
Seconds that one may take to be there.
"""

PROGRAM = which("etcd")
SKIP = None if PROGRAM else "etcd is not installed"


class Etcd:
    """
    One member.

    @ivar url: where it answers.
    """

    def __init__(
        self,
        name: str = "one",
        port: int | None = None,
        peerPort: int | None = None,
        cluster: str | None = None,
        options: Sequence[str] = (),
        scheme: str = "http",
        context: ssl.SSLContext | None = None,
    ) -> None:
        """
        @param cluster: of which cluster; one of its own, where not given.
        @param options: more options.
        @param context: how the tests themselves reach one with TLS.
        """
        self.name = name
        self.url = f"{scheme}://127.0.0.1:{port or freePort()}"
        self.peer = f"http://127.0.0.1:{peerPort or freePort()}"
        self.directory = mkdtemp()
        self._cluster = cluster or f"{name}={self.peer}"
        self._options = options
        self._context = context
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """
        Start it; C{ready} waits for it.
        """
        command = [
            PROGRAM or "etcd",
            f"--name={self.name}",
            f"--data-dir={self.directory}/data",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self.peer}",
            f"--initial-advertise-peer-urls={self.peer}",
            f"--initial-cluster={self._cluster}",
            "--logger=zap",
            f"--log-outputs={self.directory}/log",
            *self._options,
        ]
        # What Debian's service sets must not.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_dieTogether
        )

    def ready(self) -> None:
        """
        Wait until it answers, with a leader among them.
        """
        until = time.monotonic() + PATIENCE
        while True:
            try:
                if self.ask("/kv/range", {"key": "AA==", "count_only": True}):
                    return
            except (OSError, URLError, ValueError):
                pass
            if time.monotonic() > until or self._process is None or self._process.poll() is not None:
                raise AssertionError(f"etcd is not there, but has said:\n{self.log()}")
            time.sleep(0.02)

    def ask(self, path: str, question: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        """
        Ask it, and wait.
        """
        headers = {} if token is None else {"Authorization": token}
        request = Request(f"{self.url}/v3{path}", json.dumps(question).encode(), headers)
        with urlopen(request, timeout=5, context=self._context) as response:
            found: dict[str, Any] = json.load(response)
            return found

    def log(self) -> str:
        """
        What it has logged.
        """
        try:
            with open(f"{self.directory}/log", encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""

    def signal(self, number: int) -> None:
        """
        C{SIGSTOP}, C{SIGCONT}, C{SIGKILL}. With the first and the last, it does nothing more when this returns.
        """
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()
        elif number == signal.SIGSTOP:
            # Another of its threads may be about to answer.
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def stop(self) -> None:
        """
        End it, for good.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        rmtree(self.directory, ignore_errors=True)


def _dieTogether() -> None:
    """
    However this process ends (PR_SET_PDEATHSIG).
    """
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@cache
def shared() -> Etcd:
    """
    One for whoever needs a part of it only.
    """
    server = Etcd()
    atexit.register(server.stop)
    server.start()
    server.ready()
    return server


def members(count: int, *options: str) -> list[Etcd]:
    """
    A cluster, running.

    @param options: of each.
    """
    peers = [freePort() for _ in range(count)]
    cluster = ",".join(f"m{number}=http://127.0.0.1:{port}" for number, port in enumerate(peers))
    found = [Etcd(f"m{number}", peerPort=port, cluster=cluster, options=options) for number, port in enumerate(peers)]
    for each in found:
        each.start()
    for each in found:
        each.ready()
    return found
