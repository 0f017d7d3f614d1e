"""
Tests of L{hermes.ndn.management.prefixes.propagation} and L{hermes.ndn.management.prefixes.neighbour}: nodes that tell
each other, over links in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.prefixes.messages import UPDATE, Announcement, Update
from hermes.ndn.management.prefixes.propagation import HOLD
from hermes.ndn.management.rib import ORIGIN_PROPAGATED, ORIGIN_STATIC, Route
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekInterest
from hermes.test.ndn.management.nodes import App, link, setLinkUp
from hermes.test.ndn.management.prefixes.overlays import Overlay

A = Name.fromText("/a")


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
