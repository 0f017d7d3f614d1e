"""
Tests of L{hermes.ip.uplink}.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

from scapy.layers.inet import ICMP, UDP
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import HopUnavailable
from hermes.interfaces.packet import AddressRange, AssignedAddress
from hermes.ip.line import ANSWER
from hermes.ip.pauses import AT_FIRST, FIRST, LATER, SOON, SPREAD, WANTED
from hermes.ip.switch import PacketSwitch
from hermes.ip.table import PacketTable
from hermes.ip.uplink import EXPECTED, LINGER, STABLE, Uplink
from hermes.test.ip.packets import MemoryChannel, device, rule, udp

WISHED = ip_network("10.0.0.2/32")


class NoChance(Random):
    """
    Nothing is longer or shorter by chance.
    """

    def random(self) -> float:
        return 0.5


class UplinkCase(SynchronousTestCase):
    """
    A device, and a way over a hop that the test answers for.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.dialed: list[tuple[Any, Deferred[Any]]] = []
        self.cancelled: list[Any] = []
        self.changes = 0
        self.wishes = [WISHED]
        self.switch = PacketSwitch(self.clock, PacketTable((rule([], listeners=["lan"], via=("hop",)),)))
        self.switch.refusals.addresses = {4: ip_address("10.0.0.2")}
        self.lan, self.kernel = device(self.switch)
        self.uplink = Uplink(
            "via hop", self.switch, self.clock, self.dial, lambda: self.wishes, self.changed, NoChance()
        )
        self.switch.decider.uplink = lambda rule: self.uplink

    def dial(self, receiver: Any) -> Deferred[Any]:
        """
        Write it down.
        """
        dialed: Deferred[Any] = Deferred(self.cancelled.append)
        self.dialed.append((receiver, dialed))
        return dialed

    def changed(self) -> None:
        """
        Count it.
        """
        self.changes += 1

    def answer(self, assigned: bool = True, mtu: int = 1500) -> MemoryChannel:
        """
        The hop accepts the last tunnel, and gives what was wished for.
        """
        receiver, dialed = self.dialed[-1]
        channel = MemoryChannel(mtu)
        channel.setReceiver(receiver)
        if assigned:
            self.assign(receiver, (1, WISHED))
        dialed.callback(receiver)
        return channel

    def refuse(self) -> None:
        """
        The last try fails.
        """
        self.dialed[-1][1].errback(HopUnavailable("the hop is down"))

    def assign(self, receiver: Any, *addresses: AssignedAddress) -> None:
        """
        The hop gives addresses.
        """
        receiver.addressesAssigned(addresses)

    def send(self, *ports: int) -> None:
        """
        Packets come out of the device.
        """
        self.switch.forward(self.lan, [udp("10.0.0.2", "192.0.2.1", port, 9) for port in ports])


class OpeningTests(UplinkCase):
    """
    The first tunnel.
    """

    def test_packetsWaitForATunnelAndAddresses(self) -> None:
        """
        For a moment; then they go, in order, and what comes back is forwarded.
        """
        self.uplink.open()
        self.send(1, 2)
        channel = self.answer(assigned=False)
        self.assertEqual((channel.told, channel.written), ([("request", [(1, "10.0.0.2/32")])], []))
        self.assign(channel.receiver, (1, WISHED))
        self.send(3)
        self.assertEqual([packet[UDP].sport for packet in channel.take()], [1, 2, 3])
        channel.receiver.datagramsReceived([udp("192.0.2.1", "10.0.0.2", 9, 2)])
        self.assertEqual(len(self.kernel.take()), 1)
        self.assertEqual((self.uplink.assigned, self.uplink.opened, self.changes > 0), ((WISHED,), 1, True))

    def test_aHopThatGivesNoAddressesIsUsedAllTheSame(self) -> None:
        """
        After a while: it may know ours by its own configuration.
        """
        self.uplink.open()
        channel = self.answer(assigned=False)
        self.clock.advance(ANSWER)
        self.send(1)
        self.assertEqual(len(channel.take()), 1)
        self.assertIsNone(self.uplink.settled)

    def test_whereItCanNotBeHadTheSenderIsToldAndItIsTriedAgain(self) -> None:
        """
        With longer pauses each time, up to a bound.
        """
        settled: list[object] = []
        assert self.uplink.settled is not None
        self.uplink.settled.addCallback(settled.append)
        self.uplink.open()
        pause = FIRST
        for number in range(10):
            self.assertEqual(len(self.dialed), number + 1)
            self.refuse()
            waited = self.clock.seconds() >= EXPECTED
            self.assertEqual((settled, self.uplink.failure), ([None] if waited else [], "the hop is down"))
            self.clock.advance(pause * 0.9)
            self.assertEqual(len(self.dialed), number + 1)
            self.clock.advance(pause * 0.1 + 1e-6)
            pause = min(2 * pause, SOON)
        self.send(1)
        self.assertEqual([packet[ICMP].type for packet in self.kernel.take()], [3])
        with capturedLogs() as events:
            self.answer()
        self.assertIsNone(self.uplink.failure)
        self.assertEqual(list(map(formatEvent, events)), ["via hop: there is a tunnel"])

    def test_aHopThatIsAwayForLongIsTriedMoreOftenWhileThereArePackets(self) -> None:
        """
        One of them makes the pause shorter, however many follow.
        """
        self.uplink.open()
        while self.clock.seconds() < AT_FIRST + 5 * LATER:
            self.refuse()
            tried = len(self.dialed)
            while len(self.dialed) == tried:
                self.clock.advance(FIRST)
        self.refuse()
        tried = len(self.dialed)
        self.clock.advance(WANTED / 2)
        self.send(1, 2)
        self.send(3)
        self.clock.advance(WANTED / 2 - 0.01)
        self.assertEqual(len(self.dialed), tried)
        self.clock.advance(0.02)
        self.assertEqual(len(self.dialed), tried + 1)
        self.refuse()
        self.clock.advance(LATER * (1 - SPREAD) - 0.01)
        self.assertEqual(len(self.dialed), tried + 1)
        self.send(4)
        self.clock.advance(0.01)
        self.assertEqual(len(self.dialed), tried + 2)

    def test_theMTUIsTheTunnels(self) -> None:
        """
        Also when it changes.
        """
        self.uplink.open()
        channel = self.answer(mtu=1400)
        self.assertEqual(self.uplink.mtu, 1400)
        channel.receiver.mtuChanged(9000)
        self.assertEqual(self.uplink.mtu, 9000)

    def test_whatTheHopLeadsToIsTold(self) -> None:
        """
        And again when it changes.
        """
        self.uplink.open()
        channel = self.answer()
        before = self.changes
        route: AddressRange = (ip_address("10.0.0.0"), ip_address("10.0.0.255"), 0)
        channel.receiver.routesAdvertised([route])
        self.assertEqual((self.uplink.routes, self.changes), ((route,), before + 1))

    def test_aHopGetsNoAddressOfUs(self) -> None:
        """
        It is told so.
        """
        self.uplink.open()
        channel = self.answer()
        channel.receiver.addressesRequested([(7, ip_network("0.0.0.0/32"))])
        self.assertEqual(channel.told[-1], ("assign", [(7, "0.0.0.0/32")]))


class ReplacingTests(UplinkCase):
    """
    The next tunnel.
    """

    def setUp(self) -> None:
        super().setUp()
        self.uplink.open()
        self.first = self.answer()

    def test_theNewOneIsUpBeforeTheOldOneIsLeft(self) -> None:
        """
        Packets go by the old one until then; what is on its way in it still arrives; then it is ended in order.
        """
        self.uplink.open()
        self.send(1)
        second = self.answer(assigned=False)
        self.send(2)
        self.assertEqual([packet[UDP].sport for packet in self.first.take()], [1, 2])
        self.assign(second.receiver, (1, WISHED))
        self.send(3)
        self.assertEqual([packet[UDP].sport for packet in second.take()], [3])
        self.first.receiver.datagramsReceived([udp("192.0.2.1", "10.0.0.2", 9, 1)])
        self.assertEqual(len(self.kernel.take()), 1)
        self.assertFalse(self.first.closed)
        self.clock.advance(LINGER)
        self.assertEqual((self.first.closed, second.closed, self.uplink.opened), (True, False, 2))

    def test_aHopThatGoesAwayIsLeftInTime(self) -> None:
        """
        Once, however often it says so.
        """
        self.first.goAway()
        self.assertEqual(len(self.dialed), 2)
        self.uplink.goingAway(self.uplink.line)  # type: ignore[arg-type]
        self.assertEqual(len(self.dialed), 2)
        second = self.answer()
        self.send(1)
        self.assertEqual(len(second.take()), 1)

    def test_aTunnelThatIsLostIsReplacedAndPacketsWait(self) -> None:
        """
        The sender hears nothing, unless it can't be had.
        """
        self.clock.advance(STABLE)
        self.first.loseChannel()
        self.send(1)
        second = self.answer()
        self.assertEqual([packet[UDP].sport for packet in second.take()], [1])
        self.assertEqual(self.kernel.take(), [])
        self.clock.advance(STABLE)
        second.loseChannel()
        self.refuse()
        self.send(2)
        self.assertEqual([packet[ICMP].type for packet in self.kernel.take()], [3])

    def test_tunnelsThatDoNotLastAreNoBetterThanNone(self) -> None:
        """
        They are opened at longer and longer intervals, not in a loop; after one that has lasted, at once.
        """
        pause = FIRST
        channel = self.first
        for _ in range(8):
            tried = len(self.dialed)
            channel.loseChannel()
            self.send(1)
            self.assertEqual([packet[ICMP].type for packet in self.kernel.take()], [3])
            self.clock.advance(pause - 1e-6)
            self.assertEqual(len(self.dialed), tried)
            self.clock.advance(2e-6)
            self.assertEqual(len(self.dialed), tried + 1)
            channel = self.answer()
            pause = min(2 * pause, SOON)
        self.clock.advance(STABLE)
        tried = len(self.dialed)
        channel.loseChannel()
        self.assertEqual(len(self.dialed), tried + 1)

    def test_aHopThatStartsAnewIsFoundSoon(self) -> None:
        """
        It says that it goes away, takes no other tunnel while the one there is goes on, and ends: the long pauses
        before are not those after.
        """
        self.clock.advance(STABLE)
        self.first.goAway()
        for _ in range(10):
            self.refuse()
            self.clock.advance(SOON)
        self.send(1)
        self.assertEqual(len(self.first.take()), 1)
        self.refuse()
        tried = len(self.dialed)
        self.first.loseChannel()
        self.assertEqual(len(self.dialed), tried + 1)
        self.refuse()
        self.clock.advance(FIRST)
        self.assertEqual(len(self.dialed), tried + 2)

    def test_whereTheNewOneCanNotBeHadTheOldOneGoesOn(self) -> None:
        """
        It is tried again.
        """
        self.uplink.open()
        self.refuse()
        self.send(1)
        self.assertEqual(len(self.first.take()), 1)
        self.clock.advance(FIRST)
        self.assertEqual(len(self.dialed), 3)

    def test_aTryThatIsOvertakenIsGivenUp(self) -> None:
        """
        It is cancelled; one that had come up already is ended.
        """
        self.uplink.open()
        given, dialing = self.dialed[-1]
        self.uplink.open()
        self.assertEqual(self.cancelled, [dialing])
        second = self.answer(assigned=False)
        self.uplink.open()
        self.assertTrue(second.closed)
        third = self.answer()
        self.send(1)
        self.assertEqual(len(third.take()), 1)
        self.assertIsNot(given, third.receiver)

    def test_closingEndsAllAndLeavesNoTimer(self) -> None:
        """
        The old ones too.
        """
        self.uplink.open()
        second = self.answer()
        self.uplink.open()
        self.dialed[-1][1].addErrback(lambda failure: None)
        self.uplink.close()
        self.switch.close()
        self.assertEqual((self.first.closed, second.closed), (True, True))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.uplink.open()
        self.assertEqual(len(self.dialed), 3)
