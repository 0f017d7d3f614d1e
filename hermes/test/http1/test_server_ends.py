"""
Tests for L{hermes.http1.server}: when a connection ends.
"""

from __future__ import annotations

from hermes.http1.limits import Limits
from hermes.test.http1.memory import Handler
from hermes.test.http1.test_server import GET, OK, POST, EchoHandler, ServerCase


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

    def test_aClientThatEndsItsDirectionIsWaitedWithForAWhile(self) -> None:
        transport = self.serve(limits=Limits(goneTime=20))
        transport.receive(GET)
        transport.receiveEnd()
        self.clock.advance(19)
        self.assertFalse(transport.aborted)
        self.clock.advance(1)
        self.assertTrue(transport.aborted)

    def test_oneThatIsAnsweredInTimeGetsItsAnswer(self) -> None:
        transport = self.serve(limits=Limits(goneTime=20))
        transport.receive(GET)
        transport.receiveEnd()
        self.clock.advance(19)
        self.handler.exchanges[0].respond(OK, end=True)
        self.assertIn(b"HTTP/1.1 200", transport.takeWritten())
        self.clock.advance(20)
        self.assertEqual(self.clock.getDelayedCalls(), [])

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
