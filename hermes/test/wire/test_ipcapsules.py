"""
Tests for L{hermes.wire.ipcapsules}.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.errors import MalformedError
from hermes.wire.ipcapsules import (
    ANNOUNCE,
    MAX_ADDRESSES,
    MAX_ROUTES,
    decodeAddresses,
    decodeAnnounce,
    decodeRoutes,
    encodeAddresses,
    encodeAnnounce,
    encodeRoutes,
    joinRoutes,
)
from hermes.wire.varint import MAX_VARINT, encodeVarint

Route: TypeAlias = "tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address, int]"

v4Networks = st.builds(
    lambda number, length: IPv4Network((number >> 32 - length << 32 - length, length)),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, 32),
)
v6Networks = st.builds(
    lambda number, length: IPv6Network((number >> 128 - length << 128 - length, length)),
    st.integers(0, (1 << 128) - 1),
    st.integers(0, 128),
)
networks = st.one_of(v4Networks, v6Networks)


def route(first: str, last: str, protocol: int = 0) -> Route:
    return ip_address(first), ip_address(last), protocol


@st.composite
def anyRoutes(draw: st.DrawFn) -> list[Route]:
    """
    Ranges in a small part of the addresses, so that many overlap or adjoin.
    """
    found: list[Route] = []
    for _ in range(draw(st.integers(0, 12))):
        first = draw(st.integers(0, 30))
        last = draw(st.integers(first, 31))
        protocol = draw(st.sampled_from([0, 6, 17]))
        if draw(st.booleans()):
            found.append((IPv4Address(first), IPv4Address(last), protocol))
        else:
            found.append((IPv6Address(first), IPv6Address(last), protocol))
    return found


def covered(routes: list[Route]) -> set[tuple[int, int, int]]:
    """
    Every version, address and protocol of three that may be sent to; protocol 0 is both of the others too.
    """
    return {
        (first.version, number, each)
        for first, last, protocol in routes
        for number in range(int(first), int(last) + 1)
        for each in ((0, 6, 17) if protocol == 0 else (protocol,))
    }


class AddressTests(SynchronousTestCase):
    """
    ADDRESS_ASSIGN and ADDRESS_REQUEST (RFC 9484 sections 4.7.1 and 4.7.2).
    """

    def test_theyAreWrittenAsTheRFCSays(self) -> None:
        value = encodeAddresses([(1, ip_network("192.0.2.11/32")), (300, ip_network("2001:db8::/64"))])
        self.assertEqual(value.hex(), "0104c000020b20412c0620010db800000000000000000000000040")

    @given(st.lists(st.tuples(st.integers(0, MAX_VARINT), networks), max_size=20))
    def test_assignmentsGoThereAndBack(self, entries: list[tuple[int, IPv4Network | IPv6Network]]) -> None:
        self.assertEqual(decodeAddresses(encodeAddresses(entries), False), entries)

    @given(st.dictionaries(st.integers(1, MAX_VARINT), networks, min_size=1, max_size=20))
    def test_requestsGoThereAndBack(self, entries: dict[int, IPv4Network | IPv6Network]) -> None:
        self.assertEqual(decodeAddresses(encodeAddresses(entries.items()), True), list(entries.items()))

    def test_anEmptyAssignmentTakesAllAway(self) -> None:
        self.assertEqual(decodeAddresses(b"", False), [])

    def test_anEmptyRequestIsMalformed(self) -> None:
        self.assertRaises(MalformedError, decodeAddresses, b"", True)

    def test_aRequestHasNoIDZero(self) -> None:
        value = encodeAddresses([(0, ip_network("0.0.0.0/32"))])
        self.assertEqual(len(decodeAddresses(value, False)), 1)
        self.assertRaises(MalformedError, decodeAddresses, value, True)

    def test_twoRequestsHaveTwoIDs(self) -> None:
        value = encodeAddresses([(5, ip_network("0.0.0.0/32")), (5, ip_network("::/128"))])
        self.assertEqual(len(decodeAddresses(value, False)), 2)
        self.assertRaises(MalformedError, decodeAddresses, value, True)

    def test_anUnknownVersionIsMalformed(self) -> None:
        for version in (0, 3, 5, 255):
            self.assertRaises(MalformedError, decodeAddresses, bytes((1, version)) + bytes(17), False)

    def test_aPrefixLongerThanTheAddressIsMalformed(self) -> None:
        self.assertRaises(MalformedError, decodeAddresses, bytes((1, 4, 10, 0, 0, 1, 33)), False)
        self.assertRaises(MalformedError, decodeAddresses, bytes((1, 6)) + bytes(16) + bytes((129,)), False)

    def test_bitsBehindThePrefixAreMalformed(self) -> None:
        self.assertRaises(MalformedError, decodeAddresses, bytes((1, 4, 10, 0, 0, 1, 24)), True)
        self.assertRaises(MalformedError, decodeAddresses, bytes((0, 6)) + bytes(15) + b"\x01\x7f", False)

    def test_everyCutWithinAnAddressIsMalformed(self) -> None:
        whole = encodeAddresses([(300, ip_network("10.0.0.0/8")), (301, ip_network("fd00::/8"))])
        for size in range(1, len(whole)):
            if size != 8:
                self.assertRaises(MalformedError, decodeAddresses, whole[:size], False)
        self.assertEqual(len(decodeAddresses(whole[:8], False)), 1)

    def test_thereIsABoundOnHowMany(self) -> None:
        one = (0, ip_network("10.0.0.1/32"))
        self.assertEqual(len(decodeAddresses(encodeAddresses([one] * MAX_ADDRESSES), False)), MAX_ADDRESSES)
        self.assertRaises(ValueError, encodeAddresses, [one] * (MAX_ADDRESSES + 1))
        value = encodeAddresses([one] * MAX_ADDRESSES) + encodeAddresses([one])
        self.assertRaises(MalformedError, decodeAddresses, value, False)

    @given(st.binary(max_size=60), st.booleans())
    def test_anyBytesAreReadOrMalformed(self, value: bytes, request: bool) -> None:
        try:
            entries = decodeAddresses(memoryview(value), request)
        except MalformedError:
            return
        self.assertEqual(decodeAddresses(encodeAddresses(entries), request), entries)


class RouteTests(SynchronousTestCase):
    """
    ROUTE_ADVERTISEMENT (RFC 9484 section 4.7.3).
    """

    def test_theyAreWrittenAsTheRFCSays(self) -> None:
        value = encodeRoutes([route("0.0.0.0", "255.255.255.255"), route("2001:db8::", "2001:db8::ff", 17)])
        self.assertEqual(value.hex(), "0400000000ffffffff000620010db8" + 24 * "0" + "20010db8" + 22 * "0" + "ff11")

    @given(anyRoutes())
    def test_whatWasJoinedGoesThereAndBackAndIsTheSame(self, routes: list[Route]) -> None:
        joined = joinRoutes(routes)
        self.assertEqual(decodeRoutes(encodeRoutes(joined)), joined)
        self.assertEqual(covered(joined), covered(routes))
        self.assertEqual(joinRoutes(joined), joined)

    def test_whatOverlapsOrAdjoinsIsOneRange(self) -> None:
        routes = [route("10.0.1.0", "10.0.1.255"), route("10.0.0.0", "10.0.0.255"), route("10.0.1.7", "10.0.2.0")]
        self.assertEqual(joinRoutes(routes), [route("10.0.0.0", "10.0.2.0")])

    def test_aGapIsKept(self) -> None:
        routes = [route("10.0.0.2", "10.0.0.2"), route("10.0.0.0", "10.0.0.0")]
        self.assertEqual(joinRoutes(routes), routes[::-1])

    def test_whatAllProtocolsMayIsNotSaidOnceMoreForOne(self) -> None:
        routes = [route("10.0.0.0", "10.0.0.9", 6), route("10.0.0.2", "10.0.0.3"), route("10.0.0.5", "10.0.0.5")]
        self.assertEqual(
            joinRoutes(routes),
            [
                *routes[1:],
                route("10.0.0.0", "10.0.0.1", 6),
                route("10.0.0.4", "10.0.0.4", 6),
                route("10.0.0.6", "10.0.0.9", 6),
            ],
        )

    def test_aRangeThatEndsBeforeItBeginsIsRefused(self) -> None:
        self.assertRaises(ValueError, joinRoutes, [route("10.0.0.2", "10.0.0.1")])
        self.assertRaises(ValueError, joinRoutes, [route("10.0.0.2", "::1")])
        self.assertRaises(ValueError, encodeRoutes, [route("10.0.0.2", "10.0.0.1")])
        self.assertRaises(ValueError, encodeRoutes, [route("10.0.0.2", "::1")])
        value = b"\x04" + ip_address("10.0.0.2").packed + ip_address("10.0.0.1").packed + b"\x00"
        self.assertRaises(MalformedError, decodeRoutes, value)

    def test_theOrderIsVersionProtocolAddress(self) -> None:
        ordered = [
            route("10.0.0.0", "10.0.0.9"),
            route("10.0.1.0", "10.0.1.0", 6),
            route("10.0.1.2", "10.0.1.2", 6),
            route("10.0.1.0", "10.0.1.0", 17),
            route("::", "::1"),
            route("::2", "::3", 6),
        ]
        value = [encodeRoutes([each]) for each in ordered]
        self.assertEqual(decodeRoutes(b"".join(value)), ordered)
        for at in range(len(value) - 1):
            wrong = [*value]
            wrong[at : at + 2] = wrong[at + 1], wrong[at]
            self.assertRaises(MalformedError, decodeRoutes, b"".join(wrong))
            self.assertRaises(ValueError, encodeRoutes, decodeRoutes(wrong[at]) + decodeRoutes(wrong[at + 1]))

    def test_anOverlapIsMalformed(self) -> None:
        for first, second in (
            (route("10.0.0.0", "10.0.0.9"), route("10.0.0.9", "10.0.0.10")),
            (route("10.0.0.0", "10.0.0.9", 6), route("10.0.0.9", "10.0.0.10", 6)),
            (route("10.0.0.0", "10.0.0.9"), route("10.0.0.9", "10.0.0.10", 6)),
            (route("10.0.0.5", "10.0.0.9"), route("10.0.0.0", "10.0.0.5", 6)),
            (route("::5", "::9"), route("::", "::ffff", 255)),
        ):
            self.assertRaises(MalformedError, decodeRoutes, encodeRoutes([first]) + encodeRoutes([second]))

    def test_anUnknownVersionIsMalformed(self) -> None:
        for version in (0, 5, 46):
            self.assertRaises(MalformedError, decodeRoutes, bytes((version,)) + bytes(33))

    def test_everyCutWithinARouteIsMalformed(self) -> None:
        whole = encodeRoutes([route("10.0.0.0", "10.0.0.9"), route("::", "::1")])
        for size in range(1, len(whole)):
            if size != 10:
                self.assertRaises(MalformedError, decodeRoutes, whole[:size])

    def test_thereIsABoundOnHowMany(self) -> None:
        routes: list[Route] = [(IPv4Address(2 * at), IPv4Address(2 * at), 0) for at in range(MAX_ROUTES)]
        value = encodeRoutes(routes)
        self.assertEqual(len(decodeRoutes(value)), MAX_ROUTES)
        one = route("255.0.0.0", "255.0.0.0")
        self.assertRaises(ValueError, encodeRoutes, [*routes, one])
        self.assertRaises(MalformedError, decodeRoutes, value + encodeRoutes([one]))

    @given(st.binary(max_size=60))
    def test_anyBytesAreReadOrMalformed(self, value: bytes) -> None:
        try:
            routes = decodeRoutes(memoryview(value))
        except MalformedError:
            return
        self.assertEqual(encodeRoutes(routes), value)


class AnnounceTests(SynchronousTestCase):
    """
    Our own capsule.
    """

    def test_itsTypeFitsAndIsNotAReservedOne(self) -> None:
        self.assertEqual(len(encodeVarint(ANNOUNCE)), 4)
        self.assertNotEqual(ANNOUNCE % 0x29, 0x17)

    @given(st.booleans(), st.integers(1280, 65535))
    def test_itGoesThereAndBack(self, offload: bool, mtu: int) -> None:
        self.assertEqual(decodeAnnounce(encodeAnnounce(offload, mtu)), (offload, mtu))

    def test_whatLaterVersionsAddIsPassedOver(self) -> None:
        self.assertEqual(decodeAnnounce(encodeVarint(0xFFFE) + encodeVarint(1400) + b"more"), (False, 1400))
        self.assertEqual(decodeAnnounce(encodeVarint(0xFFFF) + encodeVarint(1400) + b"more"), (True, 1400))

    def test_anMTUThatNoLinkHasIsRefused(self) -> None:
        for mtu in (0, 1279, 65536, MAX_VARINT):
            self.assertRaises(MalformedError, decodeAnnounce, b"\x01" + encodeVarint(mtu))
            self.assertRaises(ValueError, encodeAnnounce, True, mtu)

    def test_everyCutIsMalformed(self) -> None:
        whole = encodeAnnounce(True, 1400)
        for size in range(len(whole)):
            self.assertRaises(MalformedError, decodeAnnounce, whole[:size])
