"""
An endpoint that connects a pool to servers in memory.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.http2.connection import ClientConnection, ServerConnection
from hermes.http2.handler import EngineSettings
from hermes.test.http2.wire import Keeper, Wire


class Link:
    """
    One connection that the pool has made, and its server.
    """

    def __init__(self, client: IProtocol, clock: Clock, settings: EngineSettings) -> None:
        self.handler = Keeper()
        self.client = cast(ClientConnection, client)
        self.server = ServerConnection(self.handler, clock, settings)
        self.clientWire, self.serverWire = Wire(), Wire()
        self.client.makeConnection(self.clientWire)
        self.server.makeConnection(self.serverWire)
        self.lost = False

    def pump(self) -> bool:
        """
        Carry what was written, and the end. Whether there was anything.
        """
        moved = False
        for wire, peer in ((self.clientWire, self.server), (self.serverWire, self.client)):
            data = wire.take()
            if data and not self.lost:
                moved = True
                peer.dataReceived(data)
        if (self.clientWire.closed or self.serverWire.closed) and not self.lost and not moved:
            self.lose()
            moved = True
        return moved

    def lose(self) -> None:
        """
        Cut it.
        """
        self.lost = True
        self.client.connectionLost(Failure(ConnectionDone()))
        self.server.connectionLost(Failure(ConnectionDone()))


@implementer(IStreamClientEndpoint)
class Endpoint:
    """
    Connects when told to.

    @ivar attempts: connections that were asked for and are not decided.
    """

    def __init__(self, clock: Clock, settings: EngineSettings) -> None:
        self.clock = clock
        self.settings = settings
        self.attempts: list[tuple[IProtocolFactory, Deferred[IProtocol]]] = []
        self.cancelled = 0
        self.links: list[Link] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        deferred: Deferred[IProtocol] = Deferred(self._cancel)
        self.attempts.append((protocolFactory, deferred))
        return deferred

    def _cancel(self, deferred: Deferred[IProtocol]) -> None:
        self.cancelled += 1
        self.attempts = [attempt for attempt in self.attempts if attempt[1] is not deferred]

    def accept(self, pump: bool = True) -> Link:
        """
        Let the oldest attempt succeed.
        """
        factory, deferred = self.attempts.pop(0)
        protocol = factory.buildProtocol(None)  # type: ignore[arg-type]
        assert protocol is not None
        self.links.append(Link(protocol, self.clock, self.settings))
        deferred.callback(protocol)
        if pump:
            self.pump()
        return self.links[-1]

    def pump(self) -> None:
        """
        Carry everything.
        """
        while any([link.pump() for link in self.links]):
            pass
