"""
Each store does what plain dictionaries do.
"""

from __future__ import annotations

import os
from itertools import count
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hermes.interfaces.store import IStore
from hermes.test.control.store.etcdcase import EtcdCase
from hermes.test.control.store.model import agree
from hermes.test.control.store.sqlitecase import SQLiteCase
from hermes.testing.control import MemoryStore, MemoryStoreState


class MemoryModelTests(TestCase):
    """
    In memory.
    """

    timeout = 600
    state: MemoryStoreState

    def makeStore(self) -> IStore:
        """
        Of the present run.
        """
        clock: Any = reactor
        store: IStore = MemoryStore(clock, self.state, latency=0.0)
        return store

    def test_it_does_what_a_plain_model_does(self) -> Deferred[None]:
        return agree(self, reactor, 40, True, lambda: setattr(self, "state", MemoryStoreState()))


class SQLiteModelTests(SQLiteCase):
    """
    SQLite.
    """

    timeout = 600

    def test_it_does_what_a_plain_model_does(self) -> Deferred[None]:
        numbers = count()

        def begin() -> None:
            self.path = os.path.join(self.directory, f"{next(numbers)}.db")

        return agree(self, reactor, 20, False, begin)


class EtcdModelTests(EtcdCase):
    """
    etcd.
    """

    timeout = 600

    def test_it_does_what_a_plain_model_does(self) -> Deferred[None]:
        numbers = count()
        prefix = self.options.prefix

        def begin() -> None:
            self.options = evolve(self.options, prefix=f"{prefix}/{next(numbers)}")

        return agree(self, reactor, 20, True, begin)
