"""
Tests for L{hermes.ndn.face.streamchannel}.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.interfaces import IDatagramChannel, IDatagramReceiver
from hermes.ndn.face.streamchannel import MAX_QUEUED, StreamChannel
from hermes.test.fabric.fakes import FakeStream
from hermes.test.ndn.face.fakes import data, dataOf, interest
from hermes.values import Buffer


@implementer(IDatagramReceiver)
class Receiver:
    """
    Keeps what a channel tells it.
    """

    def __init__(self) -> None:
        self.channel: IDatagramChannel | None = None
        self.datagrams: list[bytes] = []
        self.batches = 0
        self.lost: BaseException | None = None

    def channelConnected(self, channel: IDatagramChannel) -> None:
        self.channel = channel

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        self.batches += 1
        self.datagrams += map(bytes, datagrams)

    def channelLost(self, reason: Failure) -> None:
        self.lost = reason.value


class StreamChannelTests(SynchronousTestCase):
    """
    Packets over a byte stream.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.stream = FakeStream(self.clock)
        self.receiver = Receiver()
        self.channel = StreamChannel(self.stream)

    def start(self) -> None:
        """
        Somebody reads.
        """
        self.channel.setReceiver(self.receiver)

    def test_itIsAChannel(self) -> None:
        verifyObject(IDatagramChannel, self.channel)

    def test_nothingIsReadBeforeThereIsAReceiver(self) -> None:
        self.assertFalse(self.stream.reading)
        self.start()
        self.assertTrue(self.stream.reading)
        self.assertIs(self.receiver.channel, self.channel)

    def test_packetsOfOneReadAreOneBatch(self) -> None:
        self.start()
        one, two, three = interest().wire, dataOf(8800).wire, data().wire
        self.stream.deliver(one + two + three[:5])
        self.stream.deliver(three[5:])
        self.assertEqual(self.receiver.datagrams, [one, two, three])
        self.assertEqual(self.receiver.batches, 2)

    def test_aBatchIsWrittenAsItIs(self) -> None:
        self.start()
        packets = [interest().wire, data().wire]
        self.channel.write(packets)
        self.assertEqual(bytes(self.stream.taken), b"".join(packets))

    def test_thePacketsOfASlowReaderAreBoundedAndWhole(self) -> None:
        self.start()
        self.stream.room = 0
        packets = [dataOf(8000, f"/a/{number:03}").wire for number in range(300)]
        for start in range(0, 300, 10):
            self.channel.write(packets[start : start + 10])
        held = self.channel.bufferedBytes
        self.assertLessEqual(held, MAX_QUEUED + self.stream.highWater + 80_000)
        self.assertGreater(self.channel.droppedDatagrams, 100)
        self.stream.take()
        self.assertEqual(self.channel.bufferedBytes, 0)
        got = bytes(self.stream.taken)
        self.assertEqual(len(got) // 8000, 300 - self.channel.droppedDatagrams)
        arrived = [got[start : start + 8000] for start in range(0, len(got), 8000)]
        # Those that were dropped were the oldest of those that waited.
        first = arrived.index(next(one for one, other in zip(arrived, packets, strict=False) if one != other))
        self.assertEqual(arrived, packets[:first] + packets[-(len(arrived) - first) :])

    def test_itIsFullAgainWhileItCatchesUp(self) -> None:
        self.start()
        self.stream.room = 0
        packet = dataOf(8000).wire
        self.channel.write([packet] * 100)
        self.stream.take(400_000)
        self.channel.write([packet])
        self.stream.take()
        self.assertEqual(len(self.stream.taken), 101 * 8000)
        self.assertEqual(self.channel.droppedDatagrams, 0)

    def test_whatIsNoStreamOfPacketsEnds(self) -> None:
        self.start()
        self.stream.deliver(b"\0" * 10)
        self.assertEqual(self.stream.calls, ["abortConnection"])
        self.clock.advance(0)
        self.assertIsInstance(self.receiver.lost, ConnectionAborted)
        self.assertEqual(self.receiver.datagrams, [])

    def test_itEndsInOrderAfterWhatWaits(self) -> None:
        self.start()
        self.stream.room = 0
        packets = [dataOf(8000).wire] * 50
        self.channel.write(packets)
        self.channel.loseChannel()
        self.channel.write(packets)
        self.stream.take()
        self.clock.advance(0)
        self.assertEqual(len(self.stream.taken), 50 * 8000)
        self.assertIsInstance(self.receiver.lost, ConnectionDone)

    def test_thePeerEnds(self) -> None:
        self.start()
        self.stream.fail(ConnectionLost())
        self.assertIsInstance(self.receiver.lost, ConnectionLost)
        self.channel.write([b"x"])
        self.channel.loseChannel()
        self.channel.abortChannel()

    def test_anEndThatIsAskedForBeforeThereIsAConnection(self) -> None:
        channel = StreamChannel()
        channel.loseChannel()
        self.stream.attach(channel)
        self.assertEqual(self.stream.calls, ["loseConnection"])

    def test_whatComesBeforeThereIsAReceiverWaits(self) -> None:
        channel = StreamChannel()
        self.stream.attach(channel)
        self.stream.deliver(interest().wire)
        self.assertFalse(self.stream.reading)
        channel.setReceiver(self.receiver)
        self.assertTrue(self.stream.reading)
        self.assertEqual(self.receiver.datagrams, [interest().wire])

    def test_oneOfTwistedsTransportsDoesToo(self) -> None:
        transport = StringTransport()
        transport.protocol = Protocol()  # type: ignore[attr-defined]
        channel = StreamChannel(transport)
        channel.setReceiver(self.receiver)
        channel.write([b"\x05\x00", b"\x06\x00"])
        self.assertEqual(transport.value(), b"\x05\x00\x06\x00")
        self.assertIs(transport.protocol, channel)  # type: ignore[attr-defined]
        channel.dataReceived(data().wire)
        self.assertEqual(self.receiver.datagrams, [data().wire])
