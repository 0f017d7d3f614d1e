"""
A network to test with: readers at both ends, and a reactor that turns when it is told to.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.network import Network
from hermes.test.net.resolver import ResolvingReactor


class Reader(Protocol):
    """
    Records what it hears.
    """

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.ends: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(reason)


class Readers(Factory):
    """
    Remembers what it built.
    """

    noisy = False
    wanted = True

    def __init__(self) -> None:
        self.built: list[Reader] = []

    def buildProtocol(self, addr: Any) -> Reader | None:
        if not self.wanted:
            return None
        self.built.append(Reader())
        return self.built[-1]


class NetworkTestCase(SynchronousTestCase):
    """
    A network in a reactor that turns when it is told to.
    """

    def setUp(self) -> None:
        self.reactor = ResolvingReactor()
        self.network = Network(self.reactor)
        self.servers = Readers()
        self.clients = Readers()
        self.addCleanup(self.closeAll)

    def closeAll(self) -> None:
        for reader in self.servers.built + self.clients.built:
            if reader.transport is not None:
                reader.transport.abortConnection()
        self.reactor.turn()

    def listen(self, bind: str = "127.0.0.1:0", tls: Any = None) -> str:
        """
        @return: the address of a server.
        """
        port: IListeningPort = self.successResultOf(self.network.streamServer(bind, tls).listen(self.servers))
        self.addCleanup(port.stopListening)
        self.port = port
        host: Any = port.getHost()
        if bind.startswith("unix:"):
            return bind
        return f"[{host.host}]:{host.port}" if ":" in host.host else f"{host.host}:{host.port}"

    def connect(self, address: str, tls: Any = None) -> Deferred[Any]:
        return self.network.streamClient(address, tls).connect(self.clients)

    def exchange(self) -> None:
        """
        The two that were built last can talk, both ways, and end.
        """
        client, server = self.clients.built[-1], self.servers.built[-1]
        for one, other in (client, server), (server, client):
            one.transport.write(b"hello")
            self.reactor.turn()
            self.assertEqual(other.received, b"hello")
        client.transport.loseConnection()
        self.reactor.turn()
        for reader in client, server:
            self.assertEqual([end.type for end in reader.ends], [ConnectionDone])
