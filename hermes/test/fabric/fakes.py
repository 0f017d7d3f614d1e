"""
Stream transports, datagram channels, dialers and a network in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.fabric.record import FlowRecord
from hermes.interfaces import (
    IAttachable,
    IBorrowingProtocol,
    IDatagramChannel,
    IDatagramReceiver,
    IDatagramSocket,
    IDatagramSocketReceiver,
    IDialer,
    IFlowHandler,
    IFlowObserver,
    IHop,
    INetwork,
)
from hermes.values import ANONYMOUS, Buffer, Flow, Identity, Target


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
        IProtocol(protocol).makeConnection(self)

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


@implementer(IDialer)
@define(eq=False)
class FakeDialer:
    """
    Connects to streams and channels in memory.

    @ivar flows: what was dialed.
    @ivar waiting: with C{hold}, the dials that wait for L{up}.
    @ivar failures: errors by target, as text; the key C{""} is for all.
    """

    clock: Clock
    hold: bool = False
    flows: list[Flow] = field(factory=list)
    streams: list[FakeStream] = field(factory=list)
    channels: list[FakeChannel] = field(factory=list)
    waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = field(factory=list)
    failures: dict[str, Exception] = field(factory=dict)
    cancelled: int = 0

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        def connect() -> IProtocol:
            stream = FakeStream(self.clock)
            self.streams.append(stream)
            stream.attach(protocol)
            return protocol

        return self._dial(flow, connect)

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        def connect() -> IDatagramReceiver:
            channel = FakeChannel()
            self.channels.append(channel)
            channel.setReceiver(receiver)
            return receiver

        return self._dial(flow, connect)

    def _dial(self, flow: Flow, connect: Callable[[], Any]) -> Deferred[Any]:
        self.flows.append(flow)
        error = self.failures.get(str(flow.target)) or self.failures.get("")
        if error is not None:
            return fail(error)
        if not self.hold:
            return succeed(connect())
        dialed: Deferred[Any] = Deferred(self._cancel)
        self.waiting.append((dialed, connect))
        return dialed

    def _cancel(self, dialed: Deferred[Any]) -> None:
        self.cancelled += 1
        self.waiting = [(waiting, connect) for waiting, connect in self.waiting if waiting is not dialed]

    def up(self) -> None:
        """
        Connect the dial that waits longest.
        """
        dialed, connect = self.waiting.pop(0)
        dialed.callback(connect())


@implementer(IHop)
@define(eq=False)
class FakeHop:
    """
    Another proxy.

    @ivar inside: the dialers that tunnel through it inside another, by the id of that other.
    """

    name: str
    dialer: FakeDialer
    closed: int = 0
    inside: dict[int, NestedDialer] = field(factory=dict)

    def through(self, dialer: IDialer) -> IDialer:
        return self.inside.setdefault(id(dialer), NestedDialer(self.dialer.clock, carrier=dialer, hop=self.name))

    def close(self) -> Deferred[None]:
        self.closed += 1
        return succeed(None)


@define(eq=False)
class NestedDialer(FakeDialer):
    """
    What L{FakeHop.through} gives.
    """

    carrier: Any = None
    hop: str = ""


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


@implementer(INetwork)
@define(eq=False)
class FakeNetwork:
    """
    Sockets in memory.

    @ivar streams: what was connected, with the address.
    @ivar refusing: addresses that can't be connected to, with the error.
    @ivar special: the values of C{allowSpecial} that were given.
    @ivar servers: the factories that listen, by bind.
    """

    clock: Clock
    streams: list[tuple[str, FakeStream]] = field(factory=list)
    channels: list[tuple[str, FakeChannel]] = field(factory=list)
    tried: list[str] = field(factory=list)
    refusing: dict[str, FlowError] = field(factory=dict)
    special: list[bool] = field(factory=list)
    servers: dict[str, FakePort] = field(factory=dict)
    sockets: dict[str, FakeSocket] = field(factory=dict)
    bindError: Exception | None = None

    def streamClient(self, address: str, tls: object | None = None) -> Any:
        return FakeEndpoint(self, address)

    def streamServer(self, bind: str, tls: object | None = None) -> Any:
        return FakeServerEndpoint(self, bind)

    def connectStream(self, target: Target, protocol: IProtocol, allowSpecial: bool = False) -> Deferred[IProtocol]:
        self.special.append(allowSpecial)
        return self.open(str(target), protocol)

    def connectDatagrams(self, target: Target, allowSpecial: bool = False) -> Deferred[IDatagramChannel]:
        self.special.append(allowSpecial)
        self.tried.append(str(target))
        if (error := self.refusing.get(str(target))) is not None:
            return fail(error)
        channel = FakeChannel()
        self.channels.append((str(target), channel))
        return succeed(channel)

    def datagramSocket(self, bind: str) -> IDatagramSocket:
        if self.bindError is not None:
            raise self.bindError
        self.sockets[bind] = FakeSocket()
        return self.sockets[bind]

    def open(self, address: str, protocol: IProtocol) -> Deferred[IProtocol]:
        self.tried.append(address)
        if (error := self.refusing.get(address)) is not None:
            return fail(error)
        stream = FakeStream(self.clock)
        self.streams.append((address, stream))
        stream.attach(protocol)
        return succeed(protocol)


@define(eq=False)
class FakeEndpoint:
    """
    A client endpoint.
    """

    network: FakeNetwork
    address: str

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        return self.network.open(self.address, protocol)


@define(eq=False)
class FakeServerEndpoint:
    """
    A server endpoint.
    """

    network: FakeNetwork
    bind: str

    def listen(self, factory: IProtocolFactory) -> Deferred[Any]:
        if self.network.bindError is not None:
            return fail(self.network.bindError)
        self.network.servers[self.bind] = FakePort(self.network.clock, factory)
        return succeed(self.network.servers[self.bind])


@define(eq=False)
class FakePort:
    """
    A listening port.
    """

    clock: Clock
    factory: Any
    stopped: bool = False

    def accept(self, peer: object = None) -> FakeStream:
        """
        A client connects.
        """
        stream = FakeStream(self.clock)
        stream.peer = peer or stream.peer
        protocol = self.factory.buildProtocol(stream.peer)
        if protocol is None:
            stream.calls.append("refused")
        else:
            stream.attach(protocol)
        return stream

    def getHost(self) -> object:
        return IPv4Address("TCP", "127.0.0.1", 3306)

    def stopListening(self) -> Deferred[None]:
        self.stopped = True
        return succeed(None)
