"""
Hops: endpoints, failover, and connections inside another hop's tunnel.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer
from zope.interface.verify import verifyObject

from hermes.errors import (
    HopRefused,
    HopUnavailable,
    HopUntrusted,
    NameNotFound,
    NameTimeout,
    NotImplementedHere,
    ShuttingDown,
    TargetRefused,
    TargetTimeout,
    TargetUnreachable,
)
from hermes.interfaces import IClientExchange, IDialer, IHop, IMeasuredHop, IReadyExchangeClient
from hermes.test.tunnel.fakes import Authenticator, Datagrams, Flows, Stream
from hermes.testing import MemoryExchangeClient, MemoryNetwork
from hermes.tunnel.client import HopTimeout, TunnelOptions
from hermes.tunnel.hop import CarrierUnavailable, Hop, HopParts, NestedEndpoint
from hermes.tunnel.server import TunnelHandler
from hermes.values import Flow, Identity, RequestHead, Target

FLOW = Flow("tcp", Target("db.hermes", 3306))


@define(eq=False)
class Place:
    """
    An endpoint.
    """

    address: str
    active: int = 0


@define(eq=False)
class Order:
    """
    A balancer that always prefers the first.
    """

    endpoints: list[Place]
    down: list[str] = field(factory=list)

    def order(self) -> list[Place]:
        return sorted(self.endpoints, key=lambda place: (place.address in self.down, place.active))

    def failed(self, endpoint: Place) -> None:
        self.down.append(endpoint.address)

    def reached(self, endpoint: Place) -> None:
        if endpoint.address in self.down:
            self.down.remove(endpoint.address)


@implementer(IStreamClientEndpoint)
@define(eq=False)
class Endpoint:
    """
    Knows what it would connect to.
    """

    what: str

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        return fail(AssertionError("not in this test"))


@define(eq=False, slots=False)
class Client:
    """
    The client of one endpoint.
    """

    inner: MemoryExchangeClient
    connections: list[Any] = field(factory=list)
    closed: Deferred[None] = field(factory=Deferred)
    closing: bool = False
    silent: bool = False

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        if self.silent:
            return Deferred()
        return self.inner.exchange(head, end)

    def close(self) -> Deferred[None]:
        self.closing = True
        return self.closed


@define
class Connection:
    """
    One whose round trip is known.
    """

    trip: float

    def ping(self) -> Deferred[float]:
        return succeed(self.trip)


class HopTests(SynchronousTestCase):
    """
    L{Hop} over exchanges in memory.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork()
        self.flows = Flows()
        self.handler = TunnelHandler(self.flows, Authenticator(), self.clock, "relay", "overlay")
        self.clients: dict[str, Client] = {}
        self.balancers: list[Order] = []
        self.failWith: Exception | None = None
        self.hop = self.makeHop("a:1", "b:1")

    def makeHop(self, *addresses: str) -> Hop:
        def balancer() -> Order:
            self.balancers.append(Order([Place(address) for address in addresses]))
            return self.balancers[-1]

        return Hop(
            "relay",
            HopParts(
                balancer,
                lambda address: Endpoint(address),
                lambda endpoint, address: Endpoint(f"tls in {endpoint.target} to {address}"),  # type: ignore[attr-defined]
                self.client,
                lambda address: TunnelOptions(address.encode()),
            ),
            self.clock,
        )

    def client(self, endpoint: Any) -> Client:
        client = Client(MemoryExchangeClient(self.network, self.handler, Identity("edge"), failWith=self.failWith))
        self.clients[endpoint.what] = client
        return client

    def connect(self, hop: Hop | None = None, carrier: IDialer | None = None) -> Deferred[Any]:
        hop = hop or self.hop
        dialer = hop.dialer if carrier is None else hop.through(carrier)
        connecting = dialer.connectStream(FLOW, Stream())
        self.network.pump()
        return connecting

    def accept(self) -> None:
        self.flows.stream()
        self.network.pump()

    def test_itIsAHop(self) -> None:
        verifyObject(IHop, self.hop)
        verifyObject(IMeasuredHop, self.hop)
        verifyObject(IDialer, self.hop.dialer)

    def test_streamsAndDatagramsGoThroughTheEndpointThatIsPreferred(self) -> None:
        connecting = self.connect()
        self.accept()
        self.assertIsInstance(self.successResultOf(connecting), Stream)
        opening = self.hop.dialer.connectDatagrams(Flow("udp", FLOW.target), Datagrams())
        self.network.pump()
        self.flows.datagrams()
        self.network.pump()
        self.successResultOf(opening)
        self.assertEqual(len(self.clients["a:1"].inner.exchanges), 2)

    def test_anExchangeGoesAtOnceWhereTheClientOfTheOneEndpointCan(self) -> None:
        head = RequestHead(b"GET", b"http", b"a.example", b"/")
        several: Any = self.hop.dialer
        self.assertIsNone(several.tryExchange(head, True))
        one: Any = self.makeHop("c:1").dialer
        # Nothing has been opened to it, and its client is not known yet.
        self.assertIsNone(one.tryExchange(head, True))
        opened = self.successResultOf(one.exchange(head, True))
        client: Any = self.clients["c:1"]
        self.assertIsNone(one.tryExchange(head, True))
        directlyProvides(client, IReadyExchangeClient)
        client.tryExchange = lambda head, end: opened
        self.assertIs(one.tryExchange(head, True), opened)
        one.close()
        self.assertIsNone(one.tryExchange(head, True))

    def test_anEndpointThatCannotBeReachedIsPassedOver(self) -> None:
        self.connect()
        self.accept()
        for error in (
            HopUnavailable("gone"),
            HopUntrusted("wrong certificate"),
            TargetRefused("no"),
            NameNotFound("no"),
        ):
            self.clients["a:1"].inner.failWith = error
            self.balancers[0].down.clear()
            connecting = self.connect()
            self.accept()
            self.successResultOf(connecting)
            self.assertEqual(self.balancers[0].down, ["a:1"])

    def test_anExchangeGoesToAnEndpointThatCanBeReached(self) -> None:
        head = RequestHead(b"GET", b"http", b"a.example", b"/")
        dialer: Any = self.hop.dialer
        self.successResultOf(dialer.exchange(head, True))
        for error in (
            HopUnavailable("gone"),
            HopUntrusted("wrong certificate"),
            TargetRefused("no"),
            TargetUnreachable("no"),
            TargetTimeout("late"),
            NameNotFound("no"),
            NameTimeout("late"),
        ):
            self.clients["a:1"].inner.failWith = error
            self.balancers[0].down.clear()
            self.successResultOf(dialer.exchange(head, True))
            self.assertEqual(self.balancers[0].down, ["a:1"])
        self.balancers[0].down.clear()
        self.clients["b:1"].inner.failWith = TargetRefused("b:1 refused the connection")
        failed = self.failureResultOf(dialer.exchange(head, True), TargetRefused)
        self.assertEqual(str(failed.value), "b:1 refused the connection")

    def test_anEndpointThatResetsBeforeItAnswersIsPassedOver(self) -> None:
        connecting = self.connect()
        self.clients["a:1"].inner.exchanges[0][1].reset(7)
        self.network.pump()
        self.accept()
        self.successResultOf(connecting)
        self.assertEqual(len(self.clients["b:1"].inner.exchanges), 1)

    def test_anAnswerIsFinal(self) -> None:
        connecting = self.connect()
        self.flows.fail(TargetRefused("the target does not listen"))
        self.network.pump()
        self.assertEqual(self.failureResultOf(connecting, HopRefused).value.answered, 502)
        self.assertNotIn("b:1", self.clients)

    def test_aHopThatTakesItsTimeOverTheTargetIsNotAskedTwice(self) -> None:
        connecting = self.connect()
        self.clock.advance(60)
        self.failureResultOf(connecting, TargetTimeout)
        self.assertNotIn("b:1", self.clients)

    def test_whereNoEndpointCanBeReachedTheLastErrorTells(self) -> None:
        self.failWith = TargetTimeout("the kernel gave up")
        self.failureResultOf(self.connect(), HopTimeout)
        self.assertEqual(self.balancers[0].down, ["a:1", "b:1"])
        self.failureResultOf(self.connect(self.makeHop("only:1")), HopTimeout)

    def test_anEndpointThatIsSilentIsPassedOver(self) -> None:
        self.connect()
        self.accept()
        self.clients["a:1"].silent = True
        connecting = self.connect()
        self.clock.advance(10)
        self.accept()
        self.successResultOf(connecting)

    def test_theBalancerKnowsHowBusyEndpointsAre(self) -> None:
        @define
        class Connection:
            openExchanges: int

        self.connect()
        self.clients["a:1"].connections += [Connection(3), Connection(4)]
        self.connect()
        self.assertEqual([place.active for place in self.balancers[0].endpoints], [7, 0])
        self.assertIn("b:1", self.clients)

    def test_throughAnotherHopConnectionsRunInItsStreams(self) -> None:
        carrier = self.makeHop("c:1").dialer
        self.assertIs(self.hop.through(carrier), self.hop.through(carrier))
        self.assertIsNot(self.hop.through(carrier), self.hop.dialer)
        connecting = self.connect(carrier=carrier)
        self.accept()
        self.successResultOf(connecting)
        self.assertEqual(list(self.clients), ["tls in a:1 to a:1"])

    def test_whatCarriesIsNotKeptAlive(self) -> None:
        carrier = self.makeHop("c:1")
        self.connect(carrier=carrier.dialer)
        self.assertEqual(len(self.hop._inside), 1)
        del carrier
        gc.collect()
        self.assertEqual(len(self.hop._inside), 0)

    def test_aUnixSocketCannotBeReachedThroughAHop(self) -> None:
        carrier = self.makeHop("c:1").dialer
        self.failureResultOf(self.connect(self.makeHop("unix:/run/x"), carrier), HopUnavailable)
        connecting = self.connect(self.makeHop("unix:/run/x", "b:1"), carrier)
        self.accept()
        self.successResultOf(connecting)

    def test_onePortListensAtOneEndpoint(self) -> None:
        self.hop.serverEndpoint(Target("127.0.0.1", 0)).listen(Factory())
        (exchange, _) = self.clients["a:1"].inner.exchanges[0]
        self.assertEqual((exchange.request.protocol, exchange.request.authority), (b"hermes-listen", b"a:1"))

    def test_theRoundTripToEachEndpointCanBeMeasured(self) -> None:
        self.failureResultOf(self.hop.ping("a:1"), NotImplementedHere)
        client: Any = self.clients["a:1"]
        client.connected = lambda: succeed(Connection(0.25))
        self.assertEqual(self.successResultOf(self.hop.ping("a:1")), 0.25)
        self.assertEqual(self.hop.addresses, ["a:1", "b:1"])
        self.hop.close()
        self.failureResultOf(self.hop.ping("b:1"), ShuttingDown)
        self.assertNotIn("b:1", self.clients)

    def test_closingClosesEveryWay(self) -> None:
        carrier = self.makeHop("c:1").dialer
        self.connect()
        self.connect(carrier=carrier)
        closing = self.hop.close()
        self.assertNoResult(closing)
        for client in self.clients.values():
            self.assertTrue(client.closing)
            client.closed.callback(None)
        self.successResultOf(closing)
        self.failureResultOf(self.connect(), ShuttingDown)


@implementer(IDialer)
class Dialer:
    """
    A dialer that does what the test says.
    """

    def __init__(self, result: Callable[[Any], Deferred[Any]]) -> None:
        self.result = result
        self.flow: Flow | None = None

    def connectStream(self, flow: Flow, protocol: Any) -> Deferred[Any]:
        self.flow = flow
        return self.result(protocol)

    def connectDatagrams(self, flow: Flow, receiver: Any) -> Deferred[Any]:
        raise AssertionError("a connection is a stream")

    def connectPackets(self, flow: Flow, receiver: Any) -> Deferred[Any]:
        raise AssertionError("a connection is a stream")


class NestedEndpointTests(SynchronousTestCase):
    """
    L{NestedEndpoint}.
    """

    def connect(self, dialer: Dialer) -> Deferred[Any]:
        return NestedEndpoint.to(Target("r2", 8443), dialer).connect(Factory.forProtocol(Stream))  # type: ignore[type-var]

    def test_itDialsTheTargetAndNothingElseIsTold(self) -> None:
        dialer = Dialer(succeed)
        self.assertIsInstance(self.successResultOf(self.connect(dialer)), Stream)
        self.assertEqual(dialer.flow, Flow("tcp", Target("r2", 8443)))

    def test_whoIsToBlameIsTold(self) -> None:
        self.failureResultOf(self.connect(Dialer(lambda _: fail(HopUnavailable("r1 is gone")))), CarrierUnavailable)
        refused = Dialer(lambda _: fail(HopRefused("r1 says", 502)))
        self.failureResultOf(self.connect(refused), HopUnavailable)
        self.failureResultOf(self.connect(Dialer(lambda _: fail(ShuttingDown("later")))), ShuttingDown)

    def test_aCarrierThatIsGoneCarriesNothing(self) -> None:
        endpoint = NestedEndpoint(lambda: None, Target("r2", 8443))
        gc.collect()
        self.failureResultOf(endpoint.connect(Factory.forProtocol(Stream)), ShuttingDown)  # type: ignore[type-var]
