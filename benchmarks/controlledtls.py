#!/usr/bin/env python3
"""
Changes to overlays of 10, 100 and 1,000 nodes, over the wire: C{twistd hermes-controller} in a process of its own with
a core of its own, and agents in two others, each with its files on disk, its certificate, and its connection to the
controller over mutual TLS. The agents run nothing. Certificates are made before, by the overlay's own authority.

    benchmarks/controlledtls.py [--quick] [--json FILE] [NODES...]

What is printed of a change: from C{apply} to the decision and to the last confirmation, without the seconds that the
trial takes by itself; what the controller's process has used of its core; how many nodes heard of it, and what went to
and from each of them on the wire, TLS and all.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from controlledoverlay import AGENTS, TRIAL, document
from sides import freePort

from hermes.control.operator.client import Controller, ControllerError

PATIENCE = 300.0

_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"


# Processes, from outside


class Process:
    """
    One, on a core.
    """

    def __init__(self, core: int, *command: str, log: Path | None = None) -> None:
        output = subprocess.PIPE if log is None else log.open("wb")
        self.running = subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, *command], stdin=subprocess.PIPE, stdout=output, text=True
        )

    def ask(self) -> Any:
        """
        What it answers to a line.
        """
        assert self.running.stdin is not None and self.running.stdout is not None
        self.running.stdin.write("\n")
        self.running.stdin.flush()
        return json.loads(self.running.stdout.readline())

    @property
    def cpu(self) -> float:
        """
        Seconds of a core that it has used.
        """
        fields = Path(f"/proc/{self.running.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, which: str = "VmRSS") -> float:
        """
        MiB.
        """
        for line in Path(f"/proc/{self.running.pid}/status").read_text().splitlines():
            if line.startswith(which + ":"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"no {which}")

    def stop(self) -> None:
        """
        End it.
        """
        self.running.send_signal(signal.SIGTERM)
        try:
            self.running.wait(10)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
        for stream in (self.running.stdin, self.running.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def running(core: int, *command: str, log: Path | None = None) -> Iterator[Process]:
    """
    A process while it is needed.
    """
    process = Process(core, *command, log=log)
    try:
        yield process
    finally:
        process.stop()


def until(what: str, found: Any) -> Any:
    """
    Wait for something that comes.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = found()
        if answer is not None:
            return answer
        time.sleep(0.02)
    raise RuntimeError(f"{what} took too long")


# What is measured


class Measured:
    """
    One overlay.
    """

    def __init__(self, nodes: int, operator: Controller, controller: Process, others: list[Process]) -> None:
        self.nodes = nodes
        self.results: list[dict[str, Any]] = []
        self._operator = operator
        self._controller = controller
        self._others = others

    def heard(self) -> dict[str, list[int]]:
        """
        Of each node that is connected: bytes that came, bytes that went, how often it has run something, how large
        that is, and how often it was asked something.
        """
        return {name: counts for each in self._others for name, counts in each.ask().items()}

    def settled(self) -> dict[str, list[int]]:
        """
        The same, once what is on its way has arrived.
        """
        last: list[Any] = [None]

        def look() -> Any:
            time.sleep(0.3)
            before, last[0] = last[0], self.heard()
            return last[0] if last[0] == before else None

        found: dict[str, list[int]] = until("silence", look)
        return found

    def change(self, what: str, text: str) -> None:
        """
        Make a change and say what it took.
        """
        before, cpu, agents = self.settled(), self._controller.cpu, sum(each.cpu for each in self._others)
        began = time.monotonic()
        times: dict[str, float] = {}
        outcome: Mapping[str, Any] = {}
        for told in self._operator.follow("apply", text):
            now = time.monotonic() - began
            if "progress" in told:
                times.setdefault(told["progress"]["step"], now)
            else:
                outcome, times["end"] = told["outcome"], now
        if outcome["result"] != "committed":
            raise RuntimeError(f"{what}: {outcome}")
        used, agents = self._controller.cpu - cpu, sum(each.cpu for each in self._others) - agents
        after = self.settled()
        deltas = [[a - b for a, b in zip(after[name], before[name], strict=True)] for name in after]
        asked = [each for each in deltas if each[4]]
        changed = max(1, len(outcome["changed"]))
        self.say(
            what,
            seconds=times["end"] - TRIAL,
            decided=times["decide"] - TRIAL,
            prepared=times["trial"] - times["prepare"],
            cpu=used,
            agentsCpu=agents,
            changed=len(outcome["changed"]),
            asked=len(asked),
            calls=sum(each[4] for each in asked),
            ran=sum(each[2] for each in deltas),
            toEach=sum(each[0] for each in asked) / changed,
            fromEach=sum(each[1] for each in asked) / changed,
            config=max(counts[3] for counts in after.values()),
            memory=self._controller.memory(),
            peak=self._controller.memory("VmHWM"),
        )

    def say(self, what: str, **figures: float) -> None:
        """
        Print one line, and keep it.
        """
        self.results.append({"nodes": self.nodes, "what": what, **figures})
        shown = "  ".join(
            f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
        )
        print(f"{self.nodes:5} nodes  {what:14} {shown}", flush=True)


def measure(nodes: int) -> list[dict[str, Any]]:
    """
    One overlay: nodes that come, its first version, a change to all, a change to one.
    """
    directory = mkdtemp()
    own = str(Path(__file__).resolve().with_name("controlledoverlay.py"))
    try:
        subprocess.run([sys.executable, own, "enrol", directory, str(nodes)], check=True)
        place, path = f"127.0.0.1:{freePort()}", os.path.join(directory, "s")
        options = ["--state", directory, "--listen", place, "--address", place, "--socket", path, "--https", "none"]
        with ExitStack() as stack:
            log = Path(directory, "log")
            command = ["-c", _TWISTD, "-n", "--pidfile=", "hermes-controller", *options]
            controller = stack.enter_context(running(0, *command, log=log))
            operator = Controller(f"unix:{path}", timeout=PATIENCE)

            def answers() -> Any:
                try:
                    return operator.get("status")
                except ControllerError:
                    return None

            until("the controller's start", answers)
            idle, cpu, began = controller.memory(), controller.cpu, time.monotonic()
            others = [
                stack.enter_context(running(1, own, "agents", directory, place, str(part), str(nodes)))
                for part in range(AGENTS)
            ]
            measured = Measured(nodes, operator, controller, others)
            until("their coming", lambda: True if len(measured.heard()) == nodes else None)
            measured.say(
                "they come",
                seconds=time.monotonic() - began,
                cpu=controller.cpu - cpu,
                memory=controller.memory(),
                perNode=(controller.memory() - idle) * 1024 / nodes,
            )
            measured.change("first version", document(nodes))
            measured.change("change to all", document(nodes, 1))
            measured.change("change to one", document(nodes, 1, 1))
            before, cpu, began = measured.settled(), controller.cpu, time.monotonic()
            time.sleep(5)
            after = measured.heard()
            took = time.monotonic() - began
            carriedBytes = sum(sum(after[name][:2]) - sum(before[name][:2]) for name in after)
            measured.say(
                "idle",
                share=(controller.cpu - cpu) / took,
                bytesPerNodeSecond=carriedBytes / nodes / took,
                agentMemory=sum(each.memory() for each in others) * 1024 / nodes,
            )
            return measured.results
    finally:
        rmtree(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 and 100 nodes")
    parser.add_argument("--json", metavar="FILE", help="keep the results")
    parser.add_argument("nodes", nargs="*", type=int, help="how many (10 100 1000)")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 3 * 1000:
        print(f"this machine gives a process {hard} descriptors: 1,000 nodes may not fit", file=sys.stderr)
    results = []
    for nodes in options.nodes or ([10, 100] if options.quick else [10, 100, 1000]):
        results += measure(nodes)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
