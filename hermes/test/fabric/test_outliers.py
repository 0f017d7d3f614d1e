from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import Overloaded, TargetRefused
from hermes.fabric.balance import Balancer
from hermes.fabric.endpoints import EndpointsDialer, Group
from hermes.fabric.outliers import LONGEST_EJECTION, OutlierRules, Outliers
from hermes.fabric.reach import Reach
from hermes.test.fabric.fakenetwork import FakeNetwork
from hermes.test.fabric.test_direct import NAMED, InOrder, far


class OutlierCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)

    def make(self, count: int = 4, **rules: Any) -> None:
        self.balancer = Balancer([f"10.0.0.{number}:1" for number in range(count)], "random", self.clock)
        self.outliers = Outliers(self.balancer, self.clock, OutlierRules(**{"consecutive": 3, **rules}))

    def fail_(self, number: int, times: int = 3) -> float:
        """
        Let an endpoint fail; for how long it is out then, in seconds.
        """
        endpoint = self.balancer.endpoints[number]
        for _ in range(times):
            self.outliers.failed(endpoint)
        return max(0.0, endpoint.ejectedUntil - self.clock.seconds())


class Ejection(OutlierCase):
    def test_onlySoManyFailuresInARowEject(self) -> None:
        self.make()
        self.assertEqual(0, self.fail_(0, 2))
        self.outliers.succeeded(self.balancer.endpoints[0])
        self.assertEqual(0, self.fail_(0, 2))
        self.assertEqual(30, self.fail_(0, 1))

    def test_eachTimeItIsForLonger(self) -> None:
        self.make(ejection=10.0, interval=1000.0)
        for expected in (10, 20, 30):
            self.assertEqual(expected, self.fail_(0))
            self.clock.advance(expected)

    def test_thereIsALongestTime(self) -> None:
        self.make(ejection=200.0, interval=10_000.0)
        for expected in (200, LONGEST_EJECTION):
            self.assertEqual(expected, self.fail_(0))
            self.clock.advance(expected)
        self.make(ejection=1000.0)
        self.assertEqual(1000, self.fail_(0))

    def test_whoBehavesIsForgiven(self) -> None:
        self.make(ejection=10.0, interval=60.0)
        for expected in (10, 20, 30):
            self.assertEqual(expected, self.fail_(0))
            self.clock.advance(expected)
        self.clock.advance(2 * 60.0)
        self.assertEqual(20, self.fail_(0))

    def test_onlySoManyAreEjectedAtOnce(self) -> None:
        self.make(4, mostEjected=50)
        self.assertEqual([30, 30, 0, 0], [self.fail_(number) for number in range(4)])
        self.clock.advance(30)
        # It has been bad all along.
        self.assertEqual(30, self.fail_(2, 1))

    def test_theOnlyEndpointIsNeverEjected(self) -> None:
        self.make(1, mostEjected=50)
        self.assertEqual(0, self.fail_(0, 100))

    def test_whatWasUnderWayAtAnEjectionDoesNotProlongIt(self) -> None:
        self.make()
        self.fail_(0)
        self.clock.advance(10)
        self.assertEqual(20, self.fail_(0, 50))
        self.assertEqual(1, self.balancer.endpoints[0].ejections)


class Flows(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.network = FakeNetwork(self.clock)
        self.balancer = Balancer(["10.0.0.1:1", "10.0.0.2:1"], "round-robin", self.clock, InOrder(), retryAfter=0.0)

    def dialer(self, **options: Any) -> EndpointsDialer:
        return EndpointsDialer(self.network, Group(self.balancer, **options), Reach(self.network))

    def test_flowsThatCanNotBeOpenedCount(self) -> None:
        outliers = Outliers(self.balancer, self.clock, OutlierRules(consecutive=2))
        dialer = self.dialer(outliers=outliers)
        self.network.refusing["10.0.0.1:1"] = TargetRefused("no")
        for _ in range(6):
            self.successResultOf(dialer.connectStream(NAMED, far()))
        self.assertEqual(2, self.network.tried.count("10.0.0.1:1"))
        self.assertGreater(self.balancer.endpoints[0].ejectedUntil, 0)

    def test_aFlowThatIsOpenedMakesUpForThem(self) -> None:
        outliers = Outliers(self.balancer, self.clock, OutlierRules(consecutive=2))
        dialer = self.dialer(outliers=outliers)
        self.balancer.endpoints[0].consecutive = 1
        self.successResultOf(dialer.connectStream(NAMED, far()))
        self.assertEqual(0, self.balancer.endpoints[0].consecutive)

    def test_anEndpointTakesOnlySoManyFlows(self) -> None:
        dialer = self.dialer(connections=1)
        for _ in range(2):
            self.successResultOf(dialer.connectStream(NAMED, far()))
        self.failureResultOf(dialer.connectStream(NAMED, far()), Overloaded)
        self.assertEqual([1, 1], [endpoint.flows for endpoint in self.balancer.endpoints])
        self.network.streams[0][1].fail(TargetRefused("over"))
        self.successResultOf(dialer.connectStream(NAMED, far()))

    def test_flowsAreBalancedByTheirKey(self) -> None:
        self.balancer = Balancer([f"10.0.0.{number}:1" for number in range(9)], "maglev", self.clock)
        dialer = self.dialer(flowKey=lambda flow: flow.target.host.encode())
        for _ in range(5):
            self.successResultOf(dialer.connectStream(NAMED, far()))
        self.assertEqual(1, len(set(self.network.tried)))
