"""
Datagrams in capsules.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import StreamReset
from hermes.interfaces import IDatagramChannel
from hermes.test.tunnel.fakes import Datagrams
from hermes.testing import MemoryClientExchange, MemoryNetwork, MemoryServerExchange
from hermes.tunnel.channel import CapsuleChannel
from hermes.tunnel.codes import PROTOCOL_ERROR
from hermes.tunnel.request import connectUDPHead
from hermes.values import Buffer, ResponseHead, Target
from hermes.wire.capsule import encodeCapsule
from hermes.wire.varint import encodeVarint


class ChannelTests(SynchronousTestCase):
    """
    L{CapsuleChannel} at both ends of an exchange.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork()
        self.clientEnd, self.serverEnd = self.pair()
        self.client, self.server = CapsuleChannel(self.clock), CapsuleChannel(self.clock)
        self.clientReceiver, self.serverReceiver = Datagrams(), Datagrams()
        self.client.setReceiver(self.clientReceiver)
        self.server.setReceiver(self.serverReceiver)
        self.clientEnd.attach(self.client)
        self.serverEnd.attach(self.server)

    def pair(self) -> tuple[MemoryClientExchange, MemoryServerExchange]:
        client, server = self.network.pair(connectUDPHead(Target("dns.hermes", 53), b"p"))
        server.respond(ResponseHead(200))
        return client, server

    def test_itIsADatagramChannel(self) -> None:
        verifyObject(IDatagramChannel, self.client)

    def test_datagramsOfEverySizeCrossInOrder(self) -> None:
        datagrams = [b"", b"a", b"x" * 1200, b"y" * 65507, b"", b"z" * 65527]
        self.client.write(datagrams)
        self.server.write(datagrams[::-1])
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, datagrams)
        self.assertEqual(self.clientReceiver.received, datagrams[::-1])

    def test_aBatchIsOneWriteAndArrivesAsOne(self) -> None:
        writes: list[list[Buffer]] = []
        self.patch(self.clientEnd, "writeSequence", writes.append)
        self.client.write([b"a" * 100] * 50)
        self.assertEqual(len(writes), 1)
        self.server.dataReceived(b"".join(writes[0]))
        self.assertEqual(self.serverReceiver.batches, [50])

    def test_whatIsTooLargeForUDPIsDroppedAndCounted(self) -> None:
        self.client.write([b"a", b"x" * 65528, b"b"])
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, [b"a", b"b"])
        self.assertEqual(self.client.droppedDatagrams, 1)

    def test_unknownCapsulesAndContextsAreSkipped(self) -> None:
        self.clientEnd.write(encodeCapsule(0x1F, b"?" * 100_000))
        self.clientEnd.write(encodeCapsule(0, encodeVarint(2) + b"other context"))
        self.client.write([b"known"])
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, [b"known"])
        self.assertEqual(self.server.unknownContexts, 1)

    def test_aMalformedCapsuleResetsThatStreamOnly(self) -> None:
        otherClient, otherServer = self.pair()
        receiver, other = Datagrams(), CapsuleChannel(self.clock)
        other.setReceiver(receiver)
        otherServer.attach(other)
        self.clientEnd.write(encodeCapsule(0, b""))
        self.network.pump()
        self.assertEqual(self.serverEnd.resetWith, PROTOCOL_ERROR)
        assert self.clientReceiver.lost is not None and self.serverReceiver.lost is not None
        self.clientReceiver.lost.trap(StreamReset)
        otherClient.write(encodeCapsule(0, b"\0fine"))
        self.network.pump()
        self.assertEqual(receiver.received, [b"fine"])

    def test_aDatagramThatNoUDPPacketHoldsResetsTheStream(self) -> None:
        self.clientEnd.write(encodeCapsule(0, bytes(65529)))
        self.network.pump()
        self.assertEqual(self.serverEnd.resetWith, PROTOCOL_ERROR)

    def test_anEndWithinACapsuleIsMalformed(self) -> None:
        self.clientEnd.write(encodeCapsule(0, b"\0whole") + b"\0\x10\0part")
        self.clientEnd.loseWriteConnection()
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, [b"whole"])
        self.assertEqual(self.serverEnd.resetWith, PROTOCOL_ERROR)

    def test_losingTheChannelEndsBothEndsInOrder(self) -> None:
        self.client.write([b"last"])
        self.client.loseChannel()
        self.client.write([b"too late"])
        self.network.pump()
        self.assertEqual(self.serverReceiver.received, [b"last"])
        for receiver in (self.clientReceiver, self.serverReceiver):
            assert receiver.lost is not None
            receiver.lost.trap(ConnectionDone)

    def test_abortingTheChannelIsAnErrorForThePeer(self) -> None:
        self.client.abortChannel()
        self.network.pump()
        for receiver in (self.clientReceiver, self.serverReceiver):
            assert receiver.lost is not None
            receiver.lost.trap(StreamReset)

    def test_whileThePeerStallsDatagramsWaitBoundedAndTheOldestGo(self) -> None:
        self.serverEnd.pauseProducing()
        for number in range(3000):
            self.client.write([b"%04d" % number + bytes(996)])
        self.network.pump()
        self.assertGreater(self.client.droppedDatagrams, 1000)
        self.assertLess(self.clientEnd.bufferedBytes, 10_000)
        # Whoever could send less is told of both.
        self.assertGreater(self.client.bufferedBytes, 1_000_000)
        self.serverEnd.resumeProducing()
        self.network.pump()
        self.assertEqual(self.client.bufferedBytes, 0)
        received = [int(datagram[:4]) for datagram in self.serverReceiver.received]
        self.assertEqual(received[-1], 2999)
        self.assertEqual(received, sorted(received))
        self.assertEqual(len(received) + self.client.droppedDatagrams, 3000)

    def test_whatHasWaitedTooLongIsDropped(self) -> None:
        self.serverEnd.pauseProducing()
        self.client.write([bytes(65000)] * 2)
        self.client.write([b"old"])
        self.clock.advance(2)
        self.client.write([b"new"])
        self.serverEnd.resumeProducing()
        self.network.pump()
        self.assertEqual(self.serverReceiver.received[2:], [b"new"])
        self.assertEqual(self.client.droppedDatagrams, 1)

    def test_whatComesBeforeTheReceiverWaitsForIt(self) -> None:
        client, server = self.pair()
        channel, receiver = CapsuleChannel(self.clock), Datagrams()
        server.attach(channel)
        client.write(encodeCapsule(0, b"\0early"))
        self.network.pump()
        channel.setReceiver(receiver)
        self.assertIs(receiver.channel, channel)
        self.assertEqual(receiver.received, [b"early"])

    def test_whatIsWrittenBeforeTheExchangeWaitsForIt(self) -> None:
        client, server = self.pair()
        channel, peer, receiver = CapsuleChannel(self.clock), CapsuleChannel(self.clock), Datagrams()
        channel.write([b"early"])
        channel.loseChannel()
        client.attach(channel)
        peer.setReceiver(receiver)
        server.attach(peer)
        self.network.pump()
        self.assertEqual(receiver.received, [b"early"])
        assert receiver.lost is not None
        receiver.lost.trap(ConnectionDone)

    def test_losingTheConnectionLosesTheChannel(self) -> None:
        self.network.disconnect()
        self.assertIsNotNone(self.clientReceiver.lost)
        self.client.write([b"nowhere"])
        self.client.loseChannel()
        self.client.abortChannel()
