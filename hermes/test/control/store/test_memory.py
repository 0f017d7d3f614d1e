"""
The store in memory that other tests use: it does what all stores do.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hermes.interfaces.store import IStore
from hermes.test.control.store.contract import StoreContract
from hermes.testing.control import MemoryStore, MemoryStoreState


class MemoryStoreTests(TestCase, StoreContract):
    """
    See L{StoreContract}.
    """

    def setUp(self) -> None:
        self.reactor: Any = reactor
        self.state = MemoryStoreState()

    def makeStore(self, **options: Any) -> IStore:
        """
        On the same state.
        """
        # What is seen is written at once.
        options.pop("interval", None)
        store: IStore = MemoryStore(self.reactor, self.state, **options)
        return store
