"""
A server's connection on which nothing happens.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.http2.handler import EngineSettings
from hermes.http2.pool import PoolLimits
from hermes.test.http2.raw import GET, GOAWAY, NO_ERROR, PING, RawClient, RawServer, headers, ping
from hermes.values import ResponseHead

ACK = 1


class IdleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.peer = RawClient(EngineSettings(idleTime=100))

    def pass_(self, seconds: float) -> None:
        """
        Time passes, and the client answers each PING.
        """
        for _ in range(int(seconds * 2)):
            self.peer.clock.advance(0.5)
            self.peer.read()
            for each in self.peer.of(PING):
                if not each.flags & ACK:
                    self.peer.frames.remove(each)
                    self.peer.send(ping(each.payload, ack=True))

    @property
    def closed(self) -> bool:
        return self.peer.wire.closed

    def test_aClientThatAsksNothingIsToldToGoThoughItAnswers(self) -> None:
        self.pass_(99.5)
        self.assertEqual((self.peer.of(GOAWAY), self.closed), ([], False))
        self.pass_(0.5)
        first, last = self.peer.of(GOAWAY)
        self.assertEqual((first.last, first.code, last.last, last.code), (2**31 - 1, NO_ERROR, 0, NO_ERROR))
        self.assertTrue(self.closed)

    def test_theTimeIsFromTheEndOfTheLastStream(self) -> None:
        self.pass_(50)
        self.peer.send(headers(1, GET, end=True))
        self.pass_(20)
        self.peer.handler.exchanges[0].respond(ResponseHead(204), end=True)
        self.pass_(99.5)
        self.assertFalse(self.closed)
        self.pass_(0.5)
        self.assertTrue(self.closed)

    def test_whatIsOpenIsNotIdle(self) -> None:
        self.peer.send(headers(1, GET, end=True), headers(3, GET, end=True))
        for exchange in self.peer.handler.exchanges:
            self.pass_(500)
            self.assertEqual((self.peer.of(GOAWAY), self.closed), ([], False))
            exchange.respond(ResponseHead(204), end=True)
        self.pass_(99.5)
        self.assertFalse(self.closed)
        self.pass_(0.5)
        self.assertTrue(self.closed)

    def test_whatWasOnItsWayIsStillTaken(self) -> None:
        self.peer.clock.advance(100)
        self.peer.read()
        (drain,) = [each for each in self.peer.of(PING) if each.payload == b"hermesdr"]
        self.peer.send(headers(1, GET, end=True), ping(drain.payload, ack=True))
        self.assertFalse(self.closed)
        self.assertEqual(self.peer.of(GOAWAY)[-1].last, 1)
        self.peer.handler.exchanges[0].respond(ResponseHead(204), end=True)
        self.assertTrue(self.closed)

    def test_nothingIsLeftOfAConnectionThatHasEnded(self) -> None:
        self.peer.hangUp()
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])

    def test_aConnectionThatDrainsIsNotToldAgain(self) -> None:
        self.peer.send(headers(1, GET, end=True))
        self.peer.connection.drain()
        self.pass_(300)
        self.assertEqual(len(self.peer.of(GOAWAY)), 2)
        self.assertFalse(self.closed)

    def test_aClientsConnectionIsItsPoolsToClose(self) -> None:
        server = RawServer(EngineSettings(idleTime=5, extendedConnect=False))
        server.send(headers(1, ((b":status", b"204"),), end=True))
        server.clock.advance(20)
        server.read()
        self.assertEqual(server.of(GOAWAY), [])

    def test_hopsCloseTheirConnectionsFirst(self) -> None:
        self.assertGreater(EngineSettings().idleTime, PoolLimits().idle)
