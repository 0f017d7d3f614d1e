"""
The C{udp} listener: every source that sends to it has a flow to one target.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import field, frozen
from attrs.validators import ge, gt
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.fabric.listener import ListenError, bindsOf, cannotListen
from hermes.interfaces import (
    IDatagramChannel,
    IDatagramReceiver,
    IDatagramSocket,
    IDatagramSocketReceiver,
    IListener,
    IListenerContext,
    IListenerType,
)
from hermes.queues import DatagramQueue
from hermes.values import Buffer, Flow, Target

MAX_WAITING_BYTES: Final = 16 * 1024
MAX_WAITING_AGE: Final = 2.0
"""
How much of a source waits while its flow is being opened, in bytes, and how long, in seconds.
"""

REFUSED_FOR: Final = 1.0
"""
Seconds for which the datagrams of a source whose flow was refused are dropped before it is tried again.
"""


@frozen
class UDPOptions:
    """
    @ivar bind: C{HOST:PORT}, C{[V6]:PORT} or C{unix:PATH}.
    @ivar target: where the flows go.
    @ivar idle: seconds after which a flow that nothing passed through is ended.
    @ivar maxFlows: how many sources may have a flow; a further one takes the place of the one that was idle longest.
    """

    bind: str
    target: Target
    idle: float = field(default=60.0, validator=gt(0))
    maxFlows: int = field(default=4096, validator=ge(1))


@implementer(IDatagramChannel)
class SourceChannel:
    """
    The datagrams of one source: what it sends, what goes back to it.

    @ivar lastUsed: when something passed through last, in seconds of the clock.
    @ivar refusedUntil: until when what the source sends is dropped, for its flow was refused.
    """

    __slots__ = (
        "_dropped",
        "_ended",
        "_listener",
        "_opening",
        "_queue",
        "_receiver",
        "_socket",
        "address",
        "lastUsed",
        "refusedUntil",
    )

    # The larger of the two versions of IP; the socket counts what it can't send.
    maxDatagramSize = 65527

    def __init__(self, listener: UDPListener, socket: IDatagramSocket, address: object, now: float) -> None:
        self.address = address
        self.lastUsed = now
        self.refusedUntil = 0.0
        self._dropped = 0
        self._ended: Exception | None = None
        self._listener = listener
        self._socket = socket
        self._opening: Deferred[IDatagramReceiver] | None = None
        self._queue: DatagramQueue | None = None
        self._receiver: IDatagramReceiver | None = None

    @property
    def droppedDatagrams(self) -> int:
        return self._dropped + (0 if self._queue is None else self._queue.dropped)

    # From the source

    def open(self, opening: Deferred[IDatagramReceiver]) -> None:
        """
        The flow is being opened.
        """
        self._opening = opening
        opening.addCallbacks(self.setReceiver, self._refused)
        opening.addErrback(self._failed)

    def received(self, datagrams: Sequence[Buffer]) -> None:
        """
        The source sent these.
        """
        if self._receiver is not None:
            self._receiver.datagramsReceived(datagrams)
        elif self._opening is not None:
            queue = self._queue
            if queue is None:
                queue = self._queue = DatagramQueue(MAX_WAITING_BYTES, MAX_WAITING_AGE, self._listener.clock)
            queue.append(datagrams)
        else:
            self._dropped += len(datagrams)

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self._opening = None
        if self._ended is not None:
            # It came up although it was cancelled.
            receiver.channelLost(Failure(self._ended))
            return
        self._receiver = receiver
        receiver.channelConnected(self)
        queue, self._queue = self._queue, None
        if queue is not None:
            waiting = queue.popBatch(MAX_WAITING_BYTES)
            self._dropped += queue.dropped
            if waiting and self._receiver is not None:
                self._receiver.datagramsReceived(waiting)

    def _refused(self, failure: Failure) -> None:
        if self._ended is not None:
            return
        self._opening = None
        if self._queue is not None:
            self._dropped += len(self._queue) + self._queue.dropped
            self._queue = None
        self.refusedUntil = self._listener.clock.seconds() + REFUSED_FOR
        failure.trap(FlowError)

    def _failed(self, failure: Failure) -> None:
        self._listener.log.failure("{listener}: a flow failed", failure, listener=self._listener.name)
        self.abortChannel()

    # To the source

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if self._receiver is not None:
            self._listener.used(self)
            self._socket.writeTo(datagrams, self.address)

    def loseChannel(self) -> None:
        self.end(ConnectionDone())

    def abortChannel(self) -> None:
        self.end(ConnectionAborted())

    def end(self, reason: Exception) -> None:
        """
        The flow ends, or is not opened.
        """
        if self._ended is not None:
            return
        self._ended = reason
        self._listener.forget(self)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.channelLost(Failure(reason))


@implementer(IListener, IDatagramSocketReceiver)
class UDPListener:
    """
    A socket that stands for a target.

    Every source is in one table, the one idle longest first: one timer, for that one, ends them all in turn.

    @ivar name: its name in the configuration.
    @ivar target: where the flows go.
    @ivar opened: how many sources had a flow.
    @ivar evicted: how many lost it to a newer source.
    """

    log = Logger()

    def __init__(self, name: str, options: UDPOptions, context: IListenerContext) -> None:
        self.name = name
        self.target = options.target
        self.clock = context.reactor
        self.opened = 0
        self.evicted = 0
        self._bind = options.bind
        self._idle = options.idle
        self._maxFlows = options.maxFlows
        self._context = context
        self._socket: IDatagramSocket | None = None
        self._channels: OrderedDict[object, SourceChannel] = OrderedDict()
        self._timer: IDelayedCall | None = None

    # Datagrams

    def datagramsReceivedFrom(self, datagrams: Sequence[Buffer], address: object) -> None:
        now = self.clock.seconds()
        channel = self._channels.get(address)
        if channel is not None:
            if not channel.refusedUntil:
                channel.lastUsed = now
                self._channels.move_to_end(address)
            elif channel.refusedUntil <= now:
                self.forget(channel)
                channel = None
        if channel is None:
            channel = self._open(address, now)
            if channel is None:
                return
        channel.received(datagrams)

    def _open(self, address: object, now: float) -> SourceChannel | None:
        """
        A flow for a new source.
        """
        if self._socket is None:
            return None
        if len(self._channels) >= self._maxFlows:
            self.evicted += 1
            next(iter(self._channels.values())).loseChannel()
        self.opened += 1
        channel = self._channels[address] = SourceChannel(self, self._socket, address, now)
        if self._timer is None:
            self._timer = self.clock.callLater(self._idle, self._sweep)
        source = address if isinstance(address, tuple) else None
        channel.open(self._context.flows.openDatagrams(Flow("udp", self.target, source, listener=self.name)))
        return channel

    def used(self, channel: SourceChannel) -> None:
        """
        Something passed through a flow of this listener.
        """
        channel.lastUsed = self.clock.seconds()
        self._channels.move_to_end(channel.address)

    def forget(self, channel: SourceChannel) -> None:
        """
        A flow has ended.
        """
        if self._channels.get(channel.address) is channel:
            del self._channels[channel.address]

    def _sweep(self) -> None:
        """
        End what has been idle too long, and come again when the next may have been.
        """
        self._timer = None
        now = self.clock.seconds()
        while self._channels:
            channel = next(iter(self._channels.values()))
            left = channel.lastUsed + self._idle - now
            if left > 0:
                self._timer = self.clock.callLater(left, self._sweep)
                break
            channel.loseChannel()

    @property
    def flows(self) -> int:
        """
        How many sources have a flow.
        """
        return len(self._channels)

    # The listener

    @property
    def binds(self) -> tuple[str, ...]:
        """
        See L{hermes.interfaces.IListener}.
        """
        return (self._bind,)

    def reserve(self, leaving: Sequence[IListener] = ()) -> Callable[[], None]:
        """
        See L{hermes.interfaces.IListener}.
        """
        try:
            held: Callable[[], None] = self._context.network.reserveDatagrams(self._bind, bindsOf(leaving))
        except OSError as error:
            raise cannotListen(self._bind, error) from error
        return held

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            self._socket = self._context.network.datagramSocket(self._bind)
        except OSError as error:
            raise cannotListen(self._bind, error) from error
        self._socket.setReceiver(self)

    def stop(self) -> Deferred[None]:
        """
        Close the socket. Its flows end with it: a socket that is bound and takes nobody new would swallow what is sent
        to its successor on the same port, where a source has a new flow with its next datagram.
        """
        socket, self._socket = self._socket, None
        if socket is not None:
            self._endAll(ConnectionDone())
            socket.stopListening()
        return succeed(None)

    def drain(self) -> None:
        """
        Datagrams can't be asked to finish.
        """

    def abort(self) -> None:
        self._endAll(ConnectionAborted())

    def _endAll(self, reason: Exception) -> None:
        for channel in list(self._channels.values()):
            channel.end(reason)
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def getHost(self) -> object:
        if self._socket is None:
            raise ListenError(f"{self.name} does not listen")
        return self._socket.getHost()


@implementer(IPlugin, IListenerType)
class UDPListenerType:
    """
    C{type: udp}.
    """

    type = "udp"
    options = UDPOptions

    def listener(self, name: str, options: Any, context: IListenerContext) -> IListener:
        return UDPListener(name, options, context)
