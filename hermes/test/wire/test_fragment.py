"""
Tests for L{hermes.wire.fragment}, against scapy. Against the kernel: C{test_router}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import (
    IP,
    UDP,
    IPOption_NOP,
    IPOption_Router_Alert,
    IPOption_RR,
    IPOption_Security,
    defragment,
    fragment,
)
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.wire.ippackets import Scapy, build, special, v4Options
from hermes.wire.errors import MalformedError
from hermes.wire.fragment import fragmentIPv4
from hermes.wire.ip import parse
from hermes.wire.ipv4 import options

sizes = st.integers(0, 4000)
mtus = st.integers(68, 1500)


def packet(size: int, **fields: Any) -> Scapy:
    content = bytes(n * 7 & 0xFF for n in range(size))
    return IP(**{"src": "1.2.3.4", "dst": "5.6.7.8", "id": 99, **fields}) / UDP(sport=1, dport=2) / Raw(content)


def joined(fragments: list[bytes]) -> bytes:
    """
    What the fragments carry, each where it says; nothing twice, and nothing missing.
    """
    content = bytearray()
    for data in sorted(fragments, key=lambda each: parse(each, 0).fragmentOffset):
        found = parse(data, 0)
        assert found.fragmentOffset == len(content)
        assert found.totalLength == len(data)
        content += data[found.headerLength :]
    return bytes(content)


class FragmentTests(SynchronousTestCase):
    """
    IPv4 packets that are larger than the MTU.
    """

    @given(sizes, st.integers(6, 185))
    def test_theyAreWhatScapyMakes(self, size: int, units: int) -> None:
        # Of another MTU scapy does not use for the last fragment what is left over of the eight bytes.
        mtu = 20 + 8 * units
        whole = packet(size, ttl=9, tos=4)
        expected = [build(each) for each in fragment(whole, 8 * units)]
        self.assertEqual(fragmentIPv4(memoryview(build(whole)), mtu), expected)

    @given(sizes, mtus)
    def test_scapyPutsThemTogetherAgain(self, size: int, mtu: int) -> None:
        data = build(packet(size))
        pieces = fragmentIPv4(data, mtu)
        self.assertTrue(all(len(each) <= mtu for each in pieces))
        if len(pieces) > 1:
            self.assertEqual([build(each) for each in defragment([IP(each) for each in pieces])], [data])

    @given(sizes, mtus, v4Options)
    def test_optionsGoWhereTheirTypeSays(self, size: int, mtu: int, chosen: list[Scapy]) -> None:
        data = build(packet(size, options=chosen))
        pieces = fragmentIPv4(data, mtu)
        header = parse(data, 0).headerLength
        self.assertEqual(joined(pieces), data[header:])
        self.assertTrue(all(len(each) <= mtu for each in pieces))
        self.assertEqual(pieces[0][20:header], data[20:header])
        copied = [each for each in options(data[20:header]) if each[0] & 0x80]
        for each in pieces[1:]:
            self.assertEqual(options(each[20 : parse(each, 0).headerLength]), copied)

    def test_anOptionIsCopiedAndAnotherIsNot(self) -> None:
        chosen = [IPOption_NOP(), IPOption_RR(routers=["0.0.0.0"] * 3), IPOption_Router_Alert(), IPOption_Security()]
        first, second, *_ = fragmentIPv4(build(packet(1000, options=chosen)), 500)
        self.assertEqual(parse(first, 0).headerLength, 20 + 1 + 15 + 4 + 11 + 1)
        self.assertEqual(parse(second, 0).headerLength, 20 + 4 + 11 + 1)

    @given(st.integers(1200, 4000), st.integers(576, 1100), mtus)
    def test_aFragmentIsCutOnceMore(self, size: int, first: int, second: int) -> None:
        data = build(packet(size))
        pieces = [piece for each in fragmentIPv4(data, first) for piece in fragmentIPv4(each, second)]
        self.assertEqual(joined(pieces), data[20:])
        self.assertEqual([parse(each, 0).moreFragments for each in pieces].count(False), 1)

    def test_whatLiesBehindThePacketIsNoPartOfIt(self) -> None:
        data = build(packet(1000))
        self.assertEqual(fragmentIPv4(data + b"padding", 500), fragmentIPv4(data, 500))
        self.assertEqual(fragmentIPv4(data + b"padding", 1500), [data])

    def test_whatIsNotToBeFragmentedIsNot(self) -> None:
        data = build(packet(1000, flags="DF"))
        self.assertRaises(ValueError, fragmentIPv4, data, 500)
        self.assertEqual(fragmentIPv4(data, 1028), [data])
        data = build(IPv6() / UDP() / Raw(bytes(2000)))
        self.assertRaises(ValueError, fragmentIPv4, data, 1280, parse(data, 0))
        self.assertRaises(MalformedError, fragmentIPv4, data, 1280)

    def test_noLinkHasASmallerMTU(self) -> None:
        self.assertRaises(ValueError, fragmentIPv4, build(packet(1000)), 67)

    @given(special().filter(lambda each: IP in each), mtus)
    def test_everyPieceIsAPacket(self, made: Scapy, mtu: int) -> None:
        made[IP].flags = 0
        data = build(made)
        found = parse(data, 0)
        if found.protocol == 6 and mtu < 80 + 40:
            # No TCP header with all its options fits behind an IP header with all of its.
            mtu = 120
        pieces = fragmentIPv4(data, mtu, found)
        self.assertEqual(joined(pieces), data[found.headerLength :])
        self.assertEqual({parse(each, 0).fragmentKey for each in pieces}, {found.fragmentKey})
