"""
Many nodes: what a change costs grows with those that it concerns.
"""

from __future__ import annotations

from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from hermes.control.values import Settings
from hermes.testing.control import Overlay, documentOf


class ScaleTests(SynchronousTestCase):
    """
    Counted, not timed.
    """

    def overlay(self, nodes: int) -> Overlay:
        """
        An overlay of so many nodes, at its first version.
        """
        directory = mkdtemp()
        self.addCleanup(rmtree, directory)
        overlay = Overlay(directory, [f"n{number}" for number in range(nodes)], 1, Settings(3.0, 20.0, 10.0))
        overlay.start()
        self.apply(overlay, "one")
        return overlay

    def apply(self, overlay: Overlay, text: str, only: str | None = None) -> tuple[int, int]:
        """
        Change all nodes, or one.

        @return: how many messages there were, and how many things happened at all, by the clock.
        """
        leader = overlay.leader
        assert leader is not None
        texts = {name: f"{text if only in (None, name) else 'one'} {name}" for name in overlay.nodes}
        links = list(leader.links)
        asked, made = sum(len(link.asked) for link in links), overlay.clock.made
        outcome = overlay.wait(leader.controller.apply(documentOf(texts), "ops"))
        self.assertEqual(outcome.result, "committed")
        return sum(len(link.asked) for link in links) - asked, overlay.clock.made - made

    def test_aChangeToAllGrowsWithTheNodes(self) -> None:
        few, many = self.apply(self.overlay(20), "two"), self.apply(self.overlay(200), "two")
        self.assertEqual((few[0], many[0]), (5 * 20, 5 * 200))
        self.assertLess(many[1], 11 * few[1])

    def test_aChangeToOneDoesNot(self) -> None:
        few, many = self.apply(self.overlay(20), "two", "n7"), self.apply(self.overlay(200), "two", "n7")
        self.assertEqual((few[0], many[0]), (5, 5))
        self.assertLess(many[1], few[1] + 10)

    def test_manyNodesThatComeAtOnceAreBroughtUpToDateAFewAtATime(self) -> None:
        overlay = self.overlay(150)
        for node in overlay.nodes.values():
            node.kill()
        self.apply(overlay, "two")
        for node in overlay.nodes.values():
            node.start()
        overlay.connect()
        leader = overlay.leader
        assert leader is not None
        began = [link for link in leader.links if link.asked]
        self.assertEqual(len(began), 64)
        overlay.run(10)
        for name, node in overlay.nodes.items():
            self.assertEqual(node.runner.config, f"two {name}".encode())
