"""
A face to all NDN neighbours on a network: a UDP socket in a multicast group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IDatagramChannel, IDatagramReceiver, IDatagramSocket, IDatagramSocketReceiver
from hermes.ndn.face.face import Face
from hermes.ndn.face.uri import MULTICAST_PORT, ofAddress
from hermes.values import Address, Buffer

GROUPS: Final[tuple[Address, ...]] = (("224.0.23.170", MULTICAST_PORT), ("ff02::1234", MULTICAST_PORT))
"""
The groups of NDN's neighbours (as NFD).
"""

MULTICAST_MTU: Final = 1400
"""
Fits every network that is not tunnelled, in bytes: nobody says how much the narrowest of the neighbours takes.
"""


@implementer(IDatagramChannel, IDatagramSocketReceiver)
class GroupChannel:
    """
    What is sent to a group and heard from it.
    """

    maxDatagramSize = 65_507

    def __init__(self, socket: IDatagramSocket, group: Address) -> None:
        """
        @param socket: is in the group; becomes this one's.
        """
        self.droppedDatagrams = 0
        self._group = group
        self._socket: IDatagramSocket | None = socket
        self._receiver: IDatagramReceiver | None = None

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self._receiver = receiver
        receiver.channelConnected(self)
        if self._socket is not None:
            self._socket.setReceiver(self)

    def datagramsReceivedFrom(self, datagrams: Sequence[Buffer], address: object) -> None:
        receiver = self._receiver
        if isinstance(receiver, Face):
            # Fragments of several senders must not be mixed.
            receiver.received(datagrams, address)
        elif receiver is not None:
            receiver.datagramsReceived(datagrams)

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if self._socket is not None:
            self._socket.writeTo(datagrams, self._group)

    def loseChannel(self) -> None:
        self._end(Failure(ConnectionDone()))

    def abortChannel(self) -> None:
        self._end(Failure(ConnectionAborted()))

    def _end(self, reason: Failure) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            return
        socket.stopListening()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.channelLost(reason)


def multicastFace(socket: IDatagramSocket, group: Address, interface: str, mtu: int = MULTICAST_MTU) -> Face:
    """
    A face to a group, on a network interface.

    @param socket: is in the group; becomes the face's.
    """
    return Face(
        GroupChannel(socket, group),
        ofAddress("udp", group),
        f"dev://{interface}",
        persistency="permanent",
        linkType="multi-access",
        mtu=mtu,
        flags=0,
    )
