"""
A node's IP side, in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.fabric.record import FlowRecord
from hermes.interfaces.packet import AddressRange
from hermes.ip.plane import AddressPlan, PacketConfig, PacketPlane
from hermes.ip.port import DevicePort
from hermes.ip.prefixes import IPNetwork
from hermes.ip.table import PacketRule, PacketTable
from hermes.test.ip.packets import MemoryChannel, rule
from hermes.values import Flow, Identity, Target

PLAN = AddressPlan(
    (ip_network("10.0.0.0/24"), ip_network("fd00::/64")),
    {"edge": (ip_address("10.0.0.9"),)},
    {"edge": (ip_network("10.5.0.0/16"),)},
)


@define(eq=False)
class Device:
    """
    What a listener tells of its device.
    """

    addresses: Sequence[Any] = ()
    automatic: bool = False
    given: list[IPNetwork] = field(factory=list)
    routes: list[AddressRange] = field(factory=list)

    def configure(self, given: Sequence[IPNetwork], routes: Sequence[AddressRange]) -> None:
        """
        Write it down.
        """
        self.given, self.routes = list(given), list(routes)


class PlaneCase(SynchronousTestCase):
    """
    A node's IP side; the test is its hops and its clients.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.dialed: list[tuple[str, Any, Deferred[Any]]] = []
        self.hops: dict[str, object] = {}
        self.resolving: dict[str, Deferred[list[str]]] = {}
        self.plane = self.make(rule(["192.0.2.0/24"], users=["alice"]), rule(["10.0.0.0/8"], nodes=["edge"]))

    def make(self, *rules: PacketRule, plan: AddressPlan = PLAN) -> PacketPlane:
        """
        A plane with some routes.
        """

        def dial(names: tuple[str, ...], nested: bool, receiver: Any) -> Deferred[Any]:
            dialed: Deferred[Any] = Deferred()
            self.dialed.append((names[0], receiver, dialed))
            return dialed

        def resolve(name: str) -> Deferred[list[str]]:
            self.resolving[name] = Deferred()
            return self.resolving[name]

        config = PacketConfig(PacketTable(rules), plan)
        plane = PacketPlane(self.clock, config, dial, lambda names, nested: self.hops.get(names[0]), resolve)
        plane.start()
        return plane

    def device(self, plane: PacketPlane, name: str = "lan", **what: Any) -> tuple[Device, MemoryChannel, DevicePort]:
        """
        A device takes part.
        """
        device, channel = Device(**what), MemoryChannel()
        port = DevicePort(f"device {name}", plane.switch, name)
        channel.setReceiver(port)
        plane.addDevice(port, device)
        return device, channel, port

    def client(self, user: str | None, node: str | None = None, target: str = "*", protocol: int | None = None) -> Any:
        """
        Somebody opens a tunnel.
        """
        flow = Flow("ip", Target(target, 0), None, Identity(node, user), "overlay", ipProtocol=protocol)
        return self.plane.tunnelOpened(FlowRecord(flow, 0.0))

    def connected(self, *arguments: Any, **what: Any) -> MemoryChannel:
        """
        The same, and the tunnel is up.
        """
        channel = MemoryChannel()
        channel.setReceiver(self.client(*arguments, **what))
        return channel

    def answer(self, *given: str, number: int = -1) -> MemoryChannel:
        """
        A hop accepts a tunnel and gives addresses.
        """
        _, receiver, dialed = self.dialed[number]
        channel = MemoryChannel()
        channel.setReceiver(receiver)
        receiver.addressesAssigned([(place, ip_network(each)) for place, each in enumerate(given, 1)])
        dialed.callback(receiver)
        return channel
