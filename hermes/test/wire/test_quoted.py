"""
Tests for L{hermes.wire.quoted}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.wire.ippackets import Scapy, build, mangled, special
from hermes.wire.ip import parse, parseKey
from hermes.wire.quoted import quotedKey


class QuotedKeyTests(SynchronousTestCase):
    """
    The flow of a packet of which only the beginning is there.
    """

    @given(special())
    def test_theHeadersAndEightBytesAreEnough(self, packet: Scapy) -> None:
        data = build(packet)
        found = parse(data, 0)
        for size in {len(data), min(len(data), found.transportOffset + 8)}:
            for buffer in (data[:size], memoryview(data)[:size]):
                self.assertEqual(quotedKey(buffer), found.key)

    @given(special(), st.data())
    def test_anyOtherBeginningHasTheSameOrNone(self, packet: Scapy, data: st.DataObject) -> None:
        whole = build(packet)
        size = data.draw(st.integers(0, len(whole)))
        self.assertIn(quotedKey(whole[:size]), (None, parse(whole, 0).key))

    @given(mangled())
    def test_anyBytesHaveAKeyOrNone(self, data: bytes) -> None:
        key = quotedKey(data)
        if key is not None:
            self.assertEqual(parseKey(key).version, data[0] >> 4)

    def test_whatRoutersChangeMakesNoDifference(self) -> None:
        data = bytearray(build(IP(src="1.2.3.4", dst="5.6.7.8") / TCP(sport=1, dport=2)))
        key = parse(data, 0).key
        data[2:4] = b"\x00\x00"
        data[8] = 1
        data[10:12] = b"\xab\xcd"
        self.assertEqual(quotedKey(data[:28]), key)
        data = bytearray(build(IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=2)))
        key = parse(data, 0).key
        data[4:8] = b"\xff\xff\x11\x01"
        self.assertEqual(quotedKey(data), key)

    def test_fragmentsAreQuotedToo(self) -> None:
        for at in (0, 16):
            for packet in (
                IP(src="1.2.3.4", dst="5.6.7.8", proto=17, flags="MF", frag=at) / Raw(bytes(64)),
                IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrFragment(nh=17, m=1, offset=at) / Raw(bytes(64)),
            ):
                data = build(packet)
                found = parse(data, 0)
                for size in range(found.transportOffset + 8, len(data)):
                    self.assertEqual(quotedKey(data[:size]), found.key)

    def test_withoutPortsThereIsNone(self) -> None:
        for packet in (IP() / TCP(), IP() / UDP(), IPv6() / TCP(), IPv6() / UDP()):
            data = build(packet)
            start = parse(data, 0).transportOffset
            for size in range(start + 4):
                self.assertIsNone(quotedKey(data[:size]))
            self.assertIsNotNone(quotedKey(data[: start + 4]))

    def test_withoutAnEchosIdentifierThereIsNone(self) -> None:
        data = build(IP() / ICMP(id=7))
        self.assertIsNone(quotedKey(data[:27]))
        self.assertEqual(quotedKey(data), parse(data, 0).key)

    def test_aLongQuoteIsNotReadToItsEnd(self) -> None:
        data = build(IP() / UDP(sport=5) / Raw(bytes(65000)))
        self.assertEqual(quotedKey(data), parse(data, 0).key)
