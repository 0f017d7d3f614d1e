"""
Everything that can go wrong, in any order, over thousands of steps: whatever happens, a node that is sure of what it
runs runs a version that was committed; and when nothing goes wrong any more, all run the one that is.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.stops import AGENT_POINTS, CONTROLLER_POINTS
from hermes.test.control.faults import NAMES, FaultyOverlay

nodes = st.sampled_from(NAMES)
controllers = st.integers(0, 1)
words = st.sampled_from(["good", "refuse", "break", "unprobed", "unreadable"])
bads: st.SearchStrategy[dict[str, str]] = st.one_of(st.just({}), st.dictionaries(nodes, words, max_size=2))
groups = st.sets(nodes, min_size=1)
times = st.sampled_from([0.01, 1.0, 3.5, 8.0, 8.0, 20.0])


class Faults(FaultyOverlay):
    """
    Whatever operators, machines and networks do.
    """

    # What operators do

    @rule(bad=bads, whom=groups, seconds=times)
    def change(self, bad: dict[str, str], whom: set[str], seconds: float) -> None:
        """
        Somebody makes a change, and time passes.
        """
        self.apply(self.leader, bad, whom)
        self.overlay.run(seconds)

    @rule(bad=bads, whom=groups, point=st.sampled_from(CONTROLLER_POINTS), seconds=times)
    def changeAndKill(self, bad: dict[str, str], whom: set[str], point: str, seconds: float) -> None:
        """
        The leader is killed at a point of it.
        """
        self.leader.stops.at = {point: 0}
        self.apply(self.leader, bad, whom)
        self.overlay.run(seconds)

    @rule(bad=bads, whom=groups, name=nodes, point=st.sampled_from(AGENT_POINTS), seconds=times)
    def changeAndKillNode(self, bad: dict[str, str], whom: set[str], name: str, point: str, seconds: float) -> None:
        """
        A node is killed at a point of it.
        """
        self.node(name).stops.at = {point: 0}
        self.apply(self.leader, bad, {*whom, name})
        self.overlay.run(seconds)

    @rule(
        bad=bads,
        whom=groups,
        point=st.sampled_from([point for point in CONTROLLER_POINTS if point.startswith("apply")]),
        fault=st.sampled_from(
            ["expire", "expire unheard", "forgets", "fails", "unreachable", "cut", "silent", "cancel"]
        ),
        name=nodes,
        seconds=times,
    )
    def changeAndFault(
        self, bad: dict[str, str], whom: set[str], point: str, fault: str, name: str, seconds: float
    ) -> None:
        """
        Something goes wrong at a point of it.
        """
        leader, node = self.leader, self.node(name)

        def happen() -> None:
            leader.stops.on.clear()
            if fault.startswith("expire"):
                self.overlay.state.expire(fault == "expire")
            elif fault == "cancel":
                if leader.leads:
                    leader.controller.cancel("ops")
            elif fault in ("cut", "silent"):
                self.overlay.clock.callLater(0, self.cut if fault == "cut" else self.silence, name)
            else:
                self.store(self.overlay.controllers.index(leader), fault)

        assert node is not None
        leader.stops.on = {point: happen}
        self.apply(leader, bad, {*whom, name})
        self.overlay.run(seconds)

    @rule(by=controllers, bad=bads, whom=groups)
    def changeAtAny(self, by: int, bad: dict[str, str], whom: set[str]) -> None:
        """
        Somebody makes a change at one controller or the other, whether it leads or believes so.
        """
        self.apply(self.overlay.controllers[by], bad, whom)

    @rule()
    def mend(self) -> None:
        """
        Most of what is wrong is mended.
        """
        self.heal()
        self.overlay.run(8)

    @rule(by=controllers, back=st.integers(1, 4))
    def rollback(self, by: int, back: int) -> None:
        """
        Somebody wants an earlier version back.
        """
        controller = self.overlay.controllers[by]
        if controller.process is not None:
            number = max(1, (self.overlay.state.current or 1) - back)
            controller.controller.rollback(number, "ops").addBoth(self.outcomes.append)

    @rule(by=controllers)
    def cancel(self, by: int) -> None:
        """
        Somebody wants no change any more.
        """
        controller = self.overlay.controllers[by]
        if controller.leads:
            controller.controller.cancel("ops")

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 3.0, 8.0, 20.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.overlay.run(seconds)

    # What happens to controllers

    @rule(which=controllers)
    def killController(self, which: int) -> None:
        """
        At any moment.
        """
        self.overlay.controllers[which].kill()

    @rule(which=controllers)
    def startController(self, which: int) -> None:
        """
        It is started again.
        """
        controller = self.overlay.controllers[which]
        if controller.process is None:
            controller.start()

    @rule(told=st.booleans())
    def expire(self, told: bool) -> None:
        """
        The leader's lease ends, and it may not know.
        """
        self.overlay.state.expire(told)

    @rule()
    def tellAll(self) -> None:
        """
        It knows.
        """
        self.overlay.state.tellAll()

    @rule(which=controllers, what=st.sampled_from(["unreachable", "forgets", "fails", "reachable"]))
    def store(self, which: int, what: str) -> None:
        """
        The store can't be reached, or its answers are lost.
        """
        store = self.overlay.controllers[which].store
        store.reachable = what != "unreachable"
        if what == "forgets":
            store.forgets += 1
        elif what == "fails":
            store.fails += 2

    # What happens to nodes

    @rule(name=nodes)
    def killNode(self, name: str) -> None:
        """
        At any moment.
        """
        self.node(name).kill()

    @rule(name=nodes)
    def startNode(self, name: str) -> None:
        """
        It is started again.
        """
        node = self.node(name)
        if node.process is None:
            node.start()

    @rule(name=nodes, unreachable=st.booleans())
    def partition(self, name: str, unreachable: bool) -> None:
        """
        It is cut off from all controllers.
        """
        self.node(name).unreachable = unreachable

    @rule(name=nodes)
    def silence(self, name: str) -> None:
        """
        Its connection stands, and nothing comes through any more.
        """
        link = self.node(name).link
        if link is not None:
            link.silent = True

    @rule(name=nodes)
    def cut(self, name: str) -> None:
        """
        Its connection breaks.
        """
        link = self.node(name).link
        if link is not None:
            link.cut()

    @rule(name=nodes, latency=st.sampled_from([0.001, 0.5, 2.0, 6.0]))
    def slow(self, name: str, latency: float) -> None:
        """
        It is far away, or near again.
        """
        node = self.node(name)
        node.latency = latency
        if node.link is not None:
            node.link.latency = latency

    @rule(name=nodes, full=st.booleans())
    def disk(self, name: str, full: bool) -> None:
        """
        Its disk is full, or not any more.
        """
        self.node(name).files.full = full

    @rule(name=nodes, word=st.sampled_from([b"good", b" 1 ", b" 2 ", b" 3 "]), refuses=st.booleans())
    def lack(self, name: str, word: bytes, refuses: bool) -> None:
        """
        The machine lacks what some versions need: a port that somebody has.
        """
        refusing = self.node(name).refusing
        refusing.add(word) if refuses else refusing.discard(word)

    @rule(name=nodes, how=st.sampled_from([b"", b"garbage", b"+"]))
    def corrupt(self, name: str, how: bytes) -> None:
        """
        The last thing that was written to its disk is not what was written, when it starts again.
        """
        node = self.node(name)
        node.kill()
        files = [each for each in node.files.names() if each.endswith(".yaml")]
        if files:
            data = node.files.read(files[-1]) + how if how == b"+" else how
            with open(node.files.path(files[-1]), "wb") as file:
                file.write(data)

    @rule(seconds=st.sampled_from([-86400.0, -10.0, 10.0, 86400.0]))
    def jump(self, seconds: float) -> None:
        """
        The date jumps.
        """
        self.overlay.wall += seconds


class FaultTests(SynchronousTestCase):
    """
    The machine, run.
    """

    def test_whateverHappens(self) -> None:
        case = Faults.TestCase
        case.settings = settings(
            max_examples=int(os.environ.get("HERMES_FAULT_EXAMPLES", "40")),
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        case("runTest").runTest()
        # What goes wrong is logged.
        self.flushLoggedErrors()
