"""
A process that leads and writes without a pause, to be killed: C{python -m hermes.test.control.store.writer STORE}. It
says what it was told to be done.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from hermes.control.store.opening import makeStore
from hermes.test.control.store.user import record


async def write(reactor: Any, where: str) -> None:
    """
    Append, try, commit; again and again.
    """
    store = makeStore(reactor, where)
    await store.start()
    await store.campaign("writer")
    current = await store.current()
    print("leads", flush=True)
    while True:
        number = await store.appendVersion(record("a document\n" * 20_000, current))
        print("appended", number, flush=True)
        if not await store.setPhase(number, "preparing", "trial"):
            raise AssertionError("not tried")
        if not await store.setPhase(number, "trial", "committed"):
            raise AssertionError("not committed")
        print("committed", number, flush=True)
        current = number


if __name__ == "__main__":
    task.react(lambda reactor, where: Deferred.fromCoroutine(write(reactor, where)), sys.argv[1:])
