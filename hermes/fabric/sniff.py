"""
One port, three protocols: what the first bytes of a connection say.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime, ITransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.proxied import handOver, sourceOf
from hermes.values import Target

HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""
What an HTTP/2 client sends first (RFC 9113 section 3.4).
"""

SOCKS4_REJECTED: Final = b"\x00\x5b" + bytes(6)
"""
The reply of a SOCKS4 server to a request that it rejects.
"""


class Guess(Enum):
    """
    What a client speaks.
    """

    SOCKS5 = "SOCKS5"
    SOCKS4 = "SOCKS4"
    HTTP1 = "HTTP/1.1"
    HTTP2 = "HTTP/2"
    TLS = "TLS"


def guess(start: bytes) -> Guess | None:
    """
    What the first bytes of a connection say: L{None} where they say nothing yet, which is so for 23 bytes at most.
    """
    if not start:
        return None
    match start[0]:
        case 0x05:
            return Guess.SOCKS5
        case 0x04:
            return Guess.SOCKS4
        case 0x16:
            return Guess.TLS
    if start.startswith(HTTP2_PREFACE):
        return Guess.HTTP2
    return None if HTTP2_PREFACE.startswith(start) else Guess.HTTP1


@frozen
class Choices:
    """
    What makes the protocol for a connection, once it is known what the client speaks.
    """

    socks5: Callable[[], IProtocol]
    http1: Callable[[], IProtocol]
    http2: Callable[[], IProtocol]


@implementer(IProtocol)
class SniffingProtocol:
    """
    Reads the first bytes of a connection and gives it, with them, to the protocol that they ask for.

    @ivar transport: an L{hermes.interfaces.IAttachable} whose protocol can be replaced.
    """

    log = Logger()

    def __init__(self, choices: Choices, clock: IReactorTime, timeout: float, listener: str = "") -> None:
        """
        @param timeout: seconds that a client has to say what it speaks.
        @param listener: the listener's name, for the log.
        """
        self._choices = choices
        self._clock = clock
        self._timeout = timeout
        self._listener = listener
        self._start = b""
        self._timer: IDelayedCall | None = None
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
        guessed = guess(self._start)
        if guessed is None:
            return
        self._stopTimer()
        match guessed:
            case Guess.SOCKS5:
                self._handOver(self._choices.socks5())
            case Guess.HTTP1:
                self._handOver(self._choices.http1())
            case Guess.HTTP2:
                self._handOver(self._choices.http2())
            case Guess.SOCKS4:
                self._hint("A client speaks SOCKS4; set it to SOCKS5")
                self.transport.write(SOCKS4_REJECTED)
                self.transport.loseConnection()
            case Guess.TLS:
                self._hint("A client starts TLS on a listener without it; set 'tls: true' here, or http:// there")
                self.transport.loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        self._stopTimer()

    def _handOver(self, protocol: IProtocol) -> None:
        start, self._start = self._start, b""
        handOver(self.transport, protocol, start)

    def _hint(self, text: str) -> None:
        self.log.warn("{listener}: {hint} ({source})", listener=self._listener, hint=text, source=self._source())

    def _source(self) -> str:
        source = sourceOf(self.transport)
        return "-" if source is None else str(Target(*source))

    def _tooSlow(self) -> None:
        self._timer = None
        self.log.debug("{listener}: {source} said nothing", listener=self._listener, source=self._source())
        self.transport.abortConnection()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
