"""
Tests for L{hermes.net.memorytls}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from zope.interface.verify import verifyObject

from hermes.errors import HopUnavailable, HopUntrusted, TargetTimeout
from hermes.interfaces import IAttachable, IBorrowingProtocol
from hermes.net.certificates import ClientCredentials
from hermes.net.memorytls import NestedTLS
from hermes.net.transport import StreamTransport
from hermes.test.net.sockets import Plain, Producer, Recorder, unixPair
from hermes.test.net.tlscase import TLSCase
from hermes.values import Identity

MEGABYTE = 1024 * 1024


class NestedCase(TLSCase):
    """
    TLS over two transports, a layer on each.
    """

    def layers(self, outer: Any, client: Any = None, server: Any = None) -> tuple[NestedTLS, NestedTLS]:
        """
        A layer on each of two attachable transports.
        """
        layers = (
            NestedTLS(client or self.clientCredentials, self.reactor),
            NestedTLS(server or self.serverCredentials, self.reactor),
        )
        for transport, layer in zip(outer, layers, strict=True):
            transport.attach(layer)
        return layers

    def plainPair(self) -> tuple[StreamTransport, StreamTransport]:
        """
        What carries the layers.
        """
        first, second = (StreamTransport(sock, self.reactor) for sock in unixPair())
        for transport in (first, second):
            self.addCleanup(transport.socket.close)
        return first, second

    def joined(self, outer: Any = None) -> tuple[NestedTLS, Recorder, NestedTLS, Recorder]:
        """
        Two layers after the handshake, with protocols attached.
        """
        client, server = self.layers(outer or self.plainPair())
        done = [client.handshake(), server.handshake()]
        self.reactor.settle()
        for deferred in done:
            self.successResultOf(deferred)
        atClient, atServer = Recorder(), Recorder()
        client.attach(atClient)
        server.attach(atServer)
        return client, atClient, server, atServer


class NestedHandshakeTests(NestedCase):
    def test_bothSidesLearnWhoTheOtherIs(self) -> None:
        client, _, server, _ = self.joined()
        verifyObject(IAttachable, client)
        verifyObject(IBorrowingProtocol, client)
        self.assertEqual((client.identity, server.identity), (Identity(node="relay"), Identity(node="edge")))
        self.assertEqual((client.negotiatedProtocol, server.negotiatedProtocol), (b"h2", b"h2"))

    def test_anotherNodeIsRefused(self) -> None:
        other = ClientCredentials(*self.clientFiles, self.trust, expectedNode="db")
        client, server = self.layers(self.plainPair(), other)
        done = [client.handshake(), server.handshake()]
        self.reactor.settle()
        self.assertIsInstance(self.failureResultOf(done[0]).value, HopUntrusted)
        self.assertIn("did not accept", str(self.failureResultOf(done[1], HopUntrusted).value))
        self.assertTrue(client.transport.disconnected)
        self.assertTrue(server.transport.disconnected)

    def test_aSilentPeerIsNotWaitedForLong(self) -> None:
        client, _ = self.layers(self.plainPair())
        done = client.handshake(timeout=3)
        self.reactor.settle()
        self.reactor.advance(3)
        self.assertIsInstance(self.failureResultOf(done).value, TargetTimeout)
        self.reactor.settle()
        self.assertTrue(client.transport.disconnected)

    def test_anEndDuringTheHandshakeIsAnError(self) -> None:
        client, server = self.layers(self.plainPair())
        done = client.handshake()
        server.transport.loseWriteConnection()
        self.reactor.settle()
        self.assertIsInstance(self.failureResultOf(done).value, HopUnavailable)

    def test_aProtocolCannotComeBeforeTheHandshake(self) -> None:
        client, _ = self.layers(self.plainPair())
        self.assertRaises(RuntimeError, client.attach, Recorder())

    def test_dataWaitsForALateProtocol(self) -> None:
        client, server = self.layers(self.plainPair())
        client.handshake().addCallback(lambda _: client.attach(Recorder()))
        done = server.handshake()
        self.reactor.settle()
        self.successResultOf(done)
        client.write(b"early")
        self.reactor.settle()
        # A transport that still delivers after it was told to pause.
        server.transport.startReading()
        self.reactor.settle()
        atServer = Recorder()
        server.attach(atServer)
        self.reactor.settle()
        self.assertEqual(atServer.received, b"early")


class NestedStreamTests(NestedCase):
    def setUp(self) -> None:
        super().setUp()
        self.client, self.atClient, self.server, self.atServer = self.joined()

    def test_dataGoesBothWays(self) -> None:
        self.client.write(b"question")
        self.server.writeSequence([b"ans", b"wer"])
        self.reactor.settle()
        self.assertEqual((self.atServer.received, self.atClient.received), (b"question", b"answer"))

    def test_whatCarriesItSeesNothing(self) -> None:
        seen = bytearray()
        receive = self.server.dataReceived

        def watch(data: Any) -> None:
            seen.extend(data)
            receive(data)

        self.server.dataReceived = watch  # type: ignore[method-assign]
        self.server.transport.attach(self.server)
        self.client.write(b"secret" * 100)
        self.reactor.settle()
        self.assertEqual(self.atServer.received, b"secret" * 100)
        self.assertGreater(len(seen), 600)
        self.assertNotIn(b"secret", seen)

    def test_aStalledReaderPausesTheSender(self) -> None:
        producer = Producer()
        self.client.registerProducer(producer, True)
        self.server.pauseProducing()
        self.client.write(b"x" * MEGABYTE)
        self.reactor.settle()
        self.assertEqual((producer.calls, len(self.atServer.received)), (["pause"], 0))
        self.assertGreater(self.client.bufferedBytes, 0)
        self.server.resumeProducing()
        self.reactor.settle()
        self.assertEqual((producer.calls, len(self.atServer.received)), (["pause", "resume"], MEGABYTE))

    def test_layersDoNotDisturbEachOther(self) -> None:
        """
        TLS in TLS in TLS: each layer has buffers of its own.
        """
        transports: Any = self.pair()
        done = [transport.handshake() for transport in transports]
        self.reactor.settle()
        for deferred in done:
            self.successResultOf(deferred)
        for _ in range(2):
            transports = self.layers(transports)
            done = [layer.handshake() for layer in transports]
            self.reactor.settle()
            for deferred in done:
                self.successResultOf(deferred)
        atClient, atServer = Recorder(), Recorder()
        transports[0].attach(atClient)
        transports[1].attach(atServer)
        data = bytes(range(251)) * 20000
        transports[0].write(data)
        transports[1].writeSequence([b"header", data, b"end"])
        self.reactor.settle()
        self.assertEqual(atServer.received, data)
        self.assertEqual(atClient.received, b"header" + data + b"end")

    def test_closingIsToldInOrder(self) -> None:
        plain = Plain()
        self.server.attach(plain)
        self.client.write(b"x" * MEGABYTE)
        self.client.loseConnection()
        self.reactor.settle()
        self.assertEqual(len(plain.received), MEGABYTE)
        self.assertIsInstance(plain.reason, ConnectionDone)
        self.assertIsInstance(self.atClient.reason, ConnectionDone)

    def test_closingWaitsForTheProducer(self) -> None:
        self.client.registerProducer(Producer(), True)
        self.client.loseConnection()
        self.client.write(b"the rest")
        self.reactor.settle()
        self.assertIsNone(self.atClient.reason)
        self.client.unregisterProducer()
        self.reactor.settle()
        self.assertIsInstance(self.atClient.reason, ConnectionDone)
        self.assertEqual(self.atServer.received, b"the rest")

    def test_halfCloseLeavesTheOtherDirectionOpen(self) -> None:
        self.client.loseWriteConnection()
        self.client.write(b"too late")
        self.reactor.settle()
        self.assertEqual(self.atServer.events, ["connected", "read lost"])
        self.server.write(b"answer")
        self.server.loseWriteConnection()
        self.reactor.settle()
        self.assertEqual((self.atClient.received, self.atServer.received), (b"answer", b""))
        self.assertEqual(self.atClient.events, ["connected", "write lost", "read lost", "lost"])
        self.assertEqual(self.atServer.events, ["connected", "read lost", "write lost", "lost"])
        self.assertIsInstance(self.atClient.reason, ConnectionDone)
        self.assertIsInstance(self.atServer.reason, ConnectionDone)

    def test_anEndWithoutCloseNotifyIsAnError(self) -> None:
        self.client.transport.loseWriteConnection()
        self.reactor.settle()
        self.assertIsInstance(self.atServer.reason, ConnectionLost)

    def test_abortAbortsWhatCarriesIt(self) -> None:
        self.client.abortConnection()
        self.reactor.settle()
        self.assertIsInstance(self.atClient.reason, ConnectionAborted)
        self.assertIsInstance(self.atServer.reason, ConnectionLost)

    def test_anExceptionAbortsOnlyThatConnection(self) -> None:
        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        self.atServer.dataReceived = fail  # type: ignore[method-assign]
        self.server.attach(self.atServer)
        self.client.write(b"data")
        self.reactor.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsInstance(self.atServer.reason, ConnectionAborted)

    def test_theEndStopsTheProducer(self) -> None:
        producer, late = Producer(), Producer()
        self.server.registerProducer(producer, True)
        self.client.abortConnection()
        self.reactor.settle()
        self.server.registerProducer(late, True)
        self.assertEqual((producer.calls, late.calls), (["stop"], ["stop"]))
