"""
A test case with the file of an SQLite store.
"""

from __future__ import annotations

import os
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hermes.control.store.sqlite import SQLiteStore
from hermes.interfaces.store import IStore


class SQLiteCase(TestCase):
    """
    A file of its own for each test.
    """

    def setUp(self) -> None:
        self.reactor = reactor
        self.directory = mkdtemp()
        self.addCleanup(rmtree, self.directory)
        self.path = os.path.join(self.directory, "state", "controller.db")

    def makeStore(self, **options: Any) -> IStore:
        """
        On that file.
        """
        store: IStore = SQLiteStore(reactor, self.path, **options)
        return store
