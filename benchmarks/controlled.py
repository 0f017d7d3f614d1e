#!/usr/bin/env python3
"""
Changes to overlays of 10, 100 and 1,000 nodes, in memory: one controller and all agents in this process, on a clock
that is advanced by hand, each agent with its files on a real disk. What is measured is the work of both ends, and not
the wire.

    benchmarks/controlled.py [NODES...]
"""

from __future__ import annotations

import resource
import sys
import time
from shutil import rmtree
from tempfile import mkdtemp

from hermes.control.values import Settings
from hermes.testing.control import Overlay, documentOf

CONFIG = "listeners: {apps: {type: proxy, bind: 127.0.0.1:3128}}\n" * 60
"""
3 KiB: about what a node has.
"""


def memory() -> float:
    """
    What the process holds at most, in MiB.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(nodes: int) -> None:
    """
    One overlay: its first version, a change to all, a change to one, and a refusal.
    """
    names = [f"node{number:04}" for number in range(nodes)]
    directory = mkdtemp()
    before = memory()
    try:
        overlay = Overlay(directory, names, 1, Settings(trial=3.0, decide=20.0, answer=15.0))
        overlay.start()
        for what, texts in (
            ("first version", {name: f"{CONFIG}# one {name}" for name in names}),
            ("change to all", {name: f"{CONFIG}# two {name}" for name in names}),
            ("change to one", {name: f"{CONFIG}# {'three' if name == names[0] else 'two'} {name}" for name in names}),
            (
                "refused by one",
                {name: f"{CONFIG}# {'refuse' if name == names[0] else 'four'} {name}" for name in names},
            ),
        ):
            leader = overlay.leader
            assert leader is not None
            links = list(leader.links)
            asked = sum(len(link.asked) for link in links)
            carried = sum(link.bytes for link in links)
            began, at = time.process_time(), overlay.clock.seconds()
            outcome = overlay.wait(leader.controller.apply(documentOf(texts), "benchmark"))
            cpu, took = time.process_time() - began, overlay.clock.seconds() - at
            heard = sum(len(link.asked) for link in links) - asked
            size = sum(link.bytes for link in links) - carried
            taking = max(1, len(outcome.changed))
            print(
                f"{nodes:6} nodes  {what:15} {outcome.result:10} {took:6.1f} s  "
                f"{cpu:7.2f} s of CPU, {1e6 * cpu / taking:7.0f} µs a node that changes  "
                f"{heard:6} calls  {size / taking:7.0f} bytes a node",
                flush=True,
            )
        print(f"{nodes:6} nodes  {(memory() - before) * 1024 / nodes:.0f} KiB a node, controller and agent", flush=True)
    finally:
        rmtree(directory)


def main() -> None:
    for nodes in [int(argument) for argument in sys.argv[1:]] or [10, 100, 1000]:
        measure(nodes)


if __name__ == "__main__":
    main()
