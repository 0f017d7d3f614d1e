"""
Tests on an overlay in memory whose controllers follow what links cost.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.controller import Controller
from hermes.control.explaining import Explanation, Question
from hermes.control.leading import Parts
from hermes.control.linkcosts import LinkCosts
from hermes.control.planning import OverlayPlanner
from hermes.control.rerouting import Rerouter
from hermes.control.values import LinkFigure, Outcome, VersionRecord
from hermes.testing.control import MemoryLinks, MemoryStore, SimulatedNode, Stops
from hermes.testing.control.overlay import FullFiles
from hermes.testing.control.process import HeapClock
from hermes.testing.control.storestate import MemoryStoreState

DOCUMENT = """
overlay: example
nodes:
  edge:    {address: "edge.example:8443", listeners: {apps: {type: proxy, bind: 127.0.0.1:3128}}}
  one:     {address: "one.example:8443"}
  two:     {address: "two.example:8443"}
  gateway: {address: "gw.example:8443"}
links:
  - {between: [edge, one]}
  - {between: [edge, two]}
  - {between: [gateway, one]}
  - {between: [gateway, two]}
services:
  db.hermes: {on: [gateway], ports: [3306], endpoints: ["10.1.0.5:3306"]}
policy:
  - {allow: any, to: "db.hermes:3306"}
tests: []
settings: {trial: 2s, decide: 20s, rerouteAfter: 60s}
"""
"""
From C{edge} to C{gateway}, by C{one} or by C{two}.
"""

NAMES = ("edge", "gateway", "one", "two")

GOOD = 0.01
"""
A round trip, in seconds.
"""

BAD = 0.2


@define(eq=False)
class Leader:
    """
    A controller, and what makes it follow.
    """

    clock: HeapClock
    state: MemoryStoreState
    name: str
    links: MemoryLinks = field(init=False)
    costs: LinkCosts = field(init=False)
    controller: Controller = field(init=False)
    rerouter: Rerouter = field(init=False)
    store: MemoryStore = field(init=False)
    stops: Stops = field(factory=Stops)

    def __attrs_post_init__(self) -> None:
        clock = self.clock
        self.links = MemoryLinks(clock)
        self.store = MemoryStore(clock, self.state)
        parts = Parts(self.store, self.links, OverlayPlanner(), clock, maybeDeferred, self.stops)
        self.costs = LinkCosts(clock, lambda: self.controller.committed)
        self.controller = Controller(
            parts, self.name, lambda: 1e9 + clock.seconds(), measurements=lambda text: self.costs.text(text)
        )
        self.rerouter = Rerouter(parts, self.controller, self.costs)
        self.controller.start()
        self.rerouter.start()

    def end(self) -> None:
        """
        It stops.
        """
        self.rerouter.stop()
        self.controller.stop()


class ReroutingCase(SynchronousTestCase):
    """
    A controller and nodes. What the nodes have measured, they tell every ten seconds.

    @ivar figures: what they tell, by their names.
    """

    document = DOCUMENT

    def setUp(self) -> None:
        directory = mkdtemp()
        self.addCleanup(rmtree, directory)
        self.clock = HeapClock()
        self.state = MemoryStoreState()
        self.figures: dict[str, Mapping[str, LinkFigure]] = {}
        self.nodes: dict[str, SimulatedNode] = {}
        for name in NAMES:
            files = FullFiles(os.path.join(directory, name))
            files.create()
            self.nodes[name] = SimulatedNode(name, self.clock, files)
        self.leader = self.lead("first")
        for node in self.nodes.values():
            node.start()
        self.pass_(1)
        self.connect()
        outcome = self.wait(self.leader.controller.apply(self.document, "ops"))
        self.assertEqual(outcome.result, "committed", outcome)

    def lead(self, name: str) -> Leader:
        """
        A controller starts.
        """
        leader = Leader(self.clock, self.state, name)
        self.addCleanup(leader.rerouter.stop)
        return leader

    def connect(self) -> None:
        """
        All nodes connect to the leader.
        """
        for node in self.nodes.values():
            assert node.agent is not None
            node.link = self.leader.links.connect(node.agent)

    def pass_(self, seconds: float) -> None:
        """
        Time passes, and nodes tell.
        """
        end = self.clock.seconds() + seconds
        while (now := self.clock.seconds()) < end:
            tell = (now // 10 + 1) * 10
            self.clock.advance(min(tell, end) - now)
            if self.clock.seconds() >= tell:
                self.tell()

    def tell(self) -> None:
        """
        Nodes tell what they have measured.
        """
        for name, figures in self.figures.items():
            self.leader.costs.heard(name, tuple(figures.values()))

    def wait(self, result: Deferred[Any]) -> Any:
        """
        What it fires with.
        """
        came: list[Any] = []
        result.addBoth(came.append)
        for _ in range(1000):
            if came:
                return came[0]
            self.pass_(0.1)
        raise AssertionError("nothing came")

    def measure(self, **trips: float | None) -> None:
        """
        What C{edge} measures from now on; L{None} for a link that is down. The others measure no difference.
        """
        self.figures["edge"] = {
            name: LinkFigure(name, trip, up=trip is not None)
            for name, trip in {"one": GOOD, "two": GOOD, **trips}.items()
        }
        for name in "one", "two":
            self.figures[name] = {"gateway": LinkFigure("gateway", GOOD)}

    @property
    def current(self) -> VersionRecord:
        """
        What is committed.
        """
        committed = self.leader.controller.committed
        assert committed is not None
        return committed[0]

    @property
    def path(self) -> tuple[str, ...]:
        """
        The way from C{edge} to the service.
        """
        found: Mapping[str, Explanation] = self.wait(self.leader.controller.explain(Question("db.hermes:3306"), "edge"))
        return found["edge"].path

    def versions(self) -> list[VersionRecord]:
        """
        Of all, the oldest first.
        """
        return [self.state.versions[number] for number in sorted(self.state.versions)]

    def apply(self, document: str, author: str = "ops") -> Outcome:
        """
        An operator makes a change.
        """
        outcome: Outcome = self.wait(self.leader.controller.apply(document, author))
        return outcome
