"""
Datagrams through the C{proxy} listener: a SOCKS5 association on the loopback interface.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from hermes.test.fabric.loopbackproxy import Loopback, clock
from hermes.wire.socks import COMMAND_UDP_ASSOCIATE, SocksRequest, datagramHeader, parseReply, writeRequest


class Answering(DatagramProtocol):
    """
    A UDP server.
    """

    def datagramReceived(self, datagram: bytes, address: Any) -> None:
        self.transport.write(datagram.upper(), address)  # type: ignore[union-attr]


class Waiting(DatagramProtocol):
    """
    A UDP client that waits for so many datagrams.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.datagrams: list[bytes] = []
        self.all: Deferred[list[bytes]] = Deferred()

    def datagramReceived(self, datagram: bytes, address: Any) -> None:
        self.datagrams.append(datagram)
        if len(self.datagrams) == self.count:
            self.all.callback(sorted(self.datagrams))


class Associating(Protocol):
    """
    A SOCKS5 client that wants an association.
    """

    def __init__(self) -> None:
        self.data = b""
        self.port: Deferred[int] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        request = writeRequest(SocksRequest(COMMAND_UDP_ASSOCIATE, "0.0.0.0", 0))
        self.transport.write(b"\x05\x01\x00" + request)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        reply, size = parseReply(self.data[2:])
        if reply is not None and size:
            assert reply.code == 0
            self.port.callback(reply.port)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class AssociationTests(Loopback):
    async def test_datagramsOfAnAssociationReachTwoServers(self) -> None:
        _, proxy = await self.start()
        servers = [clock.listenUDP(0, Answering(), interface="127.0.0.1") for _ in range(2)]
        client = Waiting(3)
        socket = clock.listenUDP(0, client, interface="127.0.0.1")
        for port in (*servers, socket):
            self.addCleanup(port.stopListening)
        host, _, port = proxy.partition(":")
        control: Any = await TCP4ClientEndpoint(reactor, host, int(port)).connect(Factory.forProtocol(Associating))
        relay = await control.port
        first, second = (datagramHeader("127.0.0.1", server.getHost().port) for server in servers)
        for datagram in (first + b"one", second + b"two", first + b""):
            socket.write(datagram, (host, relay))
        self.assertEqual(await client.all, sorted([first + b"ONE", second + b"TWO", first]))
        self.assertEqual(self.protocols(), ["udp", "udp"])
        control.transport.loseConnection()
        await control.lost
        while self.observer.names().count("closed") < 2:
            await deferLater(clock, 0, lambda: None)
