"""
Flows to the endpoints of an upstream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from attrs import define, evolve
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from zope.interface import implementer

from hermes.errors import FlowError, NotImplementedHere, Overloaded
from hermes.fabric.attended import AttendedProtocol, AttendedReceiver
from hermes.fabric.balance import Balancer
from hermes.fabric.outliers import Outliers
from hermes.fabric.paths import IEndpoints
from hermes.fabric.places import Endpoint
from hermes.fabric.reach import CarrierFailed, Once, Reach, carrierFailed
from hermes.interfaces import IDatagramChannel, IDatagramReceiver, IDialer, INetwork, IPacketReceiver
from hermes.values import Flow, Target

T = TypeVar("T")

FlowKey = Callable[[Flow], bytes | None]


@define(eq=False)
class Group:
    """
    The endpoints of one upstream, for flows and for requests, straight and through hops.

    @ivar balancer: picks them.
    @ivar outliers: leaves out those whose answers are bad; L{None} where nobody does.
    @ivar flowKey: what flows are balanced by, where that is by a key.
    @ivar connections: how many flows one endpoint takes; L{None} for no bound.
    """

    balancer: Balancer
    outliers: Outliers | None = None
    flowKey: FlowKey | None = None
    connections: int | None = None

    def failed(self, endpoint: Endpoint) -> None:
        """
        It could not be reached.
        """
        self.balancer.failed(endpoint)
        if self.outliers is not None:
            self.outliers.failed(endpoint)

    def reached(self, endpoint: Endpoint) -> None:
        """
        It could.
        """
        if endpoint.downUntil:
            self.balancer.reached(endpoint)
        if endpoint.consecutive and self.outliers is not None:
            self.outliers.succeeded(endpoint)


@implementer(IDialer, IEndpoints)
class EndpointsDialer:
    """
    Connects to the endpoints of an upstream, whatever the flow's target is: those that the balancer prefers first, and
    on to the next where one can't be reached. Endpoints come from the configuration: every address is allowed.

    @ivar group: the endpoints.
    """

    def __init__(self, network: INetwork, group: Group, reach: Reach) -> None:
        """
        @param reach: how streams are connected. Datagrams have neither TLS nor a header.
        """
        self.group = group
        self._network = network
        self._reach = reach
        self._clients: dict[Endpoint, IStreamClientEndpoint] = {}

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        def attempt(endpoint: Endpoint) -> Deferred[IProtocol]:
            return self._to(endpoint, flow).connect(Once(AttendedProtocol(protocol, endpoint.ended)))

        return Deferred.fromCoroutine(self._tryEach(flow, self._reach.takes, "flow through a hop", attempt, protocol))

    def _to(self, endpoint: Endpoint, flow: Flow) -> IStreamClientEndpoint:
        if self._reach.carrier is not None or self._reach.proxyProtocol is not None:
            return self._reach.to(endpoint, flow)
        # Straight, connections differ in nothing.
        client = self._clients.get(endpoint)
        if client is None:
            client = self._clients[endpoint] = self._reach.to(endpoint, flow)
        return client

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        def attempt(endpoint: Endpoint) -> Deferred[IDatagramReceiver]:
            target = Target.fromText(endpoint.address)
            attended = AttendedReceiver(receiver, endpoint.ended)
            carrier = self._reach.carrier
            if carrier is not None:
                carried = carrier.connectDatagrams(evolve(flow, target=target), attended)
                return carried.addErrback(carrierFailed)
            return self._network.connectDatagrams(target, allowSpecial=True).addCallback(_receive, attended)

        return Deferred.fromCoroutine(self._tryEach(flow, _isOnNetwork, "datagrams", attempt, receiver))

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        return fail(NotImplementedHere("IP packets go to a hop, and not to an endpoint"))

    def through(self, dialer: IDialer) -> IDialer:
        return EndpointsDialer(self._network, self.group, self._reach.through(dialer))

    async def _tryEach(
        self,
        flow: Flow,
        takes: Callable[[Endpoint], bool],
        what: str,
        attempt: Callable[[Endpoint], Deferred[T]],
        result: T,
    ) -> T:
        """
        Try one endpoint after the other.

        @param takes: whether an endpoint takes C{what}.
        @param result: what is returned once one was reached.
        @raise FlowError: of the last one that was tried.
        """
        group = self.group
        balancer = group.balancer
        key = None if group.flowKey is None else group.flowKey(flow)
        error: FlowError | None = None
        endpoints = [balancer.pick(key)]
        for tried, endpoint in enumerate(endpoints):
            if not takes(endpoint):
                error = error or NotImplementedHere(f"the upstream has only Unix sockets, which take no {what}")
            elif group.connections is not None and endpoint.flows >= group.connections:
                error = Overloaded(f"the upstream takes {group.connections} flows an endpoint: no more are opened")
            else:
                endpoint.active += 1
                endpoint.flows += 1
                try:
                    await attempt(endpoint)
                except FlowError as reason:
                    endpoint.ended()
                    if isinstance(reason, CarrierFailed):
                        raise
                    group.failed(endpoint)
                    error = reason
                except BaseException:
                    endpoint.ended()
                    raise
                else:
                    group.reached(endpoint)
                    return result
            if not tried:
                endpoints += balancer.rest(endpoints, key)
        assert error is not None
        raise error


def _isOnNetwork(endpoint: Endpoint) -> bool:
    return not endpoint.address.startswith("unix:")


def _receive(channel: IDatagramChannel, receiver: IDatagramReceiver) -> IDatagramReceiver:
    channel.setReceiver(receiver)
    return receiver
