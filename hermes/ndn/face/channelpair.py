"""
Two datagram channels in memory, joined back to back: what is written to one is received from the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IDatagramChannel, IDatagramReceiver
from hermes.values import Buffer

LARGEST: Final = 65_527
"""
The largest UDP payload.
"""


def channelPair() -> tuple[PairedChannel, PairedChannel]:
    """
    Make two joined channels. Nothing waits in between: what the other end's receiver is not there for is dropped.
    """
    near, far = PairedChannel(), PairedChannel()
    near._peer, far._peer = far, near
    return near, far


@implementer(IDatagramChannel)
class PairedChannel:
    """
    One end; made by L{channelPair}.
    """

    maxDatagramSize = LARGEST

    _peer: PairedChannel

    def __init__(self) -> None:
        self.droppedDatagrams = 0
        self._receiver: IDatagramReceiver | None = None
        self._ended: Exception | None = None

    @property
    def bufferedBytes(self) -> int:
        """
        What waits beyond the other end, as far as its receiver says.
        """
        return int(getattr(self._peer._receiver, "bufferedBytes", 0))

    def setReceiver(self, receiver: IDatagramReceiver) -> None:
        self._receiver = receiver
        receiver.channelConnected(self)
        if self._ended is not None:
            self._lose()

    def write(self, datagrams: Sequence[Buffer]) -> None:
        if self._ended is not None:
            return
        receiver = self._peer._receiver
        if receiver is None:
            self.droppedDatagrams += len(datagrams)
            return
        if max(map(len, datagrams), default=0) > LARGEST:
            fitting = [datagram for datagram in datagrams if len(datagram) <= LARGEST]
            self.droppedDatagrams += len(datagrams) - len(fitting)
            datagrams = fitting
        if datagrams:
            receiver.datagramsReceived(datagrams)

    def loseChannel(self) -> None:
        self._end(ConnectionDone())

    def abortChannel(self) -> None:
        self._end(ConnectionAborted())

    def _end(self, reason: Exception) -> None:
        for end in (self, self._peer):
            if end._ended is None:
                end._ended = reason
                end._lose()

    def _lose(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None and self._ended is not None:
            receiver.channelLost(Failure(self._ended))
