"""
Tests of L{hermes.ip.deciding} and L{hermes.ip.ways}: fragments, and routes that change.
"""

from __future__ import annotations

from scapy.layers.inet import IP, UDP, fragment
from scapy.packet import Raw

from hermes.ip.switch import TURN
from hermes.ip.table import PacketTable
from hermes.ip.ways import MAX_WAYS
from hermes.test.ip.packets import device, frame, rule, udp
from hermes.test.ip.switches import SwitchCase


class FragmentTests(SwitchCase):
    """
    Packets in parts.
    """

    def test_partsFollowTheFirst(self) -> None:
        """
        A route that names a port takes all of them; without the first, none.
        """
        self.start(rule(["192.0.2.1:53"], users=["alice"]))
        parts = fragment(IP(src="10.0.0.2", dst="192.0.2.1", id=5) / UDP(sport=9, dport=53) / Raw(b"x" * 3000), 1000)
        self.switch.forward(self.alice, [frame(part) for part in parts])
        self.assertEqual([packet.frag for packet in self.kernel.take()], [part.frag for part in parts])
        late = fragment(IP(src="10.0.0.2", dst="192.0.2.1", id=6) / UDP(sport=9, dport=53) / Raw(b"x" * 3000), 1000)
        self.switch.forward(self.alice, [frame(late[1])])
        self.assertEqual((self.kernel.take(), self.alice.link.take()), ([], []))

    def test_anAnswerInPartsComesBack(self) -> None:
        """
        Though no route takes it.
        """
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1", 1000, 53)])
        parts = fragment(IP(src="192.0.2.1", dst="10.0.0.2", id=5) / UDP(sport=53, dport=1000) / Raw(b"x" * 3000), 1000)
        self.switch.forward(self.lan, [frame(part) for part in parts])
        self.assertEqual(len(self.alice.link.take()), len(parts))


class ChangingTests(SwitchCase):
    """
    Routes that change while packets flow.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start(rule(["192.0.2.0/24"], users=["alice"], to="lan"))
        self.other, self.otherKernel = device(self.switch, "other")

    def test_theNextPacketGoesTheNewWayAndAnswersOnTheOldOneStillCome(self) -> None:
        """
        What was on its way when the routes changed arrives.
        """
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1")])
        self.switch.swap(PacketTable((rule(["192.0.2.0/24"], users=["alice"], to="other"),)))
        for _ in range(2):
            self.switch.forward(self.lan, [udp("192.0.2.1", "10.0.0.2", 2000, 1000)])
            self.assertEqual(len(self.alice.link.take()), 1)
            self.clock.advance(0)
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual((len(self.kernel.take()), len(self.otherKernel.take())), (1, 1))
        self.switch.forward(self.other, [udp("192.0.2.1", "10.0.0.2", 2000, 1000)])
        self.assertEqual(len(self.alice.link.take()), 1)

    def test_whatIsRefusedNowIsNotAnsweredAnyMore(self) -> None:
        """
        Also where its sender is silent; other flows go on.
        """
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1"), udp("10.0.0.2", "192.0.2.2")])
        self.switch.swap(PacketTable((rule(["192.0.2.2"], users=["alice"], to="lan"),)))
        self.clock.advance(0)
        self.switch.forward(
            self.lan, [udp("192.0.2.1", "10.0.0.2", 2000, 1000), udp("192.0.2.2", "10.0.0.2", 2000, 1000)]
        )
        self.assertEqual([packet.src for packet in self.alice.link.take()], ["192.0.2.2"])

    def test_whatWasRefusedMayBeAllowed(self) -> None:
        """
        With its next packet.
        """
        self.switch.forward(self.bob, [udp("10.0.0.3", "192.0.2.1")])
        self.switch.swap(PacketTable((rule(["192.0.2.0/24"], to="lan"),)))
        self.switch.forward(self.bob, [udp("10.0.0.3", "192.0.2.1")])
        self.assertEqual(len(self.kernel.take()), 1)

    def test_anIdleWayIsForgotten(self) -> None:
        """
        One that is used is not, also where many others come.
        """
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1", 1), udp("10.0.0.2", "192.0.2.1", 2)])
        for _ in range(3):
            self.clock.advance(TURN)
            self.switch.forward(self.lan, [udp("192.0.2.1", "10.0.0.2", 2000, 1)])
        self.switch.forward(self.lan, [udp("192.0.2.1", "10.0.0.2", 2000, 2)])
        self.assertEqual([packet[UDP].dport for packet in self.alice.link.take()], [1, 1, 1])

    def test_aScanDoesNotGrowMemoryNorCutWhatIsInUse(self) -> None:
        """
        Ways are bounded.
        """
        template = udp("10.0.0.2", "192.0.2.1", 1)
        used = udp("10.0.0.2", "192.0.2.1", 9, 9)
        for block in range(0, 3 * MAX_WAYS, 8192):
            frames = []
            for number in range(block, block + 8192):
                each = bytearray(template)
                each[30:34] = number.to_bytes(4, "big")
                frames.append(each)
            self.switch.forward(self.alice, [bytearray(used), *frames])
        self.assertLessEqual(len(self.alice.ways), 2 * MAX_WAYS)
        self.assertLessEqual(len(self.lan.ways), 2 * MAX_WAYS)
        self.kernel.written.clear()
        self.switch.forward(self.lan, [udp("192.0.2.1", "10.0.0.2", 9, 9)])
        self.assertEqual(len(self.alice.link.take()), 1)

    def test_aDeviceThatGoesLeavesNothingBehind(self) -> None:
        """
        Its packets go to the one that is left, where the route says whoever has the address.
        """
        self.switch.swap(PacketTable((rule([], users=["alice"]),)))
        self.switch.removePort(self.other)
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual(len(self.kernel.take()), 1)
        self.switch.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
