"""
An application of the forwarder in the same process: no link, no socket, and no packet is encoded twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.ndn.app.client import Client
from hermes.ndn.face.counters import FaceCounters
from hermes.ndn.interfaces import IFaceReceiver, INDNFace, LinkType, Persistency
from hermes.ndn.packet.peek import DataView, InterestView, peekInterest


class LocalClient(Client):
    """
    A L{Client} without a connection. It only asks: Interests are not for it.

    @ivar face: its face, which belongs into a face table.
    """

    def __init__(
        self,
        clock: IReactorTime,
        random: Callable[[], int],
        receiver: IFaceReceiver,
        uri: str,
        closed: Callable[[ClientFace], None] | None = None,
    ) -> None:
        """
        @param random: see L{Client}.
        @param receiver: the forwarder.
        @param uri: what its face is called.
        @param closed: is called once the face was closed.
        """
        super().__init__(clock, random)
        self.face = ClientFace(self, receiver, uri, closed)

    def write(self, packet: bytes) -> None:
        """
        Send an Interest.
        """
        self.face.expressed(peekInterest(packet))

    def close(self) -> None:
        """
        End its face.
        """
        self.face.close()

    def dataCame(self, view: DataView, congestionMark: int) -> None:
        """
        The forwarder has sent Data.
        """
        self._data(view, congestionMark)

    def nackCame(self, view: InterestView, reason: int) -> None:
        """
        It has sent a Nack.
        """
        self._nack(view, reason)


@implementer(INDNFace)
class ClientFace:
    """
    The face of a L{LocalClient}. What the forwarder sends is handed over in a later turn. It is bounded by what was
    asked for.
    """

    local = True
    linkType: LinkType = "point-to-point"
    mtu = 65_535
    expires = None

    def __init__(
        self,
        client: LocalClient,
        receiver: IFaceReceiver,
        uri: str,
        closed: Callable[[ClientFace], None] | None,
    ) -> None:
        self.id = 0
        self.persistency: Persistency = "permanent"
        self.remoteURI = self.localURI = uri
        self.counters = FaceCounters()
        self.flags = 0
        self.up = True
        self._client = client
        self._receiver = receiver
        self._closed = closed
        self._queue: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._turn: IDelayedCall | None = None

    def expressed(self, view: InterestView) -> None:
        """
        The client has sent an Interest.
        """
        if self.up:
            counters = self.counters
            counters.inInterests += 1
            counters.inPackets += 1
            counters.inBytes += len(view.wire)
            self._receiver.receiveInterest(self, view)

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        self.counters.outInterests += 1

    def sendData(
        self, view: DataView, pitToken: bytes | None = None, congestionMark: int = 0, incomingFace: int | None = None
    ) -> None:
        self.counters.outData += 1
        self._later(len(view.wire), self._client.dataCame, view, congestionMark)

    def sendNack(
        self, view: InterestView, reason: int, pitToken: bytes | None = None, incomingFace: int | None = None
    ) -> None:
        self.counters.outNacks += 1
        self._later(len(view.wire), self._client.nackCame, view, reason)

    def close(self) -> None:
        if not self.up:
            return
        self.up = False
        self._queue.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._client.connectionLost(Failure(ConnectionDone()))
        if self._closed is not None:
            self._closed(self)

    def _later(self, size: int, function: Callable[..., None], *arguments: Any) -> None:
        if not self.up:
            return
        self.counters.outPackets += 1
        self.counters.outBytes += size
        self._queue.append((function, arguments))
        if self._turn is None:
            self._turn = self._client.clock.callLater(0, self._deliver)

    def _deliver(self) -> None:
        self._turn = None
        queue, self._queue = self._queue, []
        for function, arguments in queue:
            if not self.up:
                return
            function(*arguments)
