"""
Controllers and nodes that are killed at each step of a change: old or new, and never between.
"""

from __future__ import annotations

from hermes.control.stops import AGENT_POINTS, CONTROLLER_POINTS
from hermes.test.control.overlays import SETTINGS, OverlayCase
from hermes.testing.control import documentOf
from hermes.testing.control.overlay import LEASE


class ControllerCrashTests(OverlayCase):
    """
    Two controllers, of which the leader is killed.
    """

    controllers = 2

    def crash(self, point: str, document: str) -> None:
        """
        Begin a change, and kill the leader at a point of it; then let the other one take over.
        """
        self.apply(self.all("one"))
        leader = self.overlay.leader
        assert leader is not None
        leader.stops.at[point] = 0
        self.applying(document)
        self.overlay.run(SETTINGS.trial + 8)
        self.assertEqual((point, leader.stops.stopped, leader.process), (point, [point], None))
        self.overlay.run(LEASE + SETTINGS.decide + 5)
        successor = self.overlay.leader
        assert successor is not None
        self.assertIsNot(successor, leader)

    def check(self, point: str, kept: bool) -> None:
        """
        Everybody runs the new version, or everybody the old one; and the next change can be made.
        """
        state = self.overlay.state
        self.assertRun("two" if kept else "one")
        self.assertEqual((point, state.current), (point, 2 if kept else 1))
        self.assertEqual([record.number for record in state.versions.values() if not record.decided], [])
        self.assertEqual(self.apply(self.all("three")).result, "committed")
        self.assertRun("three")

    def test_killedAtAnyPointOfAGoodChange(self) -> None:
        kept = {"apply.decided", "apply.confirm", "apply.confirmed"}
        for point in (
            "apply.validate",
            "apply.record",
            "apply.prepare",
            "apply.prepared",
            "apply.trial",
            "apply.commit",
            "apply.committed",
            "apply.probe",
            "apply.decide",
            *kept,
        ):
            self.setUp()
            self.crash(point, documentOf(self.all("two")))
            self.check(point, point in kept)

    def test_killedAtAnyPointOfABadChange(self) -> None:
        for point in "apply.abort", "apply.aborted", "apply.rollback", "apply.rolledback":
            for bad in "refuse b", "break b":
                self.setUp()
                self.crash(point, documentOf({**self.all("two"), "b": bad}))
                self.check(point, False)

    def test_killedWhileItRecovers(self) -> None:
        for point in "recover", "recover.abort":
            self.setUp()
            self.overlay.controllers[1].stops.at[point] = 0
            self.apply(self.all("one"))
            first, second = self.overlay.controllers
            self.assertTrue(first.leads)
            first.stops.at["apply.probe"] = 0
            self.applying(documentOf(self.all("two")))
            self.overlay.run(2)
            self.assertIsNone(first.process)
            self.overlay.run(LEASE + 1)
            self.assertEqual((second.process, second.stops.stopped), (None, [point]))
            first.start()
            self.overlay.run(LEASE + SETTINGS.decide + 5)
            self.check(point, False)

    def test_killedWhileItBringsANodeUpToDate(self) -> None:
        for point in "catchup.prepare", "catchup.commit", "catchup.confirm":
            self.setUp()
            self.apply(self.all("one"))
            self.overlay.nodes["c"].kill()
            self.apply(self.all("two"))
            leader = self.overlay.leader
            assert leader is not None
            leader.stops.at[point] = 0
            self.overlay.nodes["c"].start()
            self.overlay.run(2)
            self.assertEqual(leader.stops.stopped, [point])
            self.overlay.run(LEASE + SETTINGS.decide + 5)
            self.check(point, True)

    def test_everyPointIsTried(self) -> None:
        tried = {
            *("validate", "record", "prepare", "prepared", "trial", "commit", "committed", "probe", "decide"),
            *("decided", "confirm", "confirmed", "abort", "aborted", "rollback", "rolledback"),
        }
        others = {"recover", "recover.abort", "catchup.prepare", "catchup.commit", "catchup.confirm"}
        self.assertEqual({f"apply.{point}" for point in tried} | others, set(CONTROLLER_POINTS))

    def test_withNoControllerNodesStartAndRun(self) -> None:
        self.apply(self.all("one"))
        for controller in self.overlay.controllers:
            controller.kill()
        for node in self.overlay.nodes.values():
            node.kill()
            node.start()
        self.overlay.run(10)
        self.assertRun("one")

    def test_aLeaderThatIsCutOffFromTheStoreDecidesNothing(self) -> None:
        self.apply(self.all("one"))
        first = self.overlay.leader
        assert first is not None
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(2)
        first.store.reachable = False
        self.overlay.run(LEASE)
        self.overlay.state.expire()
        outcome = self.overlay.wait(applying)
        self.assertEqual((outcome.result, outcome.number), ("unknown", 2))
        self.overlay.run(SETTINGS.decide + 5)
        self.assertIsNot(self.overlay.leader, first)
        self.check("cut off", False)
        self.assertEqual(self.flushLoggedErrors(), [])


class NodeCrashTests(OverlayCase):
    """
    A node that is killed, and starts again.
    """

    def crash(self, point: str, document: str) -> str:
        """
        Make a change, in the course of which a node is killed; then start it again.

        @return: what came of the change.
        """
        self.setUp()
        self.apply(self.all("one"))
        node = self.overlay.nodes["b"]
        node.stops.at[point] = 0
        outcome = self.overlay.wait(self.applying(document))
        self.overlay.run(1)
        self.assertEqual((point, node.stops.stopped, node.process), (point, [point], None))
        node.start()
        self.overlay.run(SETTINGS.decide + 5)
        result: str = outcome.result
        return result

    def test_killedAtAnyPoint(self) -> None:
        for point in AGENT_POINTS:
            if point.startswith("agent.return"):
                continue
            result = self.crash(point, documentOf(self.all("two")))
            # While it is prepared it is as a node that was never there.
            expected = "aborted" if point.startswith("agent.commit") else "committed"
            self.assertEqual((point, result), (point, expected))
            self.assertRun("two" if result == "committed" else "one")
            self.assertEqual(self.apply(self.all("three")).result, "committed")

    def test_killedAtAnyPointOfItsWayBack(self) -> None:
        for point in AGENT_POINTS:
            if not point.startswith("agent.return"):
                continue
            result = self.crash(point, documentOf({**self.all("two"), "c": "break c"}))
            self.assertEqual((point, result), (point, "aborted"))
            self.assertRun("one")
            self.assertEqual(self.apply(self.all("three")).result, "committed")
