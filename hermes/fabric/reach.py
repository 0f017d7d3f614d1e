"""
How connections to the endpoints of an upstream are made: straight or as streams of another dialer, in the clear or with
TLS, with a PROXY protocol header before it or without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HopUnavailable, HopUntrusted, NotImplementedHere
from hermes.fabric.attended import AttendedProtocol
from hermes.fabric.places import Endpoint
from hermes.fabric.proxyheader import ProxyProtocolVersion, preamble
from hermes.interfaces import IDialer, INetwork
from hermes.values import Flow, Target


class CarrierFailed(HopUnavailable):
    """
    The hop that was to carry the connection can't be reached: no other endpoint would do better, and none is to blame.
    """


@frozen
class EndpointTLS:
    """
    TLS to endpoints.

    @ivar credentials: for C{HOST:PORT} or C{unix:PATH}, what L{INetwork.streamClient} takes.
    @ivar around: puts TLS around the connections of an endpoint; C{(endpoint, credentials)} to an endpoint.
    """

    credentials: Callable[[str], Any]
    around: Callable[[IStreamClientEndpoint, Any], IStreamClientEndpoint]


@frozen(eq=False)
class Reach:
    """
    @ivar tls: L{None} where connections are in the clear.
    @ivar proxyProtocol: the version of the header that connections begin with, or L{None}.
    @ivar carrier: connections are streams of it; L{None} where they are made straight.
    """

    network: INetwork
    tls: EndpointTLS | None = None
    proxyProtocol: ProxyProtocolVersion | None = None
    carrier: IDialer | None = None

    def through(self, carrier: IDialer | None) -> Reach:
        """
        The same, through another dialer.
        """
        return evolve(self, carrier=carrier)

    def takes(self, endpoint: Endpoint) -> bool:
        """
        Whether it can be reached in this way: a Unix socket here is not behind a hop.
        """
        return self.carrier is None or not endpoint.address.startswith("unix:")

    def to(self, endpoint: Endpoint, flow: Flow) -> IStreamClientEndpoint:
        """
        Connects to an endpoint, for a flow: where there are headers, they tell of it.
        """
        address, tls = endpoint.address, self.tls
        credentials = None if tls is None else tls.credentials(address)
        if self.carrier is None and self.proxyProtocol is None:
            return self.network.streamClient(address, credentials)
        connecting: IStreamClientEndpoint
        if self.carrier is None:
            connecting = self.network.streamClient(address)
        elif self.takes(endpoint):
            connecting = CarriedEndpoint(self.carrier, evolve(flow, target=Target.fromText(address)))
        else:
            connecting = Unreachable()
        if self.proxyProtocol is not None:
            connecting = _Told(connecting, self.proxyProtocol, flow, endpoint, self.carrier is not None)
        if tls is not None:
            connecting = tls.around(connecting, credentials)
        return connecting


@implementer(IStreamClientEndpoint)
class Unreachable:
    """
    What can't be reached in the way that was asked for.
    """

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return fail(NotImplementedHere("a Unix socket can't be reached through another hop"))


@implementer(IStreamClientEndpoint)
@frozen(eq=False)
class CarriedEndpoint:
    """
    Each connection is a stream of a dialer to the target of C{flow}.
    """

    dialer: IDialer
    flow: Flow

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        target = self.flow.target
        host = target.host.encode("ascii" if target.host.isascii() else "idna")
        protocol = protocolFactory.buildProtocol(HostnameAddress(host, target.port))
        if protocol is None:
            return fail(ConnectError(string="the factory made no protocol"))
        return self.dialer.connectStream(self.flow, protocol).addErrback(carrierFailed)


def carrierFailed(failure: Failure) -> Any:
    """
    An errback for what a carrier was asked for.
    """
    if failure.check(HopUnavailable, HopUntrusted):
        raise CarrierFailed(str(failure.value)) from failure.value
    return failure


@implementer(IStreamClientEndpoint)
@frozen(eq=False)
class _Told:
    """
    Writes a PROXY protocol header before anything else.
    """

    endpoint: IStreamClientEndpoint
    version: ProxyProtocolVersion
    flow: Flow
    place: Endpoint
    tunnel: bool

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        inner = protocolFactory.buildProtocol(HostnameAddress(b"", 0))
        if inner is None:
            return fail(ConnectError(string="the factory made no protocol"))

        def header(transport: Any) -> bytes:
            return preamble(self.version, self.flow, self.place, None if self.tunnel else transport)

        attended = AttendedProtocol(inner, lambda: None, header)
        return self.endpoint.connect(Once(attended)).addCallback(lambda _: inner)


class Once(Factory):
    """
    Gives an endpoint the one protocol that is to be connected.
    """

    noisy = False

    def __init__(self, protocol: IProtocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._protocol
