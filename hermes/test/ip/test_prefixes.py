"""
Tests of L{hermes.ip.prefixes}.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ip.prefixes import AddressSet, PrefixTable

NETWORKS = st.builds(
    lambda number, length: IPv4Network((number >> (32 - length) << (32 - length), length)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)


class PrefixTableTests(SynchronousTestCase):
    """
    Longest prefix match.
    """

    def test_theLongestPrefixIsFound(self) -> None:
        """
        And a shorter one where that does not hold the address; each version of IP apart.
        """
        table: PrefixTable[str] = PrefixTable()
        for text in ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "fd00::/8"):
            table.set(ip_network(text), text)
        found = {
            text: table.find(ip_address(text))
            for text in ("10.1.2.3", "10.1.9.9", "10.9.9.9", "11.0.0.1", "fd00::1", "::1")
        }
        self.assertEqual(
            found,
            {
                "10.1.2.3": "10.1.2.3/32",
                "10.1.9.9": "10.1.0.0/16",
                "10.9.9.9": "10.0.0.0/8",
                "11.0.0.1": "0.0.0.0/0",
                "fd00::1": "fd00::/8",
                "::1": None,
            },
        )
        self.assertEqual(
            table.findAll(ip_address("10.1.2.3")), ["10.1.2.3/32", "10.1.0.0/16", "10.0.0.0/8", "0.0.0.0/0"]
        )
        self.assertEqual([str(network) for network, _ in table][:2], ["10.1.2.3/32", "10.1.0.0/16"])

    def test_whatIsRemovedIsNotFound(self) -> None:
        """
        Also where it was the only one of its length, and where it was not in.
        """
        table: PrefixTable[int] = PrefixTable()
        table.set(ip_network("10.0.0.0/8"), 1)
        table.remove(ip_network("10.0.0.0/9"))
        self.assertEqual(len(table), 1)
        table.remove(ip_network("10.0.0.0/8"))
        self.assertEqual((len(table), table.find(ip_address("10.0.0.1"))), (0, None))

    @given(st.lists(NETWORKS, max_size=30), st.integers(0, 2**32 - 1))
    def test_itSaysWhatALookAtEachWouldSay(self, networks: list[IPv4Network], number: int) -> None:
        """
        For any table and address.
        """
        table: PrefixTable[IPv4Network] = PrefixTable()
        for network in networks:
            table.set(network, network)
        address = IPv4Address(number)
        holding = sorted((each for each in set(networks) if address in each), key=lambda each: -each.prefixlen)
        self.assertEqual(table.findAll(address), holding)
        self.assertEqual(table.find(address), holding[0] if holding else None)


class AddressSetTests(SynchronousTestCase):
    """
    Sets of addresses.
    """

    @given(st.lists(st.tuples(st.booleans(), NETWORKS), max_size=12), st.lists(st.integers(0, 2**32 - 1), max_size=8))
    def test_itHoldsWhatWasAddedLast(self, changes: list[tuple[bool, IPv4Network]], numbers: list[int]) -> None:
        """
        An address is in if the last change that touches it added it; ranges are apart and in order.
        """
        addresses = AddressSet(4)
        for added, network in changes:
            (addresses.add if added else addresses.discard)(network)
        edges = [int(each) for _, network in changes for each in (network.network_address, network.broadcast_address)]
        ranges = addresses.ranges()
        for number in numbers + edges:
            touching = [added for added, network in changes if IPv4Address(number) in network]
            isIn = any(int(start) <= number <= int(end) for start, end in ranges)
            self.assertEqual(isIn, bool(touching) and touching[-1])
        for (_, end), (start, _) in pairwise(ranges):
            self.assertLess(int(end), int(start))

    def test_itCanBeToldInFewerRanges(self) -> None:
        """
        The smallest gaps are filled; where there are few enough, none.
        """
        addresses = AddressSet(4)
        for text in ("10.0.0.0/32", "10.0.0.2/32", "10.0.1.0/32", "10.0.1.3/32", "10.9.0.0/32"):
            addresses.add(ip_network(text))
        before = addresses.ranges()
        addresses.coarsen(5)
        self.assertEqual(addresses.ranges(), before)
        addresses.coarsen(3)
        told = [f"{start}-{end}" for start, end in addresses.ranges()]
        self.assertEqual(told, ["10.0.0.0-10.0.0.2", "10.0.1.0-10.0.1.3", "10.9.0.0-10.9.0.0"])

    def test_itIsGivenAsPrefixesToo(self) -> None:
        """
        Of IPv6 as well.
        """
        addresses = AddressSet(6)
        addresses.add(IPv6Network("fd00::/64"))
        addresses.discard(IPv6Network("fd00::/66"))
        self.assertEqual(addresses.networks(), [IPv6Network("fd00::4000:0:0:0/66"), IPv6Network("fd00::8000:0:0:0/65")])
