"""
Tests for L{hermes.wire.ip}: which packets there are, and of which flow. What is wrong with one of IPv4 or IPv6 is in
C{test_ipv4} and C{test_ipv6}.
"""

from __future__ import annotations

import contextlib
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.wire.ippackets import Scapy, build, mangled, ordinary, ports, special
from hermes.wire.checksum import checksum
from hermes.wire.errors import MalformedError
from hermes.wire.ip import FlowKey, decrementTTL, flowKey, parse, parseKey, reverseKey

HEAD = bytes(10)


def expectedKey(packet: Scapy) -> FlowKey:
    """
    What scapy says of the flow of a packet.
    """
    ip = packet[IP] if IP in packet else packet[IPv6]
    source, destination = ip_address(ip.src), ip_address(ip.dst)
    for layer in (TCP, UDP):
        if layer in packet:
            number = 6 if layer is TCP else 17
            return FlowKey(ip.version, source, destination, number, packet[layer].sport, packet[layer].dport)
    if ICMP in packet:
        echo = packet[ICMP]
        number = 1
    else:
        echo = packet[ICMPv6EchoRequest] if ICMPv6EchoRequest in packet else packet[ICMPv6EchoReply]
        number = 58
    return FlowKey(
        ip.version,
        source,
        destination,
        number,
        icmpType=echo.type,
        icmpCode=echo.code,
        identifier=echo.id,
    )


class FlowKeyTests(SynchronousTestCase):
    """
    The hot path.
    """

    @given(ordinary())
    def test_anOrdinaryPacketHasAKeyThatSaysWhatScapySays(self, packet: Scapy) -> None:
        key = flowKey(HEAD + build(packet))
        assert key is not None
        self.assertEqual(len(key), 13 if IP in packet else 37)
        self.assertEqual(parseKey(key), expectedKey(packet))

    @given(ordinary(), st.integers(0, 30))
    def test_anyBufferAtAnyOffsetWillDo(self, packet: Scapy, at: int) -> None:
        frame = bytes(at) + build(packet)
        key = flowKey(frame, at)
        self.assertEqual(type(key), bytes)
        self.assertEqual(flowKey(bytearray(frame), at), key)
        self.assertEqual(flowKey(memoryview(frame), at), key)

    @given(ordinary())
    def test_theParserSaysTheSame(self, packet: Scapy) -> None:
        frame = HEAD + build(packet)
        self.assertEqual(parse(frame).key, flowKey(frame))

    @given(mangled())
    def test_itTakesNothingThatTheParserRefuses(self, data: bytes) -> None:
        key = flowKey(HEAD + data)
        if key is not None:
            packet = parse(HEAD + data)
            self.assertEqual(packet.key, key)
            self.assertEqual(packet.totalLength, len(data))
            self.assertFalse(packet.isFragment)

    @given(st.binary(max_size=100), st.sampled_from([b"", b"\x45", b"\x60", b"\x46"]), st.integers(0, 20))
    def test_anyBytesHaveAKeyOrNone(self, data: bytes, head: bytes, at: int) -> None:
        for buffer in (head + data, memoryview(head + data)):
            key = flowKey(buffer, at)
            self.assertTrue(key is None or parse(buffer, at).key == key)

    def test_whatIsCutOrPaddedIsNotOrdinary(self) -> None:
        heads: tuple[Scapy, ...] = (IP(src="1.2.3.4", dst="5.6.7.8"), IPv6(src="fd00::1", dst="fd00::2"))
        for head in heads:
            data = build(head / UDP() / Raw(b"x" * 30))
            self.assertIsNotNone(flowKey(data, 0))
            self.assertIsNone(flowKey(data + b"\x00", 0))
            for size in range(len(data)):
                self.assertIsNone(flowKey(data[:size], 0))

    def test_aFragmentIsNotOrdinary(self) -> None:
        for fields in ({"flags": "MF"}, {"frag": 1}, {"frag": 8000}, {"flags": "MF", "frag": 5}):
            data = build(IP(src="1.2.3.4", dst="5.6.7.8", proto=17, **fields) / Raw(bytes(64)))
            self.assertIsNone(flowKey(data, 0))

    def test_aWrongChecksumIsNotOrdinary(self) -> None:
        data = bytearray(build(IP(src="1.2.3.4", dst="5.6.7.8") / UDP()))
        data[10] ^= 1
        self.assertIsNone(flowKey(data, 0))

    def test_aPacketThatEndsWithinItsTransportHeaderIsNotOrdinary(self) -> None:
        short: Scapy
        for protocol, size in ((6, 20), (17, 8), (1, 8)):
            short = IP(src="1.2.3.4", dst="5.6.7.8", proto=protocol) / Raw(b"\x08" + bytes(size - 2))
            self.assertIsNone(flowKey(build(short), 0))
            self.assertIsNotNone(flowKey(build(short / Raw(b"\x00")), 0))
        for protocol, size in ((6, 20), (17, 8), (58, 8)):
            short = IPv6(src="fd00::1", dst="fd00::2", nh=protocol) / Raw(b"\x80" + bytes(size - 2))
            self.assertIsNone(flowKey(build(short), 0))
            self.assertIsNotNone(flowKey(build(short / Raw(b"\x00")), 0))


class ReverseTests(SynchronousTestCase):
    """
    The flow that answers.
    """

    @given(ordinary())
    def test_itIsTheKeyOfTheAnswer(self, packet: Scapy) -> None:
        key = flowKey(build(packet), 0)
        assert key is not None
        ip = packet[IP] if IP in packet else packet[IPv6]
        ip.src, ip.dst = ip.dst, ip.src
        layer: Scapy
        for layer in (TCP, UDP):
            if layer in packet:
                packet[layer].sport, packet[layer].dport = packet[layer].dport, packet[layer].sport
        for layer, request, reply in ((ICMP, 8, 0), (ICMPv6EchoRequest, 128, 129), (ICMPv6EchoReply, 128, 129)):
            if layer in packet:
                packet[layer].type = request if packet[layer].type == reply else reply
        self.assertEqual(flowKey(build(packet), 0), reverseKey(key))

    @given(special())
    def test_theReverseOfTheReverseIsTheSame(self, packet: Scapy) -> None:
        key = parse(build(packet), 0).key
        self.assertEqual(reverseKey(reverseKey(key)), key)

    def test_withoutPortsOnlyTheAddressesAreExchanged(self) -> None:
        key = parse(build(IP(src="1.2.3.4", dst="5.6.7.8", proto=47) / Raw(b"x")), 0).key
        self.assertEqual(len(key), 9)
        self.assertEqual(parseKey(reverseKey(key)), FlowKey(4, ip_address("5.6.7.8"), ip_address("1.2.3.4"), 47))
        key = parse(build(IPv6(src="fd00::1", dst="fd00::2", nh=47) / Raw(b"x")), 0).key
        self.assertEqual(len(key), 33)
        self.assertEqual(parseKey(reverseKey(key)), FlowKey(6, ip_address("fd00::2"), ip_address("fd00::1"), 47))

    def test_anICMPErrorIsNotAnswered(self) -> None:
        key = parse(build(IP(src="1.2.3.4", dst="5.6.7.8") / ICMP(type=3, code=1) / Raw(bytes(28))), 0).key
        expected = FlowKey(4, ip_address("5.6.7.8"), ip_address("1.2.3.4"), 1, icmpType=3, icmpCode=1, identifier=0)
        self.assertEqual(parseKey(reverseKey(key)), expected)

    def test_whatIsNoKeyIsRefused(self) -> None:
        for size in set(range(50)) - {9, 13, 33, 37}:
            self.assertRaises(ValueError, reverseKey, bytes(size))
            self.assertRaises(ValueError, parseKey, bytes(size))


class ParseTests(SynchronousTestCase):
    """
    What holds for both versions.
    """

    @given(mangled(), st.integers(0, 12))
    def test_whateverTheBytesAreOnlyMalformedErrorIsRaised(self, data: bytes, at: int) -> None:
        for buffer in (bytes(at) + data, memoryview(bytes(at) + data)):
            try:
                packet = parse(buffer, at)
            except MalformedError:
                continue
            self.assertLessEqual(packet.headerLength, packet.transportOffset)
            self.assertLessEqual(packet.transportOffset, packet.totalLength)
            self.assertLessEqual(packet.totalLength, len(data))
            self.assertEqual(parse(buffer[: at + packet.totalLength], at), packet)

    @given(st.binary(max_size=120), st.integers(0, 20))
    def test_randomBytesAreReadOrMalformed(self, data: bytes, at: int) -> None:
        for head in (b"", b"\x45", b"\x4f", b"\x60"):
            with contextlib.suppress(MalformedError):
                parse(bytes(at) + head + data, at)

    def test_otherVersionsAreRefused(self) -> None:
        for version in set(range(16)) - {4, 6}:
            self.assertRaises(MalformedError, parse, bytes((version << 4 | 5,)) + bytes(60), 0)

    def test_nothingIsNoPacket(self) -> None:
        self.assertRaises(MalformedError, parse, b"")
        self.assertRaises(MalformedError, parse, HEAD)
        self.assertRaises(MalformedError, parse, b"", 0)


class DecrementTests(SynchronousTestCase):
    """
    One hop.
    """

    @given(special())
    def test_theHeaderIsAsScapyWouldMakeIt(self, packet: Scapy) -> None:
        ip = packet[IP] if IP in packet else packet[IPv6]
        frame = bytearray(HEAD + build(packet))
        before = bytes(frame)
        hops = ip.ttl if IP in packet else ip.hlim
        self.assertEqual(decrementTTL(frame), hops > 1)
        if hops > 1:
            if IP in packet:
                ip.ttl -= 1
            else:
                ip.hlim -= 1
            self.assertEqual(frame, HEAD + build(packet))
        else:
            self.assertEqual(frame, before)

    @given(ordinary())
    def test_aWritableViewWillDo(self, packet: Scapy) -> None:
        one, other = bytearray(build(packet)), bytearray(build(packet))
        self.assertEqual(decrementTTL(memoryview(one), 0), decrementTTL(other, 0))
        self.assertEqual(one, other)

    def test_theChecksumIsRightWhateverItWas(self) -> None:
        header = bytearray(build(IP(src="1.2.3.4", dst="5.6.7.8", ttl=64) / UDP())[:20])
        seen = set()
        for identification in range(65536):
            header[4:6] = identification.to_bytes(2, "big")
            header[8] = 64
            header[10:12] = b"\x00\x00"
            header[10:12] = checksum(header).to_bytes(2, "big")
            seen.add(bytes(header[10:12]))
            decrementTTL(header, 0)
            if checksum(header) or header[10:12] == b"\xff\xff":
                self.fail(f"wrong for identification {identification}")
        # Every checksum that a header can have.
        self.assertEqual(len(seen), 65535)

    @given(ports)
    def test_aPacketWithOneHopLeftIsNotTouched(self, identification: int) -> None:
        for hops in (0, 1):
            for packet in (IP(id=identification, ttl=hops) / UDP(), IPv6(hlim=hops) / UDP()):
                data = bytearray(build(packet))
                self.assertFalse(decrementTTL(data, 0))
                self.assertEqual(data, build(packet))
