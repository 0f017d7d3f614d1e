"""
A test case with a way to etcd that can be cut.
"""

from __future__ import annotations

from typing import Any

from hermes.control.store.steadytime import SteadyTime
from hermes.test.control.store.cutting import Way
from hermes.test.control.store.etcdcase import EtcdCase
from hermes.test.control.store.user import StoreUser


class WayCase(EtcdCase, StoreUser):
    """
    A store whose way to etcd can be cut, and others that have a way of their own.
    """

    def setUp(self) -> None:
        super().setUp()
        self.way = Way(self.reactor, self.server.url)
        self.addCleanup(lambda: self.way.close())
        self.wayOptions: dict[str, Any] = {"endpoints": (self.way.url,), "answer": 1.0}

    async def over(self, **changed: Any) -> Any:
        """
        A store over that way.
        """
        store = self.makeStore({**self.wayOptions, **changed})
        await store.start()
        self.addCleanup(self.closed, store)
        return store


class StoppableTime(SteadyTime):
    """
    Time that can be stopped, and jumps ahead.
    """

    stopped: float | None = None
    ahead = 0.0

    def seconds(self) -> float:
        return super().seconds() + self.ahead if self.stopped is None else self.stopped

    def stop(self) -> None:
        """
        From now on no time passes.
        """
        self.stopped = self.seconds()

    def goOn(self) -> None:
        """
        It passes again, and has.
        """
        self.stopped = None

    def jump(self, seconds: float) -> None:
        """
        The machine was suspended for so long.
        """
        self.ahead += seconds
