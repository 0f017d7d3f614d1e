"""
What is not somebody on the Internet is recognised, in whatever notation.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.special import isSpecialNetwork, isSpecialPurpose

SPECIAL = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 100.100.100.200 127.0.0.1 127.255.255.254
168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1
192.168.1.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255
:: ::1 100::1 100:0:0:1::1 2001::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2620:4f:8000::1 3fff::1 5f00::1 fc00::1
fd00:ec2::254 fe80::1 fe80::1%lo feff::1 fec0::1 ff02::1 ff0e::1 64:ff9b:1::1 64:ff9b:1::8.8.8.8 4000::1
::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 2002:7f00:1::1 2002:a00:1:: 2002:a9fe:a9fe::1
2001:0:808:808::80ff:fffe 2001:0:7f00:1::f7f7:f7f7
"""

ORDINARY = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.17
169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
223.255.255.255
2606:4700:4700::1111 2001:4860:4860::8888 2001:200::1 2a00::1 3ffe::1
::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1
"""


class SpecialPurposeTests(SynchronousTestCase):
    """
    The table, and addresses within addresses.
    """

    def test_specialPurposeAddressesAreRecognised(self) -> None:
        for text in SPECIAL.split():
            self.assertTrue(isSpecialPurpose(ip_address(text)), text)

    def test_ordinaryAddressesAreNot(self) -> None:
        for text in ORDINARY.split():
            self.assertFalse(isSpecialPurpose(ip_address(text)), text)

    @settings(deadline=None)
    @given(st.ip_addresses(v=4))
    def test_anEmbeddedAddressIsWhatItIs(self, address: IPv4Address) -> None:
        number = int(address)
        for embedded in (0xFFFF << 32) + number, (0x64FF9B << 96) + number, (0x2002 << 112) + (number << 80) + 1:
            self.assertEqual(isSpecialPurpose(ip_address(embedded.to_bytes(16, "big"))), isSpecialPurpose(address))

    @settings(deadline=None)
    @given(st.ip_addresses())
    @example(ip_address("2002:808:808::1"))
    def test_nothingThatPythonCallsPrivateIsOrdinary(self, address: IPv4Address | IPv6Address) -> None:
        """
        But for what carries an ordinary one, which some versions of Python call so.
        """
        if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour):
            return
        if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
            self.assertTrue(isSpecialPurpose(address))

    def test_aNetworkIsSpecialWhereAllOfItIs(self) -> None:
        for text in [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "224.0.0.0/3",
            "192.168.1.1/32",
            "::1/128",
            "::/127",
            "fc00::/6",
            "fe80::/10",
            "2001:db8:1::/48",
            "64:ff9b::10.0.0.0/104",
            "2002:a00::/24",
            "::ffff:127.0.0.1/128",
        ]:
            self.assertTrue(isSpecialNetwork(ip_network(text)), text)
        for text in [
            "0.0.0.0/0",
            "8.0.0.0/6",
            "128.0.0.0/1",
            "8.8.8.8/32",
            "::/0",
            "::/3",
            "2000::/3",
            "2002::/16",
            "::ffff:0:0/96",
        ]:
            self.assertFalse(isSpecialNetwork(ip_network(text)), text)

    @settings(deadline=None, max_examples=300)
    @given(st.data(), st.ip_addresses())
    def test_everyAddressOfASpecialNetworkIsSpecial(
        self, data: st.DataObject, address: IPv4Address | IPv6Address
    ) -> None:
        prefix = data.draw(st.integers(0, address.max_prefixlen))
        network = ip_network((int(address).to_bytes(address.max_prefixlen // 8, "big"), prefix), strict=False)
        if isSpecialNetwork(network):
            self.assertTrue(isSpecialPurpose(address))
        if prefix == address.max_prefixlen:
            self.assertEqual(isSpecialNetwork(network), isSpecialPurpose(address))
