"""
IP packets in capsules: L{IPTunnel} at both ends of an exchange.
"""

from __future__ import annotations

from collections.abc import Sequence

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import StreamReset
from hermes.interfaces import IPacketReceiver, IPacketTunnel
from hermes.test.tunnel.fakes import Packets
from hermes.test.tunnel.frames import packet, partial
from hermes.test.tunnel.iptunnelcase import ADDRESSES, JOINED, ROUTES, Stranger, TunnelCase
from hermes.tunnel.codes import PROTOCOL_ERROR
from hermes.tunnel.iptunnel import LINGER, IPTunnel, PacketOptions
from hermes.values import Buffer
from hermes.wire.capsule import encodeCapsule
from hermes.wire.framecapsules import MAX_FRAME, encodeFrames, encodePackets
from hermes.wire.ipcapsules import (
    ADDRESS_ASSIGN,
    encodeAddresses,
)


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

    def test_norIsOneThatReadsNothing(self) -> None:
        self.announced()
        self.serverEnd.pauseProducing()
        self.client.write([packet(60_000)] * 20)
        self.client.loseChannel()
        self.network.pump()
        self.assertTrue(self.clientEnd.bufferedBytes)
        self.clock.advance(LINGER)
        self.network.pump()
        for receiver in (self.clientReceiver, self.serverReceiver):
            assert receiver.lost is not None
            receiver.lost.trap(StreamReset)
        self.assertEqual(self.clock.getDelayedCalls(), [])

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
