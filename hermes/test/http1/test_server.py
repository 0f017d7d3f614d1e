"""
Tests for L{hermes.http1.server}: requests and their responses.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import StreamReset
from hermes.http1.server import HTTP1ServerProtocol, ServerExchange
from hermes.interfaces import IBorrowingProtocol, IServerExchange
from hermes.test.http1.memory import HalfReader, Handler, MemoryTransport, Reader
from hermes.test.http1.test_head import HEADS, SMUGGLING
from hermes.values import ANONYMOUS, Identity, RequestHead, ResponseHead

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
OK = ResponseHead(200)


class EchoHandler(Handler):
    """
    Attaches a reader to each exchange and answers with the body once it has ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[EchoReader] = []

    def exchangeReceived(self, exchange: Any) -> None:
        self.exchanges.append(exchange)
        self.readers.append(EchoReader(exchange))
        exchange.attach(self.readers[-1])


class EchoReader(HalfReader):
    """
    Answers with what it read.
    """

    def __init__(self, exchange: Any) -> None:
        super().__init__()
        self.exchange = exchange

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        self.exchange.respond(ResponseHead(200, ((b"x-path", self.exchange.request.path),)))
        self.exchange.write(self.data)
        self.exchange.writeTrailers(self.exchange.trailers)


class ServerCase(SynchronousTestCase):
    """
    A server on a transport in memory.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.handler = Handler()

    def serve(self, handler: Handler | None = None, **options: Any) -> MemoryTransport:
        self.handler = handler or self.handler
        self.server = HTTP1ServerProtocol(self.handler, self.clock, **options)
        transport = MemoryTransport(self.clock)
        transport.attach(self.server)
        return transport

    def turn(self) -> None:
        self.clock.advance(0)


class RequestTests(ServerCase):
    """
    Requests become exchanges.
    """

    def test_itProvidesWhatItSays(self) -> None:
        transport = self.serve()
        self.assertTrue(IBorrowingProtocol.providedBy(self.server))
        transport.receive(GET)
        exchange = self.handler.exchanges[0]
        verifyObject(IServerExchange, exchange)
        self.assertIsInstance(exchange, ServerExchange)
        self.assertEqual(exchange.request, RequestHead(b"GET", b"http", b"a", b"/x"))
        self.assertEqual(exchange.version, "1.1")
        self.assertEqual(exchange.source, ("192.0.2.1", 4321))
        self.assertIs(exchange.identity, ANONYMOUS)

    def test_theIdentityIsTheTransportsOrTheOneGiven(self) -> None:
        relay, alice = Identity(node="relay"), Identity(user="alice")
        for given, expected in ((None, relay), (alice, alice)):
            handler = Handler()
            transport = MemoryTransport(self.clock, relay)
            transport.attach(HTTP1ServerProtocol(handler, self.clock, identity=given))
            transport.receive(GET)
            self.assertEqual(handler.exchanges[0].identity, expected)

    def test_aRequestIsTheSameHoweverItArrives(self) -> None:
        wire = (
            POST
            + b"hello"
            + CHUNKED.replace(b"/x", b"/y")
            + b"3;e\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 1\r\n\r\n"
            + GET.replace(b"/x", b"/z")
        )
        pieces = [[wire], [wire[i : i + 1] for i in range(len(wire))]]
        pieces += [[wire[:cut], wire[cut:]] for cut in range(1, len(wire))]
        expected = None
        for parts in pieces:
            echo = EchoHandler()
            transport = self.serve(echo)
            for part in parts:
                transport.receive(part)
                self.turn()
            self.turn()
            written = transport.takeWritten()
            expected = expected or written
            self.assertEqual(written, expected)
            self.assertEqual([reader.ended for reader in echo.readers], [1, 1, 1])
            self.assertEqual([reader.lost and reader.lost.type for reader in echo.readers], [ConnectionDone] * 3)
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-path: /%s\r\n\r\n"
        self.assertEqual(
            expected,
            head % b"x"
            + b"5\r\nhello\r\n0\r\n\r\n"
            + head % b"y"
            + b"7\r\nabcdefg\r\n0\r\nx-sum: 1\r\n\r\n"
            + head % b"z"
            + b"0\r\n\r\n",
        )

    def test_pipelinedRequestsAreHandledOneAtATime(self) -> None:
        transport = self.serve()
        transport.receive(GET + GET.replace(b"/x", b"/y") + GET.replace(b"/x", b"/z"))
        self.assertEqual(len(self.handler.exchanges), 1)
        self.assertTrue(transport.paused)
        self.handler.exchanges[0].respond(OK, end=True)
        self.assertEqual([e.request.path for e in self.handler.exchanges], [b"/x", b"/y"])
        self.assertTrue(transport.paused)
        self.handler.exchanges[1].respond(OK, end=True)
        self.handler.exchanges[2].respond(OK, end=True)
        self.assertFalse(transport.paused)
        self.assertEqual(transport.takeWritten(), EMPTY * 3)

    def test_aClientThatLeavesWhileItsRequestIsHandledIsNoticed(self) -> None:
        transport = self.serve()
        lost: list[Failure] = []
        transport.receive(GET)
        self.assertFalse(transport.paused)
        self.handler.exchanges[0].notifyLost(lost.append)
        transport.lose()
        self.assertEqual([reason.type for reason in lost], [ConnectionLost])
        late: list[Failure] = []
        self.handler.exchanges[0].notifyLost(late.append)
        self.assertEqual(late, lost)
        self.handler.exchanges[0].respond(OK, end=True)
        reader = Reader()
        self.handler.exchanges[0].attach(reader)
        assert reader.lost is not None
        self.assertIs(reader.lost.type, ConnectionLost)

    def test_attachedTheProtocolAloneHearsOfTheEnd(self) -> None:
        transport = self.serve()
        lost: list[Failure] = []
        transport.receive(POST)
        self.handler.exchanges[0].notifyLost(lost.append)
        reader = HalfReader()
        self.handler.exchanges[0].attach(reader)
        transport.lose()
        self.assertEqual(lost, [])
        assert reader.lost is not None
        self.assertIs(reader.lost.type, ConnectionLost)

    def test_aClientThatHasEndedItsDirectionIsAnswered(self) -> None:
        transport = self.serve()
        transport.receive(GET)
        transport.receiveEnd()
        self.handler.exchanges[0].respond(ResponseHead(200, ((b"content-length", b"2"),)))
        self.handler.exchanges[0].write(b"hi")
        self.handler.exchanges[0].loseWriteConnection()
        self.turn()
        self.assertTrue(transport.takeWritten().endswith(b"hi"))
        self.assertTrue(transport.disconnected)

    def test_whatIsMalformedIsAnsweredAndTheConnectionClosed(self) -> None:
        cases = {name: (b"POST / HTTP/1.1\r\nHost: a\r\n" + part + b"\r\n", s) for name, (part, s) in SMUGGLING.items()}
        for name, (wire, status) in {**cases, **HEADS}.items():
            for step in (len(wire) + 30, 1):
                transport = self.serve()
                data = wire + b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
                for start in range(0, len(data), step):
                    transport.receive(data[start : start + step])
                written = transport.takeWritten()
                self.assertTrue(written.startswith(b"HTTP/1.1 %d " % status), (name, written))
                self.assertIn(b"connection: close\r\n", written)
                self.assertEqual(self.handler.exchanges, [], name)
                self.assertTrue(transport.writeClosed)

    def test_aLineThatEndsInABareLFIsRefusedBeforeTheHeadIsComplete(self) -> None:
        transport = self.serve()
        transport.receive(b"GET / HTTP/1.1\n")
        self.assertTrue(transport.takeWritten().startswith(b"HTTP/1.1 400 "))

    def test_aHeadIsBounded(self) -> None:
        transport = self.serve()
        transport.receive(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        for _ in range(40):
            transport.receive(b"x" * 1024)
        self.assertTrue(transport.takeWritten().startswith(b"HTTP/1.1 431 "))
        self.assertEqual(self.handler.exchanges, [])

    def test_aHandlerThatFailsIsA500(self) -> None:
        class Failing(Handler):
            def exchangeReceived(self, exchange: object) -> None:
                raise ValueError("no")

        transport = self.serve(Failing())
        transport.receive(GET + GET)
        self.assertEqual(transport.takeWritten().count(b"HTTP/1.1 500 "), 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_aTransportOfTwistedsOwnServesToo(self) -> None:
        transport = StringTransport()
        server = HTTP1ServerProtocol(EchoHandler(), self.clock)
        server.makeConnection(transport)
        server.dataReceived(POST + b"hel")
        server.dataReceived(b"lo")
        self.assertIn(b"hello", transport.value())


class ResponseTests(ServerCase):
    """
    How responses are framed.
    """

    def exchange(self, wire: bytes = GET) -> Any:
        self.transport = self.serve()
        self.transport.receive(wire)
        return self.handler.exchanges[-1]

    def test_aBodyOfKnownLength(self) -> None:
        exchange = self.exchange()
        exchange.respond(ResponseHead(200, ((b"content-length", b"4"), (b"a", b"b"))))
        exchange.write(b"ab")
        exchange.writeSequence([b"c", memoryview(b"d")])
        exchange.loseWriteConnection()
        self.assertEqual(self.transport.takeWritten(), b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\na: b\r\n\r\nabcd")

    def test_aBodyOfUnknownLengthGoesInChunksWithTrailers(self) -> None:
        exchange = self.exchange()
        exchange.respond(OK)
        exchange.write(b"ab")
        exchange.write(b"")
        exchange.writeSequence([b"c", b"d"])
        exchange.writeTrailers(((b"x-sum", b"1"),))
        self.assertEqual(
            self.transport.takeWritten(),
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\nx-sum: 1\r\n\r\n",
        )

    def test_toHTTP10TheEndOfTheConnectionEndsTheBody(self) -> None:
        exchange = self.exchange(b"GET / HTTP/1.0\r\n\r\n")
        exchange.respond(ResponseHead(103))
        exchange.respond(OK)
        exchange.write(b"ab")
        exchange.writeTrailers(((b"x-sum", b"1"),))
        self.assertEqual(self.transport.takeWritten(), b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nab")
        self.assertTrue(self.transport.writeClosed)

    def test_someResponsesHaveNoBody(self) -> None:
        for wire, status in ((GET.replace(b"GET", b"HEAD"), 200), (GET, 204), (GET, 304)):
            exchange = self.exchange(wire)
            exchange.respond(ResponseHead(status, ((b"content-length", b"9"),)))
            exchange.write(b"ignored")
            exchange.loseWriteConnection()
            written = self.transport.takeWritten()
            self.assertTrue(written.endswith(b"\r\n\r\n"), written)
            self.assertEqual(b"content-length" in written, status != 204)
            self.transport.receive(GET)
            self.assertEqual(len(self.handler.exchanges), 2)
            self.handler.exchanges.clear()

    def test_fieldsForOneHopAreOurs(self) -> None:
        exchange = self.exchange()
        exchange.respond(
            ResponseHead(200, ((b"connection", b"x"), (b"transfer-encoding", b"gzip"), (b"upgrade", b"y"))), end=True
        )
        self.assertEqual(self.transport.takeWritten(), EMPTY)

    def test_headsBeforeTheFinalOne(self) -> None:
        exchange = self.exchange()
        exchange.respond(ResponseHead(103, ((b"link", b"</a>"),)))
        exchange.respond(OK, end=True)
        self.assertEqual(self.transport.takeWritten(), b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + EMPTY)

    def test_aBodyThatIsNotAsAnnouncedIsNeverTakenForComplete(self) -> None:
        for data in (b"abc", b"abcdefg"):
            exchange = self.exchange()
            exchange.respond(ResponseHead(200, ((b"content-length", b"5"),)))
            exchange.write(data)
            exchange.loseWriteConnection()
            self.assertTrue(self.transport.aborted)

    def test_aResponseThatCantBeWrittenIsNotWritten(self) -> None:
        exchange = self.exchange()
        exchange.respond(ResponseHead(200, ((b"a", b"b\r\nc: d"),)), end=True)
        self.assertEqual(self.transport.takeWritten(), b"")
        self.assertTrue(self.transport.aborted)

    def test_theHeadComesBeforeTheBodyAndOnce(self) -> None:
        exchange = self.exchange()
        self.assertRaises(RuntimeError, exchange.write, b"x")
        exchange.respond(OK)
        self.assertRaises(RuntimeError, exchange.respond, OK)

    def test_aResetIsAnAbort(self) -> None:
        exchange = self.exchange()
        reader = HalfReader()
        exchange.attach(reader)
        exchange.reset(0x2)
        exchange.respond(OK, end=True)
        self.turn()
        self.assertEqual(self.transport.takeWritten(), b"")
        assert reader.lost is not None
        self.assertEqual(reader.lost.check(StreamReset), StreamReset)
        self.assertEqual(reader.lost.value.code, 0x2)  # type: ignore[union-attr]

    def test_closedWithoutAnAnswerIsAnAbort(self) -> None:
        self.exchange().loseConnection()
        self.assertTrue(self.transport.aborted)
