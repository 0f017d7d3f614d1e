"""
One tunnel to a hop: from when it is dialed until it is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IPacketReceiver
from hermes.interfaces.packet import AddressRange, AssignedAddress
from hermes.ip.prefixes import IPNetwork
from hermes.values import Buffer

if TYPE_CHECKING:
    from hermes.ip.uplink import Uplink

ANSWER: Final = 5.0
"""
Seconds that a hop has to answer a request for addresses before the tunnel is used without.
"""


@implementer(IPacketReceiver)
class Line:
    """
    One tunnel of an uplink.

    @ivar channel: L{hermes.interfaces.IPacketTunnel}; L{None} before it is there and when it is lost.
    @ivar ready: whether packets can go through: it is there, and addresses are settled.
    @ivar since: when that was.
    """

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink
        self.channel: Any = None
        self.ready = False
        self.since = 0.0
        self.assigned: tuple[IPNetwork, ...] = ()
        self.routes: tuple[AddressRange, ...] = ()
        self._unanswered: set[int] = set()
        self._timer: IDelayedCall | None = None

    def channelConnected(self, channel: Any) -> None:
        self.channel = channel
        wishes = [(number, network) for number, network in enumerate(self._uplink.wishes(), 1)]
        if wishes:
            self._unanswered = {number for number, _ in wishes}
            self._timer = self._uplink.clock.callLater(ANSWER, self._settled)
            channel.requestAddresses(wishes)
        else:
            self._settled()
        channel.notifyGoingAway(lambda: self._uplink.goingAway(self))

    def _settled(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if self.channel is not None and not self.ready:
            self.ready = True
            self.since = self._uplink.clock.seconds()
            self._uplink.lineReady(self)

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        self._uplink.switch.forward(self._uplink, datagrams)

    def addressesAssigned(self, addresses: Sequence[AssignedAddress]) -> None:
        self.assigned = tuple(network for _, network in addresses if not network.network_address.is_unspecified)
        self._unanswered -= {number for number, _ in addresses}
        self._uplink.assignmentChanged(self)
        if not self._unanswered:
            self._settled()

    def addressesRequested(self, addresses: Sequence[AssignedAddress]) -> None:
        # Nobody gets addresses of a node that came to it for some.
        refused = {4: ip_network("0.0.0.0/32"), 6: ip_network("::/128")}
        self.channel.assignAddresses([(number, refused[network.version]) for number, network in addresses])

    def routesAdvertised(self, routes: Sequence[AddressRange]) -> None:
        self.routes = tuple(routes)
        self._uplink.routesChanged(self)

    def mtuChanged(self, mtu: int) -> None:
        self._uplink.lineMTU(self, mtu)

    def channelLost(self, reason: Failure) -> None:
        self.channel = None
        self.ready = False
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        self._uplink.lineLost(self, reason)

    def close(self) -> None:
        """
        End it in order.
        """
        if self.channel is not None:
            self.channel.loseChannel()
