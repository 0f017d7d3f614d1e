"""
What is measured. Each measure gives one number a side and round; C{run} interleaves the sides and takes medians.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from attrs import frozen
from peers import Hermes, Side, freePort

LOADS = str(Path(__file__).parent / "loads.py")
PLACEMENTS = ((0, 1), (1, 0))
"""
Where the proxy near the load runs: with the load on core 0, or with the target on core 1.
"""


class Load:
    """
    A process of L{loads} on one core.
    """

    def __init__(self, core: int, role: str, **arguments: object) -> None:
        words = [f"{name}={value}" for name, value in arguments.items()]
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, LOADS, role, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """
        The next line it prints.
        """
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def answer(self) -> dict[str, Any]:
        """
        The object it prints.
        """
        line = self.line()
        if not line:
            raise RuntimeError("the load ended without an answer")
        result: dict[str, Any] = json.loads(line)
        return result

    def stop(self) -> None:
        """
        End it.
        """
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def load(core: int, role: str, **arguments: object) -> Iterator[Load]:
    """
    A load while it is needed.
    """
    running = Load(core, role, **arguments)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def serving(make: type[Side], kind: str, sink: str, cores: tuple[int, int]) -> Iterator[tuple[Side, Load]]:
    """
    A target and a pair before it.
    """
    import socket

    port = freePort(socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory() as directory, load(1, sink, port=port) as target:
        assert target.line() == "ready\n"
        side = make(Path(directory), port, cores)
        try:
            side.start(kind)
            yield side, target
        except Exception:
            print(side.logs(), file=sys.stderr)
            raise
        finally:
            side.stop()


Run: TypeAlias = Callable[[type[Side], tuple[int, int], float], float]


@frozen
class Measure:
    """
    @ivar better: C{"more"} or C{"less"}.
    """

    name: str
    unit: str
    better: str
    run: Run


def bulk(kind: str, streams: int) -> Run:
    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> float:
        with (
            serving(make, kind, "tcp-sink", cores) as (side, _),
            load(0, "tcp-source", port=side.port, seconds=seconds, streams=streams) as source,
        ):
            result = source.answer()
        return float(result["bytes"] * 8 / result["seconds"] / 1e9)

    return run


def cpuPerGigabyte(make: type[Side], cores: tuple[int, int], seconds: float) -> float:
    with serving(make, "clear", "tcp-sink", cores) as (side, _):
        before = side.cpu()
        with load(0, "tcp-source", port=side.port, seconds=seconds, streams=1) as source:
            result = source.answer()
        return float((side.cpu() - before) / (result["bytes"] / 1e9))


def datagrams(size: int, segment: int, flows: int, window: int = 256) -> Run:
    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> float:
        each = max(segment, window // flows)
        with serving(make, "udp", "udp-sink", cores) as (side, _):
            arguments = {"size": size, "flows": flows, "window": each, "segment": segment, "rate": 0}
            with load(0, "udp-source", port=side.port, seconds=seconds, **arguments) as source:
                result = source.answer()
        return float(result["done"] / result["seconds"] / 1000)

    return run


def datagramsOpen(size: int, rate: float, flows: int) -> Run:
    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> float:
        with serving(make, "udp", "udp-sink", cores) as (side, target):
            arguments = {"size": size, "flows": flows, "window": 0, "segment": 1, "rate": rate}
            with load(0, "udp-source", port=side.port, seconds=seconds, **arguments) as source:
                result = source.answer()
            time.sleep(0.5)
            target.process.send_signal(signal.SIGTERM)
            received = target.answer()["received"]
        return float(received / result["seconds"] / 1000)

    return run


_direct: dict[float, dict[str, float]] = {}


def latencyAdded(which: str) -> Run:
    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> float:
        with serving(make, "clear", "tcp-echo", cores) as (side, _):
            with load(0, "tcp-ping", port=side.target, seconds=seconds / 2) as ping:
                direct = ping.answer()
            with load(0, "tcp-ping", port=side.port, seconds=seconds) as ping:
                through = ping.answer()
        return float(through[which] - direct[which]) * 1e6

    return run


def tunnelSetup(make: type[Side], cores: tuple[int, int], seconds: float) -> float:
    with (
        serving(make, "clear", "tcp-echo", cores) as (side, _),
        load(0, "tcp-setup", port=side.port, seconds=seconds, parallel=32) as setup,
    ):
        result = setup.answer()
    return float(result["done"] / result["seconds"])


def idleMemory(tunnels: int) -> Run:
    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> float:
        with serving(make, "clear", "tcp-echo", cores) as (side, _):
            with load(0, "tcp-idle", port=side.port, tunnels=100) as warm:
                warm.answer()
            before = side.memory()
            with load(0, "tcp-idle", port=side.port, tunnels=tunnels) as idle:
                idle.answer()
                time.sleep(1)
                return (side.memory() - before) / tunnels / 1024

    return run


MEASURES = [
    Measure("tcp-bulk-clear", "Gbit/s", "more", bulk("clear", 1)),
    Measure("tcp-bulk-tls", "Gbit/s", "more", bulk("tls", 1)),
    Measure("tcp-bulk-32", "Gbit/s", "more", bulk("clear", 32)),
    Measure("cpu-per-gb", "CPU s/GB", "less", cpuPerGigabyte),
    Measure("udp-1200", "kdatagrams/s", "more", datagrams(1200, 1, 1)),
    Measure("udp-1200-flows", "kdatagrams/s", "more", datagrams(1200, 1, 100, 1600)),
    Measure("udp-1200-open", "kdatagrams/s", "more", datagramsOpen(1200, 300_000, 1)),
    Measure("udp-64", "kdatagrams/s", "more", datagrams(64, 1, 1)),
    Measure("udp-1200-gso", "kdatagrams/s", "more", datagrams(1200, 16, 1)),
    Measure("latency-added", "us p50", "less", latencyAdded("p50")),
    Measure("latency-added-p99", "us p99", "less", latencyAdded("p99")),
    Measure("tunnel-setup", "tunnels/s", "more", tunnelSetup),
    Measure("idle-memory", "KiB/tunnel, 10,000 idle", "less", idleMemory(10_000)),
]

__all__ = ["MEASURES", "PLACEMENTS", "Hermes", "Measure"]
