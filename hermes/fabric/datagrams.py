"""
Two datagram channels, joined: what one end reads the other writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.fabric.record import FlowRecord
from hermes.interfaces import IDatagramChannel, IDatagramReceiver
from hermes.values import Buffer

MAX_EARLY_DATAGRAMS: Final = 32
"""
Datagrams of the far side that wait for the near channel; at most 2 MiB. The oldest are dropped.
"""


def _discard(datagrams: Sequence[Buffer]) -> None:
    """
    Takes what has nowhere to go any more.
    """


@implementer(IDatagramReceiver)
class DatagramHalf:
    """
    The receiver at one end of a L{DatagramSplice}.
    """

    __slots__ = ("_early", "_splice", "_write", "channel", "lost", "peer", "record")

    side = ""
    peer: DatagramHalf

    def __init__(self, splice: DatagramSplice, record: FlowRecord) -> None:
        self._splice = splice
        self.record = record
        self.channel: IDatagramChannel | None = None
        self.lost: Failure | None = None
        self._early: list[bytes] = []
        self._write: Callable[[Sequence[Buffer]], None] = self._keep

    def _keep(self, datagrams: Sequence[Buffer]) -> None:
        self._early += map(bytes, datagrams)
        del self._early[:-MAX_EARLY_DATAGRAMS]

    def channelConnected(self, channel: IDatagramChannel) -> None:
        self.channel = channel
        self.record.channels += (channel,)
        peer = self.peer
        if peer.lost is not None:
            self._end(peer.lost)
            return
        peer._write = channel.write
        if peer._early:
            early, peer._early = peer._early, []
            channel.write(early)

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        raise NotImplementedError

    @property
    def bufferedBytes(self) -> int:
        """
        What of this end's datagrams waits to be sent at the other, in bytes, as far as its channel says.
        """
        return 0 if self.lost is not None else int(getattr(self.peer.channel, "bufferedBytes", 0))

    def channelLost(self, reason: Failure) -> None:
        if self.lost is not None:
            return
        self.lost = reason
        self.channel = None
        if reason.check(ConnectionDone) is None:
            self.record.lost(self.side, reason.value)
        peer, splice = self.peer, self._splice
        peer._write = _discard
        peer._early.clear()
        # This may end the whole splice before it returns.
        peer._end(reason)
        splice.halfLost()

    def _end(self, reason: Failure) -> None:
        """
        The other end is gone.
        """
        if self.channel is None:
            return
        if reason.check(ConnectionDone) is None:
            self.channel.abortChannel()
        else:
            self.channel.loseChannel()


class NearDatagrams(DatagramHalf):
    """
    The client's end.
    """

    __slots__ = ()
    side = "client"

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        record = self.record
        record.datagramsIn += len(datagrams)
        record.bytesIn += sum(map(len, datagrams))
        self._write(datagrams)


class FarDatagrams(DatagramHalf):
    """
    The target's end.
    """

    __slots__ = ()
    side = "target"

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        record = self.record
        record.datagramsOut += len(datagrams)
        record.bytesOut += sum(map(len, datagrams))
        self._write(datagrams)


class DatagramSplice:
    """
    Two datagram channels, joined: batches pass whole, in order, borrowed.

    @ivar near: the receiver for the client's channel.
    @ivar far: the receiver for the target's channel.
    """

    __slots__ = ("_closed", "far", "near", "record")

    def __init__(self, record: FlowRecord, closed: Callable[[DatagramSplice], None]) -> None:
        """
        @param closed: called once, with this, when both ends are gone.
        """
        self.record = record
        self._closed: Callable[[DatagramSplice], None] | None = closed
        self.near = NearDatagrams(self, record)
        self.far = FarDatagrams(self, record)
        self.near.peer = self.far
        self.far.peer = self.near

    def halfLost(self) -> None:
        """
        One of the halves is gone.
        """
        if self.near.lost is not None and self.far.lost is not None and self._closed is not None:
            closed, self._closed = self._closed, None
            del self.near.peer, self.far.peer, self.near._splice, self.far._splice
            closed(self)

    def abort(self) -> None:
        """
        End both ends at once, as an error.
        """
        for channel in (self.near.channel, self.far.channel):
            if channel is not None:
                channel.abortChannel()
