"""
Dialers that connect from here: to the target as it was asked for, or to an endpoint of an upstream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, TypeVar

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import Factory
from zope.interface import implementer

from hermes.errors import FlowError, HopUnavailable, HopUntrusted, NameNotFound, NotImplementedHere
from hermes.fabric.attended import AttendedProtocol, AttendedReceiver
from hermes.fabric.balance import Balancer
from hermes.fabric.paths import IEndpoints
from hermes.fabric.places import Endpoint
from hermes.interfaces import IDatagramChannel, IDatagramReceiver, IDialer, INetwork
from hermes.matching import canonicalHost
from hermes.values import Address, Flow, Identity, Target
from hermes.wire.proxyprotocol import PP2_TYPE_AUTHORITY, ProxyHeader, writeV1, writeV2

OVERLAY_SUFFIX: Final = ".hermes"
"""
Names below this are the overlay's, and never go to DNS.
"""

BEHIND_HOP: Final = "flow through a hop"

ProxyProtocolVersion: TypeAlias = Literal["v1", "v2"]

T = TypeVar("T")


def isOverlayName(host: str) -> bool:
    """
    Whether C{host} is a name that only routes give a meaning to.
    """
    name = canonicalHost(host)
    return isinstance(name, str) and f".{name}".endswith(OVERLAY_SUFFIX)


@implementer(IDialer)
@frozen(eq=False)
class DirectDialer:
    """
    Connects to targets as they were asked for.

    @ivar allowSpecial: whether special-purpose addresses are allowed.
    """

    network: INetwork
    allowSpecial: bool

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        if isOverlayName(flow.target.host):
            return fail(_overlayName(flow.target))
        return self.network.connectStream(flow.target, protocol, self.allowSpecial)

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        if isOverlayName(flow.target.host):
            return fail(_overlayName(flow.target))
        return self.network.connectDatagrams(flow.target, self.allowSpecial).addCallback(_receive, receiver)


def _overlayName(target: Target) -> NameNotFound:
    return NameNotFound(f"{target.host} is a name of the overlay, and no route here says where it is")


def _receive(channel: IDatagramChannel, receiver: IDatagramReceiver) -> IDatagramReceiver:
    channel.setReceiver(receiver)
    return receiver


class _Once(Factory):
    """
    Gives an endpoint the one protocol that is to be connected.
    """

    noisy = False

    def __init__(self, protocol: IProtocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._protocol


@implementer(IDialer, IEndpoints)
class EndpointsDialer:
    """
    Connects to the endpoints of an upstream, whatever the flow's target is: those that the balancer prefers first, and
    on to the next where one can't be reached. Endpoints come from the configuration: every address is allowed.

    @ivar balancer: the endpoints.
    """

    def __init__(
        self, network: INetwork, balancer: Balancer, proxyProtocol: ProxyProtocolVersion | None = None
    ) -> None:
        """
        @param proxyProtocol: the version of the PROXY protocol header that streams begin with; version 2 tells who the
            caller is. Datagrams carry none.
        """
        self.balancer = balancer
        self._network = network
        self._clients = {endpoint.address: network.streamClient(endpoint.address) for endpoint in balancer.endpoints}
        self._proxyProtocol = proxyProtocol

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        def attempt(endpoint: Endpoint) -> Deferred[IProtocol]:
            client = self._clients[endpoint.address]
            return client.connect(_Once(self.attend(flow, protocol, endpoint)))

        return Deferred.fromCoroutine(self.tryEach(None, attempt, protocol))

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        def attempt(endpoint: Endpoint) -> Deferred[IDatagramReceiver]:
            target = Target.fromText(endpoint.address)
            connected = self._network.connectDatagrams(target, allowSpecial=True)
            return connected.addCallback(_receive, AttendedReceiver(receiver, endpoint.ended))

        return Deferred.fromCoroutine(self.tryEach("datagrams", attempt, receiver))

    def through(self, dialer: IDialer) -> IDialer:
        return _Through(self, dialer)

    def attend(self, flow: Flow, protocol: IProtocol, endpoint: Endpoint, tunnel: bool = False) -> AttendedProtocol:
        """
        C{protocol} with its PROXY protocol header, where there is one, counted on C{endpoint} until its end.

        @param tunnel: whether the transport is a tunnel to the endpoint, whose peer is a hop.
        """
        preamble = None
        if self._proxyProtocol is not None:
            write = writeV1 if self._proxyProtocol == "v1" else writeV2

            def preamble(transport: Any) -> bytes:
                return write(_header(flow, endpoint, None if tunnel else transport))

        return AttendedProtocol(protocol, endpoint.ended, preamble)

    async def tryEach(
        self,
        remote: str | None,
        attempt: Callable[[Endpoint], Deferred[T]],
        result: T,
        final: tuple[type[FlowError], ...] = (),
    ) -> T:
        """
        Try one endpoint after the other.

        @param remote: what a Unix socket here can't take: such endpoints are left out; or L{None}.
        @param result: what is returned once one was reached.
        @param final: errors that the next endpoint would only meet again.
        @raise FlowError: of the last one that was tried.
        """
        endpoints = self.balancer.order()
        if remote is not None:
            endpoints = [endpoint for endpoint in endpoints if not endpoint.address.startswith("unix:")]
            if not endpoints:
                raise NotImplementedHere(f"the upstream has only Unix sockets, which take no {remote}")
        balancer = self.balancer
        for tried, endpoint in enumerate(endpoints, 1):
            endpoint.active += 1
            try:
                await attempt(endpoint)
            except FlowError as error:
                endpoint.active -= 1
                if isinstance(error, final):
                    raise
                balancer.failed(endpoint)
                if tried == len(endpoints):
                    raise
            except BaseException:
                endpoint.active -= 1
                raise
            else:
                balancer.reached(endpoint)
                break
        return result


@implementer(IDialer)
@frozen(eq=False)
class _Through:
    """
    The endpoints of an upstream as targets of another dialer.
    """

    upstream: EndpointsDialer
    carrier: IDialer

    # Without the hop no endpoint can be reached, and none of them is to blame.
    final = (HopUnavailable, HopUntrusted)

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        def attempt(endpoint: Endpoint) -> Deferred[IProtocol]:
            inner = evolve(flow, target=Target.fromText(endpoint.address))
            return self.carrier.connectStream(inner, self.upstream.attend(flow, protocol, endpoint, True))

        return Deferred.fromCoroutine(self.upstream.tryEach(BEHIND_HOP, attempt, protocol, self.final))

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        def attempt(endpoint: Endpoint) -> Deferred[IDatagramReceiver]:
            inner = evolve(flow, target=Target.fromText(endpoint.address))
            return self.carrier.connectDatagrams(inner, AttendedReceiver(receiver, endpoint.ended))

        return Deferred.fromCoroutine(self.upstream.tryEach(BEHIND_HOP, attempt, receiver, self.final))


def _header(flow: Flow, endpoint: Endpoint, transport: Any) -> ProxyHeader:
    """
    What the upstream is told: where the client is, what it connected to, and who it is.
    """
    tlvs: tuple[tuple[int, bytes], ...] = ()
    if flow.target.address() is None:
        tlvs = ((PP2_TYPE_AUTHORITY, flow.target.host.encode("utf-8", "replace")),)
    header = ProxyHeader(source=flow.source, destination=_destination(flow, endpoint, transport), tlvs=tlvs)
    return header.withIdentity(_identityText(flow.identity)) if flow.identity else header


def _identityText(identity: Identity) -> str:
    """
    C{node=NODE}, C{user=USER} or C{node=NODE;user=USER}: who is a node and who a user must not be guessed. A node's
    name has no C{;}, and the user's comes last.
    """
    parts = (("node", identity.node), ("user", identity.user))
    return ";".join(f"{kind}={name}" for kind, name in parts if name is not None)


def _destination(flow: Flow, endpoint: Endpoint, transport: Any) -> Address | None:
    """
    The address that the client connected to. A name is none: then that of the endpoint, or where that is not known
    either, the unspecified one, for without a destination the header could not tell the source.
    """
    if flow.target.address() is not None:
        return flow.target.host, flow.target.port
    peer: Any = transport and transport.getPeer()
    if hasattr(peer, "port"):
        return peer.host, peer.port
    if not endpoint.address.startswith("unix:"):
        target = Target.fromText(endpoint.address)
        if target.address() is not None:
            return target.host, target.port
    if flow.source is None:
        return None
    return "::" if ":" in flow.source[0] else "0.0.0.0", flow.target.port
