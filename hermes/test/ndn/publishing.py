"""
Tests of tools with an object that somebody has put.
"""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred

from hermes.commands.ndn.get import get
from hermes.commands.ndn.put import put
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.commanding import CommandCase


class Published(CommandCase):
    """
    With a file that somebody has put.
    """

    def setUp(self) -> None:
        super().setUp()
        self.source = self.file(content(50_000))
        self.target = os.path.join(os.path.dirname(self.source), "got")

    def put(self, *arguments: str) -> Deferred[int]:
        """
        Put it, and wait until it is there.
        """
        options = self.options("put", "/a/file", self.source, *arguments)
        with open(self.source, "rb") as file:
            copy = os.fdopen(os.dup(file.fileno()), "rb")
        self.addCleanup(copy.close)
        client = self.network.client()
        waiting = Deferred.fromCoroutine(put(client, options, copy, self.console))
        self.addCleanup(client.close)
        self.network.run(0.5)
        return waiting

    def got(self) -> bytes:
        """
        What was fetched.
        """
        with open(self.target, "rb") as file:
            return file.read()

    def get(self, *arguments: str) -> int:
        """
        Get it.
        """
        return self.run_(get, self.options("get", "/a/file", "-o", self.target, *arguments))
