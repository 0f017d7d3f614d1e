#!/usr/bin/env python3
"""
Stores of a controller with few versions and with many: whether what is asked of them takes longer.

    benchmarks/controlstores.py STORE [VERSIONS...]

STORE is new and empty: C{sqlite:/tmp/bench.db}, C{etcd://127.0.0.1:2379/bench}.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred, gatherResults

from hermes.control.store.opening import makeStore
from hermes.control.values import NodeEntry, VersionRecord

TIMES = 20
"""
How often each thing is done.
"""

DOCUMENT = "services: {db.hermes: {on: [gateway], ports: [3306]}}\n" * 200
"""
10 KiB.
"""


def version() -> VersionRecord:
    """
    One to append.
    """
    return VersionRecord(0, None, "alice", 1700000000.0, "a change", DOCUMENT)


async def milliseconds(call: Callable[[], Any]) -> float:
    """
    The median.
    """
    found = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        await call()
        found.append((time.perf_counter() - begun) * 1000)
    return statistics.median(found)


async def row(store: Any) -> int:
    """
    One line of figures.

    @return: the number of the last version.
    """
    append = await milliseconds(lambda: store.appendVersion(version()))
    last: int = (await store.versions(1, whole=False))[0].number
    undecided = iter(range(last - TIMES + 1, last + 1))
    decide = await milliseconds(lambda: store.setPhase(next(undecided), "preparing", "aborted"))
    listed = await milliseconds(lambda: store.versions(50, whole=False))
    read = await milliseconds(lambda: store.version(last))
    print(f"{last:8}  {append:10.2f}  {decide:10.2f}  {listed:10.2f}  {read:10.2f}", flush=True)
    return last


async def measure(reactor: Any, where: str, *counts: str) -> None:
    """
    Fill it, and measure in between.
    """
    store: Any = makeStore(reactor, where)
    await store.start()
    await store.campaign("benchmark")
    names = [f"node{number:04}" for number in range(1000)]
    await gatherResults([store.putNode(NodeEntry(name, "ab" * 20)) for name in names])
    print("versions      append   set phase     list 50    read one   (milliseconds, median)")
    number = 0
    for count in map(int, counts or ("20", "100", "1000", "10000")):
        while number < count - TIMES:
            number = await store.appendVersion(version())
        number = await row(store)
    begun = time.perf_counter()
    for name in names:
        store.seen(name, time.time())
    noted = time.perf_counter() - begun
    await store._seen.flush()
    wrote = time.perf_counter() - begun - noted
    begun = time.perf_counter()
    await store.nodes()
    print(
        f"1,000 nodes seen: noted in {noted * 1000:.2f} ms, written in {wrote * 1000:.1f} ms; "
        f"listed in {(time.perf_counter() - begun) * 1000:.1f} ms"
    )
    await store.close()


if __name__ == "__main__":
    task.react(lambda reactor, *arguments: Deferred.fromCoroutine(measure(reactor, *arguments)), sys.argv[1:])
