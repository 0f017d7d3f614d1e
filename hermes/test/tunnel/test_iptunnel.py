"""
IP packets in capsules: L{IPTunnel} at both ends of an exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import StreamReset
from hermes.interfaces import IPacketReceiver, IPacketTunnel
from hermes.test.tunnel.fakes import Packets
from hermes.test.tunnel.frames import packet, partial
from hermes.testing import MemoryClientExchange, MemoryNetwork, MemoryServerExchange
from hermes.tunnel.codes import ENHANCE_YOUR_CALM, PROTOCOL_ERROR
from hermes.tunnel.iptunnel import CONTROLS, DEFAULT_OPTIONS, GOING_AWAY, LINGER, MAX_UNREAD, IPTunnel, PacketOptions
from hermes.tunnel.request import connectIPHead
from hermes.values import Buffer, ResponseHead
from hermes.wire.capsule import encodeCapsule
from hermes.wire.framecapsules import MAX_FRAME, encodeFrames, encodePackets
from hermes.wire.ipcapsules import (
    ADDRESS_ASSIGN,
    ADDRESS_REQUEST,
    ANNOUNCE,
    ROUTE_ADVERTISEMENT,
    encodeAddresses,
    encodeAnnounce,
    encodeRoutes,
)

ADDRESSES: Any = [(1, ip_network("10.0.0.5/32")), (0, ip_network("2001:db8::/64"))]
ROUTES: Any = [
    (IPv6Address("2001:db8::"), IPv6Address("2001:db8::ffff"), 6),
    (IPv4Address("10.0.0.7"), IPv4Address("10.0.0.20"), 0),
    (IPv4Address("10.0.0.0"), IPv4Address("10.0.0.8"), 0),
]
JOINED: Any = [(IPv4Address("10.0.0.0"), IPv4Address("10.0.0.20"), 0), ROUTES[0]]


class TunnelCase(SynchronousTestCase):
    """
    Two ends, joined.
    """

    clientOptions = PacketOptions()
    serverOptions = PacketOptions()

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork()
        self.clientEnd, self.serverEnd = self.pair()
        self.client, self.server = IPTunnel(self.clock, self.clientOptions), IPTunnel(self.clock, self.serverOptions)
        self.clientReceiver, self.serverReceiver = Packets(), Packets()
        self.client.setReceiver(self.clientReceiver)
        self.server.setReceiver(self.serverReceiver)
        self.clientEnd.attach(self.client)
        self.serverEnd.attach(self.server)

    def pair(self) -> tuple[MemoryClientExchange, MemoryServerExchange]:
        client, server = self.network.pair(connectIPHead("*", None, b"p"))
        server.respond(ResponseHead(200))
        return client, server

    def announced(self) -> None:
        """
        Let both announcements arrive, and forget about them.
        """
        self.network.pump()
        self.clientReceiver.events.clear()
        self.serverReceiver.events.clear()


class Stranger:
    """
    A peer that is not ours: it knows nothing of announcements.

    @ivar tunnel: our end.
    @ivar receiver: its receiver.
    """

    def __init__(self, case: SynchronousTestCase, options: PacketOptions = DEFAULT_OPTIONS) -> None:
        self.network = MemoryNetwork()
        self.clock = Clock()
        self.client, self.server = self.network.pair(connectIPHead("*", None, b"p"))
        self.server.respond(ResponseHead(200))
        self.received: list[bytes] = []
        self.tunnel = IPTunnel(self.clock, options)
        self.receiver = Packets()
        self.tunnel.setReceiver(self.receiver)
        self.server.attach(self.tunnel)
        case.patch(self.server, "writeSequence", self._written)

    def _written(self, pieces: Sequence[Buffer]) -> None:
        self.received += [bytes(piece) for piece in pieces]

    def send(self, data: bytes) -> None:
        """
        Send our end something.
        """
        self.client.write(data)
        self.network.pump()

    def packets(self) -> list[bytes]:
        """
        What our end has sent, under context ID 0; nothing else may be among it.
        """
        data = b"".join(self.received)
        self.received.clear()
        found = []
        at = 0
        while at < len(data):
            assert data[at] == 0
            size = 1 << (data[at + 1] >> 6)
            length = int.from_bytes(data[at + 1 : at + 1 + size], "big") & ((1 << (8 * size - 2)) - 1)
            at += 1 + size
            assert data[at] == 0
            found.append(data[at + 1 : at + length])
            at += length
        return found


class PacketTests(TunnelCase):
    """
    Frames between two ends of ours.
    """

    def test_itIsAPacketTunnel(self) -> None:
        verifyObject(IPacketTunnel, self.client)
        verifyObject(IPacketReceiver, self.clientReceiver)

    def test_packetsOfEverySizeCrossInOrderBothWays(self) -> None:
        self.announced()
        frames = [packet(size) for size in (0, 1, 36, 1372, 8191, 16384, 65507, 3)]
        self.client.write(frames)
        self.server.write(frames[::-1])
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, frames)
        self.assertEqual(self.clientReceiver.received, frames[::-1])

    def test_theyDoSoBeforeThePeerHasAnnouncedAnything(self) -> None:
        frames = [packet(size) for size in (0, 1, 36, 1372, 8191, 16384, 65507, 3)]
        self.client.write(frames)
        self.assertFalse(self.client.offload)
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, frames)

    def test_aBatchIsOneWriteAndArrivesAsOne(self) -> None:
        self.announced()
        writes: list[Sequence[Buffer]] = []
        self.patch(self.clientEnd, "writeSequence", writes.append)
        self.client.write([packet()] * 50)
        self.assertEqual(len(writes), 1)
        self.server.dataReceived(b"".join(writes[0]))
        self.assertEqual(self.serverReceiver.batches, [50])

    def test_framesThatAreStillToBeCutOrCompletedCrossWhole(self) -> None:
        self.announced()
        self.assertTrue(self.client.offload and self.server.offload)
        frames = [
            partial(IP(dst="10.0.0.2") / UDP(sport=1, dport=2), b"u" * 64),
            partial(IP(dst="10.0.0.2") / TCP(sport=1, dport=2), b"t" * 60_000, 1400),
            partial(IPv6(dst="2001:db8::2") / TCP(sport=1, dport=2), b"t" * 60_000, 1220),
            partial(IPv6(dst="2001:db8::2") / UDP(sport=1, dport=2), b"u" * 12_000, 1200),
            packet(),
        ]
        self.client.write(frames)
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, frames)

    def test_whatIsNoPacketIsDroppedAndCounted(self) -> None:
        for _ in range(2):
            self.client.write([packet(1), bytes(MAX_FRAME + 1), packet(2)])
            self.network.pump()
        self.assertEqual(self.serverReceiver.received, [packet(1), packet(2)] * 2)
        self.assertEqual(self.client.droppedDatagrams, 2)

    def test_whatComesBeforeTheReceiverWaitsForIt(self) -> None:
        client, server = self.pair()
        tunnel, receiver = IPTunnel(self.clock), Packets()
        server.attach(tunnel)
        client.write(b"".join(map(bytes, encodePackets([packet()[10:]]))))
        client.write(encodeCapsule(ADDRESS_ASSIGN, encodeAddresses(ADDRESSES)))
        self.network.pump()
        tunnel.setReceiver(receiver)
        self.assertIs(receiver.channel, tunnel)
        self.assertEqual(receiver.received, [packet()])
        self.assertIn(("assigned", ADDRESSES), receiver.events)

    def test_whatIsWrittenBeforeTheExchangeWaitsForIt(self) -> None:
        client, server = self.pair()
        tunnel, peer, receiver = IPTunnel(self.clock), IPTunnel(self.clock), Packets()
        tunnel.write([packet()])
        tunnel.advertiseRoutes(ROUTES)
        tunnel.loseChannel()
        client.attach(tunnel)
        peer.setReceiver(receiver)
        server.attach(peer)
        self.network.pump()
        self.assertEqual(receiver.received, [packet()])
        self.assertIn(("routes", JOINED), receiver.events)
        assert receiver.lost is not None
        receiver.lost.trap(ConnectionDone)

    def test_whileThePeerStallsFramesWaitBoundedAndTheOldestGo(self) -> None:
        self.announced()
        self.serverEnd.pauseProducing()
        for number in range(3000):
            self.client.write([packet(10_000, number)])
        self.network.pump()
        self.assertGreater(self.client.droppedDatagrams, 1000)
        self.assertLess(self.clientEnd.bufferedBytes, 100_000)
        self.serverEnd.resumeProducing()
        self.network.pump()
        numbers = [int.from_bytes(frame[14:16], "big") for frame in self.serverReceiver.received]
        self.assertEqual(numbers[-1], 2999)
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual(len(numbers) + self.client.droppedDatagrams, 3000)

    def test_whatHasWaitedTooLongIsDropped(self) -> None:
        self.announced()
        self.serverEnd.pauseProducing()
        self.client.write([packet(60_000)] * 2)
        self.client.write([packet(1)])
        self.clock.advance(2)
        self.client.write([packet(2)])
        self.serverEnd.resumeProducing()
        self.network.pump()
        self.assertEqual(self.serverReceiver.received[2:], [packet(2)])
        self.assertEqual(self.client.droppedDatagrams, 1)


class StrangerTests(SynchronousTestCase):
    """
    A peer that is not ours.
    """

    def test_framesAreCutAndCompletedForIt(self) -> None:
        peer = Stranger(self)
        for ip, payload, size in (
            (IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2), b"u" * 64, 0),
            (IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2, seq=7), b"t" * 30_000, 1400),
            (IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1, dport=2), b"t" * 30_000, 1220),
            (IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=1, dport=2), b"u" * 12_000, 1200),
        ):
            peer.tunnel.write([packet(5), partial(ip, payload, size), packet(6)])
            first, *between, last = peer.packets()
            self.assertEqual((first, last), (packet(5)[10:], packet(6)[10:]))
            self.assertEqual(len(between), -(-len(payload) // size) if size else 1)
            data = b""
            for each in between:
                read = type(ip)(each)
                again = read.copy()
                for layer in (again, again.payload):
                    if "chksum" in layer.fields:
                        del layer.chksum
                self.assertEqual(bytes(again), each, "scapy computes the same checksums")
                data += bytes(read.payload.payload)
            self.assertEqual(data, payload)

    def test_theyAreCutToTheMTUOfTheTunnel(self) -> None:
        peer = Stranger(self, PacketOptions(assumedMTU=1300))
        peer.tunnel.write([partial(IP(dst="10.0.0.2") / TCP(sport=1, dport=2), b"t" * 30_000, 1460)])
        self.assertEqual(max(map(len, peer.packets())), 1300)

    def test_aFrameThatCanNotBeCutIsDroppedAndCounted(self) -> None:
        peer = Stranger(self)
        peer.tunnel.write([packet(5), b"\1\7" + bytes(8) + packet(5)[10:], packet(6)])
        self.assertEqual(peer.packets(), [packet(5)[10:], packet(6)[10:]])
        self.assertEqual(peer.tunnel.droppedDatagrams, 1)

    def test_itsMTUIsAssumed(self) -> None:
        self.assertEqual(Stranger(self).tunnel.mtu, 1500)
        self.assertEqual(Stranger(self, PacketOptions(assumedMTU=1400)).tunnel.mtu, 1400)
        self.assertEqual(Stranger(self, PacketOptions(mtu=1280)).tunnel.mtu, 1280)

    def test_unknownCapsulesAndContextsAreSkipped(self) -> None:
        peer = Stranger(self)
        peer.send(encodeCapsule(0x1F, b"?" * 100_000) + encodeCapsule(0, b"\4other"))
        peer.send(b"".join(map(bytes, encodePackets([packet()[10:]]))))
        self.assertEqual(peer.receiver.received, [packet()])
        self.assertEqual(peer.tunnel.unknownContexts, 1)


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


class EndTests(TunnelCase):
    """
    How it ends.
    """

    def test_losingTheChannelEndsBothEndsInOrder(self) -> None:
        self.client.write([packet()])
        self.client.loseChannel()
        self.client.write([packet(1)])
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, [packet()])
        for receiver in (self.clientReceiver, self.serverReceiver):
            assert receiver.lost is not None
            receiver.lost.trap(ConnectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whatThePeerHasSentUntilItEndsToStillComes(self) -> None:
        self.announced()
        self.client.loseChannel()
        self.server.write([packet(1)])
        self.network.pump()
        self.assertEqual(self.clientReceiver.received, [packet(1)])
        assert self.clientReceiver.lost is not None
        self.clientReceiver.lost.trap(ConnectionDone)

    def test_aPeerThatDoesNotEndIsNotWaitedForForever(self) -> None:
        peer = Stranger(self)
        peer.tunnel.loseChannel()
        peer.send(b"".join(map(bytes, encodePackets([packet()[10:]]))))
        self.assertEqual(peer.receiver.received, [packet()])
        peer.clock.advance(LINGER)
        peer.network.pump()
        self.assertTrue(peer.server._closing)
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_abortingTheChannelIsAnErrorForThePeer(self) -> None:
        self.client.abortChannel()
        self.network.pump()
        for receiver in (self.clientReceiver, self.serverReceiver):
            assert receiver.lost is not None
            receiver.lost.trap(StreamReset)

    def test_anEndWithinACapsuleIsMalformed(self) -> None:
        self.announced()
        self.clientEnd.write(b"\0\x10\0part")
        self.clientEnd.loseWriteConnection()
        self.network.pump()
        self.assertEqual(self.serverEnd.resetWith, PROTOCOL_ERROR)

    def test_losingTheConnectionLosesTheChannel(self) -> None:
        self.announced()
        self.client.loseChannel()
        self.network.disconnect()
        self.assertIsNotNone(self.clientReceiver.lost)
        self.client.write([packet()])
        self.client.advertiseRoutes([])
        self.client.drain()
        self.client.loseChannel()
        self.client.abortChannel()
        self.assertEqual(self.clock.getDelayedCalls(), [])


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


class HostileFrameTests(TunnelCase):
    """
    Frames whose headers lie.
    """

    def test_theyAreDroppedAndCountedAndTheOthersGoOn(self) -> None:
        self.announced()
        tcp = partial(IP(dst="10.0.0.2") / TCP(sport=1, dport=2), b"t" * 3000, 1000)
        hostile = [
            tcp[:1] + b"\7" + tcp[2:],  # an unknown kind of segmentation
            tcp[:4] + b"\0\0" + tcp[6:],  # segments of no size
            tcp[:4] + b"\1\0" + tcp[6:],  # one packet for each byte
            tcp[:6] + b"\xff\xff" + tcp[8:],  # a checksum outside
            tcp[:1] + b"\4" + tcp[2:],  # IPv6, it says
            b"\0" + tcp[1:],  # cut, and not completed
            tcp[:50],  # shorter than its packet
            tcp[:10],
            b"",
        ]
        for bad in hostile:
            self.clientEnd.write(b"".join(map(bytes, encodeFrames([tcp, bad, packet()]))))
            self.network.pump()
            self.assertEqual(self.serverReceiver.received, [tcp, packet()], bad[:12])
            self.serverReceiver.received.clear()
        self.assertEqual(self.server.droppedDatagrams, len(hostile))
