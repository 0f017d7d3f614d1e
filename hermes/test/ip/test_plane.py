"""
Tests of L{hermes.ip.plane} and L{hermes.ip.uplinks}.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_address

from scapy.layers.inet import ICMP

from hermes.errors import NoRoute
from hermes.ip.pauses import SOON
from hermes.ip.plane import PATIENCE, AddressPlan, PacketConfig
from hermes.ip.table import PacketTable
from hermes.ip.uplink import STABLE
from hermes.ip.uplinks import LINGER
from hermes.test.ip.packets import rule, udp
from hermes.test.ip.planes import PlaneCase


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
        self.clock.advance(STABLE)
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

    def test_whereATunnelWasLostThatRoutesComeBackToItIsHadAnewBefore(self) -> None:
        """
        Its hop restarts just then. Where it can't be had for a while, the routes change all the same; and other routes
        of packets that go there already are not held up by that.
        """
        _, _, port = self.device(self.plane, addresses=[IPv4Interface("10.0.0.2/24")])
        one = self.answer("10.0.0.2/32")
        self.plane.swap(PacketConfig(self.toTwo))
        two = self.answer("10.0.0.2/32")
        self.plane.swap(PacketConfig(self.toOne))
        two.loseChannel()
        self.plane.swap(PacketConfig(self.toTwo))
        self.assertEqual([name for name, _, _ in self.dialed], ["one", "two", "two"])
        self.dialed[-1][2].errback(NoRoute("the hop is not there yet"))
        self.clock.advance(1)
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual(len(one.take()), 1)
        two = self.answer("10.0.0.2/32")
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual((len(one.take()), len(two.take())), (0, 1))

        self.plane.swap(PacketConfig(self.toOne))
        two.loseChannel()
        self.plane.swap(PacketConfig(self.toTwo))
        for _ in range(10):
            self.dialed[-1][2].errback(NoRoute("the hop is gone"))
            self.clock.advance(2 * SOON)
        port.datagramsReceived([udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual(one.take(), [])
        tried = len(self.dialed)
        other = PacketTable((rule(["192.0.2.0/24"], listeners=["lan"], deny="no"), *self.toTwo.rules))
        self.plane.swap(PacketConfig(other))
        self.assertEqual((self.plane.switch.table, len(self.dialed)), (other, tried))

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
        self.clock.advance(STABLE)
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
