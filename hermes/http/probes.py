"""
How an endpoint is asked whether it is well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from hermes.fabric.places import Endpoint
from hermes.fabric.reach import CarrierFailed, Reach
from hermes.http.clients import ClientOptions, makeClient
from hermes.http.health import Undecided, Unwell
from hermes.http.senders import NOBODY
from hermes.http1.client import ConnectionLimits
from hermes.http2.pool import PoolLimits
from hermes.interfaces import IClientExchange
from hermes.values import RequestHead, ResponseHead

USER_AGENT = b"hermes-health"

ReachNow = Callable[[], Reach | None]
"""
How endpoints are reached at present; L{None} where they are not, because the hop on the way is gone.
"""


def _decided(failure: Failure) -> Failure:
    if failure.check(CarrierFailed):
        return Failure(Undecided(str(failure.value)))
    return failure


class _Closing(Protocol):
    """
    Is content with the connection.
    """

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()


class _Closings(Factory):
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> _Closing:
        return _Closing()


@frozen(eq=False)
class TCPProbe:
    """
    Connects, with TLS where there is some, and closes.
    """

    reach: ReachNow

    def __call__(self, endpoint: Endpoint) -> Deferred[Any]:
        reach = self.reach()
        if reach is None:
            return fail(Undecided("there is no way to it now"))
        connecting: Deferred[Any] = reach.to(endpoint, NOBODY).connect(_Closings())
        return connecting.addErrback(_decided)


@frozen(eq=False)
class HTTPProbe:
    """
    Asks for a path, in a connection of its own: a server that takes no more connections is not well.

    @ivar statuses: those that are healthy; where empty, 200 to 299.
    @ivar host: what is asked for; L{None} for the endpoint's address.
    """

    reach: ReachNow
    clock: IReactorTime
    options: ClientOptions
    path: bytes = b"/"
    host: bytes | None = None
    statuses: frozenset[int] = frozenset()

    def __call__(self, endpoint: Endpoint) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._ask(endpoint))

    async def _ask(self, endpoint: Endpoint) -> None:
        reach = self.reach()
        if reach is None:
            raise Undecided("there is no way to it now")
        secure = reach.tls is not None
        options = ClientOptions(
            self.options.version, ConnectionLimits(connections=1, idle=0), PoolLimits(connections=1, idle=0.0)
        )
        client: Any = makeClient(reach.to(endpoint, NOBODY), self.clock, options, secure)
        try:
            exchange: IClientExchange = await client.exchange(self._head(endpoint, secure), True)
            head: ResponseHead = await exchange.response()
        except CarrierFailed as error:
            raise Undecided(str(error)) from error
        except BaseException:
            client.abort()
            raise
        # Whatever follows is read away, within the connection's bounds, and the connection ends.
        exchange.loseConnection()
        client.close()
        if head.status not in self.statuses and (self.statuses or not 200 <= head.status < 300):
            raise Unwell(f"it answers {head.status}")

    def _head(self, endpoint: Endpoint, secure: bool) -> RequestHead:
        host = self.host
        if host is None:
            host = b"localhost" if endpoint.address.startswith("unix:") else endpoint.address.encode("ascii", "replace")
        scheme = b"https" if secure else b"http"
        return RequestHead(b"GET", scheme, host, self.path, None, ((b"user-agent", USER_AGENT),))
