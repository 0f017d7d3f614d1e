"""
Tests for L{hermes.control.planning}, and for the questions that it answers.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.config import ConfigError
from hermes.control.controller import Controller
from hermes.control.errors import UnknownVersion
from hermes.control.explaining import Question
from hermes.control.leading import Parts
from hermes.control.planning import OverlayPlanner
from hermes.control.questions import Questions
from hermes.control.stops import nowhere
from hermes.control.values import Probe, Settings, digestOf
from hermes.testing.control import MemoryLinks, MemoryStore

DOCUMENT = """
overlay: example
nodes:
  edge:    {address: edge.example:8443, listeners: {apps: {type: proxy, bind: 127.0.0.1:3128}}}
  gateway: {address: gw.example:8443, required: true}
services:
  db.hermes: {on: [gateway], ports: [3306], endpoints: [10.1.0.5:3306]}
  shop.hermes: {on: [gateway], protocol: http, endpoints: [10.1.0.10:80]}
users: {alice: {password: {hash}}, bob: {password: {hash}}}
policy:
  - {allow: [user:alice], to: [db.hermes]}
  - {allow: [any], to: [shop.hermes]}
tests:
  - {user: alice, can: [db.hermes:3306]}
  - {user: bob, cannot: [db.hermes:3306]}
settings: {trial: 2s, decide: 9s, probe: [shop.hermes:80, db.hermes:3306, 192.0.2.1:7]}
""".replace(
    "{hash}",
    "scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
)

ANY = DOCUMENT.replace("required: true", "required: false")


class PlannerTests(SynchronousTestCase):
    """
    From a document to a plan.
    """

    def plan(self, document: str = DOCUMENT) -> Any:
        """
        Read one.
        """
        return OverlayPlanner(Settings(answer=7.0, failing=0.2)).plan(document, "")

    def test_eachNodeHasAConfigurationAndItsDigest(self) -> None:
        plan = self.plan()
        self.assertEqual(sorted(plan.configs), ["edge", "gateway"])
        for name, config in plan.configs.items():
            self.assertIn(f"node: {name}".encode(), config)
            self.assertEqual(plan.digests[name], digestOf(config))
        self.assertEqual(plan.problems, ())

    def test_theSameGivesTheSameBytes(self) -> None:
        self.assertEqual(self.plan().configs, self.plan().configs)

    def test_itSaysHowTheChangeIsMade(self) -> None:
        plan = self.plan()
        self.assertEqual(plan.settings, Settings(2.0, 9.0, 7.0, 0.2))
        self.assertEqual(plan.required, {"gateway"})

    def test_probesComeInWhereUsersDo(self) -> None:
        self.assertEqual(
            self.plan().probes,
            {
                "edge": (
                    Probe("shop.hermes:80", "shop.hermes:80", "http", listener="apps"),
                    Probe("db.hermes:3306", "db.hermes:3306", "tcp", listener="apps"),
                    Probe("192.0.2.1:7", "192.0.2.1:7", "tcp", listener="apps"),
                )
            },
        )

    def test_withoutProbesThereAreNone(self) -> None:
        self.assertEqual(
            self.plan(DOCUMENT.replace(", probe: [shop.hermes:80, db.hermes:3306, 192.0.2.1:7]", "")).probes, {}
        )

    def test_aTestThatFailsIsAProblem(self) -> None:
        plan = self.plan(DOCUMENT.replace("cannot: [db", "can: [db"))
        (problem,) = plan.problems
        self.assertTrue(problem.text.startswith("test 2: bob can reach db.hermes:3306 from "), problem.text)
        self.assertEqual((problem.node, problem.step), ("(controller)", "validate"))

    def test_whatIsNoDocumentIsRefused(self) -> None:
        error = self.assertRaises(ConfigError, self.plan, DOCUMENT.replace("on: [gateway]", "on: [gatewya]"))
        self.assertIn("did you mean 'gateway'", str(error))

    def test_whatTheDocumentSaysOfLinksAndOfFollowingThem(self) -> None:
        plan = OverlayPlanner().plan(ANY.replace("settings: {", "settings: {reroute: false, rerouteAfter: 5m, "), "")
        self.assertEqual((plan.settings.reroute, plan.settings.rerouteAfter, plan.weights), (False, 300.0, None))
        plan = OverlayPlanner().plan(ANY + "links: [{between: [gateway, edge], weight: 3}]\n", "")
        self.assertEqual((plan.settings.reroute, plan.settings.rerouteAfter), (True, 60.0))
        self.assertEqual(plan.weights, {("edge", "gateway"): 3})


class QuestionTests(SynchronousTestCase):
    """
    What is asked of a controller about documents.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        store = MemoryStore(self.clock)
        self.parts = Parts(store, MemoryLinks(self.clock), OverlayPlanner(), self.clock, maybeDeferred, nowhere)
        self.controller = Controller(self.parts, "here", self.clock.seconds)
        self.controller.start()
        self.advance()

    def advance(self) -> None:
        """
        Let the store answer.
        """
        for _ in range(200):
            self.clock.advance(0.01)

    def answer(self, asked: Any) -> Any:
        """
        What comes.
        """
        self.advance()
        return self.successResultOf(asked)

    def test_beforeTheFirstVersion(self) -> None:
        found = self.answer(self.controller.diff(ANY))
        self.assertEqual([(each.node, each.change) for each in found.nodes], [("edge", "added"), ("gateway", "added")])
        self.assertIsNone(found.base)
        asked = self.controller.explain(Question("db.hermes:3306", "alice"))
        self.advance()
        self.failureResultOf(asked, UnknownVersion)

    def test_whatIsCommittedIsCompiledOnceForAllQuestions(self) -> None:
        """
        Also for those that are asked meanwhile; another version is another matter.
        """
        self.answer(self.controller.apply(ANY, "ops"))
        compiling: list[tuple[Deferred[Any], Any]] = []

        def later(function: Any, *arguments: Any) -> Deferred[Any]:
            compiling.append((Deferred(), (function, *arguments)))
            return compiling[-1][0]

        questions = Questions(evolve(self.parts, inThread=later), lambda known: "")
        asked = [questions.explain(Question("db.hermes:3306", "alice")) for _ in range(3)]
        self.advance()
        ((compiled, (function, *arguments)),) = compiling
        compiled.callback(function(*arguments))
        self.assertEqual([list(self.answer(each)) for each in asked], [["edge"]] * 3)
        self.answer(questions.explain(Question("db.hermes:3306", "bob")))
        self.assertEqual(len(compiling), 1)
        changed = ANY.replace("10.1.0.5", "10.1.0.6")
        self.answer(self.controller.apply(changed, "ops"))
        questions.explain(Question("db.hermes:3306", "alice"))
        self.advance()
        self.assertEqual(compiling[-1][1][1], changed)

    def test_whatTheLeaderRunsIsNotCompiledForQuestions(self) -> None:
        self.answer(self.controller.apply(ANY, "ops"))
        compiled: list[Any] = []

        def plan(document: str, measurements: str) -> Any:
            compiled.append(document)
            return type(self.parts.planner).plan(self.parts.planner, document, measurements)

        self.patch(self.parts.planner, "plan", plan)
        self.assertEqual(list(self.answer(self.controller.explain(Question("db.hermes:3306", "alice")))), ["edge"])
        self.assertEqual(compiled, [])

    def test_whatCanNotBeCompiledIsTriedAgain(self) -> None:
        self.answer(self.controller.apply(ANY, "ops"))
        failing = [RuntimeError("no memory")]

        def inThread(function: Any, *arguments: Any) -> Deferred[Any]:
            return fail(failing.pop()) if failing else maybeDeferred(function, *arguments)

        questions = Questions(evolve(self.parts, inThread=inThread), lambda known: "")
        asked = questions.explain(Question("db.hermes:3306", "alice"))
        self.advance()
        self.failureResultOf(asked, RuntimeError)
        self.answer(questions.explain(Question("db.hermes:3306", "alice")))

    def test_theDifferenceToWhatIsCommitted(self) -> None:
        self.assertEqual(self.answer(self.controller.apply(ANY, "ops")).result, "committed")
        changed = ANY.replace("10.1.0.5", "10.1.0.6")
        found = self.answer(self.controller.diff(changed))
        (node,) = found.nodes
        self.assertEqual((node.node, node.change, found.base, found.problems), ("gateway", "changed", 1, ()))
        self.assertIn("10.1.0.6:3306", " ".join(line for line in node.lines if line.startswith("+")))
        self.assertIn("10.1.0.5:3306", " ".join(line for line in found.document if line.startswith("-")))

    def test_mayAliceReachIt(self) -> None:
        self.answer(self.controller.apply(ANY, "ops"))
        for user, allowed in ("alice", True), ("bob", False):
            found = self.answer(self.controller.explain(Question("db.hermes:3306", user)))
            self.assertEqual({name: each.allowed for name, each in found.items()}, {"edge": allowed})
        self.assertEqual(found["edge"].path, ("edge",))
        found = self.answer(self.controller.explain(Question("db.hermes:3306", "alice"), "edge"))
        self.assertEqual(found["edge"].path, ("edge", "gateway"))

    def test_ofADocumentThatIsNotCommitted(self) -> None:
        changed = (
            ANY.replace("user:alice", "user:bob")
            .replace("user: alice", "user: BOB")
            .replace("user: bob", "user: alice")
            .replace("user: BOB", "user: bob")
        )
        asked = self.controller.explain(Question("db.hermes:3306", "bob"), "edge", changed)
        self.assertTrue(self.answer(asked)["edge"].allowed)
