"""
The IP side of a node: its switch, the tunnels that others open to it, its tunnels to hops, its devices, and the
configuration that holds for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Final

from attrs import field, frozen
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from hermes.errors import BadRequest, NoRoute
from hermes.interfaces import IPacketHandler, IPacketReceiver
from hermes.ip import seeing
from hermes.ip.explaining import askedFor, explain
from hermes.ip.leases import AddressPool, LeaseFile, names
from hermes.ip.port import DevicePort, Port
from hermes.ip.prefixes import IPAddress, IPNetwork
from hermes.ip.switch import PacketSwitch
from hermes.ip.table import PacketTable
from hermes.ip.tunnels import TunnelPort
from hermes.ip.uplink import Uplink
from hermes.ip.uplinks import Uplinks, Way
from hermes.values import Identity

PATIENCE: Final = 10.0
"""
Seconds that new routes wait for the tunnels that they need.
"""

UNSPECIFIED: Final = (ip_network("0.0.0.0/32"), ip_network("::/128"))


@frozen
class AddressPlan:
    """
    Whose addresses are whose.

    @ivar pools: what is given to those who ask.
    @ivar reserved: addresses of users and nodes.
    @ivar networks: what lies behind users and nodes: they may send from there, and packets to there go to them.
    @ivar leases: the file where leases are kept; or L{None}.
    """

    pools: tuple[IPNetwork, ...] = ()
    reserved: Mapping[str, tuple[IPAddress, ...]] = field(factory=dict)
    networks: Mapping[str, tuple[IPNetwork, ...]] = field(factory=dict)
    leases: str | None = None


@frozen
class PacketConfig:
    """
    What one configuration says of IP packets.
    """

    table: PacketTable
    plan: AddressPlan = field(factory=AddressPlan)


@implementer(IPacketHandler)
class PacketPlane:
    """
    See the module.

    @ivar switch: forwards.
    @ivar pool: gives addresses.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        config: PacketConfig,
        dial: Callable[[tuple[str, ...], bool, Any], Deferred[Any]],
        hopsOf: Callable[[tuple[str, ...], bool], object],
        resolve: Callable[[str], Deferred[list[str]]],
    ) -> None:
        """
        @param dial: opens a tunnel over some hops, nested or not, for a receiver.
        @param hopsOf: what that stands on: not the same where the configuration of the first hop, or of a nested one,
            has changed.
        @param resolve: the addresses of a name.
        @raise hermes.ip.leases.LeaseError: where the file of leases can't be used.
        """
        self.switch = PacketSwitch(clock, PacketTable(()))
        self.clock = clock
        self._uplinks = Uplinks(self.switch, clock, dial, hopsOf, self._wishes, self._devicesConfigure)
        self._resolve = resolve
        self._config = config
        self.pool = self._makePool(config.plan)
        self._tunnels: dict[TunnelPort, None] = {}
        self._count = 0
        self._devices: dict[DevicePort, Any] = {}
        self._waiting: Any = None
        self._closed = False
        self.switch.isGiven = self._isGiven
        self.switch.decider.uplink = self._uplinks.of

    def _makePool(self, plan: AddressPlan) -> AddressPool:
        return AddressPool(plan.pools, plan.reserved, LeaseFile(plan.leases))

    def _isGiven(self, address: IPAddress) -> bool:
        return any(address in network for network in self._config.plan.pools)

    def networksOf(self, identity: Identity) -> Iterator[IPNetwork]:
        """
        What lies behind somebody.
        """
        for name in names(identity):
            yield from self._config.plan.networks.get(name, ())

    # Configuration

    def start(self) -> None:
        """
        Open the tunnels to hops that the routes name, and forward.
        """
        self._tellAddresses()
        self._uplinks.open(_ways(self._config))
        self.switch.swap(self._config.table)

    def check(self, config: PacketConfig) -> None:
        """
        Whether L{swap} can take it. Nothing changes.

        @raise hermes.ip.leases.LeaseError: where the file of leases can't be used.
        """
        path = config.plan.leases
        if path is not None and path != self._config.plan.leases:
            LeaseFile(path).close()

    def swap(self, config: PacketConfig) -> None:
        """
        Take another configuration. Tunnels that it needs are opened first; the routes change once they are there, or
        can't be had.
        """
        if self._closed:
            return
        before, self._config = self._config, config
        if config.plan != before.plan:
            self._replan(before.plan, config.plan)
        waited = self._uplinks.open(_ways(config))
        self._waiting = config
        if not waited:
            self._settle(config)
            return
        timer = self.clock.callLater(PATIENCE, self._settle, config)

        def settled(_: object) -> None:
            if timer.active():
                timer.cancel()
            self._settle(config)

        DeferredList(waited).addCallback(settled)

    def _settle(self, config: PacketConfig) -> None:
        if self._waiting is not config or self._closed:
            # The next one came before this held.
            return
        self._waiting = None
        self.switch.swap(config.table)
        self._uplinks.keep(_ways(config))
        for port in self._tunnels:
            port.configure()

    def _replan(self, before: AddressPlan, after: AddressPlan) -> None:
        """
        Pools have changed: who has an address keeps it while its tunnel lasts.
        """
        old = self.pool
        old.close()
        self.pool = self._makePool(after)
        for port in self._tunnels:
            for address in port.addresses:
                self.pool.take(port.identity, address.version, address)
        self._tellAddresses()

    # Tunnels

    def tunnelOpened(self, record: Any) -> IPacketReceiver | Deferred[IPacketReceiver]:
        flow = record.flow
        if not self.switch.table.takesAny(flow.identity, flow.listener):
            raise NoRoute(f"no route takes IP packets from {flow.identity}")
        host = flow.target.host
        if host == "*":
            return self._tunnel(record, None)
        try:
            network: Any = ip_network(host) if "/" in host else ip_network(ip_address(host))
        except ValueError:
            if "/" in host:
                raise BadRequest(f"{host} is not a prefix") from None
        else:
            return self._tunnel(record, (network,))
        resolving = self._resolve(host)
        return resolving.addCallback(
            lambda addresses: self._tunnel(record, tuple(ip_network(ip_address(address)) for address in addresses))
        )

    def _tunnel(self, record: Any, scope: Sequence[IPNetwork] | None) -> TunnelPort:
        self._count += 1
        port = TunnelPort(f"tunnel {self._count}", self, record, scope)
        self._tunnels[port] = None
        return port

    def tunnelLost(self, port: TunnelPort) -> None:
        """
        A tunnel has ended.
        """
        self._tunnels.pop(port, None)

    # Devices

    def addDevice(self, port: DevicePort, device: Any) -> None:
        """
        A device takes part.

        @param device: has C{addresses}, the prefixes with the host's address in each (C{IPv4Interface} and
            C{IPv6Interface}), C{automatic}, whether it has those that hops give, and C{configure}, which is called with
            these and with the ranges that hops lead to.
        """
        self._devices[port] = device
        self.switch.addPort(port)
        self.switch.own([ip_network(interface.ip) for interface in device.addresses], port)
        self.switch.own([interface.network for interface in device.addresses], port)
        self._tellAddresses()
        self._devicesConfigure()
        if device.addresses and not device.automatic:
            # What is open was opened before it was known what to ask for.
            self._uplinks.reopen()

    def deviceChanged(self, port: DevicePort) -> None:
        """
        Its addresses are others.
        """
        device = self._devices[port]
        for network, owner in list(self.switch.owners):
            if owner is port:
                self.switch.disown(network, port)
        self.switch.own([ip_network(interface.ip) for interface in device.addresses], port)
        self.switch.own([interface.network for interface in device.addresses], port)
        self._tellAddresses()
        self._uplinks.reopen()

    def removeDevice(self, port: DevicePort) -> None:
        """
        It takes part no more.
        """
        self._devices.pop(port, None)
        self.switch.removePort(port)
        self._tellAddresses()

    def _wishes(self) -> list[IPNetwork]:
        """
        The addresses that hops are asked for: those that devices have, or else some, where a device waits for them.
        """
        wished: list[IPNetwork] = []
        automatic = False
        for device in self._devices.values():
            wished += [ip_network(interface.ip) for interface in device.addresses]
            automatic = automatic or device.automatic
        if automatic:
            wished += self._uplinks.assigned or UNSPECIFIED
        return list(dict.fromkeys(wished))

    def _devicesConfigure(self) -> None:
        """
        Hops have given other addresses, or lead elsewhere.
        """
        given, routes = self._uplinks.assigned, self._uplinks.routes
        for port, device in self._devices.items():
            if device.automatic:
                self.switch.own(given, port)
            device.configure(given, routes)
        self._tellAddresses()

    def _tellAddresses(self) -> None:
        """
        Errors come from a device's address, where there is one; else from the node's own in a pool.
        """
        addresses: dict[int, IPAddress] = {}
        for device in self._devices.values():
            for interface in device.addresses:
                addresses.setdefault(interface.version, interface.ip)
        for network in self._uplinks.assigned:
            addresses.setdefault(network.version, network.network_address)
        for version in (4, 6):
            first = self.pool.first(version)
            if first is not None:
                addresses.setdefault(version, first)
        self.switch.refusals.addresses = addresses

    # The life of a node

    def drain(self) -> None:
        """
        Ask those who have tunnels here to make others elsewhere.
        """
        for port in list(self._tunnels):
            if port.channel is not None:
                port.channel.drain()

    def close(self) -> None:
        """
        End all tunnels, and forward nothing more.
        """
        if self._closed:
            return
        self._closed = True
        self._uplinks.close()
        for port in list(self._tunnels):
            if port.channel is not None:
                port.channel.loseChannel()
        self.switch.close()
        self.pool.close()

    # Seeing it

    def port(self, name: str) -> Port | None:
        """
        The port of a listener, of the first tunnel of a user or node, or with this name.
        """
        for port in self.switch.ports:
            if name in (port.name, port.identity.user, port.identity.node):
                return port
            if isinstance(port, DevicePort) and port.listener == name:
                return port
            if isinstance(port, Uplink) and port.name == f"via {name}":
                return port
        return None

    def status(self) -> dict[str, Any]:
        """
        For the status API: plain values.
        """
        return seeing.status(self.switch, self._devices)

    def explain(self, given: Mapping[str, str]) -> dict[str, Any]:
        """
        Where a packet would go, and why; C{way} says of the port where it would leave. See L{hermes.ip.explaining}.

        @raise ValueError: with a sentence for the user.
        """
        asked = askedFor(given)
        explained = explain(self.switch.table, asked)
        out = self.switch.decider.outOf(asked)
        explained["way"] = None if out is None else {"port": out.name, "up": out.up}
        return explained


def _ways(config: PacketConfig) -> list[Way]:
    """
    The ways over hops that the routes name, each once.
    """
    return list(dict.fromkeys(way for rule in config.table.rules for way in rule.ways))
