"""
Tests for L{hermes.http1.server}: request bodies and who reads them.
"""

from __future__ import annotations

from typing import Any

from hermes.errors import StreamReset
from hermes.test.http1.memory import HalfReader, Handler, Reader
from hermes.test.http1.test_server import CHUNKED, EMPTY, GET, OK, POST, EchoHandler, ServerCase
from hermes.values import ResponseHead


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

    def test_aReaderThatClosesIsReadFor(self) -> None:
        transport = self.serve()
        transport.receive(POST)
        exchange = self.handler.exchanges[0]
        reader = HalfReader()
        exchange.attach(reader)
        exchange.respond(OK)
        exchange.loseConnection()
        exchange.pauseProducing()
        transport.receive(b"hello" + GET)
        self.turn()
        self.assertEqual(reader.data, b"")
        self.assertIsNotNone(reader.lost)
        self.assertEqual(len(self.handler.exchanges), 2)

    def test_whatIsAskedOfAnExchangeThatEndedIsNotDoneToTheNext(self) -> None:
        transport = self.serve()
        transport.receive(GET + GET)
        first = self.handler.exchanges[0]
        first.respond(OK, end=True)
        for _ in range(2):
            first.reset(0x2)
            first.abortConnection()
            first.loseConnection()
            first.pauseProducing()
            first.resumeProducing()
            first.write(b"x")
            self.turn()
        self.assertFalse(transport.aborted or transport.paused)
        self.handler.exchanges[1].respond(OK, end=True)
        self.assertEqual(transport.takeWritten(), EMPTY * 2)

    def test_anEndThatTheRequestCausesFreesTheProducer(self) -> None:
        transport = self.serve()
        transport.receive(CHUNKED)
        exchange = self.handler.exchanges[0]
        exchange.attach(HalfReader())
        exchange.registerProducer(Reader(), True)
        transport.receive(b"zz\r\n")
        self.assertIsNone(transport.producer)
