"""
Tests of L{hermes.control.compiler.graph} and L{hermes.control.compiler.measuring}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.compiler.graph import DEFAULT_COST, MESH, Flows, Graph, NextHops, weightsOf
from hermes.control.compiler.measuring import DOWN, Measurements, costOf
from hermes.control.document import loadOverlay
from hermes.test.control.documents import SMALL


def graph(links: dict[tuple[int, int], int], count: int) -> Graph:
    """
    A graph of numbered nodes.
    """
    nodes = "".join(f"  n{number}: {{address: 'n{number}:1'}}\n" for number in range(count))
    text = "".join(f"  - {{between: [n{a}, n{b}], weight: {cost}}}\n" for (a, b), cost in links.items())
    return Graph(loadOverlay(f"overlay: x\nnodes:\n{nodes}links:\n{text or '  []'}").config)


LINKS = st.dictionaries(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: pair[0] < pair[1]),
    st.integers(1, 20),
    max_size=14,
)


class GraphTests(SynchronousTestCase):
    """
    Ways.
    """

    def test_theCheapestWayAndAnother(self) -> None:
        """
        Whose node does not send it back.
        """
        hops = Graph(loadOverlay(SMALL).config).nextHops(("gateway",))
        self.assertEqual(hops["edge"], NextHops("relay", "other", False))
        self.assertEqual(hops["relay"], NextHops("gateway", None, False))
        self.assertEqual(hops["gateway"], NextHops())

    def test_whatIsMeasuredCounts(self) -> None:
        """
        Where a link has no weight.
        """
        text = SMALL.replace(", weight: 10", "").replace(", weight: 20", "")
        costs = {("edge", "other"): 1, ("gateway", "other"): 1}
        self.assertEqual(Graph(loadOverlay(text).config, costs).nextHops(("gateway",))["edge"].first, "other")
        self.assertEqual(Graph(loadOverlay(text).config).nextHops(("gateway",))["edge"].first, "other")

    def test_whatIsNotMeasuredIsNoReasonToLeaveWhatIs(self) -> None:
        """
        It costs as much as the dearest link that is up, of those that have no weight.
        """
        text = SMALL.replace(", weight: 10", "").replace(", weight: 20", "")
        costs = {("edge", "relay"): 300, ("gateway", "relay"): 200, ("edge", "other"): DOWN, ("no", "link"): 999}
        found = Graph(loadOverlay(text).config, costs)
        self.assertEqual(found.neighbours("other"), {"edge": DOWN, "gateway": 300})
        self.assertEqual(found.nextHops(("gateway",))["edge"], NextHops("relay", "other", True))
        self.assertEqual(Graph(loadOverlay(text).config).neighbours("other")["gateway"], DEFAULT_COST)
        self.assertEqual(Graph(loadOverlay(SMALL).config, {("edge", "relay"): 99}).neighbours("edge")["relay"], 10)

    def test_aLinkThatIsDownIsTakenWhereThereIsNoOther(self) -> None:
        text = SMALL.replace(", weight: 10", "").replace(", weight: 20", "")
        costs = {("edge", "relay"): DOWN, ("edge", "other"): DOWN}
        self.assertEqual(Graph(loadOverlay(text).config, costs).nextHops(("gateway",))["edge"].first, "other")

    def test_linksThatHaveNoWeightAreMeasured(self) -> None:
        """
        By whoever can connect; where no links are named, while there are few nodes.
        """
        text = SMALL.replace("[edge, relay], weight: 10", "[edge, relay]").replace('address: "edge.example:8443", ', "")
        found = Graph(loadOverlay(text).config)
        measured = {name: found.measures(name) for name in found.nodes}
        self.assertEqual(measured, {"edge": ["relay"], "relay": [], "other": [], "gateway": []})
        for count, expected in ((MESH, MESH - 1), (MESH + 1, 0)):
            nodes = "".join(f"  n{number}: {{address: 'n{number}:1'}}\n" for number in range(count))
            meshed = Graph(loadOverlay(f"overlay: x\nnodes:\n{nodes}").config)
            self.assertEqual(len(meshed.measures("n0")), expected)

    def test_ofALinkThatIsNamedTwiceTheLesserWeightCounts(self) -> None:
        both = (
            "overlay: x\nnodes: {a: {address: 'a:1'}, b: {address: 'b:1'}}\n"
            "links: [{between: [b, a]WEIGHT}, {between: [a, b]}]\n"
        )
        for weight, expected in ((", weight: 7", 7), ("", None)):
            self.assertEqual(weightsOf(loadOverlay(both.replace("WEIGHT", weight)).config), {("a", "b"): expected})

    def test_whoHasNoAddressIsConnectedToByNobody(self) -> None:
        """
        It connects itself.
        """
        text = SMALL.replace('address: "edge.example:8443", ', "")
        found = Graph(loadOverlay(text).config)
        self.assertEqual(set(found.neighbours("edge")), {"relay", "other"})
        self.assertEqual(set(found.neighbours("relay")), {"gateway"})

    def test_withoutLinksEveryNodeReachesEveryOther(self) -> None:
        """
        That has an address.
        """
        text = SMALL[: SMALL.index("links:")] + SMALL[SMALL.index("services:") :]
        self.assertEqual(set(Graph(loadOverlay(text).config).neighbours("edge")), {"relay", "other", "gateway"})

    @settings(max_examples=60, deadline=None)
    @given(LINKS, st.integers(1, 6), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=5), st.data())
    def test_whateverIsDownNothingGoesRound(
        self, links: dict[tuple[int, int], int], end: int, down: list[tuple[int, int]], data: st.DataObject
    ) -> None:
        """
        A flow follows first hops, and backups where a link is down, as its first node or as one in the middle; it ends,
        or is refused. Every node that gets it expects it from the one that sent it.
        """
        found = graph(links, 7)
        flows = Flows.toward(found, (f"n{end}",), found.nodes)
        broken = {frozenset((f"n{a}", f"n{b}")) for a, b in down}
        start = data.draw(st.sampled_from(found.nodes))
        way: list[str] = [start]
        while way[-1] != f"n{end}":
            hops = flows.hops[way[-1]]
            following = (hops if len(way) == 1 else hops.onward).all
            up = [node for node in following if frozenset((way[-1], node)) not in broken]
            if not up:
                break
            self.assertIn(way[-1], flows.into[up[0]])
            way.append(up[0])
            self.assertEqual(len(way), len(set(way)), way)

    @settings(max_examples=40, deadline=None)
    @given(LINKS, st.integers(1, 6))
    def test_pathsThatShareNothing(self, links: dict[tuple[int, int], int], end: int) -> None:
        """
        One that is to avoid nodes does.
        """
        found = graph(links, 7)
        first = found.path("n0", (f"n{end}",))
        if first is None or len(first) < 2:
            return
        second = found.path("n0", (f"n{end}",), first[:-1])
        if second is not None:
            self.assertEqual(set(first[:-1]) & set(second), set())
            self.assertEqual(second[-1], f"n{end}")


class MeasuringTests(SynchronousTestCase):
    """
    From round trips to costs.
    """

    def test_theSlowerTheMoreItCosts(self) -> None:
        """
        Loss makes it slower.
        """
        costs = [costOf(trip, 0.0) for trip in (0.0001, 0.001, 0.01, 0.1, 1.0)]
        self.assertEqual(costs, sorted(set(costs)))
        self.assertGreater(costOf(0.01, 0.5), costOf(0.01, 0.0))
        self.assertLessEqual(costOf(1e9, 1.0), 100_000)

    @given(st.floats(0.0002, 0.5), st.floats(0.9, 1.1))
    def test_noiseChangesNothing(self, trip: float, factor: float) -> None:
        """
        A tenth more or less.
        """
        before = costOf(trip, 0.0)
        self.assertEqual(costOf(trip * factor, 0.0, before), before)

    def test_aClearChangeCounts(self) -> None:
        """
        Three times as slow.
        """
        before = costOf(0.01, 0.0)
        self.assertGreater(costOf(0.03, 0.0, before), before)

    def test_costsAreKeptAsText(self) -> None:
        """
        The same ones give the same.
        """
        some = Measurements({("b", "c"): 4, ("a", "b"): 3})
        self.assertEqual(Measurements.fromText(some.toText()), some)
        self.assertEqual(some.toText(), Measurements({("a", "b"): 3, ("b", "c"): 4}).toText())
        self.assertEqual(Measurements.fromText(""), Measurements())
