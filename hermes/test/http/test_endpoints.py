from __future__ import annotations

import gc
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from hermes.errors import (
    HopUnavailable,
    NameNotFound,
    NotImplementedHere,
    Overloaded,
    RequestBroken,
    TargetRefused,
)
from hermes.fabric.outliers import OutlierRules, Outliers
from hermes.fabric.paths import IEndpoints
from hermes.http.breakers import Breakers
from hermes.http.keys import requestKey
from hermes.http.senders import MAX_CLIENTS
from hermes.http1.client import ConnectionLimits
from hermes.interfaces import IBody, IBodySink, IDialer, IRequestSender, IRequestUpstream
from hermes.messages import BytesBody
from hermes.test.http.upstreams import BODY, EMPTY, FLOW, MemoryCarrier, Taken, UpstreamCase, aRequest
from hermes.values import Identity, RequestHead
from hermes.wire.proxyprotocol import parse

ONE, TWO, THREE = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"


class Sending(UpstreamCase):
    def test_itIsOneThingForFlowsAndRequests(self) -> None:
        for interface in (IDialer, IEndpoints, IRequestUpstream):
            verifyObject(interface, self.upstream)
        verifyObject(IRequestSender, self.upstream.sender())
        self.assertIs(self.upstream.sender(), self.upstream.sender())

    def test_requestsGoToTheEndpointsInTurnOverConnectionsThatAreKept(self) -> None:
        for _ in range(2):
            for address in (ONE, TWO, THREE):
                request = aRequest()
                sent = self.send(request)
                self.answer(address)
                self.assertEqual(204, self.successResultOf(sent).head.status)
                self.assertEqual((address, 1), (request.record.endpoint, request.record.tries))
        self.assertEqual([ONE, TWO, THREE], self.network.tried)

    def test_aRequestIsCountedOnItsEndpointUntilItsBodyHasEnded(self) -> None:
        response = self.successResultOf(self._answered())
        self.assertEqual(([1, 0, 0], 1), (self.active(), self.upstream.breakers.requests))
        taken = Taken()
        response.body.start(taken)
        self.assertEqual((b"hello", True), (taken.data, taken.ended))
        self.assertEqual(([0, 0, 0], 0), (self.active(), self.upstream.breakers.requests))

    def _answered(self, wire: bytes = BODY, request: Any = None) -> Any:
        sent = self.send(request)
        self.answer(ONE, wire)
        return sent

    def test_nothingOfOursIsInTheWayOfTheData(self) -> None:
        body: Any = self.successResultOf(self._answered()).body
        for interface in (IBody, IBodySink):
            self.assertTrue(interface.providedBy(body))
        self.assertEqual(5, body.length)
        taken = Taken()
        whose: list[object] = []
        taken.dataReceived = lambda data: whose.append(body.dataReceived)  # type: ignore[method-assign]
        body.start(taken)
        self.assertEqual([taken.dataReceived], whose)
        self.assertIs(body._body, body.pauseProducing.__self__)

    def test_aBodyThatNobodyWantsIsNotCounted(self) -> None:
        for started in (False, True):
            self.setUp()
            body: Any = self.successResultOf(self._answered(BODY[:-2])).body
            if started:
                body.start(Taken())
            body.stopProducing()
            self.clock.advance(0)
            self.assertEqual(([0, 0, 0], 0), (self.active(), self.upstream.breakers.requests))
            self.assertEqual(0, self.balancer.endpoints[0].failures)

    def test_aBodyThatIsCutShortIsAFailureOfTheEndpoint(self) -> None:
        body: Any = self.successResultOf(self._answered(BODY[:-2])).body
        taken = Taken()
        body.start(taken)
        self.network.to(ONE)[0].lose(Failure(ConnectionLost()))
        self.assertIsInstance(taken.ended, Failure)
        self.assertEqual(([0, 0, 0], 1), (self.active(), self.balancer.endpoints[0].failures))

    def test_cancellingGivesTheRequestUp(self) -> None:
        sent = self.send()
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertEqual(
            ([0, 0, 0], 0, 0), (self.active(), self.upstream.breakers.requests, self.balancer.endpoints[0].failures)
        )
        self.assertTrue(self.network.to(ONE)[0].aborted)


class GoingOn(UpstreamCase):
    def test_whereOneCanNotBeReachedTheNextIsTried(self) -> None:
        self.network.refusing |= {ONE: TargetRefused("no"), TWO: NameNotFound("no")}
        request = aRequest(body=BytesBody(b"hello"))
        sent = self.send(request)
        self.assertIn(b"hello", self.network.to(THREE)[0].takeWritten())
        self.answer(THREE)
        self.successResultOf(sent)
        self.assertEqual([ONE, TWO, THREE], self.network.tried)
        self.assertEqual((THREE, 3, [0, 0, 0]), (request.record.endpoint, request.record.tries, self.active()))
        # For a while they are passed over.
        self.send()
        self.assertEqual([ONE, TWO, THREE], self.network.tried)
        self.assertEqual([0, 0, 1], self.active())

    def test_whereNoneCanBeReachedTheLastErrorIsTold(self) -> None:
        self.network.refusing |= {each: TargetRefused(each) for each in (ONE, TWO, THREE)}
        failure = self.failureResultOf(self.send(), TargetRefused)
        self.assertFalse(failure.value.sent)
        self.assertEqual((3, [0, 0, 0], 0), (len(self.network.tried), self.active(), self.upstream.breakers.requests))

    def test_cancellingInTheMiddleEndsIt(self) -> None:
        self.network.refusing[ONE] = TargetRefused("no")
        self.network.hold = True
        sent = self.send()
        self.assertEqual([ONE, TWO], self.network.tried)
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertEqual(([0, 0, 0], 0), (self.active(), self.upstream.breakers.requests))

    def test_whatWasSentIsNotSentElsewhere(self) -> None:
        sent = self.send()
        self.network.to(ONE)[0].lose()
        self.assertTrue(self.failureResultOf(sent, RequestBroken).value.sent)
        self.assertEqual(
            ([ONE], 1, [0, 0, 0]), (self.network.tried, self.balancer.endpoints[0].failures, self.active())
        )

    def test_aRetryGoesToAnotherEndpoint(self) -> None:
        self.upstream = self.make(balance="maglev", requestKey=lambda request: b"key")
        request = aRequest()
        sent = self.send(request)
        first = request.record.endpoint
        self.network.to(first)[0].lose()
        self.failureResultOf(sent, RequestBroken)
        self.send(request)
        self.assertNotEqual(first, request.record.endpoint)
        # A fresh one is still the same endpoint's.
        fresh = aRequest()
        self.send(fresh)
        self.assertEqual(first, fresh.record.endpoint)

    def test_aRetryStaysWhereTheOthersAreOut(self) -> None:
        for endpoint in self.balancer.endpoints[1:]:
            self.balancer.checked(endpoint, False)
        request = aRequest()
        self.failureResultOf(self._lost(request), RequestBroken)
        self.send(request)
        self.assertEqual(ONE, request.record.endpoint)

    def _lost(self, request: Any) -> Any:
        sent = self.send(request)
        self.network.to(request.record.endpoint)[-1].lose()
        return sent


class Breaking(UpstreamCase):
    def test_noMoreRequestsThanAllowed(self) -> None:
        self.upstream = self.make(breakers=Breakers(maxRequests=2))
        sent = [self.send() for _ in range(3)]
        self.assertFalse(self.failureResultOf(sent[2], Overloaded).value.sent)
        self.assertEqual(1, self.upstream.breakers.refused)
        self.answer(ONE)
        self.successResultOf(sent[0])
        self.assertNoResult(self.send())

    def test_noMoreRequestsWaitForAConnectionThanAllowed(self) -> None:
        self.upstream = self.make(ONE, http1=ConnectionLimits(connections=1, pending=1))
        first, second, third = (self.send() for _ in range(3))
        self.assertFalse(self.failureResultOf(third, Overloaded).value.sent)
        self.answer(ONE)
        self.successResultOf(first)
        self.answer(ONE)
        self.successResultOf(second)
        self.assertEqual((1, [0]), (len(self.network.tried), self.active()))

    def test_retriesNeedAPermit(self) -> None:
        breakers = Breakers(maxRetries=1)
        self.upstream = self.make(breakers=breakers)
        release = self.upstream.permit()
        assert release is not None
        self.assertEqual((1, None), (breakers.retries, self.upstream.permit()))
        release()
        self.assertIsNotNone(self.upstream.permit())


class Ejecting(UpstreamCase):
    def setUp(self) -> None:
        super().setUp()
        rules = OutlierRules(consecutive=2, ejection=10.0, mostEjected=50)
        self.upstream = self.make(outliers=lambda balancer: Outliers(balancer, self.clock, rules))

    def ask(self, wire: bytes = EMPTY, **options: Any) -> str:
        request = aRequest(**options)
        sent = self.send(request)
        address = request.record.endpoint
        self.network.to(address)[-1].receive(wire)
        self.clock.advance(0)
        self.successResultOf(sent)
        return address

    def ejected(self) -> list[bool]:
        return [endpoint.ejectedUntil > self.clock.seconds() for endpoint in self.balancer.endpoints]

    def test_whoAnswersBadlyAgainAndAgainIsLeftOut(self) -> None:
        bad = b"HTTP/1.1 503 Bad\r\nContent-Length: 0\r\n\r\n"
        for _ in range(2):
            self.assertEqual([ONE, TWO, THREE], [self.ask(bad), self.ask(), self.ask()])
        self.assertEqual([True, False, False], self.ejected())
        self.assertNotIn(ONE, [self.ask() for _ in range(4)])
        self.clock.advance(10)
        self.assertIn(ONE, [self.ask() for _ in range(3)])

    def test_aGoodAnswerMakesUpForABadOne(self) -> None:
        bad = b"HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n"
        for wire in (bad, EMPTY, bad):
            self.ask(wire)
            self.ask()
            self.ask()
        self.assertEqual([False] * 3, self.ejected())

    def test_whoNeverAnswersInTimeIsLeftOut(self) -> None:
        for _ in range(2):
            for address in (ONE, TWO, THREE):
                sent = self.send(aRequest(deadline=self.clock.seconds() + 1))
                if address == ONE:
                    self.clock.advance(1)
                    sent.cancel()
                    self.failureResultOf(sent, CancelledError)
                else:
                    self.answer(address)
        self.assertEqual([True, False, False], self.ejected())

    def test_whoIsGivenUpEarlierIsNotToBlame(self) -> None:
        for _ in range(9):
            sent = self.send(aRequest(deadline=self.clock.seconds() + 1))
            sent.cancel()
            self.failureResultOf(sent, CancelledError)
        self.assertEqual([False] * 3, self.ejected())


class Keys(UpstreamCase):
    def test_theSameUserGoesToTheSameEndpoint(self) -> None:
        self.upstream = self.make(balance="ring-hash", requestKey=requestKey("user"))
        found: dict[str, set[str]] = {}
        for user in ("alice", "bob", "carol", "dave", "erin") * 3:
            request = aRequest(flow=evolve(FLOW, identity=Identity(user=user)))
            self.send(request)
            found.setdefault(user, set()).add(request.record.endpoint)
        self.assertEqual({1}, {len(endpoints) for endpoints in found.values()})
        self.assertGreater(len({min(endpoints) for endpoints in found.values()}), 1)


class Carried(UpstreamCase):
    def setUp(self) -> None:
        super().setUp()
        self.carrier = MemoryCarrier(self.network)

    def test_connectionsAreStreamsOfTheCarrierAndKept(self) -> None:
        self.sender = self.upstream.sender(self.carrier)
        for _ in range(6):
            self.successResultOf(self._asked())
        self.assertEqual([ONE, TWO, THREE], [str(flow.target) for flow in self.carrier.flows])
        self.assertEqual([], self.network.credentials)

    def _asked(self) -> Any:
        request = aRequest()
        sent = self.send(request, self.carrier)
        self.answer(request.record.endpoint)
        return sent

    def test_theSameCarrierGivesTheSameSender(self) -> None:
        sender = self.upstream.sender(self.carrier)
        self.assertIs(sender, self.upstream.sender(self.carrier))
        self.assertIsNot(sender, self.upstream.sender(MemoryCarrier(self.network)))
        self.assertIsNot(sender, self.upstream.sender())

    def test_whatIsKnownOfAnEndpointIsTheSameForAllWays(self) -> None:
        self.network.refusing[ONE] = TargetRefused("no")
        self.send(carrier=self.carrier)
        self.network.refusing.clear()
        requests = [aRequest() for _ in range(4)]
        for request in requests:
            self.send(request)
        self.assertNotIn(ONE, [request.record.endpoint for request in requests])

    def test_aHopThatIsDownIsNotAskedForEveryEndpoint(self) -> None:
        self.network.refusing |= {each: HopUnavailable("down") for each in (ONE, TWO, THREE)}
        self.failureResultOf(self.send(carrier=self.carrier), HopUnavailable)
        self.assertEqual(1, len(self.carrier.flows))
        self.assertEqual([0, 0, 0], [endpoint.failures for endpoint in self.balancer.endpoints])

    def test_aUnixSocketIsNotBehindAHop(self) -> None:
        self.upstream = self.make("unix:/a", TWO)
        request = aRequest()
        self.send(request, self.carrier)
        self.assertEqual(TWO, request.record.endpoint)
        self.upstream = self.make("unix:/a")
        self.failureResultOf(self.send(carrier=self.carrier), NotImplementedHere)

    def test_aSenderThatNobodyUsesAnyMoreClosesItsConnections(self) -> None:
        sent = self.upstream.sender(self.carrier).send(aRequest())
        gc.collect()
        transport = self.network.to(ONE)[0]
        # A request is under way.
        self.assertFalse(transport.writeClosed)
        transport.receive(BODY)
        body: Any = self.successResultOf(sent).body
        body.start(Taken())
        del sent, body
        gc.collect()
        self.assertTrue(transport.writeClosed)
        self.clock.advance(60)
        # The fake keeps connections that have ended.
        self.network.transports.clear()
        del self.carrier, transport
        gc.collect()
        self.assertEqual(0, len(self.upstream._carriers))


class PerSource(UpstreamCase):
    def setUp(self) -> None:
        super().setUp()
        self.upstream = self.make(ONE, proxyProtocol="v2")

    def ask(self, port: int) -> Any:
        sent = self.send(aRequest(flow=evolve(FLOW, source=("192.0.2.1", port))))
        self.answer(ONE)
        return self.successResultOf(sent)

    def test_aConnectionIsOneClients(self) -> None:
        for port in (1, 2):
            self.ask(port)
        self.assertEqual(2, len(self.network.transports))
        for number, (_, transport) in enumerate(self.network.transports, 1):
            header, size = parse(bytes(transport.written))
            assert header is not None
            self.assertEqual((("192.0.2.1", number), "user=alice"), (header.source, header.identity))
            self.assertTrue(bytes(transport.written[size:]).startswith(b"GET / HTTP/1.1\r\n"))
        first = self.network.transports[0][1]
        sent = self.send(aRequest(flow=evolve(FLOW, source=("192.0.2.1", 1))))
        first.receive(EMPTY)
        self.clock.advance(0)
        self.successResultOf(sent)
        self.assertEqual(2, len(self.network.transports))

    def test_theyAreBounded(self) -> None:
        for port in range(MAX_CLIENTS + 1):
            self.ask(port)
        closed = [transport.writeClosed for _, transport in self.network.transports]
        self.assertEqual([True] + [False] * MAX_CLIENTS, closed)


class Upgrades(UpstreamCase):
    def test_aTunnelIsARequestLikeAnother(self) -> None:
        head = RequestHead(b"CONNECT", b"http", b"web.example", b"/chat", b"other")
        sent = self.send(aRequest(head, body=BytesBody(b"")))
        self.answer(ONE, b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
        body: Any = self.successResultOf(sent).body
        self.assertEqual([1, 0, 0], self.active())
        taken = Taken()
        body.start(taken)
        self.network.to(ONE)[0].receive(b"ping")
        self.assertEqual(b"ping", taken.data)
        self.network.to(ONE)[0].receiveEnd()
        self.assertEqual(([0, 0, 0], True), (self.active(), taken.ended))
