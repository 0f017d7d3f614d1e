"""
Tests for L{hermes.wire.ipv6}.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (
    HBHOptUnknown,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6Unknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Jumbo,
    Pad1,
    PadN,
)
from scapy.layers.ipsec import AH, ESP
from scapy.layers.sctp import SCTP
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.wire.ippackets import Scapy, build, ordinary, special
from hermes.wire.errors import MalformedError
from hermes.wire.ip import flowKey, parse
from hermes.wire.ippacket import Packet
from hermes.wire.ipv6 import MAX_EXTENSIONS, MAX_OPTIONS, parseIPv6

EXTENSIONS = {
    0: IPv6ExtHdrHopByHop,
    43: IPv6ExtHdrRouting,
    44: IPv6ExtHdrFragment,
    51: AH,
    60: IPv6ExtHdrDestOpt,
}


def ipv6(**fields: Any) -> Scapy:
    return IPv6(src="fd00::1", dst="fd00::2", **fields)


def datagram() -> Scapy:
    return UDP(sport=1, dport=2) / Raw(b"x" * 32)


def read(data: Scapy | bytes | bytearray) -> Packet:
    return parseIPv6(data if isinstance(data, (bytes, bytearray)) else build(data), 0)


class ParseTests(SynchronousTestCase):
    """
    Packets that are well-formed.
    """

    @given(special().filter(lambda each: IPv6 in each))
    def test_everyFieldIsWhatScapySays(self, made: Scapy) -> None:
        data = build(made)
        again, found = IPv6(data), read(data)
        self.assertEqual(found.version, 6)
        self.assertEqual((found.source, found.destination), (ip_address(again.src), ip_address(again.dst)))
        self.assertEqual((found.ttl, found.dscp << 2 | found.ecn), (again.hlim, again.tc))
        self.assertEqual((found.totalLength, found.headerLength), (again.plen + 40, 40))
        self.assertEqual((found.dontFragment, found.isFragment), (True, False))
        chain, layer = [], made[IPv6].payload
        while type(layer) in EXTENSIONS.values():
            chain += [number for number, kind in EXTENSIONS.items() if kind is type(layer)]
            layer = layer.payload
        self.assertEqual(found.extensions, tuple(chain))
        self.assertEqual(found.transportOffset, len(data) - len(build(layer)))
        kind: Scapy
        for kind, number in ((TCP, 6), (UDP, 17), (SCTP, 132)):
            if kind in made:
                self.assertEqual(found.protocol, number)
                self.assertEqual((found.sourcePort, found.destinationPort), (made[kind].sport, made[kind].dport))
        for kind in (ICMPv6EchoRequest, ICMPv6EchoReply):
            if kind in made:
                self.assertEqual((found.protocol, found.icmpType, found.icmpCode), (58, made[kind].type, 0))
        if IPv6ExtHdrFragment in made:
            self.assertEqual(found.identification, made[IPv6ExtHdrFragment].id)

    @given(ordinary().filter(lambda each: IPv6 in each))
    def test_extensionsDoNotMakeAnotherFlow(self, made: Scapy) -> None:
        key = read(made).key
        upper = made[IPv6].payload
        made[IPv6].remove_payload()
        self.assertEqual(read(made / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment() / upper).key, key)

    def test_fragmentsSayWhereTheyAre(self) -> None:
        for at, more, size in ((0, 1, 64), (8, 1, 64), (9, 0, 63), (4000, 0, 1)):
            fragment = ipv6() / IPv6ExtHdrFragment(nh=17, offset=at, m=more, id=0xDEADBEEF) / Raw(bytes(size))
            found = read(fragment)
            self.assertEqual((found.fragmentOffset, found.moreFragments), (at * 8, bool(more)))
            self.assertEqual((found.identification, found.protocol, found.isFragment), (0xDEADBEEF, 17, True))
            self.assertEqual((found.sourcePort is None, len(found.key)), (at > 0, 33 if at else 37))
            self.assertIsNone(flowKey(build(fragment), 0))

    def test_allFragmentsOfAPacketHaveOneFragmentKey(self) -> None:
        made = [
            read(ipv6() / IPv6ExtHdrFragment(nh=17, offset=at, m=1, id=n) / Raw(bytes(64)))
            for n in (0, 1, 0xFFFFFFFF)
            for at in (0, 8, 16)
        ]
        keys = [each.fragmentKey for each in made]
        self.assertEqual(len(set(keys)), 3)
        for at in range(0, len(keys), 3):
            self.assertEqual(len(set(keys[at : at + 3])), 1)
        self.assertFalse(set(keys) & {each.key for each in made})

    def test_whatIsBehindALaterFragmentsHeaderIsNotRead(self) -> None:
        found = read(ipv6() / IPv6ExtHdrFragment(nh=60, offset=8) / Raw(b"\xff" * 20))
        self.assertEqual((found.protocol, found.extensions, found.transportOffset), (60, (44,), 48))

    def test_encryptedPayloadIsTheUpperLayer(self) -> None:
        found = read(ipv6() / IPv6ExtHdrDestOpt() / ESP(spi=1, seq=1, data=b"x" * 40))
        self.assertEqual((found.protocol, found.extensions, len(found.key)), (50, (60,), 33))

    def test_noNextHeaderIsTheUpperLayer(self) -> None:
        self.assertEqual(read(ipv6(nh=59) / Raw(b"")).protocol, 59)

    def test_paddingIsNoPartOfIt(self) -> None:
        data = build(ipv6() / datagram())
        self.assertEqual(parse(bytes(10) + data + b"padding"), parse(bytes(10) + data))
        self.assertEqual(parse(data + b"padding", 0).totalLength, len(data))

    def test_aRoutingHeaderThatHasDoneItsWorkPasses(self) -> None:
        self.assertEqual(read(ipv6() / IPv6ExtHdrRouting(segleft=0, addresses=["fd00::9"]) / datagram()).protocol, 17)

    def test_theLargestPacketIsRead(self) -> None:
        data = build(ipv6() / UDP() / Raw(bytes(65535 - 48)))
        self.assertEqual(read(data).totalLength, 65535)
        self.assertIsNotNone(flowKey(data, 0))


class MalformedTests(SynchronousTestCase):
    """
    Packets that are not.
    """

    def assertRefused(self, made: Scapy | bytes | bytearray, reason: str) -> None:
        data = made if isinstance(made, (bytes, bytearray)) else build(made)
        self.assertIsNone(flowKey(data, 0))
        for buffer in (data, memoryview(data)):
            error = self.assertRaises(MalformedError, parseIPv6, buffer, 0)
            self.assertIn(reason, str(error))

    @given(special().filter(lambda each: IPv6 in each), st.data())
    def test_everyCutIsRefused(self, made: Scapy, data: st.DataObject) -> None:
        whole = build(made)
        size = data.draw(st.integers(0, len(whole) - 1))
        self.assertRefused(whole[:size], "")

    def test_everyShortenedPayloadIsRefused(self) -> None:
        # The length says so too: the chain ends too early.
        chain = (
            IPv6ExtHdrHopByHop()
            / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))])
            / AH(payloadlen=4, icv=b"x" * 12)
        )
        whole = build(ipv6() / chain / UDP(sport=1, dport=2))
        for size in range(40, len(whole)):
            data = bytearray(whole[:size])
            data[4:6] = (size - 40).to_bytes(2, "big")
            self.assertRefused(data, "ends within")

    def test_anotherVersion(self) -> None:
        data = bytearray(build(ipv6() / datagram()))
        data[0] = 0x50
        self.assertRefused(data, "version 5")

    def test_aLengthBeyondTheBuffer(self) -> None:
        self.assertRefused(ipv6(plen=41) / datagram(), "was cut to 80")

    def test_aPacketLargerThanAnyDeviceCarries(self) -> None:
        self.assertRefused(ipv6(nh=17) / Raw(bytes(65496)), "packet of 65536 bytes")

    def test_aJumbogram(self) -> None:
        jumbo = IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=70000)])
        self.assertRefused(ipv6(plen=0) / jumbo / datagram(), "ends within")
        self.assertRefused(ipv6() / jumbo / datagram(), "jumbogram")
        self.assertRefused(ipv6() / IPv6ExtHdrHopByHop(options=[Pad1(), Pad1(), *jumbo.options]) / UDP(), "jumbogram")

    def test_hopByHopOptionsThatAreNotFirst(self) -> None:
        self.assertRefused(ipv6() / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / datagram(), "not the first")
        self.assertRefused(ipv6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrHopByHop() / datagram(), "not the first")

    def test_aSourceRoute(self) -> None:
        for left in (1, 2, 255):
            route = IPv6ExtHdrRouting(type=0, segleft=left, addresses=["fd00::9", "fd00::8"])
            self.assertRefused(ipv6() / route / datagram(), "source route")

    def test_moreExtensionHeadersThanAnybodyNeeds(self) -> None:
        made = ipv6()
        for _ in range(MAX_EXTENSIONS):
            made /= IPv6ExtHdrDestOpt()
        self.assertEqual(read(made / datagram()).protocol, 17)
        self.assertRefused(made / IPv6ExtHdrDestOpt() / datagram(), f"more than {MAX_EXTENSIONS}")

    def test_moreOptionsThanAnybodyNeeds(self) -> None:
        header = bytes((17, 4)) + bytes(38)
        self.assertRefused(ipv6(nh=60) / Raw(header) / datagram(), f"more than {MAX_OPTIONS} options")
        header = bytes((17, 3)) + bytes(30)
        self.assertEqual(read(ipv6(nh=60) / Raw(header) / Raw(build(datagram()))).protocol, 17)

    def test_anOptionThatDoesNotEndInItsHeader(self) -> None:
        for area in (b"\x01\x05abcd", b"\x1e\xffabcd", b"\x01\x03abc\x1e", b"\x00\x00\x00\x00\x00\x01"):
            for header in (60, 0):
                self.assertRefused(ipv6(nh=header) / Raw(b"\x11\x00" + area) / datagram(), "option")

    def test_twoFragmentHeaders(self) -> None:
        self.assertRefused(ipv6() / IPv6ExtHdrFragment() / IPv6ExtHdrFragment() / datagram(), "two fragment headers")

    def test_aFragmentThatIsNoMultipleOfEight(self) -> None:
        for size in (0, 7, 9, 65):
            fragment = ipv6() / IPv6ExtHdrFragment(nh=17, m=1) / Raw(bytes(size))
            self.assertRefused(fragment, f"has {size} bytes")

    def test_aFragmentBeyondTheLargestPacket(self) -> None:
        self.assertRefused(ipv6() / IPv6ExtHdrFragment(nh=17, offset=8191) / Raw(bytes(8)), "beyond the largest packet")

    def test_aFragmentWithinATCPHeader(self) -> None:
        self.assertRefused(ipv6() / IPv6ExtHdrFragment(nh=6, offset=1) / Raw(bytes(80)), "within a TCP header")

    def test_aFirstFragmentWithoutTheWholeChain(self) -> None:
        options = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1E, optdata=bytes(36))])
        whole = build(IPv6() / options / datagram())[40:]
        self.assertRefused(ipv6() / IPv6ExtHdrFragment(nh=60, m=1) / Raw(whole[:32]), "ends within")
        self.assertRefused(ipv6() / IPv6ExtHdrFragment(nh=6, m=1) / Raw(bytes(16)), "ends within")

    def test_anAuthenticationHeaderOfNoSizeThatIsOne(self) -> None:
        for length in (0, 1, 3, 255):
            header = bytes((17, length)) + bytes(30)
            self.assertRefused(ipv6(nh=51) / Raw(header) / datagram(), "authentication header" if length < 255 else "")

    def test_anICMPMessageThatIsCut(self) -> None:
        for size in range(8):
            self.assertRefused(ipv6(nh=58) / Raw(b"\x80" * size), "less than eight")
        self.assertEqual(read(ipv6() / ICMPv6Unknown(type=200, msgbody=b"abcd")).icmpType, 200)
