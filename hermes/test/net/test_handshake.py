"""
Tests for L{hermes.net.handshake}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import INegotiated
from zope.interface.verify import verifyObject

from hermes.errors import HopUnavailable, HopUntrusted, TargetTimeout
from hermes.interfaces import IAttachable
from hermes.net.certificates import ClientCredentials, OverlayAuthority, ServerCredentials
from hermes.net.tls import TLSTransport
from hermes.test.net.sockets import Recorder, tcpPair, unixPair
from hermes.test.net.tlscase import TLSCase
from hermes.values import ANONYMOUS, Identity


def talkAtOnce(result: None, client: TLSTransport) -> None:
    """
    A client that writes as soon as it may.
    """
    client.attach(Recorder())
    client.write(b"at once")


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

    def test_eachOfThoseThatShareWhatTheyTrustChecksItsOwnName(self) -> None:
        base = ClientCredentials(trustFile=self.trust, serverName="base.example", protocols=[b"x", b"http/1.1"])
        named, wrong = base.named("localhost"), base.named("wrong.example")
        self.assertEqual(self.connected(client=named)[2].negotiatedProtocol, b"http/1.1")
        self.assertEqual(str(self.refused(wrong)[0]), "the server's certificate is not that of wrong.example")
        self.assertEqual(str(self.refused(base)[0]), "the server's certificate is not that of base.example")
        self.connected(client=base.named("127.0.0.1"))

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

    def test_aRefusedClientThatIsWritingHearsWhyAndIsNotJustReset(self) -> None:
        other = OverlayAuthority.create(self.mktemp(), "Another")
        credentials = ClientCredentials(*other.issue("edge"), self.trust, expectedNode="relay")
        client, server = self.pair(credentials, sockets=tcpPair)
        recorder = Recorder()

        def up(_: object) -> None:
            client.attach(recorder)
            client.write(bytes(500_000))

        client.handshake().addCallback(up)
        done = server.handshake()
        self.reactor.until(lambda: done.called)
        self.failureResultOf(done, HopUntrusted)
        # Busy with writing while a server that does not linger closes, with what it has not read.
        client.pauseProducing()
        self.reactor.turn()
        client.write(b"more")
        client.write(b"and more")
        client.resumeProducing()
        self.reactor.settle()
        self.assertIsInstance(recorder.reason, HopUntrusted)
        self.assertTrue(server.disconnected)

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
