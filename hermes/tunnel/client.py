"""
Tunnels through another proxy: the client's end.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final, TypeVar

from attrs import field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from hermes.errors import (
    FlowError,
    HopRefused,
    HopUnavailable,
    NameNotFound,
    NameTimeout,
    StreamReset,
    TargetRefused,
    TargetTimeout,
    TargetUnreachable,
)
from hermes.interfaces import IClientExchange, IDatagramReceiver, IDialer, IExchangeClient, IPacketReceiver
from hermes.tunnel.channel import CapsuleChannel
from hermes.tunnel.codes import CANCEL
from hermes.tunnel.iptunnel import DEFAULT_OPTIONS, IPTunnel, PacketOptions
from hermes.tunnel.request import (
    IP_TEMPLATE,
    TCP_TEMPLATE,
    UDP_TEMPLATE,
    Kind,
    connectHead,
    connectIPHead,
    connectTCPHead,
    connectUDPHead,
)
from hermes.tunnel.tcpcapsules import CapsuleStream
from hermes.values import Flow, Headers, RequestHead, ResponseHead
from hermes.wire.errors import MalformedError
from hermes.wire.fields import parseProxyStatus, writeVia
from hermes.wire.template import PathTemplate

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
    @ivar ipTemplate: where IP packets are taken; it need have no variables.
    @ivar packets: how our end of a tunnel for IP packets is.
    @ivar connectTimeout: seconds to get a stream: to connect, where there is no connection, and to wait for a place.
    @ivar timeout: seconds for the hop to answer, which it does when it has reached the target.
    """

    authority: bytes
    scheme: bytes = b"https"
    credentials: Credentials = Credentials()
    sendVia: bool = False
    templatedTCP: bool = False
    tcpTemplate: PathTemplate = TCP_TEMPLATE
    udpTemplate: PathTemplate = UDP_TEMPLATE
    ipTemplate: PathTemplate = IP_TEMPLATE
    packets: PacketOptions = DEFAULT_OPTIONS
    connectTimeout: float = 10.0
    timeout: float = 60.0

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


_T = TypeVar("_T")


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


class HopTimeout(HopUnavailable):
    """
    The next hop could not be reached in time.
    """

    status = 504
    proxyStatus = "connection_timeout"


async def _within(clock: IReactorTime, timeout: float, waiting: Deferred[_T], late: FlowError) -> _T:
    """
    Wait for C{waiting}, which is cancelled after C{timeout} seconds.

    @raise FlowError: C{late}, if it was.
    """
    if waiting.called:
        return await waiting
    timedOut = False

    def giveUp() -> None:
        nonlocal timedOut
        timedOut = True
        waiting.cancel()

    timer = clock.callLater(timeout, giveUp)
    try:
        return await waiting
    except CancelledError:
        if timedOut:
            raise late from None
        raise
    finally:
        if timer.active():
            timer.cancel()


async def _exchange(
    client: IExchangeClient, head: RequestHead, clock: IReactorTime, options: TunnelOptions
) -> IClientExchange:
    """
    Get a stream with the request on it. What went wrong then went wrong with the hop, and not with the target.
    """
    late = HopTimeout("the next hop could not be reached in time")
    try:
        return await _within(clock, options.connectTimeout, client.exchange(head), late)
    except TargetTimeout as error:
        raise late from error
    except (TargetRefused, TargetUnreachable, NameNotFound, NameTimeout) as error:
        raise HopUnavailable("the next hop could not be reached") from error


async def openTunnel(
    client: IExchangeClient,
    head: RequestHead,
    clock: IReactorTime,
    options: TunnelOptions,
    timeout: float | None = None,
) -> tuple[IClientExchange, ResponseHead]:
    """
    Ask a hop for a tunnel and wait for it to accept. If this is cancelled, the request is.

    @param timeout: seconds for the hop to answer; left out, those of the options.
    @raise HopRefused: where it answers with anything but 2xx.
    @raise HopUnavailable: where it can't be reached, or resets the stream.
    @raise TargetTimeout: where it does not answer in time.
    """
    exchange = await _exchange(client, head, clock, options)
    # A Deferred of our own: cancelling that of the exchange may answer with the reset, not with the cancellation.
    waiting: Deferred[ResponseHead] = Deferred()
    exchange.response().addCallbacks(waiting.callback, waiting.errback)
    try:
        late = TargetTimeout("the next hop did not answer in time")
        answer = await _within(clock, options.timeout if timeout is None else timeout, waiting, late)
    except (CancelledError, TargetTimeout):
        exchange.reset(CANCEL)
        raise
    except StreamReset as error:
        raise HopUnavailable(f"the next hop reset the stream with error code {error.code}") from error
    if 200 <= answer.status < 300:
        return exchange, answer
    exchange.loseWriteConnection()
    exchange.attach(_Refusal(exchange))
    hopStatus, cause = told(answer)
    raise HopRefused(f"the next hop answered {answer.status}", answer.status, hopStatus, cause)


def told(answer: ResponseHead) -> tuple[bytes | None, str | None]:
    """
    What a refusal says in its Proxy-Status field, and the error type of the proxy nearest to the target. A malformed
    field says nothing (RFC 9209 section 2).
    """
    value = answer.get(b"proxy-status")
    if value is None:
        return None, None
    try:
        members = parseProxyStatus(value)
    except MalformedError:
        return None, None
    if not members:
        return None, None
    return value, next((member.error for member in members if member.error is not None), None)


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

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        return Deferred.fromCoroutine(self._connectPackets(flow, receiver))

    async def _connectStream(self, flow: Flow, protocol: IProtocol) -> IProtocol:
        options = self._options
        if flow.protocol == "ip":
            exchange = await self._open(self._packetsHead(flow))
            exchange.attach(protocol)
        elif options.templatedTCP:
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

    async def _connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> IPacketReceiver:
        exchange = await self._open(self._packetsHead(flow))
        tunnel = IPTunnel(self._clock, self._options.packets, exchange.identity)
        tunnel.setReceiver(receiver)
        exchange.attach(tunnel)
        return receiver

    def _packetsHead(self, flow: Flow) -> RequestHead:
        options = self._options
        headers = options.headers(Kind.CONNECT_IP, flow.via)
        return connectIPHead(
            flow.target.host, flow.ipProtocol, options.authority, options.scheme, options.ipTemplate, headers
        )

    async def _open(self, head: RequestHead) -> IClientExchange:
        exchange, _ = await openTunnel(self._client, head, self._clock, self._options)
        return exchange
