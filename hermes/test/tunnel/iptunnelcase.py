"""
What tests of tunnels of IP packets stand on: both ends of ours, or one of ours and a peer that is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.tunnel.fakes import Packets
from hermes.testing import MemoryClientExchange, MemoryNetwork, MemoryServerExchange
from hermes.tunnel.iptunnel import DEFAULT_OPTIONS, IPTunnel, PacketOptions
from hermes.tunnel.request import connectIPHead
from hermes.values import Buffer, ResponseHead

ADDRESSES: Any = [(1, ip_network("10.0.0.5/32")), (0, ip_network("2001:db8::/64"))]
ROUTES: Any = [
    (IPv6Address("2001:db8::"), IPv6Address("2001:db8::ffff"), 6),
    (IPv4Address("10.0.0.7"), IPv4Address("10.0.0.20"), 0),
    (IPv4Address("10.0.0.0"), IPv4Address("10.0.0.8"), 0),
]
JOINED: Any = [(IPv4Address("10.0.0.0"), IPv4Address("10.0.0.20"), 0), ROUTES[0]]


class TunnelCase(SynchronousTestCase):
    """
    Two ends, joined.
    """

    clientOptions = PacketOptions()
    serverOptions = PacketOptions()

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork()
        self.clientEnd, self.serverEnd = self.pair()
        self.client, self.server = IPTunnel(self.clock, self.clientOptions), IPTunnel(self.clock, self.serverOptions)
        self.clientReceiver, self.serverReceiver = Packets(), Packets()
        self.client.setReceiver(self.clientReceiver)
        self.server.setReceiver(self.serverReceiver)
        self.clientEnd.attach(self.client)
        self.serverEnd.attach(self.server)

    def pair(self) -> tuple[MemoryClientExchange, MemoryServerExchange]:
        client, server = self.network.pair(connectIPHead("*", None, b"p"))
        server.respond(ResponseHead(200))
        return client, server

    def announced(self) -> None:
        """
        Let both announcements arrive, and forget about them.
        """
        self.network.pump()
        self.clientReceiver.events.clear()
        self.serverReceiver.events.clear()


class Stranger:
    """
    A peer that is not ours: it knows nothing of announcements.

    @ivar tunnel: our end.
    @ivar receiver: its receiver.
    """

    def __init__(self, case: SynchronousTestCase, options: PacketOptions = DEFAULT_OPTIONS) -> None:
        self.network = MemoryNetwork()
        self.clock = Clock()
        self.client, self.server = self.network.pair(connectIPHead("*", None, b"p"))
        self.server.respond(ResponseHead(200))
        self.received: list[bytes] = []
        self.tunnel = IPTunnel(self.clock, options)
        self.receiver = Packets()
        self.tunnel.setReceiver(self.receiver)
        self.server.attach(self.tunnel)
        case.patch(self.server, "writeSequence", self._written)

    def _written(self, pieces: Sequence[Buffer]) -> None:
        self.received += [bytes(piece) for piece in pieces]

    def send(self, data: bytes) -> None:
        """
        Send our end something.
        """
        self.client.write(data)
        self.network.pump()

    def packets(self) -> list[bytes]:
        """
        What our end has sent, under context ID 0; nothing else may be among it.
        """
        data = b"".join(self.received)
        self.received.clear()
        found = []
        at = 0
        while at < len(data):
            assert data[at] == 0
            size = 1 << (data[at + 1] >> 6)
            length = int.from_bytes(data[at + 1 : at + 1 + size], "big") & ((1 << (8 * size - 2)) - 1)
            at += 1 + size
            assert data[at] == 0
            found.append(data[at + 1 : at + length])
            at += length
        return found
