"""
Tunnels that others have opened to this node: who they are, which addresses they have, what they hear of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.interfaces.packet import AddressRange, AssignedAddress
from hermes.ip.port import ChannelPort
from hermes.ip.prefixes import IPAddress, IPNetwork

if TYPE_CHECKING:
    from hermes.ip.plane import PacketPlane

MAX_ADDRESSES: Final = 16
"""
Addresses that one tunnel may have of the pools.
"""

MAX_NETWORKS: Final = 200
"""
Networks behind one node. An ADDRESS_ASSIGN capsule holds 256 entries.
"""

REFUSED: Final = {4: ip_network("0.0.0.0/32"), 6: ip_network("::/128")}
"""
The answer to a request that gets nothing (RFC 9484 section 4.7.1).
"""


class TunnelPort(ChannelPort):
    """
    One tunnel. It may send from the addresses that it was given, and from the networks that are its own by the
    configuration.

    @ivar addresses: those of the pools that it has.
    @ivar networks: those that lie behind it.
    @ivar scope: what the request was for: networks, L{None} for all; and an IP protocol, L{None} for all.
    """

    log = Logger()

    def __init__(self, name: str, plane: PacketPlane, record: Any, scope: Sequence[IPNetwork] | None) -> None:
        """
        @param record: L{hermes.fabric.record.FlowRecord}; it is given counts.
        """
        flow = record.flow
        super().__init__(name, plane.switch, flow.listener, flow.identity)
        self._plane = plane
        self._record = record
        self.scope = scope
        self._protocol: int | None = flow.ipProtocol
        self.addresses: list[IPAddress] = []
        self.networks: tuple[IPNetwork, ...] = ()
        self._assigned: list[AssignedAddress] = []
        self._advertised: list[AddressRange] | None = None

    def connected(self) -> None:
        self._record.channels += (self.channel,)
        self.switch.addPort(self)
        self.configure()

    def configure(self) -> None:
        """
        The configuration says what lies behind it, and what it may reach.
        """
        if self.channel is None:
            return
        networks = tuple(self._plane.networksOf(self.identity))[:MAX_NETWORKS]
        if networks != self.networks:
            for network in self.networks:
                if network not in networks:
                    self.switch.disown(network, self)
            given = [entry for entry in self._assigned if entry[0] or entry[1] not in self.networks]
            self.networks = networks
            self.switch.own(networks, self)
            self._assigned = [(0, network) for network in networks] + given
            self.channel.assignAddresses(self._assigned)
        reachable = self._within(self.switch.table.reachable(self.identity, self.listener))
        if reachable != self._advertised:
            self._advertised = reachable
            self.channel.advertiseRoutes(reachable)

    def _within(self, routes: list[AddressRange]) -> list[AddressRange]:
        """
        The part of C{routes} that the request was for.
        """
        if self.scope is None:
            return [(start, end, self._protocol or 0) for start, end, _ in routes]
        found: list[AddressRange] = []
        for network in self.scope:
            for start, end, _ in routes:
                if start.version == network.version:
                    first: Any = max(int(start), int(network.network_address))
                    last: Any = min(int(end), int(network.broadcast_address))
                    if first <= last:
                        kind = type(start)
                        found.append((kind(first), kind(last), self._protocol or 0))
        return found

    def addressesRequested(self, addresses: Sequence[AssignedAddress]) -> None:
        for number, wished in addresses:
            self._assigned.append((number, self._give(wished)))
        # What was refused is told once.
        told = self._assigned
        self._assigned = [entry for entry in told if entry[1] != REFUSED[entry[1].version]]
        self.channel.assignAddresses(told)

    def _give(self, wished: IPNetwork) -> IPNetwork:
        if any(wished.version == network.version and wished.subnet_of(network) for network in self.networks):  # type: ignore[arg-type]
            return wished
        if len(self.addresses) >= MAX_ADDRESSES:
            return REFUSED[wished.version]
        address = None if wished.network_address.is_unspecified else wished.network_address
        if address is not None and address in self.addresses:
            return ip_network(address)
        given = self._plane.pool.take(self.identity, wished.version, address)
        if given is None:
            self.log.warn("{name}: there is no address left for it", name=self.name)
            return REFUSED[wished.version]
        self.addresses.append(given)
        self.switch.own([ip_network(given)], self)
        return ip_network(given)

    def mayCome(self, source: IPAddress) -> bool:
        return source in self.addresses or any(source in network for network in self.networks)

    def mayGo(self, destination: IPAddress, protocol: int) -> bool:
        if self._protocol is not None and protocol != self._protocol:
            return False
        return self.scope is None or any(destination in network for network in self.scope)

    def datagramsReceived(self, datagrams: Sequence[Any]) -> None:
        record = self._record
        record.datagramsIn += len(datagrams)
        record.bytesIn += sum(map(len, datagrams))
        self.switch.forward(self, datagrams)

    def write(self, frames: Sequence[Any]) -> None:
        record = self._record
        record.datagramsOut += len(frames)
        record.bytesOut += sum(map(len, frames))
        super().write(frames)

    def channelLost(self, reason: Failure) -> None:
        super().channelLost(reason)
        self.switch.removePort(self)
        for address in self.addresses:
            self._plane.pool.release(address)
        self._plane.tunnelLost(self)
