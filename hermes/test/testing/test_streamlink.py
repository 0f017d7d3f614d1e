"""
Impaired links for byte streams, between real sockets.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import ClientFactory, Factory, ProcessProtocol, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hermes.testing.links import ImpairedStreamLink, StreamImpairment
from hermes.values import Address

REACTOR: Any = reactor


UNIMPAIRED = StreamImpairment()


@implementer(IHalfCloseableProtocol)
class Peer(Protocol):
    """
    Either end: keeps what comes, and says when something has.
    """

    transport: Any

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False
        self.lost: Failure | None = None
        self.connectedAt = 0.0
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def connectionMade(self) -> None:
        self.connectedAt = REACTOR.seconds()

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """
        Fires once C{condition} holds.
        """
        done: Deferred[None] = Deferred()
        self._waiting.append((condition, done))
        self._look()
        return done

    def _look(self) -> None:
        for waiting in list(self._waiting):
            if waiting[0]():
                self._waiting.remove(waiting)
                waiting[1].callback(None)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self._look()

    def readConnectionLost(self) -> None:
        self.ended = True
        self._look()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = reason
        self._look()


class Streaming(TestCase):
    """
    Clients, a server, and links between.
    """

    timeout = 60

    def setUp(self) -> None:
        self.servers: list[Peer] = []
        self.clients: list[Peer] = []
        self.accepted: list[Deferred[Peer]] = []
        factory = Factory.forProtocol(Peer)
        factory.noisy = False
        factory.buildProtocol = self._accept  # type: ignore[method-assign, assignment]
        self.port = REACTOR.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        self.addCleanup(self._endAll)

    def _endAll(self) -> Deferred[Any]:
        peers = self.servers + self.clients
        for peer in peers:
            if peer.lost is None:
                peer.transport.abortConnection()
        return gatherResults([peer.until(lambda peer=peer: peer.lost is not None) for peer in peers])  # type: ignore[misc]

    def _accept(self, _: object) -> Peer:
        server = Peer()
        self.servers.append(server)
        if self.accepted:
            REACTOR.callLater(0, self.accepted.pop(0).callback, server)
        return server

    def link(self, impairment: StreamImpairment = UNIMPAIRED) -> ImpairedStreamLink:
        """
        A link to the server.
        """
        link = ImpairedStreamLink(REACTOR, ("127.0.0.1", self.port.getHost().port), impairment, Random(1))
        link.start()
        self.addCleanup(link.stop)
        return link

    def connect(self, link: ImpairedStreamLink) -> Deferred[Peer]:
        """
        Fires with a client.
        """
        connected: Deferred[Peer] = Deferred()

        class Connecting(ClientFactory):
            noisy = False

            def buildProtocol(self, addr: object) -> Peer:
                client = Peer()
                REACTOR.callLater(0, connected.callback, client)
                return client

            def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
                connected.errback(reason)

        REACTOR.connectTCP(*link.address, Connecting())
        return connected.addCallback(self._connected)

    def _connected(self, client: Peer) -> Peer:
        self.clients.append(client)
        return client

    async def pair(self, link: ImpairedStreamLink) -> tuple[Peer, Peer]:
        """
        Both ends of a connection.
        """
        accepted: Deferred[Peer] = Deferred()
        self.accepted.append(accepted)
        client = await self.connect(link)
        return client, await accepted


class StreamTests(Streaming):
    async def test_bytesPassBothWaysInOrder(self) -> None:
        client, server = await self.pair(self.link(StreamImpairment(delay=0.01)))
        forth, back = Random(1).randbytes(3_000_000), Random(2).randbytes(3_000_000)
        client.transport.write(forth)
        server.transport.write(back)
        await server.until(lambda: len(server.data) >= len(forth))
        await client.until(lambda: len(client.data) >= len(back))
        self.assertEqual((bytes(server.data), bytes(client.data)), (forth, back))

    async def test_aHalfCloseComesBehindTheLastByte(self) -> None:
        client, server = await self.pair(self.link(StreamImpairment(delay=0.005)))
        client.transport.write(b"a" * 200_000)
        client.transport.loseWriteConnection()
        await server.until(lambda: server.ended)
        self.assertEqual(len(server.data), 200_000)
        server.transport.write(b"answer")
        server.transport.loseConnection()
        await client.until(lambda: client.ended)
        self.assertEqual(client.data, b"answer")
        client.transport.loseConnection()
        await client.until(lambda: client.lost is not None)
        assert client.lost is not None
        self.assertIs(client.lost.type, ConnectionDone)

    async def test_nothingArrivesBeforeItsTime(self) -> None:
        delay = 0.03
        client, server = await self.pair(self.link(StreamImpairment(delay=delay)))
        client.transport.write(b"x")
        await server.until(lambda: bool(server.data))
        # A handshake, and half a round trip.
        self.assertGreaterEqual(REACTOR.seconds() - client.connectedAt, 3 * delay - 0.005)
        before = REACTOR.seconds()
        server.transport.write(b"y")
        await client.until(lambda: bool(client.data))
        self.assertGreaterEqual(REACTOR.seconds() - before, delay - 0.005)

    async def test_aBandwidthIsKept(self) -> None:
        client, server = await self.pair(self.link(StreamImpairment(bandwidth=2e6)))
        before = REACTOR.seconds()
        client.transport.write(b"a" * 600_000)
        await server.until(lambda: len(server.data) == 600_000)
        self.assertGreaterEqual(REACTOR.seconds() - before, 0.25)

    async def test_aConnectionIsCutAfterSoManyBytesOfTheTarget(self) -> None:
        link = self.link(StreamImpairment(cutAfter=(100_000, 100_000)))
        client, server = await self.pair(link)
        server.transport.write(b"a" * 1_000_000)
        await client.until(lambda: client.lost is not None)
        assert client.lost is not None
        self.assertIsNot(client.lost.type, ConnectionDone)
        self.assertLess(len(client.data), 1_000_000)
        await server.until(lambda: server.lost is not None)

    async def test_downItResetsAndRefusesAndUpItIsBackAtItsPort(self) -> None:
        link = self.link()
        client, server = await self.pair(link)
        address: Address = link.address
        link.down()
        await client.until(lambda: client.lost is not None)
        await server.until(lambda: server.lost is not None)
        assert client.lost is not None
        self.assertIsNot(client.lost.type, ConnectionDone)
        await self.assertFailure(self.connect(link), ConnectionRefusedError)
        link.up()
        self.assertEqual(link.address, address)
        client, server = await self.pair(link)
        client.transport.write(b"again")
        await server.until(lambda: server.data == b"again")
        self.assertEqual(link.connections, 2)

    async def test_itMayGoDownAndUpInOneTurn(self) -> None:
        link = self.link()
        for _ in range(3):
            link.down()
            link.up()
        client, server = await self.pair(link)
        client.transport.write(b"x")
        await server.until(lambda: server.data == b"x")
        link.down()
        await self.assertFailure(self.connect(link), ConnectionRefusedError)

    async def test_aBlackHoleDeliversLater(self) -> None:
        link = self.link()
        client, server = await self.pair(link)
        link.down(blackHole=True)
        client.transport.write(b"one")
        second = await self.connect(link)
        second.transport.write(b"two")
        # Whoever asks another link is answered: so much time has passed.
        other, beyond = await self.pair(self.link())
        other.transport.write(b"x")
        await beyond.until(lambda: bool(beyond.data))
        self.assertEqual((bytes(server.data), len(self.servers)), (b"", 2))
        accepted: Deferred[Peer] = Deferred()
        self.accepted.append(accepted)
        link.up()
        await server.until(lambda: server.data == b"one")
        third = await accepted
        await third.until(lambda: third.data == b"two")

    async def test_aTargetThatRefusesResetsTheClient(self) -> None:
        link = self.link(StreamImpairment(delay=0.005))
        await self.port.stopListening()
        client = await self.connect(link)
        client.transport.write(b"x")
        await client.until(lambda: client.lost is not None)

    async def test_whoeverDoesNotReadStopsTheSender(self) -> None:
        client, server = await self.pair(self.link())
        client.transport.pauseProducing()
        piece = b"a" * 1_000_000
        sent = 0

        class Sending:
            """
            Writes for as long as it may.
            """

            def resumeProducing(self) -> None:
                nonlocal sent
                sent += len(piece)
                REACTOR.callLater(0, server.transport.write, piece)

            def stopProducing(self) -> None:
                pass

        server.transport.registerProducer(Sending(), False)
        other, beyond = await self.pair(self.link())
        for number in range(200):
            other.transport.write(b"x")
            await beyond.until(lambda number=number: len(beyond.data) > number)  # type: ignore[misc]
        self.assertLess(sent, 32_000_000)
        server.transport.unregisterProducer()


class _Printing(ProcessProtocol):
    """
    Waits for a process's first line.
    """

    def __init__(self) -> None:
        self.line: Deferred[str] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self._text = ""

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._text += data.decode()
        if "\n" in self._text and not self.line.called:
            self.line.callback(self._text.splitlines()[0])

    def processEnded(self, reason: Failure) -> None:
        if not self.line.called:
            self.line.errback(AssertionError(self._text))
        self.ended.callback(None)


class ProcessTests(Streaming):
    async def test_aLinkRunsAsAProcess(self) -> None:
        process = _Printing()
        target = f"127.0.0.1:{self.port.getHost().port}"
        command = [sys.executable, "-m", "hermes.testing.links", "stream", "--to", target, "--delay", "1ms"]
        running = REACTOR.spawnProcess(process, sys.executable, command, env=None)
        try:
            host, port = (await process.line).rsplit(":", 1)
            link: Any = type("Link", (), {"address": (host, int(port))})
            client, server = await self.pair(link)
            client.transport.write(b"hello")
            await server.until(lambda: server.data == b"hello")
        finally:
            running.signalProcess("KILL")
            await process.ended
