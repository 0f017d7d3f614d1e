"""
IP packets in an HTTP exchange: one end of a CONNECT-IP tunnel (RFC 9484), a batch at a time.

Beyond the standard, between two ends that are ours (see C{docs/reference/wire.md}):

    ANNOUNCE      sent at once by both ends: whether frames are taken under context ID 2, and the largest packet
    GOING_AWAY    the peer is to make a new tunnel and end this one

A tunnel is end to end: proxies between pass its bytes on. Whoever doesn't know these capsules skips them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import HermesError
from hermes.interfaces import IClientExchange, IPacketReceiver, IPacketTunnel
from hermes.interfaces.packet import AddressRange, AssignedAddress
from hermes.tunnel.codes import ENHANCE_YOUR_CALM
from hermes.tunnel.exchangechannel import ExchangeChannel
from hermes.values import ANONYMOUS, Buffer, Identity
from hermes.wire.capsule import encodeCapsule
from hermes.wire.errors import MalformedError
from hermes.wire.framecapsules import FRAME_HEADER, MAX_FRAME, FrameReader, encodeFrames, encodePackets
from hermes.wire.ipcapsules import (
    ADDRESS_ASSIGN,
    ADDRESS_REQUEST,
    ANNOUNCE,
    MAX_MTU,
    ROUTE_ADVERTISEMENT,
    decodeAddresses,
    decodeAnnounce,
    decodeRoutes,
    encodeAddresses,
    encodeAnnounce,
    encodeRoutes,
    joinRoutes,
)
from hermes.wire.offload import checkOffload, segment

GOING_AWAY: Final = ANNOUNCE + 1
"""
The type of the capsule that asks its receiver to make a new tunnel and end this one. Its value is empty.
"""

MAX_QUEUED: Final = 8 << 20
"""
The default bound on what waits for a full exchange, in bytes: as much as the windows of some bulk TCP connections.
"""

MAX_AGE: Final = 0.5
"""
The default bound on how long it waits, in seconds.
"""

CONTROLS: Final = (64, 16.0)
"""
How many capsules of addresses, routes and the like a peer may send at once, and a second for good.
"""

MAX_REQUESTS: Final = 4096
"""
How many addresses a peer may ask for in one tunnel; no number may come twice.
"""

MAX_UNREAD: Final = 256 << 10
"""
How many bytes of such capsules may wait for a peer that reads nothing.
"""

LINGER: Final = 5.0
"""
Seconds for a peer to end its direction after we have ended ours.
"""

_WANTED: Final = (ADDRESS_ASSIGN, ADDRESS_REQUEST, ROUTE_ADVERTISEMENT, ANNOUNCE, GOING_AWAY)


@frozen
class PacketOptions:
    """
    How an end of a tunnel is.

    @ivar mtu: the largest IP packet in bytes that it takes, from 1,280 to 65,535.
    @ivar assumedMTU: the same of a peer that says nothing about it.
    @ivar offload: whether it takes frames that are still to be cut or completed.
    @ivar maxQueued: how many bytes of frames may wait while the exchange is full.
    @ivar maxAge: how many seconds they may wait.
    """

    mtu: int = MAX_MTU
    assumedMTU: int = 1500
    offload: bool = True
    maxQueued: int = MAX_QUEUED
    maxAge: float = MAX_AGE


DEFAULT_OPTIONS: Final = PacketOptions()


class TooMuch(HermesError):
    """
    The peer makes us do more than it may.
    """


@implementer(IPacketTunnel)
class IPTunnel(ExchangeChannel):
    """
    See L{IPacketTunnel}. What arrives before there is a receiver waits for it, within bounds.
    """

    maxDatagramSize = MAX_FRAME
    _reader: FrameReader

    def __init__(
        self, clock: IReactorTime, options: PacketOptions = DEFAULT_OPTIONS, identity: Identity = ANONYMOUS
    ) -> None:
        """
        @param identity: who is at the other end of the connection, as it was authenticated.
        """
        super().__init__(clock, FrameReader(_WANTED, checkOffload, options.offload), options.maxQueued, options.maxAge)
        self.identity = identity
        self._options = options
        self.mtu = min(options.mtu, options.assumedMTU)
        self.offload = False
        # What is to be sent as soon as there is an exchange.
        self._held: list[bytes] = []
        self._unread = 0
        # When the peer may have sent as many as it may at once again.
        self._paceAt = 0.0
        self._requests: set[int] = set()
        # What a receiver is still to be told.
        self._untold: list[Callable[[IPacketReceiver], object]] = []
        self._goingAway = False
        self._drained = False
        self._onGoingAway: Callable[[], None] | None = None
        self._lingering: IDelayedCall | None = None
        self._peerEnded = False

    @property
    def droppedDatagrams(self) -> int:
        return super().droppedDatagrams + self._reader.unfit + self._reader.oversizeDatagrams

    # Frames

    def write(self, frames: Sequence[Buffer]) -> None:
        if self._ending or not frames:
            return
        if self._blocked:
            self._queue.append(frames)
        else:
            self._exchange.writeSequence(self._encode(frames))

    def _encode(self, frames: Sequence[Buffer]) -> list[Buffer]:
        try:
            return encodeFrames(frames) if self.offload else encodePackets(self._packets(frames))
        except ValueError:
            fitting = [frame for frame in frames if FRAME_HEADER < len(frame) <= MAX_FRAME]
            self._tooLarge += len(frames) - len(fitting)
            return encodeFrames(fitting) if self.offload else encodePackets(self._packets(fitting))

    def _packets(self, frames: Sequence[Buffer]) -> list[Buffer]:
        """
        Frames as they go over a wire: cut, and complete.
        """
        if not any([frame[0] or frame[1] for frame in frames]):
            return [frame[FRAME_HEADER:] for frame in frames]
        packets: list[Buffer] = []
        for frame in frames:
            if not (frame[0] or frame[1]):
                packets.append(frame[FRAME_HEADER:])
                continue
            try:
                packets += [memoryview(each)[FRAME_HEADER:] for each in segment(frame, self.mtu)]
            except MalformedError:
                self._tooLarge += 1
        return packets

    def dataReceived(self, data: Buffer) -> None:
        try:
            frames = self._reader.receive(data)
            if self._reader.capsules:
                frames = self._receiveCapsules(frames)
        except MalformedError as error:
            self._malformed(error)
            return
        except TooMuch as error:
            self._malformed(error, ENHANCE_YOUR_CALM)
            return
        if frames:
            if self._receiver is not None:
                self._receiver.datagramsReceived(frames)
            else:
                self._deliver(frames)

    # Capsules

    def _receiveCapsules(self, frames: list[Buffer]) -> list[Buffer]:
        """
        Take the capsules that came between C{frames}, each in its place.

        @return: the frames behind the last of them.
        """
        capsules = self._reader.capsules
        taken = 0
        for place, capsuleType, value in capsules:
            if place > taken:
                self._deliver(frames[taken:place])
                taken = place
            if self._exchange is None or self._lost is not None:
                return []
            self._receiveCapsule(capsuleType, value)
        return frames[taken:]

    def _receiveCapsule(self, capsuleType: int, value: bytes) -> None:
        self._pace()
        if capsuleType == ADDRESS_ASSIGN:
            assigned = decodeAddresses(value, False)
            self._tell(lambda receiver: receiver.addressesAssigned(assigned))
        elif capsuleType == ADDRESS_REQUEST:
            requested = decodeAddresses(value, True)
            self._checkRequests(requested)
            self._tell(lambda receiver: receiver.addressesRequested(requested))
        elif capsuleType == ROUTE_ADVERTISEMENT:
            routes = decodeRoutes(value)
            self._tell(lambda receiver: receiver.routesAdvertised(routes))
        elif capsuleType == ANNOUNCE:
            self._receiveAnnounce(*decodeAnnounce(value))
        else:
            self._askedToGo()

    def _pace(self) -> None:
        """
        One capsule more (the generic cell rate algorithm).
        """
        burst, rate = CONTROLS
        now = self._clock.seconds()
        self._paceAt = max(self._paceAt, now) + 1 / rate
        if self._paceAt - now > burst / rate:
            raise TooMuch("a peer of an IP tunnel sends capsule after capsule")

    def _checkRequests(self, requested: Sequence[AssignedAddress]) -> None:
        """
        No number of a request may come again (RFC 9484 section 4.7.2).
        """
        for number, _ in requested:
            if number in self._requests:
                raise MalformedError(f"the address request {number} comes twice")
            self._requests.add(number)
        if len(self._requests) > MAX_REQUESTS:
            raise TooMuch(f"more than {MAX_REQUESTS} addresses were asked for in one tunnel")

    def _receiveAnnounce(self, offload: bool, mtu: int) -> None:
        self.offload = self.offload or offload
        mtu = min(mtu, self._options.mtu)
        if mtu != self.mtu:
            self.mtu = mtu
            self._tell(lambda receiver: receiver.mtuChanged(mtu))

    def _tell(self, event: Callable[[IPacketReceiver], object]) -> None:
        if self._receiver is not None:
            event(self._receiver)
        elif len(self._untold) < CONTROLS[0]:
            self._untold.append(event)
        else:
            raise TooMuch("a peer of an IP tunnel sends more than waits for a receiver")

    def _catchUp(self, receiver: IPacketReceiver) -> None:
        untold, self._untold = self._untold, []
        for event in untold:
            event(receiver)
        if self._early is not None:
            waiting = self._early.popBatch(self._maxQueued)
            if waiting:
                receiver.datagramsReceived([*map(bytearray, waiting)])

    def _send(self, capsuleType: int, value: bytes) -> None:
        if self._ending:
            return
        capsule = encodeCapsule(capsuleType, value)
        if self._exchange is None:
            self._held.append(capsule)
            return
        if self._blocked:
            self._unread += len(capsule)
            if self._unread > MAX_UNREAD:
                self._malformed(TooMuch("a peer of an IP tunnel reads nothing"), ENHANCE_YOUR_CALM)
                return
        self._exchange.write(capsule)

    def assignAddresses(self, addresses: Sequence[AssignedAddress]) -> None:
        self._send(ADDRESS_ASSIGN, encodeAddresses(addresses))

    def requestAddresses(self, addresses: Sequence[AssignedAddress]) -> None:
        self._send(ADDRESS_REQUEST, encodeAddresses(addresses))

    def advertiseRoutes(self, routes: Sequence[AddressRange]) -> None:
        self._send(ROUTE_ADVERTISEMENT, encodeRoutes(joinRoutes(routes)))

    # Going away, and the end

    def drain(self) -> None:
        if not self._drained:
            self._drained = True
            self._send(GOING_AWAY, b"")

    def notifyGoingAway(self, callback: Callable[[], None]) -> None:
        if self._goingAway:
            callback()
        else:
            self._onGoingAway = callback

    def _askedToGo(self) -> None:
        self._goingAway = True
        callback, self._onGoingAway = self._onGoingAway, None
        if callback is not None and self._lost is None:
            callback()

    def makeConnection(self, transport: ITransport) -> None:
        first = encodeCapsule(ANNOUNCE, encodeAnnounce(self._options.offload, self._options.mtu))
        held, self._held = self._held, []
        transport.write(b"".join((first, *held)))
        super().makeConnection(transport)
        if IClientExchange.providedBy(transport):
            transport.notifyDraining(self._askedToGo)

    def _finish(self, exchange: Any) -> None:
        if self._peerEnded:
            super()._finish(exchange)
            return
        exchange.unregisterProducer()
        self._blocked = False
        self._flush(exchange)
        exchange.loseWriteConnection()
        self._lingering = self._clock.callLater(LINGER, self._lingered)

    def _lingered(self) -> None:
        self._lingering = None
        if self._exchange is not None:
            if self._exchange.bufferedBytes:
                # It reads nothing: what waits for it would wait for as long as the connection lasts.
                self._exchange.abortConnection()
            else:
                self._exchange.loseConnection()

    def readConnectionLost(self) -> None:
        self._peerEnded = True
        super().readConnectionLost()

    def resumeProducing(self) -> None:
        self._unread = 0
        super().resumeProducing()

    def connectionLost(self, reason: Failure | None = None) -> None:
        lingering, self._lingering = self._lingering, None
        if lingering is not None:
            lingering.cancel()
        self._onGoingAway = None
        super().connectionLost(reason)
