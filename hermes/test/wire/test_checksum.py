"""
Tests for L{hermes.wire.checksum}.
"""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from scapy.layers.inet import IP, in4_pseudoheader
from scapy.layers.inet6 import IPv6, in6_pseudoheader
from scapy.utils import checksum as scapyChecksum
from twisted.trial.unittest import SynchronousTestCase

from hermes.test.wire.ippackets import Scapy, v4Addresses, v6Addresses
from hermes.wire.checksum import checksum, pseudoSum, wordSum

sizes = st.one_of(st.integers(0, 600), st.integers(0, 70000))


class ChecksumTests(SynchronousTestCase):
    """
    The Internet checksum, against scapy's.
    """

    @given(st.binary(max_size=2000))
    @example(b"\x00")
    @example(b"\xff\xff")
    @example(b"\xff\xff\x00\x00")
    @example(bytes(20))
    def test_itIsScapys(self, data: bytes) -> None:
        self.assertEqual(checksum(data), scapyChecksum(data))

    @given(sizes, st.integers(0, 1 << 64))
    def test_itIsScapysForLongOnes(self, size: int, seed: int) -> None:
        unit = seed.to_bytes(9, "big")
        data = (unit * (size // 9 + 1))[:size]
        self.assertEqual(checksum(data), scapyChecksum(data))
        self.assertEqual(checksum(memoryview(data)), checksum(bytearray(data)))

    def test_allOnesOfEverySizeSumToNothingButNotToZero(self) -> None:
        for size in range(2, 2000, 2):
            self.assertEqual(wordSum(b"\xff" * size), 65535)
            self.assertEqual(wordSum(bytes(size)), 0)

    def test_aLargeBufferIsSummedWhole(self) -> None:
        for size in (65535, 65536, 65537, 131072):
            data = bytes(range(256)) * (size // 256 + 1)
            self.assertEqual(checksum(data[:size]), scapyChecksum(data[:size]))

    @given(st.binary(max_size=101))
    def test_aMessageThatHoldsItsChecksumHasNone(self, data: bytes) -> None:
        whole = b"\x08\x00" + checksum(b"\x08\x00\x00\x00" + data).to_bytes(2, "big") + data
        self.assertEqual(checksum(whole), 0)

    @given(v4Addresses, v4Addresses, st.integers(0, 255), st.integers(0, 65535))
    def test_thePseudoHeaderOfIPv4IsScapys(self, source: object, destination: object, protocol: int, size: int) -> None:
        header = in4_pseudoheader(protocol, IP(src=str(source), dst=str(destination)), size)
        packed = bytes(IP(src=str(source), dst=str(destination)))[12:20]
        self.assertEqual(pseudoSum(packed[:4], packed[4:], protocol, size) % 65535, wordSum(header) % 65535)

    @given(v6Addresses, v6Addresses, st.integers(0, 255), st.integers(0, 65535))
    def test_thePseudoHeaderOfIPv6IsScapys(self, source: object, destination: object, protocol: int, size: int) -> None:
        ip: Scapy = IPv6(src=str(source), dst=str(destination))
        header = in6_pseudoheader(protocol, ip, size)
        packed = bytes(ip)[8:40]
        expected = wordSum(bytes(header)) % 65535
        self.assertEqual(pseudoSum(packed[:16], packed[16:], protocol, size) % 65535, expected)
