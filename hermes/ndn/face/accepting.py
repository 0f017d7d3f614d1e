"""
Faces that others open: connections to a TCP or Unix socket, WebSockets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any
from weakref import WeakSet

from twisted.internet.interfaces import IAddress, ITransport
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from hermes.errors import Overloaded
from hermes.ndn.face.link import CONGESTION_MARKING
from hermes.ndn.face.streamchannel import StreamChannel
from hermes.ndn.face.table import FaceTable
from hermes.ndn.face.uri import isLoopback, ofAddress
from hermes.ndn.face.websocket import WebSocketChannel
from hermes.ndn.interfaces import INDNFace

_unnamed = count(1)


class _Accepted(StreamChannel):
    """
    A connection of which somebody wants to hear once it is made.
    """

    def __init__(self, accepted: Callable[[StreamChannel], None]) -> None:
        super().__init__()
        self._accepted = accepted

    def makeConnection(self, transport: ITransport) -> None:
        super().makeConnection(transport)
        self._accepted(self)


class StreamFaces(Factory):
    """
    Makes an on-demand face of each connection.

    @ivar accepted: how many connections there were.
    """

    log = Logger()
    noisy = False
    transport = "tcp"

    def __init__(self, table: FaceTable, flags: int = CONGESTION_MARKING) -> None:
        self.accepted = 0
        self._table = table
        self._flags = flags
        # Transports forget their protocols when they end, and nothing else keeps them.
        self._channels: WeakSet[StreamChannel] = WeakSet()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._keep(_Accepted(self._take))

    def _keep(self, channel: StreamChannel) -> StreamChannel:
        self._channels.add(channel)
        return channel

    def transports(self) -> list[Any]:
        """
        Those of the connections that are open.
        """
        found = [channel.transport for channel in self._channels]
        return [each for each in found if each is not None and not getattr(each, "disconnected", False)]

    def _take(self, channel: StreamChannel) -> None:
        self.accepted += 1
        face = INDNFace(channel)
        peer = channel.getPeer()
        named = getattr(peer, "host", None) is not None or getattr(peer, "name", None) is not None
        # The client of a Unix socket has no name, as a rule.
        face.remoteURI = ofAddress(self.transport, peer) if named else f"fd://{next(_unnamed)}"
        face.localURI = ofAddress(self.transport, channel.getHost())
        face.local = self.isLocal(channel, peer)
        face.flags = self._flags
        try:
            self._table.add(face)
        except Overloaded as error:
            self.log.info("{peer} gets no face: {error}", peer=face.remoteURI, error=error)

    def isLocal(self, channel: StreamChannel, peer: Any) -> bool:
        """
        The scope of a face.
        """
        return isLoopback(peer)


class WebSocketFaces(StreamFaces):
    """
    Makes an on-demand face of each WebSocket.
    """

    transport = "ws"

    def __init__(self, table: FaceTable, origins: Sequence[str] | None = None, flags: int = CONGESTION_MARKING) -> None:
        """
        @param origins: see L{WebSocketChannel}.
        """
        super().__init__(table, flags)
        self._origins = origins

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._keep(WebSocketChannel(self._table.clock, self._take, self._origins))

    def isLocal(self, channel: StreamChannel, peer: Any) -> bool:
        """
        A browser on this host runs programs of anybody whose page is open: they are not of this host. Nor is whoever
        comes by a proxy here.
        """
        assert isinstance(channel, WebSocketChannel)
        return isLoopback(peer) and channel.origin is None and not channel.forwarded
