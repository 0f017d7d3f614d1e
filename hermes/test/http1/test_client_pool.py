"""
Tests for L{hermes.http1.client}: connections that wait for the next exchange.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError

from hermes.errors import HopUnavailable, NameNotFound, Overloaded, ShuttingDown, TargetRefused
from hermes.http1.client import ConnectionLimits, HTTP1Client
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
        self.client = HTTP1Client(self.endpoint, self.clock, bounds=ConnectionLimits(idle=2))
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


class BoundTests(ClientCase):
    """
    Bounds of the connections, and of those who wait for one.
    """

    def setUp(self) -> None:
        super().setUp()
        self.bounded(connections=2, pending=2)

    def bounded(self, **bounds: Any) -> None:
        self.client = HTTP1Client(self.endpoint, self.clock, bounds=ConnectionLimits(**bounds))

    def test_requestsWaitInOrderForAConnection(self) -> None:
        self.ask()
        self.ask()
        waiting = [self.client.exchange(GET, True) for _ in range(2)]
        self.turn()
        self.assertEqual((2, 2), (len(self.endpoint.transports), self.client.pending))
        for transport, each in zip(self.endpoint.transports, waiting, strict=True):
            self.assertNoResult(each)
            transport.receive(EMPTY)
            self.successResultOf(each)
        self.assertEqual((2, 0), (self.client.size, self.client.pending))

    def test_noMoreWaitThanAllowed(self) -> None:
        for _ in range(4):
            self.client.exchange(GET, True)
        self.failureResultOf(self.client.exchange(GET, True), Overloaded)

    def test_whoWaitsGetsANewConnectionWhereOneEnds(self) -> None:
        self.ask()
        self.ask()
        waiting = self.client.exchange(GET, True)
        self.transport.receive(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.transport.receiveEnd()
        self.turn()
        self.successResultOf(waiting)
        self.assertEqual(3, len(self.endpoint.transports))

    def test_whoseConnectionFailsDoesNotHoldUpTheOthers(self) -> None:
        self.bounded(connections=1, pending=2)
        self.endpoint.error = TargetRefused("no")
        waiting = [self.client.exchange(GET, True) for _ in range(3)]
        self.turn()
        for each in waiting:
            self.failureResultOf(each, TargetRefused)
        self.endpoint.error = None
        self.ask()

    def test_cancellingTakesTheRequestOutOfTheLine(self) -> None:
        self.ask()
        self.ask()
        waiting = [self.client.exchange(GET, True) for _ in range(2)]
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        self.transport.receive(EMPTY)
        self.successResultOf(waiting[1])

    def test_cancellingGivesUpTheConnectionThatIsBeingMade(self) -> None:
        self.bounded(connections=1, pending=2)
        self.ask()
        waiting = self.client.exchange(GET, True)
        self.transport.lose()
        self.failureResultOf(self.answer, HopUnavailable)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.turn()
        self.assertEqual((1, 0), (len(self.endpoint.transports), self.client.pending))
        self.ask()

    def test_closingRefusesThoseWhoWait(self) -> None:
        self.ask()
        self.ask()
        waiting = self.client.exchange(GET, True)
        self.client.close()
        self.failureResultOf(waiting, ShuttingDown)

    def test_anOldConnectionTakesNoFurtherRequest(self) -> None:
        self.bounded(age=10.0)
        for _ in range(3):
            self.ask()
            self.clock.advance(4)
            self.transport.receive(EMPTY)
            self.turn()
        self.assertEqual(1, len(self.endpoint.transports))
        self.assertTrue(self.transport.writeClosed)
        self.ask()
        self.assertEqual(2, len(self.endpoint.transports))

    def test_connectionsAreMadeInAdvance(self) -> None:
        self.bounded(connections=3, idle=3)
        self.client.warm(2)
        self.turn()
        self.assertEqual((2, 2), (len(self.endpoint.transports), self.client.size))
        self.ask()
        self.client.warm(2)
        self.turn()
        self.assertEqual(2, len(self.endpoint.transports))
        self.client.warm(9)
        self.turn()
        self.assertEqual(3, self.client.size)

    def test_whatFailsInAdvanceHarmsNobody(self) -> None:
        self.endpoint.error = TargetRefused("no")
        self.client.warm(2)
        self.turn()
        self.endpoint.error = None
        self.ask()
        self.assertEqual(1, self.client.size)

    def test_noTimerIsLeftWhereNothingIsIdle(self) -> None:
        self.ask()
        self.transport.receive(EMPTY)
        self.turn()
        self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.transport.lose()
        self.assertEqual([], self.clock.getDelayedCalls())
