"""
Tests of L{hermes.ip.switch} and L{hermes.ip.refusals}.
"""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6PacketTooBig, ICMPv6TimeExceeded
from scapy.packet import Raw

from hermes.ip.refusals import Why
from hermes.test.ip.packets import frame, ping, read, rule, tcp, udp
from hermes.test.ip.switches import HERE, HERE6, Peer, SwitchCase


class ForwardingTests(SwitchCase):
    """
    What gets on.
    """

    def test_packetsGoWhereTheRouteSaysOneHopOlder(self) -> None:
        """
        With a checksum that is right, unchanged else; of both versions, in one batch, in order.
        """
        sent = [
            udp("10.0.0.2", "192.0.2.1", ttl=9),
            tcp("fd00::2", "2001:db8::1", hlim=9),
            udp("10.0.0.2", "192.0.2.1", ttl=7),
        ]
        wanted = [read(each) for each in sent]
        self.switch.forward(self.alice, sent)
        got = self.kernel.take()
        self.assertEqual([packet.ttl if IP in packet else packet.hlim for packet in got], [8, 8, 6])
        for packet, before in zip(got, wanted, strict=True):
            if IP in packet:
                checksum = packet.chksum
                del packet.chksum
                self.assertEqual(IP(bytes(packet)).chksum, checksum)
                before.ttl -= 1
                del before.chksum
            else:
                before.hlim -= 1
            self.assertEqual(bytes(packet), bytes(before))
        self.assertEqual((self.alice.packetsIn, self.lan.packetsOut), (3, 3))

    def test_answersComeBackWithoutARoute(self) -> None:
        """
        To whoever asked; what answers nothing does not.
        """
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1", 1000, 53)])
        self.switch.forward(self.lan, [udp("192.0.2.1", "10.0.0.2", 53, 1000), udp("192.0.2.1", "10.0.0.2", 54, 1000)])
        self.assertEqual([packet[UDP].sport for packet in self.alice.link.take()], [53])
        self.assertEqual(self.counted(Why.NO_ROUTE), 1)

    def test_anEchoIsAnswered(self) -> None:
        """
        By its identifier.
        """
        self.switch.forward(self.alice, [ping("10.0.0.2", "192.0.2.1")])
        self.switch.forward(self.lan, [frame(IP(src="192.0.2.1", dst="10.0.0.2") / ICMP(type=0, id=7))])
        self.switch.forward(self.lan, [frame(IP(src="192.0.2.1", dst="10.0.0.2") / ICMP(type=0, id=8))])
        self.assertEqual([packet[ICMP].id for packet in self.alice.link.take()], [7])

    def test_errorsAboutWhatWasSentComeBack(self) -> None:
        """
        From any router; not those about what was never sent.
        """
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1", 1000, 53)])
        quoted = IP(bytes(self.kernel.take()[0]))
        outer = IP(src="198.51.100.7", dst="10.0.0.2")
        self.switch.forward(self.lan, [frame(outer / ICMP(type=3, code=4, nexthopmtu=1300) / quoted)])
        other = IP(src="10.0.0.2", dst="192.0.2.1") / UDP(sport=1001, dport=53) / Raw(b"x" * 8)
        self.switch.forward(self.lan, [frame(outer / ICMP(type=3, code=4) / other)])
        got = self.alice.link.take()
        self.assertEqual([(packet.src, packet[ICMP].nexthopmtu) for packet in got], [("198.51.100.7", 1300)])

    def test_whoeverHasTheAddressGetsThePacket(self) -> None:
        """
        A tunnel, by its address; the only device, for what is nobody's; nobody, for one that nobody has now.
        """
        self.start(rule([], users=["alice"]))
        self.switch.forward(
            self.alice, [udp("10.0.0.2", "10.0.0.3"), udp("10.0.0.2", "10.0.0.77"), udp("10.0.0.2", "8.8.8.8")]
        )
        self.assertEqual([packet.dst for packet in self.bob.link.take()], ["10.0.0.3"])
        self.assertEqual([packet.dst for packet in self.kernel.take()], ["8.8.8.8"])
        self.assertEqual(self.alice.link.take()[0][ICMP].type, 3)
        # He comes later.
        carol = Peer(self.switch, "carol", "10.0.0.77")
        self.switch.forward(self.alice, [udp("10.0.0.2", "10.0.0.77")])
        self.assertEqual(len(carol.link.take()), 1)

    def test_whoComesBackGoesOnWhereItWas(self) -> None:
        """
        Answers find the new tunnel of the same one, and not that of another who has the address now.
        """
        for successor, found in (("alice", 1), ("mallory", 0)):
            self.start(rule([], users=["alice"]))
            self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1", 1000, 53)])
            self.switch.removePort(self.alice)
            again = Peer(self.switch, successor, "10.0.0.2")
            self.switch.forward(self.lan, [udp("192.0.2.1", "10.0.0.2", 53, 1000)])
            self.assertEqual(len(again.link.take()), found)

    def test_segmentsThatAreStillToBeCutCrossWhole(self) -> None:
        """
        They are longer than the MTU, and what they become is not.
        """
        packet = IP(src="10.0.0.2", dst="192.0.2.1", flags="DF") / TCP(sport=1, dport=80, flags="A") / Raw(b"x" * 9000)
        head = bytes((1, 1, 40, 0, 1000 & 255, 1000 >> 8, 20, 0, 16, 0))
        self.switch.forward(self.alice, [bytearray(head + bytes(packet))])
        self.assertEqual(self.kernel.written[0][:10], head)
        self.assertEqual(len(self.kernel.written[0]), 10 + len(packet))

    def test_whatLiesBehindThePacketIsNotSentOn(self) -> None:
        """
        A link may have padded it.
        """
        padded = bytearray(udp("10.0.0.2", "192.0.2.1") + b"secret")
        self.switch.forward(self.alice, [padded])
        self.assertEqual(len(self.kernel.written[0]), len(padded) - 6)


class RefusingTests(SwitchCase):
    """
    What does not.
    """

    def test_whoIsNotAllowedIsTold(self) -> None:
        """
        Administratively prohibited, from an address of the node.
        """
        self.switch.forward(self.bob, [udp("10.0.0.3", "192.0.2.1")])
        (answer,) = self.bob.link.take()
        self.assertEqual((answer.src, answer.dst, answer[ICMP].type, answer[ICMP].code), (str(HERE), "10.0.0.3", 3, 13))
        self.assertEqual(self.kernel.take(), [])

    def test_aSilentRouteTellsNobody(self) -> None:
        """
        It is counted.
        """
        self.start(rule([], deny="go away", silent=True))
        self.switch.forward(self.bob, [udp("10.0.0.3", "192.0.2.1")] * 2)
        self.assertEqual((self.bob.link.take(), self.counted(Why.REFUSED)), ([], 2))

    def test_aSourceThatIsNotTheSendersIsDropped(self) -> None:
        """
        Whatever it asks for, nobody is told, for nobody knows whom (BCP 38). From the kernel nobody's own address comes
        that is in a tunnel.
        """
        self.switch.forward(
            self.alice, [udp("10.0.0.3", "192.0.2.1"), tcp("192.0.2.9", "192.0.2.1"), udp("fd00::9", "2001:db8::1")]
        )
        self.switch.forward(self.lan, [udp("10.0.0.2", "10.0.0.3")])
        self.assertEqual(self.counted(Why.SPOOFED), 4)
        self.assertEqual(self.kernel.take() + self.alice.link.take() + self.bob.link.take(), [])

    def test_whatHasComeTooFarIsDropped(self) -> None:
        """
        Time exceeded; of both versions.
        """
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1", ttl=1), udp("fd00::2", "2001:db8::1", hlim=1)])
        four, six = self.alice.link.take()
        self.assertEqual((four[ICMP].type, four.src), (11, str(HERE)))
        self.assertEqual((six[ICMPv6TimeExceeded].code, six.src), (0, str(HERE6)))

    def test_whatIsTooLongIsToldOrCut(self) -> None:
        """
        Told how much fits, where it may not be cut: with DF, and in IPv6. Else cut.
        """
        self.kernel.mtu = 1280
        self.lan.mtuChanged(1280)
        self.switch.forward(
            self.alice,
            [
                udp("10.0.0.2", "192.0.2.1", size=1400, flags="DF"),
                udp("fd00::2", "2001:db8::1", size=1400),
                udp("10.0.0.2", "192.0.2.1", size=1400, id=77),
            ],
        )
        four, six = self.alice.link.take()
        self.assertEqual((four[ICMP].type, four[ICMP].code, four[ICMP].nexthopmtu), (3, 4, 1280))
        self.assertEqual(six[ICMPv6PacketTooBig].mtu, 1280)
        pieces = self.kernel.take()
        self.assertEqual(
            [(packet.id, packet.frag, int(packet.flags)) for packet in pieces], [(77, 0, 1), (77, pieces[1].frag, 0)]
        )
        self.assertTrue(all(len(packet) <= 1280 for packet in pieces))
        self.assertEqual(pieces[0].frag * 8 + sum(len(packet[IP].payload) for packet in pieces), 1408)

    def test_segmentsThatBecomeTooLongAreTold(self) -> None:
        """
        The sender's kernel makes smaller ones then.
        """
        self.lan.mtuChanged(1280)
        packet = IP(src="10.0.0.2", dst="192.0.2.1", flags="DF") / TCP(sport=1, dport=80, flags="A") / Raw(b"x" * 9000)
        head = bytes((1, 1, 40, 0, 1400 & 255, 1400 >> 8, 20, 0, 16, 0))
        self.switch.forward(self.alice, [bytearray(head + bytes(packet))])
        self.assertEqual(self.alice.link.take()[0][ICMP].nexthopmtu, 1280)
        self.assertEqual(self.kernel.written, [])

    def test_thereAreNotTooManyErrors(self) -> None:
        """
        Each port has a hundred a second; what comes beyond is counted.
        """
        self.switch.forward(self.bob, [udp("10.0.0.3", "192.0.2.1", port + 1) for port in range(300)])
        self.assertEqual((len(self.bob.link.take()), self.switch.refusals.unanswered), (100, 200))
        self.clock.advance(0.5)
        self.switch.forward(self.bob, [udp("10.0.0.3", "192.0.2.1", port + 1) for port in range(300)])
        self.assertEqual(len(self.bob.link.take()), 50)
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1", ttl=1)])
        self.assertEqual(len(self.alice.link.take()), 1)

    def test_errorsAreNotAnsweredWithErrors(self) -> None:
        """
        Nor are later fragments.
        """
        error = IP(src="10.0.0.3", dst="192.0.2.1") / ICMP(type=3, code=1) / IP(src="192.0.2.1", dst="10.0.0.3") / UDP()
        parts = fragment(IP(src="10.0.0.3", dst="192.0.2.1", id=5) / UDP(dport=5) / Raw(b"x" * 3000), 1000)
        self.switch.forward(self.bob, [frame(error), frame(parts[1]), frame(parts[2])])
        self.assertEqual(self.bob.link.take(), [])

    def test_whatIsNoPacketIsDroppedAndTheOthersGoOn(self) -> None:
        """
        Truncated, of another version, with wrong lengths or checksum; what no router forwards.
        """
        good = udp("10.0.0.2", "192.0.2.1")
        wrong = bytearray(good)
        wrong[20] ^= 0xFF
        short = good[:-3]
        nothing = bytearray(10)
        version = bytearray(good)
        version[10] = 0x75
        header = bytearray(good)
        header[10] = 0x41
        self.switch.forward(self.alice, [wrong, short, nothing, bytearray(11), version, header, good])
        self.assertEqual((len(self.kernel.take()), self.counted(Why.MALFORMED)), (1, 6))
        odd = ["224.0.0.1", "255.255.255.255", "169.254.1.1", "127.0.0.1", "0.0.0.0"]
        self.switch.forward(self.alice, [udp("10.0.0.2", each) for each in odd] + [udp("fd00::2", "ff02::1")])
        self.switch.forward(self.lan, [udp("fe80::1", "2001:db8::1")])
        self.assertEqual((self.kernel.take(), self.counted(Why.NOT_FORWARDED)), ([], 7))

    def test_aPortThatIsDownIsUnreachable(self) -> None:
        """
        The sender is told.
        """
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1")])
        self.kernel.loseChannel()
        self.switch.forward(self.alice, [udp("10.0.0.2", "192.0.2.1")])
        self.assertEqual([(packet[ICMP].type, packet[ICMP].code) for packet in self.alice.link.take()], [(3, 1)])
