from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.fabric.balance import BALANCES, Balancer
from hermes.fabric.places import Endpoint, Place

ABC = ("a:1", "b:1", "c:1")


class BalancerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)

    def balancer(self, balance: Any, *places: Place | str, **options: Any) -> Balancer:
        return Balancer(places or ABC, balance, self.clock, Random(1), **options)

    def firsts(self, balancer: Balancer, count: int) -> str:
        return "".join(balancer.pick(b"%d" % number).address[0] for number in range(count))

    def counts(self, balancer: Balancer, count: int) -> Counter[str]:
        return Counter(self.firsts(balancer, count))

    def endpoint(self, balancer: Balancer, letter: str) -> Endpoint:
        return next(endpoint for endpoint in balancer.endpoints if endpoint.address[0] == letter)


class Picking(BalancerCase):
    def test_roundRobinGoesRound(self) -> None:
        firsts = self.firsts(self.balancer("round-robin"), 6)
        self.assertIn(firsts, "abcabcabc")

    def test_roundRobinKeepsToTheWeightsAndMixes(self) -> None:
        balancer = self.balancer("round-robin", Place("a:1", 3), Place("b:1"), Place("c:1", 2))
        firsts = self.firsts(balancer, 600)
        self.assertEqual({"a": 300, "b": 100, "c": 200}, dict(Counter(firsts)))
        self.assertNotIn("aaa", firsts)

    def test_leastRequestTakesTheLessBusyOfTwo(self) -> None:
        balancer = self.balancer("least-request", "a:1", "b:1")
        self.assertEqual({"a", "b"}, set(self.firsts(balancer, 20)))
        self.endpoint(balancer, "a").active = 1
        self.assertEqual({"b"}, set(self.firsts(balancer, 20)))

    def test_leastRequestNeverTakesTheBusiestAndKeepsAllNearlyEqual(self) -> None:
        balancer = self.balancer("least-request", *(f"{letter}:1" for letter in "abcdefghij"))
        for _ in range(10_000):
            balancer.pick().active += 1
        loads = [endpoint.active for endpoint in balancer.endpoints]
        # By pure chance the spread would be about a hundred.
        self.assertLess(max(loads) - min(loads), 10, loads)

    def test_leastRequestMeasuresBusynessByWeight(self) -> None:
        balancer = self.balancer("least-request", Place("a:1", 3), Place("b:1"))
        for _ in range(4_000):
            balancer.pick().active += 1
        self.assertApproximates(3_000, self.endpoint(balancer, "a").active, 30)

    def test_randomTakesEachByItsWeight(self) -> None:
        counts = self.counts(self.balancer("random"), 3_000)
        self.assertTrue(all(900 < count < 1_100 for count in counts.values()), counts)
        counts = self.counts(self.balancer("random", Place("a:1", 9), Place("b:1")), 10_000)
        self.assertApproximates(9_000, counts["a"], 150)

    def test_noEndpointsAndUnknownBalancesAreRefused(self) -> None:
        with self.assertRaises(ValueError):
            Balancer([], "random", self.clock)
        with self.assertRaises(ValueError):
            self.balancer("best")


class Order(BalancerCase):
    def test_everyEndpointIsInEveryOrder(self) -> None:
        for balance in BALANCES:
            balancer = self.balancer(balance)
            balancer.failed(balancer.endpoints[1])
            for _ in range(4):
                order = [endpoint.address for endpoint in balancer.order(b"key")]
                self.assertEqual(["b:1", *sorted(order[:2])], [order[2], *sorted(order[:2])])
                self.assertEqual({"a:1", "b:1", "c:1"}, set(order))

    def test_theOrderOfAKeyIsTheSameEveryTime(self) -> None:
        for balance in ("ring-hash", "maglev"):
            orders = {tuple(endpoint.address for endpoint in self.balancer(balance).order(b"alice")) for _ in range(5)}
            self.assertEqual(1, len(orders))

    def test_theLessBusyIsGoneOnToFirst(self) -> None:
        balancer = self.balancer("round-robin")
        a, b, c = balancer.endpoints
        b.active = 5
        self.assertEqual([c, b], balancer.rest([a]))

    def test_thoseOfAWorsePriorityComeLaterAndThoseThatAreOutLast(self) -> None:
        balancer = self.balancer("random", Place("a:1"), Place("b:1", priority=1), Place("c:1"))
        a, b, c = balancer.endpoints
        balancer.failed(c)
        self.assertEqual([b, c], balancer.rest([a]))


class Fitness(BalancerCase):
    def test_anEndpointThatCouldNotBeReachedComesLastForAWhile(self) -> None:
        for balance in BALANCES:
            balancer = self.balancer(balance)
            a = self.endpoint(balancer, "a")
            balancer.failed(a)
            self.assertNotIn("a", self.firsts(balancer, 60))
            self.clock.advance(5)
            self.assertIn("a", self.firsts(balancer, 60))
            balancer.failed(a)
            balancer.reached(a)
            self.assertIn("a", self.firsts(balancer, 60))

    def test_failingAgainProlongsIt(self) -> None:
        balancer = self.balancer("round-robin")
        a = self.endpoint(balancer, "a")
        balancer.failed(a)
        self.clock.advance(3)
        balancer.failed(a)
        self.clock.advance(3)
        self.assertNotIn("a", self.firsts(balancer, 6))
        self.clock.advance(2)
        self.assertIn("a", self.firsts(balancer, 6))
        self.assertEqual(2, a.failures)

    def test_whatIsNotHealthyIsLeftOutUntilItIs(self) -> None:
        balancer = self.balancer("round-robin")
        a = self.endpoint(balancer, "a")
        balancer.checked(a, False)
        self.clock.advance(1_000_000)
        self.assertNotIn("a", self.firsts(balancer, 6))
        balancer.checked(a, True)
        self.assertIn("a", self.firsts(balancer, 6))

    def test_whatIsEjectedIsLeftOutForSoLong(self) -> None:
        balancer = self.balancer("round-robin")
        balancer.eject(self.endpoint(balancer, "a"), 30)
        self.clock.advance(29)
        self.assertNotIn("a", self.firsts(balancer, 6))
        self.clock.advance(1)
        self.assertIn("a", self.firsts(balancer, 6))

    def test_whereNoneIsFitAllAreTried(self) -> None:
        for balance in BALANCES:
            balancer = self.balancer(balance)
            for endpoint in balancer.endpoints:
                balancer.checked(endpoint, False)
            self.assertEqual({"a", "b", "c"}, set(self.firsts(balancer, 60)))


class SlowStart(BalancerCase):
    def test_whatComesBackGetsItsShareByAndBy(self) -> None:
        for balance in ("round-robin", "random", "least-request"):
            balancer = self.balancer(balance, "a:1", "b:1", slowStart=10.0)
            self.assertApproximates(500, self.counts(balancer, 1_000)["a"], 50)
            a = self.endpoint(balancer, "a")
            balancer.checked(a, False)
            self.clock.advance(60)
            balancer.checked(a, True)
            # A tenth of the other's weight: one in eleven. Of two draws with equal load, the heavier wins.
            shares = []
            for _ in range(3):
                shares.append(self.counts(balancer, 2_000)["a"] / 2_000)
                self.clock.advance(5.01)
            self.assertLess(shares[0], 0.12, balance)
            self.assertGreater(shares[1], shares[0], balance)
            self.assertApproximates(0.5, shares[2], 0.05)

    def test_nobodyStartsSlowlyWithTheNode(self) -> None:
        balancer = self.balancer("round-robin", "a:1", "b:1", slowStart=10.0)
        self.assertIsNone(balancer._until)
