"""
Stream transports, datagram channels and what is around them, in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import NoRoute
from hermes.fabric.record import FlowRecord
from hermes.interfaces import (
    IAttachable,
    IBorrowingProtocol,
    IDatagramChannel,
    IDatagramReceiver,
    IDatagramSocket,
    IDatagramSocketReceiver,
    IFlowHandler,
    IFlowObserver,
    IPacketReceiver,
)
from hermes.values import ANONYMOUS, Buffer, Flow, Identity


@implementer(IAttachable)
class FakeStream:
    """
    A stream transport whose peer takes what it is told to, and which lends its buffers only until a call returns.

    @ivar taken: what the peer has read.
    @ivar room: how many bytes the peer takes before it stalls; L{None} for all.
    @ivar highWater: bytes buffered above which the producer is paused.
    @ivar most: the most bytes that were ever buffered.
    @ivar calls: the endings that were asked for.
    """

    def __init__(self, clock: Clock, room: int | None = None, highWater: int = 65536) -> None:
        self.clock = clock
        self.room = room
        self.highWater = highWater
        self.taken = bytearray()
        self.most = 0
        self.reading = False
        self.protocol: Any = None
        self.calls: list[str] = []
        self.lost: Failure | None = None
        self.identity: Identity = ANONYMOUS
        self.host: Any = IPv4Address("TCP", "127.0.0.1", 3306)
        self.peer: Any = IPv4Address("TCP", "127.0.0.1", 50000)
        self.producer: Any = None
        self._paused = False
        self._queue = bytearray()
        self._closing = False
        self._writeEnding = False
        self.readEnded = False
        self.writeEnded = False

    # What a test does.

    def deliver(self, data: bytes) -> None:
        """
        The peer sent this.
        """
        if not self.reading:
            raise AssertionError("delivered while paused")
        protocol: Any = self.protocol
        if IBorrowingProtocol.providedBy(self.protocol):
            lent = bytearray(data)
            protocol.dataReceived(memoryview(lent))
            lent[:] = b"!" * len(lent)
        else:
            protocol.dataReceived(data)

    def endReading(self) -> None:
        """
        The peer ended its direction.
        """
        if not self.reading:
            raise AssertionError("delivered while paused")
        self.readEnded = True
        half = IHalfCloseableProtocol(self.protocol, None)
        if half is None:
            self._lose(ConnectionDone())
        else:
            half.readConnectionLost()

    def take(self, size: int | None = None) -> None:
        """
        The peer reads on, C{size} bytes or everything.
        """
        self.room = None if size is None else (self.room or 0) + size
        self._flush()

    def fail(self, error: Exception) -> None:
        """
        The connection is lost.
        """
        self._lose(error)

    # The transport.

    @property
    def bufferedBytes(self) -> int:
        return len(self._queue)

    def attach(self, protocol: object) -> None:
        self.protocol = protocol
        self.reading = True
        self.protocol.makeConnection(self)

    def write(self, data: Buffer) -> None:
        assert not self._writeEnding, "written after the end"
        if self.lost is None:
            self._queue += data
            self._flush()

    def writeSequence(self, data: Iterable[Buffer]) -> None:
        for part in data:
            self.write(part)

    def _flush(self) -> None:
        size = len(self._queue) if self.room is None else min(self.room, len(self._queue))
        self.taken += self._queue[:size]
        del self._queue[:size]
        if self.room is not None:
            self.room -= size
        self.most = max(self.most, len(self._queue))
        if len(self._queue) > self.highWater and self.producer is not None and not self._paused:
            self._paused = True
            self.producer.pauseProducing()
        elif not self._queue:
            if self.producer is not None and self._paused:
                self._paused = False
                self.producer.resumeProducing()
            elif self._closing and self.producer is None:
                self.clock.callLater(0, self._lose, ConnectionDone())
            elif self._writeEnding and not self.writeEnded:
                self.writeEnded = True

    def registerProducer(self, producer: object, streaming: bool) -> None:
        assert self.producer is None and streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        assert self.producer is not None
        self.producer = None
        self._paused = False

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = not self._closing

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseWriteConnection(self) -> None:
        self.calls.append("loseWriteConnection")
        self._writeEnding = True
        self._flush()

    def loseConnection(self) -> None:
        self.calls.append("loseConnection")
        if not self._closing:
            self._closing = True
            self.reading = False
            self._flush()

    def abortConnection(self) -> None:
        self.calls.append("abortConnection")
        self.clock.callLater(0, self._lose, ConnectionAborted())

    def _lose(self, error: Exception) -> None:
        if self.lost is None:
            self.lost = Failure(error)
            self.reading = False
            producer, self.producer = self.producer, None
            if producer is not None:
                producer.stopProducing()
            self.protocol.connectionLost(self.lost)

    def getPeer(self) -> Any:
        return self.peer

    def getHost(self) -> Any:
        return self.host


@implementer(IDatagramChannel)
class FakeChannel:
    """
    A datagram channel.

    @ivar written: the datagrams that were written, copied.
    @ivar calls: the endings that were asked for.
    """

    maxDatagramSize = 65507
    droppedDatagrams = 0

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.calls: list[str] = []
        self.receiver: Any = None
        self.ended = False

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self.receiver = receiver
        receiver.channelConnected(self)

    def deliver(self, *datagrams: bytes) -> None:
        lent = [bytearray(datagram) for datagram in datagrams]
        self.receiver.datagramsReceived([memoryview(buffer) for buffer in lent])
        for buffer in lent:
            buffer[:] = b"!" * len(buffer)

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if not self.ended:
            self.written += map(bytes, datagrams)

    def loseChannel(self) -> None:
        self.calls.append("loseChannel")
        self.lose(ConnectionDone())

    def abortChannel(self) -> None:
        self.calls.append("abortChannel")
        self.lose(ConnectionAborted())

    def lose(self, error: Exception) -> None:
        if not self.ended:
            self.ended = True
            self.receiver.channelLost(Failure(error))


@implementer(IFlowObserver)
@define(eq=False)
class FakeObserver:
    """
    Remembers what it heard.
    """

    events: list[tuple[str, FlowRecord]] = field(factory=list)

    def flowOpened(self, record: Any) -> None:
        self.events.append(("opened", record))

    def flowClosed(self, record: Any) -> None:
        self.events.append(("closed", record))

    def flowRefused(self, record: Any) -> None:
        self.events.append(("refused", record))

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


@implementer(IFlowHandler)
@define(eq=False)
class FakeFlows:
    """
    A flow handler that waits to be told what becomes of each flow.

    @ivar asked: the flows and what waits for them.
    @ivar ready: near ends for the next flows, which are then opened at once.
    """

    asked: list[tuple[Flow, Deferred[Any]]] = field(factory=list)
    cancelled: int = 0
    ready: list[Any] = field(factory=list)

    def openStream(self, flow: Flow) -> Deferred[IProtocol]:
        return self._ask(flow)

    def openDatagrams(self, flow: Flow) -> Deferred[IDatagramReceiver]:
        return self._ask(flow)

    def openPackets(self, flow: Flow) -> Deferred[IPacketReceiver]:
        return self._ask(flow)

    def authorise(self, flow: Flow) -> None:
        raise NoRoute("nobody may")

    def _ask(self, flow: Flow) -> Deferred[Any]:
        asked: Deferred[Any] = Deferred(self._cancel)
        self.asked.append((flow, asked))
        if self.ready:
            asked.callback(self.ready.pop(0))
        return asked

    def _cancel(self, asked: Deferred[Any]) -> None:
        self.cancelled += 1


@implementer(IDatagramSocket)
@define(eq=False)
class FakeSocket:
    """
    A bound datagram socket.
    """

    receiver: Any = None
    written: list[tuple[object, bytes]] = field(factory=list)
    stopped: bool = False

    def setReceiver(self, receiver: IDatagramSocketReceiver) -> None:
        self.receiver = receiver

    def deliver(self, address: object, *datagrams: bytes) -> None:
        lent = [bytearray(datagram) for datagram in datagrams]
        self.receiver.datagramsReceivedFrom([memoryview(buffer) for buffer in lent], address)
        for buffer in lent:
            buffer[:] = b"!" * len(buffer)

    def writeTo(self, datagrams: Sequence[Buffer], address: object) -> None:
        self.written += [(address, bytes(datagram)) for datagram in datagrams]

    def getHost(self) -> object:
        return IPv4Address("UDP", "127.0.0.1", 5353)

    def stopListening(self) -> None:
        self.stopped = True
