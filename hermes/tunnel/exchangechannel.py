"""
A datagram channel in an exchange: what CONNECT-UDP and CONNECT-IP have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IBorrowingProtocol
from hermes.queues import DatagramQueue
from hermes.tunnel.codes import PROTOCOL_ERROR, resetStream
from hermes.values import Buffer
from hermes.wire.capsule import CapsuleReader
from hermes.wire.errors import MalformedError

FLUSH: Final = 1 << 18
"""
How many bytes of what waits are written at once when the exchange takes more.
"""


@implementer(IProtocol, IBorrowingProtocol, IHalfCloseableProtocol, IPushProducer)
class ExchangeChannel:
    """
    Attach it to the exchange, and give it a receiver, in either order.

    While the exchange does not take more, what is written waits in a bounded queue, and leaves it in large batches.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, reader: CapsuleReader, maxQueued: int, maxAge: float) -> None:
        """
        @param maxQueued: how many bytes of datagrams may wait while the exchange is full; as many of the peer's may
            wait for a receiver.
        @param maxAge: how many seconds they may wait.
        """
        self._clock = clock
        self._maxQueued = maxQueued
        self._maxAge = maxAge
        self._queue = DatagramQueue(maxQueued, maxAge, clock)
        self._early: DatagramQueue | None = None
        self._reader = reader
        # An IStreamTransport, an exchange or an HTTP/1.1 connection: it borrows what ITransport declares as bytes.
        self._exchange: Any = None
        self._receiver: Any = None
        # Whether what is written waits: there is no exchange yet, or it is full.
        self._blocked = True
        self._tooLarge = 0
        self._ending = False
        self._lost: Failure | None = None

    def _encode(self, datagrams: Sequence[Buffer]) -> list[Buffer]:
        """
        Capsules of datagrams, in pieces to be written one after the other; borrowed as long as C{datagrams} is.
        """
        raise NotImplementedError

    # The channel

    @property
    def droppedDatagrams(self) -> int:
        return self._tooLarge + self._queue.dropped + (0 if self._early is None else self._early.dropped)

    @property
    def bufferedBytes(self) -> int:
        """
        Bytes that wait to be sent, here and in the exchange.
        """
        return self._queue.bufferedBytes + int(getattr(self._exchange, "bufferedBytes", 0))

    @property
    def unknownContexts(self) -> int:
        """
        Datagrams from the peer that were dropped because nobody knows their context ID.
        """
        return self._reader.unknownContexts

    def setReceiver(self, receiver: Any) -> None:
        self._receiver = receiver
        receiver.channelConnected(self)
        self._catchUp(receiver)
        if self._lost is not None:
            receiver.channelLost(self._lost)

    def _catchUp(self, receiver: Any) -> None:
        """
        Tell the receiver what has happened before it was there.
        """
        if self._early is not None:
            waiting = self._early.popBatch(self._maxQueued)
            if waiting:
                receiver.datagramsReceived(waiting)

    def loseChannel(self) -> None:
        if self._ending:
            return
        self._ending = True
        if self._exchange is not None and self._lost is None:
            self._finish(self._exchange)

    def abortChannel(self) -> None:
        self._ending = True
        if self._exchange is not None and self._lost is None:
            self._exchange.abortConnection()

    def _finish(self, exchange: Any) -> None:
        """
        Send what is queued and end our direction; the exchange waits for the peer's end.
        """
        exchange.unregisterProducer()
        self._blocked = False
        self._flush(exchange)
        exchange.loseConnection()

    def _flush(self, exchange: Any) -> None:
        # Only as much as the exchange takes: what waits in its buffer does not grow old any more.
        while self._queue and not self._blocked:
            exchange.writeSequence(self._encode(self._queue.popBatch(FLUSH)))

    def _deliver(self, datagrams: Sequence[Buffer]) -> None:
        """
        Give the receiver what came, or keep it for one.
        """
        if self._receiver is not None:
            self._receiver.datagramsReceived(datagrams)
        else:
            if self._early is None:
                self._early = DatagramQueue(self._maxQueued, self._maxAge, self._clock)
            self._early.append(datagrams)

    # The protocol on the exchange

    def makeConnection(self, transport: ITransport) -> None:
        self._exchange = transport
        if self._ending:
            self._finish(transport)
            return
        self._blocked = False
        self._exchange.registerProducer(self, True)
        self._flush(transport)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: Buffer) -> None:
        raise NotImplementedError

    def _malformed(self, error: Exception, code: int = PROTOCOL_ERROR) -> None:
        """
        The peer breaks the protocol: the stream ends.
        """
        self.log.info("tunnel reset: {error}", error=error)
        self._ending = True
        resetStream(self._exchange, code)

    def readConnectionLost(self) -> None:
        try:
            self._reader.close()
        except MalformedError as error:
            self._malformed(error)
            return
        # There is no half of a flow of datagrams: the peer's end of its direction ends ours.
        self.loseChannel()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._lost is not None:
            return
        self._lost = Failure(ConnectionDone()) if reason is None else reason
        self._ending = True
        self._exchange = None
        self._blocked = True
        if self._receiver is not None:
            self._receiver.channelLost(self._lost)

    # The push producer for the exchange

    def pauseProducing(self) -> None:
        self._blocked = True

    def resumeProducing(self) -> None:
        self._blocked = False
        if self._exchange is not None and not self._ending:
            self._flush(self._exchange)

    def stopProducing(self) -> None:
        """
        The exchange is gone; C{connectionLost} tells why.
        """
        self._blocked = True
