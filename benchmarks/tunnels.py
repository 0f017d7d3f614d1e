"""
What is measured of tunnels. Each measure gives one number a side and round; C{run} interleaves the sides and takes
medians.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Load, Measure, Run, load
from sides import Side, freePort


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
