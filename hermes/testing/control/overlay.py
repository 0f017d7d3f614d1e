"""
A whole overlay in memory: controllers, nodes, a store; each can be killed, cut off, slowed down.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred

from hermes.control.agent.agent import Agent
from hermes.control.agent.disk import ConfigurationDisk
from hermes.control.agent.files import Files
from hermes.control.agent.recentlog import RecentLog
from hermes.control.agent.revocations import Revocations
from hermes.control.controller import Controller
from hermes.control.leading import Parts
from hermes.control.values import Settings
from hermes.testing.control.links import MemoryLink, MemoryLinks
from hermes.testing.control.planner import FakePlanner
from hermes.testing.control.process import HeapClock, ProcessClock, Stops
from hermes.testing.control.runner import FakeRunner
from hermes.testing.control.store import MemoryStore
from hermes.testing.control.storestate import MemoryStoreState

LEASE = 5.0
"""
Seconds after which a leader that was killed does not lead any more.
"""

RECONNECT = 1.0
"""
Seconds after which a node tries to connect again.
"""


class FullFiles(Files):
    """
    Files on a disk that may be full, and that need not be written through: a test's process ends, its machine does not.

    @ivar full: whether it is.
    """

    full = False

    def write(self, name: str, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path = self.path(name)
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.rename(path + ".new", path)

    def rename(self, name: str, to: str) -> None:
        os.rename(self.path(name), self.path(to))


@define(eq=False)
class SimulatedNode:
    """
    A machine with a disk, on which a node's process may run.

    @ivar files: its disk.
    @ivar process: the clock of its process; L{None} while none runs.
    @ivar unreachable: whether no controller can be reached from it.
    @ivar latency: seconds that each message takes.
    """

    name: str
    clock: HeapClock
    files: FullFiles
    process: ProcessClock | None = None
    agent: Agent | None = None
    runner: FakeRunner = field(factory=FakeRunner)
    stops: Stops = field(factory=Stops)
    link: MemoryLink | None = None
    unreachable: bool = False
    latency: float = 0.001
    refusing: set[bytes] = field(factory=set)

    def start(self) -> None:
        """
        Start its process.
        """
        process = self.process = ProcessClock(self.clock)
        self.runner = FakeRunner(refusing=self.refusing)
        self.stops = Stops(whenStopped=lambda point: self.clock.callLater(0, self._stopped, process))
        self.agent = Agent(
            self.name,
            process,
            self.runner,
            ConfigurationDisk(self.files),
            maybeDeferred,
            Revocations(self.files, maybeDeferred, lambda serials: None),
            RecentLog(),
            self.stops,
            "1",
        )
        self.agent.start()

    def _stopped(self, process: ProcessClock) -> None:
        if self.process is process:
            self.kill()

    def kill(self) -> None:
        """
        Kill it.
        """
        if self.process is not None:
            self.process.kill()
            self.process = None
            if self.link is not None:
                self.link.cut()

    @property
    def connected(self) -> bool:
        """
        Whether it is connected to a controller.
        """
        return self.link is not None and self.link.state.connected


@define(eq=False)
class SimulatedController:
    """
    A machine on which a controller's process may run.
    """

    name: str
    overlay: Overlay
    process: ProcessClock | None = None
    links: MemoryLinks = field(init=False)
    store: MemoryStore = field(init=False)
    controller: Controller = field(init=False)
    stops: Stops = field(factory=Stops)
    planner: FakePlanner = field(init=False)

    def start(self) -> None:
        """
        Start its process.
        """
        clock = self.overlay.clock
        process = self.process = ProcessClock(clock)
        self.links = MemoryLinks(clock, lambda: not process.killed)
        self.store = MemoryStore(process, self.overlay.state, fenced=self.overlay.fenced, network=clock)
        self.stops = Stops(whenStopped=lambda point: clock.callLater(0, self._stopped, process))
        self.planner = FakePlanner(self.overlay.settings)
        parts = Parts(self.store, self.links, self.planner, process, maybeDeferred, self.stops, self.overlay.settings)
        self.controller = Controller(parts, self.name, lambda: self.overlay.wall + clock.seconds())
        self.controller.start().addErrback(lambda failure: self._notStarted(process))

    def _notStarted(self, process: ProcessClock) -> None:
        # As a service does.
        self.overlay.clock.callLater(0, self._stopped, process)

    def _stopped(self, process: ProcessClock) -> None:
        if self.process is process:
            self.kill()

    def kill(self) -> None:
        """
        Kill it: nodes lose their connections, and its lease ends in time.
        """
        if self.process is None:
            return
        self.process.kill()
        self.process = None
        for link in self.links:
            link.cut()
        store = self.store
        self.overlay.clock.callLater(LEASE, lambda: store.close().addErrback(lambda failure: None))

    @property
    def leads(self) -> bool:
        """
        Whether it runs, and makes changes.
        """
        return self.process is not None and self.controller.leads


class Overlay:
    """
    Controllers and nodes.

    @ivar clock: all time.
    @ivar wall: what the date is ahead of that: it may jump.
    @ivar state: what is stored.
    """

    def __init__(
        self,
        directory: str,
        nodes: list[str],
        controllers: int = 1,
        settings: Settings | None = None,
        fenced: bool = True,
    ) -> None:
        """
        @param directory: where nodes have their disks.
        @param fenced: whether the store refuses what somebody writes who does not lead.
        """
        self.clock = HeapClock()
        self.wall = 1e9
        self.state = MemoryStoreState()
        self.settings = settings or Settings()
        self.fenced = fenced
        self.nodes: dict[str, SimulatedNode] = {}
        for name in nodes:
            files = FullFiles(os.path.join(directory, name))
            files.create()
            self.nodes[name] = SimulatedNode(name, self.clock, files)
        self.controllers = [SimulatedController(f"controller{n}", self) for n in range(controllers)]

    def start(self) -> None:
        """
        Start everything, and let it settle.
        """
        for controller in self.controllers:
            controller.start()
        for node in self.nodes.values():
            node.start()
        self.run(3)

    @property
    def leader(self) -> SimulatedController | None:
        """
        The controller that leads.
        """
        return next((each for each in self.controllers if each.leads), None)

    def connect(self) -> None:
        """
        Let nodes connect that can.
        """
        leader = self.leader
        for node in self.nodes.values():
            process = node.process
            if process is None or node.agent is None:
                continue
            if node.connected and (node.unreachable or leader is None or node.link is not leader.links.get(node.name)):
                assert node.link is not None
                node.link.cut()
            if leader is not None and not node.connected and not node.unreachable:
                node.link = leader.links.connect(node.agent, node.latency, _running(process))

    def run(self, seconds: float) -> None:
        """
        Let time pass.
        """
        end = self.clock.seconds() + seconds
        connectAt = self.clock.seconds()
        while self.clock.seconds() < end:
            if self.clock.seconds() >= connectAt:
                self.connect()
                connectAt += RECONNECT
            until = min(self.clock.following(end), end, connectAt)
            self.clock.advance(max(until - self.clock.seconds(), 0.000001))

    def wait(self, result: Deferred[Any], most: float = 600) -> Any:
        """
        Let time pass until something has come.

        @raise AssertionError: where it does not, in C{most} seconds.
        """
        came: list[Any] = []
        result.addBoth(came.append)
        end = self.clock.seconds() + most
        while not came:
            assert self.clock.seconds() < end, "nothing came"
            self.run(0.5)
        return came[0]


def _running(process: ProcessClock) -> Callable[[], bool]:
    return lambda: not process.killed
