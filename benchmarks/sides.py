"""
A side of a measure: a pair of proxies that runs, each on one core.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def freePort(kind: int = socket.SOCK_STREAM) -> int:
    """
    A port that nobody has now.
    """
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Side:
    """
    A pair of proxies that runs.

    @ivar port: where the load goes in.
    @ivar fillers: how many routes come before those that take the requests of the HTTP measures.
    @cvar batches: whether the proxies are scheduled in batches (SCHED_BATCH).
    @ivar processes: the proxy near the target, then the one near the load.
    """

    name = ""
    batches = False

    def __init__(self, directory: Path, target: int, cores: tuple[int, int]) -> None:
        self.directory = directory
        self.target = target
        self.cores = cores
        self.port = 0
        self.fillers = 0
        self.processes: list[subprocess.Popen[bytes]] = []

    def spawn(self, core: int, *command: str) -> None:
        """
        Start a proxy on one core.
        """
        number = len(list(self.directory.glob("*.log")))
        log = (self.directory / f"{self.name}-{number}.log").open("wb")
        self.processes.append(
            subprocess.Popen(
                ["taskset", "-c", str(core), *command],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        )

    def awaitPort(self, port: int, kind: int = socket.SOCK_STREAM) -> None:
        """
        Wait until somebody listens.
        """
        table = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}[kind]
        needle = f"0100007F:{port:04X} "
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()
            if any(needle in line and (kind == socket.SOCK_DGRAM or " 0A " in line) for line in lines):
                return
            if any(process.poll() is not None for process in self.processes):
                break
            time.sleep(0.05)
        raise SystemExit(f"{self.name} did not start to listen:\n{self.logs()}")

    def logs(self) -> str:
        """
        The end of what the proxies have logged.
        """
        return "\n".join(path.read_text()[-2000:] for path in sorted(self.directory.glob("*.log")))

    def cpu(self) -> float:
        """
        Seconds of CPU that the proxies have used.
        """
        return sum(self.cpus())

    def cpus(self) -> list[float]:
        """
        The same for each of L{processes}.
        """
        result = []
        for process in self.processes:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            result.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
        return result

    def memory(self) -> int:
        """
        Resident bytes of the proxies.
        """
        total = 0
        for process in self.processes:
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self) -> None:
        """
        End the proxies.
        """
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start(self, kind: str) -> None:
        """
        @param kind: C{clear}, C{tls} or C{udp}.
        """
        raise NotImplementedError

    def startHTTP(self, tls: bool, entry: bool, between: Callable[[int], int]) -> None:
        """
        @param tls: between the proxies, and to the origin, whose certificate is C{shop.pem} in the directory.
        @param entry: whether clients speak TLS to the first proxy, which has the same certificate.
        @param between: given the port of the second proxy, the port where the first finds it.
        """
        raise NotImplementedError
