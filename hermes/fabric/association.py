"""
The UDP relay of a SOCKS5 association (RFC 1928 section 7): one socket for one client, one flow for each destination.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.fabric.udp import MAX_WAITING_AGE, MAX_WAITING_BYTES, REFUSED_FOR
from hermes.interfaces import (
    IDatagramChannel,
    IDatagramReceiver,
    IDatagramSocket,
    IDatagramSocketReceiver,
    IFlowHandler,
)
from hermes.queues import DatagramQueue
from hermes.values import Address, Buffer, Flow, Target
from hermes.wire.errors import MalformedError
from hermes.wire.socks import parseDatagram

MAX_UDP_PAYLOAD: Final = 65507
MAX_DESTINATIONS: Final = 256
IDLE_TIME: Final = 60.0


@implementer(IDatagramChannel)
class DestinationChannel:
    """
    The client's end of the flow to one destination.

    @ivar header: what the datagrams of this destination begin with, both ways.
    @ivar lastUsed: when something passed through last, in seconds of the clock.
    @ivar refusedUntil: until when what the client sends is dropped, for the flow was refused.
    """

    def __init__(self, association: UDPAssociation, header: bytes, now: float) -> None:
        self._association = association
        self._dropped = 0
        self._ended = False
        self._opening: Deferred[IDatagramReceiver] | None = None
        self._queue: DatagramQueue | None = None
        self._receiver: IDatagramReceiver | None = None
        self.header = header
        self.lastUsed = now
        self.refusedUntil = 0.0
        self.maxDatagramSize = MAX_UDP_PAYLOAD - len(header)

    @property
    def droppedDatagrams(self) -> int:
        return self._dropped + (0 if self._queue is None else self._queue.dropped)

    # From the client

    def open(self, opening: Deferred[IDatagramReceiver]) -> None:
        """
        The flow is being opened.
        """
        self._opening = opening
        opening.addCallbacks(self.setReceiver, self._refused)
        opening.addErrback(self._failed)

    def received(self, datagrams: Sequence[Buffer]) -> None:
        """
        The client sent these payloads to the destination.
        """
        if self._receiver is not None:
            self._receiver.datagramsReceived(datagrams)
        elif self._opening is not None:
            if self._queue is None:
                self._queue = DatagramQueue(MAX_WAITING_BYTES, MAX_WAITING_AGE, self._association.clock)
            self._queue.append(datagrams)
        else:
            self._dropped += len(datagrams)

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self._opening = None
        if self._ended:
            # It came up although it was cancelled.
            receiver.channelLost(Failure(ConnectionDone()))
            return
        self._receiver = receiver
        receiver.channelConnected(self)
        queue, self._queue = self._queue, None
        if queue is not None:
            waiting = queue.popBatch(MAX_WAITING_BYTES)
            self._dropped += queue.dropped
            if waiting and not self._ended:
                receiver.datagramsReceived(waiting)

    def _refused(self, failure: Failure) -> None:
        if self._ended:
            return
        self._opening = None
        if self._queue is not None:
            self._dropped += len(self._queue) + self._queue.dropped
            self._queue = None
        self.refusedUntil = self._association.clock.seconds() + REFUSED_FOR
        failure.trap(FlowError)

    def _failed(self, failure: Failure) -> None:
        self._association.log.failure("a UDP flow of a SOCKS client failed", failure)
        self.abortChannel()

    # To the client

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if self._receiver is None:
            return
        header, largest = self.header, self.maxDatagramSize
        framed = [b"".join((header, datagram)) for datagram in datagrams if len(datagram) <= largest]
        self._dropped += len(datagrams) - len(framed)
        self._association.used(self)
        self._association.send(framed)

    def loseChannel(self) -> None:
        self._end(ConnectionDone())

    def abortChannel(self) -> None:
        self._end(ConnectionAborted())

    def _end(self, reason: Exception) -> None:
        if self._ended:
            return
        self._ended = True
        self._association.forget(self)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.channelLost(Failure(reason))


@implementer(IDatagramSocketReceiver)
class UDPAssociation:
    """
    Takes datagrams from one client, opens a flow for each destination that they name, and sends back what comes.

    The destination that was used the longest ago makes room where there are too many; one that was not used for some
    time is closed.

    @ivar dropped: datagrams from elsewhere than the client, fragments, and such that can't be read.
    """

    log = Logger()

    def __init__(
        self,
        socket: IDatagramSocket,
        flows: IFlowHandler,
        clock: IReactorTime,
        flow: Flow,
        client: Address,
        maxDestinations: int = MAX_DESTINATIONS,
        idleTime: float = IDLE_TIME,
    ) -> None:
        """
        @param flow: what all flows have in common: source, identity, listener.
        @param client: the only address that datagrams are taken from; with port 0, the port of the first datagram that
            can be read.
        @param idleTime: in seconds.
        """
        self._socket = socket
        self._flows = flows
        self._flow = flow
        self._host, port = client
        self._client: object = client if port else None
        self._maxDestinations = maxDestinations
        self._idleTime = idleTime
        self._channels: OrderedDict[bytes, DestinationChannel] = OrderedDict()
        self._closed = False
        self.clock = clock
        self.dropped = 0
        self._timer = clock.callLater(idleTime, self._sweep)
        socket.setReceiver(self)

    def __len__(self) -> int:
        return len(self._channels)

    def datagramsReceivedFrom(self, datagrams: Sequence[Buffer], address: object) -> None:
        if self._closed or (self._client is not None and address != self._client):
            self.dropped += len(datagrams)
            return
        if self._client is None and not (isinstance(address, tuple) and address[0] == self._host):
            self.dropped += len(datagrams)
            return
        payloads: list[Buffer] = []
        header = b""
        for datagram in datagrams:
            # A header tells its own length, so whatever begins with these bytes has this header.
            if header and datagram[: len(header)] == header:
                payloads.append(memoryview(datagram)[len(header) :])
                continue
            if payloads:
                self._received(header, payloads)
                payloads, header = [], b""
            try:
                _, port, payload = parseDatagram(datagram)
                if not port:
                    raise MalformedError("a SOCKS datagram is for port 0")
            except MalformedError:
                self.dropped += 1
                continue
            header = bytes(datagram[: len(datagram) - len(payload)])
            payloads.append(payload)
            if self._client is None:
                self._client = address
        if payloads:
            self._received(header, payloads)

    def send(self, datagrams: list[bytes]) -> None:
        """
        Send to the client.
        """
        if not self._closed:
            self._socket.writeTo(datagrams, self._client)

    # Destinations

    def _received(self, header: bytes, payloads: list[Buffer]) -> None:
        """
        Payloads for one destination.
        """
        # The reserved bytes are the client's to fill, and say nothing.
        header = b"\x00\x00" + header[2:]
        channel = self._channels.get(header)
        if channel is not None:
            if not channel.refusedUntil:
                self.used(channel)
            elif channel.refusedUntil <= self.clock.seconds():
                channel.loseChannel()
                channel = None
        if channel is None:
            channel = self._open(header)
        channel.received(payloads)

    def _open(self, header: bytes) -> DestinationChannel:
        if len(self._channels) >= self._maxDestinations:
            next(iter(self._channels.values())).loseChannel()
        host, port, _ = parseDatagram(header)
        channel = self._channels[header] = DestinationChannel(self, header, self.clock.seconds())
        channel.open(self._flows.openDatagrams(evolve(self._flow, target=Target(host, port))))
        return channel

    def used(self, channel: DestinationChannel) -> None:
        """
        Something passed through a channel.
        """
        channel.lastUsed = self.clock.seconds()
        self._channels.move_to_end(channel.header)

    def forget(self, channel: DestinationChannel) -> None:
        """
        The channel has ended.
        """
        if self._channels.get(channel.header) is channel:
            del self._channels[channel.header]

    # Time and the end

    def _sweep(self) -> None:
        """
        End what has been idle too long, and come again when the next may have been.
        """
        now = self.clock.seconds()
        left = self._idleTime
        while self._channels:
            channel = next(iter(self._channels.values()))
            left = channel.lastUsed + self._idleTime - now
            if left > 0:
                break
            channel.loseChannel()
            left = self._idleTime
        self._timer = self.clock.callLater(left, self._sweep)

    def close(self) -> None:
        """
        The client has ended the association.
        """
        if self._closed:
            return
        self._closed = True
        self._timer.cancel()
        for channel in list(self._channels.values()):
            channel.loseChannel()
        self._socket.stopListening()
