"""
An overlay in which everything may go wrong, and what must hold in it all the same.
"""

from __future__ import annotations

import os
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from hermes.control.agent.disk import Configuration
from hermes.control.values import Outcome, Settings
from hermes.testing.control import Overlay, SimulatedController, SimulatedNode, documentOf

NAMES = ("a", "b", "c", "d")
CONVERGED = 1200.0


class FaultyOverlay(RuleBasedStateMachine):
    """
    An overlay of four nodes and two controllers.

    @ivar documents: what was ever applied, with what it comes to.
    @ivar outcomes: what came of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.directory = mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.counter = 0
        self.outcomes: list[Any] = []
        self.overlay: Overlay
        self.documents: dict[str, dict[str, str]] = {}

    @initialize(fenced=st.booleans())
    def begin(self, fenced: bool) -> None:
        """
        Start everything.
        """
        self.overlay = Overlay(self.directory, list(NAMES), 2, Settings(3.0, 15.0, 4.0), fenced)
        self.overlay.start()

    @property
    def leader(self) -> SimulatedController:
        """
        The controller that leads; any, where none does.
        """
        return self.overlay.leader or self.overlay.controllers[0]

    def apply(self, controller: SimulatedController, bad: dict[str, str], whom: set[str]) -> None:
        """
        Make a change.
        """
        self.counter += 1
        texts = dict(self.configs.get(self.overlay.state.current, {}))
        for name in whom:
            texts[name] = f"{bad.get(name, 'good')} {self.counter} {name}"
        if controller.process is None:
            return
        document = documentOf(texts, probes={name: ["p"] for name in texts})
        self.documents[document] = texts
        controller.controller.apply(document, "ops").addBoth(self.outcomes.append)

    def node(self, name: str) -> SimulatedNode:
        """
        A node.
        """
        return self.overlay.nodes[name]

    @property
    def configs(self) -> dict[int | None, dict[str, str]]:
        """
        What each version comes to.
        """
        return {number: self.documents[record.document] for number, record in self.overlay.state.versions.items()}

    def committed(self, name: str) -> set[bytes | None]:
        """
        What was ever committed for a node.
        """
        configs = self.configs
        return {configs[number][name].encode() for number in self.overlay.state.decided if name in configs[number]}

    @invariant()
    def aNodeThatIsSureRunsWhatWasCommitted(self) -> None:
        """
        It runs that, or nothing.
        """
        if not hasattr(self, "overlay"):
            return
        for name, node in self.overlay.nodes.items():
            if node.process is None or node.agent is None:
                continue
            state = node.agent.state
            if not state.trial:
                assert node.runner.config in self.committed(name) | {None}, (name, node.runner.config)
            if state.confirmed is not None and state.runs == state.confirmed:
                assert state.runs in self.overlay.state.decided, (name, state)

    @invariant()
    def whatIsOnDiskWasCommitted(self) -> None:
        """
        Whatever a node would start from.
        """
        if not hasattr(self, "overlay"):
            return
        for name, node in self.overlay.nodes.items():
            for each in node.files.names():
                if each.endswith(".yaml"):
                    try:
                        kept = Configuration.fromBytes(node.files.read(each))
                    except ValueError:
                        continue
                    assert kept.config in self.committed(name), (name, each)

    @invariant()
    def versionsFollowOneAnother(self) -> None:
        """
        Each was decided once, and was made for the one before.
        """
        if not hasattr(self, "overlay"):
            return
        state = self.overlay.state
        assert set(state.decided.values()) <= {1}
        before = None
        for number in state.decided:
            assert state.versions[number].parent == before, state.decided
            before = number
        assert state.current == before
        for outcome in self.outcomes:
            if isinstance(outcome, Outcome) and outcome.number is not None and outcome.result != "unknown":
                phase = state.versions[outcome.number].phase
                assert outcome.result == "unchanged" or outcome.result == phase, (outcome, phase)

    def heal(self) -> None:
        """
        Nothing goes wrong any more.
        """
        overlay = self.overlay
        overlay.state.tellAll()
        for controller in overlay.controllers:
            if controller.process is not None:
                controller.stops.at, controller.stops.on = {}, {}
                healed(controller)
            else:
                controller.start()
        for node in overlay.nodes.values():
            node.unreachable = node.files.full = False
            node.refusing.clear()
            node.latency = 0.001
            node.stops.at = {}
            if node.link is not None:
                node.link.cut()
            if node.process is None:
                node.start()

    def converged(self) -> bool:
        """
        Whether all is as it should be.
        """
        state = self.overlay.state
        # A store that lets everybody write may have a version of somebody who did not lead: the next change clears it.
        if self.overlay.fenced and any(not record.decided for record in state.versions.values()):
            return False
        if state.current is None:
            return True
        wanted = self.configs[state.current]
        for name, text in wanted.items():
            node = self.overlay.nodes[name]
            assert node.agent is not None
            told = node.agent.state
            # A node that was not there when it was tried can't take everything: then it says so, and stays as it was.
            good = text.split()[0] in ("good", "unprobed")
            if (good and node.runner.config != text.encode()) or told.trial or told.prepared is not None:
                return False
            if node.runner.open:
                return False
        return True

    def teardown(self) -> None:
        """
        When faults end, all come together.
        """
        try:
            if hasattr(self, "overlay"):
                self.heal()
                end = self.overlay.clock.seconds() + CONVERGED
                self.overlay.run(60)
                while not self.converged():
                    assert self.overlay.clock.seconds() < end, self.describe()
                    self.overlay.run(20)
                # And stay so; and the next change can be made.
                self.overlay.run(60)
                assert self.converged(), self.describe()
                self.apply(self.leader, {}, set(NAMES))
                self.overlay.run(20)
                assert self.outcomes[-1].result == "committed", self.outcomes[-1]
                self.overlay.fenced = True
                assert self.converged(), self.describe()
                self.versionsFollowOneAnother()
                self.aNodeThatIsSureRunsWhatWasCommitted()
        finally:
            rmtree(self.directory)

    def describe(self) -> str:
        """
        What is not as it should be.
        """
        state = self.overlay.state
        lines = [f"current {state.current}: {self.configs.get(state.current)}"]
        lines += [f"{record.number}: {record.phase} of {record.parent}" for record in state.versions.values()]
        for name, node in self.overlay.nodes.items():
            lines.append(f"{name}: {node.runner.config!r} {node.agent and node.agent.state} open {node.runner.open}")
        lines.append(f"leader {self.overlay.leader and self.overlay.leader.name}")
        return "\n".join(lines)


def healed(controller: SimulatedController) -> None:
    """
    A controller can reach the store.
    """
    controller.store.reachable = True
    controller.store.forgets = controller.store.fails = 0
