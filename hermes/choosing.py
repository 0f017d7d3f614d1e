"""
A connection whose protocol is chosen once it is up: HTTP/2 or HTTP/1.1, by what TLS has negotiated (ALPN), or by the
first bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IReactorTime, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IAttachable, IBorrowingProtocol
from hermes.values import Buffer

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""
What an HTTP/2 client sends first (RFC 9113 section 3.4).
"""

H2: Final = b"h2"


def negotiated(transport: object) -> bytes | None:
    """
    The protocol that TLS has negotiated, C{b""} where TLS has negotiated none; L{None} where there is no TLS.
    """
    if not hasattr(transport, "negotiatedProtocol"):
        return None
    return transport.negotiatedProtocol or b""


@implementer(IProtocol, IBorrowingProtocol, IHalfCloseableProtocol)
class Chooser:
    """
    Holds a transport until it is known who speaks on it, and then gives it away. A transport that can't be given away
    (no L{IAttachable}) is relayed.
    """

    transport: Any = None

    def __init__(self) -> None:
        self._inner: IProtocol | None = None
        self._borrows = False

    def makeConnection(self, transport: ITransport) -> None:
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """
        The transport is up: choose, now or when more is known.
        """

    def undecided(self, data: Buffer) -> None:
        """
        Data came before the choice.
        """

    def choose(self, inner: IProtocol, leftover: bytes = b"") -> None:
        """
        C{inner} speaks from now on.

        @param leftover: what was read already.
        """
        self._inner = inner
        self._borrows = IBorrowingProtocol.providedBy(inner)
        transport = self.transport
        if IAttachable.providedBy(transport):
            transport.attach(inner)
        else:
            inner.makeConnection(transport)
        if leftover:
            self._pass(leftover)

    def _pass(self, data: Buffer) -> None:
        assert self._inner is not None
        self._inner.dataReceived(memoryview(data) if self._borrows else bytes(data))  # type: ignore[arg-type]

    def dataReceived(self, data: Buffer) -> None:
        if self._inner is None:
            self.undecided(data)
        else:
            self._pass(data)

    def readConnectionLost(self) -> None:
        if IHalfCloseableProtocol.providedBy(self._inner):
            IHalfCloseableProtocol(self._inner).readConnectionLost()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        if IHalfCloseableProtocol.providedBy(self._inner):
            IHalfCloseableProtocol(self._inner).writeConnectionLost()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._inner is not None:
            self._inner.connectionLost(Failure(ConnectionDone()) if reason is None else reason)


class ServerChooser(Chooser):
    """
    A server's connection: with TLS, what ALPN says; without, HTTP/2 where the client begins with its preface.
    """

    def __init__(
        self,
        http2: Callable[[], IProtocol],
        http1: Callable[[], IProtocol],
        clock: IReactorTime,
        timeout: float = 10.0,
    ) -> None:
        """
        @param timeout: seconds for the client's first bytes.
        """
        super().__init__()
        self._http2 = http2
        self._http1 = http1
        self._clock = clock
        self._timeout = timeout
        self._begun = b""

    def connectionMade(self) -> None:
        protocol = negotiated(self.transport)
        if protocol is None:
            self._timer = self._clock.callLater(self._timeout, self._timedOut)
        else:
            self.choose(self._http2() if protocol == H2 else self._http1())

    def undecided(self, data: Buffer) -> None:
        begun = self._begun = self._begun + bytes(data)
        if begun.startswith(PREFACE):
            chosen = self._http2()
        elif PREFACE.startswith(begun):
            return
        else:
            chosen = self._http1()
        self._timer.cancel()
        self.choose(chosen, begun)

    def _timedOut(self) -> None:
        self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        self._stop()
        super().readConnectionLost()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._stop()
        super().connectionLost(reason)

    def _stop(self) -> None:
        if self._inner is None and self._timer.active():
            self._timer.cancel()
