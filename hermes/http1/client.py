"""
Exchanges with one peer over connections of HTTP/1.1.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import BadRequest, FlowError, HopUnavailable, ShuttingDown
from hermes.http1.clientprotocol import HTTP1ClientProtocol
from hermes.http1.connection import Connection
from hermes.http1.errors import Malformed
from hermes.http1.limits import DEFAULT_LIMITS, Limits
from hermes.interfaces import IClientExchange, IExchangeClient
from hermes.values import RequestHead

MAX_IDLE = 8
IDLE_TIME = 30.0


@implementer(IExchangeClient)
class HTTP1Client:
    """
    Each exchange has a connection to itself for as long as it lasts; where the framing allows, the connection then
    waits for the next one. A tunnel keeps its connection.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        absolute: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        maxIdle: int = MAX_IDLE,
        idleTime: float = IDLE_TIME,
    ) -> None:
        """
        @param endpoint: connects to the peer; with TLS, where there is to be some.
        @param absolute: the peer is a proxy that takes its targets in absolute-form.
        @param maxIdle: how many connections may wait for a next request.
        @param idleTime: for how long, in seconds.
        """
        self._endpoint = endpoint
        self._clock = clock
        self._absolute = absolute
        self._limits = limits
        self._maxIdle = maxIdle
        self._idleTime = idleTime
        self._idle: list[HTTP1ClientProtocol] = []
        self._connections: set[Connection] = set()
        self._closed = False
        self._closing: list[Deferred[None]] = []

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        if self._closed:
            return fail(ShuttingDown("this client is closed"))
        while self._idle:
            # The one that was used last is the least likely to be closed by the peer just now.
            connection = self._idle.pop()
            if connection.usable:
                return _requested(connection, head, end)
        factory = Factory.forProtocol(lambda: HTTP1ClientProtocol(self._clock, self._limits, self._absolute))
        factory.noisy = False
        connecting: Deferred[HTTP1ClientProtocol] = self._endpoint.connect(factory)  # type: ignore[assignment]
        return connecting.addCallbacks(self._connected, _notConnected, callbackArgs=(head, end))

    def _connected(self, connection: HTTP1ClientProtocol, head: RequestHead, end: bool) -> Deferred[IClientExchange]:
        self._connections.add(connection)
        connection.finished = self._forget
        connection.idle = self._waits
        if self._closed:
            connection.drain()
            raise ShuttingDown("this client is closed")
        return _requested(connection, head, end)

    def _waits(self, connection: HTTP1ClientProtocol) -> None:
        if self._closed or len(self._idle) >= self._maxIdle:
            connection.drain()
        else:
            self._idle.append(connection)
            connection.waitIdle(self._idleTime)

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._connections:
            closing, self._closing = self._closing, []
            for each in closing:
                each.callback(None)

    def close(self) -> Deferred[None]:
        """
        Open nothing more; close each connection once its exchange has ended. Fires when all are closed; tunnels go on,
        and are not waited for.
        """
        self._closed = True
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
        self._closed = True
        for connection in tuple(self._connections):
            connection.abort()


def _requested(connection: HTTP1ClientProtocol, head: RequestHead, end: bool) -> Deferred[IClientExchange]:
    if not connection.usable:
        return fail(HopUnavailable("the next hop closed the connection at once"))
    try:
        exchange: IClientExchange = connection.request(head, end)
    except Malformed as error:
        connection.drain()
        return fail(BadRequest(str(error)))
    return succeed(exchange)


def _notConnected(failure: Failure) -> Failure:
    if failure.check(FlowError, CancelledError):
        return failure
    return Failure(HopUnavailable(f"could not connect: {failure.getErrorMessage()}"))
