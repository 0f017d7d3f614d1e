"""
Tests for L{hermes.http1.client}: connections that wait for the next exchange.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError

from hermes.errors import HopUnavailable, NameNotFound, ShuttingDown
from hermes.http1.client import HTTP1Client
from hermes.test.http1.test_client import EMPTY, GET, ClientCase


class PoolTests(ClientCase):
    """
    Connections wait for the next exchange.
    """

    def finish(self, wire: bytes = EMPTY) -> None:
        self.ask()
        self.transport.receive(wire)
        self.turn()

    def test_aConnectionIsUsedAgain(self) -> None:
        for _ in range(3):
            self.finish()
        self.assertEqual(len(self.endpoint.transports), 1)

    def test_exchangesAtOnceHaveAConnectionEach(self) -> None:
        self.ask()
        self.ask()
        self.assertEqual(len(self.endpoint.transports), 2)

    def test_aBodyThatNobodyWantsIsReadAway(self) -> None:
        exchange = self.ask()
        self.transport.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        exchange.loseConnection()
        self.turn()
        self.transport.receive(b"llo")
        self.turn()
        self.finish()
        self.assertEqual(len(self.endpoint.transports), 1)

    def test_aLongBodyThatNobodyWantsEndsTheConnection(self) -> None:
        exchange = self.ask()
        self.transport.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        exchange.loseConnection()
        self.transport.receive(b"x" * 300_000)
        self.assertTrue(self.transport.aborted)

    def test_aSlowBodyThatNobodyWantsEndsTheConnection(self) -> None:
        exchange = self.ask()
        self.transport.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        exchange.loseConnection()
        self.clock.advance(2)
        self.assertTrue(self.transport.aborted)

    def test_aConnectionThatEndsIsNotUsedAgain(self) -> None:
        self.finish(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.finish()
        self.transport.receiveEnd()
        self.finish()
        self.transport.lose()
        self.finish()
        self.assertEqual(len(self.endpoint.transports), 4)

    def test_aConnectionThatSaysMoreThanItWasAskedIsNotUsedAgain(self) -> None:
        self.finish(EMPTY + b"HTTP/1.1 200 OK\r\n")
        self.assertTrue(self.transport.writeClosed)
        self.finish()
        self.transport.receive(b"HTTP/1.1 200 Unasked\r\n\r\n")
        self.assertTrue(self.transport.writeClosed)
        self.finish()
        self.assertEqual(len(self.endpoint.transports), 3)

    def test_anIdleConnectionIsClosedAfterATime(self) -> None:
        self.finish()
        self.clock.advance(29)
        self.assertFalse(self.transport.writeClosed)
        self.clock.advance(1)
        self.assertTrue(self.transport.writeClosed)
        self.finish()
        self.assertEqual(len(self.endpoint.transports), 2)

    def test_idleConnectionsAreBounded(self) -> None:
        self.client = HTTP1Client(self.endpoint, self.clock, maxIdle=2)
        for _ in range(3):
            self.ask()
        for transport in self.endpoint.transports:
            transport.receive(EMPTY)
        self.assertEqual([transport.writeClosed for transport in self.endpoint.transports], [False, False, True])

    def test_closeWaitsForWhatIsUnderWay(self) -> None:
        self.finish()
        self.ask()
        busy = self.transport
        self.ask()
        self.transport.receive(EMPTY)
        idle = self.transport
        closed = self.client.close()
        self.assertEqual((busy.writeClosed, idle.writeClosed), (False, True))
        busy.receive(EMPTY)
        self.assertTrue(busy.writeClosed)
        self.assertNoResult(closed)
        for transport in self.endpoint.transports:
            transport.receiveEnd()
        self.turn()
        self.successResultOf(closed)
        self.successResultOf(self.client.close())
        self.failureResultOf(self.client.exchange(GET, True), ShuttingDown)

    def test_aConnectionThatComesAfterTheCloseIsClosed(self) -> None:
        opening = self.client.exchange(GET, True)
        self.client.close()
        self.turn()
        self.failureResultOf(opening, ShuttingDown)
        self.assertTrue(self.endpoint.transports[0].writeClosed)

    def test_abortEndsWhatIsUnderWay(self) -> None:
        self.ask()
        self.client.abort()
        self.turn()
        self.failureResultOf(self.answer, HopUnavailable)

    def test_noConnectionIsAHopUnavailable(self) -> None:
        self.endpoint.error = ConnectionRefusedError()
        self.failureResultOf(self.client.exchange(GET), HopUnavailable)
        self.endpoint.error = NameNotFound("nowhere")
        self.failureResultOf(self.client.exchange(GET), NameNotFound)

    def test_whoCancelsTheExchangeCancelsTheConnecting(self) -> None:
        opening = self.client.exchange(GET)
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.turn()
        self.assertEqual(self.endpoint.transports, [])
