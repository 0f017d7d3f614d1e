"""
The network's endpoints, over loopback.
"""

from __future__ import annotations

import os
from shutil import rmtree
from socket import SO_REUSEPORT, SOL_SOCKET, create_connection, socket
from tempfile import mkdtemp
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import HopUnavailable, HopUntrusted, NameNotFound, TargetProhibited, TargetRefused, TargetUnreachable
from hermes.interfaces import IAttachable, IDatagramChannel, IDatagramSocket, INetwork
from hermes.net import endpoints
from hermes.net.authority import OverlayAuthority
from hermes.net.certificates import ClientCredentials, ServerCredentials
from hermes.net.network import DATAGRAM, STREAM, Network
from hermes.net.sockets import bindDatagrams, bindStreams
from hermes.net.tls import TLSTransport
from hermes.test.net.descriptors import Recorder, SourceRecorder
from hermes.test.net.resolver import ResolvingReactor
from hermes.test.net.sockets import Recorder as StreamRecorder
from hermes.values import Identity, Target


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


class StreamTests(NetworkTestCase):
    """
    Streams without TLS.
    """

    def test_itIsANetwork(self) -> None:
        verifyObject(INetwork, self.network)
        verifyObject(IStreamServerEndpoint, self.network.streamServer("127.0.0.1:0"))
        verifyObject(IStreamClientEndpoint, self.network.streamClient("127.0.0.1:1"))

    def test_aClientMeetsAServer(self) -> None:
        for bind in "127.0.0.1:0", "[::1]:0":
            connected = self.connect(self.listen(bind))
            self.reactor.turn()
            self.assertIs(self.successResultOf(connected), self.clients.built[-1])
            client, server = self.clients.built[-1].transport, self.servers.built[-1].transport
            verifyObject(IAttachable, client)
            verifyObject(IAttachable, server)
            self.assertEqual(server.getPeer(), client.getHost())
            self.assertEqual(client.getPeer(), server.getHost())
            self.exchange()

    def test_aNameOfTheConfigurationMayMeanLoopback(self) -> None:
        self.reactor.nameResolver.names["db.example"] = ("127.0.0.1",)
        connected = self.connect(f"db.example:{self.listen().rpartition(':')[2]}")
        self.reactor.turn()
        self.successResultOf(connected)
        self.exchange()

    def test_anIPv4ClientIsOneOnASocketOfBothFamilies(self) -> None:
        port = self.listen("[::]:0").rpartition(":")[2]
        self.connect(f"127.0.0.1:{port}")
        self.reactor.turn()
        transport = self.servers.built[0].transport
        self.assertEqual((transport.getPeer().host, transport.getHost().host), ("127.0.0.1", "127.0.0.1"))
        self.exchange()

    def test_aUnixSocketIsAPlaceToo(self) -> None:
        folder = mkdtemp()
        self.addCleanup(rmtree, folder)
        path = os.path.join(folder, "s")
        self.network = Network(self.reactor, mode=0o600)
        connected = self.connect(self.listen(f"unix:{path}"))
        self.reactor.turn()
        self.successResultOf(connected)
        self.exchange()
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.port.stopListening()
        self.assertFalse(os.path.exists(path))
        self.failureResultOf(self.connect(f"unix:{path}"), TargetRefused)

    def test_aRefusalIsTold(self) -> None:
        address = self.listen()
        self.port.stopListening()
        error = self.failureResultOf(self.connect(address), TargetRefused).value
        self.assertIn(address, str(error))

    def test_overlayNamesGoNowhere(self) -> None:
        self.failureResultOf(self.connect("db.hermes:80"), NameNotFound)

    def test_whatIsNoPlaceIsRefused(self) -> None:
        self.assertRaises(ValueError, self.network.streamClient, "nowhere")
        self.assertRaises(ValueError, self.network.streamServer, "nowhere")

    def test_aPlaceInUseIsTold(self) -> None:
        address = self.listen()
        error = self.failureResultOf(self.network.streamServer(address).listen(self.servers), CannotListenError).value
        self.assertIn(address, str(error))

    def test_aFactoryMayWantNoConnection(self) -> None:
        self.servers.wanted = False
        self.connect(self.listen())
        self.reactor.turn()
        self.assertEqual([end.type for end in self.clients.built[0].ends], [ConnectionDone])
        self.clients.wanted = False
        self.failureResultOf(self.connect(self.listen()), HopUnavailable)
        self.reactor.turn()

    def test_portsAreSharedWhereAsked(self) -> None:
        self.network = Network(self.reactor, reusePort=True)
        self.listen(self.listen())

    def test_anInheritedSocketIsUsed(self) -> None:
        inherited = bindStreams("127.0.0.1:0")
        self.addCleanup(inherited.close)
        self.network = Network(self.reactor, inherited={(STREAM, "127.0.0.1:1"): inherited.socket.fileno()})
        self.assertEqual(self.listen("127.0.0.1:1"), f"127.0.0.1:{inherited.socket.getsockname()[1]}")
        self.port.stopListening()
        # A reload listens again.
        connected = self.connect(self.listen("127.0.0.1:1"))
        self.reactor.turn()
        self.successResultOf(connected)
        self.exchange()


class TargetTests(NetworkTestCase):
    """
    Targets that somebody else named.
    """

    def target(self) -> Target:
        return Target.fromText(self.listen())

    def test_anAllowedTargetIsConnectedTo(self) -> None:
        reader = Reader()
        self.clients.built.append(reader)
        connected = self.network.connectStream(self.target(), reader, allowSpecial=True)
        self.reactor.turn()
        self.assertIs(self.successResultOf(connected), reader)
        self.exchange()

    def test_aSpecialTargetIsRefused(self) -> None:
        target = self.target()
        self.reactor.nameResolver.names["inside.example"] = (target.host,)
        for host in target.host, "inside.example":
            connected = self.network.connectStream(Target(host, target.port), Reader())
            self.failureResultOf(connected, TargetProhibited)
            self.failureResultOf(self.network.connectDatagrams(Target(host, target.port)), TargetProhibited)
        self.reactor.turn()
        self.assertEqual(self.servers.built, [])

    def test_aCancelledConnectionIsNotMade(self) -> None:
        connected = self.network.connectStream(Target("slow.example", 80), Reader())
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        self.assertEqual((self.reactor.getDelayedCalls(), self.reactor.writers), ([], set()))


class DatagramTests(NetworkTestCase):
    """
    Channels and sockets.
    """

    def test_aChannelMeetsASocket(self) -> None:
        for host in "127.0.0.1", "[::1]":
            bound = self.network.datagramSocket(f"{host}:0")
            verifyObject(IDatagramSocket, bound)
            self.addCleanup(bound.stopListening)
            sources = SourceRecorder()
            bound.setReceiver(sources)
            address: Any = bound.getHost()
            channel = self.successResultOf(self.network.connectDatagrams(Target(address.host, address.port), True))
            verifyObject(IDatagramChannel, channel)
            receiver = Recorder()
            channel.setReceiver(receiver)
            channel.write([b"to", b"", b"there"])
            self.reactor.turn()
            ((source, batch),) = sources.batches
            self.assertEqual(batch, [b"to", b"", b"there"])
            bound.writeTo([b"back", b"home"], source)
            self.reactor.turn()
            self.assertEqual(receiver.batches, [[b"back", b"home"]])
            channel.loseChannel()
            self.reactor.turn()
            self.assertEqual([end.type for end in receiver.ends], [ConnectionDone])

    def test_whereThereIsNoWayTheNextAddressIsTaken(self) -> None:
        # A link-local address without an interface can't be connected to.
        self.reactor.nameResolver.names["db.example"] = ("fe80::1", "127.0.0.1")
        channel: Any = self.successResultOf(self.network.connectDatagrams(Target("db.example", 9), True))
        self.assertEqual(channel.getPeer().host, "127.0.0.1")
        channel.abortChannel()
        self.reactor.turn()
        self.failureResultOf(self.network.connectDatagrams(Target("fe80::1", 9), True), TargetUnreachable)

    def test_whatCannotBeBoundIsTold(self) -> None:
        bound: Any = self.network.datagramSocket("127.0.0.1:0")
        self.addCleanup(bound.stopListening)
        self.assertRaises(OSError, self.network.datagramSocket, f"127.0.0.1:{bound.getHost().port}")

    def test_portsAreSharedWhereAsked(self) -> None:
        bound: Any = Network(self.reactor, reusePort=True).datagramSocket("127.0.0.1:0")
        self.addCleanup(bound.stopListening)
        self.assertEqual(bound.socket.getsockopt(SOL_SOCKET, SO_REUSEPORT), 1)

    def test_anInheritedSocketIsUsed(self) -> None:
        inherited = bindDatagrams("127.0.0.1:0")
        self.addCleanup(inherited.close)
        network = Network(self.reactor, inherited={(DATAGRAM, "127.0.0.1:1"): inherited.socket.fileno()})
        bound: Any = network.datagramSocket("127.0.0.1:1")
        self.assertEqual(bound.getHost().port, inherited.socket.getsockname()[1])
        bound.stopListening()
        self.assertNotEqual(inherited.socket.fileno(), -1)


class TLSTests(NetworkTestCase):
    """
    Streams with TLS.
    """

    def setUp(self) -> None:
        super().setUp()
        self.authority = OverlayAuthority.create(self.mktemp())

    def server(self, node: str = "relay") -> ServerCredentials:
        return ServerCredentials(*self.authority.issue(node), self.authority.trustFile)

    def client(self, expected: str = "relay") -> ClientCredentials:
        return ClientCredentials(*self.authority.issue("edge"), self.authority.trustFile, expectedNode=expected)

    def test_bothKnowTheOtherBeforeTheyTalk(self) -> None:
        connected = self.connect(self.listen(tls=self.server()), self.client())
        self.assertEqual(self.clients.built, [])
        self.reactor.turn()
        self.successResultOf(connected)
        client, server = self.clients.built[0].transport, self.servers.built[0].transport
        self.assertEqual((client.identity, server.identity), (Identity("relay"), Identity("edge")))
        self.assertEqual((client.negotiatedProtocol, server.negotiatedProtocol), (b"h2", b"h2"))
        self.exchange()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_aStrangerIsNotTalkedTo(self) -> None:
        connected = self.connect(self.listen(tls=self.server("stranger")), self.client())
        self.reactor.turn()
        self.failureResultOf(connected, HopUntrusted)
        self.assertEqual((self.clients.built, self.servers.built), ([], []))
        self.assertEqual(len(self.reactor.readers), 1)

    def proxied(self, start: bytes) -> tuple[StreamRecorder, Any]:
        """
        Connect to a port whose connections begin with a PROXY protocol header, write C{start}, then speak TLS.
        """
        port: Any = self.successResultOf(
            self.network.streamServer("127.0.0.1:0", self.server(), proxyProtocol=True).listen(self.servers)
        )
        self.addCleanup(port.stopListening)
        sock = create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(sock.close)
        sock.send(start)
        client = TLSTransport(sock, self.reactor, self.client())
        recorder = StreamRecorder()
        client.handshake().addCallbacks(lambda _: client.attach(recorder), lambda _: None)
        self.reactor.turn()
        return recorder, client

    def test_aProxyProtocolHeaderComesBeforeTLS(self) -> None:
        recorder, client = self.proxied(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n")
        server = self.servers.built[0].transport
        self.assertEqual((server.getPeer().host, server.getPeer().port), ("192.0.2.7", 4711))
        self.assertEqual(server.identity, Identity("edge"))
        server.write(b"hello")
        self.reactor.turn()
        self.assertEqual(bytes(recorder.received), b"hello")
        client.abortConnection()

    def test_withoutTheHeaderNothingIsSaidInTLS(self) -> None:
        self.proxied(b"")
        self.assertEqual(self.servers.built, [])

    def test_whoSpeaksNoTLSIsNotTalkedTo(self) -> None:
        with socket() as client:
            host, _, port = self.listen(tls=self.server()).rpartition(":")
            client.connect((host, int(port)))
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            self.reactor.turn()
        self.assertEqual(self.servers.built, [])
        self.assertEqual(len(self.reactor.readers), 1)

    def test_aFactoryMayWantNoConnection(self) -> None:
        self.servers.wanted = False
        self.connect(self.listen(tls=self.server()), self.client())
        self.reactor.turn()
        self.assertEqual(len(self.clients.built[0].ends), 1)

    def test_aFactoryThatFailsLosesItsConnection(self) -> None:
        def fail(addr: Any) -> None:
            raise ValueError("broken")

        self.servers.buildProtocol = fail  # type: ignore[method-assign]
        self.connect(self.listen(tls=self.server()), self.client())
        self.reactor.turn()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.clients.built[0].ends), 1)

    def test_theSlowestMakeRoom(self) -> None:
        self.patch(endpoints, "MAX_HANDSHAKES", 2)
        host, _, port = self.listen(tls=self.server()).rpartition(":")
        silent = [socket() for _ in range(3)]
        for client in silent:
            self.addCleanup(client.close)
            client.connect((host, int(port)))
            client.setblocking(False)
            self.reactor.turn()
        self.assertRaises((ConnectionResetError, EOFError), self.closed, silent[0])
        self.assertRaises(BlockingIOError, self.closed, silent[1])
        self.assertRaises(BlockingIOError, self.closed, silent[2])
        connected = self.connect(f"{host}:{port}", self.client())
        self.reactor.turn()
        self.successResultOf(connected)
        self.exchange()
        for client in silent:
            client.close()
        self.reactor.turn()

    def closed(self, client: socket) -> None:
        """
        @raise EOFError: where the server has ended the connection in order.
        """
        if not client.recv(100):
            raise EOFError()

    def test_aCancelledHandshakeIsGivenUp(self) -> None:
        connected = self.connect(self.listen(tls=self.server()), self.client())
        connected.cancel()
        self.failureResultOf(connected)
        self.reactor.turn()
        self.assertEqual((self.clients.built, self.servers.built), ([], []))
        self.assertEqual(len(self.reactor.readers), 1)
