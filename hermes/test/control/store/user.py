"""
What tests of a store do.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater

from hermes.control.values import VersionRecord
from hermes.interfaces.store import IStore, Watched

PATIENCE = 30.0
"""
Seconds after which a test that waits for an event fails.
"""


def record(document: str = "overlay: example\n", parent: int | None = None, **more: Any) -> VersionRecord:
    """
    A version to append.
    """
    values = {"author": "alice", "time": 1700000000.25, "comment": "as it was before", **more}
    return VersionRecord(number=0, parent=parent, document=document, **values)


class StoreUser:
    """
    A mixin for a C{TestCase}: what tests of a store do.

    @cvar shared: whether several controllers may have the same store.
    """

    shared = True
    reactor: Any
    addCleanup: Any
    assertEqual: Any
    assertTrue: Any
    assertFalse: Any
    assertIsNone: Any
    assertIn: Any
    assertRaises: Any
    assertLess: Any
    fail: Any
    flushLoggedErrors: Any

    def makeStore(self, **options: Any) -> IStore:
        """
        A store that is not started. Those of one test have the same content.

        @param options: C{keepVersions}, C{keepAudits}, C{interval}.
        """
        raise NotImplementedError

    async def opened(self, **options: Any) -> Any:
        """
        A store that is started, and closed when the test ends.
        """
        store = self.makeStore(**options)
        await store.start()
        self.addCleanup(self.closed, store)
        return store

    def closed(self, store: IStore) -> Deferred[None]:
        """
        Close it, unless that was done.
        """
        known: set[int] = self.__dict__.setdefault("_closedStores", set())
        if id(store) in known:
            return succeed(None)
        known.add(id(store))
        return store.close()

    async def two(self) -> tuple[Any, Any]:
        """
        The stores of two controllers; the same one twice where only one may have it.
        """
        first = await self.opened()
        return first, (await self.opened()) if self.shared else first

    async def leading(self, **options: Any) -> Any:
        """
        A store whose controller leads.
        """
        store = await self.opened(**options)
        await store.campaign("here")
        return store

    async def failing(self, kind: type[Exception], waiting: Deferred[Any]) -> Exception:
        """
        The error that it fails with.
        """
        try:
            result = await waiting
        except kind as error:
            return error
        raise AssertionError(f"it fired with {result!r}")

    def until(self, waiting: Deferred[Any]) -> Deferred[Any]:
        """
        The same, but that it fails when it takes too long.
        """
        return waiting.addTimeout(PATIENCE, self.reactor)

    def turn(self, seconds: float = 0.0) -> Deferred[None]:
        """
        Let others run.
        """
        return deferLater(self.reactor, seconds, lambda: None)

    def told(self, store: IStore, what: Watched) -> tuple[list[int], Any]:
        """
        A list that grows with each change that is told, and a function that waits for the next one.
        """
        times: list[int] = []
        waiting: list[Deferred[None]] = []

        def callback() -> None:
            times.append(len(times))
            for each in [waiting.pop() for _ in list(waiting)]:
                each.callback(None)

        def following() -> Deferred[None]:
            following: Deferred[None] = Deferred()
            waiting.append(following)
            return self.until(following)

        self.addCleanup(store.watch(callback, what))
        return times, following
