"""
An upstream that is another proxy: its endpoints, the connections to them, and connections to it that run inside another
hop's tunnel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary, ref

from attrs import define, field, frozen
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred, fail, gatherResults, maybeDeferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import (
    FlowError,
    HopRefused,
    HopUnavailable,
    HopUntrusted,
    NameNotFound,
    NameTimeout,
    ShuttingDown,
    TargetRefused,
    TargetTimeout,
    TargetUnreachable,
)
from hermes.interfaces import (
    IClientExchange,
    IDatagramReceiver,
    IDialer,
    IMeasuredHop,
    IPacketReceiver,
    IReadyExchangeClient,
)
from hermes.tunnel.client import TunnelDialer, TunnelOptions
from hermes.tunnel.reachstatus import ping, reachStatus
from hermes.tunnel.remote import PENDING, RemoteServerEndpoint
from hermes.values import Flow, RequestHead, Target

UNREACHED: Final = (HopUnavailable, HopUntrusted)
"""
What another endpoint of the hop may do better at. An answer of the hop is none of these: it is final.
"""

UNCONNECTED: Final = (*UNREACHED, TargetRefused, TargetUnreachable, TargetTimeout, NameNotFound, NameTimeout)
"""
The same for an exchange, which fails before it is opened only: for lack of a connection.
"""

_T = TypeVar("_T")


class CarrierUnavailable(FlowError):
    """
    The hop that was to carry the connection can't be reached: no other endpoint of this one would do better.
    """

    status = 502
    proxyStatus = "destination_unavailable"


class HopClient(Protocol):
    """
    Exchanges with one endpoint of a hop (an L{hermes.interfaces.IExchangeClient}): L{hermes.http2.pool.Pool}, for one.

    """

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        """
        See L{hermes.interfaces.IExchangeClient}.
        """

    def close(self) -> Any:
        """
        Open nothing more. A Deferred fires when what is open has ended; L{None} where that can't be told.
        """


class Place(Protocol):
    """
    An endpoint as the balancer counts it, such as L{hermes.fabric.places.Endpoint}.

    @ivar address: C{HOST:PORT} or C{unix:PATH}.
    @ivar active: how busy it is; set by the hop.
    """

    address: str
    active: int


class HopBalancer(Protocol):
    """
    Orders endpoints, and remembers for a while which could not be reached, as L{hermes.fabric.balance.Balancer} does.
    """

    @property
    def endpoints(self) -> Sequence[Any]:
        """
        All L{Place}s.
        """

    def order(self) -> Sequence[Any]:
        """
        All of them, the first to be tried first.
        """

    def failed(self, endpoint: Any) -> None:
        """
        It could not be reached.
        """

    def reached(self, endpoint: Any) -> None:
        """
        It answered.
        """


@implementer(IStreamClientEndpoint)
@frozen(eq=False)
class NestedEndpoint:
    """
    Connects through a dialer: the connection is a stream to C{target}, and what carries it learns nothing else.

    @ivar target: where to.
    """

    _dialer: Callable[[], IDialer | None]
    target: Target

    @classmethod
    def to(cls, target: Target, dialer: IDialer) -> NestedEndpoint:
        """
        Connects to C{target} through C{dialer}. The constructor takes what gives the dialer, or L{None} once that is
        gone.
        """
        return cls(lambda: dialer, target)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        dialer = self._dialer()
        if dialer is None:
            return fail(ShuttingDown("the hop that carries this one is gone"))
        address = HostnameAddress(
            self.target.host.encode("idna" if not self.target.host.isascii() else "ascii"), self.target.port
        )
        protocol = protocolFactory.buildProtocol(address)
        if protocol is None:
            return fail(ConnectError(string="the factory made no protocol"))
        return dialer.connectStream(Flow("tcp", self.target), protocol).addErrback(self._notConnected)

    def _notConnected(self, failure: Failure) -> Any:
        error = failure.value
        if isinstance(error, HopRefused):
            raise HopUnavailable(
                f"the hop before could not reach the next one: it answered {error.answered}"
            ) from error
        if isinstance(error, UNREACHED):
            raise CarrierUnavailable(f"{error}") from error
        return failure


@frozen
class HopParts:
    """
    What a hop is made of.

    @ivar balancer: makes what orders the endpoints. There is one for each way to reach them: what can't be reached from
        here may well be reached from another hop.
    @ivar connect: an endpoint for C{HOST:PORT} or C{unix:PATH} of the hop, with the hop's TLS.
    @ivar secure: puts the hop's TLS around a connection that an endpoint makes; C{(endpoint, "HOST:PORT")} to an
        endpoint.
    @ivar client: exchanges over an endpoint.
    @ivar options: how to ask for tunnels at C{HOST:PORT} or C{unix:PATH}.
    @ivar takesExchanges: whether it is one of ours, that takes other requests than those for tunnels too.
    """

    balancer: Callable[[], HopBalancer]
    connect: Callable[[str], IStreamClientEndpoint]
    secure: Callable[[IStreamClientEndpoint, str], IStreamClientEndpoint]
    client: Callable[[IStreamClientEndpoint], HopClient]
    options: Callable[[str], TunnelOptions]
    takesExchanges: bool = False


@define(eq=False)
class _Reach:
    """
    One endpoint of a hop, reached in one way.
    """

    client: Any
    dialer: TunnelDialer

    def load(self) -> int:
        """
        How many streams are open, as far as the client can tell: one of HTTP/1.1 gives its connections away.
        """
        return sum(connection.openExchanges for connection in getattr(self.client, "connections", ()))


@implementer(IDialer, IReadyExchangeClient)
@define(eq=False)
class _Reaches:
    """
    All endpoints of a hop, reached in one way: the next one is tried where one can't be reached.
    """

    _balancer: HopBalancer
    _make: Callable[[str], _Reach]
    _reaches: dict[str, _Reach] = field(factory=dict)
    _closing: bool = False

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        return self._try(lambda reach: reach.dialer.connectStream(flow, protocol))

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        return self._try(lambda reach: reach.dialer.connectDatagrams(flow, receiver))

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        return self._try(lambda reach: reach.dialer.connectPackets(flow, receiver))

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        """
        See L{hermes.interfaces.IExchangeClient}.
        """
        if not self._closing and len(self._balancer.endpoints) == 1:
            return self.reach(self._balancer.endpoints[0].address).client.exchange(head, end)  # type: ignore[no-any-return]
        return self._try(lambda reach: reach.client.exchange(head, end), UNCONNECTED)

    def tryExchange(self, head: RequestHead, end: bool = False) -> IClientExchange | None:
        """
        See L{hermes.interfaces.IReadyExchangeClient}.
        """
        if self._closing or len(self._balancer.endpoints) != 1:
            return None
        reach = self._reaches.get(self._balancer.endpoints[0].address)
        if reach is None or not IReadyExchangeClient.providedBy(reach.client):
            return None
        return reach.client.tryExchange(head, end)

    def preferred(self) -> str:
        """
        The address that would be tried first.
        """
        return str(self._balancer.order()[0].address)

    def reach(self, address: str) -> _Reach:
        """
        The client and dialer for C{address}.
        """
        reach = self._reaches.get(address)
        if reach is None:
            reach = self._reaches[address] = self._make(address)
        return reach

    def ping(self, address: str) -> Deferred[float]:
        """
        See L{IMeasuredHop}.
        """
        return fail(ShuttingDown("the hop is being closed")) if self._closing else ping(self.reach(address).client)

    def _try(
        self, dial: Callable[[_Reach], Deferred[_T]], passing: tuple[type[FlowError], ...] = UNREACHED
    ) -> Deferred[_T]:
        """
        @param passing: the errors for which the next one is tried.
        """
        if self._closing:
            return fail(ShuttingDown("the connections to the next hop are being closed"))
        if len(self._balancer.endpoints) == 1:
            try:
                reach = self.reach(self._balancer.endpoints[0].address)
            except FlowError as error:
                return fail(error)
            return dial(reach)
        return Deferred.fromCoroutine(self._tryEach(dial, passing))

    async def _tryEach(self, dial: Callable[[_Reach], Deferred[_T]], passing: tuple[type[FlowError], ...]) -> _T:
        error: FlowError = HopUnavailable("the next hop has no endpoint that can be reached in this way")
        for place in self._balancer.endpoints:
            reach = self._reaches.get(place.address)
            place.active = 0 if reach is None else reach.load()
        for place in self._balancer.order():
            try:
                opened = await dial(self.reach(place.address))
            except passing as unreached:
                self._balancer.failed(place)
                error = unreached
            else:
                self._balancer.reached(place)
                return opened
        raise error

    def status(self) -> list[dict[str, Any]]:
        """
        What each endpoint carries now.
        """
        return [self._reachStatus(place.address) for place in self._balancer.endpoints]

    def _reachStatus(self, address: str) -> dict[str, Any]:
        reach = self._reaches.get(address)
        return reachStatus(address, () if reach is None else tuple(getattr(reach.client, "connections", ())))

    def close(self) -> Deferred[None]:
        """
        Open nothing more; fires when what is open has ended.
        """
        self._closing = True
        closing = gatherResults([maybeDeferred(reach.client.close) for reach in self._reaches.values()])
        return closing.addCallback(lambda _: None)


@implementer(IMeasuredHop)
class Hop:
    """
    See L{hermes.interfaces.IHop}.
    """

    def __init__(self, name: str, parts: HopParts, clock: IReactorTime) -> None:
        self.name = name
        self.takesExchanges = parts.takesExchanges
        self._parts = parts
        self._clock = clock
        self._straight = _Reaches(parts.balancer(), self._reachStraight)
        self.dialer: IDialer = self._straight
        self._inside: WeakKeyDictionary[Any, _Reaches] = WeakKeyDictionary()

    def through(self, dialer: IDialer) -> IDialer:
        inside = self._inside.get(dialer)
        if inside is None:
            # Nothing in it may hold the dialer, or neither would ever go.
            carrier = ref(dialer)
            inside = _Reaches(self._parts.balancer(), lambda address: self._reachInside(address, carrier))
            self._inside[dialer] = inside
        return inside

    def _reachStraight(self, address: str) -> _Reach:
        return self._over(self._parts.connect(address), address)

    def _reachInside(self, address: str, carrier: Callable[[], IDialer | None]) -> _Reach:
        if address.startswith("unix:"):
            raise HopUnavailable("a Unix socket can't be reached through another hop")
        carried = NestedEndpoint(carrier, Target.fromText(address))
        return self._over(self._parts.secure(carried, address), address)

    def _over(self, endpoint: IStreamClientEndpoint, address: str) -> _Reach:
        client: Any = self._parts.client(endpoint)
        return _Reach(client, TunnelDialer(client, self._parts.options(address), self._clock))

    @property
    def addresses(self) -> list[str]:
        """
        Its endpoints.
        """
        return [str(place.address) for place in self._parts.balancer().endpoints]

    def endpoint(self, address: str, carrier: IDialer | None = None) -> IStreamClientEndpoint:
        """
        A connection of one's own to an endpoint of the hop, with its TLS.

        @param carrier: what it runs inside of.
        """
        if carrier is None:
            return self._parts.connect(address)
        return self._parts.secure(NestedEndpoint.to(Target.fromText(address), carrier), address)

    def serverEndpoint(self, bind: Target, pending: int = PENDING) -> IStreamServerEndpoint:
        """
        Listens on the hop, at the endpoint that is preferred now: see L{hermes.tunnel.remote}.

        @param bind: an IP address of the hop's and a port, 0 for any.
        @param pending: how many connections can be accepted within one round trip.
        """
        address = self._straight.preferred()
        client = self._straight.reach(address).client
        return RemoteServerEndpoint(client, bind, self._parts.options(address), self._clock, pending)

    def ping(self, address: str) -> Deferred[float]:
        return self._straight.ping(address)

    def status(self) -> dict[str, Any]:
        """
        For the status API: each endpoint, its connections and streams, and the round trip as HTTP/2 measured it.
        """
        return {"type": "hop", "endpoints": self._straight.status()}

    def close(self) -> Deferred[None]:
        closing = gatherResults([reaches.close() for reaches in (self._straight, *self._inside.values())])
        return closing.addCallback(lambda _: None)
