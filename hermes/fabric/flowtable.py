"""
Many flows of datagrams behind one socket, each from its first datagram until it has been idle for long.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.interfaces import IDatagramChannel, IDatagramReceiver
from hermes.queues import DatagramQueue
from hermes.values import Buffer

MAX_WAITING_BYTES: Final = 16 * 1024
MAX_WAITING_AGE: Final = 2.0
"""
How much waits while a flow is being opened, in bytes, and how long, in seconds.
"""

REFUSED_FOR: Final = 1.0
"""
Seconds for which the datagrams of a flow that was refused are dropped before it is tried again.
"""


@implementer(IDatagramChannel)
class FlowChannel:
    """
    The end of one flow that is at the socket: what comes from there, what goes back. To be subclassed: C{_send} is how
    it goes back.

    @ivar key: what tells it from the others of its table.
    @ivar lastUsed: when something passed through last, in seconds of the clock.
    @ivar refusedUntil: until when what comes is dropped, for the flow was refused.
    """

    __slots__ = (
        "_dropped",
        "_ended",
        "_flows",
        "_opening",
        "_queue",
        "_receiver",
        "key",
        "lastUsed",
        "maxDatagramSize",
        "refusedUntil",
    )

    def __init__(self, flows: FlowTable[Any], key: object, maxDatagramSize: int) -> None:
        """
        @param flows: the table that it is to be added to.
        """
        self.key = key
        self.maxDatagramSize = maxDatagramSize
        self.lastUsed = self.refusedUntil = 0.0
        self._dropped = 0
        self._ended: Exception | None = None
        self._opening: Deferred[IDatagramReceiver] | None = None
        self._flows = flows
        self._queue: DatagramQueue | None = None
        self._receiver: IDatagramReceiver | None = None

    @property
    def droppedDatagrams(self) -> int:
        return self._dropped + (0 if self._queue is None else self._queue.dropped)

    # From the socket

    def open(self, opening: Deferred[IDatagramReceiver]) -> None:
        """
        The flow is being opened.
        """
        self._opening = opening
        opening.addCallbacks(self.setReceiver, self._refused)
        opening.addErrback(self._failed)

    def received(self, datagrams: Sequence[Buffer]) -> None:
        """
        These have come.
        """
        if self._receiver is not None:
            self._receiver.datagramsReceived(datagrams)
        elif self._opening is not None:
            queue = self._queue
            if queue is None:
                queue = self._queue = DatagramQueue(MAX_WAITING_BYTES, MAX_WAITING_AGE, self._flows.clock)
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
        self.refusedUntil = self._flows.clock.seconds() + REFUSED_FOR
        failure.trap(FlowError)

    def _failed(self, failure: Failure) -> None:
        self._flows.failed(failure)
        self.abortChannel()

    # To the socket

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if self._receiver is not None:
            self._flows.used(self)
            self._send(datagrams)

    def _send(self, datagrams: Sequence[Buffer]) -> None:
        """
        Give these to the socket.
        """
        raise NotImplementedError

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
        self._flows.forget(self)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.channelLost(Failure(reason))


ChannelT = TypeVar("ChannelT", bound=FlowChannel)


class FlowTable(Generic[ChannelT]):
    """
    The flows behind one socket, the one idle longest first: one timer, for that one, ends them all in turn.

    @ivar clock: what time is taken from.
    @ivar opened: how many flows there have been.
    @ivar evicted: how many of them made room for newer ones.
    """

    log = Logger()

    def __init__(self, name: str, clock: IReactorTime, most: int, idle: float) -> None:
        """
        @param name: whose flows these are, for the log.
        @param most: how many there may be at once; a further one takes the place of the one that was idle longest.
        @param idle: seconds after which one that nothing passed through is ended.
        """
        self.clock = clock
        self.opened = 0
        self.evicted = 0
        self._name = name
        self._most = most
        self._idle = idle
        self._channels: OrderedDict[object, ChannelT] = OrderedDict()
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._channels)

    def get(self, key: object) -> ChannelT | None:
        """
        The channel of a flow that has something to take.

        @return: L{None} where there is none, or it was refused for long enough to be tried again.
        """
        channel = self._channels.get(key)
        if channel is None:
            return None
        if not channel.refusedUntil:
            self.used(channel)
        elif channel.refusedUntil <= self.clock.seconds():
            channel.loseChannel()
            return None
        return channel

    def add(self, channel: ChannelT) -> None:
        """
        There is a new flow.
        """
        if len(self._channels) >= self._most:
            self.evicted += 1
            next(iter(self._channels.values())).loseChannel()
        self.opened += 1
        self._channels[channel.key] = channel
        channel.lastUsed = self.clock.seconds()
        if self._timer is None:
            self._timer = self.clock.callLater(self._idle, self._sweep)

    def used(self, channel: FlowChannel) -> None:
        """
        Something passed through a flow.
        """
        channel.lastUsed = self.clock.seconds()
        self._channels.move_to_end(channel.key)

    def forget(self, channel: FlowChannel) -> None:
        """
        A flow has ended.
        """
        if self._channels.get(channel.key) is channel:
            del self._channels[channel.key]

    def failed(self, failure: Failure) -> None:
        """
        A flow was not opened, for a reason that nobody has foreseen.
        """
        self.log.failure("{name}: a flow failed", failure, name=self._name)

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

    def endAll(self, reason: Exception) -> None:
        """
        End all of them.
        """
        for channel in list(self._channels.values()):
            channel.end(reason)
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
