"""
Exchanges with a peer whose version of HTTP is not known beforehand: TLS negotiates it (ALPN).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.choosing import H2, Chooser, negotiated
from hermes.errors import FlowError, HopUnavailable, ShuttingDown
from hermes.interfaces import IClientExchange, IExchangeClient
from hermes.values import RequestHead


class PooledClient(Protocol):
    """
    Exchanges with one peer over connections that are kept: L{hermes.http2.pool.Pool}, for one.
    """

    @property
    def size(self) -> int:
        """
        How many connections there are.
        """

    @property
    def pending(self) -> int:
        """
        How many requests wait for one.
        """

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        """
        See L{hermes.interfaces.IExchangeClient}.
        """

    def warm(self, count: int) -> None:
        """
        Connect in advance, until there are C{count} connections.
        """

    def close(self) -> Deferred[None]:
        """
        Open nothing more. Fires when what is open has ended.
        """

    def abort(self) -> None:
        """
        Open nothing more, and end what is open.
        """


class _ClientChooser(Chooser):
    """
    Tells what was negotiated as soon as that is known, which is at once.
    """

    def __init__(self, connected: Callable[[_ClientChooser], None]) -> None:
        super().__init__()
        self._connected = connected

    def connectionMade(self) -> None:
        self._connected(self)


@implementer(IStreamClientEndpoint)
class _Continued:
    """
    The endpoint of a version's own client. Its first connection is the one that negotiated the version; should a later
    one negotiate another, it is ended and C{changed} called.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, first: _ClientChooser, http2: bool, changed: Callable[[], None]
    ) -> None:
        self._endpoint = endpoint
        self._first: _ClientChooser | None = first
        self._http2 = http2
        self._changed = changed

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        inner = protocolFactory.buildProtocol(UNIXAddress(None))
        assert inner is not None
        first, self._first = self._first, None
        if first is not None:
            first.choose(inner)
            return succeed(inner)

        def connected(chooser: _ClientChooser) -> None:
            chooser.choose(inner)
            if (negotiated(chooser.transport) == H2) is not self._http2:
                self._changed()
                chooser.transport.abortConnection()

        return self._endpoint.connect(_ChooserFactory(connected)).addCallback(lambda _: inner)


class _ChooserFactory(Factory):
    """
    The factory of one connection.
    """

    noisy = False

    def __init__(self, connected: Callable[[_ClientChooser], None]) -> None:
        self._connected = connected

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return _ClientChooser(self._connected)


@implementer(IExchangeClient)
class NegotiatedClient:
    """
    Connects once to learn the version, and from then on is a client of that version.
    """

    log = Logger()

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        http2: Callable[[IStreamClientEndpoint], PooledClient],
        http1: Callable[[IStreamClientEndpoint], PooledClient],
    ) -> None:
        """
        @param endpoint: connects with TLS that offers C{h2} and C{http/1.1}; without TLS it is HTTP/1.1.
        @param http2: makes the client for HTTP/2, over an endpoint.
        @param http1: makes the client for HTTP/1.1.
        """
        self._endpoint = endpoint
        self._http2 = http2
        self._http1 = http1
        self._client: PooledClient | None = None
        self._connecting: Deferred[Any] | None = None
        self._waiting: dict[Deferred[IClientExchange], tuple[RequestHead, bool]] = {}
        self._warm = 0
        self._closing = False

    @property
    def size(self) -> int:
        """
        How many connections there are.
        """
        return 0 if self._client is None else self._client.size

    @property
    def pending(self) -> int:
        """
        How many requests wait for one.
        """
        return len(self._waiting) if self._client is None else self._client.pending

    def warm(self, count: int) -> None:
        """
        Connect in advance, until there are C{count} connections.
        """
        if self._client is not None:
            self._client.warm(count)
        elif not self._closing:
            self._warm = count
            self._connect()

    @property
    def connections(self) -> Any:
        """
        Those of the client that was chosen.
        """
        return getattr(self._client, "connections", ())

    def exchange(self, head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        if self._client is not None:
            return self._client.exchange(head, end)
        waiting: Deferred[IClientExchange] = Deferred(self._cancelled)
        self._waiting[waiting] = (head, end)
        if self._closing:
            self._fail(ShuttingDown("the connections to the next hop are being closed"))
        else:
            self._connect()
        return waiting

    def _connect(self) -> None:
        if self._connecting is None:
            connecting = self._endpoint.connect(_ChooserFactory(self._connected))
            self._connecting = None if connecting.called else connecting
            connecting.addErrback(self._notConnected)

    def _cancelled(self, waiting: Deferred[IClientExchange]) -> None:
        self._waiting.pop(waiting, None)

    def _connected(self, chooser: _ClientChooser) -> None:
        self._connecting = None
        http2 = negotiated(chooser.transport) == H2
        endpoint = _Continued(self._endpoint, chooser, http2, self._forget)
        client = self._client = (self._http2 if http2 else self._http1)(endpoint)
        waiting, self._waiting = self._waiting, {}
        for deferred, (head, end) in waiting.items():
            client.exchange(head, end).chainDeferred(deferred)
        warm, self._warm = self._warm, 0
        if warm:
            client.warm(warm)
        elif not waiting:
            # Whoever asked has given up.
            self._client = None
            chooser.transport.loseConnection()

    def _notConnected(self, failure: Failure) -> None:
        self._connecting = None
        self._warm = 0
        error = failure.value
        if self._closing:
            error = ShuttingDown("the connections to the next hop are being closed")
        elif not isinstance(error, FlowError):
            error = HopUnavailable(f"the next hop can't be reached: {failure.getErrorMessage()}")
        self._fail(error)

    def _fail(self, error: FlowError) -> None:
        waiting, self._waiting = self._waiting, {}
        for deferred in waiting:
            deferred.errback(error)

    def _forget(self) -> None:
        """
        The peer speaks another version now: ask again.
        """
        client, self._client = self._client, None
        if client is not None:
            closed = maybeDeferred(client.close)
            closed.addErrback(lambda failure: self.log.failure("closing connections failed", failure))

    def close(self) -> Deferred[None]:
        """
        Open nothing more; fires when what is open has ended.
        """
        self._closing = True
        if self._connecting is not None:
            self._connecting.cancel()
        return succeed(None) if self._client is None else maybeDeferred(self._client.close)

    def abort(self) -> None:
        """
        Open nothing more, and end what is open.
        """
        closed = self.close()
        closed.addErrback(lambda failure: self.log.failure("closing connections failed", failure))
        if self._client is not None:
            self._client.abort()
