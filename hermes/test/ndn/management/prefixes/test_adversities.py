"""
Tests of L{hermes.ndn.management.prefixes.propagation} where things go wrong: strangers, nonsense, loss, floods, and
whatever order things happen in.
"""

from __future__ import annotations

from itertools import combinations
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.prefixes.messages import UPDATE, Announcement, Update
from hermes.ndn.management.prefixes.propagation import HOLD
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekInterest
from hermes.test.ndn.management.nodes import App, Node, PlainFace, link, setLinkUp
from hermes.test.ndn.management.prefixes.overlays import Overlay

A = Name.fromText("/a")


class AdversityTests(SynchronousTestCase):
    """
    What must not matter.
    """

    def overlay(self, names: str, links: str = "", **options: Any) -> Overlay:
        """
        Nodes that end with the test.
        """
        overlay = Overlay(names, links, **options)
        self.addCleanup(overlay.stop)
        return overlay

    def test_nobodyElseIsHeard(self) -> None:
        overlay = self.overlay("abc", "ab")
        link(overlay["b"], overlay["c"], None)
        App(overlay["c"]).command("rib/register", name=A)
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {})
        stranger = PlainFace(overlay["b"], local=False)
        overlay["b"].faces.add(stranger)
        update = Update(
            node="x",
            session=b"sessions",
            sequence=0,
            hold=1000,
            announcements=(Announcement(prefix=A, cost=1, path=("x",)),),
        )
        wire = encodeInterest(UPDATE, nonce=1, parameters=update.encode())
        overlay["b"].forwarder.receiveInterest(stranger, peekInterest(wire))
        overlay.run()
        self.assertEqual((stranger.data, overlay.where("b", "/a")), ([], {}))
        self.assertEqual(overlay["b"].propagation.strangers, 1)

    def test_whatIsNoUpdateIsCountedAndDropped(self) -> None:
        overlay = self.overlay("ab", "ab")
        App(overlay["a"]).command("rib/register", name=A)
        overlay.run()
        good = Update(node="a", session=b"sessions", sequence=0, hold=1000)
        node = overlay["b"]
        for index, parameters in enumerate(
            (b"", b"\xdf\x00", good.encode()[:-1], Update(node="b", session=b"sessions", sequence=0, hold=1).encode())
        ):
            wire = encodeInterest(UPDATE, nonce=index, parameters=parameters)
            node.forwarder.receiveInterest(node.links["a"], peekInterest(wire))
            overlay.clock.advance(0)
        self.assertEqual(node.propagation.malformed, 4)
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {"a": 1})

    def test_aNodeThatKnowsNothingOfThisIsAskedNowAndThen(self) -> None:
        overlay = self.overlay("a")
        plain = Node("p", overlay.clock)
        self.addCleanup(plain.stop)
        link(overlay["a"], plain)
        overlay.run(60)
        self.assertLess(len(overlay["a"].links["p"].interests), 25)
        plain.propagate()
        App(plain).command("rib/register", name=A)
        overlay.run(HOLD / 3 + 1)
        self.assertEqual(overlay.where("a", "/a"), {"p": 1})
        self.assertTrue(plain.propagation.status()["neighbours"][0]["told"])

    def test_lossDelaysAndDoesNoHarm(self) -> None:
        overlay = self.overlay("abc", "ab bc")
        random = Random(7)
        for pair in ("ab", "bc"):
            for end in overlay.ends(pair):
                end.lose = lambda wire: random.random() < 0.3
        producer = App(overlay["a"])
        for index in range(20):
            producer.command("rib/register", name=Name.fromText(f"/p/{index}"))
            overlay.run(0.1)
        for index in range(0, 20, 2):
            producer.command("rib/unregister", name=Name.fromText(f"/p/{index}"))
        overlay.run(30)
        self.assertEqual(sorted(overlay["c"].fib()), sorted(f"/p/{index}" for index in range(1, 20, 2)))

    def test_manyPrefixesAreToldSoon(self) -> None:
        overlay = self.overlay("ab", "ab")
        producer = App(overlay["a"])
        for index in range(2000):
            producer.command("rib/register", name=Name.fromText(f"/prefix/number/{index}"))
        overlay.run(1)
        self.assertEqual(len(overlay["b"].fib()), 2000)

    def test_aNeighboursPrefixesAreBounded(self) -> None:
        overlay = self.overlay("ab", "ab", maxPrefixes=10)
        producer = App(overlay["a"])
        for index in range(15):
            producer.command("rib/register", name=Name.fromText(f"/p/{index}"))
        overlay.run()
        self.assertEqual(len(overlay["b"].fib()), 10)
        [neighbour] = overlay["b"].propagation.status()["neighbours"]
        self.assertEqual((neighbour["prefixes"], neighbour["ignored"], neighbour["node"]), (10, 5, "a"))

    @settings(max_examples=25, deadline=None)
    @given(
        st.sets(st.sampled_from(["".join(pair) for pair in combinations("abcde", 2)]), min_size=3),
        st.lists(
            st.tuples(
                st.sampled_from(["register", "unregister", "down", "up", "silent", "heal"]),
                st.integers(0, 9),
                st.integers(0, 2),
            ),
            max_size=15,
        ),
    )
    def test_whateverHappensEveryNodeEndsWithTheBestWays(
        self, pairs: set[str], steps: list[tuple[str, int, int]]
    ) -> None:
        overlay = Overlay("abcde", " ".join(sorted(pairs)))
        apps = {name: App(overlay[name]) for name in "abcde"}
        registered: dict[str, set[str]] = {"/p": set(), "/q": set(), "/r": set()}
        links = sorted(pairs)
        for step, where, which in steps:
            pair = links[where % len(links)]
            node = "abcde"[where % 5]
            prefix = ("/p", "/q", "/r")[which]
            if step == "register":
                apps[node].command("rib/register", name=Name.fromText(prefix))
                registered[prefix].add(node)
            elif step == "unregister":
                apps[node].command("rib/unregister", name=Name.fromText(prefix))
                registered[prefix].discard(node)
            elif step in ("down", "up"):
                if overlay.ends(pair)[0].up is (step == "down"):
                    setLinkUp(overlay.ends(pair), step == "up")
            else:
                for end in overlay.ends(pair):
                    end.broken = step == "silent"
            overlay.run(0.05)
        overlay.run(2.5 * HOLD, 0.02)
        works = [pair for pair in links if overlay.ends(pair)[0].up and not overlay.ends(pair)[0].broken]
        for prefix, at in registered.items():
            costs = {node: 0 for node in at}
            for _ in range(5):
                for pair in works:
                    for here, there in ((pair[0], pair[1]), (pair[1], pair[0])):
                        if there in costs and costs[there] + 1 < costs.get(here, 99):
                            costs[here] = costs[there] + 1
            for node in "abcde":
                hops = overlay.where(node, prefix)
                self.assertEqual(min(hops.values(), default=None), costs.get(node), (prefix, node, hops))
        overlay.stop()
