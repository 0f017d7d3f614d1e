"""
Tests for L{hermes.control.reconciling}: how nodes come to what is committed.
"""

from __future__ import annotations

from hermes.control.reconciling import RETRY_FIRST
from hermes.test.control.overlays import OverlayCase
from hermes.testing.control.overlay import LEASE, SimulatedNode


class CatchUpTests(OverlayCase):
    """
    Nodes that come back, or that could not take what is committed.
    """

    def behind(self) -> SimulatedNode:
        """
        Have C{b} miss the second version, and then refuse it.
        """
        self.apply(self.all("one"))
        node = self.overlay.nodes["b"]
        node.kill()
        self.apply(self.all("two"))
        node.refusing.add(b"two")
        node.start()
        return node

    def test_aNodeThatRefusesWhatIsCommittedIsAskedAgain(self) -> None:
        node = self.behind()
        self.overlay.run(2)
        self.assertRun("one", "b")
        status = {each.name: each for each in self.overlay.wait(self.controller.status()).nodes}["b"]
        self.assertEqual((status.current, status.problem), (False, "version 2: listener apps: address already in use"))
        asked = len(self.overlay.nodes["b"].link.asked)  # type: ignore[union-attr]
        self.overlay.run(2)
        self.assertEqual(len(self.overlay.nodes["b"].link.asked), asked)  # type: ignore[union-attr]
        node.refusing.clear()
        self.overlay.run(RETRY_FIRST)
        self.assertRun("two")
        status = {each.name: each for each in self.overlay.wait(self.controller.status()).nodes}["b"]
        self.assertEqual((status.current, status.problem), (True, None))

    def test_theNextVersionIsGivenAtOnce(self) -> None:
        self.behind()
        self.overlay.run(100)
        self.assertEqual(self.apply(self.all("three")).changed, ("a", "b", "c"))
        self.assertRun("three")

    def test_aNodeThatIsUpToDateIsAskedNothing(self) -> None:
        self.apply(self.all("one"))
        for node in self.overlay.nodes.values():
            node.kill()
            node.start()
        self.overlay.run(100)
        for node in self.overlay.nodes.values():
            assert node.link is not None
            self.assertEqual(node.link.asked, [])

    def test_anotherCompilerChangesNothingByItself(self) -> None:
        self.apply(self.all("one"))
        (controller,) = self.overlay.controllers
        controller.kill()
        controller.start()
        controller.planner.suffix = " as of 2.0"
        self.overlay.run(LEASE + 3)
        self.assertRun("one")
        # Who lacks it gets it as it is compiled now.
        node = self.overlay.nodes["b"]
        node.kill()
        for name in node.files.names():
            node.files.remove(name)
        node.start()
        self.overlay.run(3)
        self.assertEqual(node.runner.config, b"one b as of 2.0")
        self.overlay.run(100)
        self.assertEqual(node.runner.history, [b"one b as of 2.0"])
        # The next change has all nodes.
        self.assertEqual(self.apply(self.all("one")).changed, ("a", "c"))

    def test_whatCanNotBeCompiledAnyMoreIsTold(self) -> None:
        self.apply(self.all("one"))
        (controller,) = self.overlay.controllers
        controller.kill()
        controller.start()
        controller.planner.broken = True
        self.overlay.run(LEASE + 3)
        status = self.overlay.wait(controller.controller.status())
        self.assertIn("version 1 can't be compiled any more", status.problem)
        self.assertEqual([node.current for node in status.nodes], [True] * 3)
        controller.planner.broken = False
        self.assertEqual(self.apply(self.all("two")).result, "committed")
        self.assertIsNone(self.overlay.wait(controller.controller.status()).problem)
        self.assertRun("two")

    def test_aStoreFromABackupHasTheLastWord(self) -> None:
        for text in "one", "two", "three":
            self.apply(self.all(text))
        state = self.overlay.state
        del state.versions[3], state.versions[2]
        state.current = 1
        (controller,) = self.overlay.controllers
        controller.kill()
        controller.start()
        self.overlay.run(LEASE + 5)
        self.assertRun("one")
        self.assertEqual(self.apply(self.all("four")).number, 2)
        self.assertRun("four")

    def test_aNodeThatCarriesSomethingOfAnotherTimeIsCleared(self) -> None:
        self.apply(self.all("one"))
        node = self.overlay.nodes["b"]
        assert node.agent is not None and node.link is not None
        node.unreachable = True
        self.overlay.run(2)
        config = b"stray b"
        from hermes.control.values import digestOf

        node.agent.prepare(9, 1, config, digestOf(config), 1000.0)
        node.agent.commit(9)
        node.unreachable = False
        self.overlay.run(3)
        self.assertRun("one")
        self.assertEqual(node.runner.history, [b"one b", b"stray b", b"one b"])

    def test_twoNodesOfOneNameAreOne(self) -> None:
        self.apply(self.all("one"))
        node = self.overlay.nodes["b"]
        before = node.link
        assert before is not None and node.agent is not None
        leader = self.overlay.leader
        assert leader is not None
        node.link = leader.links.connect(node.agent)
        self.assertFalse(before.state.connected)
        self.overlay.run(3)
        self.assertRun("one")
