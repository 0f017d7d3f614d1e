"""
C{hermes ndn} in a process of its own making: tools that run at a forwarder in memory.
"""

from __future__ import annotations

import io
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from typing import Any

from rich.console import Console
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hermes.commands import ndn
from hermes.commands.ndn.common import attempt
from hermes.ndn.app.client import Client
from hermes.test.ndn.app.network import Network


class _Stream:
    """
    A text stream over bytes, as C{sys.stdout} is one.
    """

    def __init__(self, content: bytes = b"") -> None:
        self.buffer = io.BytesIO(content)


class CommandCase(TestCase):
    """
    A test of tools.

    @ivar console: what they print to.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.network.delay = 0.01
        self.output = io.StringIO()
        self.console = Console(file=self.output, width=160, highlight=False)
        self.keys = os.path.join(self.mktemp(), "keys")

    def options(self, *arguments: str) -> Namespace:
        """
        What a call says; L{SystemExit} where it is wrong.
        """
        parser = ArgumentParser()
        ndn.arguments(parser)
        options = parser.parse_args(arguments)
        if hasattr(options, "keychain"):
            options.keychain = self.keys
        return options

    def wrong(self, *arguments: str) -> str:
        """
        What is said of a call that is wrong.
        """
        words = io.StringIO()
        self.patch(sys, "stderr", words)
        with self.assertRaises(SystemExit) as caught:
            self.options(*arguments)
        self.assertEqual(caught.exception.code, 2)
        return words.getvalue()

    def running(self, work: Callable[..., Awaitable[int]], options: Namespace, *more: Any) -> Deferred[int]:
        """
        Start a tool.

        @return: fires with its exit status.
        """
        client: Client = self.network.client()
        return Deferred.fromCoroutine(
            attempt(options, self.console, lambda: work(client, options, *more, self.console))
        )

    def run_(self, work: Callable[..., Awaitable[int]], options: Namespace, *more: Any) -> int:
        """
        Run one until it ends; its exit status.
        """
        status: int = self.network.result(self.running(work, options, *more))
        return status

    def key(self, *arguments: str) -> str:
        """
        Run C{hermes ndn key}; what it prints.
        """
        before = len(self.output.getvalue())
        options = self.options("key", *arguments)
        self.assertEqual(ndn.run(options, self.console), 0, self.output.getvalue())
        return self.output.getvalue()[before:]

    def file(self, content: bytes, name: str = "file") -> str:
        """
        A file with this in it.
        """
        path = os.path.join(self.mktemp(), name)
        os.makedirs(os.path.dirname(path))
        with open(path, "wb") as file:
            file.write(content)
        return path

    def standardInput(self, content: bytes) -> None:
        """
        Let it hold this.
        """
        self.patch(sys, "stdin", _Stream(content))

    def standardOutput(self) -> io.BytesIO:
        """
        Where it goes from now on.
        """
        stream = _Stream()
        self.patch(sys, "stdout", stream)
        return stream.buffer
