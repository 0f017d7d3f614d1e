"""
Tests for L{hermes.control.rerouting}: ways that follow what links cost.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import yaml
from twisted.internet.defer import Deferred

from hermes.control.channel.methods import Events
from hermes.control.compiler.measuring import DOWN, Measurements, costOf
from hermes.control.damping import LONGEST
from hermes.control.values import CONTROLLER, LinkFigure, Outcome
from hermes.test.control.reroutingcase import BAD, DOCUMENT, GOOD, ReroutingCase

BY_ONE = ("edge", "one", "gateway")
BY_TWO = ("edge", "two", "gateway")


class MovingTests(ReroutingCase):
    """
    When ways move.
    """

    def test_aLinkThatGetsSlowIsLeft(self) -> None:
        """
        By a version like any other, whose comment says why; and nodes run it.
        """
        self.measure()
        self.pass_(300)
        self.assertEqual((self.path, self.current.number), (BY_ONE, 1))
        self.measure(one=BAD)
        self.pass_(60)
        self.assertEqual(self.path, BY_TWO)
        record = self.current
        self.assertEqual((record.number, record.author, record.document), (2, CONTROLLER, DOCUMENT))
        self.assertIn(f"edge - one from unknown to {costOf(BAD, 0)} (200.0 ms)", record.comment)
        self.assertEqual(self.leader.rerouter.results, {"committed": 1})
        self.assertEqual(self.leader.store.state.audited[-1].actor, CONTROLLER)
        runs = self.nodes["edge"].runner.config
        assert runs is not None
        ways = [(route["via"], route["backup"]) for route in yaml.safe_load(runs)["routes"]]
        self.assertEqual(ways, [(["two"], [["one"]])])
        self.measure(one=GOOD)
        self.pass_(600)
        # Neither is better: names decide, as they did at first.
        self.assertEqual((self.path, self.current.number), (BY_ONE, 3))
        self.assertIn(f"edge - one from {costOf(BAD, 0)} to {costOf(GOOD, 0)} (10.0 ms)", self.current.comment)

    def test_aLinkThatIsDownIsTheLastToBeTaken(self) -> None:
        self.measure(one=None, two=BAD)
        self.pass_(120)
        self.assertEqual(self.path, BY_TWO)
        self.assertEqual(Measurements.fromText(self.current.measurements).costs["edge", "one"], DOWN)
        self.assertIn("edge - one from unknown to down", self.current.comment)
        self.measure(one=None, two=None)
        self.pass_(600)
        self.assertTrue(self.path)
        self.measure(one=GOOD, two=None)
        self.pass_(600)
        self.assertEqual(self.path, BY_ONE)

    def test_theWorseOfBothEndsCounts(self) -> None:
        """
        A node does not make a link cheap that its other end finds dear.
        """
        self.measure(one=BAD)
        self.figures["one"] = {**self.figures["one"], "edge": LinkFigure("edge", 0.0)}
        self.pass_(120)
        self.assertEqual(self.path, BY_TWO)

    def test_whatHasAWeightStaysWhereItIs(self) -> None:
        self.apply(DOCUMENT.replace("one]}", "one], weight: 10}").replace("two]}", "two], weight: 20}"))
        number = self.current.number
        self.measure(one=None)
        self.pass_(1000)
        self.assertEqual((self.path, self.current.number), (BY_ONE, number))
        self.assertEqual(self.leader.costs.refused, 0)

    def test_theDocumentMayTurnItOff(self) -> None:
        self.apply(DOCUMENT.replace("rerouteAfter: 60s", "reroute: false"))
        self.measure(one=BAD)
        self.pass_(1000)
        self.assertEqual((self.path, self.current.number), (BY_ONE, 2))
        # Whoever makes a version has what is measured, and what it would change is shown before.
        document = DOCUMENT.replace("rerouteAfter: 60s", "reroute: false, trial: 3s").replace("trial: 2s, ", "")
        shown = self.wait(self.leader.controller.diff(document))
        self.assertIn("edge", [each.node for each in shown.nodes])
        self.apply(document)
        self.assertEqual(self.path, BY_TWO)


class DampingTests(ReroutingCase):
    """
    When they don't.
    """

    def test_noiseMovesNothing(self) -> None:
        for number in range(100):
            self.measure(one=GOOD * (1 + number % 3 * 0.2), two=GOOD * (1.2 - number % 2 * 0.2))
            self.pass_(10)
        self.assertEqual(self.current.number, 1)

    def test_whatIsOverAtOnceMovesNothing(self) -> None:
        self.measure()
        self.pass_(200)
        for _ in range(20):
            self.measure(one=BAD)
            self.tell()
            self.clock.advance(3)
            self.measure()
            self.tell()
            self.pass_(10)
        self.assertEqual(self.current.number, 1)

    def test_aWhileAfterAnyChangeNoneIsMade(self) -> None:
        self.measure()
        self.pass_(200)
        self.apply(DOCUMENT + "# again\n")
        changedAt = self.clock.seconds()
        self.measure(one=BAD)
        self.pass_(50)
        self.assertEqual(self.current.number, 2)
        self.pass_(20)
        self.assertEqual(self.current.number, 3)
        self.assertGreaterEqual(self.current.time - 1e9 - changedAt, 59.5)

    def test_aLinkThatComesAndGoesMovesWaysLessAndLess(self) -> None:
        """
        However long it goes on: in eleven hours, where each minute would have been one more.
        """
        for number in range(400):
            self.measure(**({"one": None} if number % 2 else {"two": None}))
            self.pass_(100)
        times = [record.time for record in self.versions()[1:]]
        pauses = [later - before for before, later in pairwise(times)]
        self.assertLess(len(times), 20)
        self.assertGreaterEqual(max(pauses), LONGEST)
        self.assertEqual([pause >= 60 * 2 ** (n + 1) for n, pause in enumerate(pauses[:5])], [True] * 5)

    def test_afterACalmTimeItIsAsAtFirst(self) -> None:
        for number in range(10):
            self.measure(**({"one": None} if number % 2 else {"two": None}))
            self.pass_(100)
        self.pass_(3 * LONGEST)
        before, path = self.current.number, self.path
        self.measure(**({"one": None} if path == BY_ONE else {"two": None}))
        self.pass_(20)
        self.assertEqual(self.current.number, before + 1)
        self.assertNotEqual(self.path, path)

    def test_whereANodeRefusesItIsTriedAgainLater(self) -> None:
        self.measure()
        self.pass_(200)
        self.nodes["edge"].runner.refusing.add(b"two")
        self.measure(one=BAD)
        self.pass_(1000)
        phases = [record.phase for record in self.versions()[1:]]
        self.assertEqual(set(phases), {"aborted"})
        self.assertLess(len(phases), 6)
        self.assertEqual(self.leader.rerouter.results, {"aborted": len(phases)})
        self.nodes["edge"].runner.refusing.clear()
        self.pass_(2000)
        self.assertEqual((self.current.phase, self.path), ("committed", BY_TWO))

    def test_whatTheDocumentsOwnTestsRefuseIsNotTried(self) -> None:
        """
        Nothing is made of it, and it is not compiled again and again.
        """
        planner = self.leader.rerouter._parts.planner
        plan, planned = planner.plan, []

        def refusing(document: str, measurements: str) -> object:
            planned.append(measurements)
            found = plan(document, measurements)
            object.__setattr__(found, "problems", ("no",) if measurements else ())
            return found

        self.patch(planner, "plan", refusing)
        self.measure(one=BAD)
        self.pass_(1000)
        self.assertEqual((self.current.number, len(planned)), (1, 1))


class OthersTests(ReroutingCase):
    """
    Other changes, other controllers, nodes that tell nothing.
    """

    def test_whileAnotherChangeRunsNoneIsMade(self) -> None:
        self.measure()
        self.pass_(200)
        slow = DOCUMENT.replace("trial: 2s, decide: 20s", "trial: 200s, decide: 400s") + "# slow\n"
        slow = slow.replace("10.1.0.5", "10.1.0.6")
        changing = self.leader.controller.apply(slow, "ops")
        self.measure(one=BAD)
        self.pass_(150)
        self.assertEqual([record.author for record in self.versions()], ["ops", "ops"])
        self.assertEqual(self.wait(changing).result, "committed")
        self.pass_(300)
        self.assertEqual(self.path, BY_TWO)

    def test_whoeverMakesAChangeComesFirst(self) -> None:
        """
        What the controller makes by itself is taken back for it.
        """
        self.apply(DOCUMENT.replace("trial: 2s, decide: 20s", "trial: 100s, decide: 200s"))
        self.measure(one=BAD)
        self.pass_(80)
        self.assertTrue(self.leader.controller.changing)
        outcome = self.apply(DOCUMENT)
        self.assertEqual(outcome.result, "committed")
        taken = [(record.author, record.phase) for record in self.versions()]
        self.assertEqual(
            taken, [("ops", "committed"), ("ops", "committed"), (CONTROLLER, "aborted"), ("ops", "committed")]
        )
        self.assertIn("ops makes another change", str(self.versions()[2].reasons[0]))
        # It was compiled with what is measured.
        self.assertEqual(self.path, BY_TWO)

    def test_whoeverMakesAChangeComesFirstBeforeTheOtherHasANumberToo(self) -> None:
        self.measure(one=BAD)
        self.pass_(55)

        def apply() -> None:
            del self.leader.stops.on["apply.validate"]
            self.leader.controller.apply(DOCUMENT + "#\n", "ops")

        self.leader.stops.on["apply.validate"] = apply
        self.pass_(30)
        self.assertEqual([record.author for record in self.versions()], ["ops", "ops"])
        self.assertEqual(self.current.document, DOCUMENT + "#\n")

    def test_whoeverMakesAChangeComesFirstWhileTheOtherIsAboutToBegin(self) -> None:
        self.apply(DOCUMENT.replace("trial: 2s, decide: 20s", "trial: 100s, decide: 200s"))
        self.measure(one=BAD)
        applying: list[Deferred[Outcome]] = []
        recover = self.leader.store.versions

        def versions(*arguments: Any, **named: Any) -> Any:
            # The last that is read before a change begins.
            if self.leader.controller.changing and not applying:
                applying.append(self.leader.controller.apply(DOCUMENT, "ops"))
            return recover(*arguments, **named)

        self.patch(self.leader.store, "versions", versions)
        self.pass_(80)
        self.assertEqual(self.wait(applying[0]).result, "committed")
        self.assertEqual([record.author for record in self.versions()].count(CONTROLLER), 1)
        self.assertEqual(self.versions()[2].phase, "aborted")
        self.assertEqual(self.current.author, "ops")

    def test_whoLeadsNoMoreLeavesItToTheNext(self) -> None:
        """
        In the middle of a change that it makes by itself: that is taken back, and made again by whoever leads then.
        """
        self.measure(one=BAD)
        self.apply(DOCUMENT.replace("trial: 2s, decide: 20s", "trial: 30s, decide: 60s"))
        self.pass_(80)
        self.assertTrue(self.leader.controller.changing)
        other = self.lead("second")
        self.pass_(1)
        self.state.expire()
        self.pass_(1)
        self.assertEqual((self.leader.controller.leads, other.controller.leads), (False, True))
        self.assertEqual(self.leader.rerouter.results, {"unknown": 1})
        for node in self.nodes.values():
            assert node.link is not None
            node.link.cut()
        before, self.leader = self.leader, other
        self.connect()
        self.pass_(50)
        self.assertEqual(self.versions()[2].phase, "aborted")
        self.assertEqual((self.path, self.current.number), (BY_ONE, 2))
        self.pass_(100)
        self.assertEqual((self.path, self.current.number), (BY_TWO, 4))
        self.assertEqual(before.rerouter.results, {"unknown": 1})

    def test_aNewLeaderKeepsWaysUntilItKnowsBetter(self) -> None:
        self.measure(one=BAD)
        self.pass_(200)
        self.assertEqual((self.path, self.current.number), (BY_TWO, 2))
        before, self.leader = self.leader, self.lead("second")
        told, self.figures = self.figures, {}
        for node in self.nodes.values():
            assert node.link is not None
            node.link.cut()
        before.end()
        self.pass_(10)
        self.connect()
        self.pass_(60)
        self.assertEqual((self.path, self.current.number), (BY_TWO, 2))
        # Nobody has told it anything: what it makes now is as it was.
        self.apply(DOCUMENT + "# new\n")
        self.assertEqual(self.path, BY_TWO)
        self.figures = told
        self.pass_(600)
        self.assertEqual((self.path, self.current.number), (BY_TWO, 3))
        self.measure(two=BAD)
        self.pass_(300)
        self.assertEqual((self.path, self.current.number), (BY_ONE, 4))

    def test_aControllerThatDoesNotLeadAnswersWithWhatIsCommitted(self) -> None:
        self.measure(one=BAD)
        self.pass_(200)
        other = self.lead("second")
        self.addCleanup(other.end)
        self.pass_(10)
        self.assertFalse(other.controller.leads)
        other.costs.heard("edge", tuple(self.figures["edge"].values()))
        self.assertEqual(self.wait(other.controller.diff(DOCUMENT)).nodes, ())

    def test_whatIsNotToldAnyMoreMovesNothingByItself(self) -> None:
        """
        A node that tells nothing, as one of an older version: its links cost what they did. Whoever makes the next
        version makes it without.
        """
        self.measure(one=BAD)
        self.pass_(200)
        self.figures = {}
        self.pass_(1000)
        self.assertEqual((self.path, self.current.number), (BY_TWO, 2))
        self.assertEqual(self.leader.costs.known(), {})
        self.apply(DOCUMENT + "# new\n")
        self.assertEqual((self.path, self.current.measurements), (BY_ONE, ""))

    def test_whatWasDownAndIsNotToldAnyMoreIsTriedAgain(self) -> None:
        """
        Where nobody is connected that way any more, nobody can tell.
        """
        self.measure(one=None)
        self.pass_(200)
        self.assertEqual(self.path, BY_TWO)
        self.figures = {}
        self.pass_(1000)
        self.assertEqual((self.path, self.current.number), (BY_ONE, 3))
        self.assertNotIn("edge one", self.current.measurements)
        self.assertIn("edge - one from down to unknown", self.current.comment)

    def test_anOlderNodeTellsNothing(self) -> None:
        self.assertEqual(Events().measurements, ())
        self.leader.costs.heard("edge", Events().measurements)
        self.pass_(200)
        self.assertEqual(self.current.number, 1)
