"""
A network in memory, and what a listener stands on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from zope.interface import implementer

from hermes.commons import Commons
from hermes.errors import FlowError
from hermes.interfaces import (
    IAdmission,
    IDatagramChannel,
    IDatagramSocket,
    IExchangeHandler,
    IListenerContext,
    INetwork,
    IRequestHandler,
    IServerExchange,
)
from hermes.proxied import ProxyProtocolFactory
from hermes.test.fabric.fakes import FakeChannel, FakeFlows, FakeSocket, FakeStream
from hermes.values import Address, Forwarded, Target


@implementer(INetwork)
@define(eq=False)
class FakeNetwork:
    """
    Sockets in memory.

    @ivar streams: what was connected, with the address.
    @ivar refusing: addresses that can't be connected to, with the error.
    @ivar special: the values of C{allowSpecial} that were given.
    @ivar servers: the factories that listen, by bind.
    @ivar reserved: what is held for listeners that have not started.
    @ivar leaving: for each that was ever held, which listeners leave its place.
    """

    clock: Clock
    streams: list[tuple[str, FakeStream]] = field(factory=list)
    channels: list[tuple[str, FakeChannel]] = field(factory=list)
    tried: list[str] = field(factory=list)
    refusing: dict[str, FlowError] = field(factory=dict)
    special: list[bool] = field(factory=list)
    servers: dict[str, FakePort] = field(factory=dict)
    sockets: dict[str, FakeSocket] = field(factory=dict)
    bindError: Exception | None = None
    reserved: list[str] = field(factory=list)
    leaving: list[tuple[str, ...]] = field(factory=list)

    def streamClient(self, address: str, tls: object | None = None) -> Any:
        return FakeEndpoint(self, address)

    def streamServer(self, bind: str, tls: object | None = None, proxyProtocol: bool = False) -> Any:
        return FakeServerEndpoint(self, bind, proxyProtocol)

    def connectStream(self, target: Target, protocol: IProtocol, allowSpecial: bool = False) -> Deferred[IProtocol]:
        self.special.append(allowSpecial)
        return self.open(str(target), protocol)

    def connectDatagrams(self, target: Target, allowSpecial: bool = False) -> Deferred[IDatagramChannel]:
        self.special.append(allowSpecial)
        self.tried.append(str(target))
        if (error := self.refusing.get(str(target))) is not None:
            return fail(error)
        channel = FakeChannel()
        self.channels.append((str(target), channel))
        return succeed(channel)

    def datagramSocket(self, bind: str) -> IDatagramSocket:
        if self.bindError is not None:
            raise self.bindError
        self.sockets[bind] = FakeSocket()
        return self.sockets[bind]

    def reserveStreams(self, bind: str, leaving: Collection[str] = ()) -> Callable[[], None]:
        return self._reserve(bind, leaving)

    def reserveDatagrams(self, bind: str, leaving: Collection[str] = ()) -> Callable[[], None]:
        return self._reserve(bind, leaving)

    def _reserve(self, bind: str, leaving: Collection[str]) -> Callable[[], None]:
        if self.bindError is not None:
            raise self.bindError
        self.leaving.append(tuple(sorted(leaving)))
        self.reserved.append(bind)
        return lambda: self.reserved.remove(bind)

    def multicastSocket(self, group: Address, interface: str) -> IDatagramSocket:
        return self.datagramSocket(f"{group[0]}%{interface}")

    def open(self, address: str, protocol: IProtocol) -> Deferred[IProtocol]:
        self.tried.append(address)
        if (error := self.refusing.get(address)) is not None:
            return fail(error)
        stream = FakeStream(self.clock)
        self.streams.append((address, stream))
        stream.attach(protocol)
        return succeed(protocol)


@define(eq=False)
class FakeEndpoint:
    """
    A client endpoint.
    """

    network: FakeNetwork
    address: str

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        return self.network.open(self.address, protocol)


@define(eq=False)
class FakeServerEndpoint:
    """
    A server endpoint.
    """

    network: FakeNetwork
    bind: str
    proxyProtocol: bool

    def listen(self, factory: IProtocolFactory) -> Deferred[Any]:
        if self.proxyProtocol:
            factory = ProxyProtocolFactory(factory, self.network.clock)
        if self.network.bindError is not None:
            return fail(self.network.bindError)
        self.network.servers[self.bind] = FakePort(self.network.clock, factory)
        return succeed(self.network.servers[self.bind])


@define(eq=False)
class FakePort:
    """
    A listening port.
    """

    clock: Clock
    factory: Any
    stopped: bool = False

    def accept(self, peer: object = None) -> FakeStream:
        """
        A client connects.
        """
        stream = FakeStream(self.clock)
        stream.peer = peer or stream.peer
        protocol = self.factory.buildProtocol(stream.peer)
        if protocol is None:
            stream.calls.append("refused")
        else:
            stream.attach(protocol)
        return stream

    def getHost(self) -> object:
        return IPv4Address("TCP", "127.0.0.1", 3306)

    def stopListening(self) -> Deferred[None]:
        self.stopped = True
        return succeed(None)


@implementer(IRequestHandler, IExchangeHandler)
@define(eq=False)
class FakeRequests:
    """
    Keeps the exchanges that a listener hands on.

    @ivar asked: the options of each listener that asked for a handler.
    """

    received: list[IServerExchange] = field(factory=list)
    asked: list[tuple[Any, ...]] = field(factory=list)

    def listener(
        self,
        name: str,
        assist: tuple[str, ...] = (),
        anonymous: bool = True,
        gateway: bool = False,
        forwarded: Forwarded = "none",
    ) -> IExchangeHandler:
        """
        Itself.
        """
        self.asked.append((name, assist, anonymous, gateway, forwarded))
        return self

    def admission(self, name: str, assist: tuple[str, ...]) -> IAdmission | None:
        """
        None: everything is admitted.
        """
        return None

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        self.received.append(exchange)


@implementer(IListenerContext)
@define(eq=False)
class FakeContext:
    """
    What a listener stands on, in memory.
    """

    reactor: Clock = field(factory=Clock)
    flows: Any = field(factory=FakeFlows)
    requests: Any = field(factory=FakeRequests)
    authenticator: Any = None
    credentials: Any = None
    nodeName: str = "edge"
    packets: Any = None
    commons: Any = field(factory=Commons)
    network: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.network = FakeNetwork(self.reactor)
