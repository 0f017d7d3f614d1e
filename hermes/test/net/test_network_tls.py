"""
Streams of the network with TLS.
"""

from __future__ import annotations

from socket import SO_LINGER, SOL_SOCKET, create_connection, create_server, socket
from ssl import PROTOCOL_TLS_SERVER, MemoryBIO, SSLContext, SSLWantReadError
from struct import pack
from typing import Any

from hermes.errors import HopUntrusted
from hermes.net import endpoints
from hermes.net.authority import OverlayAuthority
from hermes.net.certificates import ClientCredentials, ServerCredentials
from hermes.net.tls import TLSTransport
from hermes.test.net.networkcase import NetworkTestCase
from hermes.test.net.sockets import Recorder as StreamRecorder
from hermes.values import Identity


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

    def test_aPeerThatIsGoneOnceItHasShownWhoItIsIsToldAsAnEnd(self) -> None:
        """
        Its kernel says so between the last of the handshake and the protocol's beginning: a process that was killed.
        """
        certificate, key = self.authority.issue("relay")
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["h2"])
        incoming, outgoing = MemoryBIO(), MemoryBIO()
        server = context.wrap_bio(incoming, outgoing, server_side=True)
        with create_server(("127.0.0.1", 0)) as listening:
            connected = self.connect(f"127.0.0.1:{listening.getsockname()[1]}", self.client())
            self.reactor.turn()
            sock, _ = listening.accept()
        incoming.write(sock.recv(65536))
        self.assertRaises(SSLWantReadError, server.do_handshake)
        sock.sendall(outgoing.read())
        sock.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
        sock.close()
        self.reactor.turn()
        # It began, and has ended.
        self.assertIs(self.successResultOf(connected), self.clients.built[0])
        self.assertEqual(len(self.clients.built[0].ends), 1)

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
