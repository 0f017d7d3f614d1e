"""
Tests for L{hermes.control.transaction}: all nodes that a change concerns, or none.
"""

from __future__ import annotations

from hermes.control.transaction.trial import FEWEST
from hermes.control.values import Outcome
from hermes.test.control.overlays import SETTINGS, OverlayCase
from hermes.testing.control import documentOf


class CommittedTests(OverlayCase):
    """
    Changes that are good.
    """

    def test_allNodesRunIt(self) -> None:
        outcome = self.apply(self.all("one"))
        self.assertEqual((outcome.result, outcome.number), ("committed", 1))
        self.assertEqual((outcome.changed, outcome.later, outcome.reasons), (("a", "b", "c"), (), ()))
        self.assertRun("one")
        record = self.overlay.state.versions[1]
        self.assertEqual((record.phase, record.parent, record.author), ("committed", None, "ops"))
        self.assertEqual(self.overlay.state.current, 1)

    def test_itTakesAsLongAsTheTrial(self) -> None:
        outcome = self.apply(self.all("one"))
        self.assertGreaterEqual(outcome.seconds, SETTINGS.trial)
        self.assertLess(outcome.seconds, SETTINGS.trial + 1)

    def test_theStepsComeInOrder(self) -> None:
        self.apply(self.all("one"))
        steps = list(dict.fromkeys(each.step for each in self.progress))
        self.assertEqual(steps, ["validate", "record", "prepare", "trial", "commit", "probe", "decide", "confirm"])
        prepared = [each for each in self.progress if each.step == "prepare" and each.node]
        self.assertEqual([(each.done, each.total) for each in prepared], [(1, 3), (2, 3), (3, 3)])

    def test_onlyNodesThatItConcernsHearOfIt(self) -> None:
        self.apply(self.all("one"))
        links = {name: self.overlay.nodes[name].link for name in self.names}
        for link in links.values():
            assert link is not None
            link.asked.clear()
        outcome = self.apply({**self.all("one"), "b": "two b"})
        self.assertEqual(outcome.changed, ("b",))
        self.assertRun("one", "a", "c")
        self.assertRun("two", "b")
        asked = {name: link.asked for name, link in links.items() if link is not None}
        self.assertEqual(asked, {"a": [], "b": ["health", "prepare", "commit", "health", "confirm"], "c": []})
        for name in "ac":
            self.assertEqual(self.overlay.nodes[name].runner.history, [f"one {name}".encode()])

    def test_eachVersionBuildsOnTheOneBefore(self) -> None:
        for number, text in enumerate(("one", "two", "three"), 1):
            self.assertEqual(self.apply(self.all(text)).number, number)
        self.assertRun("three")
        self.assertEqual([self.overlay.state.versions[n].parent for n in (1, 2, 3)], [None, 1, 2])

    def test_aNodeThatIsNotThereGetsItLater(self) -> None:
        self.apply(self.all("one"))
        self.overlay.nodes["c"].unreachable = True
        self.overlay.run(2)
        outcome = self.apply(self.all("two"))
        self.assertEqual((outcome.result, outcome.changed, outcome.later), ("committed", ("a", "b"), ("c",)))
        self.assertRun("one", "c")
        self.overlay.nodes["c"].unreachable = False
        self.overlay.run(3)
        self.assertRun("two")

    def test_withNobodyThereItIsCommittedAtOnce(self) -> None:
        for node in self.overlay.nodes.values():
            node.unreachable = True
        self.overlay.run(2)
        outcome = self.apply(self.all("one"))
        self.assertEqual((outcome.result, outcome.later), ("committed", self.names))
        self.assertLess(outcome.seconds, 1)

    def test_aDocumentThatComesToTheSameNeedsNoNode(self) -> None:
        self.apply(self.all("one"))
        outcome = self.apply(self.all("one"), required=["a"])
        self.assertEqual((outcome.result, outcome.number, outcome.changed), ("committed", 2, ()))
        outcome = self.apply(self.all("one"), required=["a"])
        self.assertEqual((outcome.result, outcome.number), ("unchanged", 2))

    def test_aNodeThatTheDocumentDoesNotNameIsLeftAlone(self) -> None:
        self.apply({"a": "one a", "b": "one b"})
        self.assertRun(None, "c")
        self.apply({"b": "two b"})
        self.assertRun("one", "a")
        self.assertRun("two", "b")


class RefusedTests(OverlayCase):
    """
    Changes that come to nothing before any node runs them.
    """

    def setUp(self) -> None:
        super().setUp()
        self.apply(self.all("one"))

    def test_oneNodeRefusesAndNobodyRunsIt(self) -> None:
        outcome = self.apply({**self.all("two"), "b": "refuse b"})
        self.assertEqual((outcome.result, outcome.number), ("aborted", 2))
        self.assertEqual(self.reasons(outcome), ["b: version 2: listener apps: address already in use"])
        self.assertRun("one")
        for name in self.names:
            self.assertEqual(self.overlay.nodes[name].runner.history, [f"one {name}".encode()])
        record = self.overlay.state.versions[2]
        self.assertEqual((record.phase, record.reasons), ("aborted", outcome.reasons))
        self.assertEqual(self.overlay.state.current, 1)

    def test_everyNodeThatRefusesIsTold(self) -> None:
        outcome = self.apply({**self.all("two"), "a": "unreadable a", "b": "refuse b"})
        self.assertEqual([reason.node for reason in outcome.reasons], ["a", "b"])

    def test_testsThatFailRefuseItBeforeItHasANumber(self) -> None:
        outcome = self.apply(self.all("two"), problems=["test 1: alice can reach db.hermes:3306"])
        self.assertEqual((outcome.result, outcome.number), ("refused", None))
        self.assertEqual(list(self.overlay.state.versions), [1])

    def test_aNodeThatMustBeThereRefusesIt(self) -> None:
        self.overlay.nodes["c"].kill()
        outcome = self.apply(self.all("two"), required=["c"])
        self.assertEqual((outcome.result, outcome.number), ("refused", None))
        self.assertEqual(self.reasons(outcome), ["c: it is required, and not connected"])
        # What does not concern it can be done.
        self.assertEqual(self.apply({**self.all("two"), "c": "one c"}, required=["c"]).result, "committed")

    def test_aNodeThatDoesNotAnswerRefusesIt(self) -> None:
        link = self.overlay.nodes["b"].link
        assert link is not None
        link.silent = True
        outcome = self.apply(self.all("two"))
        self.assertEqual((outcome.result, self.reasons(outcome)), ("aborted", ["b: it did not answer in 5 seconds"]))
        self.assertRun("one", "a", "c")

    def test_aNodeThatIsLostIsAsOneThatWasNeverThere(self) -> None:
        self.overlay.nodes["b"].stops.at["agent.prepare"] = 0
        outcome = self.apply(self.all("two"))
        self.assertEqual((outcome.result, outcome.changed, outcome.later), ("committed", ("a", "c"), ("b",)))
        self.assertRun("two", "a", "c")
        self.overlay.nodes["b"].start()
        self.overlay.run(5)
        self.assertRun("two")

    def test_unlessItMustBeThere(self) -> None:
        self.overlay.nodes["b"].stops.at["agent.prepare"] = 0
        outcome = self.apply(self.all("two"), required=["b"])
        self.assertEqual((outcome.result, self.reasons(outcome)), ("aborted", ["b: the connection was lost"]))
        self.assertRun("one", "a", "c")

    def test_aFullDiskRefusesIt(self) -> None:
        self.overlay.nodes["b"].files.full = True
        outcome = self.apply(self.all("two"))
        self.assertEqual(self.reasons(outcome), ["b: version 2 can't be kept on disk: No space left on device"])
        self.assertRun("one")

    def test_whoWantsItNoMoreCancelsIt(self) -> None:
        link = self.overlay.nodes["b"].link
        assert link is not None
        link.latency = 1.0
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(0.5)
        self.controller.cancel("alice")
        outcome = self.overlay.wait(applying)
        self.assertEqual((outcome.result, self.reasons(outcome)), ("aborted", ["(controller): alice cancelled it"]))
        self.overlay.run(3)
        self.assertRun("one")
        self.assertEqual(self.overlay.state.versions[2].phase, "aborted")


class TakenBackTests(OverlayCase):
    """
    Changes that nodes have run on trial.
    """

    def setUp(self) -> None:
        super().setUp()
        self.apply(self.all("one"))

    def assertTakenBack(self, outcome: Outcome, *reasons: str) -> None:
        """
        It was aborted, and everybody is back.
        """
        self.assertEqual((outcome.result, self.reasons(outcome)), ("aborted", list(reasons)))
        self.overlay.run(3)
        self.assertRun("one")
        self.assertEqual(self.overlay.state.current, 1)

    def test_aNodeThatCanNotSwap(self) -> None:
        outcome = self.apply({**self.all("two"), "b": "break b"})
        self.assertTakenBack(outcome, "b: listener apps: somebody has taken the port")
        self.assertEqual(self.overlay.nodes["a"].runner.history, [b"one a", b"two a", b"one a"])

    def test_aProbeThatFails(self) -> None:
        outcome = self.apply({**self.all("two"), "b": "unprobed b"}, probes={"a": ["db"], "b": ["db"]})
        self.assertTakenBack(outcome, "b: probe db: no way")
        self.assertLess(outcome.seconds, SETTINGS.trial)

    def test_aProbeThatFailedBeforeToo(self) -> None:
        self.apply({**self.all("one"), "b": "unprobed b"})
        outcome = self.apply({**self.all("two"), "b": "unprobed again b"}, probes={"b": ["db"]})
        self.assertEqual(outcome.result, "committed")

    def test_aNodeThatIsNotWell(self) -> None:
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(1)
        self.overlay.nodes["c"].runner.unhealthy = "apps: does not listen"
        self.assertTakenBack(self.overlay.wait(applying), "c: apps: does not listen")

    def test_aNodeThatWasNotWellBefore(self) -> None:
        self.overlay.nodes["c"].runner.unhealthy = "apps: does not listen"
        self.assertEqual(self.apply(self.all("two")).result, "committed")

    def test_flowsThatFail(self) -> None:
        runner = self.overlay.nodes["a"].runner
        runner.opened, runner.failed = 1000, 10
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(1)
        runner.opened, runner.failed = 1005, 10 + 2 * FEWEST
        self.assertTakenBack(self.overlay.wait(applying), "a: 20 flows failed during the trial")

    def test_flowsThatFailAsTheyAlwaysDid(self) -> None:
        runner = self.overlay.nodes["a"].runner
        runner.opened, runner.failed = 100, 900
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(1)
        runner.opened, runner.failed = 101, 999
        self.assertEqual(self.overlay.wait(applying).result, "committed")

    def test_aNodeThatIsGone(self) -> None:
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(1)
        self.overlay.nodes["b"].kill()
        outcome = self.overlay.wait(applying)
        self.assertEqual(
            (outcome.result, self.reasons(outcome)),
            ("aborted", ["b: its connection was lost during the trial, and it did not come back"]),
        )
        self.overlay.nodes["b"].start()
        self.overlay.run(5)
        self.assertRun("one")

    def test_aNodeThatWasGoneForAMoment(self) -> None:
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(1)
        link = self.overlay.nodes["b"].link
        assert link is not None
        link.cut()
        self.assertEqual(self.overlay.wait(applying).result, "committed")
        self.assertRun("two")

    def test_aNodeThatStartedAgainOnWhatItHadBefore(self) -> None:
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(1)
        node = self.overlay.nodes["b"]
        node.kill()
        node.start()
        outcome = self.overlay.wait(applying)
        self.assertTakenBack(outcome, "b: it went back to version 1 by itself")

    def test_aSwapThatTakesTooLong(self) -> None:
        for node in self.overlay.nodes.values():
            assert node.link is not None
            node.link.latency = 2.0
        settings = {"trial": 18.0, "decide": 19.0}
        outcome = self.apply(self.all("two"), settings=settings)
        self.assertEqual(outcome.result, "aborted")
        self.assertIn("it took so long that nodes go back by themselves", self.reasons(outcome)[0])
        self.overlay.run(20)
        self.assertRun("one")


class ConfirmTests(OverlayCase):
    """
    Nodes that do not hear that it is decided.
    """

    def setUp(self) -> None:
        super().setUp()
        self.apply(self.all("one"))

    def test_aNodeThatIsKilledBeforeItHearsGetsItAgain(self) -> None:
        self.overlay.nodes["b"].stops.at["agent.confirm"] = 0
        outcome = self.apply(self.all("two"))
        self.assertEqual(outcome.result, "committed")
        self.assertEqual([str(each) for each in outcome.notes], ["b: the connection was lost"])
        self.overlay.nodes["b"].start()
        self.assertRun("one", "b")
        self.overlay.run(5)
        self.assertRun("two")

    def test_aNodeThatIsCutOffGoesBackAndGetsItAgain(self) -> None:
        leader = self.overlay.leader
        assert leader is not None
        node = self.overlay.nodes["b"]

        def cutOff() -> None:
            assert node.link is not None
            node.link.silent = node.unreachable = True

        leader.stops.on["apply.decided"] = cutOff
        outcome = self.apply(self.all("two"))
        self.assertEqual(outcome.result, "committed")
        self.assertRun("two", "a", "c")
        self.assertRun("two", "b", confirmed=False)
        self.overlay.run(SETTINGS.decide)
        self.assertRun("one", "b")
        node.unreachable = False
        self.overlay.run(5)
        self.assertRun("two")

    def test_aNodeThatCanNotWriteItDownRunsIt(self) -> None:
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(1)
        files = self.overlay.nodes["b"].files
        files.full = True
        for name in files.names():
            if name.endswith(".trial"):
                files.remove(name)
        outcome = self.overlay.wait(applying)
        self.assertEqual(outcome.result, "committed")
        self.assertEqual(
            [str(each) for each in outcome.notes],
            ["b: version 2 runs but can't be kept on disk: No space left on device"],
        )
        self.assertRun("two")
