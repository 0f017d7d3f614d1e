"""
Connected datagram sockets: batches in, batches out, and what may go wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from socket import AF_UNIX, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET, socket, socketpair

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReadDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces import IDatagramChannel
from hermes.net.mmsg import SLOTS
from hermes.net.segments import SOL_UDP, UDP_GRO, UDP_SEGMENT
from hermes.net.udp import MAX_QUEUED_AGE, UDPChannel
from hermes.test.net.descriptors import DescriptorReactor, Recorder, udpPair
from hermes.values import Buffer


class UDPChannelTests(SynchronousTestCase):
    """
    A connected socket.
    """

    host = "127.0.0.1"

    def setUp(self) -> None:
        self.reactor = DescriptorReactor()
        ours, self.peer = udpPair(self.host)
        self.addCleanup(self.peer.close)
        self.channel = UDPChannel(ours, self.reactor)
        self.receiver = Recorder()
        self.addCleanup(ours.close)

    def received(self, count: int) -> list[bytes]:
        return [self.peer.recv(70000) for _ in range(count)]

    def test_itIsAChannel(self) -> None:
        verifyObject(IDatagramChannel, self.channel)
        verifyObject(IReadDescriptor, self.channel)
        verifyObject(IHalfCloseableDescriptor, self.channel)

    def test_itReadsNothingWithoutAReceiver(self) -> None:
        self.assertEqual(self.reactor.readers, set())
        self.peer.send(b"early")
        self.channel.setReceiver(self.receiver)
        self.assertIs(self.receiver.channel, self.channel)
        self.channel.doRead()
        self.assertEqual(self.receiver.datagrams, [b"early"])

    def test_whatCameTogetherIsDeliveredTogether(self) -> None:
        self.channel.setReceiver(self.receiver)
        sent = [b"%d" % number for number in range(50)]
        for datagram in sent:
            self.peer.send(datagram)
        self.channel.doRead()
        self.assertEqual(self.receiver.batches, [sent])

    def test_aTrainIsTakenApart(self) -> None:
        self.channel.setReceiver(self.receiver)
        self.peer.send(b"before")
        self.peer.sendmsg([b"aaabbbc"], [(SOL_UDP, UDP_SEGMENT, struct.pack("@H", 3))])
        self.peer.send(b"between")
        self.peer.sendmsg([b"dddddd"], [(SOL_UDP, UDP_SEGMENT, struct.pack("@H", 3))])
        self.channel.doRead()
        self.assertEqual(self.receiver.batches, [[b"before", b"aaa", b"bbb", b"c", b"between", b"ddd", b"ddd"]])

    def test_manyTrainsAreDeliveredInBoundedBatches(self) -> None:
        self.channel.setReceiver(self.receiver)
        for _ in range(100):
            self.peer.sendmsg([b"x" * 6000], [(SOL_UDP, UDP_SEGMENT, struct.pack("@H", 100))])
        self.channel.doRead()
        self.assertEqual([len(batch) for batch in self.receiver.batches], [60 * SLOTS])
        self.channel.doRead()
        self.assertEqual([len(batch) for batch in self.receiver.batches], [60 * SLOTS, 60 * 16])

    def test_aDatagramAfterATrainIsWhole(self) -> None:
        """
        What the kernel said of the last batch does not cling to the next.
        """
        self.channel.setReceiver(self.receiver)
        self.peer.sendmsg([b"aaabbb"], [(SOL_UDP, UDP_SEGMENT, struct.pack("@H", 3))])
        self.channel.doRead()
        self.peer.send(b"whole datagram")
        self.peer.send(b"")
        self.channel.doRead()
        self.assertEqual(self.receiver.batches[1:], [[b"whole datagram", b""]])

    def test_emptyAndLargestDatagramsPassBothWays(self) -> None:
        self.channel.setReceiver(self.receiver)
        batch = [b"", b"x" * 65507, b"", b"", b"y"]
        self.channel.write(batch)
        self.assertEqual(self.received(5), batch)
        for datagram in batch:
            self.peer.send(datagram)
        self.channel.doRead()
        self.assertEqual(self.receiver.datagrams, batch)

    def test_aBatchGoesOutInOrder(self) -> None:
        batch = [bytes([number]) * (number % 7) for number in range(100)]
        self.channel.write(batch)
        self.assertEqual(self.received(100), batch)
        self.assertEqual(self.channel.droppedDatagrams, 0)

    def test_whatIsTooLargeIsDroppedAndCounted(self) -> None:
        self.channel.write([b"x" * (self.channel.maxDatagramSize + 1), b"fits"])
        self.assertEqual(self.received(1), [b"fits"])
        self.assertEqual(self.channel.droppedDatagrams, 1)

    def test_anICMPErrorIsCountedAndEndsNothing(self) -> None:
        self.channel.setReceiver(self.receiver)
        name = self.peer.getsockname()
        self.peer.close()
        self.channel.write([b"nobody there"])
        self.channel.doRead()
        self.assertEqual(self.channel.networkErrors, 1)
        self.channel.write([b"still nobody"])
        # The reactor sees an error on the socket, and nothing to read.
        self.reactor.removeReader(self.channel)
        self.channel.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.channel.networkErrors, 2)
        self.assertIn(self.channel, self.reactor.readers)
        self.channel.write([b"nobody"])
        self.peer = socket(self.channel.socket.family, SOCK_DGRAM)
        self.peer.bind(name)
        self.channel.write([b"somebody"])
        self.assertEqual(self.received(1), [b"somebody"])
        self.assertEqual(self.channel.networkErrors, 3)
        self.assertEqual(self.receiver.ends, [])

    def test_anOrderlyEndIsTold(self) -> None:
        self.channel.setReceiver(self.receiver)
        self.channel.loseChannel()
        self.assertEqual(self.reactor.readers, set())
        self.reactor.advance(0)
        self.assertTrue(self.receiver.ends[0].check(ConnectionDone))
        self.assertEqual(self.channel.fileno(), -1)
        self.channel.write([b"too late"])
        self.channel.loseChannel()
        self.channel.abortChannel()
        self.reactor.advance(1)
        self.assertEqual(len(self.receiver.ends), 1)

    def test_anAbortIsTold(self) -> None:
        self.channel.setReceiver(self.receiver)
        self.channel.loseChannel()
        self.channel.abortChannel()
        self.reactor.advance(0)
        self.assertEqual([end.type for end in self.receiver.ends], [ConnectionAborted])

    def test_aReceiverThatComesTooLateHearsOfTheEnd(self) -> None:
        self.channel.abortChannel()
        self.reactor.advance(0)
        self.channel.setReceiver(self.receiver)
        self.assertEqual([end.type for end in self.receiver.ends], [ConnectionLost])

    def test_theReactorsEndIsTheChannels(self) -> None:
        self.channel.setReceiver(self.receiver)
        self.channel.connectionLost(Failure(ConnectionLost()))
        self.assertEqual([end.type for end in self.receiver.ends], [ConnectionLost])

    def test_aReceiverThatFailsLosesItsChannel(self) -> None:
        class Failing(Recorder):
            def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
                raise ValueError("broken")

        receiver = Failing()
        self.channel.setReceiver(receiver)
        self.peer.send(b"x")
        self.channel.doRead()
        self.reactor.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual([end.type for end in receiver.ends], [ConnectionAborted])

    def test_addressesAreTold(self) -> None:
        self.assertEqual(self.channel.getPeer().port, self.peer.getsockname()[1])
        self.assertEqual(self.channel.getHost().host, self.host)


class UDPv6ChannelTests(UDPChannelTests):
    """
    The same over IPv6.
    """

    host = "::1"

    def test_whatIsTooLargeIsDroppedAndCounted(self) -> None:
        """
        A little more than what is promised passes here: the limit is that of one packet in fragments.
        """
        self.channel.write([b"x" * 70000, b"fits"])
        self.assertEqual(self.received(1), [b"fits"])
        self.assertEqual(self.channel.droppedDatagrams, 1)


class UnixChannelTests(SynchronousTestCase):
    """
    A connected Unix socket: unlike loopback UDP, it can be full.
    """

    def setUp(self) -> None:
        self.reactor = DescriptorReactor()
        ours, self.peer = socketpair(AF_UNIX, SOCK_DGRAM)
        self.peer.setblocking(False)
        self.channel = UDPChannel(ours, self.reactor)
        ours.setsockopt(SOL_SOCKET, SO_SNDBUF, 100000)
        self.receiver = Recorder()
        self.channel.setReceiver(self.receiver)
        self.addCleanup(ours.close)
        self.addCleanup(self.peer.close)

    def received(self) -> list[bytes]:
        datagrams = []
        while True:
            try:
                datagrams.append(self.peer.recv(70000))
            except BlockingIOError:
                return datagrams

    def fill(self) -> int:
        """
        Write until the socket is full.

        @return: how many datagrams went out.
        """
        self.channel.write([b"%d" % number for number in range(5000)])
        self.assertIn(self.channel, self.reactor.writers)
        return int(self.received()[-1]) + 1

    def test_whatTheSocketDoesNotTakeWaits(self) -> None:
        self.assertEqual(self.channel.bufferedBytes, 0)
        sent = self.fill()
        self.assertGreater(self.channel.bufferedBytes, 0)
        self.channel.write([b"last"])
        while self.channel in self.reactor.writers:
            self.channel.doWrite()
            got = self.received()
            self.assertEqual(got[0], b"%d" % sent)
            sent += len(got)
        self.assertEqual(got[-1], b"last")
        self.assertEqual(sent, 5001)

    def test_whatWaitsTooLongIsDropped(self) -> None:
        sent = self.fill()
        self.reactor.advance(MAX_QUEUED_AGE)
        self.channel.doWrite()
        self.assertEqual(self.received(), [])
        self.assertEqual(self.channel.droppedDatagrams, 5000 - sent)
        self.assertNotIn(self.channel, self.reactor.writers)

    def test_anOrderlyEndComesAfterWhatWaits(self) -> None:
        sent = self.fill()
        self.channel.loseChannel()
        self.channel.write([b"too late"])
        self.reactor.advance(0)
        self.assertEqual(self.receiver.ends, [])
        while not self.receiver.ends:
            self.channel.doWrite()
            sent += len(self.received())
        self.assertEqual(sent, 5000)
        self.assertTrue(self.receiver.ends[0].check(ConnectionDone))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_anEndDoesNotWaitForAStalledPeer(self) -> None:
        self.fill()
        self.channel.loseChannel()
        self.reactor.advance(MAX_QUEUED_AGE)
        self.assertTrue(self.receiver.ends[0].check(ConnectionDone))

    def test_anAbortDropsWhatWaits(self) -> None:
        sent = self.fill()
        self.channel.abortChannel()
        self.reactor.advance(0)
        self.assertEqual(self.channel.droppedDatagrams, 5000 - sent)
        self.assertEqual([end.type for end in self.receiver.ends], [ConnectionAborted])

    def test_aDatagramThatIsNoUDPDatagramIsDropped(self) -> None:
        self.peer.setsockopt(SOL_SOCKET, SO_SNDBUF, 400000)
        self.peer.send(b"before")
        self.peer.send(b"x" * 100000)
        self.peer.send(b"after")
        self.channel.doRead()
        self.assertEqual(self.receiver.batches, [[b"before", b"after"]])
        self.assertEqual(self.channel.droppedDatagrams, 1)


class KernelTests(SynchronousTestCase):
    """
    What is relied on.
    """

    def test_trainsAreAskedFor(self) -> None:
        ours, peer = udpPair()
        self.addCleanup(ours.close)
        self.addCleanup(peer.close)
        UDPChannel(ours, DescriptorReactor())
        self.assertEqual(ours.getsockopt(SOL_UDP, UDP_GRO), 1)
