"""
A test case with an etcd.
"""

from __future__ import annotations

import base64
from itertools import count
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hermes.control.store.etcd.options import EtcdOptions
from hermes.control.store.etcd.store import EtcdStore
from hermes.interfaces.store import IStore
from hermes.test.control.store.etcds import SKIP, shared

_PREFIXES = count(1)


class EtcdCase(TestCase):
    """
    One server for all tests, and a prefix of its own for each.

    @ivar options: how it is reached.
    """

    skip = SKIP

    def setUp(self) -> None:
        self.reactor: Any = reactor
        self.server = shared()
        self.options = EtcdOptions((self.server.url,), prefix=f"/hermes/{next(_PREFIXES)}", patience=30.0)

    def makeStore(self, changed: dict[str, Any] | None = None, **options: Any) -> IStore:
        """
        A controller's store.

        @param changed: options of etcd that are other ones.
        """
        store: IStore = EtcdStore(reactor, evolve(self.options, **(changed or {})), **options)
        return store

    def key(self, name: str) -> str:
        """
        A key of this test's, as etcd's JSON has it.
        """
        return base64.b64encode(f"{self.options.prefix}/{name}".encode()).decode()

    def put(self, name: str, value: bytes) -> None:
        """
        Write into it, as somebody else could.
        """
        self.server.ask("/kv/put", {"key": self.key(name), "value": base64.b64encode(value).decode()})
