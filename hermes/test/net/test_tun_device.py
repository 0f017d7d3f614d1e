"""
TUN devices that go away, come back, change and end.
"""

from __future__ import annotations

import os
from errno import EINVAL, ENODEV

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from hermes.interfaces.kernel import Link
from hermes.net.kernelerrors import DeviceGone, KernelError, MissingCapability, NoTunDriver
from hermes.net.tun import FIRST_DELAY, MAX_DELAY, TunDevice
from hermes.net.tunkernel import IFF_NO_PI, IFF_TUN, IFF_VNET_HDR
from hermes.net.tunopen import TunOptions
from hermes.net.tunqueue import MAX_QUEUED_AGE, PACKETS_PER_TURN
from hermes.test.net.tuncase import TunTestCase, packet
from hermes.wire.offload import PLAIN


class DeviceTests(TunTestCase):
    """
    What happens to the device.
    """

    def lose(self, how: str) -> None:
        """
        The device is deleted, and it shows.
        """
        (queue,) = self.kernel.devices["lan0"].queues[0:1]
        (watched,) = self.reactor.readers
        self.inside.delete()
        self.assertIsNone(queue.device)
        if how == "read":
            watched.doRead()
        elif how == "event":
            # As Twisted's reactors do when epoll(7) tells of an error and nothing to read.
            self.reactor.removeReader(watched)
            watched.readConnectionLost(Failure(ConnectionDone()))
        elif how == "write":
            watched.send([PLAIN + packet()])

    def test_aDeviceThatIsDeletedIsMadeAgain(self) -> None:
        for how in "read", "event", "write":
            with self.subTest(how=how):
                self.renew()
                device = self.open(persist=True, owner=1000)
                self.lose(how)
                self.assertEqual(self.kernel.devices, {})
                self.assertEqual(self.reactor.readers, set())
                self.reactor.advance(FIRST_DELAY)
                self.assertEqual(device.reopened, 1)
                self.assertEqual((self.inside.owner, self.inside.persistent), (1000, True))
                self.inside.send(packet(1))
                self.reactor.turn()
                device.write([PLAIN + packet(2)])
                self.assertEqual(self.receiver.datagrams, [PLAIN + packet(1)])
                self.assertEqual(self.inside.written, [PLAIN + packet(2)])
                self.assertEqual(self.receiver.ends, [])

    def test_itHasTheNameThatItHad(self) -> None:
        self.kernel.make("hermes0", IFF_TUN)
        device = TunDevice(self.reactor, TunOptions(), self.kernel)
        self.addCleanup(device._close)
        device.setReceiver(self.receiver)
        self.assertEqual(device.name, "hermes1")
        self.kernel.devices.pop("hermes0")
        self.kernel.devices["hermes1"].delete()
        self.reactor.turn()
        self.reactor.advance(FIRST_DELAY)
        self.assertEqual(list(self.kernel.devices), ["hermes1"])

    def test_whatIsWrittenMeanwhileIsDropped(self) -> None:
        device = self.open()
        self.lose("read")
        device.write([PLAIN + packet(1), PLAIN + packet(2)])
        self.assertEqual(device.droppedDatagrams, 2)
        self.reactor.advance(FIRST_DELAY)
        self.assertEqual(self.inside.written, [])

    def test_whatWaitedIsCounted(self) -> None:
        device = self.open()
        self.inside.full = True
        device.write([PLAIN + packet(1), PLAIN + packet(2)])
        self.lose("read")
        self.assertEqual(device.droppedDatagrams, 2)
        self.assertEqual(self.reactor.writers, set())

    def test_aLossWhileWritingWhatWaitedIsOne(self) -> None:
        device = self.open()
        self.inside.full = True
        device.write([PLAIN + packet(1), PLAIN + packet(2)])
        (queue,) = self.reactor.writers
        self.inside.delete()
        queue.doWrite()
        self.assertEqual(device.droppedDatagrams, 2)
        self.reactor.advance(FIRST_DELAY)
        self.assertEqual(device.reopened, 1)

    def test_itIsMadeAgainEverLater(self) -> None:
        """
        As long as somebody else has the name, for one.
        """
        device = self.open()
        self.lose("read")
        taken = self.kernel.make("lan0", 0)
        attempts = 0
        while attempts < 8:
            calls = self.reactor.getDelayedCalls()
            self.assertEqual(len(calls), 1)
            delay = calls[0].getTime() - self.reactor.seconds()
            self.assertAlmostEqual(delay, min(FIRST_DELAY * 2**attempts, MAX_DELAY))
            self.reactor.advance(delay)
            attempts += 1
        self.assertEqual(device.reopened, 0)
        taken.delete()
        self.reactor.advance(MAX_DELAY)
        self.assertEqual(device.reopened, 1)

    def test_aDeviceThatLastedIsMadeAgainSoon(self) -> None:
        device = self.open()
        for _ in range(3):
            self.reactor.advance(MAX_DELAY)
            self.lose("read")
            self.reactor.advance(FIRST_DELAY)
        self.assertEqual(device.reopened, 3)

    def test_aDeviceThatDoesNotLastIsMadeAgainLater(self) -> None:
        device = self.open()
        self.lose("read")
        self.reactor.advance(FIRST_DELAY)
        self.lose("read")
        self.reactor.advance(FIRST_DELAY)
        self.assertEqual(device.reopened, 1)
        self.reactor.advance(FIRST_DELAY)
        self.assertEqual(device.reopened, 2)

    def test_withoutTheRightToMakeItAgainTheChannelEnds(self) -> None:
        self.open()
        self.kernel.mayCreate = False
        self.lose("read")
        self.reactor.advance(FIRST_DELAY)
        (reason,) = self.receiver.ends
        reason.trap(MissingCapability)
        self.assertIn("CAP_NET_ADMIN", str(reason.value))

    def test_withoutADriverTheChannelEnds(self) -> None:
        self.open()
        self.kernel.openError = ENODEV
        self.lose("read")
        self.reactor.advance(FIRST_DELAY)
        self.receiver.ends[0].trap(NoTunDriver)

    def test_aDescriptorCanNotBeMadeAgain(self) -> None:
        device = self.kernel.make("lan0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR)
        self.kernel.given[7] = device
        self.open(descriptor=7)
        self.lose("write")
        # Not within the call that has found out.
        self.assertEqual(self.receiver.ends, [])
        self.reactor.advance(0)
        self.receiver.ends[0].trap(DeviceGone)
        self.assertIn("lan0", str(self.receiver.ends[0].value))

    def test_allQueuesAreMadeAgain(self) -> None:
        device = self.open(queues=3)
        self.inside.delete()
        self.reactor.turn()
        self.reactor.advance(FIRST_DELAY)
        self.assertEqual(device.reopened, 1)
        self.assertEqual(len(self.inside.queues), 3)
        self.assertEqual(len(self.reactor.readers), 3)

    def test_aDeviceThatIsNotReadIsMissedToo(self) -> None:
        device = self.open()
        device.pauseProducing()
        self.inside.delete()
        self.reactor.advance(FIRST_DELAY)
        self.assertEqual(device.reopened, 1)
        self.assertEqual(self.reactor.readers, set())

    def test_anotherDeviceMayGo(self) -> None:
        self.open()
        self.kernel.make("other0", IFF_TUN).delete()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_itsMTUIsFollowed(self) -> None:
        device = self.open()
        self.assertEqual(device.mtu, 1500)
        self.kernel.make("other0", IFF_TUN)
        self.netlink.setMTU("lan0", 1400)
        self.netlink.setUp("lan0", True)
        self.netlink.setMTU("other0", 9000)
        self.assertEqual(device.mtu, 1400)
        self.assertEqual(self.receiver.mtus, [1400])

    def test_everyChannelCarriesTheLeastOfIPv6(self) -> None:
        device = self.open()
        self.netlink.setMTU("lan0", 576)
        self.assertEqual((device.mtu, self.receiver.mtus), (1280, [1280]))

    def test_itsNameIsFollowed(self) -> None:
        device = self.open()
        device.linkChanged(Link(self.inside.index, "other0"))
        self.assertEqual(device.name, "other0")

    def test_missedChangesAreLookedUp(self) -> None:
        self.open()
        self.inside.mtu = 1300
        self.netlink.miss()
        self.assertEqual(self.receiver.mtus, [1300])

    def test_aDeviceThatIsMadeAgainMayHaveAnotherMTU(self) -> None:
        device = self.open()
        self.netlink.setMTU("lan0", 1400)
        self.lose("read")
        self.reactor.advance(FIRST_DELAY)
        self.assertEqual(device.mtu, 1500)
        self.assertEqual(self.receiver.mtus, [1400, 1500])

    def test_whatCanNotBeOpenedIsAnError(self) -> None:
        self.kernel.mayCreate = False
        self.assertRaises(KernelError, self.open)
        self.assertEqual(self.netlink.watched, 0)

    def test_whatCanNotBeWatchedIsNotLeftOpen(self) -> None:
        self.netlink.watchError = OSError(EINVAL, os.strerror(EINVAL))
        self.assertIn("devices can't be watched", str(self.assertRaises(KernelError, self.open)))
        self.assertEqual(self.kernel.devices, {})


class EndTests(TunTestCase):
    def test_anOrderlyEnd(self) -> None:
        device = self.open()
        device.write([PLAIN + packet(1)])
        device.loseChannel()
        device.loseChannel()
        self.assertEqual(self.reactor.readers, set())
        device.write([PLAIN + packet(2)])
        self.assertEqual(self.receiver.ends, [])
        written = self.inside.written
        self.reactor.advance(0)
        self.receiver.ends[0].trap(ConnectionDone)
        self.assertEqual(written, [PLAIN + packet(1)])
        self.assertEqual(self.kernel.devices, {})
        self.assertEqual(self.netlink.watched, 0)
        device.write([PLAIN + packet(3)])
        device.abortChannel()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_whatWaitsIsWrittenBeforeAnOrderlyEnd(self) -> None:
        device = self.open(persist=True, queues=2)
        inside = self.inside
        queues = list(inside.queues)
        inside.full = True
        device.write([PLAIN + packet(number) for number in range(6)])
        device.loseChannel()
        self.reactor.advance(0)
        self.assertEqual(self.receiver.ends, [])
        inside.full = False
        self.reactor.turn()
        self.receiver.ends[0].trap(ConnectionDone)
        self.assertEqual(sum(len(queue.written) for queue in queues), 6)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_anOrderlyEndDoesNotWaitForever(self) -> None:
        device = self.open()
        self.inside.full = True
        device.write([PLAIN + packet(1)])
        device.loseChannel()
        self.reactor.advance(MAX_QUEUED_AGE)
        self.receiver.ends[0].trap(ConnectionDone)
        self.assertEqual(device.droppedDatagrams, 1)
        self.assertEqual((self.reactor.readers, self.reactor.writers), (set(), set()))

    def test_anEndAtOnce(self) -> None:
        device = self.open()
        self.inside.full = True
        device.write([PLAIN + packet(1)])
        device.loseChannel()
        device.abortChannel()
        self.reactor.advance(0)
        self.receiver.ends[0].trap(ConnectionAborted)
        self.assertEqual(self.kernel.devices, {})
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_anEndWhileItIsGone(self) -> None:
        device = self.open()
        self.inside.delete()
        self.reactor.turn()
        device.loseChannel()
        self.reactor.advance(FIRST_DELAY)
        self.receiver.ends[0].trap(ConnectionDone)
        self.assertEqual(self.kernel.devices, {})
        self.assertEqual(device.reopened, 0)

    def test_aDeviceThatGoesWhileItEndsIsNotMadeAgain(self) -> None:
        device = self.open()
        self.inside.full = True
        device.write([PLAIN + packet(1)])
        device.loseChannel()
        self.inside.delete()
        self.reactor.turn()
        self.reactor.advance(MAX_QUEUED_AGE)
        self.receiver.ends[0].trap(ConnectionDone)
        self.assertEqual(self.kernel.devices, {})

    def test_theReactorStops(self) -> None:
        self.open()
        for reader in list(self.reactor.readers):
            self.reactor.removeReader(reader)
            reader.connectionLost(Failure(ConnectionLost()))
        self.receiver.ends[0].trap(ConnectionLost)
        self.assertEqual(self.kernel.devices, {})
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_endingFromWithinABatch(self) -> None:
        device = self.open()
        self.receiver.onReceived = device.abortChannel
        self.inside.send(*[packet(number) for number in range(PACKETS_PER_TURN + 1)])
        self.reactor.turn()
        self.assertEqual(len(self.receiver.batches), 1)
        self.receiver.ends[0].trap(ConnectionAborted)

    def test_aReceiverMayComeTooLate(self) -> None:
        device = self.open(connect=False)
        device.abortChannel()
        self.reactor.advance(0)
        device.setReceiver(self.receiver)
        self.receiver.ends[0].trap(ConnectionLost)

    def test_aReceiverThatFailsToEndIsLogged(self) -> None:
        device = self.open()

        def fail(reason: Failure) -> None:
            raise ZeroDivisionError()

        self.patch(self.receiver, "channelLost", fail)
        device.abortChannel()
        self.reactor.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_aClosedQueueIsNobodysDescriptor(self) -> None:
        """
        Its number may be another's by now.
        """
        device = self.open()
        (queue,) = self.reactor.readers
        device.abortChannel()
        self.reactor.advance(0)
        self.assertEqual(queue.fileno(), -1)
        queue.send([PLAIN + packet()])
        queue.connectionLost(Failure(ConnectionLost()))
        queue.loseConnection()
        self.assertEqual(self.reactor.writers, set())
