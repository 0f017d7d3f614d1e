"""
What measures stand on: the processes of a load, and the shape of a measure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from attrs import frozen
from compiled import program
from peers import Envoy, Hermes
from sides import Side

LOADS = str(Path(__file__).parent / "loads.py")
PLACEMENTS = ((0, 1), (1, 0))
"""
Where the proxy near the load runs: with the load on core 0, or with the target on core 1.
"""


class Load:
    """
    A process beside the proxies, on one core.
    """

    def __init__(self, core: int, command: list[str], **arguments: object) -> None:
        words = [f"{name}={value}" for name, value in arguments.items()]
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), *command, *words],
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
    A role of L{loads} while it is needed.
    """
    running = Load(core, [sys.executable, LOADS, role], **arguments)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def native(core: int, name: str, **arguments: object) -> Iterator[Load]:
    """
    A program of C{native/} while it is needed.
    """
    running = Load(core, [str(program(name))], **arguments)
    try:
        yield running
    finally:
        running.stop()


@frozen
class Outcome:
    """
    What one round of one side gave.

    @ivar details: other figures of the same round, printed below the one that counts.
    """

    value: float
    details: dict[str, float]


Run: TypeAlias = Callable[[type[Side], tuple[int, int], float], "float | Outcome"]


@frozen
class Measure:
    """
    @ivar better: C{"more"} or C{"less"}.
    @ivar run: one round of one side, in one placement, for so many seconds.
    @ivar sides: ours, and the peer.
    @ivar unfit: why this machine can't run it; L{None} where it can.
    """

    name: str
    unit: str
    better: str
    run: Run
    sides: tuple[type[Side], type[Side]] = (Hermes, Envoy)
    unfit: Callable[[], str | None] = lambda: None
