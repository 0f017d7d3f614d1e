"""
Remote listening, the client's end: a listening port on a proxy, as a Twisted server endpoint. See
L{hermes.tunnel.reverse} for what goes over the wire.
"""

from __future__ import annotations

import re
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, HopUnavailable, TargetTimeout
from hermes.interfaces import IClientExchange, IExchangeClient
from hermes.tunnel.client import TunnelOptions, openTunnel
from hermes.tunnel.codes import CANCEL
from hermes.tunnel.request import Kind, acceptHead, listenHead
from hermes.values import ResponseHead, Target

PENDING: Final = 8
"""
How many accept streams wait at the proxy. While one round trip lasts, so many connections can be accepted.
"""

WAIT: Final = 3600.0
"""
Seconds after which an accept stream that nobody has connected to is replaced.
"""

FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 30.0

_STRING = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]*)"\Z')


def _string(head: ResponseHead, name: bytes) -> str:
    """
    A field that is a structured string without escapes.

    @raise HopUnavailable: where it is none.
    """
    found = _STRING.match((head.get(name) or b"").decode("latin-1"))
    if found is None:
        raise HopUnavailable(f"the proxy answered without {name.decode()}")
    return found[1]


def _address(text: str) -> IAddress:
    """
    The Twisted address for C{ADDRESS:PORT}; an empty text is a peer without an address.
    """
    if not text:
        return UNIXAddress(None)
    try:
        target = Target.fromText(text)
    except ValueError as error:
        raise HopUnavailable(f"the proxy answered with a wrong address: {error}") from None
    kind = IPv6Address if ":" in target.host else IPv4Address
    return kind("TCP", target.host, target.port)


class _Lifeline(Protocol):
    """
    The stream that the port lives as long as.
    """

    def __init__(self, port: RemotePort, exchange: IClientExchange) -> None:
        self._port = port
        self._exchange = exchange

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._port.lost(self._exchange)


@implementer(IListeningPort)
class RemotePort:
    """
    A port that listens on a proxy. When the connection to the proxy is lost, it is asked for again: the same port,
    where that can be had.
    """

    log = Logger()

    def __init__(
        self,
        client: IExchangeClient,
        bind: Target,
        options: TunnelOptions,
        clock: IReactorTime,
        factory: IProtocolFactory,
        pending: int = PENDING,
    ) -> None:
        self._client = client
        self._wish = self._bind = bind
        self._options = options
        self._clock = clock
        self._factory = factory
        self._pending = pending
        self._lifeline: IClientExchange | None = None
        self._id = ""
        self._bound: IAddress = UNIXAddress(None)
        self._accepting: list[Deferred[None]] = []
        self._retry: IDelayedCall | None = None
        self._listening: Deferred[None] | None = None
        self._stopping = False
        self._stopped: Deferred[None] | None = None
        self._delay = FIRST_RETRY

    async def listen(self) -> None:
        """
        Ask the proxy for the port.

        @raise FlowError: where it can't be had.
        """
        options = self._options
        head = listenHead(self._bind, options.authority, options.scheme, options.headers(Kind.LISTEN))
        exchange, answer = await openTunnel(self._client, head, self._clock, options)
        try:
            self._id = _string(answer, b"hermes-listener")
            self._bound = _address(_string(answer, b"hermes-bound"))
        except FlowError:
            exchange.reset(CANCEL)
            raise
        if isinstance(self._bound, IPv4Address | IPv6Address):
            # Should it be asked for once more, then the same.
            self._bind = Target(self._bind.host, self._bound.port)
        self._delay = FIRST_RETRY
        self._lifeline = exchange
        exchange.attach(_Lifeline(self, exchange))
        for _ in range(self._pending):
            accepting = Deferred.fromCoroutine(self._acceptEach(exchange))
            self._accepting.append(accepting.addErrback(lambda failure: failure.trap(CancelledError) and None))

    def lost(self, exchange: IClientExchange) -> None:
        """
        The port listens no more.
        """
        if exchange is not self._lifeline:
            return
        self._lifeline = None
        accepting, self._accepting = self._accepting, []
        for each in accepting:
            each.cancel()
        if self._stopping:
            self._finish()
        else:
            self.log.warn("{bound} listens no more; trying again", bound=self._bound)
            self._later()

    def _later(self) -> None:
        if not self._stopping:
            self._retry = self._clock.callLater(self._delay, self._again)
            self._delay = min(2 * self._delay, LAST_RETRY)

    def _again(self) -> None:
        self._retry = None
        self._listening = Deferred.fromCoroutine(self.listen())
        self._listening.addCallbacks(self._listened, self._notListened)

    def _listened(self, _: None) -> None:
        self._listening = None
        self.log.info("{bound} listens again", bound=self._bound)

    def _notListened(self, failure: Failure) -> None:
        self._listening = None
        if not failure.check(FlowError, CancelledError):
            self.log.failure("listening failed", failure=failure)
        self._bind = self._wish
        self._later()

    # Accepting

    async def _acceptEach(self, lifeline: IClientExchange) -> None:
        """
        Have one accept stream waiting for as long as the port listens.
        """
        while self._lifeline is lifeline:
            try:
                await self._accept()
            except TargetTimeout:
                continue
            except CancelledError:
                raise
            except FlowError as error:
                self.log.info("{bound} does not accept: {error}", bound=self._bound, error=error)
                await deferLater(self._clock, FIRST_RETRY, lambda: None)
            except Exception:
                self.log.failure("accepting a connection failed")
                await deferLater(self._clock, FIRST_RETRY, lambda: None)

    async def _accept(self) -> None:
        options = self._options
        head = acceptHead(self._id, options.authority, options.scheme, options.headers(Kind.ACCEPT))
        exchange, answer = await openTunnel(self._client, head, self._clock, options, WAIT)
        try:
            peer = _address(_string(answer, b"hermes-peer"))
            protocol = self._factory.buildProtocol(peer)
        except BaseException:
            exchange.reset(CANCEL)
            raise
        if protocol is None:
            exchange.abortConnection()
            return
        # The transport's own attribute: the protocol finds its client there, and no call passes through us.
        transport: Any = exchange
        transport.getPeer = lambda: peer
        transport.getHost = lambda: self._bound
        exchange.attach(protocol)

    # IListeningPort

    def startListening(self) -> None:
        """
        It listens already.
        """

    def stopListening(self) -> Deferred[None]:
        """
        Listen no more; connections go on.
        """
        if self._stopped is None:
            self._stopped = Deferred()
            self._stopping = True
            if self._retry is not None:
                self._retry.cancel()
                self._retry = None
            if self._listening is not None:
                self._listening.cancel()
            if self._lifeline is not None:
                self._lifeline.loseConnection()
            else:
                self._finish()
        stopped: Deferred[None] = Deferred()
        self._stopped.addCallback(stopped.callback)
        return stopped

    def _finish(self) -> None:
        self._factory.doStop()
        if self._stopped is not None:
            self._stopped.callback(None)

    def getHost(self) -> IAddress:
        """
        The address that the proxy listens on.
        """
        return self._bound


@implementer(IStreamServerEndpoint)
class RemoteServerEndpoint:
    """
    Listens on a proxy.
    """

    def __init__(
        self,
        client: IExchangeClient,
        bind: Target,
        options: TunnelOptions,
        clock: IReactorTime,
        pending: int = PENDING,
    ) -> None:
        """
        @param client: exchanges with the proxy, all with one process of it.
        @param bind: an IP address of the proxy's and a port, 0 for any.
        @param pending: how many accept streams wait.
        """
        self._client = client
        self._bind = bind
        self._options = options
        self._clock = clock
        self._pending = pending

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return Deferred.fromCoroutine(self._listen(protocolFactory))

    async def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        port = RemotePort(self._client, self._bind, self._options, self._clock, factory, self._pending)
        factory.doStart()
        try:
            await port.listen()
        except BaseException:
            factory.doStop()
            raise
        return port
