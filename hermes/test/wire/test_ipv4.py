"""
Tests for L{hermes.wire.ipv4}.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption, IPOption_LSRR, IPOption_SSRR
from scapy.layers.sctp import SCTP
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.wire.ippackets import Scapy, build, mend, ordinary, special, transports, v4Addresses
from hermes.wire.errors import MalformedError
from hermes.wire.ip import parse
from hermes.wire.ippacket import Packet
from hermes.wire.ipv4 import options, parseIPv4


def packet(**fields: Any) -> bytearray:
    """
    A UDP datagram with some fields of its IPv4 header set, right or wrong, and the checksum right.
    """
    data = bytearray(build(IP(src="1.2.3.4", dst="5.6.7.8", **fields) / UDP(sport=1, dport=2) / Raw(b"x" * 32)))
    mend(data)
    return data


def read(data: bytes | bytearray) -> Packet:
    return parseIPv4(data, 0)


class ParseTests(SynchronousTestCase):
    """
    Packets that are well-formed.
    """

    @given(special().filter(lambda each: IP in each))
    def test_everyFieldIsWhatScapySays(self, made: Scapy) -> None:
        data = build(made)
        again, found = IP(data), read(data)
        self.assertEqual(found.version, 4)
        self.assertEqual((str(found.source), str(found.destination)), (again.src, again.dst))
        self.assertEqual((found.ttl, found.dscp << 2 | found.ecn), (again.ttl, again.tos))
        self.assertEqual((found.totalLength, found.headerLength), (again.len, again.ihl * 4))
        self.assertEqual((found.identification, found.protocol), (again.id, again.proto))
        self.assertEqual((found.dontFragment, found.isFragment), ("DF" in again.flags, False))
        self.assertEqual(found.transportOffset, again.ihl * 4)
        self.assertEqual(found.extensions, ())
        for layer in (TCP, UDP, SCTP):
            if layer in made:
                self.assertEqual((found.sourcePort, found.destinationPort), (made[layer].sport, made[layer].dport))
        if ICMP in made:
            self.assertEqual((found.icmpType, found.icmpCode), (made[ICMP].type, made[ICMP].code))
            self.assertIsNone(found.sourcePort)
        else:
            self.assertIsNone(found.icmpType)

    @given(ordinary().filter(lambda each: IP in each), special().filter(lambda each: IP in each))
    def test_optionsDoNotMakeAnotherFlow(self, made: Scapy, other: Scapy) -> None:
        key = read(build(made)).key
        made[IP].options = other[IP].options
        self.assertEqual(read(build(made)).key, key)

    @given(
        v4Addresses,
        v4Addresses,
        st.sampled_from([6, 17, 47]),
        st.integers(0, 8000),
        st.booleans(),
        st.integers(3, 20),
        st.integers(0, 65535),
    )
    def test_fragmentsSayWhereTheyAre(
        self, source: object, destination: object, protocol: int, at: int, more: bool, size: int, identification: int
    ) -> None:
        if protocol == 6 and at == 1:
            at = 2
        made = IP(
            src=str(source),
            dst=str(destination),
            proto=protocol,
            frag=at,
            flags="MF" if more else "",
            id=identification,
        ) / Raw(bytes(size * 8))
        found = read(build(made))
        self.assertEqual((found.fragmentOffset, found.moreFragments), (at * 8, more))
        self.assertEqual(found.isFragment, more or at > 0)
        hasPorts = at == 0 and protocol != 47
        self.assertEqual(found.sourcePort is not None, hasPorts)
        self.assertEqual(len(found.key), 13 if hasPorts else 9)

    def test_allFragmentsOfAPacketHaveOneFragmentKey(self) -> None:
        made = [
            read(build(IP(src="1.2.3.4", dst="5.6.7.8", proto=protocol, id=n, frag=at, flags="MF") / Raw(bytes(64))))
            for protocol in (6, 17)
            for n in (0, 1, 65535)
            for at in (0, 8, 16)
        ]
        keys = [each.fragmentKey for each in made]
        self.assertEqual(len(set(keys)), 6)
        for at in range(0, len(keys), 3):
            self.assertEqual(len(set(keys[at : at + 3])), 1)
        self.assertFalse(set(keys) & {each.key for each in made})

    def test_paddingIsNoPartOfIt(self) -> None:
        data = packet()
        found = parse(bytes(10) + data + b"padding")
        self.assertEqual(found.totalLength, len(data))
        self.assertEqual(found, parse(bytes(10) + data))

    def test_theLargestPacketIsRead(self) -> None:
        data = build(IP(src="1.2.3.4", dst="5.6.7.8") / UDP() / Raw(bytes(65507)))
        self.assertEqual(read(data).totalLength, 65535)

    def test_theAddressesAreAddresses(self) -> None:
        found = read(packet())
        self.assertEqual((found.source, found.destination), (ip_address("1.2.3.4"), ip_address("5.6.7.8")))


class MalformedTests(SynchronousTestCase):
    """
    Packets that are not.
    """

    def assertRefused(self, data: bytes | bytearray, reason: str) -> None:
        for buffer in (data, memoryview(data)):
            error = self.assertRaises(MalformedError, parseIPv4, buffer, 0)
            self.assertIn(reason, str(error))

    @given(special().filter(lambda each: IP in each), st.data())
    def test_everyCutIsRefused(self, made: Scapy, data: st.DataObject) -> None:
        whole = build(made)
        size = data.draw(st.integers(0, len(whole) - 1))
        self.assertRaises(MalformedError, parseIPv4, whole[:size], 0)

    def test_anotherVersion(self) -> None:
        data = packet()
        data[0] = 0x55
        mend(data)
        self.assertRefused(data, "version 5")

    def test_aHeaderOfLessThanTwentyBytes(self) -> None:
        for words in range(5):
            data = packet()
            data[0] = 0x40 | words
            self.assertRefused(data, "header of")

    def test_aHeaderLongerThanThePacket(self) -> None:
        self.assertRefused(packet(ihl=15, len=44), "with a header of 60")

    def test_aLengthLessThanTheHeader(self) -> None:
        for length in (0, 1, 19):
            self.assertRefused(packet(len=length), f"packet of {length} bytes")

    def test_aLengthBeyondTheBuffer(self) -> None:
        self.assertRefused(packet(len=61), "was cut to 60")
        self.assertRefused(packet(len=65535), "was cut to 60")

    def test_aChangeOfAnyBitInTheHeader(self) -> None:
        for bit in range(160):
            data = packet()
            data[bit // 8] ^= 128 >> bit % 8
            self.assertRaises(MalformedError, parseIPv4, data, 0)

    def test_aWrongChecksum(self) -> None:
        data = packet()
        data[8] = 3
        self.assertRefused(data, "checksum")

    def test_aSourceRoute(self) -> None:
        for option in (IPOption_LSRR(routers=["9.9.9.9"]), IPOption_SSRR(routers=["9.9.9.9"])):
            self.assertRefused(packet(options=[option]), "source route")
            self.assertRefused(packet(options=[IPOption(b"\x94\x04\x00\x00"), option]), "source route")

    def test_anOptionThatDoesNotEndInTheHeader(self) -> None:
        for area in (b"\x94\x05ab", b"\x07\x00ab", b"\x07\x01ab", b"\x01\x01\x01\x07", b"\x83\xff\x04\x00"):
            data = packet(options=[IPOption(b"\x94\x04\x00\x00")])
            data[20:24] = area
            mend(data)
            self.assertRefused(data, "option")

    def test_whatIsBehindTheEndOfOptionsIsNoOption(self) -> None:
        data = packet(options=[IPOption(b"\x94\x04\x00\x00")])
        data[20:24] = b"\x00\x83\xff\xff"
        mend(data)
        self.assertEqual(read(data).headerLength, 24)
        self.assertEqual(options(b"\x01\x94\x04\x00\x00\x01\x00\x07"), [(0x94, b"\x94\x04\x00\x00")])

    def test_aFragmentThatIsNoMultipleOfEight(self) -> None:
        for size in (0, 7, 9, 65):
            data = build(IP(src="1.2.3.4", dst="5.6.7.8", proto=47, flags="MF") / Raw(bytes(size)))
            self.assertRefused(data, f"has {size} bytes")

    def test_aFragmentBeyondTheLargestPacket(self) -> None:
        data = build(IP(src="1.2.3.4", dst="5.6.7.8", proto=17, frag=8191) / Raw(bytes(8)))
        self.assertRefused(data, "beyond the largest packet")
        read(build(IP(src="1.2.3.4", dst="5.6.7.8", proto=17, frag=8191) / Raw(bytes(7))))

    def test_aFragmentWithinATCPHeader(self) -> None:
        self.assertRefused(build(IP(src="1.2.3.4", dst="5.6.7.8", proto=6, frag=1) / Raw(bytes(80))), "TCP header")

    def test_aFirstFragmentWithoutTheWholeTCPHeader(self) -> None:
        data = build(IP(src="1.2.3.4", dst="5.6.7.8", proto=6, flags="MF") / Raw(bytes(16)))
        self.assertRefused(data, "within the header")

    @given(st.data())
    def test_aTransportHeaderThatIsCut(self, data: st.DataObject) -> None:
        for kind, least in (("tcp", 20), ("udp", 8), ("sctp", 12), ("echo", 8)):
            made = data.draw(transports(4, (kind,)))
            size = data.draw(st.integers(0, least - 1))
            protocol = {"tcp": 6, "udp": 17, "sctp": 132, "echo": 1}[kind]
            whole = build(IP(src="1.2.3.4", dst="5.6.7.8", proto=protocol) / Raw(build(made)[:size]))
            self.assertRaises(MalformedError, parseIPv4, whole, 0)
