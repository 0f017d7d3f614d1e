"""
Tests of L{hermes.ndn.management.prefixes.propagation} and L{hermes.ndn.management.prefixes.neighbour}: nodes that tell
each other, over links in memory.
"""

from __future__ import annotations

from itertools import combinations
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.prefixes.messages import UPDATE, Announcement, Update
from hermes.ndn.management.prefixes.propagation import HOLD
from hermes.ndn.management.rib import ORIGIN_PROPAGATED, ORIGIN_STATIC, Route
from hermes.ndn.packet.data import decodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekInterest
from hermes.test.ndn.management.nodes import App, Node, PlainFace, link, setLinkUp

A = Name.fromText("/a")


class Overlay:
    """
    Nodes on one clock.
    """

    def __init__(self, names: str, links: str = "", **options: Any) -> None:
        """
        @param names: of the nodes, a letter each.
        @param links: pairs of letters, with spaces between, and a cost behind where it is not 1.
        """
        self.clock = Clock()
        self.nodes = {name: Node(name, self.clock).propagate(**options) for name in names}
        for pair in links.split():
            link(self.nodes[pair[0]], self.nodes[pair[1]], int(pair[2:] or 1))

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def run(self, seconds: float = 3.0, step: float = 0.01) -> None:
        """
        Let time pass.
        """
        for _ in range(int(seconds / step)):
            self.clock.advance(step)

    def ends(self, pair: str) -> list[Any]:
        """
        Both ends of a link.
        """
        return [self[pair[0]].links[pair[1]], self[pair[1]].links[pair[0]]]

    def where(self, node: str, prefix: str) -> dict[str, int]:
        """
        The next hops of a prefix, as costs by neighbour; an application is C{here}.
        """
        names = {face.id: name for name, face in self[node].links.items()}
        return {names.get(faceID, "here"): cost for faceID, cost in self[node].fib().get(prefix, {}).items()}

    def ask(self, app: App, name: str, seconds: float = 1.0) -> bytes | int | None:
        """
        Send an Interest and wait for what comes.
        """
        app.data.clear()
        app.nacks.clear()
        wire = encodeInterest(Name.fromText(name), nonce=app.nonce())
        app.node.forwarder.receiveInterest(app, peekInterest(wire))
        self.run(seconds)
        if app.data:
            return bytes(decodeData(app.data[0].wire).content)
        return app.nacks[0][1] if app.nacks else None

    def stop(self) -> None:
        """
        End them all: nothing is left to do.
        """
        for node in self.nodes.values():
            for end in node.links.values():
                # What is on its way does not arrive.
                end.up = False
        for node in self.nodes.values():
            node.stop()
        self.clock.advance(1)
        assert not self.clock.getDelayedCalls(), self.clock.getDelayedCalls()


class PropagationTests(SynchronousTestCase):
    """
    What is registered at one node is reachable from the others.
    """

    def overlay(self, names: str, links: str = "", **options: Any) -> Overlay:
        """
        Nodes that end with the test.
        """
        overlay = Overlay(names, links, **options)
        self.addCleanup(overlay.stop)
        return overlay

    def test_aPrefixOfTheFirstIsAskedForAtTheThird(self) -> None:
        overlay = self.overlay("abc", "ab bc")
        producer, consumer = App(overlay["a"]), App(overlay["c"])
        producer.serve("/a/b", b"hello")
        producer.command("rib/register", name=A)
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {"a": 1})
        self.assertEqual(overlay.where("c", "/a"), {"b": 2})
        self.assertEqual(overlay.ask(consumer, "/a/b"), b"hello")

    def test_whatWasThereBeforeTheLinkIsToldToo(self) -> None:
        overlay = self.overlay("ab")
        App(overlay["a"]).command("rib/register", name=A)
        overlay.run()
        link(overlay["a"], overlay["b"])
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {"a": 1})

    def test_aProgramThatEndsIsWithdrawnEverywhere(self) -> None:
        overlay = self.overlay("abcd", "ab bc cd")
        producer, consumer = App(overlay["a"]), App(overlay["d"])
        producer.command("rib/register", name=A)
        overlay.run()
        self.assertEqual(overlay.where("d", "/a"), {"c": 3})
        producer.close()
        overlay.run(0.2)
        self.assertEqual([overlay.where(node, "/a") for node in "abcd"], [{}, {}, {}, {}])
        self.assertEqual(overlay.ask(consumer, "/a/b"), 150)

    def test_anUnregisteredPrefixIsWithdrawn(self) -> None:
        overlay = self.overlay("ab", "ab")
        producer = App(overlay["a"])
        producer.command("rib/register", name=A, cost=5)
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {"a": 6})
        producer.command("rib/register", name=A, cost=7)
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {"a": 8})
        producer.command("rib/unregister", name=A)
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {})

    def test_aLinkThatGoesTakesItsPrefixesAlongAndBringsThemBack(self) -> None:
        overlay = self.overlay("abc", "ab bc")
        App(overlay["a"]).command("rib/register", name=A)
        overlay.run()
        setLinkUp(overlay.ends("ab"), False)
        overlay.run(0.2)
        self.assertEqual([overlay.where(node, "/a") for node in "bc"], [{}, {}])
        App(overlay["a"]).command("rib/register", name=Name.fromText("/other"))
        overlay.run()
        setLinkUp(overlay.ends("ab"), True)
        overlay.run(0.5)
        for prefix in ("/a", "/other"):
            self.assertEqual([overlay.where(node, prefix) for node in "bc"], [{"a": 1}, {"b": 2}])

    def test_aLinkThatFallsSilentIsNoticed(self) -> None:
        overlay = self.overlay("abc", "ab bc")
        App(overlay["a"]).command("rib/register", name=A)
        overlay.run()
        for end in overlay.ends("ab"):
            end.broken = True
        overlay.run(HOLD / 3)
        self.assertEqual(overlay.where("c", "/a"), {"b": 2})
        overlay.run(HOLD)
        self.assertEqual([overlay.where(node, "/a") for node in "bc"], [{}, {}])
        for end in overlay.ends("ab"):
            end.broken = False
        overlay.run(HOLD / 2)
        self.assertEqual([overlay.where(node, "/a") for node in "bc"], [{"a": 1}, {"b": 2}])

    def test_aQuietNeighbourStaysWhileItIsThere(self) -> None:
        overlay = self.overlay("ab", "ab")
        App(overlay["a"]).command("rib/register", name=A)
        overlay.run(10 * HOLD, 0.1)
        self.assertEqual(overlay.where("b", "/a"), {"a": 1})
        updates = [view for view in overlay["a"].links["b"].interests if view.name.startswith(UPDATE.value)]
        self.assertLess(len(updates), 40)

    def test_aNodeThatBeginsAnewLosesNothingThatItStillHas(self) -> None:
        overlay = self.overlay("ab", "ab")
        producer = App(overlay["a"])
        for name in ("/a", "/b"):
            producer.command("rib/register", name=Name.fromText(name))
        overlay.run()
        lost: list[bytes] = []
        overlay["b"].management.rib.observers.append(lambda entry: lost.append(entry.name.value))
        producer.command("rib/unregister", name=Name.fromText("/b"))
        node = overlay["a"]
        neighbour = node.propagation.neighbours[node.links["b"].id]
        neighbour._beginAnew()
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {"a": 1})
        self.assertEqual(lost, [Name.fromText("/b").value])

    def test_aCircleKeepsNothingAlive(self) -> None:
        overlay = self.overlay("abcd", "ab bc cd da ac")
        producer = App(overlay["a"])
        producer.command("rib/register", name=A)
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {"a": 1, "c": 2})
        self.assertEqual(overlay.where("c", "/a"), {"a": 1, "b": 2, "d": 2})
        producer.close()
        overlay.run(1)
        for node in "abcd":
            self.assertEqual(overlay.where(node, "/a"), {})
            self.assertEqual(len(overlay[node].propagation.paths), 0)

    def test_ofTwoWaysTheOtherIsTakenAtOnce(self) -> None:
        overlay = self.overlay("abcd", "ab bd ac cd5")
        producer, consumer = App(overlay["a"]), App(overlay["d"])
        producer.serve("/a/1", b"one")
        producer.serve("/a/2", b"two")
        producer.command("rib/register", name=A)
        overlay.run()
        self.assertEqual(overlay.where("d", "/a"), {"b": 2, "c": 6})
        self.assertEqual(overlay.ask(consumer, "/a/1"), b"one")
        setLinkUp(overlay.ends("bd"), False)
        self.assertEqual(overlay.where("d", "/a"), {"c": 6})
        self.assertEqual(overlay.ask(consumer, "/a/2"), b"two")

    def test_ofTwoProducersTheOtherTakesOver(self) -> None:
        overlay = self.overlay("abc", "ab bc")
        first, second, consumer = App(overlay["a"]), App(overlay["c"]), App(overlay["b"])
        for index in range(3):
            first.serve(f"/a/{index}", b"first")
            second.serve(f"/a/{index}", b"second")
        first.command("rib/register", name=A)
        second.command("rib/register", name=A, cost=3)
        overlay.run()
        self.assertEqual(overlay.where("b", "/a"), {"a": 1, "c": 4})
        self.assertEqual(overlay.ask(consumer, "/a/0"), b"first")
        first.close()
        overlay.run(0.1)
        self.assertEqual(overlay.where("b", "/a"), {"c": 4})
        self.assertEqual(overlay.where("a", "/a"), {"b": 5})
        self.assertEqual(overlay.ask(consumer, "/a/1"), b"second")

    def test_severalProducersAreAskedAsTheStrategySays(self) -> None:
        overlay = self.overlay("abc", "ab bc")
        first, second, consumer = App(overlay["a"]), App(overlay["c"]), App(overlay["b"])
        for app in (first, second):
            app.command("rib/register", name=A)
        multicast = Name.fromText("/localhost/nfd/strategy/multicast")
        consumer.command("strategy-choice/set", name=A, strategy=multicast)
        overlay.run()
        overlay.ask(consumer, "/a/0")
        self.assertEqual((first.asked(), second.asked()), (["/a/0"], ["/a/0"]))

    def test_whatIsForThisHostOrTheNextStaysHere(self) -> None:
        overlay = self.overlay("ab", "ab")
        app = App(overlay["a"])
        for name in ("/localhost/x", "/localhop/x", "/localhost", "/c"):
            self.assertEqual(app.command("rib/register", name=Name.fromText(name)).code, 200)
        overlay.run()
        self.assertEqual(list(overlay["b"].fib()), ["/c"])
        # And is not taken from a neighbour that tells it.
        forged = Update(
            node="a",
            session=b"forged!!",
            sequence=0,
            hold=10_000,
            announcements=tuple(
                Announcement(prefix=Name.fromText(name), cost=1, path=("a",)) for name in ("/localhost/y", "/d")
            ),
        )
        wire = encodeInterest(UPDATE, nonce=1, parameters=forged.encode())
        node = overlay["b"]
        node.forwarder.receiveInterest(node.links["a"], peekInterest(wire))
        overlay.clock.advance(0)
        self.assertEqual({str(entry.name) for entry in node.management.rib}, {"/c", "/d"})

    def test_staticRoutesAreToldOnlyWhereMarked(self) -> None:
        overlay = self.overlay("ab", "ab")
        app = App(overlay["a"])
        rib = overlay["a"].management.rib
        rib.register(A, Route(app.id, ORIGIN_STATIC))
        rib.register(Name.fromText("/marked"), Route(app.id, ORIGIN_STATIC, announced=True))
        overlay.run()
        self.assertEqual(list(overlay["b"].fib()), ["/marked"])
        rib.register(A, Route(app.id, ORIGIN_STATIC, announced=True))
        overlay.run()
        self.assertEqual(sorted(overlay["b"].fib()), ["/a", "/marked"])

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

    def test_aFaceMayBecomeANeighbourAndCeaseToBeOne(self) -> None:
        overlay = self.overlay("ab")
        here, there = link(overlay["a"], overlay["b"], None)
        App(overlay["a"]).command("rib/register", name=A)
        overlay.run()
        for cost, expected in ((1, {"a": 1}), (4, {"a": 4}), (None, {})):
            here.cost = there.cost = cost
            overlay["a"].propagation.refresh()
            overlay["b"].propagation.refresh()
            overlay.run()
            self.assertEqual(overlay.where("b", "/a"), expected)

    def test_aFaceThatEndsIsForgotten(self) -> None:
        overlay = self.overlay("ab", "ab")
        App(overlay["a"]).command("rib/register", name=A)
        overlay.run()
        overlay["b"].links["a"].close()
        overlay["a"].links["b"].close()
        self.assertEqual((overlay["b"].fib(), overlay["b"].propagation.neighbours), ({}, {}))

    def test_onceStoppedNothingOfItIsLeft(self) -> None:
        overlay = self.overlay("ab", "ab")
        App(overlay["a"]).command("rib/register", name=A)
        overlay.run()
        overlay["b"].propagation.stop()
        self.assertEqual((overlay["b"].fib(), len(overlay["b"].management.rib)), ({}, 0))
        overlay["b"].propagation.start()
        overlay.run(HOLD)
        self.assertEqual(overlay.where("b", "/a"), {"a": 1})

    def test_theyAreInTheRIBWithAnOriginOfTheirOwn(self) -> None:
        overlay = self.overlay("ab", "ab")
        App(overlay["a"]).command("rib/register", name=A)
        overlay.run()
        entry = overlay["b"].management.rib.get(A.value)
        assert entry is not None
        [route] = entry.routes.values()
        self.assertEqual((route.origin, route.cost, route.flags), (ORIGIN_PROPAGATED, 1, 1))

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
