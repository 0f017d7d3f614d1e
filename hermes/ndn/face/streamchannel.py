"""
A byte stream as a channel of packets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProtocol, IPushProducer, ITransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IAttachable, IBorrowingProtocol, IDatagramChannel, IDatagramReceiver
from hermes.ndn.face.framing import FramingLost, PacketFramer
from hermes.values import Buffer

UNBOUNDED: Final = 1 << 20
"""
The C{maxDatagramSize} of a channel that carries every packet in one piece.
"""

MAX_QUEUED: Final = 1024 * 1024
"""
How much may wait for a peer that does not read, in bytes, beside what the transport holds.
"""

BATCH: Final = 256 * 1024
"""
How many bytes of it are written at once when the peer reads again.
"""


@implementer(IDatagramChannel, IProtocol, IBorrowingProtocol, IPushProducer)
class StreamChannel:
    """
    The channel in a stream of packets, TCP's or any other's: attach it to the transport, and give it a receiver.

    A peer that does not read has a bounded queue; the oldest whole packets are dropped.

    @ivar skippedPackets: elements from the peer that were passed over: too large, or of no known type.
    """

    log = Logger()
    maxDatagramSize = UNBOUNDED

    def __init__(self, transport: Any = None, maxQueued: int = MAX_QUEUED) -> None:
        """
        @param transport: a connected transport that this becomes the protocol of once there is a receiver; L{None}
            where somebody else connects the two.
        """
        self.droppedDatagrams = 0
        self.transport: Any = None
        self._attachable = transport
        self._maxQueued = maxQueued
        self._framer = PacketFramer()
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._blocked = True
        self._registered = False
        self._early: list[bytes] = []
        self._receiver: IDatagramReceiver | None = None
        self._ending: Exception | None = None
        self._lost: Failure | None = None

    # The channel

    @property
    def skippedPackets(self) -> int:
        return self._framer.skipped

    @property
    def bufferedBytes(self) -> int:
        """
        Bytes that wait for the peer, here and in the transport.
        """
        return self._queued + int(getattr(self.transport, "bufferedBytes", 0))

    def getPeer(self) -> Any:
        """
        The transport's peer, as a Twisted L{IAddress}.
        """
        return (self.transport or self._attachable).getPeer()

    def getHost(self) -> Any:
        """
        Our end of the transport.
        """
        return (self.transport or self._attachable).getHost()

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self._receiver = receiver
        receiver.channelConnected(self)
        early, self._early = self._early, []
        if early:
            self.transport.resumeProducing()
            receiver.datagramsReceived(early)
        if self._lost is not None:
            receiver.channelLost(self._lost)
        elif self._attachable is not None:
            attachable, self._attachable = self._attachable, None
            if IAttachable.providedBy(attachable):
                attachable.attach(self)
            else:
                # One of Twisted's, which has had another protocol until now.
                attachable.protocol = self
                self.makeConnection(attachable)

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if self._ending is not None or self._lost is not None:
            return
        if self._blocked:
            for datagram in datagrams:
                self._queue.append(bytes(datagram))
                self._queued += len(datagram)
            while self._queued > self._maxQueued:
                self._queued -= len(self._queue.popleft())
                self.droppedDatagrams += 1
        else:
            self.transport.writeSequence(self._framed(datagrams))

    def holdReading(self) -> None:
        """
        Receive nothing more until L{goOnReading} is called.
        """
        self.transport.pauseProducing()

    def goOnReading(self) -> None:
        """
        Receive again.
        """
        if self._lost is None:
            self.transport.resumeProducing()

    def _framed(self, packets: Sequence[Buffer]) -> Sequence[Buffer]:
        """
        Packets as they are written to the stream: each says its own length.
        """
        return packets

    def loseChannel(self) -> None:
        if self._ending is None and self._lost is None:
            self._ending = ConnectionDone()
            if self.transport is not None:
                self._finish()

    def abortChannel(self) -> None:
        if self._lost is None:
            self._ending = ConnectionAborted()
            if self.transport is not None:
                abort = getattr(self.transport, "abortConnection", self.transport.loseConnection)
                abort()

    def _finish(self) -> None:
        """
        Send what is queued, and end.
        """
        queue = self._takeQueue()
        if queue:
            self.transport.writeSequence(self._framed(queue))
        self.transport.loseConnection()

    def _takeQueue(self) -> list[bytes]:
        """
        What waits, for the last time.
        """
        if self._registered:
            self._registered = False
            self.transport.unregisterProducer()
        queue = list(self._queue)
        self._queue.clear()
        self._queued = 0
        return queue

    # The protocol on the transport

    def makeConnection(self, transport: ITransport) -> None:
        self.transport = transport
        if isinstance(self._ending, ConnectionDone):
            self._finish()
        elif self._ending is not None:
            self.abortChannel()
        else:
            self._open()

    def _open(self) -> None:
        """
        Packets can be written.
        """
        self._blocked = False
        self._registered = True
        # It may be full already, and say so at once.
        self.transport.registerProducer(self, True)
        self._flush()

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: Buffer) -> None:
        if self._ending is not None:
            return
        try:
            packets = self._framer.receive(data)
        except FramingLost as error:
            self.log.info("{peer} sends no packets: {error}", peer=self.transport.getPeer(), error=error)
            self.abortChannel()
            return
        if packets:
            self._deliver(packets)

    def _deliver(self, packets: list[bytes]) -> None:
        if self._receiver is not None:
            self._receiver.datagramsReceived(packets)
        else:
            self._early += packets
            # Who does not wait for a receiver is heard from the beginning, but not without end.
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure) -> None:
        if self._lost is not None:
            return
        ending = self._ending
        self._lost = reason if ending is None else Failure(ending)
        self._blocked = True
        self._queue.clear()
        self._queued = 0
        if self._receiver is not None:
            self._receiver.channelLost(self._lost)

    # The producer of the transport

    def pauseProducing(self) -> None:
        self._blocked = True

    def resumeProducing(self) -> None:
        self._blocked = False
        self._flush()

    def stopProducing(self) -> None:
        """
        The transport is gone; C{connectionLost} tells why.
        """
        self._blocked = True

    def _flush(self) -> None:
        queue = self._queue
        while queue and not self._blocked and self._ending is None:
            batch: list[bytes] = []
            size = 0
            while queue and size < BATCH:
                batch.append(queue.popleft())
                size += len(batch[-1])
            self._queued -= size
            self.transport.writeSequence(self._framed(batch))
