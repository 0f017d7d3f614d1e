"""
Tests for L{hermes.net.tls}, L{hermes.net.session}, L{hermes.net.handshake} and L{hermes.net.openssl}.
"""

from __future__ import annotations

import contextlib
import socket as sockets
import ssl
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import INegotiated
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import HopUnavailable, HopUntrusted, TargetTimeout
from hermes.interfaces import IAttachable
from hermes.net.certificates import ClientCredentials, OverlayAuthority, ServerCredentials
from hermes.net.openssl import RECORD, ROUND, SCRATCH, RecordLayer, inRecords
from hermes.net.sending import HIGH_WATER
from hermes.net.tls import TLSTransport
from hermes.test.net.sockets import Borrower, HandReactor, Plain, Producer, Recorder, tcpPair, unixPair
from hermes.values import ANONYMOUS, Buffer, Identity

MEGABYTE = 1024 * 1024


def talkAtOnce(result: None, client: TLSTransport) -> None:
    """
    A client that writes as soon as it may.
    """
    client.attach(Recorder())
    client.write(b"at once")


class TLSCase(SynchronousTestCase):
    """
    Credentials of two nodes, and what connects transports.
    """

    def setUp(self) -> None:
        self.reactor = HandReactor()
        self.authority = OverlayAuthority.create(self.mktemp())
        self.trust = self.authority.trustFile
        self.serverFiles = self.authority.issue("relay", ["localhost", "127.0.0.1"])
        self.clientFiles = self.authority.issue("edge")
        self.serverCredentials = ServerCredentials(*self.serverFiles, self.trust)
        self.clientCredentials = ClientCredentials(*self.clientFiles, self.trust, expectedNode="relay")

    def pair(
        self, client: Any = None, server: Any = None, sockets: Any = unixPair
    ) -> tuple[TLSTransport, TLSTransport]:
        """
        Two transports, before the handshake.
        """
        transports = []
        for sock, credentials in zip(
            sockets(), (client or self.clientCredentials, server or self.serverCredentials), strict=True
        ):
            self.addCleanup(sock.close)
            transports.append(TLSTransport(sock, self.reactor, credentials))
        return transports[0], transports[1]

    def connected(self, **options: Any) -> tuple[TLSTransport, Recorder, TLSTransport, Recorder]:
        """
        Two transports after the handshake, with protocols attached.
        """
        client, server = self.pair(**options)
        done = [client.handshake(), server.handshake()]
        self.reactor.settle()
        for deferred in done:
            self.successResultOf(deferred)
        atClient, atServer = Recorder(), Recorder()
        client.attach(atClient)
        server.attach(atServer)
        return client, atClient, server, atServer


class HandshakeTests(TLSCase):
    def test_bothSidesLearnWhoTheOtherIs(self) -> None:
        client, _, server, _ = self.connected()
        verifyObject(IAttachable, client)
        verifyObject(INegotiated, client)
        self.assertEqual((client.identity, server.identity), (Identity(node="relay"), Identity(node="edge")))
        self.assertEqual((client.negotiatedProtocol, server.negotiatedProtocol), (b"h2", b"h2"))
        self.assertEqual(client.getPeerCertificate().get_subject().CN, "relay")
        self.reactor.settle()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_theBestCommonProtocolIsChosen(self) -> None:
        one = ClientCredentials(*self.clientFiles, self.trust, expectedNode="relay", protocols=[b"x", b"http/1.1"])
        none = ClientCredentials(*self.clientFiles, self.trust, expectedNode="relay", protocols=[])
        self.assertEqual(self.connected(client=one)[2].negotiatedProtocol, b"http/1.1")
        self.assertIsNone(self.connected(client=none)[2].negotiatedProtocol)

    def test_aClientWithoutACertificateIsNobody(self) -> None:
        client = ClientCredentials(trustFile=self.trust, serverName="localhost")
        self.assertEqual(self.connected(client=client)[2].identity, ANONYMOUS)

    def test_aProtocolCannotComeBeforeTheHandshake(self) -> None:
        client, _ = self.pair()
        self.assertRaises(RuntimeError, client.attach, Recorder())

    def test_dataThatCameWithTheHandshakeIsNotForgotten(self) -> None:
        client, server = self.pair()
        atServer = Recorder()
        client.handshake().addCallback(talkAtOnce, client)
        server.handshake().addCallback(lambda _: server.attach(atServer))
        self.reactor.settle()
        self.assertEqual(atServer.received, b"at once")

    def test_itWaitsForALateProtocol(self) -> None:
        client, server = self.pair()
        client.handshake().addCallback(talkAtOnce, client)
        server.handshake()
        self.reactor.settle()
        atServer = Recorder()
        server.attach(atServer)
        server.pauseProducing()
        self.reactor.settle()
        self.assertEqual(atServer.received, b"")
        server.resumeProducing()
        self.reactor.settle()
        self.assertEqual(atServer.received, b"at once")

    def refused(self, client: Any = None, server: Any = None) -> tuple[Any, Any]:
        """
        Try a handshake that can't succeed for the client.

        @return: the errors of client and server, L{None} where there is none.
        """
        transports = self.pair(client, server)
        errors: list[Any] = [None, None]
        for index, transport in enumerate(transports):

            def failed(failure: Any, index: int = index) -> None:
                errors[index] = failure.value

            transport.handshake().addErrback(failed)
        self.reactor.settle()
        return errors[0], errors[1]

    def test_anotherNodeIsRefused(self) -> None:
        client, server = self.refused(ClientCredentials(*self.clientFiles, self.trust, expectedNode="db"))
        self.assertIsInstance(client, HopUntrusted)
        self.assertEqual(str(client), "the server's certificate is not that of node db")
        # An alert reached the server: it need not guess.
        self.assertIn("alert", str(server))

    def test_anotherNameIsRefused(self) -> None:
        client, _ = self.refused(ClientCredentials(trustFile=self.trust, serverName="other.example"))
        self.assertEqual(str(client), "the server's certificate is not that of other.example")

    def test_anotherAuthorityIsRefused(self) -> None:
        other = OverlayAuthority.create(self.mktemp(), "Another")
        client, _ = self.refused(ClientCredentials(trustFile=other.trustFile, expectedNode="relay"))
        self.assertIsInstance(client, HopUntrusted)
        self.assertIn("its authority is not in the trust bundle", str(client))

    def test_anExpiredCertificateIsRefused(self) -> None:
        server = ServerCredentials(*self.authority.issue("relay", days=-0.02), self.trust)
        client, _ = self.refused(self.clientCredentials, server)
        self.assertIn("it has expired", str(client))

    def test_aStrangersClientCertificateIsRefused(self) -> None:
        other = OverlayAuthority.create(self.mktemp(), "Another")
        client, server = self.pair(ClientCredentials(*other.issue("edge"), self.trust, expectedNode="relay"))
        recorder = Recorder()
        client.handshake().addCallback(lambda _: client.attach(recorder))
        done = server.handshake()
        self.reactor.settle()
        self.assertIn("the client's certificate was not accepted", str(self.failureResultOf(done).value))
        # With TLS 1.3 the client is done before the server has judged it.
        self.assertIsInstance(recorder.reason, HopUntrusted)

    def test_aClientThatSpeaksOtherProtocolsIsRefused(self) -> None:
        client, server = self.refused(
            ClientCredentials(trustFile=self.trust, expectedNode="relay", protocols=[b"smtp"])
        )
        self.assertIsInstance(server, HopUntrusted)
        self.assertIsInstance(client, HopUnavailable)

    def test_aPeerThatSpeaksNoTLSIsNotWaitedFor(self) -> None:
        ours, theirs = unixPair()
        self.addCleanup(theirs.close)
        transport = TLSTransport(ours, self.reactor, self.clientCredentials)
        done = transport.handshake()
        theirs.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.reactor.settle()
        self.assertIsInstance(self.failureResultOf(done).value, HopUnavailable)
        self.assertTrue(transport.disconnected)

    def test_aPeerThatGoesAwayIsNotWaitedFor(self) -> None:
        client, server = self.pair()
        done = client.handshake()
        server.abortConnection()
        self.reactor.settle()
        self.assertIsInstance(self.failureResultOf(done).value, HopUnavailable)

    def test_aSilentPeerIsNotWaitedForLong(self) -> None:
        client, _ = self.pair()
        done = client.handshake(timeout=3)
        self.reactor.settle()
        self.reactor.advance(2.9)
        self.assertNoResult(done)
        self.reactor.advance(0.2)
        self.assertIsInstance(self.failureResultOf(done).value, TargetTimeout)
        self.reactor.settle()
        self.assertTrue(client.disconnected)
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([], []))

    def test_theWaitCanBeCancelled(self) -> None:
        client, _ = self.pair()
        done = client.handshake()
        done.cancel()
        self.failureResultOf(done)
        self.reactor.settle()
        self.assertTrue(client.disconnected)

    def test_reloadedCertificatesServeTheNextHandshake(self) -> None:
        client, _, _, _ = self.connected()
        before = client.getPeerCertificate().get_serial_number()
        self.authority.issue("relay")
        self.serverCredentials.reload()
        again, _, _, _ = self.connected()
        self.assertNotEqual(again.getPeerCertificate().get_serial_number(), before)


class StreamTests(TLSCase):
    def setUp(self) -> None:
        super().setUp()
        self.client, self.atClient, self.server, self.atServer = self.connected()

    def test_dataGoesBothWays(self) -> None:
        self.client.write(b"question")
        self.server.writeSequence([b"ans", bytearray(b"w"), memoryview(b"er")])
        self.reactor.settle()
        self.assertEqual((self.atServer.received, self.atClient.received), (b"question", b"answer"))
        self.assertIs(type(self.atServer.calls[0]), bytes)

    def test_aBorrowingProtocolGetsAView(self) -> None:
        borrower = Borrower()
        self.server.attach(borrower)
        self.client.write(b"data")
        self.reactor.settle()
        self.assertEqual((borrower.calls, borrower.received), ([memoryview], b"data"))

    def test_muchDataIsDeliveredInLargePieces(self) -> None:
        data = bytes(range(256)) * 4096
        self.client.write(data)
        self.client.writeSequence([b"head", data, b"mid", memoryview(data)[5:], b"tail"])
        self.reactor.settle()
        self.assertEqual(self.atServer.received, data + b"head" + data + b"mid" + data[5:] + b"tail")
        self.assertLess(len(self.atServer.calls), len(self.atServer.received) // RECORD)

    def test_aHeaderSharesARecordWithWhatFollows(self) -> None:
        pieces = list(inRecords([b"123456789", b"x" * (4 * RECORD + 5), b"y" * 7]))
        self.assertEqual([len(piece) for piece in pieces], [RECORD, 3 * RECORD, 21])

    def test_whatIsBorrowedIsNotNeededAfterwards(self) -> None:
        borrowed = bytearray(b"x" * 2 * MEGABYTE)
        self.client.write(borrowed)
        borrowed[:] = b"y" * 2 * MEGABYTE
        self.reactor.settle()
        self.assertEqual(self.atServer.received, b"x" * 2 * MEGABYTE)

    def test_aStalledReaderPausesTheSender(self) -> None:
        producer = Producer()
        self.client.registerProducer(producer, True)
        self.server.pauseProducing()
        self.client.write(b"x" * MEGABYTE)
        self.reactor.settle()
        self.assertEqual(producer.calls, ["pause"])
        self.assertGreater(self.client.bufferedBytes, HIGH_WATER)
        self.server.resumeProducing()
        self.reactor.settle()
        self.assertEqual(producer.calls, ["pause", "resume"])
        self.assertEqual(len(self.atServer.received), MEGABYTE)

    def test_anExceptionAbortsOnlyThatConnection(self) -> None:
        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        self.atServer.dataReceived = fail  # type: ignore[method-assign]
        self.server.attach(self.atServer)
        self.client.write(b"data")
        self.reactor.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsInstance(self.atServer.reason, ConnectionAborted)

    def test_closingIsToldInOrder(self) -> None:
        self.client.write(b"x" * MEGABYTE)
        self.client.loseConnection()
        self.reactor.settle()
        self.assertEqual(len(self.atServer.received), MEGABYTE)
        self.assertIsInstance(self.atClient.reason, ConnectionDone)
        self.assertEqual(self.atServer.events, ["connected", "read lost"])

    def test_thePeersCloseEndsAProtocolWithoutHalfClose(self) -> None:
        plain = Plain()
        self.server.attach(plain)
        self.client.write(b"last")
        self.client.loseConnection()
        self.reactor.settle()
        self.assertEqual(plain.received, b"last")
        self.assertIsInstance(plain.reason, ConnectionDone)

    def test_halfCloseLeavesTheOtherDirectionOpen(self) -> None:
        self.client.loseWriteConnection()
        self.reactor.settle()
        self.assertEqual(self.atClient.events, ["connected", "write lost"])
        self.assertEqual(self.atServer.events, ["connected", "read lost"])
        self.client.write(b"too late")
        self.server.write(b"y" * MEGABYTE)
        self.server.loseWriteConnection()
        self.reactor.settle()
        self.assertEqual(len(self.atClient.received), MEGABYTE)
        self.assertEqual(self.atServer.received, b"")
        for recorder in (self.atClient, self.atServer):
            self.assertEqual(recorder.events[-1], "lost")
            self.assertIsInstance(recorder.reason, ConnectionDone)

    def test_anEndWithoutCloseNotifyIsAnError(self) -> None:
        self.client.write(b"some")
        self.client.socket.shutdown(sockets.SHUT_WR)
        self.reactor.settle()
        self.assertEqual(self.atServer.received, b"some")
        self.assertIsInstance(self.atServer.reason, ConnectionLost)
        self.assertIn("close_notify", str(self.atServer.reason))

    def test_forgedBytesEndTheConnection(self) -> None:
        self.client.socket.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        self.reactor.settle()
        self.assertIsInstance(self.atServer.reason, ConnectionLost)
        # Our alert told the other side.
        self.assertIsInstance(self.atClient.reason, ConnectionLost)
        self.assertIn("alert", str(self.atClient.reason))

    def test_abortIsAnErrorToThePeer(self) -> None:
        client, atClient, _, atServer = self.connected(sockets=tcpPair)
        client.abortConnection()
        self.reactor.until(lambda: atServer.reason)
        self.assertIsInstance(atClient.reason, ConnectionAborted)
        self.assertIsInstance(atServer.reason, ConnectionLost)

    def test_writingToAPeerThatIsGoneIsToldLater(self) -> None:
        self.server.socket.close()
        self.reactor.readers.remove(self.server)
        self.client.write(b"x" * MEGABYTE)
        self.assertIsNone(self.atClient.reason)
        self.reactor.settle()
        self.assertIsInstance(self.atClient.reason, ConnectionLost)


class StdlibPeer:
    """
    Python's own ssl module on the other end.
    """

    def __init__(self, sock: sockets.socket, context: ssl.SSLContext, reactor: HandReactor, **options: Any) -> None:
        sock.setblocking(False)
        self.sock = context.wrap_socket(sock, do_handshake_on_connect=False, suppress_ragged_eofs=False, **options)
        self.reactor = reactor

    def do(self, method: Callable[[], Any]) -> Any:
        """
        Call a method until it need not wait.
        """
        while True:
            try:
                return method()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self.reactor.turn()


class StdlibTests(TLSCase):
    version: ClassVar[ssl.TLSVersion] = ssl.TLSVersion.TLSv1_3

    def serve(self) -> tuple[StdlibPeer, Recorder, TLSTransport]:
        """
        A server of ours and a client of the library's.
        """
        ours, theirs = unixPair()
        self.addCleanup(theirs.close)
        context = ssl.create_default_context(cafile=self.trust)
        context.load_cert_chain(*self.clientFiles)
        context.set_alpn_protocols(["http/1.1"])
        context.minimum_version = context.maximum_version = self.version
        peer = StdlibPeer(theirs, context, self.reactor, server_hostname="localhost")
        self.addCleanup(peer.sock.close)
        transport = TLSTransport(ours, self.reactor, self.serverCredentials)
        recorder = Recorder()
        transport.handshake().addCallback(lambda _: transport.attach(recorder))
        peer.do(peer.sock.do_handshake)
        self.reactor.settle()
        return peer, recorder, transport

    def test_aForeignClientIsServed(self) -> None:
        peer, recorder, transport = self.serve()
        self.assertEqual((transport.identity, transport.negotiatedProtocol), (Identity(node="edge"), b"http/1.1"))
        self.assertEqual(peer.sock.version(), "TLSv1.3" if self.version is ssl.TLSVersion.TLSv1_3 else "TLSv1.2")
        peer.do(lambda: peer.sock.sendall(b"question"))
        self.reactor.settle()
        transport.write(b"answer")
        self.assertEqual(peer.do(lambda: peer.sock.recv(100)), b"answer")
        self.assertEqual(recorder.received, b"question")
        transport.loseConnection()
        self.reactor.settle()
        # With close_notify there is an end, and no exception.
        self.assertEqual(peer.do(lambda: peer.sock.recv(100)), b"")
        self.assertIsInstance(recorder.reason, ConnectionDone)

    def test_anAbortIsNoOrderlyEndToAForeignClient(self) -> None:
        peer, _, transport = self.serve()
        transport.abortConnection()
        self.reactor.settle()
        self.assertRaises((ssl.SSLEOFError, ConnectionResetError), peer.do, lambda: peer.sock.recv(100))

    def test_aForeignServerIsVerified(self) -> None:
        ours, theirs = unixPair()
        self.addCleanup(theirs.close)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.serverFiles)
        context.minimum_version = context.maximum_version = self.version
        names: list[Any] = []
        context.sni_callback = lambda sock, name, context: names.append(name)
        peer = StdlibPeer(theirs, context, self.reactor, server_side=True)
        self.addCleanup(peer.sock.close)
        credentials = ClientCredentials(trustFile=self.trust, serverName="localhost")
        transport = TLSTransport(ours, self.reactor, credentials)
        done = transport.handshake()
        peer.do(peer.sock.do_handshake)
        self.reactor.settle()
        self.successResultOf(done)
        self.assertEqual((names, transport.negotiatedProtocol), (["localhost"], None))
        recorder = Recorder()
        transport.attach(recorder)
        peer.do(lambda: peer.sock.sendall(b"x" * 100000))
        self.reactor.settle()
        self.assertEqual(len(recorder.received), 100000)


class StdlibTLS12Tests(StdlibTests):
    version: ClassVar[ssl.TLSVersion] = ssl.TLSVersion.TLSv1_2


class OldVersionTests(TLSCase):
    def test_versionsBefore12AreRefused(self) -> None:
        ours, theirs = unixPair()
        self.addCleanup(theirs.close)
        transport = TLSTransport(ours, self.reactor, self.serverCredentials)
        done = transport.handshake()
        # A ClientHello of TLS 1.1 with one cipher suite and no extensions.
        hello = b"\x03\x02" + b"r" * 32 + b"\x00" + b"\x00\x02\xc0\x13" + b"\x01\x00"
        message = b"\x01" + len(hello).to_bytes(3, "big") + hello
        theirs.send(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)
        self.reactor.settle()
        self.assertIn("unsupported protocol", str(self.failureResultOf(done).value))


class RecordTests(TLSCase):
    @given(lists(sampled_from([0, 1, 9, RECORD - 1, RECORD, ROUND - 1, ROUND, 5 * RECORD + 7]), max_size=8))
    @settings(deadline=None)
    def test_noByteIsLostInSorting(self, sizes: list[int]) -> None:
        buffers: list[Buffer] = [bytes([index]) * size for index, size in enumerate(sizes)]
        pieces = list(inRecords(buffers))
        self.assertEqual(b"".join(pieces), b"".join(buffers))
        self.assertEqual([len(piece) % RECORD for piece in pieces[:-1]], [0] * len(pieces[:-1]))

    def layers(self) -> tuple[RecordLayer, RecordLayer]:
        """
        Both ends of a connection, after the handshake.
        """
        client = RecordLayer(self.clientCredentials.connection())
        server = RecordLayer(self.serverCredentials.connection())
        for _ in range(2):
            for layer, other in ((client, server), (server, client)):
                with contextlib.suppress(SSL.WantReadError):
                    layer.connection.do_handshake()
                other.feed(layer.take())
        return client, server

    def test_ciphertextMayArriveInAnyPieces(self) -> None:
        client, server = self.layers()
        data = bytes(range(256)) * 512

        @given(lists(integers(1, 70000), min_size=1, max_size=20))
        @settings(deadline=None, max_examples=50)
        def check(sizes: list[int]) -> None:
            ciphertext, plaintext = bytearray(), bytearray()
            client.encrypt([data], ciphertext.extend)
            start = 0
            for size in [*sizes, len(ciphertext)]:
                server.decrypt(ciphertext[start : start + size], plaintext.extend, plaintext.extend)
                start += size
            self.assertEqual(plaintext, data)

        check()

    def test_moreThanABufferIsDeliveredInSeveral(self) -> None:
        client, server = self.layers()
        ciphertext: list[bytes] = []
        data = b"x" * (SCRATCH + 5)
        client.encrypt([data], lambda view: ciphertext.append(bytes(view)))
        pieces: list[int] = []
        server.decrypt(b"".join(ciphertext), lambda view: pieces.append(len(view)), self.fail)
        self.assertEqual(pieces, [SCRATCH, 5])
