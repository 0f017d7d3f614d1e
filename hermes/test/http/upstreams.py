"""
Endpoints in memory, for tests of upstreams.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.fabric.balance import Balancer
from hermes.fabric.endpoints import Group
from hermes.fabric.places import Place
from hermes.fabric.reach import Reach
from hermes.http.breakers import Breakers
from hermes.http.clients import ClientOptions
from hermes.http.senders import Senders
from hermes.http.upstream import EndpointsUpstream
from hermes.http1.client import ConnectionLimits
from hermes.interfaces import IBodySink, IDialer
from hermes.messages import Request, RequestRecord, Response
from hermes.test.http1.memory import MemoryTransport
from hermes.values import Flow, Identity, RequestHead, Target

FLOW = Flow("http", Target("web.example", 80), ("192.0.2.1", 4000), Identity(user="alice"), "web")
GET = RequestHead(b"GET", b"http", b"web.example", b"/")
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@define(eq=False)
class MemoryNetwork:
    """
    Connects to transports in memory.

    @ivar transports: what was connected, with the address and the TLS that was asked for.
    @ivar refusing: addresses that can't be connected to, with the error.
    @ivar hold: connecting takes until L{up}.
    """

    clock: Clock
    transports: list[tuple[str, MemoryTransport]] = field(factory=list)
    credentials: list[Any] = field(factory=list)
    tried: list[str] = field(factory=list)
    refusing: dict[str, Exception] = field(factory=dict)
    hold: bool = False
    waiting: list[Callable[[], None]] = field(factory=list)

    def streamClient(self, address: str, tls: Any = None) -> Any:
        self.credentials.append(tls)
        return MemoryEndpoint(self, address)

    def connect(self, address: str, protocol: Any) -> Deferred[Any]:
        self.tried.append(address)
        if (error := self.refusing.get(address)) is not None:
            return fail(error)
        transport = MemoryTransport(self.clock)
        if not self.hold:
            self._attach(address, transport, protocol)
            return succeed(protocol)
        connecting: Deferred[Any] = Deferred(lambda _: None)

        def up() -> None:
            if not connecting.called:
                self._attach(address, transport, protocol)
                connecting.callback(protocol)

        self.waiting.append(up)
        return connecting

    def _attach(self, address: str, transport: MemoryTransport, protocol: Any) -> None:
        self.transports.append((address, transport))
        transport.attach(protocol)

    def to(self, address: str) -> list[MemoryTransport]:
        """
        The connections to an address.
        """
        return [transport for known, transport in self.transports if known == address]


@define(eq=False)
class MemoryEndpoint:
    """
    A client endpoint.
    """

    network: MemoryNetwork
    address: str

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        return self.network.connect(self.address, factory.buildProtocol(None))  # type: ignore[arg-type]


@implementer(IDialer)
@define(eq=False)
class MemoryCarrier:
    """
    Dials in memory, as a hop would.
    """

    network: MemoryNetwork
    flows: list[Flow] = field(factory=list)

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        self.flows.append(flow)
        return self.network.connect(str(flow.target), protocol)

    def connectDatagrams(self, flow: Flow, receiver: Any) -> Deferred[Any]:
        raise AssertionError("no datagrams here")

    def connectPackets(self, flow: Flow, receiver: Any) -> Deferred[Any]:
        raise AssertionError("no packets here")


@implementer(IBodySink)
class Taken:
    """
    Takes a body.
    """

    def __init__(self) -> None:
        self.data = b""
        self.ended: Any = None

    def dataReceived(self, data: Any) -> None:
        self.data += bytes(data)

    def bodyEnded(self, trailers: Any) -> None:
        self.ended = True

    def bodyFailed(self, reason: Any) -> None:
        self.ended = reason


class InOrder(Random):
    """
    Nothing is left to chance.
    """

    def randrange(self, *arguments: Any) -> int:
        return 0

    def shuffle(self, x: Any) -> None:
        pass


def aRequest(head: RequestHead = GET, flow: Flow = FLOW, **options: Any) -> Request:
    """
    A request that nobody has sent yet.
    """
    return Request(head, flow, RequestRecord(flow, head, "2", 0.0), **options)


class UpstreamCase(SynchronousTestCase):
    """
    An upstream of three endpoints of HTTP/1.1, which are tried in order.
    """

    addresses: tuple[Place | str, ...] = ("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.network = MemoryNetwork(self.clock)
        self.upstream = self.make()

    def make(
        self,
        *addresses: Place | str,
        balance: Any = "round-robin",
        http1: Any = None,
        breakers: Breakers | None = None,
        proxyProtocol: Any = None,
        outliers: Callable[[Balancer], Any] = lambda balancer: None,
        **options: Any,
    ) -> EndpointsUpstream:
        self.balancer = Balancer(addresses or self.addresses, balance, self.clock, InOrder())
        group = Group(self.balancer, outliers(self.balancer))
        network: Any = self.network
        reach = Reach(network, proxyProtocol=proxyProtocol)
        clientOptions = ClientOptions(http1=http1 or ConnectionLimits())
        senders = Senders(reach, None, clientOptions, self.clock)
        return EndpointsUpstream(network, group, reach, senders, breakers or Breakers(), self.clock, **options)

    def send(self, request: Request | None = None, carrier: Any = None) -> Deferred[Response]:
        sent = self.upstream.sender(carrier).send(request or aRequest())
        self.clock.advance(0)
        return sent

    def answer(self, address: str, wire: bytes = EMPTY) -> None:
        """
        The newest connection to an address is answered.
        """
        self.network.to(address)[-1].receive(wire)
        self.clock.advance(0)

    def active(self) -> list[int]:
        return [endpoint.active for endpoint in self.balancer.endpoints]
