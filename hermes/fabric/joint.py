"""
Two stream transports in memory, joined back to back: what is written to one is read from the other.

It connects two protocols that each expect a transport, where there is no socket between them: an HTTP client that
speaks into a flow. No buffer is copied while the reader takes what is written; nothing waits for a turn of the reactor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, cast

from attrs import frozen
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IAttachable, IBorrowingProtocol
from hermes.values import Buffer

HIGH_WATER: Final = 64 * 1024
"""
Bytes that wait for a reader before the writer's producer is paused.
"""


@implementer(IAddress)
@frozen
class JointAddress:
    """
    The address of an end of a joint.
    """

    name: str = "joint"


def joint(clock: IReactorTime, highWater: int = HIGH_WATER) -> tuple[JointEnd, JointEnd]:
    """
    Make a pair of joined transports.

    @param clock: where the end of a connection is scheduled: as with a socket, no protocol hears of its end while it
        still asks for it.
    @param highWater: bytes that wait for a stalled reader before the writing side's producer is paused.
    """
    near, far = JointEnd(clock, highWater), JointEnd(clock, highWater)
    near._peer, far._peer = far, near
    return near, far


@implementer(IAttachable)
class JointEnd:
    """
    One end; made by L{joint}. Its queue holds what the other end wrote and this end's protocol has not taken.
    """

    log = Logger()

    _peer: JointEnd

    def __init__(self, clock: IReactorTime, highWater: int) -> None:
        self._clock = clock
        self._highWater = highWater
        self._protocol: IProtocol | None = None
        self._borrows = False
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._delivering = False
        self._readingPaused = False
        self._producer: IPushProducer | None = None
        self._producerPaused = False
        # Our direction: open, ended by us, and its end told to the peer's protocol.
        self._writeEnded = False
        self._endDelivered = False
        self._closing = False
        self._lost = False
        self._lossCall: IDelayedCall | None = None

    # The reading side

    def attach(self, protocol: object) -> None:
        """
        As on a socket, a protocol may put another in its own place.
        """
        self._protocol = reader = cast("IProtocol", protocol)
        self._borrows = IBorrowingProtocol.providedBy(protocol)
        reader.makeConnection(self)
        self._drain()

    def pauseProducing(self) -> None:
        self._readingPaused = True

    def resumeProducing(self) -> None:
        self._readingPaused = False
        self._drain()

    def stopProducing(self) -> None:
        self.loseConnection()

    @property
    def _takes(self) -> bool:
        return not (
            self._delivering
            or self._readingPaused
            or self._protocol is None
            or self._closing
            or self._lossCall is not None
        )

    def _deliver(self, data: Buffer) -> None:
        protocol = self._protocol
        assert protocol is not None
        self._delivering = True
        try:
            if self._borrows:
                protocol.dataReceived(data)  # type: ignore[arg-type]  # an IBorrowingProtocol takes any buffer
            else:
                protocol.dataReceived(data if isinstance(data, bytes) else bytes(data))
        except Exception:
            # What a socket's reactor does with a protocol that fails: its connection ends, and nobody else's.
            failure = Failure()
            self.log.failure("protocol failed", failure=failure)
            self._scheduleLoss(failure)
            self._peer._scheduleLoss(Failure(ConnectionLost()))
        finally:
            self._delivering = False

    def _receive(self, data: Buffer) -> None:
        """
        The peer wrote; C{data} is borrowed.
        """
        if self._closing:
            return
        if self._takes and not self._queue:
            self._deliver(data)
            # What this delivery led the peer to write came back here while we were busy, and waits.
            self._drain()
        else:
            self._queue.append(bytes(data))
            self._queued += len(data)
            if self._queued > self._highWater:
                self._peer._pauseProducer()

    def _drain(self) -> None:
        while self._queue and self._takes:
            data = self._queue.popleft()
            self._queued -= len(data)
            self._deliver(data)
        if self._queued <= self._highWater // 2:
            self._peer._resumeProducer()
        if not self._queue and self._peer._writeEnded:
            self._deliverEnd()

    def _deliverEnd(self) -> None:
        """
        The peer has ended its direction; once all of it was read, both protocols hear so.
        """
        peer = self._peer
        if peer._endDelivered or not self._takes:
            return
        peer._endDelivered = True
        if peer._closing:
            self._loseBoth()
            return
        if (half := IHalfCloseableProtocol(peer._protocol, None)) is not None:
            half.writeConnectionLost()
        if (half := IHalfCloseableProtocol(self._protocol, None)) is not None:
            half.readConnectionLost()
        else:
            self.loseConnection()
        if self._endDelivered:
            self._loseBoth()

    # The writing side

    @property
    def bufferedBytes(self) -> int:
        return self._peer._queued

    def write(self, data: Buffer) -> None:
        if data and not (self._writeEnded or self._lost or self._lossCall is not None):
            self._peer._receive(data)

    def writeSequence(self, data: Iterable[Buffer]) -> None:
        for part in data:
            self.write(part)

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """
        @raise ValueError: for a pull producer; there is no turn of the reactor here that would pull.
        """
        if not streaming:
            raise ValueError("only push producers can be registered here")
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        push = cast("IPushProducer", producer)
        if self._lost:
            push.stopProducing()
            return
        self._producer = push
        self._producerPaused = False
        if self.bufferedBytes > self._highWater:
            self._pauseProducer()

    def unregisterProducer(self) -> None:
        self._producer = None
        self._producerPaused = False

    def _pauseProducer(self) -> None:
        if self._producer is not None and not self._producerPaused:
            self._producerPaused = True
            self._producer.pauseProducing()

    def _resumeProducer(self) -> None:
        if self._producer is not None and self._producerPaused:
            self._producerPaused = False
            self._producer.resumeProducing()

    # The end

    def loseWriteConnection(self) -> None:
        if not (self._writeEnded or self._lost):
            self._writeEnded = True
            if not self._peer._queue:
                self._peer._deliverEnd()

    def loseConnection(self) -> None:
        if self._closing or self._lost:
            return
        self._closing = True
        self._queue.clear()
        self._queued = 0
        self._peer._resumeProducer()
        self._writeEnded = True
        peer = self._peer
        if self._endDelivered:
            self._loseBoth()
        elif not peer._queue:
            peer._deliverEnd()
        if peer._closing:
            self._loseBoth()

    def abortConnection(self) -> None:
        self._scheduleLoss(Failure(ConnectionAborted()))
        self._peer._scheduleLoss(Failure(ConnectionLost()))

    def _loseBoth(self) -> None:
        for end in (self, self._peer):
            end._scheduleLoss(Failure(ConnectionDone()))

    def _scheduleLoss(self, reason: Failure) -> None:
        if self._lossCall is None and not self._lost:
            self._lossCall = self._clock.callLater(0, self._lose, reason)

    def _lose(self, reason: Failure) -> None:
        self._lossCall = None
        self._lost = self._writeEnded = True
        self._queue.clear()
        self._queued = 0
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    def getHost(self) -> JointAddress:
        return JointAddress()

    def getPeer(self) -> JointAddress:
        return JointAddress()
