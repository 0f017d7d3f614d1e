"""
Tunnels of IP packets: addresses, routes, announcements, and who is to go.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from hermes.errors import StreamReset
from hermes.test.tunnel.frames import packet
from hermes.test.tunnel.iptunnelcase import ADDRESSES, JOINED, ROUTES, Stranger, TunnelCase
from hermes.tunnel.codes import ENHANCE_YOUR_CALM, PROTOCOL_ERROR
from hermes.tunnel.iptunnel import CONTROLS, GOING_AWAY, MAX_UNREAD, IPTunnel, PacketOptions
from hermes.wire.capsule import encodeCapsule
from hermes.wire.framecapsules import encodePackets
from hermes.wire.ipcapsules import (
    ADDRESS_ASSIGN,
    ADDRESS_REQUEST,
    ANNOUNCE,
    ROUTE_ADVERTISEMENT,
    encodeAddresses,
    encodeAnnounce,
    encodeRoutes,
)


class CapsuleTests(TunnelCase):
    """
    Addresses, routes, announcements.
    """

    def test_addressesAndRoutesCrossBothWays(self) -> None:
        self.announced()
        for tunnel, receiver in ((self.client, self.serverReceiver), (self.server, self.clientReceiver)):
            tunnel.requestAddresses([(1, ip_network("0.0.0.0/32")), (2, ip_network("::/128"))])
            tunnel.assignAddresses(ADDRESSES)
            tunnel.assignAddresses([])
            tunnel.advertiseRoutes(ROUTES)
            tunnel.advertiseRoutes([])
            self.network.pump()
            wished = [(1, IPv4Network("0.0.0.0/32")), (2, IPv6Network("::/128"))]
            names = ["requested", "assigned", "assigned", "routes", "routes"]
            self.assertEqual(receiver.events, list(zip(names, [wished, ADDRESSES, [], JOINED, []], strict=True)))

    def test_theyKeepTheirPlaceAmongPackets(self) -> None:
        self.announced()
        data = b"".join(map(bytes, encodePackets([packet()[10:]] * 3)))
        self.clientEnd.write(
            data + encodeCapsule(ROUTE_ADVERTISEMENT, b"") + data + encodeCapsule(ADDRESS_ASSIGN, b"") + data
        )
        self.network.pump()
        wanted = [("frames", 3), ("routes", []), ("frames", 3), ("assigned", []), ("frames", 3)]
        self.assertEqual(self.serverReceiver.events, wanted)

    def test_theyGoAheadOfPacketsThatWait(self) -> None:
        self.announced()
        self.serverEnd.pauseProducing()
        self.client.write([packet(60_000)] * 2)
        self.client.write([packet(60_000)] * 5)
        self.client.advertiseRoutes([])
        self.serverEnd.resumeProducing()
        self.network.pump()
        events = self.serverReceiver.events
        self.assertLess(events.index(("routes", [])), len(events) - 1)
        self.assertEqual(len(self.serverReceiver.received), 7)

    def test_theSmallerMTUHolds(self) -> None:
        for own, peers in ((9000, 1400), (1400, 9000), (1280, 1280)):
            peer = Stranger(self, PacketOptions(mtu=own))
            peer.send(encodeCapsule(ANNOUNCE, encodeAnnounce(False, peers)))
            self.assertEqual(peer.tunnel.mtu, min(own, peers))
            self.assertEqual(
                peer.receiver.events, [("mtu", min(own, peers))] if min(own, peers) != min(own, 1500) else []
            )
            self.assertFalse(peer.tunnel.offload)

    def test_anotherAnnouncementChangesTheMTUAndTakesNothingBack(self) -> None:
        peer = Stranger(self)
        for offload, mtu in ((True, 1400), (False, 1300), (False, 1300)):
            peer.send(encodeCapsule(ANNOUNCE, encodeAnnounce(offload, mtu)))
        self.assertEqual(peer.receiver.events, [("mtu", 1400), ("mtu", 1300)])
        self.assertTrue(peer.tunnel.offload)

    def test_malformedOnesResetThatStreamOnly(self) -> None:
        unsorted = encodeRoutes([JOINED[1]]) + encodeRoutes([JOINED[0]])
        for capsuleType, value in (
            (ADDRESS_ASSIGN, b"\0"),
            (ADDRESS_ASSIGN, b"\0\4\x0a\0\0\1\x18"),
            (ADDRESS_REQUEST, b""),
            (ADDRESS_REQUEST, encodeAddresses([(0, ip_network("10.0.0.1/32"))])),
            (ROUTE_ADVERTISEMENT, b"\7"),
            (ROUTE_ADVERTISEMENT, unsorted),
            (ANNOUNCE, b"\1"),
            (ANNOUNCE, b"\1\4"),
        ):
            peer, other = Stranger(self), Stranger(self)
            peer.send(b"".join(map(bytes, encodePackets([packet()[10:]]))) + encodeCapsule(capsuleType, value))
            self.assertEqual(peer.server.resetWith, PROTOCOL_ERROR, (capsuleType, value))
            self.assertEqual(peer.receiver.received, [packet()])
            assert peer.receiver.lost is not None
            peer.receiver.lost.trap(StreamReset)
            other.send(encodeCapsule(ROUTE_ADVERTISEMENT, b""))
            self.assertEqual(other.receiver.events, [("routes", [])])

    def test_nothingIsHeardAfterAMalformedOne(self) -> None:
        peer = Stranger(self)
        peer.send(encodeCapsule(ADDRESS_ASSIGN, b"\0") + encodeCapsule(ROUTE_ADVERTISEMENT, b""))
        peer.send(encodeCapsule(ROUTE_ADVERTISEMENT, b""))
        self.assertEqual(peer.receiver.events, [])

    def test_noAddressIsAskedForTwiceUnderOneNumber(self) -> None:
        peer = Stranger(self)
        for number in (1, 2, 2):
            peer.send(encodeCapsule(ADDRESS_REQUEST, encodeAddresses([(number, ip_network("0.0.0.0/32"))])))
        self.assertEqual([name for name, _ in peer.receiver.events], ["requested"] * 2)
        self.assertEqual(peer.server.resetWith, PROTOCOL_ERROR)

    def test_aPeerMayNotSendCapsuleAfterCapsule(self) -> None:
        peer = Stranger(self)
        burst, rate = CONTROLS
        for _ in range(burst):
            peer.send(encodeCapsule(ROUTE_ADVERTISEMENT, b""))
        self.assertIsNone(peer.server.resetWith)
        peer.clock.advance(1)
        for _ in range(int(rate)):
            peer.send(encodeCapsule(ROUTE_ADVERTISEMENT, b""))
        self.assertIsNone(peer.server.resetWith)
        peer.send(encodeCapsule(ROUTE_ADVERTISEMENT, b""))
        self.assertEqual(peer.server.resetWith, ENHANCE_YOUR_CALM)

    def test_theNumberOfAddressesThatAreAskedForIsBounded(self) -> None:
        peer = Stranger(self)
        wish = ip_network("0.0.0.0/32")
        for start in range(1, 5000, 250):
            peer.send(encodeCapsule(ADDRESS_REQUEST, encodeAddresses([(start + at, wish) for at in range(250)])))
            peer.clock.advance(1)
        self.assertEqual(peer.server.resetWith, ENHANCE_YOUR_CALM)
        self.assertLessEqual(len(peer.receiver.events), 4096 // 250)

    def test_aPeerThatReadsNothingIsNotAnsweredWithoutEnd(self) -> None:
        self.announced()
        self.serverEnd.pauseProducing()
        self.client.write([packet(60_000)] * 4)
        many = [(0, ip_network((number << 8, 24))) for number in range(250)]
        for _ in range(MAX_UNREAD // 1000):
            self.client.assignAddresses(many)
        self.network.pump()
        self.assertEqual(self.clientEnd.resetWith, ENHANCE_YOUR_CALM)


class GoingAwayTests(TunnelCase):
    """
    A peer that wants a new tunnel in place of this one.
    """

    def setUp(self) -> None:
        super().setUp()
        self.announced()
        self.told = 0

    def tell(self) -> None:
        self.told += 1

    def test_drainTellsThePeerOnceAndTheTunnelGoesOn(self) -> None:
        self.client.notifyGoingAway(self.tell)
        self.server.drain()
        self.server.drain()
        self.network.pump()
        self.assertEqual(self.told, 1)
        self.client.write([packet()])
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, [packet()])

    def test_itIsToldAtOnceWhereThePeerHasAskedAlready(self) -> None:
        self.client.drain()
        self.network.pump()
        self.server.notifyGoingAway(self.tell)
        self.assertEqual(self.told, 1)

    def test_GOAWAYOfTheConnectionTellsTheSame(self) -> None:
        self.client.notifyGoingAway(self.tell)
        self.clientEnd.goAway()
        self.assertEqual(self.told, 1)
        self.server.drain()
        self.network.pump()
        self.assertEqual(self.told, 1)

    def test_GOAWAYBeforeItWasAttachedDoesToo(self) -> None:
        client, _ = self.pair()
        client.goAway()
        tunnel = IPTunnel(self.clock)
        tunnel.notifyGoingAway(self.tell)
        client.attach(tunnel)
        self.assertEqual(self.told, 1)

    def test_theCapsuleIsNoneOfThoseThatMustBeSkipped(self) -> None:
        self.assertNotEqual((GOING_AWAY - 0x17) % 0x29, 0)
