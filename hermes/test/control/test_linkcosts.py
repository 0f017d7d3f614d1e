"""
Tests for L{hermes.control.linkcosts}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.compiler.measuring import DOWN, Measurements, costOf
from hermes.control.linkcosts import AGE, LINKS, LONGEST, NAMED, LinkCosts
from hermes.control.plans import Plan
from hermes.control.values import LinkFigure, VersionRecord

FIGURE = LinkFigure("relay", 0.01)


class LinkCostsTests(SynchronousTestCase):
    """
    L{LinkCosts}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.commit(("edge", "relay"), ("gateway", "relay"), gateway=5)
        self.costs = LinkCosts(self.clock, lambda: self.committed)
        self.costs.look()
        self.told = 0

    def commit(self, *measured: tuple[str, str], gateway: int | None = None) -> None:
        """
        A version in which these links are measured, and the one from C{edge} to C{gateway} has a weight.
        """
        self.weights: Any = {pair: None for pair in measured} | (
            {} if gateway is None else {("edge", "gateway"): gateway}
        )
        self.make(self.weights)

    def make(self, weights: Any, measurements: str = "") -> None:
        digests = dict.fromkeys(("edge", "relay", "gateway"), "ab")
        plan = Plan({}, weights=weights)
        number = 1 if getattr(self, "committed", None) is None else self.committed[0].number + 1
        self.committed: Any = (
            VersionRecord(number, None, "ops", 0, "", "", measurements=measurements, digests=digests),
            plan,
        )

    def costsNow(self, committed: str = "", keep: bool = False) -> dict[tuple[str, str], int]:
        return dict(Measurements.fromText(self.costs.text(committed, keep)).costs)

    def test_aNodeTellsOfItsLinks(self) -> None:
        self.costs.watch(lambda: setattr(self, "told", self.told + 1))
        self.costs.heard("edge", [FIGURE])
        self.assertEqual(self.costsNow(), {("edge", "relay"): costOf(0.01, 0)})
        self.assertEqual((self.costs.taken, self.costs.refused, self.told), (1, 0, 1))
        # The same once more is no news; nor is what costs the same.
        self.costs.heard("edge", [FIGURE])
        self.costs.heard("edge", [LinkFigure("relay", 0.011)])
        self.assertEqual((self.costs.taken, self.told), (3, 1))
        self.costs.heard("edge", [LinkFigure("relay", 0.1)])
        self.assertEqual(self.told, 2)

    def test_ofLinksThatAreNotItsOwnItTellsNothing(self) -> None:
        """
        Of nobody that there is, of itself, of whom it has no link to.
        """
        self.commit(("edge", "relay"))
        for to in "nobody", "edge", "gateway", "":
            self.costs.heard("edge", [LinkFigure(to, 0.01)])
        self.costs.heard("stranger", [FIGURE])
        self.assertEqual((self.costsNow(), self.costs.taken, self.costs.refused), ({}, 0, 5))
        self.make(None)
        self.costs.heard("edge", [LinkFigure("gateway", 0.01), LinkFigure("nobody", 0.01)])
        self.costs.heard("stranger", [FIGURE])
        self.assertEqual((self.costs.taken, self.costs.refused), (1, 7))

    def test_whatCannotBeIsNotTaken(self) -> None:
        wrong = [
            LinkFigure("relay", None),
            LinkFigure("relay", -0.1),
            LinkFigure("relay", LONGEST + 1),
            LinkFigure("relay", 0.1, -0.1),
            LinkFigure("relay", 0.1, 1.1),
        ]
        self.costs.heard("edge", wrong)
        self.assertEqual((self.costsNow(), self.costs.refused), ({}, len(wrong)))

    def test_moreThanSoManyAreNotListenedTo(self) -> None:
        self.costs.heard("edge", [FIGURE] * (LINKS + 7))
        self.assertEqual((self.costs.taken, self.costs.refused), (LINKS, 7))

    def test_aLinkWithAWeightCostsThat(self) -> None:
        self.costs.heard("edge", [LinkFigure("gateway", 0.01)])
        self.assertEqual((self.costsNow(), self.costs.refused), ({}, 0))

    def test_whatIsLostOrDownCostsMore(self) -> None:
        self.costs.heard("edge", [LinkFigure("relay", 0.01, 0.5)])
        self.assertEqual(self.costsNow(), {("edge", "relay"): costOf(0.01, 0.5)})
        self.costs.heard("relay", [LinkFigure("edge", up=False)])
        self.assertEqual(self.costsNow(), {("edge", "relay"): DOWN})

    def test_aCostStaysUnlessItIsClearlyAnother(self) -> None:
        """
        Than it is in what is committed, and then than it was here.
        """
        before = Measurements({("edge", "relay"): costOf(0.01, 0)})
        self.make(self.weights, before.toText())
        self.assertNotEqual(costOf(0.0115, 0), costOf(0.01, 0))
        self.costs.heard("edge", [LinkFigure("relay", 0.0115)])
        self.assertEqual(self.costsNow(), before.costs)
        self.costs.heard("edge", [LinkFigure("relay", 0.02)])
        other = self.costsNow()
        self.assertNotEqual(other, before.costs)
        self.costs.heard("edge", [LinkFigure("relay", 0.017)])
        self.assertEqual(self.costsNow(), other)

    def test_whatIsOldSaysNothing(self) -> None:
        """
        At first a leader keeps what is committed: nodes have yet to tell it.
        """
        before = Measurements({("gateway", "relay"): 7}).toText()
        self.costs.heard("edge", [FIGURE])
        both = {("edge", "relay"): costOf(0.01, 0), ("gateway", "relay"): 7}
        self.assertEqual(self.costsNow(before), both)
        self.clock.advance(AGE - 1)
        self.assertEqual(self.costsNow(before), both)
        self.clock.advance(1)
        self.assertEqual(self.costsNow(before), {})
        self.assertEqual(self.costsNow(before, keep=True), {("gateway", "relay"): 7})

    def test_whatWasDownIsNotSoForEver(self) -> None:
        """
        Where its nodes do not tell of it any more, since no way leads there: it is unknown, and may be tried again.
        """
        before = Measurements({("edge", "relay"): DOWN, ("gateway", "relay"): 7}).toText()
        self.clock.advance(AGE - 1)
        self.assertEqual(len(self.costsNow(before, keep=True)), 2)
        self.clock.advance(1)
        self.assertEqual(self.costsNow(before, keep=True), {("gateway", "relay"): 7})

    def test_whoDoesNotLeadKnowsNothing(self) -> None:
        self.costs.heard("edge", [FIGURE])
        self.committed = None
        self.costs.heard("edge", [FIGURE])
        self.assertEqual((self.costs.text("as it was"), self.costs.known(), self.costs.taken), ("as it was", {}, 1))
        self.commit(("edge", "relay"))
        self.costs.look()
        self.assertEqual(self.costsNow(), {})

    def test_linksThatAreNotMeasuredAnyMoreAreForgotten(self) -> None:
        self.costs.heard("edge", [FIGURE])
        self.commit(("gateway", "relay"))
        self.costs.look()
        self.assertEqual(self.costs.known(), {})

    def test_aCommentNamesTheLargestChanges(self) -> None:
        self.costs.heard("edge", [FIGURE])
        before = Measurements({("edge", f"n{n}"): 10 for n in range(NAMED + 1)} | {("edge", "relay"): 99}).toText()
        after = Measurements({("edge", f"n{n}"): 10 + n for n in range(NAMED + 1)} | {("edge", "relay"): DOWN}).toText()
        said = self.costs.comment(before, after)
        self.assertTrue(
            said.startswith("what links cost has changed: edge - relay from 99 to down (10.0 ms), edge - n5")
        )
        self.assertTrue(said.endswith(", 1 more"), said)
        self.assertIn("from down to 3", self.costs.comment(after, Measurements({("edge", "relay"): 3}).toText()))
        self.assertIn("from unknown to 3", self.costs.comment("", Measurements({("edge", "relay"): 3}).toText()))

    def test_whoeverStopsWatchingHearsNoMore(self) -> None:
        stop = self.costs.watch(lambda: setattr(self, "told", self.told + 1))
        stop()
        stop()
        self.costs.heard("edge", [FIGURE])
        self.assertEqual(self.told, 0)
