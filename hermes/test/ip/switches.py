"""
A switch with a device and two users, in memory.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ip.port import ChannelPort
from hermes.ip.refusals import Why
from hermes.ip.switch import PacketSwitch
from hermes.ip.table import PacketRule, PacketTable
from hermes.test.ip.packets import MemoryChannel, device, rule
from hermes.values import Identity

HERE = ip_address("10.0.0.254")
HERE6 = ip_address("fd00::fe")


class Peer(ChannelPort):
    """
    A tunnel of somebody with some addresses.
    """

    def __init__(self, switch: PacketSwitch, user: str, *addresses: str, mtu: int = 1500) -> None:
        super().__init__(f"tunnel of {user}", switch, "overlay", Identity(None, user))
        self.networks = [ip_network(each) for each in addresses]
        self.link = MemoryChannel(mtu)
        self.link.setReceiver(self)
        switch.addPort(self)
        switch.own(self.networks, self)

    def mayCome(self, source: Any) -> bool:
        return any(source in network for network in self.networks)


class SwitchCase(SynchronousTestCase):
    """
    A switch with one device and two users.
    """

    def setUp(self) -> None:
        self.start(rule(["0.0.0.0/0"], users=["alice"]), rule(["::/0"], users=["alice"]))

    def start(self, *rules: PacketRule) -> None:
        """
        Begin with these routes.
        """
        self.clock = Clock()
        self.switch = PacketSwitch(self.clock, PacketTable(rules))
        self.switch.isGiven = lambda address: address in ip_network("10.0.0.0/24") if address.version == 4 else False
        self.switch.refusals.addresses = {4: HERE, 6: HERE6}
        self.lan, self.kernel = device(self.switch)
        self.alice = Peer(self.switch, "alice", "10.0.0.2", "fd00::2")
        self.bob = Peer(self.switch, "bob", "10.0.0.3")

    def counted(self, why: Why) -> int:
        """
        How many packets did not get on, and why.
        """
        return self.switch.refusals.counts[why]
