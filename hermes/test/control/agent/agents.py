"""
An agent on a disk of its own, with a runner that is no node.
"""

from __future__ import annotations

import errno
import os
from shutil import rmtree
from tempfile import mkdtemp

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.agent.agent import Agent
from hermes.control.agent.disk import ConfigurationDisk
from hermes.control.agent.files import Files
from hermes.control.agent.recentlog import RecentLog
from hermes.control.agent.revocations import Revocations
from hermes.control.values import Answer, NodeState, digestOf
from hermes.testing.control import FakeRunner, ProcessClock, Stops

DECIDE = 30.0


class FullFiles(Files):
    """
    Files on a disk that may be full.

    @ivar full: whether it is.
    """

    full = False

    def write(self, name: str, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(name, data)


class AgentCase(SynchronousTestCase):
    """
    One agent at a time.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.directory = mkdtemp()
        self.addCleanup(rmtree, self.directory)
        self.revoked: list[frozenset[str]] = []
        self.boot()

    def boot(self) -> None:
        """
        A process, not started.
        """
        self.process = ProcessClock(self.clock)
        self.files = FullFiles(self.directory)
        self.runner = FakeRunner()
        self.stops = Stops()
        self.states: list[NodeState] = []
        self.agent = Agent(
            "edge",
            self.process,
            self.runner,
            ConfigurationDisk(self.files),
            maybeDeferred,
            Revocations(self.files, maybeDeferred, self.revoked.append),
            RecentLog(),
            self.stops,
            "1.0",
        )
        self.agent.watch(self.states.append)

    def start(self) -> Answer:
        """
        Start it.
        """
        return self.successResultOf(self.agent.start())

    def restart(self) -> Answer:
        """
        Kill it, and start another on the same disk.
        """
        self.process.kill()
        self.boot()
        return self.start()

    def prepare(self, version: int, config: bytes, base: int | None = None) -> Deferred[Answer]:
        """
        Have it prepare something.
        """
        return self.agent.prepare(version, base, config, digestOf(config), DECIDE)

    def trial(self, version: int, config: bytes, base: int | None = None) -> None:
        """
        Have it run something on trial.
        """
        for asked in self.prepare(version, config, base), self.agent.commit(version):
            self.assertEqual(self.successResultOf(asked), Answer(True))

    def run_(self, version: int, config: bytes, base: int | None = None) -> None:
        """
        Have it run something for good.
        """
        self.trial(version, config, base)
        self.assertEqual(self.successResultOf(self.agent.confirm(version)), Answer(True))

    def assertRefused(self, asked: Deferred[Answer], *reasons: str) -> None:
        """
        It says no, and why.
        """
        self.assertEqual(self.successResultOf(asked), Answer(False, reasons))

    def assertRuns(self, config: bytes | None, runs: int | None, confirmed: int | None) -> None:
        """
        What it runs, what it says it runs, and where it belongs.
        """
        state = self.agent.state
        self.assertEqual((self.runner.config, state.runs, state.confirmed), (config, runs, confirmed))
        self.assertEqual(state.trial, runs is not None and runs != confirmed)
        self.assertEqual(state.digest, "" if config is None else digestOf(config))

    def kinds(self) -> list[str]:
        """
        The files that there are, by what they are: version and kind.
        """
        names = [name.split(".") for name in sorted(os.listdir(self.directory))]
        return [".".join([parts[1], *parts[3:]]) for parts in names if len(parts) > 3]
