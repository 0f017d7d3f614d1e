"""
Exchanges with one peer over connections of HTTP/1.1.
"""

from __future__ import annotations

from collections import deque

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import BadRequest, FlowError, HopUnavailable, Overloaded, ShuttingDown
from hermes.http1.clientprotocol import HTTP1ClientProtocol
from hermes.http1.connection import Connection
from hermes.http1.errors import Malformed
from hermes.http1.limits import DEFAULT_LIMITS, Limits
from hermes.interfaces import IClientExchange, IReadyExchangeClient
from hermes.values import RequestHead

MAX_IDLE = 8
IDLE_TIME = 30.0


@frozen
class ConnectionLimits:
    """
    @ivar connections: how many connections there may be, tunnels not counted.
    @ivar pending: how many requests may wait for one.
    @ivar idle: how many connections may wait for a next request.
    @ivar idleTime: for how long, in seconds.
    @ivar age: seconds after which a connection takes no further request.
    """

    connections: int = 65_536
    pending: int = 10_000
    idle: int = MAX_IDLE
    idleTime: float = IDLE_TIME
    age: float | None = None


class _Waiting:
    """
    A request that waits for a connection.
    """

    __slots__ = ("connecting", "deferred", "end", "head")

    def __init__(self, client: HTTP1Client, head: RequestHead, end: bool) -> None:
        self.head = head
        self.end = end
        self.connecting: Deferred[IClientExchange] | None = None
        self.deferred: Deferred[IClientExchange] = Deferred(lambda _: client.forget(self))


@implementer(IReadyExchangeClient)
class HTTP1Client:
    """
    Each exchange has a connection to itself for as long as it lasts; where the framing allows, the connection then
    waits for the next one. A tunnel keeps its connection. Where there may be no more connections, requests wait in
    order.
    """

    log = Logger()

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        absolute: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        bounds: ConnectionLimits | None = None,
    ) -> None:
        """
        @param endpoint: connects to the peer; with TLS, where there is to be some.
        @param absolute: the peer is a proxy that takes its targets in absolute-form.
        @param limits: of what a connection takes.
        @param bounds: how many connections there are, and for how long.
        """
        self._endpoint = endpoint
        self._clock = clock
        self._absolute = absolute
        self._limits = limits
        self._bounds = bounds or ConnectionLimits()
        # The one that became idle first comes first.
        self._idle: list[HTTP1ClientProtocol] = []
        self._connections: dict[Connection, float] = {}
        self._connecting = 0
        self._waiting: deque[_Waiting] = deque()
        self._sweep: IDelayedCall | None = None
        self._closed = False
        self._closing: list[Deferred[None]] = []

    @property
    def size(self) -> int:
        """
        How many connections there are, save those of tunnels.
        """
        return len(self._connections)

    @property
    def pending(self) -> int:
        """
        How many requests wait for a connection.
        """
        return self._connecting + len(self._waiting)

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        idle = self._idle
        while idle:
            # The one that was used last is the least likely to be closed by the peer just now.
            connection = idle.pop()
            if connection.usable:
                return _requested(connection, head, end)
        if self._closed:
            return fail(ShuttingDown("this client is closed"))
        if self._mayConnect():
            return self._connect(head, end)
        if len(self._waiting) >= self._bounds.pending:
            return fail(Overloaded("too many requests wait for a connection"))
        waiting = _Waiting(self, head, end)
        self._waiting.append(waiting)
        return waiting.deferred

    def tryExchange(self, head: RequestHead, end: bool = False) -> IClientExchange | None:
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                try:
                    exchange: IClientExchange = connection.request(head, end)
                except Malformed as error:
                    self._waits(connection)
                    raise BadRequest(str(error)) from None
                return exchange
        return None

    def forget(self, waiting: _Waiting) -> None:
        """
        A waiting request was cancelled.
        """
        if waiting.connecting is not None:
            waiting.connecting.cancel()
        elif waiting in self._waiting:
            self._waiting.remove(waiting)

    def warm(self, count: int) -> None:
        """
        Connect in advance, until there are C{count} connections.
        """
        for _ in range(count - len(self._connections) - self._connecting):
            if self._closed or not self._mayConnect():
                return
            self._open().addCallback(self._warmed).addErrback(self._notWarmed)

    def _warmed(self, connection: HTTP1ClientProtocol) -> None:
        self._adopt(connection)
        if connection.usable:
            self._waits(connection)

    def _notWarmed(self, failure: Failure) -> None:
        # The next request will tell.
        self.log.debug("a connection in advance failed: {failure}", failure=failure.value)

    # Connections

    def _mayConnect(self) -> bool:
        return len(self._connections) + self._connecting < self._bounds.connections

    def _open(self) -> Deferred[HTTP1ClientProtocol]:
        factory = Factory.forProtocol(lambda: HTTP1ClientProtocol(self._clock, self._limits, self._absolute))
        factory.noisy = False
        self._connecting += 1
        connecting: Deferred[HTTP1ClientProtocol] = self._endpoint.connect(factory)  # type: ignore[assignment]
        return connecting.addCallbacks(self._connected, self._notConnected)

    def _connected(self, connection: HTTP1ClientProtocol) -> HTTP1ClientProtocol:
        self._connecting -= 1
        return connection

    def _notConnected(self, failure: Failure) -> Failure:
        self._connecting -= 1
        self._next()
        if failure.check(FlowError, CancelledError):
            return failure
        return Failure(HopUnavailable(f"could not connect: {failure.getErrorMessage()}"))

    def _connect(self, head: RequestHead, end: bool) -> Deferred[IClientExchange]:
        return self._open().addCallback(self._begin, head, end)

    def _begin(self, connection: HTTP1ClientProtocol, head: RequestHead, end: bool) -> Deferred[IClientExchange]:
        self._adopt(connection)
        return _requested(connection, head, end)

    def _adopt(self, connection: HTTP1ClientProtocol) -> None:
        self._connections[connection] = self._clock.seconds()
        connection.finished = self._forget
        connection.idle = self._waits
        if self._closed:
            connection.drain()
            raise ShuttingDown("this client is closed")

    def _waits(self, connection: HTTP1ClientProtocol) -> None:
        """
        A connection is ready for the next request.
        """
        now = self._clock.seconds()
        age = self._bounds.age
        if self._closed or (age is not None and now - self._connections[connection] >= age):
            connection.drain()
            return
        if self._waiting:
            self._serve(self._waiting.popleft(), connection)
            return
        if len(self._idle) >= self._bounds.idle:
            connection.drain()
            return
        connection.idleSince = now
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = self._clock.callLater(self._bounds.idleTime, self._expire)

    def _serve(self, waiting: _Waiting, connection: HTTP1ClientProtocol) -> None:
        _requested(connection, waiting.head, waiting.end).chainDeferred(waiting.deferred)

    def _next(self) -> None:
        """
        There may be one connection more.
        """
        if self._waiting and not self._closed and self._mayConnect():
            waiting = self._waiting.popleft()
            waiting.connecting = connecting = self._connect(waiting.head, waiting.end)
            connecting.chainDeferred(waiting.deferred)

    def _expire(self) -> None:
        """
        Close what was idle for too long. One timer does for all, so that a request touches none.
        """
        self._sweep = None
        before = self._clock.seconds() - self._bounds.idleTime
        while self._idle and self._idle[0].idleSince <= before:
            self._idle.pop(0).drain()
        if self._idle:
            self._sweep = self._clock.callLater(self._idle[0].idleSince - before, self._expire)

    def _forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._idle:
            self._stopSweeping()
        self._next()
        if not self._connections:
            closing, self._closing = self._closing, []
            for each in closing:
                each.callback(None)

    def _stopSweeping(self) -> None:
        sweep, self._sweep = self._sweep, None
        if sweep is not None:
            sweep.cancel()

    # The end

    def close(self) -> Deferred[None]:
        """
        Open nothing more; close each connection once its exchange has ended. Fires when all are closed; tunnels go on,
        and are not waited for.
        """
        self._closed = True
        self._stopSweeping()
        self._idle.clear()
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            each.deferred.errback(ShuttingDown("this client is closed"))
        closed: Deferred[None] = Deferred()
        if self._connections:
            self._closing.append(closed)
        else:
            closed.callback(None)
        for connection in tuple(self._connections):
            if isinstance(connection, HTTP1ClientProtocol):
                connection.drain()
        return closed

    def abort(self) -> None:
        """
        Open nothing more, and end every connection that is not a tunnel's.
        """
        self.close()
        for connection in tuple(self._connections):
            connection.abort()


def _requested(connection: HTTP1ClientProtocol, head: RequestHead, end: bool) -> Deferred[IClientExchange]:
    if not connection.usable:
        return fail(HopUnavailable("the next hop closed the connection at once"))
    try:
        exchange: IClientExchange = connection.request(head, end)
    except Malformed as error:
        # Nothing was sent: what one client asks is not to cost the others their connection.
        if connection.idle is not None:
            connection.idle(connection)
        return fail(BadRequest(str(error)))
    return succeed(exchange)
