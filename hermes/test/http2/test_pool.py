"""
Connections to one peer, shared.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from zope.interface.verify import verifyObject

from hermes.errors import HopUnavailable, NotImplementedHere, Overloaded, ShuttingDown, StreamReset
from hermes.http2.handler import EngineSettings
from hermes.http2.pool import Pool, PoolLimits
from hermes.interfaces import IClientExchange, IExchangeClient
from hermes.test.http2.endpoint import Link
from hermes.test.http2.poolcase import GET, PoolTestCase
from hermes.test.http2.raw import MAX_CONCURRENT_STREAMS, PREFACE, frame, goAway, settings
from hermes.values import RequestHead, ResponseHead

UDP = RequestHead(b"CONNECT", b"https", b"a.example", b"/", b"connect-udp")


class OpeningTests(PoolTestCase):
    """
    Streams and connections.
    """

    def test_itIsAnExchangeClient(self) -> None:
        verifyObject(IExchangeClient, self.pool)

    def test_requestsShareAConnectionAndAllWaitForIt(self) -> None:
        waiting = [self.pool.exchange(GET), self.pool.exchange(GET)]
        self.assertEqual(len(self.endpoint.attempts), 1)
        for each in waiting:
            self.assertNoResult(each)
        link = self.endpoint.accept()
        self.assertEqual(len(link.handler.exchanges), 2)
        for each in waiting:
            self.successResultOf(each)

    def test_nothingIsSentBeforeThePeersSettings(self) -> None:
        waiting = self.pool.exchange(GET)
        self.endpoint.accept(pump=False)
        self.assertNoResult(waiting)
        self.endpoint.pump()
        self.successResultOf(waiting)

    def test_whenStreamsRunOutASecondConnectionIsMade(self) -> None:
        waiting = [self.pool.exchange(GET) for _ in range(3)]
        self.endpoint.accept()
        self.successResultOf(waiting[1])
        self.assertNoResult(waiting[2])
        second = self.endpoint.accept()
        self.successResultOf(waiting[2])
        self.assertEqual(len(second.handler.exchanges), 1)
        self.assertEqual(len(self.pool.connections), 2)

    def test_whenAStreamEndsTheNextInLineGetsIt(self) -> None:
        waiting = [self.pool.exchange(GET, end=True) for _ in range(4)]
        link = self.endpoint.accept()
        link.handler.exchanges[0].respond(ResponseHead(204), end=True)
        self.endpoint.pump()
        self.successResultOf(waiting[2])
        self.assertNoResult(waiting[3])
        self.pool.abort()
        self.failureResultOf(waiting[3], ShuttingDown)

    def test_aNewcomerDoesNotOvertakeThoseWhoWait(self) -> None:
        waiting = [self.pool.exchange(GET, end=True) for _ in range(3)]
        link = self.endpoint.accept()
        newcomers: list[Deferred[IClientExchange]] = []

        def another(exchange: IClientExchange) -> IClientExchange:
            newcomers.append(self.pool.exchange(GET))
            return exchange

        waiting[2].addCallback(another)
        link.handler.exchanges[0].respond(ResponseHead(204), end=True)
        self.endpoint.pump()
        self.successResultOf(waiting[2])
        self.assertNoResult(newcomers[0])
        self.pool.abort()
        self.failureResultOf(newcomers[0], ShuttingDown)

    def test_aPeerThatTakesNoStreamsIsNotConnectedToAgainAndAgain(self) -> None:
        waiting = self.pool.exchange(GET)
        link = self.endpoint.accept(pump=False)
        link.server.dataReceived(PREFACE)
        link.client.dataReceived(settings((MAX_CONCURRENT_STREAMS, 0)))
        self.assertNoResult(waiting)
        self.assertEqual(self.endpoint.attempts, [])
        link.client.dataReceived(settings((MAX_CONCURRENT_STREAMS, 1)))
        self.successResultOf(waiting)

    def test_extendedConnectThatIsNotOfferedIsRefusedHere(self) -> None:
        self.endpoint.settings = EngineSettings(extendedConnect=False)
        waiting = [self.pool.exchange(UDP), self.pool.exchange(GET)]
        link = self.endpoint.accept()
        self.failureResultOf(waiting[0], NotImplementedHere)
        self.successResultOf(waiting[1])
        self.assertEqual([each.request for each in link.handler.exchanges], [GET])

    def test_aHeadThatCannotBeWrittenFailsAlone(self) -> None:
        waiting = [self.pool.exchange(RequestHead(b"GET", path=7)), self.pool.exchange(GET)]  # type: ignore[arg-type]
        self.endpoint.accept()
        self.failureResultOf(waiting[0])
        self.successResultOf(waiting[1])


class BoundTests(PoolTestCase):
    """
    Bounds.
    """

    limits = PoolLimits(connections=1, pending=2)

    def test_thereAreNoMoreConnectionsThanAllowed(self) -> None:
        for _ in range(2):
            self.pool.exchange(GET)
        self.endpoint.accept()
        waiting = self.pool.exchange(GET)
        self.assertEqual(self.endpoint.attempts, [])
        self.assertNoResult(waiting)
        self.pool.abort()
        self.failureResultOf(waiting, ShuttingDown)

    def test_noMoreWaitThanAllowed(self) -> None:
        waiting = [self.pool.exchange(GET) for _ in range(3)]
        self.failureResultOf(waiting[2], Overloaded)
        self.endpoint.accept()
        self.successResultOf(waiting[1])

    def test_aConnectionThatOnlyFinishesWhatItCarriesIsReplaced(self) -> None:
        self.pool.exchange(GET)
        link = self.endpoint.accept()
        link.server.drain()
        self.endpoint.pump()
        waiting = self.pool.exchange(GET)
        self.endpoint.accept()
        self.successResultOf(waiting)
        self.assertEqual(len(self.pool.connections), 2)


class FailureTests(PoolTestCase):
    """
    What goes wrong.
    """

    def test_aConnectionThatFailsFailsThoseWhoWaitAndTheNextTriesAgain(self) -> None:
        waiting = [self.pool.exchange(GET) for _ in range(2)]
        self.endpoint.attempts.pop()[1].errback(ConnectionRefusedError())
        for each in waiting:
            self.failureResultOf(each, HopUnavailable)
        again = self.pool.exchange(GET)
        self.endpoint.accept()
        self.successResultOf(again)

    def test_aFlowErrorIsPassedOnAsItIs(self) -> None:
        waiting = self.pool.exchange(GET)
        self.endpoint.attempts.pop()[1].errback(NotImplementedHere("no"))
        self.failureResultOf(waiting, NotImplementedHere)

    def test_anEndpointThatFailsAtOnceFailsTheRequest(self) -> None:
        self.endpoint.connect = lambda protocolFactory: fail(ConnectionRefusedError())  # type: ignore[method-assign]
        self.failureResultOf(self.pool.exchange(GET), HopUnavailable)
        self.failureResultOf(self.pool.exchange(GET), HopUnavailable)

    def test_aConnectionThatIsLostBeforeThePeersSettingsFailsTheRequest(self) -> None:
        waiting = self.pool.exchange(GET)
        self.endpoint.accept(pump=False).lose()
        self.failureResultOf(waiting, HopUnavailable)
        self.assertEqual(self.pool.connections, [])

    def test_aPeerThatIsNoHTTP2FailsTheRequest(self) -> None:
        waiting = self.pool.exchange(GET)
        link = self.endpoint.accept(pump=False)
        link.client.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        link.lose()
        self.failureResultOf(waiting, HopUnavailable)

    def test_aConnectionThatIsLostIsReplaced(self) -> None:
        exchange = self.opened_()
        self.endpoint.links[0].lose()
        self.failureResultOf(exchange.response(), HopUnavailable)
        self.assertEqual(self.pool.connections, [])
        waiting = self.pool.exchange(GET)
        self.endpoint.accept()
        self.successResultOf(waiting)

    def opened_(self) -> IClientExchange:
        """
        The first exchange.
        """
        waiting = self.pool.exchange(GET)
        self.endpoint.accept()
        exchange: IClientExchange = self.successResultOf(waiting)
        return exchange

    def test_cancellingTakesTheRequestOutOfTheLine(self) -> None:
        waiting = [self.pool.exchange(GET) for _ in range(2)]
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        link = self.endpoint.accept()
        self.assertEqual(len(link.handler.exchanges), 1)
        self.successResultOf(waiting[1])

    def test_goAwayFailsWhatThePeerDidNotTakeAndTheRestGoesOn(self) -> None:
        first = self.opened_()
        second: IClientExchange = self.successResultOf(self.pool.exchange(GET, end=True))
        third = self.pool.exchange(GET)
        link = self.endpoint.links[0]
        # Before the second reaches it, the server goes.
        link.clientWire.take()
        link.client.dataReceived(goAway(1))
        failure = self.failureResultOf(second.response(), StreamReset)
        self.assertEqual(failure.value.code, ErrorCodes.REFUSED_STREAM)
        self.assertNoResult(third)
        link.handler.exchanges[0].respond(ResponseHead(200))
        self.endpoint.pump()
        self.assertEqual(self.successResultOf(first.response()).status, 200)
        # What waited goes over the next connection.
        other = self.endpoint.accept()
        self.successResultOf(third)
        self.assertEqual(len(other.handler.exchanges), 1)

    def test_aRefusedStreamIsToldAsSuch(self) -> None:
        waiting = self.pool.exchange(GET, end=True)
        link = self.endpoint.accept()
        exchange: IClientExchange = self.successResultOf(waiting)
        link.handler.exchanges[0].reset(ErrorCodes.REFUSED_STREAM)
        self.endpoint.pump()
        failure = self.failureResultOf(exchange.response(), StreamReset)
        self.assertEqual(failure.value.code, ErrorCodes.REFUSED_STREAM)


class EndTests(PoolTestCase):
    """
    Idle connections, and the end of the pool.
    """

    def finished(self) -> Link:
        """
        A connection whose only exchange has ended.
        """
        self.pool.exchange(GET, end=True)
        link = self.endpoint.accept()
        link.handler.exchanges[0].respond(ResponseHead(204), end=True)
        self.endpoint.pump()
        return link

    def advance(self, seconds: float) -> None:
        """
        Let time pass, with both ends answering.
        """
        for _ in range(int(seconds // 10)):
            self.clock.advance(10)
            self.endpoint.pump()

    def test_anIdleConnectionIsClosed(self) -> None:
        link = self.finished()
        self.advance(290)
        self.assertFalse(link.lost)
        self.advance(20)
        self.assertTrue(link.lost)
        self.assertEqual(self.pool.connections, [])

    def test_aConnectionThatIsUsedIsNotIdle(self) -> None:
        link = self.finished()
        self.advance(200)
        self.opened()
        self.advance(400)
        self.assertFalse(link.lost)
        link.handler.exchanges[1].reset(0)
        self.endpoint.pump()
        self.advance(310)
        self.assertTrue(link.lost)

    def test_closingFailsThoseWhoWaitAndWaitsForWhatIsOpen(self) -> None:
        self.pool.exchange(GET, end=True)
        link = self.endpoint.accept()
        self.pool.exchange(GET)
        self.endpoint.pump()
        waiting = self.pool.exchange(GET)
        closed = self.pool.close()
        self.failureResultOf(waiting, ShuttingDown)
        self.failureResultOf(self.pool.exchange(GET), ShuttingDown)
        self.assertEqual(self.endpoint.cancelled, 1)
        self.endpoint.pump()
        self.assertNoResult(closed)
        for exchange in link.handler.exchanges:
            exchange.reset(0)
        self.endpoint.pump()
        self.successResultOf(closed)

    def test_closingWhileConnectingCancelsIt(self) -> None:
        waiting = self.pool.exchange(GET)
        self.successResultOf(self.pool.close())
        self.failureResultOf(waiting, ShuttingDown)
        self.assertEqual(self.endpoint.cancelled, 1)

    def test_closingDuringTheHandshakeDropsTheConnection(self) -> None:
        waiting = self.pool.exchange(GET)
        link = self.endpoint.accept(pump=False)
        self.pool.close()
        self.failureResultOf(waiting, ShuttingDown)
        self.assertTrue(link.clientWire.aborted)
        link.client.dataReceived(frame(4, 0, 0))
        link.lose()
        self.assertEqual(self.pool.connections, [])

    def test_abortingEndsWhatIsOpen(self) -> None:
        self.pool.exchange(GET)
        link = self.endpoint.accept()
        exchange = self.opened()
        self.pool.abort()
        self.assertTrue(link.clientWire.aborted)
        self.endpoint.pump()
        self.failureResultOf(exchange.response(), HopUnavailable)

    def test_noConnectionOutlivesItsAgeAndNoRequestSuffersByIt(self) -> None:
        self.pool = Pool(self.endpoint, self.clock, limits=PoolLimits(age=20))
        self.pool.exchange(GET, end=True)
        link = self.endpoint.accept()
        self.advance(20)
        # What is under way goes on; what comes now goes over another connection.
        waiting = self.pool.exchange(GET, end=True)
        other = self.endpoint.accept()
        self.successResultOf(waiting)
        self.assertEqual((1, 1), (len(link.handler.exchanges), len(other.handler.exchanges)))
        self.assertFalse(link.lost)
        link.handler.exchanges[0].respond(ResponseHead(204), end=True)
        self.endpoint.pump()
        self.assertTrue(link.lost)
        self.assertFalse(other.lost)

    def test_eachConnectionIsIdleForItself(self) -> None:
        for _ in range(3):
            self.pool.exchange(GET, end=True)
        one, other = self.endpoint.accept(), self.endpoint.accept()
        for exchange in one.handler.exchanges:
            exchange.respond(ResponseHead(204), end=True)
        self.endpoint.pump()
        self.advance(200)
        other.handler.exchanges[0].respond(ResponseHead(204), end=True)
        self.endpoint.pump()
        self.advance(110)
        self.assertEqual((True, False), (one.lost, other.lost))
        self.advance(200)
        self.assertTrue(other.lost)


class ConnectedTests(PoolTestCase):
    """
    A connection that is asked for, and no stream in it.
    """

    def test_allWhoAskGetTheOneThatIsMade(self) -> None:
        asking = [self.pool.connected(), self.pool.connected()]
        self.assertEqual(len(self.endpoint.attempts), 1)
        link = self.endpoint.accept()
        self.assertEqual([self.successResultOf(each) for each in asking], [link.client] * 2)
        self.assertIs(self.successResultOf(self.pool.connected()), link.client)
        self.assertEqual(self.endpoint.attempts, [])

    def test_oneThatIsAboutToEndIsNotGiven(self) -> None:
        asking = self.pool.connected()
        link = self.endpoint.accept()
        self.successResultOf(asking)
        exchange = self.opened()
        link.client.drain()
        again = self.pool.connected()
        self.assertNoResult(again)
        second = self.endpoint.accept()
        self.assertIs(self.successResultOf(again), second.client)
        exchange.reset(0)

    def test_whoAsksHearsThatThereIsNone(self) -> None:
        asking = self.pool.connected()
        self.endpoint.attempts.pop()[1].errback(ConnectionRefusedError())
        self.failureResultOf(asking, HopUnavailable)
        self.endpoint.connect = lambda protocolFactory: fail(ConnectionRefusedError())  # type: ignore[method-assign]
        self.failureResultOf(self.pool.connected(), HopUnavailable)

    def test_whoDoesNotWantItAnyMoreHindersNobody(self) -> None:
        given, asking = self.pool.connected(), self.pool.connected()
        given.cancel()
        self.failureResultOf(given, CancelledError)
        self.endpoint.accept()
        self.successResultOf(asking)

    def test_closingEndsTheWait(self) -> None:
        asking = self.pool.connected()
        self.pool.close()
        self.failureResultOf(asking, ShuttingDown)
        self.failureResultOf(self.pool.connected(), ShuttingDown)
