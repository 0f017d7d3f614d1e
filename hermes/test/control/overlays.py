"""
Tests on an overlay in memory.
"""

from __future__ import annotations

from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.control.values import Outcome, Progress, Settings
from hermes.testing.control import Overlay, documentOf

SETTINGS = Settings(trial=4.0, decide=20.0, answer=5.0)


class OverlayCase(SynchronousTestCase):
    """
    Three nodes and a controller.
    """

    names = ("a", "b", "c")
    controllers = 1

    def setUp(self) -> None:
        directory = mkdtemp()
        self.addCleanup(rmtree, directory)
        self.progress: list[Progress] = []
        self.overlay = Overlay(directory, list(self.names), self.controllers, SETTINGS)
        self.overlay.start()

    @property
    def controller(self) -> Any:
        """
        The controller that leads.
        """
        leader = self.overlay.leader
        assert leader is not None
        return leader.controller

    def applying(self, document: str, **more: Any) -> Any:
        """
        Begin a change.
        """
        return self.controller.apply(document, "ops", progress=self.progress.append, **more)

    def apply(self, nodes: dict[str, str], **more: Any) -> Outcome:
        """
        Make a change, and wait for its end.
        """
        outcome = self.overlay.wait(self.applying(documentOf(nodes, **more)))
        self.assertIsInstance(outcome, Outcome)
        assert isinstance(outcome, Outcome)
        return outcome

    def all(self, text: str) -> dict[str, str]:
        """
        The same for each node.
        """
        return {name: f"{text} {name}" for name in self.names}

    def assertRun(self, text: str | None, *names: str, confirmed: bool = True) -> None:
        """
        What nodes run.
        """
        for name in names or self.names:
            node = self.overlay.nodes[name]
            assert node.agent is not None
            expected = None if text is None else f"{text} {name}".encode()
            self.assertEqual((name, node.runner.config), (name, expected))
            state = node.agent.state
            self.assertEqual((name, state.trial, state.prepared), (name, not confirmed, None))

    def reasons(self, outcome: Outcome) -> list[str]:
        """
        Why, in words.
        """
        return [str(reason) for reason in outcome.reasons]
