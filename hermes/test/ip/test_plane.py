"""
Tests of L{hermes.ip.plane} and L{hermes.ip.tunnels}.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Interface, ip_address, ip_network
from typing import Any

from attrs import define, field
from scapy.layers.inet import ICMP
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest, NoRoute
from hermes.fabric.record import FlowRecord
from hermes.interfaces.packet import AddressRange
from hermes.ip.plane import LINGER, PATIENCE, AddressPlan, PacketConfig, PacketPlane
from hermes.ip.port import DevicePort
from hermes.ip.prefixes import IPNetwork
from hermes.ip.refusals import Why
from hermes.ip.table import PacketRule, PacketTable
from hermes.ip.tunnels import MAX_ADDRESSES
from hermes.test.ip.packets import MemoryChannel, rule, udp
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


class UplinkTests(PlaneCase):
    """
    Tunnels to hops.
    """

    def setUp(self) -> None:
        super().setUp()
        self.hops = {"one": object(), "two": object()}
        self.toOne = PacketTable((rule([], listeners=["lan"], via=("one",)),))
        self.toTwo = PacketTable((rule([], listeners=["lan"], via=("two",)),))
        self.plane = self.make(*self.toOne.rules, plan=AddressPlan())

    def test_theyAreOpenedBeforeThereIsAPacket(self) -> None:
        """
        One for each way, and with the addresses of the devices.
        """
        _, _, port = self.device(self.plane, addresses=[IPv4Interface("10.0.0.2/24")])
        channel = self.answer("10.0.0.2/32")
        self.assertEqual([name for name, _, _ in self.dialed], ["one"])
        self.assertEqual(channel.told, [("request", [(1, "10.0.0.2/32")])])
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual(len(channel.take()), 1)

    def test_aDeviceGetsTheAddressesAndRoutesThatTheHopGives(self) -> None:
        """
        Where it has none of its own; the hop is asked for the same ones again after.
        """
        device, _, port = self.device(self.plane, automatic=True)
        channel = self.answer("10.0.0.7/32", "fd00::7/128")
        self.assertEqual(channel.told, [("request", [(1, "0.0.0.0/32"), (2, "::/128")])])
        self.assertEqual([str(each) for each in device.given], ["10.0.0.7/32", "fd00::7/128"])
        channel.receiver.routesAdvertised([(ip_address("192.0.2.0"), ip_address("192.0.2.255"), 0)])
        self.assertEqual(len(device.routes), 1)
        channel.goAway()
        again = self.answer("10.0.0.7/32", "fd00::7/128")
        self.assertEqual(again.told, [("request", [(1, "10.0.0.7/32"), (2, "fd00::7/128")])])
        port.datagramsReceived([udp("10.0.0.7", "192.0.2.1", ttl=1)])
        self.assertIs(self.plane.switch.owners.find(ip_address("10.0.0.7")), port)

    def test_theDeviceKeepsThemWhileThereIsNoTunnel(self) -> None:
        """
        Connections outlive that; and what was to go into the tunnel is not to go past it.
        """
        device, _, _ = self.device(self.plane, automatic=True)
        channel = self.answer("10.0.0.7/32", "::/128")
        channel.receiver.routesAdvertised([(ip_address("192.0.2.0"), ip_address("192.0.2.255"), 0)])
        channel.loseChannel()
        self.assertEqual(([str(each) for each in device.given], len(device.routes)), (["10.0.0.7/32"], 1))
        again = self.answer("10.0.0.7/32", "::/128")
        self.assertEqual(again.told, [("request", [(1, "10.0.0.7/32")])])

    def test_routesChangeOnceTheNewTunnelIsUp(self) -> None:
        """
        Not a packet goes where there is none; the old one is left a while later.
        """
        _, _, port = self.device(self.plane, addresses=[IPv4Interface("10.0.0.2/24")])
        one = self.answer("10.0.0.2/32")
        self.plane.swap(PacketConfig(self.toTwo))
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual(len(one.take()), 1)
        two = self.answer("10.0.0.2/32")
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual((len(one.take()), len(two.take())), (0, 1))
        self.clock.advance(LINGER)
        self.assertEqual((one.closed, two.closed), (True, False))

    def test_goingBackBeforeThatKeepsTheOldOne(self) -> None:
        """
        Nothing is dialed anew.
        """
        _, _, port = self.device(self.plane, addresses=[IPv4Interface("10.0.0.2/24")])
        one = self.answer("10.0.0.2/32")
        self.plane.swap(PacketConfig(self.toTwo))
        self.answer("10.0.0.2/32")
        self.plane.swap(PacketConfig(self.toOne))
        self.clock.advance(LINGER * 2)
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual((len(one.take()), one.closed, len(self.dialed)), (1, False, 2))

    def test_aTunnelThatCanNotBeHadDoesNotHoldUpTheOthersForEver(self) -> None:
        """
        The routes change all the same; where no answer comes, after a while.
        """
        _, _, port = self.device(self.plane, addresses=[IPv4Interface("10.0.0.2/24")])
        one = self.answer("10.0.0.2/32")
        self.plane.swap(PacketConfig(self.toTwo))
        self.clock.advance(PATIENCE)
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual(one.take(), [])

    def test_onlyTheLastOfSeveralChangesHolds(self) -> None:
        """
        However their tunnels come up.
        """
        _, _, port = self.device(self.plane, addresses=[IPv4Interface("10.0.0.2/24")])
        one = self.answer("10.0.0.2/32")
        self.plane.swap(PacketConfig(self.toTwo))
        self.plane.swap(PacketConfig(self.toOne))
        self.answer("10.0.0.2/32")
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual(len(one.take()), 1)

    def test_aHopThatIsConfiguredAnewIsDialedAnew(self) -> None:
        """
        Its endpoint has moved: the new tunnel is up before the old one is left.
        """
        _, _, port = self.device(self.plane, addresses=[IPv4Interface("10.0.0.2/24")])
        old = self.answer("10.0.0.2/32")
        self.plane.swap(PacketConfig(self.toOne))
        self.assertEqual(len(self.dialed), 1)
        self.hops["one"] = object()
        self.plane.swap(PacketConfig(self.toOne))
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        new = self.answer("10.0.0.2/32")
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual((len(old.take()), len(new.take()), len(self.dialed)), (1, 1, 2))

    def test_aWayThatIsDownIsLeftForItsBackup(self) -> None:
        """
        Both tunnels stand before that; packets go back once the first is there again.
        """
        plane = self.make(rule([], listeners=["lan"], via=("one",), backup=(("two",),)), plan=AddressPlan())
        _, _, port = self.device(plane, addresses=[IPv4Interface("10.0.0.2/24")])
        one, two = self.answer("10.0.0.2/32", number=-2), self.answer("10.0.0.2/32")
        packet = udp("10.0.0.2", "192.0.2.1")
        port.datagramsReceived([bytearray(packet)])
        self.assertEqual((len(one.take()), len(two.take())), (1, 0))
        one.loseChannel()
        self.dialed[-1][2].errback(NoRoute("the hop is gone"))
        port.datagramsReceived([bytearray(packet)])
        self.assertEqual((len(one.take()), len(two.take())), (0, 1))
        self.clock.advance(1)
        self.assertEqual(self.dialed[-1][0], "one")
        again = self.answer("10.0.0.2/32")
        port.datagramsReceived([bytearray(packet)])
        self.assertEqual((len(again.take()), len(two.take())), (1, 0))

    def test_whereThereIsNoTunnelTheSenderIsTold(self) -> None:
        """
        Its kernel takes nothing from its own address: so it hears of it from there where it has sent to, or, where that
        would be a lie, from nowhere. The status says why.
        """
        _, kernel, port = self.device(self.plane, addresses=[IPv4Interface("10.0.0.2/24")])
        self.dialed[-1][2].errback(NoRoute("the hop refuses"))
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1"), udp("10.0.0.2", "192.0.2.1", ttl=1)])
        self.assertEqual(
            [(packet.src, packet[ICMP].type, packet[ICMP].code) for packet in kernel.take()],
            [("192.0.0.8", 11, 0), ("192.0.2.1", 3, 1)],
        )
        hop = next(each for each in self.plane.status()["ports"] if each["kind"] == "hop")
        self.assertEqual((hop["failure"], hop["up"]), ("the hop refuses", False))

    def test_portsAreFoundByTheirNames(self) -> None:
        """
        A listener's, a hop's, a user's.
        """
        _, _, port = self.device(self.plane)
        self.assertIs(self.plane.port("lan"), port)
        found = self.plane.port("one")
        self.assertEqual(found and found.name, "via one")
        self.assertIsNone(self.plane.port("nobody"))
