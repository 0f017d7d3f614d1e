"""
Tunnels of IP packets: those that end here, and those that pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.fabric.record import FlowRecord
from hermes.fabric.splice import StreamSplice
from hermes.interfaces import IClientExchange, IPacketReceiver, IServerExchange
from hermes.interfaces.packet import AddressRange, AssignedAddress
from hermes.values import Buffer


@implementer(IPacketReceiver)
class PacketFlow:
    """
    Stands before the receiver of one tunnel to hear of its end. Packets do not come by here.

    @ivar record: the tunnel's.
    """

    __slots__ = ("_channel", "_closed", "_draining", "_receiver", "datagramsReceived", "record")

    def __init__(self, record: FlowRecord, closed: Callable[[PacketFlow], None]) -> None:
        """
        @param closed: called once, with this, when the tunnel has ended.
        """
        self.record = record
        self._receiver: Any = None
        self._channel: Any = None
        self._draining = False
        self._closed: Callable[[PacketFlow], None] | None = closed
        self.datagramsReceived: Callable[[Sequence[Buffer]], None]

    def start(self, receiver: IPacketReceiver) -> None:
        """
        Stand before C{receiver}.
        """
        self._receiver = receiver
        self.datagramsReceived = receiver.datagramsReceived

    def channelConnected(self, channel: Any) -> None:
        self._channel = channel
        self.record.channels = (channel,)
        self._receiver.channelConnected(channel)
        if self._draining:
            channel.drain()

    def channelLost(self, reason: Failure) -> None:
        closed, self._closed = self._closed, None
        if closed is None:
            return
        self._channel = None
        if reason.check(ConnectionDone) is None:
            self.record.lost("client", reason.value)
        try:
            self._receiver.channelLost(reason)
        finally:
            closed(self)

    def mtuChanged(self, mtu: int) -> None:
        self._receiver.mtuChanged(mtu)

    def addressesAssigned(self, addresses: Sequence[AssignedAddress]) -> None:
        self._receiver.addressesAssigned(addresses)

    def addressesRequested(self, addresses: Sequence[AssignedAddress]) -> None:
        self._receiver.addressesRequested(addresses)

    def routesAdvertised(self, routes: Sequence[AddressRange]) -> None:
        self._receiver.routesAdvertised(routes)

    @property
    def near(self) -> PacketFlow:
        """
        The receiver for the client's channel.
        """
        return self

    def drain(self) -> None:
        """
        Ask the client to go.
        """
        self._draining = True
        if self._channel is not None:
            self._channel.drain()

    def abort(self) -> None:
        """
        End the tunnel at once, as an error.
        """
        if self._channel is not None:
            self._channel.abortChannel()


def passOnAsking(splice: StreamSplice, clock: IReactorTime) -> None:
    """
    When the next proxy asks to finish what is open, ask the client of a tunnel that passes through to do so: it makes a
    new tunnel before this one ends, on another connection of its own and over another one beyond.
    """

    def ask() -> None:
        near = splice.near.transport
        if IServerExchange.providedBy(near):
            near.askToFinish()

    def later() -> None:
        # The client's end may not be there yet.
        clock.callLater(0, ask)

    far = splice.far.transport
    if IClientExchange.providedBy(far):
        far.notifyDraining(later)
