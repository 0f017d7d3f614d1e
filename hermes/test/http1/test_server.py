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
from hermes.http1.limits import Limits
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

    def exchangeReceived(self, exchange: Any) -> None:
        self.exchanges.append(exchange)
        exchange.attach(EchoReader(exchange))


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
            transport = self.serve(EchoHandler())
            for part in parts:
                transport.receive(part)
                self.turn()
            self.turn()
            written = transport.takeWritten()
            expected = expected or written
            self.assertEqual(written, expected)
            self.assertEqual([e.protocol.ended for e in self.handler.exchanges], [1, 1, 1])
            self.assertEqual([e.protocol.lost.type for e in self.handler.exchanges], [ConnectionDone] * 3)
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


class BodyTests(ServerCase):
    """
    Request bodies and who reads them.
    """

    def test_nothingOfABodyIsDeliveredBeforeAProtocolIsAttached(self) -> None:
        transport = self.serve()
        transport.receive(POST + b"he")
        self.assertTrue(transport.paused)
        reader = HalfReader()
        self.handler.exchanges[0].attach(reader)
        self.assertEqual(reader.data, b"he")
        self.assertFalse(transport.paused)
        transport.receive(b"llo")
        self.assertEqual((reader.data, reader.ended), (b"hello", 1))

    def test_aStalledReaderPausesTheSender(self) -> None:
        transport = self.serve()
        transport.receive(POST)
        exchange = self.handler.exchanges[0]
        reader = HalfReader()
        exchange.attach(reader)
        exchange.pauseProducing()
        self.assertTrue(transport.paused)
        transport.receive(b"hello")
        self.assertEqual(reader.data, b"")
        exchange.resumeProducing()
        self.turn()
        self.assertEqual((reader.data, reader.ended), (b"hello", 1))

    def test_aReaderThatPausesInTheMiddleOfAReadGetsTheRestLater(self) -> None:
        class Pausing(HalfReader):
            def dataReceived(self, data: Any) -> None:
                super().dataReceived(data)
                self.transport.pauseProducing()  # type: ignore[union-attr]

        transport = self.serve()
        reader = Pausing()
        transport.receive(CHUNKED + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
        exchange = self.handler.exchanges[0]
        exchange.attach(reader)
        self.assertEqual((reader.data, reader.ended), (b"a", 0))
        exchange.resumeProducing()
        self.assertEqual((reader.data, reader.ended), (b"ab", 0))
        exchange.resumeProducing()
        self.assertEqual((reader.data, reader.ended), (b"ab", 1))

    def test_aStalledClientPausesTheProducer(self) -> None:
        transport = self.serve()
        transport.receive(GET)
        exchange = self.handler.exchanges[0]
        producer = Reader()
        exchange.registerProducer(producer, True)
        self.assertIs(transport.producer, producer)
        exchange.respond(OK)
        exchange.loseWriteConnection()
        self.assertIsNone(transport.producer)

    def test_aProducerForABodyThatHasEndedIsNotRegistered(self) -> None:
        transport = self.serve()
        transport.receive(GET.replace(b"GET", b"HEAD"))
        exchange = self.handler.exchanges[0]
        exchange.respond(OK)
        exchange.registerProducer(Reader(), True)
        exchange.unregisterProducer()
        self.assertIsNone(transport.producer)

    def test_bytesOfAReaderThatIsNoBorrowerAreItsOwn(self) -> None:
        transport = self.serve()
        transport.receive(POST)
        reader = Reader()
        self.handler.exchanges[0].attach(reader)
        transport.receive(b"hello")
        self.assertEqual(reader.data, b"hello")

    def test_aReaderThatFailsEndsItsExchange(self) -> None:
        class Failing(Reader):
            def dataReceived(self, data: bytes) -> None:
                raise ValueError("no")

        transport = self.serve()
        transport.receive(POST)
        self.handler.exchanges[0].attach(Failing())
        transport.receive(b"hello")
        self.assertTrue(transport.aborted)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_theClientIsToldToContinueOnceItsBodyIsWanted(self) -> None:
        transport = self.serve()
        transport.receive(POST.replace(b"Host", b"Expect: 100-continue\r\nHost"))
        self.assertEqual(transport.takeWritten(), b"")
        reader = HalfReader()
        self.handler.exchanges[0].attach(reader)
        self.assertEqual(transport.takeWritten(), b"HTTP/1.1 100 Continue\r\n\r\n")
        transport.receive(b"hello")
        self.handler.exchanges[0].respond(OK, end=True)
        self.assertEqual(transport.takeWritten(), EMPTY)

    def test_aClientThatDidNotWaitIsNotToldToContinue(self) -> None:
        transport = self.serve(EchoHandler())
        transport.receive(POST.replace(b"Host", b"Expect: 100-continue\r\nHost") + b"hello")
        self.assertNotIn(b" 100 ", transport.takeWritten())

    def test_anAnswerInPlaceOf100EndsTheConnection(self) -> None:
        transport = self.serve(Handler(ResponseHead(417)))
        transport.receive(POST.replace(b"Host", b"Expect: 100-continue\r\nHost"))
        self.assertIn(b"connection: close\r\n", transport.takeWritten())

    def test_aBodyThatNobodyReadsIsReadAwayAndTheConnectionGoesOn(self) -> None:
        transport = self.serve(Handler(OK))
        transport.receive(POST + b"hello" + GET + CHUNKED + b"5\r\nhello\r\n")
        transport.receive(b"0\r\n\r\n" + GET)
        self.assertEqual(transport.takeWritten(), EMPTY * 4)

    def test_aLongBodyThatNobodyReadsEndsTheConnection(self) -> None:
        transport = self.serve(Handler(OK))
        transport.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nxx")
        self.assertIn(b"connection: close\r\n", transport.takeWritten())
        chunks = self.serve(Handler(OK))
        chunks.receive(CHUNKED)
        for _ in range(5):
            chunks.receive(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        self.assertTrue(chunks.writeClosed)

    def test_aSlowBodyThatNobodyReadsEndsTheConnection(self) -> None:
        transport = self.serve(Handler(OK))
        transport.receive(POST + b"h")
        self.clock.advance(2)
        self.assertTrue(transport.writeClosed)

    def test_aBodyThatIsMalformedEndsTheExchange(self) -> None:
        transport = self.serve()
        transport.receive(CHUNKED)
        reader = HalfReader()
        self.handler.exchanges[0].attach(reader)
        transport.receive(b"zz\r\n")
        self.assertTrue(transport.takeWritten().startswith(b"HTTP/1.1 400 "))
        assert reader.lost is not None
        self.assertEqual(reader.lost.value.code, 0x1)  # type: ignore[union-attr]
        self.assertEqual(reader.ended, 0)

    def test_aBodyThatIsMalformedAfterTheResponseBeganIsAnAbort(self) -> None:
        transport = self.serve()
        transport.receive(CHUNKED)
        self.handler.exchanges[0].attach(HalfReader())
        self.handler.exchanges[0].respond(OK)
        transport.receive(b"zz\r\n")
        self.assertTrue(transport.aborted)

    def test_aBodyThatIsCutOffIsNotComplete(self) -> None:
        transport = self.serve()
        transport.receive(POST + b"he")
        reader = HalfReader()
        self.handler.exchanges[0].attach(reader)
        transport.receiveEnd()
        assert reader.lost is not None
        self.assertEqual(reader.ended, 0)
        self.assertTrue(reader.lost.check(StreamReset))

    def test_aResponseMayEndBeforeItsRequest(self) -> None:
        transport = self.serve()
        transport.receive(POST)
        reader = HalfReader()
        self.handler.exchanges[0].attach(reader)
        self.handler.exchanges[0].respond(OK, end=True)
        self.turn()
        self.assertIsNone(reader.lost)
        transport.receive(b"hello")
        self.turn()
        self.assertEqual((reader.data, reader.ended), (b"hello", 1))
        self.assertIsNotNone(reader.lost)


class EndTests(ServerCase):
    """
    When a connection ends.
    """

    def test_aRequestThatTakesTooLongIsAnswered408(self) -> None:
        transport = self.serve()
        for _ in range(11):
            self.clock.advance(1)
            transport.receive(b"G" if _ == 0 else b"")
        self.assertTrue(transport.takeWritten().startswith(b"HTTP/1.1 408 "))

    def test_aConnectionWithoutARequestIsClosed(self) -> None:
        transport = self.serve()
        self.clock.advance(10)
        self.assertTrue(transport.writeClosed)
        self.assertEqual(transport.takeWritten(), b"")

    def test_anIdleConnectionIsClosed(self) -> None:
        transport = self.serve(Handler(OK))
        transport.receive(GET)
        self.clock.advance(59)
        self.assertFalse(transport.writeClosed)
        self.clock.advance(1)
        self.assertTrue(transport.writeClosed)

    def test_aRequestOnAnIdleConnectionHasTheTimeOfARequest(self) -> None:
        transport = self.serve(Handler(OK))
        transport.receive(GET)
        self.clock.advance(55)
        transport.takeWritten()
        transport.receive(b"GET")
        self.clock.advance(9)
        self.assertFalse(transport.writeClosed)
        self.clock.advance(1)
        self.assertTrue(transport.takeWritten().startswith(b"HTTP/1.1 408 "))

    def test_aSlowAnswerIsNoTimeout(self) -> None:
        transport = self.serve()
        transport.receive(GET)
        self.clock.advance(1000)
        self.assertFalse(transport.writeClosed)

    def test_aConnectionThatWeEndWaitsForThePeerToEndIt(self) -> None:
        transport = self.serve(Handler(OK))
        transport.receive(GET.replace(b"Host", b"Connection: close\r\nHost"))
        self.assertTrue(transport.writeClosed)
        self.assertFalse(transport.closing or transport.disconnected)
        transport.receive(b"whatever it still sends is read away")
        self.assertEqual(len(self.handler.exchanges), 1)
        transport.receiveEnd()
        self.turn()
        self.assertTrue(transport.disconnected)
        self.assertFalse(transport.aborted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aPeerThatDoesNotEndItIsNotWaitedForLong(self) -> None:
        transport = self.serve(Handler(OK), limits=Limits(lingerTime=3))
        transport.receive(GET.replace(b"Host", b"Connection: close\r\nHost"))
        self.clock.advance(2)
        self.assertFalse(transport.aborted)
        self.clock.advance(1)
        self.assertTrue(transport.aborted)

    def test_drainingAnIdleConnectionClosesIt(self) -> None:
        transport = self.serve(Handler(OK))
        transport.receive(GET)
        self.server.drain()
        self.assertTrue(transport.writeClosed)

    def test_drainingABusyConnectionAnswersFirst(self) -> None:
        transport = self.serve()
        transport.receive(GET + GET)
        self.server.drain()
        self.assertFalse(transport.writeClosed)
        self.handler.exchanges[0].respond(OK, end=True)
        written = transport.takeWritten()
        self.assertIn(b"connection: close\r\n", written)
        self.assertEqual(written.count(b"HTTP/1.1 200"), 1)
        self.assertTrue(transport.writeClosed)

    def test_whoWatchesTheConnectionHearsOfItsEndOnce(self) -> None:
        finished: list[object] = []
        transport = self.serve()
        self.server.finished = finished.append
        transport.receive(GET)
        self.server.abort()
        self.turn()
        self.assertEqual(finished, [self.server])

    def test_nothingIsLeftBehind(self) -> None:
        transport = self.serve(EchoHandler())
        transport.receive(POST + b"hello" + POST + b"he")
        self.turn()
        transport.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])
