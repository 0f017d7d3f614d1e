"""
What an HTTP/2 connection writes in a turn of the reactor.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.http2.output import MAX_GATHERED
from hermes.test.http2.raw import (
    DATA,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    RST_STREAM,
    RawClient,
    RawServer,
    headers,
    ping,
    settings,
    windowUpdate,
)
from hermes.test.turns import TurningClock
from hermes.values import RequestHead, ResponseHead

SMALL = 8 << 10
HEAD = RequestHead(b"POST", b"http", b"a.example", b"/")


class Turned(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = TurningClock()
        self.peer = RawClient(clock=self.clock)
        self.writes()

    def ask(self, streamID: int = 1, window: int = 0) -> Any:
        """
        A request, which waits for its answer.
        """
        self.peer.send(headers(streamID, GET, end=True))
        if window:
            self.peer.send(windowUpdate(streamID, window))
        self.writes()
        return self.peer.handler.exchanges[-1]

    def writes(self) -> int:
        """
        How many writes there were since; what was written is read.
        """
        count = len(self.peer.wire.out)
        self.peer.frames.clear()
        self.peer.read()
        return count

    def endTurn(self) -> int:
        self.clock.endTurn()
        return self.writes()

    @property
    def kinds(self) -> list[tuple[int, int, bool]]:
        """
        Stream, type and end of each frame that was written.
        """
        return [(each.streamID, each.kind, bool(each.flags & END_STREAM)) for each in self.peer.frames]


class WriteTests(Turned):
    def test_aWholeResponseIsOneWriteOfTwoFrames(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(b"answer")
        exchange.loseConnection()
        self.assertEqual(self.writes(), 0)
        self.assertEqual(self.endTurn(), 1)
        self.assertEqual(self.kinds, [(1, HEADERS, False), (1, DATA, True)])
        self.assertEqual(self.peer.bodyOf(), b"answer")
        self.assertEqual(self.endTurn(), 0)

    def test_soAreManyOfOneTurn(self) -> None:
        exchanges = [self.ask(streamID) for streamID in (1, 3, 5)]
        for exchange in exchanges:
            exchange.respond(ResponseHead(200))
            exchange.write(b"answer")
        for exchange in exchanges:
            exchange.loseConnection()
        self.assertEqual(self.endTurn(), 1)
        for streamID in (1, 3, 5):
            self.assertEqual(self.peer.bodyOf(streamID), b"answer")
        ends = [streamID for streamID, _, ended in self.kinds if ended]
        self.assertEqual(ends, [1, 3, 5])

    def test_theEndIsOnTheLastFrameOnlyWhereNothingFollowedIt(self) -> None:
        first, second = self.ask(1), self.ask(3)
        first.respond(ResponseHead(200))
        first.write(b"one")
        second.respond(ResponseHead(200))
        first.loseConnection()
        second.write(b"two")
        second.write(b"three")
        second.loseConnection()
        self.endTurn()
        self.assertEqual(
            self.kinds,
            [
                *((1, HEADERS, False), (1, DATA, False), (3, HEADERS, False), (1, DATA, True)),
                *((3, DATA, False), (3, DATA, True)),
            ],
        )
        self.assertEqual((self.peer.bodyOf(1), self.peer.bodyOf(3)), (b"one", b"twothree"))

    def test_theEndOfALaterTurnIsAFrameOfItsOwn(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(b"answer")
        self.endTurn()
        self.assertEqual(self.kinds, [(1, HEADERS, False), (1, DATA, False)])
        exchange.loseConnection()
        self.endTurn()
        self.assertEqual(self.kinds, [(1, DATA, True)])
        self.assertEqual(self.peer.bodyOf(), b"")

    def test_trailersAreTheEnd(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(b"answer")
        exchange.writeTrailers(((b"sum", b"1"),))
        self.endTurn()
        self.assertEqual(self.kinds, [(1, HEADERS, False), (1, DATA, False), (1, HEADERS, True)])

    def test_aResetFollowsWhatWasWritten(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(b"half")
        exchange.reset(2)
        self.endTurn()
        self.assertEqual(
            self.kinds, [(1, HEADERS, False), (1, DATA, False), (1, RST_STREAM, True)][:2] + self.kinds[2:]
        )
        self.assertEqual([kind for _, kind, _ in self.kinds], [HEADERS, DATA, RST_STREAM])
        self.assertFalse(any(each.flags & END_STREAM for each in self.peer.of(DATA)))

    def test_whatIsLargeIsNotCopiedBehindAHead(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(bytes(SMALL + 1))
        self.assertEqual(self.writes(), 2)
        self.assertEqual(self.kinds, [(1, HEADERS, False), (1, DATA, False)])
        self.assertEqual(len(self.peer.bodyOf()), SMALL + 1)

    def test_whatIsWrittenIsACopy(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        lent = bytearray(b"lent")
        exchange.write(memoryview(lent))
        lent[:] = b"!!!!"
        self.endTurn()
        self.assertEqual(self.peer.bodyOf(), b"lent")

    def test_theWindowIsCountedDown(self) -> None:
        self.peer.send(settings((INITIAL_WINDOW_SIZE, 10)))
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(b"x" * 6)
        exchange.write(b"y" * 6)
        exchange.loseConnection()
        self.endTurn()
        self.assertEqual(self.peer.bodyOf(), b"xxxxxxyyyy")
        self.peer.frames.clear()
        self.peer.send(windowUpdate(1, 10))
        self.clock.endTurn()
        self.peer.read()
        self.assertEqual((self.peer.bodyOf(), self.kinds[-1]), (b"yy", (1, DATA, True)))

    def test_onlySoMuchIsGathered(self) -> None:
        # Heads and bodies of many streams in one turn, and the peer is heard in it.
        self.peer.send(windowUpdate(0, 1 << 30))
        exchanges = [self.ask(streamID) for streamID in range(1, 2 * 800, 2)]
        for exchange in exchanges:
            exchange.respond(ResponseHead(200))
            exchange.write(bytes(SMALL))
        written = sum(map(len, self.peer.wire.out))
        self.assertGreater(written, 800 * SMALL - 2 * MAX_GATHERED)
        self.peer.send(ping())
        self.clock.endTurn()
        self.peer.read()
        self.assertEqual(self.peer.of(GOAWAY), [])
        self.assertEqual([len(self.peer.bodyOf(streamID)) for streamID in (1, 1599)], [SMALL, SMALL])

    # Where the transport takes nothing

    def test_aTransportThatIsFullIsNotWrittenTo(self) -> None:
        exchange = self.ask()
        self.peer.connection.pauseProducing()
        exchange.respond(ResponseHead(200))
        exchange.write(b"answer")
        exchange.loseConnection()
        self.assertEqual(self.endTurn(), 0)
        self.peer.connection.resumeProducing()
        self.clock.endTurn()
        self.peer.read()
        self.assertEqual((self.peer.bodyOf(), self.kinds[-1]), (b"answer", (1, DATA, True)))

    def test_oneThatFillsUpInTheTurnGetsTheRestLater(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(b"one")
        self.peer.connection.pauseProducing()
        exchange.write(b"two")
        exchange.loseConnection()
        self.assertEqual(self.endTurn(), 0)
        self.peer.connection.resumeProducing()
        self.clock.endTurn()
        self.peer.read()
        self.assertEqual((self.peer.bodyOf(), self.kinds[-1]), (b"onetwo", (1, DATA, True)))

    # The end of the connection

    def test_whatWasWrittenGoesBeforeAConnectionEnds(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        exchange.write(b"answer")
        exchange.loseConnection()
        self.peer.connection.readConnectionLost()
        self.assertTrue(self.peer.wire.closed)
        self.endTurn()
        self.assertEqual(self.kinds, [(1, HEADERS, False), (1, DATA, True)])

    def test_aLostConnectionIsNotWrittenTo(self) -> None:
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        self.peer.hangUp()
        exchange.write(b"answer")
        self.assertEqual(self.endTurn(), 0)

    # Clients

    def test_aWholeRequestIsOneWrite(self) -> None:
        server = RawServer(clock=self.clock)
        self.clock.endTurn()
        server.wire.take()
        exchange = server.connection.open(HEAD)
        exchange.write(b"question")
        exchange.loseWriteConnection()
        self.assertEqual(len(server.wire.out), 0)
        self.clock.endTurn()
        self.assertEqual(len(server.wire.out), 1)
        server.read()
        self.assertEqual((server.bodyOf(3), server.of(DATA, 3)[-1].flags & END_STREAM), (b"question", END_STREAM))

    def test_withoutTurnsEverythingGoesAtOnce(self) -> None:
        self.peer = RawClient()
        exchange = self.ask()
        exchange.respond(ResponseHead(200))
        self.assertEqual(self.writes(), 1)
        exchange.write(b"answer")
        self.assertEqual(self.writes(), 1)
        exchange.loseConnection()
        self.assertEqual(self.writes(), 1)
        self.assertEqual(self.kinds, [(1, DATA, True)])

    def test_whatIsAnsweredAtOnceIsOneWrite(self) -> None:
        self.peer = RawClient(answers=True, clock=self.clock)
        self.writes()
        self.peer.connection.dataReceived(headers(1, GET, end=True) + headers(3, GET, end=True))
        self.assertEqual(len(self.peer.wire.out), 1)
