from __future__ import annotations

from hermes.fabric.levels import levels, shares
from hermes.fabric.places import Endpoint, Place
from hermes.test.fabric.test_balance import BalancerCase


def place(letter: str, number: int, zone: str | None = None, priority: int = 0) -> Place:
    return Place(f"{letter}{number}:1", 1, zone, priority)


class Levels(BalancerCase):
    def test_priorityComesBeforeZone(self) -> None:
        endpoints = [
            Endpoint("d:1", priority=1),
            Endpoint("c:1", zone="here", priority=1),
            Endpoint("b:1", zone="there"),
            Endpoint("a:1", zone="here"),
        ]
        found = levels(endpoints, "here")
        self.assertEqual([["a:1"], ["b:1"], ["c:1"], ["d:1"]], [[each.address for each in level] for level in found])
        self.assertEqual(2, len(levels(endpoints, None)))

    def test_aLevelTakesAllAsLongAsEnoughOfItIsFit(self) -> None:
        first = [Endpoint(f"a{number}") for number in range(10)]
        second = [Endpoint(f"b{number}") for number in range(10)]
        for down, expected in ((0, 1.0), (2, 1.0), (5, 0.7), (8, 0.28), (10, 0.0)):
            for number, endpoint in enumerate(first):
                endpoint.out = number < down
            found = shares([first, second], lambda endpoint: not endpoint.out)
            self.assertAlmostEqual(expected, found[0])
            self.assertAlmostEqual(1.0, sum(found))

    def test_whereTooLittleIsLeftOfAllItIsSharedOut(self) -> None:
        endpoints = [Endpoint(f"a{number}", out=number < 9) for number in range(10)]
        self.assertEqual([1.0], shares([endpoints], lambda endpoint: not endpoint.out))
        self.assertEqual([0.0], shares([endpoints], lambda endpoint: False))


class Failover(BalancerCase):
    def test_theOwnZoneIsPreferredAndSpillsOver(self) -> None:
        places = [place("h", number, "here") for number in range(4)] + [
            place("t", number, "there") for number in (1, 2)
        ]
        for balance in ("round-robin", "maglev", "ring-hash"):
            balancer = self.balancer(balance, *places, zone="here")
            self.assertEqual({"h": 500}, dict(self.counts(balancer, 500)))
            balancer.checked(balancer.endpoints[0], False)
            self.assertEqual({"h": 500}, dict(self.counts(balancer, 500)))
            balancer.checked(balancer.endpoints[1], False)
            # Half of it is fit, which can carry seven tenths.
            self.assertApproximates(1_400, self.counts(balancer, 2_000)["h"], 100)
            for endpoint in balancer.endpoints[:4]:
                balancer.checked(endpoint, False)
            self.assertEqual({"t": 500}, dict(self.counts(balancer, 500)))

    def test_aWorsePriorityIsUsedOnlyWhereABetterOneFails(self) -> None:
        balancer = self.balancer("least-request", place("a", 1), place("b", 1, priority=1), place("c", 1, priority=7))
        self.assertEqual({"a"}, set(self.firsts(balancer, 100)))
        balancer.failed(balancer.endpoints[0])
        self.assertEqual({"b"}, set(self.firsts(balancer, 100)))
        balancer.eject(balancer.endpoints[1], 60)
        self.assertEqual({"c"}, set(self.firsts(balancer, 100)))
        self.clock.advance(5)
        self.assertEqual({"a"}, set(self.firsts(balancer, 100)))

    def test_aKeySpillsOverToTheSameEndpointEachTime(self) -> None:
        places = [place("h", number, "here") for number in range(4)] + [
            place("t", number, "there") for number in (1, 2)
        ]
        balancer = self.balancer("maglev", *places, zone="here")
        before = [balancer.pick(b"%d" % number) for number in range(1_000)]
        for endpoint in balancer.endpoints[:2]:
            balancer.checked(endpoint, False)
        during = [balancer.pick(b"%d" % number) for number in range(1_000)]
        self.assertEqual(during, [balancer.pick(b"%d" % number) for number in range(1_000)])
        # Those of the two that are fit stay, save the three tenths that this level can't carry any more.
        stayed = sum(one is other for one, other in zip(before, during, strict=True) if not one.out)
        self.assertGreater(stayed, 300)
