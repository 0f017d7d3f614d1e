from __future__ import annotations

import gc
from typing import Any

from hermes.errors import ShuttingDown, TargetRefused
from hermes.fabric.reach import Reach
from hermes.http.health import HealthChecks, HealthRules
from hermes.http.probes import TCPProbe
from hermes.http.upstream import EndpointsUpstream
from hermes.http1.client import ConnectionLimits
from hermes.test.http.test_health import Even
from hermes.test.http.upstreams import BODY, MemoryCarrier, Taken, UpstreamCase

ONE, TWO = "10.0.0.1:80", "10.0.0.2:80"


class InUseCase(UpstreamCase):
    addresses = (ONE, TWO)

    def checked(self, **options: Any) -> EndpointsUpstream:
        upstream = self.make(**options)
        network: Any = self.network
        reach = Reach(network)
        upstream.health = HealthChecks(
            self.balancer,
            TCPProbe(lambda: upstream.reachNow(reach)),
            self.clock,
            HealthRules(interval=10.0, healthy=1, unhealthy=1),
            Even(),
            recovered=upstream.recovered,
        )
        return upstream


class Health(InUseCase):
    def test_checksBeginWithItsUseAndEndWithIt(self) -> None:
        self.upstream = self.checked()
        self.assertEqual([], self.network.tried)
        self.upstream.start(True)
        self.assertEqual([ONE, TWO], self.network.tried)
        self.upstream.start(True)
        self.clock.advance(11)
        self.assertEqual([ONE, TWO] * 2, self.network.tried)
        self.successResultOf(self.upstream.close())
        self.clock.advance(100)
        self.assertEqual(4, len(self.network.tried))

    def test_whatIsReachedThroughAHopIsCheckedThroughIt(self) -> None:
        self.upstream = self.checked()
        self.upstream.start(False)
        self.assertEqual([], self.network.tried)
        carrier = MemoryCarrier(self.network)
        self.sender = self.upstream.sender(carrier)
        self.assertEqual([ONE, TWO], [str(flow.target) for flow in carrier.flows])

    def test_flowsThroughAHopAreEnough(self) -> None:
        self.upstream = self.checked()
        self.upstream.start(False)
        carrier = MemoryCarrier(self.network)
        self.upstream.through(carrier)
        self.assertEqual(2, len(carrier.flows))

    def test_theHopThatCameLastIsTheOneToGoThrough(self) -> None:
        self.upstream = self.checked()
        self.upstream.start(False)
        carriers = [MemoryCarrier(self.network) for _ in range(2)]
        senders = [self.upstream.sender(carrier) for carrier in carriers]
        self.clock.advance(11)
        self.assertEqual([2, 2], [len(carrier.flows) for carrier in carriers])
        del carriers[1], senders[1]
        self.network.transports.clear()
        gc.collect()
        self.clock.advance(11)
        self.assertEqual([4], [len(carrier.flows) for carrier in carriers])

    def test_whereARouteLeadsStraightToItChecksDoToo(self) -> None:
        self.upstream = self.checked()
        carrier = MemoryCarrier(self.network)
        self.sender = self.upstream.sender(carrier)
        self.upstream.start(True)
        carrier.flows.clear()
        self.clock.advance(11)
        self.assertEqual([], carrier.flows)

    def test_requestsFollowTheChecks(self) -> None:
        self.upstream = self.checked()
        self.network.refusing[ONE] = TargetRefused("no")
        self.upstream.start(True)
        for _ in range(4):
            self.send()
        self.assertEqual([0, 4], self.active())


class Warm(InUseCase):
    def test_connectionsAreMadeInAdvance(self) -> None:
        self.upstream = self.make(warm=2)
        self.upstream.start(True)
        self.assertEqual([ONE, ONE, TWO, TWO], self.network.tried)
        for _ in range(4):
            self.send()
        self.assertEqual(4, len(self.network.tried))
        carrier = MemoryCarrier(self.network)
        self.sender = self.upstream.sender(carrier)
        self.assertEqual(4, len(carrier.flows))

    def test_andToWhatIsHealthyAgain(self) -> None:
        self.upstream = self.checked(warm=1)
        self.network.refusing[ONE] = TargetRefused("no")
        self.upstream.start(True)
        self.network.refusing.clear()
        self.network.tried.clear()
        self.clock.advance(11)
        # The check, and the connection in advance.
        self.assertEqual(2, self.network.tried.count(ONE))
        self.assertEqual(1, self.upstream.status()["endpoints"][0]["connections"])


class Ends(InUseCase):
    def test_closingLetsRequestsEnd(self) -> None:
        self.send()
        sent = self.send()
        closed = self.upstream.close()
        self.assertNoResult(closed)
        self.answer(ONE)
        self.answer(TWO, BODY)
        taken = Taken()
        body: Any = self.successResultOf(sent).body
        body.start(taken)
        self.assertEqual(b"hello", taken.data)
        for _, transport in self.network.transports:
            transport.receiveEnd()
        self.clock.advance(0)
        self.successResultOf(closed)
        self.failureResultOf(self.send(), ShuttingDown)


class Status(InUseCase):
    def test_itTellsHowEachEndpointIs(self) -> None:
        self.upstream = self.make(http1=ConnectionLimits(connections=1), balance="round-robin")
        for _ in range(3):
            self.send()
        self.balancer.failed(self.balancer.endpoints[1])
        status = self.upstream.status()
        self.assertEqual(
            {
                "address": ONE,
                "state": "up",
                "healthy": True,
                "ejected": False,
                "active": 2,
                "flows": 0,
                "connections": 1,
                "pending": 1,
                "failures": 0,
                "error": None,
            },
            status["endpoints"][0],
        )
        self.assertEqual(("direct", 3, 0, 0), tuple(status[key] for key in ("type", "requests", "retries", "refused")))
        self.assertEqual(("down", 1), (status["endpoints"][1]["state"], status["endpoints"][1]["failures"]))
        self.balancer.eject(self.balancer.endpoints[1], 30)
        self.assertEqual("ejected", self.upstream.status()["endpoints"][1]["state"])
        self.balancer.checked(self.balancer.endpoints[1], False)
        self.assertEqual("unhealthy", self.upstream.status()["endpoints"][1]["state"])
