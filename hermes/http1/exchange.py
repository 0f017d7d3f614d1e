"""
The transport side of an exchange: a body out, a body in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import StreamReset
from hermes.interfaces import IBorrowingProtocol, IExchange
from hermes.values import Address, Buffer, Headers, Identity, RequestHead

if TYPE_CHECKING:
    from hermes.http1.connection import Connection

PROTOCOL_ERROR = 0x1
INTERNAL_ERROR = 0x2
CANCEL = 0x8

_TRANSPORT_METHODS = (
    *("write", "writeSequence", "registerProducer", "unregisterProducer", "pauseProducing", "resumeProducing"),
    *("stopProducing", "loseConnection", "loseWriteConnection", "abortConnection"),
)


def _ignored(data: memoryview) -> None:
    pass


@implementer(IExchange)
class Exchange:
    """
    One request and its response on an L{hermes.http1.connection.Connection}.

    @ivar bodyless: the peer's head said that it has no body.
    @ivar bodyLength: how long it is, where that is known.
    @ivar readEnded: the peer's body is complete.
    @ivar writeEnded: ours is.
    @ivar readPaused: the attached protocol wants nothing now.
    @ivar abandoned: what is left of the peer's body is wanted by nobody.
    @ivar producer: what is registered to write our body.
    @ivar lostReason: why it ended, or L{None}.
    """

    log = Logger()
    version = "1.1"

    def __init__(
        self, connection: Connection, request: RequestHead, identity: Identity, source: Address | None
    ) -> None:
        self.request = request
        self.identity = identity
        self.source = source
        self.trailers: Headers = ()
        self.protocol: IProtocol | None = None
        self.bodyless = False
        self.bodyLength: int | None = None
        self.readEnded = False
        self.writeEnded = False
        self.readPaused = False
        self.abandoned = False
        self.lostReason: Failure | None = None
        self._connection = connection
        self._borrowing = False
        self.producer: Any = None
        self._tunnelling = False
        self._resetCode: int | None = None

    # The peer's body.

    def attach(self, protocol: Any) -> None:
        if self.protocol is not None:
            raise RuntimeError("a protocol is attached already")
        if self.lostReason is None and self._connection.tunnelling(self):
            self.protocol = protocol
            self._becomeTunnel()
            self._connection.handOver(protocol, True)
            return
        self.protocol = protocol
        self._borrowing = IBorrowingProtocol.providedBy(protocol)
        protocol.makeConnection(self)
        if self.readEnded:
            self._tellReadEnded()
        if self.lostReason is not None:
            protocol.connectionLost(self.lostReason)
        else:
            self._connection.attached(self)

    def bodyReceived(self, data: memoryview) -> None:
        """
        A part of the peer's body; it is attached, and wants it.
        """
        assert self.protocol is not None
        try:
            if self._borrowing:
                self.protocol.dataReceived(data)  # type: ignore[arg-type]  # what the mark is for
            else:
                self.protocol.dataReceived(bytes(data))
        except Exception:
            self.log.failure("protocol of an exchange failed to take data")
            self.reset(CANCEL)

    def bodyEnded(self, trailers: Headers) -> None:
        """
        The peer's body is complete.
        """
        self.trailers = trailers
        self.readEnded = True
        if self.protocol is not None and not self.abandoned:
            self._tellReadEnded()

    def _tellReadEnded(self) -> None:
        halfCloseable = IHalfCloseableProtocol(self.protocol, None)
        if halfCloseable is None:
            return
        try:
            halfCloseable.readConnectionLost()
        except Exception:
            self.log.failure("protocol of an exchange failed to end")
            self.reset(CANCEL)

    def pauseProducing(self) -> None:
        if not self.abandoned:
            self.readPaused = True
            self._connection.steer()

    def resumeProducing(self) -> None:
        self.readPaused = False
        self._connection.pump()

    def ignore(self) -> None:
        if not self._tunnelling:
            self.bodyReceived = _ignored  # type: ignore[method-assign]  # so that what is read asks nothing
            self.resumeProducing()

    def stopProducing(self) -> None:
        self.loseConnection()

    # Our body.

    @property
    def bufferedBytes(self) -> int:
        return int(self._connection.bufferedBytes)

    def write(self, data: Buffer) -> None:
        self.writeSequence((data,))

    def writeSequence(self, data: Iterable[Buffer]) -> None:
        if self.lostReason is not None or self.writeEnded or self._resetCode is not None:
            return
        buffers: Sequence[Buffer] = data if isinstance(data, (list, tuple)) else list(data)
        self._connection.writeBody(self, buffers)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self.lostReason is not None and not self.lostReason.check(ConnectionDone):
            producer.stopProducing()
            return
        if self.writeEnded:
            # There is nothing to wait with, and the transport may have another exchange's producer.
            return
        self._connection.transport.registerProducer(producer, streaming)
        self.producer = producer

    def unregisterProducer(self) -> None:
        if self.producer is not None:
            self.producer = None
            self._connection.transport.unregisterProducer()

    def loseWriteConnection(self) -> None:
        self.writeTrailers(())

    def writeTrailers(self, trailers: Headers) -> None:
        if self._tunnelling:
            # A tunnel has no place for trailers.
            self._connection.transport.loseWriteConnection()
        elif self.lostReason is None and not self.writeEnded and self._resetCode is None:
            self._connection.endBody(self, trailers)

    # The end.

    def loseConnection(self) -> None:
        if self.lostReason is not None:
            return
        self.abandoned = True
        self.loseWriteConnection()
        self.readPaused = False
        self._connection.abandoned(self)

    def abortConnection(self) -> None:
        self.reset(CANCEL)

    def reset(self, code: int) -> None:
        ended = self.readEnded and self.writeEnded
        if self.lostReason is None and self._resetCode is None and not ended:
            self._resetCode = code
            self._connection.transport.abortConnection()

    def writeFinished(self) -> None:
        """
        Our body is complete, and sent as far as we are concerned.
        """
        self.writeEnded = True
        self.unregisterProducer()

    def lost(self, reason: Failure) -> None:
        """
        It has ended: in order with C{ConnectionDone}, else with what went wrong.
        """
        if self.lostReason is not None:
            return
        if self._resetCode is not None and not reason.check(ConnectionDone):
            reason = Failure(StreamReset(self._resetCode))
        self.lostReason = reason
        self.writeEnded = True
        self.unregisterProducer()
        # Nothing may hold what is over, or only the collector would find it.
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    def ended(self, reason: Failure) -> None:
        """
        It has ended in order, and nobody is attached who should be told.
        """
        self.lostReason = reason
        self.writeEnded = True

    # The tunnel.

    def _becomeTunnel(self) -> None:
        """
        What is still called on this exchange goes straight to the transport.
        """
        for name in _TRANSPORT_METHODS:
            setattr(self, name, getattr(self._connection.transport, name))
        self._tunnelling = True

    def handOver(self) -> None:
        """
        The tunnel is open, and the protocol is connected to this exchange.
        """
        assert self.protocol is not None
        self._becomeTunnel()
        self._connection.handOver(self.protocol, False)

    def getPeer(self) -> Any:
        return self._connection.transport.getPeer()

    def getHost(self) -> Any:
        return self._connection.transport.getHost()
