"""
Connections that another proxy passes on to us: whom they come from is in a PROXY protocol header before their first
byte.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address as NumericIPv6Address
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IProtocolFactory, IReactorTime, ITransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBorrowingProtocol
from hermes.values import Address
from hermes.wire.errors import MalformedError
from hermes.wire.proxyprotocol import ProxyHeader, parse

MAX_HEADER: Final = 4096
"""
The longest header that is taken, in bytes.
"""

HEADER_TIME: Final = 5.0
"""
Seconds from the start of a connection to the end of its header.
"""


def addressOf(address: object) -> Address | None:
    """
    A Twisted address as one of ours: an IPv4 address on an IPv6 socket is given as IPv4. L{None} where it is none (a
    Unix socket's).
    """
    if not isinstance(address, IPv4Address | IPv6Address):
        return None
    host: str = address.host
    if host.startswith("::ffff:") and "." in host:
        mapped = NumericIPv6Address(host).ipv4_mapped
        if mapped is not None:
            host = str(mapped)
    return host, address.port


def sourceOf(transport: Any) -> Address | None:
    """
    Where a connection comes from: its peer's address, or what a PROXY protocol header told in its place. L{None} where
    there is none.
    """
    return addressOf(transport.getPeer())


def handOver(transport: Any, protocol: IProtocol, data: bytes = b"") -> None:
    """
    Put C{protocol} in the place of the protocol that reads from C{transport}, an L{hermes.interfaces.IAttachable} that
    accepts that, and give it the bytes that were read already.
    """
    transport.attach(protocol)
    if data:
        if IBorrowingProtocol.providedBy(protocol):
            protocol.dataReceived(memoryview(data))  # type: ignore[arg-type]  # what the mark is for
        else:
            protocol.dataReceived(data)


def twistedPeer(source: Address) -> IPv4Address | IPv6Address:
    """
    The address in a header, as a transport gives it.
    """
    host, port = source
    return IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)


@implementer(IProtocol)
class ProxyHeaderProtocol:
    """
    Reads the header and gives the connection on. A connection without a correct one, in time, is aborted: whoever sent
    it is not the proxy in front of us, and nothing that it says about itself is to be believed.

    @ivar transport: an L{hermes.interfaces.IAttachable}.
    """

    log = Logger()

    def __init__(
        self, received: Callable[[Any, ProxyHeader, bytes], None], clock: IReactorTime, timeout: float
    ) -> None:
        """
        @param received: called with the transport, the header and what was read beyond it.
        """
        self._received = received
        self._clock = clock
        self._timeout = timeout
        self._timer: IDelayedCall | None = None
        self._start = b""
        self.transport: Any = None

    def makeConnection(self, transport: ITransport) -> None:
        self.transport = transport
        self._timer = self._clock.callLater(self._timeout, self._tooSlow)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        if self._timer is None:
            return
        self._start += data
        try:
            header, size = parse(self._start, MAX_HEADER)
        except MalformedError as error:
            self._refuse(str(error))
            return
        if header is not None:
            self._stopTimer()
            rest, self._start = self._start[size:], b""
            self._received(self.transport, header, rest)

    def connectionLost(self, reason: Failure) -> None:
        self._stopTimer()

    def _tooSlow(self) -> None:
        self._timer = None
        self._refuse("no PROXY protocol header came in time")

    def _refuse(self, why: str) -> None:
        self._stopTimer()
        self._start = b""
        self.log.warn("A connection from {peer} is refused: {why}", peer=self.transport.getPeer(), why=why)
        self.transport.abortConnection()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


@implementer(IProtocolFactory)
class ProxyProtocolFactory:
    """
    Wraps the factory of a listener whose connections begin with a PROXY protocol header, version 1 or 2.

    The inner protocol is attached after the header. Its transport's C{getPeer} then gives the address in the header, so
    that it sees the connection as if there were no proxy between; a header that tells none leaves the address as it is.
    """

    def __init__(self, inner: IProtocolFactory, clock: IReactorTime, timeout: float = HEADER_TIME) -> None:
        """
        @param timeout: seconds that the header may take.
        """
        self._inner = inner
        self._clock = clock
        self._timeout = timeout

    def buildProtocol(self, addr: IAddress) -> ProxyHeaderProtocol:
        return ProxyHeaderProtocol(self._headerReceived, self._clock, self._timeout)

    def doStart(self) -> None:
        self._inner.doStart()

    def doStop(self) -> None:
        self._inner.doStop()

    def _headerReceived(self, transport: Any, header: ProxyHeader, rest: bytes) -> None:
        if header.source is not None:
            peer = twistedPeer(header.source)
            # The transport's own attribute: whoever asks it later finds the client, and no call passes through us.
            transport.getPeer = lambda: peer
        protocol = self._inner.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.abortConnection()
        else:
            handOver(transport, protocol, rest)
