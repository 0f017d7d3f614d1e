"""
What is written to a TUN device, over a kernel that does what the test says.
"""

from __future__ import annotations

from errno import EAGAIN, EINTR, EIO, ENOBUFS, ENOMEM

from hermes.net.tunkernel import TUN_F_USO4, TUN_F_USO6
from hermes.net.tunqueue import MAX_QUEUED_AGE, RETRY_DELAY
from hermes.test.net.tuncase import TunTestCase, packet, train
from hermes.values import Buffer
from hermes.wire.offload import PLAIN, segment


class WritingTests(TunTestCase):
    def test_framesGoOutInOrder(self) -> None:
        device = self.open()
        frames: list[Buffer] = [PLAIN + packet(1), memoryview(train(3, 100)), bytearray(PLAIN + packet(2))]
        device.write(frames)
        self.assertEqual(self.inside.written, [bytes(frame) for frame in frames])
        self.assertEqual(device.droppedDatagrams, 0)

    def test_framesCanBeWrittenOneByOne(self) -> None:
        """
        The transport of a queue is one as Twisted has it, too.
        """
        self.open()
        (queue,) = self.reactor.readers
        queue.write(PLAIN + packet(1))
        queue.writeSequence([PLAIN + packet(2), PLAIN + packet(3)])
        self.assertEqual(self.inside.written, [PLAIN + packet(number) for number in (1, 2, 3)])

    def test_withoutTheHeaderPacketsAreWritten(self) -> None:
        device = self.open(offload=False)
        device.write([PLAIN + packet(1), train(2, 1000), memoryview(PLAIN + packet(2))])
        cut = [bytes(part)[10:] for part in segment(train(2, 1000))]
        self.assertEqual(len(cut), 2)
        self.assertEqual(self.inside.written, [packet(1), *cut, packet(2)])

    def test_withoutTheHeaderAFrameThatMeansNothingIsDropped(self) -> None:
        device = self.open(offload=False)
        frames = [b"", b"short", PLAIN, b"\x01\x09" + bytes(8) + packet(), PLAIN + packet(1)]
        device.write(frames)
        self.assertEqual(self.inside.written, [packet(1)])
        self.assertEqual(device.droppedDatagrams, 4)

    def test_aKernelThatKnowsNoTrainsGetsDatagrams(self) -> None:
        self.kernel.knownOffloads &= ~(TUN_F_USO4 | TUN_F_USO6)
        device = self.open()
        device.write([PLAIN + packet(1)])
        device.write([PLAIN + packet(2), train(3, 500)])
        cut = [bytes(part) for part in segment(train(3, 500))]
        self.assertEqual(self.inside.written, [PLAIN + packet(1), PLAIN + packet(2), *cut])

    def test_aPacketThatIsNoneIsDroppedAndTheOthersGoOn(self) -> None:
        device = self.open()
        device.write([b"", PLAIN + packet(1), PLAIN, b"\xff" * 20, PLAIN + packet(2)])
        self.assertEqual(self.inside.written, [PLAIN + packet(1), PLAIN + packet(2)])
        self.assertEqual(device.droppedDatagrams, 3)

    def test_aSignalLosesNoPacket(self) -> None:
        device = self.open()
        self.inside.failWrite(EINTR)
        device.write([PLAIN + packet(1), PLAIN + packet(2)])
        self.assertEqual(self.inside.written, [PLAIN + packet(1), PLAIN + packet(2)])

    def test_whatAFullDeviceDoesNotTakeWaitsInOrder(self) -> None:
        device = self.open()
        device.write([PLAIN + packet(0)])
        self.inside.failWrite(EAGAIN)
        device.write([PLAIN + packet(1), PLAIN + packet(2)])
        device.write([PLAIN + packet(3)])
        self.assertEqual(self.inside.written, [PLAIN + packet(0)])
        self.assertEqual(len(self.reactor.writers), 1)
        self.reactor.turn()
        self.assertEqual(self.inside.written, [PLAIN + packet(number) for number in range(4)])
        self.assertEqual(self.reactor.writers, set())
        self.assertEqual(device.droppedDatagrams, 0)

    def test_whatIsNotTakenTheSecondTimeWaitsOn(self) -> None:
        device = self.open()
        self.inside.full = True
        device.write([PLAIN + packet(1), PLAIN + packet(2)])
        (queue,) = self.reactor.writers
        queue.doWrite()
        self.assertEqual(self.reactor.writers, {queue})
        self.inside.full = False
        self.reactor.turn()
        self.assertEqual(self.inside.written, [PLAIN + packet(1), PLAIN + packet(2)])

    def test_whatWaitsTooLongIsDropped(self) -> None:
        device = self.open()
        self.inside.full = True
        device.write([PLAIN + packet(number) for number in range(5)])
        self.reactor.advance(MAX_QUEUED_AGE)
        self.inside.full = False
        device.write([PLAIN + packet(9)])
        self.reactor.turn()
        self.assertEqual(self.inside.written, [PLAIN + packet(9)])
        self.assertEqual(device.droppedDatagrams, 5)

    def test_whatIsTooMuchIsDroppedFromTheFront(self) -> None:
        device = self.open()
        self.inside.full = True
        frames = [PLAIN + packet(number, 65000) for number in range(100)]
        for frame in frames:
            device.write([frame])
        self.inside.full = False
        self.reactor.turn()
        count = len(self.inside.written)
        self.assertEqual(self.inside.written, frames[-count:])
        self.assertTrue(40 < count < 100)
        self.assertEqual(device.droppedDatagrams, 100 - count)

    def test_aKernelWithoutMemoryIsAskedAgainSoon(self) -> None:
        """
        The device says all the time that it can be written to.
        """
        for number in ENOBUFS, ENOMEM:
            with self.subTest(number=number):
                self.renew()
                device = self.open()
                self.inside.failWrite(number, number)
                device.write([PLAIN + packet(1)])
                device.write([PLAIN + packet(2)])
                self.assertEqual(self.reactor.writers, set())
                self.reactor.advance(RETRY_DELAY)
                self.assertEqual(self.inside.written, [])
                self.reactor.advance(RETRY_DELAY)
                self.assertEqual(self.inside.written, [PLAIN + packet(1), PLAIN + packet(2)])
                self.assertEqual(device.droppedDatagrams, 0)

    def test_packetsForADeviceThatIsDownAreDropped(self) -> None:
        device = self.open()
        self.inside.failWrite(EIO)
        device.write([PLAIN + packet(1), PLAIN + packet(2)])
        self.assertEqual(device.droppedDatagrams, 2)
        self.assertEqual(self.inside.queues[0].writes, 1)
        device.write([PLAIN + packet(3)])
        self.assertEqual(self.inside.written, [PLAIN + packet(3)])

    def test_aFlowStaysOnItsQueue(self) -> None:
        device = self.open(queues=4)
        frames = [PLAIN + packet(flow, 60 + number) for number in range(5) for flow in range(40)]
        device.write(frames)
        queues = [queue.written for queue in self.inside.queues]
        self.assertEqual(sorted(frame for queue in queues for frame in queue), sorted(frames))
        self.assertTrue(all(queues))
        for flow in range(40):
            mine = [[frame for frame in queue if frame[30:32] == flow.to_bytes(2, "big")] for queue in queues]
            self.assertEqual(sorted(map(len, mine)), [0, 0, 0, 5])
            self.assertEqual(max(mine, key=len), frames[flow::40])

    def test_oddFramesFindAQueueToo(self) -> None:
        device = self.open(queues=2)
        version6 = PLAIN + b"\x60" + bytes(59)
        device.write([b"", PLAIN, PLAIN + b"\x60", version6])
        self.assertEqual(self.inside.written, [version6])
        self.assertEqual(device.droppedDatagrams, 3)
