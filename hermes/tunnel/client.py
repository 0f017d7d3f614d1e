"""
Tunnels through another proxy: the client's end.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

from attrs import field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from hermes.errors import HopRefused, HopUnavailable, StreamReset, TargetTimeout
from hermes.interfaces import IClientExchange, IDatagramReceiver, IDialer, IExchangeClient
from hermes.tunnel.channel import CapsuleChannel
from hermes.tunnel.request import TCP_TEMPLATE, UDP_TEMPLATE, Kind, connectHead, connectTCPHead, connectUDPHead
from hermes.tunnel.tcpcapsules import CapsuleStream
from hermes.values import Flow, Headers, RequestHead, ResponseHead
from hermes.wire.fields import writeVia
from hermes.wire.template import PathTemplate

CANCEL: Final = 0x8
MAX_REFUSAL: Final = 16_384
"""
How many bytes of the body of a refusal are read, so that an HTTP/1.1 connection can be used again.
"""


@frozen
class Credentials:
    """
    What proves us to another proxy: a user and password, or a token.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def field(self) -> bytes | None:
        """
        The value of C{Authorization} or C{Proxy-Authorization} (RFC 7617, RFC 6750); L{None} where there is none.
        """
        if self.token is not None:
            return b"Bearer " + self.token.encode("ascii")
        if self.user is not None:
            return b"Basic " + b64encode(f"{self.user}:{self.password or ''}".encode())
        return None


@frozen
class TunnelOptions:
    """
    How tunnels are asked for at one hop.

    @ivar authority: the hop's own authority, for the requests that name it.
    @ivar scheme: C{b"https"}, or C{b"http"} where the connection has no TLS.
    @ivar credentials: what proves a user to the hop.
    @ivar sendVia: whether the hop is a Hermes proxy that knows us by our certificate, and so may be told the hops that
        follow it.
    @ivar templatedTCP: ask for streams by connect-tcp, not CONNECT.
    @ivar timeout: seconds for the hop to answer.
    """

    authority: bytes
    scheme: bytes = b"https"
    credentials: Credentials = Credentials()
    sendVia: bool = False
    templatedTCP: bool = False
    tcpTemplate: PathTemplate = TCP_TEMPLATE
    udpTemplate: PathTemplate = UDP_TEMPLATE
    timeout: float = 30.0

    def headers(self, kind: Kind, via: tuple[str, ...] = ()) -> Headers:
        """
        The fields of a request: who we are, and what follows the hop.
        """
        headers: Headers = ()
        credential = self.credentials.field()
        if credential is not None:
            headers += ((b"authorization" if kind.templated else b"proxy-authorization", credential),)
        if via and self.sendVia:
            headers += ((b"hermes-via", writeVia(via)),)
        return headers


class _Refusal(Protocol):
    """
    Reads the body of a refusal, within bounds, and forgets it.
    """

    def __init__(self, exchange: IClientExchange) -> None:
        self._exchange = exchange
        self._left = MAX_REFUSAL

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._left = MAX_REFUSAL
            self._exchange.reset(CANCEL)


async def openTunnel(
    client: IExchangeClient, head: RequestHead, clock: IReactorTime, timeout: float
) -> tuple[IClientExchange, ResponseHead]:
    """
    Ask a hop for a tunnel and wait for it to accept. If this is cancelled, the request is.

    @param timeout: seconds for all of it, the wait for a stream included.
    @raise HopRefused: where it answers with anything but 2xx.
    @raise HopUnavailable: where it resets the stream.
    @raise TargetTimeout: where it does not answer in time.
    """
    waiting: Deferred[Any] = client.exchange(head)
    timedOut = False

    def giveUp() -> None:
        nonlocal timedOut
        timedOut = True
        waiting.cancel()

    timer = clock.callLater(timeout, giveUp)
    exchange: IClientExchange | None = None
    try:
        exchange = await waiting
        # A Deferred of our own: cancelling that of the exchange may answer with the reset, not the cancellation.
        waiting = Deferred()
        exchange.response().addCallbacks(waiting.callback, waiting.errback)
        answer: ResponseHead = await waiting
    except CancelledError:
        if exchange is not None:
            exchange.reset(CANCEL)
        if timedOut:
            raise TargetTimeout("the next hop did not answer in time") from None
        raise
    except StreamReset as error:
        raise HopUnavailable(f"the next hop reset the stream with error code {error.code}") from error
    finally:
        if timer.active():
            timer.cancel()
    if 200 <= answer.status < 300:
        return exchange, answer
    exchange.loseWriteConnection()
    exchange.attach(_Refusal(exchange))
    raise HopRefused(f"the next hop answered {answer.status}", answer.status, answer.get(b"proxy-status"))


@implementer(IDialer)
class TunnelDialer:
    """
    Opens flows through one hop, each a tunnel of its own.
    """

    def __init__(self, client: IExchangeClient, options: TunnelOptions, clock: IReactorTime) -> None:
        self._client = client
        self._options = options
        self._clock = clock

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connectStream(flow, protocol))

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        return Deferred.fromCoroutine(self._connectDatagrams(flow, receiver))

    async def _connectStream(self, flow: Flow, protocol: IProtocol) -> IProtocol:
        options = self._options
        if options.templatedTCP:
            headers = options.headers(Kind.CONNECT_TCP, flow.via)
            head = connectTCPHead(flow.target, options.authority, options.scheme, options.tcpTemplate, headers)
            exchange = await self._open(head)
            exchange.attach(CapsuleStream(protocol))
        else:
            exchange = await self._open(connectHead(flow.target, options.headers(Kind.CONNECT, flow.via)))
            exchange.attach(protocol)
        return protocol

    async def _connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> IDatagramReceiver:
        options = self._options
        headers = options.headers(Kind.CONNECT_UDP, flow.via)
        head = connectUDPHead(flow.target, options.authority, options.scheme, options.udpTemplate, headers)
        exchange = await self._open(head)
        channel = CapsuleChannel(self._clock)
        channel.setReceiver(receiver)
        exchange.attach(channel)
        return receiver

    async def _open(self, head: RequestHead) -> IClientExchange:
        exchange, _ = await openTunnel(self._client, head, self._clock, self._options.timeout)
        return exchange
