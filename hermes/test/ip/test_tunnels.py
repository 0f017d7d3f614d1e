"""
Tests of L{hermes.ip.tunnels}.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_network

from scapy.layers.inet import ICMP

from hermes.errors import BadRequest, NoRoute
from hermes.ip.plane import AddressPlan, PacketConfig
from hermes.ip.refusals import Why
from hermes.ip.table import PacketTable
from hermes.ip.tunnels import MAX_ADDRESSES
from hermes.test.ip.packets import MemoryChannel, rule, udp
from hermes.test.ip.planes import PLAN, PlaneCase


class TunnelTests(PlaneCase):
    """
    Tunnels that others open.
    """

    def test_whoMaySendNothingGetsNoTunnel(self) -> None:
        """
        403 is the answer.
        """
        with self.assertRaises(NoRoute):
            self.client("bob")

    def test_itHearsWhatItMayReachAndGetsAnAddress(self) -> None:
        """
        Then it may send from that, and from no other.
        """
        _, kernel, _ = self.device(self.plane)
        alice = self.connected("alice")
        self.assertEqual(alice.told, [("advertise", [("192.0.2.0", "192.0.2.255", 0)])])
        alice.receiver.addressesRequested([(1, ip_network("0.0.0.0/32")), (2, ip_network("::/128"))])
        self.assertEqual(alice.told[-1], ("assign", [(1, "10.0.0.2/32"), (2, "fd00::2/128")]))
        alice.receiver.datagramsReceived([udp("10.0.0.2", "192.0.2.1"), udp("10.0.0.3", "192.0.2.1")])
        self.assertEqual([packet.src for packet in kernel.take()], ["10.0.0.2"])
        self.assertEqual(self.plane.switch.refusals.counts[Why.SPOOFED], 1)

    def test_whatLiesBehindANodeIsItsOwn(self) -> None:
        """
        It is told, may send from there, and gets what goes there.
        """
        _, kernel, port = self.device(self.plane)
        self.plane.swap(PacketConfig(PacketTable((rule([]),)), PLAN))
        edge = self.connected(None, "edge")
        self.assertEqual(edge.told[0], ("assign", [(0, "10.5.0.0/16")]))
        edge.receiver.addressesRequested([(1, ip_network("10.0.0.9/32")), (2, ip_network("10.5.7.0/24"))])
        self.assertEqual(edge.told[-1], ("assign", [(0, "10.5.0.0/16"), (1, "10.0.0.9/32"), (2, "10.5.7.0/24")]))
        edge.receiver.datagramsReceived([udp("10.5.1.1", "192.0.2.1")])
        port.datagramsReceived([udp("192.0.2.7", "10.5.2.2")])
        self.assertEqual((len(kernel.take()), [packet.dst for packet in edge.take()]), (1, ["10.5.2.2"]))

    def test_anAddressThatNobodyHasIsNotBeyondADevice(self) -> None:
        """
        Not where the device's prefix is the pool's: its kernel would send it back.
        """
        self.plane = self.make(rule(["10.0.0.0/8"], users=["alice"]))
        _, kernel, _ = self.device(self.plane, addresses=[IPv4Interface("10.0.0.1/24")])
        alice = self.connected("alice")
        alice.receiver.addressesRequested([(1, ip_network("0.0.0.0/32"))])
        own = alice.told[-1][1][0][1].partition("/")[0]
        alice.receiver.datagramsReceived([udp(own, "10.0.0.200")])
        self.assertEqual(kernel.take(), [])
        self.assertEqual([(packet.src, packet[ICMP].code) for packet in alice.take()], [("10.0.0.1", 1)])
        alice.receiver.datagramsReceived([udp(own, "10.0.0.1"), udp(own, "10.9.9.9")])
        self.assertEqual([packet.dst for packet in kernel.take()], ["10.0.0.1", "10.9.9.9"])

    def test_whereNoAddressIsLeftItIsTold(self) -> None:
        """
        With the unspecified one; and one tunnel does not get all.
        """
        alice = self.connected("alice")
        alice.receiver.addressesRequested([(n, ip_network("0.0.0.0/32")) for n in range(1, MAX_ADDRESSES + 2)])
        assigned = dict(alice.told[-1][1])
        self.assertEqual(assigned[MAX_ADDRESSES + 1], "0.0.0.0/32")
        self.assertEqual(len(set(assigned.values())), MAX_ADDRESSES + 1)
        alice.receiver.addressesRequested([(99, ip_network("::/128"))])
        self.assertNotIn(MAX_ADDRESSES + 1, dict(alice.told[-1][1]))

    def test_theSameUserHasTheSameAddressAgain(self) -> None:
        """
        After its tunnel has ended.
        """
        for _ in range(2):
            alice = self.connected("alice")
            alice.receiver.addressesRequested([(1, ip_network("0.0.0.0/32"))])
            self.assertEqual(alice.told[-1], ("assign", [(1, "10.0.0.2/32")]))
            alice.loseChannel()
        self.assertEqual(self.plane.status()["ports"], [])

    def test_aTunnelForSomeTargetsIsForNoOthers(self) -> None:
        """
        An address, a prefix, a name that is resolved, an IP protocol.
        """
        _, kernel, _ = self.device(self.plane)
        for target, protocol, reached in (
            ("192.0.2.1", None, ["192.0.2.1"]),
            ("192.0.2.0/25", None, ["192.0.2.1", "192.0.2.5"]),
            ("*", 6, []),
            ("*", 17, ["192.0.2.1", "192.0.2.5", "192.0.2.200"]),
        ):
            alice = self.connected("alice", target=target, protocol=protocol)
            alice.receiver.addressesRequested([(1, ip_network("0.0.0.0/32"))])
            sent = [udp("10.0.0.2", each) for each in ("192.0.2.1", "192.0.2.5", "192.0.2.200")]
            alice.receiver.datagramsReceived(sent)
            self.assertEqual([packet.dst for packet in kernel.take()], reached)
            self.assertEqual(len(alice.take()), 3 - len(reached))
            alice.loseChannel()
        opening = self.client("alice", target="shop.example")
        self.assertNoResult(opening)
        self.resolving["shop.example"].callback(["192.0.2.9"])
        channel = MemoryChannel()
        channel.setReceiver(self.successResultOf(opening))
        self.assertEqual(channel.told, [("advertise", [("192.0.2.9", "192.0.2.9", 0)])])
        with self.assertRaises(BadRequest):
            self.client("alice", target="shop/24")

    def test_newRoutesAreAdvertised(self) -> None:
        """
        To those whom they concern, once.
        """
        alice = self.connected("alice")
        before = len(alice.told)
        self.plane.swap(PacketConfig(PacketTable((rule(["198.51.100.0/24"], users=["alice"]),)), PLAN))
        self.assertEqual(alice.told[before:], [("advertise", [("198.51.100.0", "198.51.100.255", 0)])])
        self.plane.swap(PacketConfig(PacketTable((rule(["198.51.100.0/24"], users=["alice"]),)), PLAN))
        self.assertEqual(len(alice.told), before + 1)

    def test_addressesAreKeptWhenPoolsChange(self) -> None:
        """
        For as long as the tunnel lasts.
        """
        alice = self.connected("alice")
        alice.receiver.addressesRequested([(1, ip_network("0.0.0.0/32"))])
        rules = self.plane.switch.table
        self.plane.swap(PacketConfig(rules, AddressPlan((ip_network("10.0.0.0/24"), ip_network("10.1.0.0/24")))))
        bob = self.connected("alice")
        bob.receiver.addressesRequested([(1, ip_network("0.0.0.0/32"))])
        self.assertEqual(bob.told[-1], ("assign", [(1, "10.0.0.3/32")]))

    def test_drainingAsksToGoElsewhere(self) -> None:
        """
        And closing ends it.
        """
        alice = self.connected("alice")
        self.plane.drain()
        self.assertEqual(alice.told[-1], ("drain", None))
        self.plane.close()
        self.assertTrue(alice.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
