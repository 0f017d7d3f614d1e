from __future__ import annotations

from random import Random
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import HopUnavailable, TargetRefused
from hermes.fabric.balance import Balancer
from hermes.fabric.places import Endpoint
from hermes.fabric.reach import Reach
from hermes.http.clients import ClientOptions
from hermes.http.health import HealthChecks, HealthRules, Undecided, Unwell
from hermes.http.probes import HTTPProbe, TCPProbe
from hermes.test.http.upstreams import MemoryCarrier, MemoryNetwork

RULES = HealthRules(interval=10.0, timeout=2.0, healthy=2, unhealthy=3)


class Even(Random):
    def random(self) -> float:
        return 0.5


class Checks(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.balancer = Balancer(["a:1", "b:1"], "round-robin", self.clock)
        self.asked: list[tuple[str, Deferred[Any]]] = []
        self.recovered: list[str] = []
        self.cancelled = 0
        self.checks = HealthChecks(
            self.balancer,
            self.probe,
            self.clock,
            RULES,
            Even(),
            lambda endpoint: self.recovered.append(endpoint.address),
        )
        self.checks.start()

    def tearDown(self) -> None:
        self.checks.stop()
        self.assertEqual([], self.clock.getDelayedCalls())

    def probe(self, endpoint: Endpoint) -> Deferred[Any]:
        asked: Deferred[Any] = Deferred(self.cancel)
        self.asked.append((endpoint.address, asked))
        return asked

    def cancel(self, asked: Deferred[Any]) -> None:
        self.cancelled += 1

    def tell(self, *results: Exception | None) -> None:
        """
        The result of each endpoint's check; then the next begin.
        """
        asked, self.asked = self.asked, []
        for (_, deferred), result in zip(asked, results, strict=True):
            if result is None:
                deferred.callback(None)
            else:
                deferred.errback(result)
        self.clock.advance(10)

    @property
    def healthy(self) -> list[bool]:
        return [endpoint.healthy for endpoint in self.balancer.endpoints]

    def test_allAreAskedAtOnceAndThenFromTimeToTime(self) -> None:
        self.checks.start()
        self.assertEqual(["a:1", "b:1"], [address for address, _ in self.asked])
        self.tell(None, None)
        self.assertEqual(["a:1", "b:1"], [address for address, _ in self.asked])
        self.assertEqual([True, True], self.healthy)

    def test_theFirstCheckDecidesAtOnce(self) -> None:
        self.tell(Unwell("it answers 503"), None)
        self.assertEqual([False, True], self.healthy)
        self.assertEqual("it answers 503", self.checks.error(self.balancer.endpoints[0]))

    def test_afterThatItTakesSeveralInARow(self) -> None:
        self.tell(None, None)
        for result in (TargetRefused("no"), TargetRefused("no"), None, TargetRefused("no"), TargetRefused("no")):
            self.tell(result, None)
            self.assertEqual([True, True], self.healthy)
        self.tell(TargetRefused("no"), None)
        self.assertEqual([False, True], self.healthy)
        self.tell(None, None)
        self.tell(TargetRefused("no"), None)
        self.tell(None, None)
        self.assertEqual(([False, True], []), (self.healthy, self.recovered))
        self.tell(None, None)
        self.assertEqual(([True, True], ["a:1"]), (self.healthy, self.recovered))
        self.assertIsNone(self.checks.error(self.balancer.endpoints[0]))

    def test_whoDoesNotAnswerInTimeIsNotWell(self) -> None:
        self.clock.advance(2)
        self.assertEqual(2, self.cancelled)
        self.assertEqual([False, False], self.healthy)
        self.assertEqual("no answer in time", self.checks.error(self.balancer.endpoints[0]))

    def test_whatTheHopIsToBlameForSaysNothingOfTheEndpoint(self) -> None:
        for _ in range(5):
            self.tell(Undecided("the hop is down"), None)
        self.assertEqual([True, True], self.healthy)
        self.assertEqual("the hop is down", self.checks.error(self.balancer.endpoints[0]))

    def test_anErrorOfOursIsLoggedAndTakenForAFailure(self) -> None:
        self.tell(ZeroDivisionError("oops"), None)
        self.assertEqual([False, True], self.healthy)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_stoppingEndsWhatIsUnderWayAndLeavesWhatWasFound(self) -> None:
        self.tell(Unwell("no"), None)
        self.checks.stop()
        self.assertEqual((2, [False, True], []), (self.cancelled, self.healthy, self.clock.getDelayedCalls()))
        self.asked.clear()
        self.checks.start()
        self.assertEqual(2, len(self.asked))

    def test_whatAnswersAtOnceIsAskedNoFaster(self) -> None:
        self.checks.stop()
        asked: list[str] = []

        def probe(endpoint: Endpoint) -> Deferred[Any]:
            asked.append(endpoint.address)
            done: Deferred[Any] = Deferred()
            done.callback(None)
            return done

        self.checks = HealthChecks(self.balancer, probe, self.clock, RULES, Even())
        self.checks.start()
        self.clock.advance(9)
        self.assertEqual(2, len(asked))
        self.clock.advance(1)
        self.assertEqual(4, len(asked))


class ProbeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.endpoint = Endpoint("10.0.0.1:80")
        self.reach: Reach | None = self.reaching()

    def reaching(self, carrier: Any = None) -> Reach:
        return Reach(cast(Any, self.network), carrier=carrier)

    def carried(self) -> None:
        self.carrier = MemoryCarrier(self.network)
        self.reach = self.reaching(self.carrier)


class HTTP(ProbeCase):
    def probe(self, **options: Any) -> Deferred[Any]:
        probe = HTTPProbe(lambda: self.reach, self.clock, ClientOptions(), b"/healthz", **options)
        return probe(self.endpoint)

    def answer(self, wire: bytes) -> None:
        self.network.transports[-1][1].receive(wire)
        self.clock.advance(0)

    def test_itAsksForThePathInAConnectionOfItsOwnAndClosesIt(self) -> None:
        asked = self.probe()
        (_, transport) = self.network.transports[0]
        self.assertEqual(
            b"GET /healthz HTTP/1.1\r\nhost: 10.0.0.1:80\r\nuser-agent: hermes-health\r\n\r\n", transport.takeWritten()
        )
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.successResultOf(asked)
        self.assertTrue(transport.writeClosed)
        transport.receiveEnd()
        self.clock.advance(0)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_aLongBodyIsNotWaitedFor(self) -> None:
        asked = self.probe()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nok")
        self.successResultOf(asked)
        self.clock.advance(60)
        self.assertTrue(self.network.transports[0][1].aborted)
        self.clock.advance(0)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_statuses(self) -> None:
        for status, statuses, well in (
            (204, (), True),
            (301, (), False),
            (503, (), False),
            (404, (404,), True),
            (200, (404,), False),
        ):
            asked = self.probe(statuses=frozenset(statuses))
            self.answer(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
            if well:
                self.successResultOf(asked)
            else:
                self.assertEqual(f"it answers {status}", str(self.failureResultOf(asked, Unwell).value))

    def test_theHostCanBeGiven(self) -> None:
        self.probe(host=b"www.example")
        self.assertIn(b"host: www.example\r\n", self.network.transports[0][1].takeWritten())
        self.endpoint = Endpoint("unix:/run/web")
        self.probe()
        self.assertIn(b"host: localhost\r\n", self.network.transports[1][1].takeWritten())

    def test_whatGoesWrongIsTold(self) -> None:
        self.network.refusing["10.0.0.1:80"] = TargetRefused("no")
        self.failureResultOf(self.probe(), TargetRefused)
        self.network.refusing.clear()
        asked = self.probe()
        self.network.transports[0][1].lose()
        self.failureResultOf(asked, HopUnavailable)

    def test_givingUpEndsTheConnection(self) -> None:
        asked = self.probe()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(self.network.transports[0][1].aborted)
        self.network.hold = True
        asked = self.probe()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)

    def test_itGoesThroughAHopWhichIsToBlameWhereItIsDown(self) -> None:
        self.carried()
        asked = self.probe()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.successResultOf(asked)
        self.assertEqual(["10.0.0.1:80"], [str(flow.target) for flow in self.carrier.flows])
        self.network.refusing["10.0.0.1:80"] = HopUnavailable("down")
        self.failureResultOf(self.probe(), Undecided)
        self.reach = None
        self.failureResultOf(self.probe(), Undecided)


class TCP(ProbeCase):
    def test_aConnectionIsEnough(self) -> None:
        asked = TCPProbe(lambda: self.reach)(self.endpoint)
        self.successResultOf(asked)
        self.assertTrue(self.network.transports[0][1].closing)
        self.network.refusing["10.0.0.1:80"] = TargetRefused("no")
        self.failureResultOf(TCPProbe(lambda: self.reach)(self.endpoint), TargetRefused)

    def test_throughAHop(self) -> None:
        self.carried()
        self.successResultOf(TCPProbe(lambda: self.reach)(self.endpoint))
        self.network.refusing["10.0.0.1:80"] = HopUnavailable("down")
        self.failureResultOf(TCPProbe(lambda: self.reach)(self.endpoint), Undecided)
        self.failureResultOf(TCPProbe(lambda: None)(self.endpoint), Undecided)
