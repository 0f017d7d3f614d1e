"""
Connections to one HTTP/2 peer, shared by all who open exchanges with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, HopUnavailable, NotImplementedHere, Overloaded, ShuttingDown
from hermes.http2.connection import ClientConnection
from hermes.http2.handler import EngineSettings
from hermes.interfaces import IClientExchange, IReadyExchangeClient
from hermes.values import RequestHead


@frozen
class PoolLimits:
    """
    @ivar connections: how many connections there may be, beside as many that only finish what they carry.
    @ivar pending: how many requests may wait for a stream.
    @ivar idle: seconds after which a connection without streams is closed.
    @ivar age: seconds after which a connection takes no further stream, and is closed once it has none.
    """

    connections: int = 64
    pending: int = 10_000
    idle: float = 300.0
    age: float | None = None


class _Single(Factory):
    """
    The factory of one connection.
    """

    noisy = False

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:  # type: ignore[override]
        return self._connection


class _Waiting:
    """
    A request that waits for a stream.
    """

    def __init__(self, pool: Pool, head: RequestHead, end: bool) -> None:
        self.head = head
        self.end = end
        self.cancelled = False
        self.deferred: Deferred[IClientExchange] = Deferred(lambda _: pool.forget(self))


@implementer(IReadyExchangeClient)
class Pool:
    """
    Opens a connection when there is none, and another when the peer's stream limit is reached on those there are.
    Requests wait in order, as many as L{PoolLimits.pending}.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        settings: EngineSettings | None = None,
        limits: PoolLimits | None = None,
        connectionFactory: Callable[..., ClientConnection] = ClientConnection,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._settings = settings
        self._limits = limits or PoolLimits()
        self._makeConnection = connectionFactory
        self._waiting: deque[_Waiting] = deque()
        self._asking: list[Deferred[ClientConnection]] = []
        self.connections: list[ClientConnection] = []
        # Those without streams, and since when.
        self._idle: dict[ClientConnection, float] = {}
        self._sweep: IDelayedCall | None = None
        self._ages: dict[ClientConnection, IDelayedCall] = {}
        self._warm = 0
        self._connecting: Deferred[IProtocol] | None = None
        self._closing = False

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        if self._closing:
            return _failed(ShuttingDown("the connections to the next hop are being closed"))
        if not self._waiting:
            connection = self._free()
            if connection is not None:
                return self._open(connection, head, end)
        if len(self._waiting) >= self._limits.pending:
            return _failed(Overloaded("too many requests wait for the next hop"))
        waiting = _Waiting(self, head, end)
        self._waiting.append(waiting)
        self._connect()
        return waiting.deferred

    def tryExchange(self, head: RequestHead, end: bool = False) -> IClientExchange | None:
        if self._closing or self._waiting or head.protocol is not None:
            return None
        connection = self._free()
        if connection is None:
            return None
        self._idle.pop(connection, None)
        return connection.open(head, end)

    @property
    def size(self) -> int:
        """
        How many connections there are.
        """
        return len(self.connections)

    @property
    def pending(self) -> int:
        """
        How many requests wait for a stream.
        """
        return len(self._waiting)

    def warm(self, count: int) -> None:
        """
        Connect in advance, until there are C{count} connections.
        """
        self._warm = min(count, self._limits.connections)
        if len(self.connections) < self._warm:
            self._connect()
        else:
            self._warm = 0

    def connected(self) -> Deferred[ClientConnection]:
        """
        Fires with a connection: one that there is, or a new one. Errback as L{exchange}.
        """
        if self._closing:
            return fail(ShuttingDown("the connections to the next hop are being closed"))
        for connection in self.connections:
            if not connection.draining:
                return succeed(connection)
        asking: Deferred[ClientConnection] = Deferred(
            lambda asking: self._asking.remove(asking) if asking in self._asking else None
        )
        self._asking.append(asking)
        self._connect()
        if self._connecting is None and asking in self._asking:
            self._asking.remove(asking)
            asking.errback(Overloaded("too many connections to the next hop are about to end"))
        return asking

    def forget(self, waiting: _Waiting) -> None:
        """
        A waiting request was cancelled.
        """
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def _free(self) -> ClientConnection | None:
        for connection in self.connections:
            if connection.capacity > 0:
                return connection
        return None

    def _open(self, connection: ClientConnection, head: RequestHead, end: bool) -> Deferred[IClientExchange]:
        if head.protocol is not None and not connection.extendedConnect:
            return _failed(NotImplementedHere("the next hop does not take extended CONNECT (RFC 8441)"))
        self._idle.pop(connection, None)
        try:
            return succeed(connection.open(head, end))
        except Exception:
            # What can't be written as a head; those who wait behind it go on.
            return fail()

    def _connect(self) -> None:
        if self._connecting is not None or self._closing or not self._mayConnect():
            return
        connection = self._makeConnection(self._clock, self._settings)
        connecting = self._endpoint.connect(_Single(connection))

        def connected(_: IProtocol) -> Deferred[ClientConnection]:
            return connection.ready

        def ready(_: ClientConnection) -> None:
            self._connecting = None
            connection.changed = self._changed
            connection.closed.addCallback(lambda _: self._closed(connection))
            self.connections.append(connection)
            if self._limits.age is not None:
                self._ages[connection] = self._clock.callLater(self._limits.age, self._grownOld, connection)
            self._changed(connection)
            asking, self._asking = self._asking, []
            for each in asking:
                each.callback(connection)
            if self._warm:
                self.warm(self._warm)

        def failed(failure: Failure) -> None:
            self._connecting = None
            self._warm = 0
            waiting, self._waiting = self._waiting, deque()
            asking, self._asking = self._asking, []
            error = failure.value
            if not isinstance(error, FlowError):
                if failure.check(CancelledError):
                    error = ShuttingDown("the connections to the next hop are being closed")
                else:
                    error = HopUnavailable(f"the next hop can't be reached: {failure.getErrorMessage()}")
            for each in waiting:
                each.deferred.errback(error)
            for one in asking:
                one.errback(error)

        self._connecting = connecting
        connecting.addCallback(connected).addCallbacks(ready, failed)
        connecting.addErrback(lambda failure: self.log.failure("opening requests that waited", failure))

    def _mayConnect(self) -> bool:
        taking = [connection for connection in self.connections if not connection.draining]
        if len(taking) >= self._limits.connections or len(self.connections) >= 2 * self._limits.connections:
            return False
        if len(self.connections) < self._warm:
            return True
        # A peer that takes no stream on a connection that has none would not on another.
        return all(connection.openExchanges for connection in taking)

    def _changed(self, connection: ClientConnection) -> None:
        # The next must see what this one took: open before the Deferred fires.
        while self._waiting and connection.capacity > 0:
            waiting = self._waiting.popleft()
            self._open(connection, waiting.head, waiting.end).chainDeferred(waiting.deferred)
        if self._waiting:
            self._connect()
        elif (
            not (connection.openExchanges or connection.draining or connection in self._idle)
            and connection in self.connections
        ):
            self._idle[connection] = self._clock.seconds()
            if self._sweep is None:
                self._sweep = self._clock.callLater(self._limits.idle, self._expire)

    def _expire(self) -> None:
        """
        Close what was idle for too long. One timer does for all, so that a request touches none.
        """
        self._sweep = None
        before = self._clock.seconds() - self._limits.idle
        for connection, since in list(self._idle.items()):
            if since <= before:
                del self._idle[connection]
                connection.drain()
        if self._idle:
            self._sweep = self._clock.callLater(min(self._idle.values()) - before, self._expire)

    def _grownOld(self, connection: ClientConnection) -> None:
        del self._ages[connection]
        connection.drain()

    def _closed(self, connection: ClientConnection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
        self._idle.pop(connection, None)
        age = self._ages.pop(connection, None)
        if age is not None:
            age.cancel()
        if not self.connections and self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        if self._waiting:
            self._connect()

    def close(self) -> Deferred[None]:
        """
        Open nothing more; close each connection once its streams have ended. Fires when all are closed.
        """
        self._closing = True
        self._warm = 0
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            each.deferred.errback(ShuttingDown("the connections to the next hop are being closed"))
        if self._connecting is not None:
            self._connecting.cancel()
        return DeferredList([connection.drain() for connection in self.connections]).addCallback(lambda _: None)

    def abort(self) -> None:
        """
        End all connections now.
        """
        self.close()
        for connection in list(self.connections):
            connection.abort()


def _failed(error: FlowError) -> Deferred[IClientExchange]:
    deferred: Deferred[IClientExchange] = Deferred()
    deferred.errback(error)
    return deferred
