"""
A peer that asks to finish what is open: what exchanges hear of it.
"""

from __future__ import annotations

from functools import partial

from h2.errors import ErrorCodes

from hermes.http2.exchange import ServerExchange
from hermes.interfaces import IClientExchange
from hermes.test.http2.endpoint import Link
from hermes.test.http2.poolcase import GET, PoolTestCase
from hermes.values import ResponseHead


class DrainingTests(PoolTestCase):
    """
    L{IClientExchange.notifyDraining}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.told: list[str] = []

    def open(self) -> tuple[IClientExchange, Link]:
        opening = self.pool.exchange(GET)
        link = self.endpoint.accept()
        return self.successResultOf(opening), link

    def test_GOAWAYTellsEveryExchangeThatGoesOnOnce(self) -> None:
        first, link = self.open()
        second = self.opened()
        first.notifyDraining(lambda: self.told.append("first"))
        second.notifyDraining(lambda: self.told.append("second"))
        link.server.drain()
        self.endpoint.pump()
        self.assertEqual(self.told, ["first", "second"])
        link.handler.exchanges[0].respond(ResponseHead(200))
        self.endpoint.pump()
        self.successResultOf(first.response())
        self.assertEqual(self.told, ["first", "second"])

    def test_whoAsksLateIsToldAtOnce(self) -> None:
        exchange, link = self.open()
        link.server.drain()
        self.endpoint.pump()
        exchange.notifyDraining(lambda: self.told.append("late"))
        self.assertEqual(self.told, ["late"])

    def test_whatIsOpenedThenIsOnAnotherConnection(self) -> None:
        exchange, link = self.open()
        opening = []
        exchange.notifyDraining(lambda: opening.append(self.pool.exchange(GET)))
        link.server.drain()
        self.endpoint.pump()
        other = self.endpoint.accept()
        self.successResultOf(opening[0])
        self.assertEqual((len(link.handler.exchanges), len(other.handler.exchanges)), (1, 1))

    def test_ourOwnDrainIsNoWordOfThePeers(self) -> None:
        exchange, link = self.open()
        exchange.notifyDraining(lambda: self.told.append("told"))
        self.pool.connections[0].drain()
        self.endpoint.pump()
        self.assertEqual(self.told, [])
        server = link.handler.exchanges[0]
        assert isinstance(server, ServerExchange)
        server.notifyDraining(lambda: self.told.append("server"))
        self.assertEqual(self.told, ["server"])

    def test_whatThePeerHasNotTakenIsLostAndNotTold(self) -> None:
        exchange, link = self.open()
        exchange.notifyDraining(lambda: self.told.append("told"))
        lost = exchange.response()
        link.server._engine.goAway(ErrorCodes.NO_ERROR, last=0)
        link.server._flush()
        self.endpoint.pump()
        self.failureResultOf(lost)
        self.assertEqual(self.told, [])

    def test_whatHasEndedIsNotTold(self) -> None:
        exchange, link = self.open()
        other = self.opened()
        exchange.notifyDraining(lambda: self.told.append("told"))
        exchange.reset(ErrorCodes.CANCEL)
        exchange.notifyDraining(lambda: self.told.append("told"))
        self.endpoint.pump()
        link.server.drain()
        self.endpoint.pump()
        self.assertEqual(self.told, [])
        self.assertIsNotNone(other.request)

    def test_aServerMayAskForTheSakeOfOneExchange(self) -> None:
        exchange, link = self.open()
        other = self.opened()
        for each, name in ((exchange, "first"), (other, "other")):
            each.notifyDraining(partial(self.told.append, name))
        link.handler.exchanges[0].askToFinish()
        link.handler.exchanges[0].askToFinish()
        self.endpoint.pump()
        self.assertEqual(self.told, ["first", "other"])
        link.handler.exchanges[0].respond(ResponseHead(200))
        self.endpoint.pump()
        self.successResultOf(exchange.response())

    def test_aCallbackThatFailsIsLoggedAndTheOthersAreTold(self) -> None:
        first, link = self.open()
        second = self.opened()
        first.notifyDraining(lambda: dict[str, None]()["x"])
        second.notifyDraining(lambda: self.told.append("second"))
        link.server.drain()
        self.endpoint.pump()
        self.assertEqual(self.told, ["second"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
