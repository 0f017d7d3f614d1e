"""
Tests for L{hermes.http1.client} and L{hermes.http1.clientprotocol}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.errors import BadRequest, HopUnavailable, StreamReset
from hermes.http1.client import ConnectionLimits, HTTP1Client
from hermes.interfaces import IClientExchange, IExchangeClient
from hermes.test.http1.memory import HalfReader, MemoryTransport, Reader
from hermes.values import RequestHead

GET = RequestHead(b"GET", b"http", b"a.example", b"/x", None, ((b"accept", b"*/*"),))
POST = RequestHead(b"POST", b"http", b"a.example", b"/x")
CONNECT = RequestHead(b"CONNECT", b"", b"b.example:443")
UPGRADE = RequestHead(b"CONNECT", b"https", b"a.example", b"/udp/", b"connect-udp", ((b"capsule-protocol", b"?1"),))
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: connect-udp\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """
    Connects to transports in memory.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.transports: list[MemoryTransport] = []
        self.error: Exception | None = None
        self.pending: Deferred[Any] | None = None

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        if self.error is not None:
            return fail(self.error)
        result: Deferred[Any] = Deferred()
        self.pending = result
        self.clock.callLater(0, self._connect, protocolFactory, result)
        return result

    def _connect(self, factory: Any, result: Deferred[Any]) -> None:
        if not result.called:
            transport = MemoryTransport(self.clock)
            self.transports.append(transport)
            transport.attach(factory.buildProtocol(transport.getPeer()))
            result.callback(transport.protocol)


class ClientCase(SynchronousTestCase):
    """
    A client with an endpoint in memory.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = MemoryEndpoint(self.clock)
        self.client = HTTP1Client(self.endpoint, self.clock)

    def turn(self) -> None:
        self.clock.advance(0)

    def ask(self, head: RequestHead = GET, end: bool = True) -> Any:
        """
        Open an exchange; C{self.transport} is the one it uses, C{self.answer} its response.
        """
        opening = self.client.exchange(head, end)
        self.turn()
        exchange: Any = self.successResultOf(opening)
        self.transport = exchange._connection.transport
        self.answer = exchange.response()
        return exchange


class RequestTests(ClientCase):
    """
    What a client sends.
    """

    def test_itProvidesWhatItSays(self) -> None:
        verifyObject(IExchangeClient, self.client)
        verifyObject(IClientExchange, self.ask())

    def test_aRequestWithoutABody(self) -> None:
        self.ask()
        self.assertEqual(self.transport.takeWritten(), b"GET /x HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\n\r\n")

    def test_aRequestThatUsuallyHasABodySaysThatItHasNone(self) -> None:
        self.ask(POST)
        self.assertIn(b"\r\ncontent-length: 0\r\n", self.transport.takeWritten())

    def test_aBodyOfKnownLength(self) -> None:
        exchange = self.ask(RequestHead(b"PUT", b"http", b"a", b"/", None, ((b"content-length", b"4"),)), end=False)
        exchange.write(b"ab")
        exchange.writeSequence([b"c", b"d"])
        exchange.loseWriteConnection()
        self.assertEqual(self.transport.takeWritten(), b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nabcd")

    def test_aBodyOfUnknownLengthGoesInChunksWithTrailers(self) -> None:
        exchange = self.ask(POST, end=False)
        exchange.write(b"abc")
        exchange.writeTrailers(((b"x-sum", b"1"),))
        self.assertEqual(
            self.transport.takeWritten(),
            b"POST /x HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n",
        )

    def test_toAProxyTheTargetIsAbsolute(self) -> None:
        self.client = HTTP1Client(self.endpoint, self.clock, absolute=True)
        self.ask()
        self.assertTrue(self.transport.takeWritten().startswith(b"GET http://a.example/x HTTP/1.1\r\n"))

    def test_connect(self) -> None:
        self.ask(CONNECT, end=False)
        self.assertEqual(self.transport.takeWritten(), b"CONNECT b.example:443 HTTP/1.1\r\nhost: b.example:443\r\n\r\n")

    def test_upgrade(self) -> None:
        self.ask(UPGRADE, end=False)
        self.assertEqual(
            self.transport.takeWritten(),
            b"GET /udp/ HTTP/1.1\r\nhost: a.example\r\nconnection: Upgrade\r\nupgrade: connect-udp\r\n"
            b"capsule-protocol: ?1\r\n\r\n",
        )

    def test_whatCantBeWrittenIsABadRequest(self) -> None:
        for head in (
            RequestHead(b"GET", b"http", b"a", b"/ x"),
            RequestHead(b"G T", b"http", b"a", b"/"),
            RequestHead(b"GET", b"http", b"a", b"/", None, ((b"x", b"a\r\nb: c"),)),
            RequestHead(b"GET", b"http", b"a\r\nb: c", b"/"),
        ):
            opening = self.client.exchange(head, True)
            self.turn()
            self.failureResultOf(opening, BadRequest)
            self.assertRaises(BadRequest, self.client.tryExchange, head, True)
            (transport,) = self.endpoint.transports
            self.assertEqual(transport.takeWritten(), b"")

    def test_andCostsNobodyAConnection(self) -> None:
        bad = RequestHead(b"GET", b"http", b"a", b"/", None, ((b"x", b"\x01"),))
        self.failureResultOf(self.opening(bad), BadRequest)
        for _ in range(2):
            self.assertRaises(BadRequest, self.client.tryExchange, bad, True)
            self.failureResultOf(self.opening(bad), BadRequest)
            exchange = self.client.tryExchange(GET, True)
            assert exchange is not None
            (transport,) = self.endpoint.transports
            self.assertTrue(transport.takeWritten().startswith(b"GET /x "))
            transport.receive(b"HTTP/1.1 204 No\r\n\r\n")
            self.turn()

    def test_norThoseWhoWaitBehindIt(self) -> None:
        self.client = HTTP1Client(self.endpoint, self.clock, bounds=ConnectionLimits(connections=1))
        bad = RequestHead(b"GET", b"http", b"a", b"/", None, ((b"x", b"\x01"),))
        _, refused, asked = [self.opening(head) for head in (GET, bad, GET)]
        (transport,) = self.endpoint.transports
        transport.takeWritten()
        transport.receive(b"HTTP/1.1 204 No\r\n\r\n")
        self.turn()
        self.failureResultOf(refused, BadRequest)
        self.successResultOf(asked)
        self.assertTrue(transport.takeWritten().startswith(b"GET /x "))

    def opening(self, head: RequestHead) -> Any:
        opening = self.client.exchange(head, True)
        self.turn()
        return opening


class ResponseTests(ClientCase):
    """
    What a client makes of responses.
    """

    def test_aResponseIsTheSameHoweverItArrives(self) -> None:
        for wire, body, trailers, closes in (
            (b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nhello", b"hello", (), False),
            (
                b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n"
                b"3\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n",
                b"hello",
                ((b"x", b"y"),),
                False,
            ),
            (b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nhello", b"hello", (), True),
            (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\nA: b\r\n\r\n", b"", (), False),
        ):
            pieces = [[wire[i : i + 1] for i in range(len(wire))]]
            pieces += [[wire[:cut], wire[cut:]] for cut in range(len(wire))]
            for parts in pieces:
                exchange = self.ask()
                reader = HalfReader()
                exchange.attach(reader)
                for part in parts:
                    self.transport.receive(part)
                if closes:
                    self.transport.receiveEnd()
                self.turn()
                head = self.successResultOf(self.answer)
                self.assertIn(head.status, (200, 204))
                self.assertEqual(head.get(b"a"), b"b")
                self.assertEqual((reader.data, reader.ended), (body, 1))
                self.assertEqual(exchange.trailers, trailers)
                assert reader.lost is not None
                self.assertIs(reader.lost.type, ConnectionDone)
            self.assertEqual(self.transport.writeClosed, closes)

    def test_informationalResponsesAreTold(self) -> None:
        exchange = self.ask()
        told: list[tuple[int, bytes | None]] = []
        exchange.notifyInformational(lambda head: told.append((head.status, head.get(b"link"))))
        self.transport.receive(b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n")
        self.assertEqual(told, [(100, None), (103, b"x")])
        self.assertNoResult(self.answer)
        self.transport.receive(EMPTY)
        self.assertEqual((self.successResultOf(self.answer).status, len(told)), (200, 2))

    def test_aKeptConnectionThatIsLostBeforeAnythingCameIsKnown(self) -> None:
        self.assertFalse(self.ask().reused)
        for came, reused in (
            (b"", True),
            (b"H", False),
            (b"HTTP/1.1 100 Go on\r\n\r\n", False),
            (b"nonsense\r\n\r\n", False),
        ):
            self.ask()
            self.transport.receive(EMPTY)
            self.turn()
            exchange = self.ask()
            self.assertTrue(exchange.reused)
            if came:
                self.transport.receive(came)
            self.transport.lose()
            self.failureResultOf(self.answer, HopUnavailable)
            self.assertEqual(exchange.reused, reused, came)
            self.turn()

    def test_nothingOfABodyIsDeliveredBeforeAProtocolIsAttached(self) -> None:
        exchange = self.ask()
        self.transport.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        self.assertTrue(self.transport.paused)
        reader = Reader()
        exchange.attach(reader)
        self.assertEqual(reader.data, b"he")
        self.turn()
        self.transport.receive(b"llo")
        self.assertEqual(reader.data, b"hello")

    def test_aStalledReaderPausesTheServer(self) -> None:
        exchange = self.ask()
        reader = HalfReader()
        exchange.attach(reader)
        self.transport.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        exchange.pauseProducing()
        self.transport.receive(b"hello")
        self.assertTrue(self.transport.paused)
        self.assertEqual(reader.data, b"")
        exchange.resumeProducing()
        self.turn()
        self.assertEqual(reader.data, b"hello")

    def test_whoAttachesAfterTheEndHearsAllOfIt(self) -> None:
        exchange = self.ask()
        self.transport.receive(EMPTY)
        self.turn()
        reader = HalfReader()
        exchange.attach(reader)
        self.assertEqual(reader.ended, 1)
        assert reader.lost is not None
        self.assertIs(reader.lost.type, ConnectionDone)

    def test_aConnectionLostBeforeTheResponseIsAHopUnavailable(self) -> None:
        for end in ("receiveEnd", "lose"):
            exchange = self.ask()
            reader = HalfReader()
            exchange.attach(reader)
            getattr(self.transport, end)()
            self.turn()
            self.failureResultOf(self.answer, HopUnavailable)
            assert reader.lost is not None
            self.assertIs(reader.lost.type, StreamReset)

    def test_aConnectionLostInTheBodyIsAReset(self) -> None:
        for framing in (b"Content-Length: 9", b"Transfer-Encoding: chunked"):
            for end in ("receiveEnd", "lose"):
                exchange = self.ask()
                reader = HalfReader()
                exchange.attach(reader)
                self.transport.receive(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nhello")
                getattr(self.transport, end)()
                self.turn()
                self.successResultOf(self.answer)
                assert reader.lost is not None
                self.assertIs(reader.lost.type, StreamReset)
                self.assertEqual(reader.ended, 0)

    def test_whatIsNoResponseIsAHopUnavailable(self) -> None:
        for wire in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\nA: b\r\n\r\n", b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n"):
            self.ask()
            self.transport.receive(wire)
            self.failureResultOf(self.answer, HopUnavailable)
            self.assertTrue(self.transport.aborted)

    def test_aResponseThatEndsTheConnectionEndsTheRequest(self) -> None:
        exchange = self.ask(POST, end=False)
        reader = HalfReader()
        exchange.attach(reader)
        exchange.write(b"abc")
        self.transport.receive(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.turn()
        exchange.write(b"ignored")
        assert reader.lost is not None
        self.assertIs(reader.lost.type, ConnectionDone)
        self.assertTrue(self.transport.writeClosed)

    def test_whoCancelsTheResponseAbortsTheConnection(self) -> None:
        self.ask()
        self.answer.cancel()
        self.failureResultOf(self.answer, CancelledError)
        self.assertTrue(self.transport.aborted)
        self.turn()
