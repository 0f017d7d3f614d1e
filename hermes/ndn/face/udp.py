"""
A bound UDP socket with a face for each peer that sends to it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import Overloaded
from hermes.interfaces import IDatagramChannel, IDatagramReceiver, IDatagramSocket, IDatagramSocketReceiver
from hermes.ndn.face.face import Face
from hermes.ndn.face.link import CONGESTION_MARKING
from hermes.ndn.face.table import FaceTable
from hermes.ndn.face.uri import ofAddress
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.lp import decode
from hermes.values import Buffer

IDLE: Final = 600.0
"""
Seconds after which a face that nothing came from ends (as NFD).
"""

MAX_PEERS: Final = 1024
"""
How many peers of one socket may have a face; a further one takes the place of the one that was silent longest, among
those of the host that has most.
"""

ROOM_EVERY: Final = 0.005
"""
Seconds between two that make room: a face costs more than a datagram.
"""


@implementer(IDatagramChannel)
class PeerChannel:
    """
    What one peer sends to a socket, and what goes back to it.

    @ivar host: whose it is, as far as its address says: see L{_hostOf}.
    @ivar lastHeard: when something came last, in seconds of the clock.
    """

    __slots__ = ("_ended", "_faces", "_receiver", "_socket", "address", "droppedDatagrams", "host", "lastHeard")

    maxDatagramSize = 65_507

    def __init__(self, faces: UDPFaces, socket: IDatagramSocket, address: object, now: float) -> None:
        self.address = address
        self.host = _hostOf(address)
        self.lastHeard = now
        # The socket counts what it can't send, for all its peers together.
        self.droppedDatagrams = 0
        self._ended = False
        self._faces = faces
        self._socket = socket
        self._receiver: IDatagramReceiver | None = None

    @property
    def stays(self) -> bool:
        """
        Whether its face does not end however long the peer is silent: a manager may have said so.
        """
        return getattr(self._receiver, "persistency", "on-demand") != "on-demand"

    @property
    def expires(self) -> float | None:
        """
        Seconds until it is idle for too long; L{None} where it never is.
        """
        return None if self.stays else max(0.0, self.lastHeard + self._faces.idle - self._faces.clock.seconds())

    def received(self, datagrams: Sequence[Buffer]) -> None:
        """
        The peer sent these.
        """
        if self._receiver is not None:
            self._receiver.datagramsReceived(datagrams)

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self._receiver = receiver
        receiver.channelConnected(self)

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if not self._ended:
            self._socket.writeTo(datagrams, self.address)

    def loseChannel(self) -> None:
        self.end(ConnectionDone())

    def abortChannel(self) -> None:
        self.end(ConnectionAborted())

    def end(self, reason: Exception) -> None:
        """
        Its face ends.
        """
        if self._ended:
            return
        self._ended = True
        self._faces.forget(self)
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.channelLost(Failure(reason))


class PeerFace(Face):
    """
    A face to one peer of a socket.

    @cvar settles: it can be made to stay, and back: there is no connection that could be lost.
    """

    settles = True


@implementer(IDatagramSocketReceiver)
class UDPFaces:
    """
    Makes an on-demand face for each peer. One that sends no packet to begin with gets none, and nobody does where all
    places are taken by faces that stay.

    @ivar idle: seconds after which one ends from which nothing came.
    @ivar strays: datagrams from nobody who has a face that were no packets.
    @ivar evicted: how many faces have made room for others.
    @ivar refused: datagrams of new peers for whom no room was made.
    """

    log = Logger()

    def __init__(
        self,
        table: FaceTable,
        socket: IDatagramSocket,
        idle: float = IDLE,
        maxPeers: int = MAX_PEERS,
        mtu: int | None = None,
        flags: int = CONGESTION_MARKING,
    ) -> None:
        """
        @param socket: bound; becomes this one's.
        """
        self.idle = idle
        self.strays = 0
        self.evicted = self.refused = 0
        self.clock: IReactorTime = table.clock
        self._table = table
        self._socket: IDatagramSocket | None = socket
        self._maxPeers = maxPeers
        self._mtu = mtu
        self._flags = flags
        self._localURI = ofAddress("udp", socket.getHost())
        # The one that was silent longest is the first.
        self._channels: OrderedDict[object, PeerChannel] = OrderedDict()
        self._nextRoom = 0.0
        # How many faces each has.
        self._hosts: Counter[object] = Counter()
        self._timer: IDelayedCall | None = None
        table.accepts(self, lambda: [self._localURI])
        socket.setReceiver(self)

    def __len__(self) -> int:
        """
        How many peers have a face.
        """
        return len(self._channels)

    def getHost(self) -> Any:
        """
        Where the socket is bound.
        """
        return None if self._socket is None else self._socket.getHost()

    def datagramsReceivedFrom(self, datagrams: Sequence[Buffer], address: object) -> None:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._accept(datagrams, address)
            if channel is None:
                return
        else:
            channel.lastHeard = self.clock.seconds()
            self._channels.move_to_end(address)
        channel.received(datagrams)

    def _accept(self, datagrams: Sequence[Buffer], address: object) -> PeerChannel | None:
        """
        A face for a new peer.
        """
        if self._socket is None:
            return None
        try:
            decode(datagrams[0])
        except PacketError:
            self.strays += len(datagrams)
            return None
        if len(self._channels) >= self._maxPeers:
            now = self.clock.seconds()
            silent = None
            if now >= self._nextRoom:
                self._nextRoom = now + ROOM_EVERY
                silent = self._dispensable()
            if silent is None:
                self.refused += len(datagrams)
                return None
            self.evicted += 1
            silent.loseChannel()
        channel = PeerChannel(self, self._socket, address, self.clock.seconds())
        self._channels[address] = channel
        self._hosts[channel.host] += 1
        face = PeerFace(channel, ofAddress("udp", address), self._localURI, mtu=self._mtu, flags=self._flags)
        try:
            self._table.add(face)
        except Overloaded as error:
            self.log.info("{peer} gets no face: {error}", peer=address, error=error)
            return None
        if self._timer is None:
            self._timer = self.clock.callLater(self.idle, self._sweep)
        return channel

    def _dispensable(self) -> PeerChannel | None:
        """
        The peer that makes room for another, if any does: of those of the host that has most, the one that was silent
        longest; whoever sends from many ports drives out nobody else.
        """
        leaving = [each for each in self._channels.values() if not each.stays]
        most = max((self._hosts[each.host] for each in leaving), default=0)
        return next((each for each in leaving if self._hosts[each.host] == most), None)

    def forget(self, channel: PeerChannel) -> None:
        """
        A face has ended.
        """
        if self._channels.get(channel.address) is channel:
            del self._channels[channel.address]
            self._hosts[channel.host] -= 1
            if not self._hosts[channel.host]:
                del self._hosts[channel.host]

    def _sweep(self) -> None:
        """
        End what has been silent for too long, and come again when the next may have been.
        """
        self._timer = None
        # One that stays may stop to.
        wait = self.idle
        for channel in list(self._channels.values()):
            left = channel.expires
            if left is None:
                continue
            if left > 0:
                wait = left
                break
            channel.loseChannel()
        if self._channels:
            self._timer = self.clock.callLater(wait, self._sweep)

    def stop(self) -> None:
        """
        Close the socket, and the faces with it.
        """
        socket, self._socket = self._socket, None
        if socket is None:
            return
        for channel in list(self._channels.values()):
            channel.loseChannel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._table.accepts(self, None)
        socket.stopListening()


def _hostOf(address: object) -> object:
    """
    Whom an address belongs to: an IPv4 address; of IPv6 the network (64 bits), in which a host has as many as it likes.
    """
    host = address[0] if isinstance(address, tuple) else address
    if not isinstance(host, str) or ":" not in host:
        return host
    try:
        return IPv6Address(host.partition("%")[0]).packed[:8]
    except ValueError:
        return host
