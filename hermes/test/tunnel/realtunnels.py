"""
Tunnel listeners, and hops that reach them, on real sockets, TLS and HTTP.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hermes.http2.connection import ServerConnection
from hermes.http2.pool import Pool
from hermes.interfaces import IDialer
from hermes.negotiated import NegotiatedClient
from hermes.net.authority import OverlayAuthority
from hermes.net.certificates import ClientCredentials, ServerCredentials
from hermes.net.memorytls import NestedTLS
from hermes.net.network import Network
from hermes.test.fabric.fakenetwork import FakeRequests
from hermes.test.tunnel.echo import EchoFlows, Watched, WatchedDatagrams, WatchedPackets
from hermes.test.tunnel.fakes import Authenticator
from hermes.test.tunnel.frames import BULK, packet
from hermes.tunnel.client import TunnelOptions
from hermes.tunnel.hop import Hop, HopParts
from hermes.tunnel.listener import TunnelListener, TunnelListenerOptions
from hermes.values import Flow, Target

FLOW = Flow("tcp", Target("echo.hermes", 7))


@define(eq=False)
class Context:
    """
    What a listener stands on.
    """

    flows: Any
    network: Any
    credentials: Any
    nodeName: str = "relay"
    reactor: Any = reactor
    authenticator: Any = field(factory=lambda: Authenticator({b"Basic YTpi": "alice"}))
    requests: Any = field(factory=FakeRequests)


@define(eq=False)
class Place:
    """
    The one endpoint of a hop.
    """

    address: str
    active: int = 0


@define(eq=False)
class One:
    """
    A balancer of one endpoint.
    """

    endpoints: list[Place]

    def order(self) -> list[Place]:
        return self.endpoints

    def failed(self, endpoint: Place) -> None:
        pass

    def reached(self, endpoint: Place) -> None:
        pass


@implementer(IStreamClientEndpoint)
@define(eq=False)
class NestedTLSEndpoint:
    """
    TLS inside the connections of another endpoint.
    """

    inner: IStreamClientEndpoint
    credentials: ClientCredentials

    def connect(self, protocolFactory: Any) -> Any:
        async def connect() -> Any:
            session = NestedTLS(self.credentials, reactor)
            await self.inner.connect(Factory.forProtocol(lambda: session))  # type: ignore[type-var]
            await session.handshake(10)
            protocol = protocolFactory.buildProtocol(None)
            session.attach(protocol)
            return protocol

        return Deferred.fromCoroutine(connect())


class RealTestCase(TestCase):
    """
    An authority, a network, listeners and hops.
    """

    timeout = 20

    def setUp(self) -> None:
        self.authority = OverlayAuthority.create(self.mktemp())
        self.prepare()

    def prepare(self) -> None:
        """
        Make all but the authority.
        """
        self.network = Network(reactor)
        self.flows = EchoFlows(self.network)
        self.listeners: list[TunnelListener] = []

    def serverCredentials(self, node: str) -> ServerCredentials:
        return ServerCredentials(*self.authority.issue(node), self.authority.trustFile)

    def clientCredentials(self, **options: Any) -> ClientCredentials:
        certificate, key = self.authority.issue("edge")
        return ClientCredentials(certificate, key, self.authority.trustFile, **{"expectedNode": "relay", **options})

    async def listen(self, node: str = "relay", flows: Any = None, **options: Any) -> str:
        tls = options.get("tls", True)
        context: Any = Context(flows or self.flows, self.network, self.serverCredentials(node) if tls else None)
        listener = TunnelListener("overlay", TunnelListenerOptions("127.0.0.1:0", **options), context)
        await listener.start()
        self.listeners.append(listener)
        host: Any = listener.getHost()

        self.addCleanup(lambda: Deferred.fromCoroutine(self.close(listener)))
        return f"127.0.0.1:{host.port}"

    async def close(self, listener: TunnelListener) -> None:
        """
        End everything, and wait until it has ended.
        """
        connections = list(listener.factory._connections)
        listener.abort()
        await listener.stop()
        for connection in connections:
            if isinstance(connection, ServerConnection):
                await connection.closed

    def hop(self, address: str, tls: ClientCredentials | None, make: Any = None, **options: Any) -> Hop:
        clients: list[Any] = []

        def client(endpoint: Any) -> Any:
            clients.append(Pool(endpoint, reactor) if make is None else make(endpoint))
            return clients[-1]

        clock: Any = reactor
        hop = Hop(
            "relay",
            HopParts(
                lambda: One([Place(address)]),
                lambda address: self.network.streamClient(address, tls),
                lambda endpoint, address: NestedTLSEndpoint(endpoint, tls),  # type: ignore[arg-type]
                client,
                lambda address: TunnelOptions(address.encode(), **options),
            ),
            clock,
        )

        def close() -> None:
            for each in clients:
                if isinstance(each, NegotiatedClient):
                    each = each._client
                if each is not None:
                    each.abort()

        self.addCleanup(close)
        return hop

    async def exerciseStream(self, dialer: IDialer) -> None:
        """
        Bytes, half-close and the end in order.
        """
        stream = Watched()
        await dialer.connectStream(FLOW, stream)
        payload = bytes(range(256)) * 4000
        stream.transport.write(payload)
        await stream.until(lambda each: len(each.received) == len(payload))
        self.assertEqual(stream.received, payload)
        stream.transport.loseWriteConnection()
        await stream.until(lambda each: each.lost is not None)
        assert stream.lost is not None
        stream.lost.trap(ConnectionDone)

    async def exerciseDatagrams(self, dialer: IDialer) -> None:
        """
        Datagrams of every size, and the end.
        """
        payloads = [b"", b"small", b"x" * 65507]
        receiver = WatchedDatagrams(len(payloads))
        await dialer.connectDatagrams(Flow("udp", FLOW.target), receiver)
        receiver.channel.write(payloads)
        await receiver.all
        self.assertEqual(receiver.received, payloads)
        receiver.channel.loseChannel()
        await receiver.gone
        assert receiver.lost is not None
        receiver.lost.trap(ConnectionDone)

    async def exercisePackets(self, dialer: IDialer) -> None:
        """
        Packets of every size, one that is still to be cut, an address, and the end.
        """
        frames = [packet(0), packet(1372), packet(65_507), BULK]
        receiver = WatchedPackets()
        await dialer.connectPackets(Flow("ip", Target("*", 0)), receiver)
        await receiver.until(lambda each: each.channel.offload)
        receiver.channel.requestAddresses([(1, ip_network("0.0.0.0/32"))])
        receiver.channel.write(frames)
        await receiver.until(lambda each: len(each.received) == len(frames))
        self.assertEqual(receiver.received, frames)
        await receiver.until(lambda each: ("assigned", [(1, ip_network("10.77.0.5/32"))]) in each.events)
        receiver.channel.loseChannel()
        await receiver.until(lambda each: each.lost is not None)
        assert receiver.lost is not None
        receiver.lost.trap(ConnectionDone)
