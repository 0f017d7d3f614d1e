"""
What a TUN device delivers, over a kernel that does what the test says.
"""

from __future__ import annotations

from errno import EINTR, EINVAL, EIO, ENOMEM

from twisted.internet.interfaces import IPushProducer, IReadWriteDescriptor
from zope.interface.verify import verifyObject

from hermes.interfaces import IPacketChannel
from hermes.interfaces.kernel import ILinkWatcher
from hermes.net.tunkernel import IFF_VNET_HDR
from hermes.net.tunqueue import BYTES_PER_TURN, PACKETS_PER_TURN, REST_DELAY
from hermes.test.net.tuncase import TunTestCase, packet, train
from hermes.testing.tun import FEATURES
from hermes.wire.offload import PLAIN


class ReadingTests(TunTestCase):
    def test_itIsAChannel(self) -> None:
        device = self.open()
        verifyObject(IPacketChannel, device)
        verifyObject(ILinkWatcher, device)
        (queue,) = self.reactor.readers
        verifyObject(IReadWriteDescriptor, queue)
        verifyObject(IPushProducer, queue)
        self.assertIs(self.receiver.channel, device)

    def test_itReadsNothingWithoutAReceiver(self) -> None:
        device = self.open(connect=False)
        self.inside.send(packet())
        self.reactor.turn()
        self.assertEqual(self.reactor.readers, set())
        device.setReceiver(self.receiver)
        self.reactor.turn()
        self.assertEqual(self.receiver.datagrams, [PLAIN + packet()])

    def test_whatIsThereIsDeliveredTogether(self) -> None:
        self.open()
        packets = [packet(number, 60 + number) for number in range(50)]
        self.inside.send(*packets)
        self.reactor.turn()
        self.assertEqual(self.receiver.batches, [[PLAIN + one for one in packets]])

    def test_aSegmentComesAsItIs(self) -> None:
        self.open()
        self.inside.sendFrames(train(40, 1400))
        self.reactor.turn()
        self.assertEqual(self.receiver.datagrams, [train(40, 1400)])

    def test_datagramsInARowComeAsOneFrame(self) -> None:
        """
        Where their checksums are still to be completed, as those of the kernel's own are.
        """
        self.open()
        datagram = bytes((1, 0, 0, 0, 0, 0, 20, 0, 6, 0)) + packet(7, 128)
        datagram = datagram[:16] + b"\x40" + datagram[17:20] + b"\0\0" + datagram[22:]
        self.inside.sendFrames(datagram, datagram, datagram, PLAIN + packet(1))
        self.reactor.turn()
        self.assertEqual([len(frame) for frame in self.receiver.datagrams], [10 + 28 + 300, 10 + 60])
        self.assertEqual(self.receiver.datagrams[0][:10], train(3, 100)[:10])

    def test_theLargestFrameFits(self) -> None:
        self.open()
        largest = bytes(10) + packet(1, 65535)
        self.inside.sendFrames(largest, largest)
        self.reactor.turn()
        self.assertEqual(self.receiver.datagrams, [largest, largest])

    def test_framesMayBeWrittenTo(self) -> None:
        """
        And that is nothing to the next ones in their place.
        """
        for offload in True, False:
            with self.subTest(offload=offload):
                self.renew()
                self.open(offload=offload)
                for _ in range(2):
                    self.inside.send(packet(1), packet(2))
                    self.reactor.turn()
                self.assertEqual(self.receiver.datagrams, [PLAIN + packet(1), PLAIN + packet(2)] * 2)
                self.assertEqual(self.receiver.writable, [True] * 4)

    def test_withoutTheHeaderFramesGetAnEmptyOne(self) -> None:
        self.kernel.features = FEATURES & ~IFF_VNET_HDR
        device = self.open()
        self.assertFalse(device.offload)
        self.inside.send(packet(1), packet(2, 1500))
        self.reactor.turn()
        self.assertEqual(self.receiver.datagrams, [PLAIN + packet(1), PLAIN + packet(2, 1500)])

    def test_othersHaveTheirTurnAfterSoManyPackets(self) -> None:
        for offload in True, False:
            with self.subTest(offload=offload):
                self.renew()
                self.open(offload=offload)
                self.inside.send(*[packet(number) for number in range(PACKETS_PER_TURN * 2 + 1)])
                self.reactor.turn()
                self.assertEqual([len(batch) for batch in self.receiver.batches], [PACKETS_PER_TURN] * 2 + [1])

    def test_othersHaveTheirTurnAfterSoManyBytes(self) -> None:
        for offload in True, False:
            with self.subTest(offload=offload):
                self.renew()
                self.open(offload=offload)
                self.inside.send(*[packet(number, 60000) for number in range(40)])
                self.reactor.turn()
                first = self.receiver.batches[0]
                self.assertEqual(len(first), BYTES_PER_TURN // 60000 + 1)
                self.assertEqual(len(self.receiver.datagrams), 40)

    def test_aSignalLosesNothing(self) -> None:
        self.open()
        self.inside.send(packet(1))
        self.inside.failRead(EINTR)
        self.inside.send(packet(2))
        self.reactor.turn()
        self.assertEqual(self.receiver.batches, [[PLAIN + packet(1)], [PLAIN + packet(2)]])

    def test_aDeviceThatIsDownIsReadAgainLater(self) -> None:
        for number in EIO, ENOMEM, EINVAL:
            with self.subTest(number=number):
                self.renew()
                self.open()
                self.inside.send(packet(1))
                self.inside.failRead(number)
                self.inside.send(packet(2))
                self.reactor.turn()
                self.assertEqual(self.receiver.datagrams, [PLAIN + packet(1)])
                reads = self.inside.queues[0].reads
                self.reactor.turn()
                self.assertEqual(self.inside.queues[0].reads, reads)
                self.reactor.advance(REST_DELAY)
                self.reactor.turn()
                self.assertEqual(self.receiver.datagrams, [PLAIN + packet(1), PLAIN + packet(2)])

    def test_aReceiverThatFailsDoesNotEndTheDevice(self) -> None:
        self.open()
        self.receiver.raising = ZeroDivisionError()
        self.inside.send(packet(1))
        self.reactor.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.receiver.raising = None
        self.inside.send(packet(2))
        self.reactor.turn()
        self.assertEqual(self.receiver.datagrams, [PLAIN + packet(1), PLAIN + packet(2)])

    def test_readingCanPause(self) -> None:
        device = self.open()
        device.pauseProducing()
        self.inside.send(packet())
        self.reactor.turn()
        self.assertEqual(self.receiver.batches, [])
        device.resumeProducing()
        self.reactor.turn()
        self.assertEqual(self.receiver.datagrams, [PLAIN + packet()])

    def test_aPauseOutlastsARest(self) -> None:
        device = self.open()
        self.inside.failRead(EIO)
        self.inside.send(packet())
        self.reactor.turn()
        device.pauseProducing()
        self.reactor.advance(REST_DELAY)
        self.reactor.turn()
        self.assertEqual(self.receiver.batches, [])
        device.resumeProducing()
        self.reactor.turn()
        self.assertEqual(self.receiver.datagrams, [PLAIN + packet()])

    def test_allQueuesAreRead(self) -> None:
        self.open(queues=3)
        for number in range(3):
            self.inside.send(packet(number), queue=number)
        self.reactor.turn()
        self.assertEqual(len(self.receiver.batches), 3)
        self.assertEqual(set(self.receiver.datagrams), {PLAIN + packet(number) for number in range(3)})
