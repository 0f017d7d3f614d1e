"""
The C{proxy} listener: what applications are pointed at. HTTP/1.1, HTTP/2 and SOCKS5 on one port.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias
from weakref import WeakSet

from attrs import frozen
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.fabric.admitted import AdmittedFlows
from hermes.fabric.listener import Accepted, StreamListener
from hermes.fabric.sniff import Choices, SniffingProtocol
from hermes.fabric.socks import SOCKSProtocol
from hermes.http1.server import HTTP1ServerProtocol
from hermes.interfaces import IAdmission, IExchangeHandler, IListener, IListenerContext, IListenerType
from hermes.values import Forwarded

FIRST_BYTES_TIME: Final = 10.0
"""
Seconds that a client has to say what it speaks.
"""

ExchangeHandlers: TypeAlias = Callable[
    [str, IListenerContext, bool, IExchangeHandler, IAdmission | None], IExchangeHandler
]
"""
Makes the handler of a listener's exchanges: of the listener's name, its context, whether somebody anonymous is taken,
the handler of the requests that are no tunnel, and what is asked about tunnels.
"""

HTTP2Protocol: TypeAlias = Callable[[IExchangeHandler, IReactorTime], Any]
"""
Makes the protocol of an HTTP/2 connection, an L{IProtocol} that has a C{drain} method.
"""


@frozen
class ProxyOptions:
    """
    @ivar bind: C{HOST:PORT}, C{[V6]:PORT} or C{unix:PATH}.
    @ivar anonymous: whether somebody without a credential is taken. A wrong credential is refused either way.
    @ivar tls: whether connections begin with TLS, with the node's certificate.
    @ivar proxyProtocol: whether connections begin, before TLS, with a PROXY protocol header.
    @ivar assist: the assisting components that each HTTP request passes before it is routed, in order.
    @ivar forwarded: what the C{Forwarded} field (RFC 7239) tells about the client to whoever is beyond: its address, a
        word that stands for it, nothing.
    """

    bind: str
    anonymous: bool = True
    tls: bool = False
    proxyProtocol: bool = False
    assist: tuple[str, ...] = ()
    forwarded: Forwarded = "none"


class ProxyListener(StreamListener):
    """
    Gives each connection the protocol that its first bytes ask for.

    @ivar handler: takes all requests.
    """

    def __init__(
        self,
        name: str,
        options: ProxyOptions,
        context: IListenerContext,
        exchangeHandlers: ExchangeHandlers,
        http2Protocol: HTTP2Protocol,
    ) -> None:
        super().__init__(name, options.bind, context, options.tls, options.proxyProtocol)
        forward = context.requests.listener(name, options.assist, options.anonymous, forwarded=options.forwarded)
        admission = context.requests.admission(name, options.assist)
        self.handler = exchangeHandlers(name, context, options.anonymous, forward, admission)
        self._flows = context.flows if admission is None else AdmittedFlows(context.flows, admission)
        self._anonymous = options.anonymous
        self._http2Protocol = http2Protocol
        self._choices = Choices(self._socks5, self._http1, self._http2)
        # A transport forgets its protocol when it ends, and nothing else keeps it.
        self._drainable: WeakSet[Any] = WeakSet()

    def accept(self, accepted: Accepted) -> None:
        accepted.attach(SniffingProtocol(self._choices, self.context.reactor, FIRST_BYTES_TIME, self.name))

    def _socks5(self) -> IProtocol:
        return SOCKSProtocol(self.context, self.name, self._anonymous, self._flows)

    def _http1(self) -> IProtocol:
        return self._keep(HTTP1ServerProtocol(self.handler, self.context.reactor))

    def _http2(self) -> IProtocol:
        return self._keep(self._http2Protocol(self.handler, self.context.reactor))

    def _keep(self, connection: Any) -> IProtocol:
        self._drainable.add(connection)
        return connection  # type: ignore[no-any-return]

    def drain(self) -> None:
        for connection in list(self._drainable):
            connection.drain()


@implementer(IPlugin, IListenerType)
class ProxyListenerType:
    """
    C{type: proxy}.
    """

    type = "proxy"
    options = ProxyOptions

    def __init__(self, exchangeHandlers: ExchangeHandlers, http2Protocol: HTTP2Protocol) -> None:
        """
        The parts that this package does not know: tunnels, and HTTP/2.
        """
        self._exchangeHandlers = exchangeHandlers
        self._http2Protocol = http2Protocol

    def listener(self, name: str, options: Any, context: IListenerContext) -> IListener:
        return ProxyListener(name, options, context, self._exchangeHandlers, self._http2Protocol)
