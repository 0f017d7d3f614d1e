"""
TUN devices and netlink without a kernel behave as those of the kernel do. Where there is one, the same is asked of it.
"""

from __future__ import annotations

import os
import select
from errno import EAGAIN, EBADF, EBADFD, EBUSY, EEXIST, EINVAL, EIO, ENETDOWN, ENODEV
from ipaddress import ip_interface, ip_network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces.kernel import (
    Add,
    INetlink,
    ITunDescriptor,
    ITunKernel,
    Link,
    LinkAddress,
    LinkRoute,
    PolicyRule,
    Remove,
    SetLink,
)
from hermes.net.kernelerrors import KernelError
from hermes.net.tunkernel import (
    IFF_MULTI_QUEUE,
    IFF_NO_PI,
    IFF_TUN,
    IFF_VNET_HDR,
    TUNGETIFF,
    TUNSETIFF,
    TUNSETOFFLOAD,
    TUNSETPERSIST,
    packDevice,
    packNumber,
    unpackDevice,
)
from hermes.test.namespaces import Namespace, needTun
from hermes.testing.netlink import MemoryNetlink
from hermes.testing.tun import MemoryTunKernel
from hermes.wire.offload import PLAIN

PLAIN_TUN = IFF_TUN | IFF_NO_PI
PACKET = b"\x45\0\0\x14" + bytes(16)


class TunContract(SynchronousTestCase):
    """
    What both do.
    """

    kernel: Any

    def setUp(self) -> None:
        self.kernel = MemoryTunKernel()

    def attach(self, name: str = "lan0", flags: int = PLAIN_TUN) -> Any:
        descriptor = self.kernel.open()
        self.addCleanup(descriptor.close)
        self.kernel.ioctl(descriptor, TUNSETIFF, packDevice(name, flags))
        return descriptor

    def refusal(self, function: Any, *arguments: Any) -> int | None:
        number: int | None = self.assertRaises(OSError, function, *arguments).errno
        return number

    def test_aDescriptorIsNoDeviceAtFirst(self) -> None:
        descriptor = self.kernel.open()
        self.addCleanup(descriptor.close)
        self.assertEqual(self.refusal(descriptor.readinto, memoryview(bytearray(100))), EBADFD)
        self.assertEqual(self.refusal(descriptor.write, PACKET), EBADFD)
        self.assertEqual(self.refusal(self.kernel.ioctl, descriptor, TUNGETIFF, packDevice("")), EBADFD)

    def test_aDeviceSaysWhatItIs(self) -> None:
        request = packDevice("")
        self.kernel.ioctl(self.attach("lan%d", PLAIN_TUN | IFF_VNET_HDR), TUNGETIFF, request)
        name, flags = unpackDevice(request)
        self.assertEqual((name, flags & (PLAIN_TUN | IFF_VNET_HDR)), ("lan0", PLAIN_TUN | IFF_VNET_HDR))
        self.assertEqual(self.kernel.mtu("lan0"), 1500)
        self.assertTrue(self.kernel.index("lan0") > 0)

    def test_whatIsNotThereHasNoMTU(self) -> None:
        self.assertEqual(self.refusal(self.kernel.mtu, "lan0"), ENODEV)
        self.assertRaises(OSError, self.kernel.index, "lan0")

    def test_thereIsNothingToReadAtFirst(self) -> None:
        descriptor = self.attach()
        self.assertIsNone(descriptor.readinto(memoryview(bytearray(100))))
        self.assertEqual(select.select([descriptor], [], [], 0)[0], [])

    def test_whatIsNoPacketIsRefused(self) -> None:
        descriptor = self.attach(flags=PLAIN_TUN | IFF_VNET_HDR)
        for nonsense in b"", b"\0", PLAIN:
            # A device that is down says that before.
            self.assertIn(self.refusal(descriptor.write, nonsense), (EINVAL, EIO))

    def test_aDeviceHasOneDescriptor(self) -> None:
        self.attach()
        self.assertEqual(self.refusal(self.attach), EBUSY)
        self.assertEqual(self.refusal(self.attach, "lan0", PLAIN_TUN | IFF_MULTI_QUEUE), EINVAL)

    def test_aDeviceOfManyQueuesHasMore(self) -> None:
        first = self.attach(flags=PLAIN_TUN | IFF_MULTI_QUEUE)
        second = self.attach(flags=PLAIN_TUN | IFF_MULTI_QUEUE)
        first.close()
        self.assertEqual(self.kernel.mtu("lan0"), 1500)
        second.close()
        self.assertEqual(self.refusal(self.kernel.mtu, "lan0"), ENODEV)

    def test_aPersistentDeviceStays(self) -> None:
        descriptor = self.attach()
        self.kernel.ioctl(descriptor, TUNSETPERSIST, 1)
        descriptor.close()
        self.assertEqual(self.kernel.mtu("lan0"), 1500)
        descriptor = self.attach()
        self.kernel.ioctl(descriptor, TUNSETPERSIST, 0)
        descriptor.close()
        self.assertEqual(self.refusal(self.kernel.mtu, "lan0"), ENODEV)

    def test_unknownOffloadsAreRefused(self) -> None:
        self.assertEqual(self.refusal(self.kernel.ioctl, self.attach(), TUNSETOFFLOAD, 1 << 20), EINVAL)

    def test_anotherDescriptorIsAnother(self) -> None:
        self.assertEqual(self.refusal(self.kernel.adopt, 999), EBADF)


class KernelTunTests(TunContract):
    """
    The same of the kernel.
    """

    def setUp(self) -> None:
        needTun()
        from hermes.test.net.tunspaces import NamespaceTunKernel

        namespace = Namespace()
        namespace.create()
        self.kernel = NamespaceTunKernel(namespace)
        # Descriptors are closed before it, or their devices would keep it.
        self.addCleanup(namespace.__exit__)


class MemoryTunTests(SynchronousTestCase):
    """
    What only a test's kernel does.
    """

    def setUp(self) -> None:
        self.kernel = MemoryTunKernel()
        self.descriptor: Any = self.kernel.open()
        self.addCleanup(self.descriptor.close)
        self.kernel.ioctl(self.descriptor, TUNSETIFF, packDevice("lan0", PLAIN_TUN))
        self.device = self.kernel.devices["lan0"]
        self.buffer = memoryview(bytearray(100))

    def readable(self) -> bool:
        return bool(select.select([self.descriptor], [], [], 0)[0])

    def test_itIsAKernel(self) -> None:
        verifyObject(ITunKernel, self.kernel)
        verifyObject(ITunDescriptor, self.descriptor)

    def test_itIsReadableWhileThereIsSomething(self) -> None:
        self.device.send(b"one", b"two")
        self.assertTrue(self.readable())
        self.assertEqual(self.descriptor.readinto(self.buffer), 3)
        self.assertEqual(bytes(self.buffer[:3]), b"one")
        self.assertTrue(self.readable())
        self.assertEqual(self.descriptor.readinto(self.buffer), 3)
        self.assertFalse(self.readable())
        self.assertIsNone(self.descriptor.readinto(self.buffer))
        self.assertEqual(self.descriptor.reads, 3)

    def test_whatHasNoRoomIsCut(self) -> None:
        self.device.send(b"x" * 200)
        self.assertEqual(self.descriptor.readinto(self.buffer), 100)

    def test_readsFailWhereTheTestSays(self) -> None:
        self.device.send(b"one")
        self.device.failRead(EIO)
        self.device.send(b"two")
        self.assertEqual(self.descriptor.readinto(self.buffer), 3)
        self.assertEqual(self.assertRaises(OSError, self.descriptor.readinto, self.buffer).errno, EIO)
        self.assertEqual(self.descriptor.readinto(self.buffer), 3)

    def test_writesFailWhereTheTestSays(self) -> None:
        self.device.failWrite(EIO, EAGAIN)
        self.assertEqual(self.assertRaises(OSError, self.descriptor.write, PACKET).errno, EIO)
        self.assertIsNone(self.descriptor.write(PACKET))
        self.assertEqual(self.descriptor.write(PACKET), len(PACKET))
        self.device.full = True
        self.assertIsNone(self.descriptor.write(PACKET))
        self.assertEqual(self.device.written, [PACKET])
        self.assertEqual(self.descriptor.writes, 4)

    def test_aDeletedDeviceShows(self) -> None:
        self.device.delete()
        self.assertTrue(self.readable())
        self.assertEqual(self.assertRaises(OSError, self.descriptor.readinto, self.buffer).errno, EBADFD)
        self.assertEqual(self.assertRaises(OSError, self.descriptor.write, PACKET).errno, EBADFD)
        self.assertEqual(self.kernel.devices, {})

    def test_aClosedDescriptorShows(self) -> None:
        self.descriptor.close()
        self.descriptor.close()
        self.assertEqual(self.assertRaises(OSError, self.descriptor.write, PACKET).errno, EBADF)

    def test_aDescriptorIsGiven(self) -> None:
        self.kernel.given[5] = self.device
        adopted: Any = self.kernel.adopt(5)
        self.addCleanup(adopted.close)
        self.assertEqual(len(self.device.queues), 2)
        self.device.send(PACKET, queue=1)
        self.assertEqual(adopted.readinto(self.buffer), len(PACKET))

    def test_whatItDoesNotKnowIsRefused(self) -> None:
        self.assertEqual(
            self.assertRaises(OSError, self.kernel.ioctl, self.descriptor, 12345, packNumber(1)).errno, EINVAL
        )


class MemoryNetlinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.netlink = MemoryNetlink()
        self.kernel = self.netlink.kernel
        self.device = self.kernel.make("lan0", PLAIN_TUN)
        self.address = LinkAddress("lan0", ip_interface("10.0.0.1/24"))
        self.route = LinkRoute("lan0", ip_network("10.1.0.0/16"))
        self.rule = PolicyRule(4, 512, table=900)

    def change(self, *changes: Any) -> None:
        self.successResultOf(self.netlink.change(changes))

    def refusal(self, *changes: Any) -> int:
        number: int = self.failureResultOf(self.netlink.change(changes), KernelError).value.number
        return number

    def test_itIsNetlink(self) -> None:
        verifyObject(INetlink, self.netlink)

    def test_whatIsMadeIsThere(self) -> None:
        self.change(SetLink("lan0", 1400, True, 700, "hermes", True))
        self.change(Add(self.address), Add(self.route), Add(self.rule))
        state = self.successResultOf(self.netlink.state("lan0"))
        self.assertEqual(state.link, Link(self.device.index, "lan0", 1400, True, False, "tun", "hermes", 700, True))
        self.assertEqual((state.addresses, state.routes, state.rules), ({self.address}, {self.route}, {self.rule}))
        self.assertEqual(self.successResultOf(self.netlink.links()), [state.link])
        self.change(Remove(self.rule), Remove(self.route), Remove(self.address))
        self.change(Remove(self.rule), Remove(self.route), Remove(self.address))
        state = self.successResultOf(self.netlink.state("lan0"))
        self.assertEqual((state.addresses, state.routes, state.rules), (set(), set(), set()))
        self.assertEqual(len(self.netlink.changes), 10)

    def test_itRefusesWhatTheKernelDoes(self) -> None:
        self.assertEqual(self.refusal(Add(self.route)), ENETDOWN)
        self.assertEqual(self.refusal(SetLink("gone0", 1400)), ENODEV)
        self.change(SetLink("lan0", up=True), Add(self.route), Add(self.address), Add(self.rule))
        for item in self.route, self.address, self.rule:
            self.assertEqual(self.refusal(Add(item)), EEXIST)
        six = LinkAddress("lan0", ip_interface("fd00::1/64"))
        self.change(Add(six), Add(LinkAddress("lan0", ip_interface("10.0.0.1/16"))))
        self.assertEqual(self.refusal(Add(LinkAddress("lan0", ip_interface("fd00::1/48")))), EEXIST)

    def test_whatIsBeforeARefusalIsDone(self) -> None:
        self.netlink.failures += [None, KernelError("no", EIO)]
        self.assertEqual(self.refusal(Add(self.address), Add(self.rule), Add(self.route)), EIO)
        self.assertEqual(self.netlink.changes, [Add(self.address)])

    def test_routesGoWithTheDevice(self) -> None:
        self.change(SetLink("lan0", up=True), Add(self.route), Add(self.address), Add(self.rule))
        self.netlink.setUp("lan0", False)
        self.assertEqual((self.netlink.routes, self.netlink.addresses), ([], [self.address]))
        self.netlink.setUp("lan0", True)
        self.change(Add(self.route), Remove(Link(self.device.index, "lan0")))
        self.assertEqual((self.netlink.routes, self.netlink.addresses), ([], []))
        self.assertEqual(self.netlink.rules, [self.rule])
        self.assertEqual(self.kernel.devices, {})

    def test_watchersAreTold(self) -> None:
        told: list[Any] = []

        class Watcher:
            def linkChanged(self, link: Link) -> None:
                told.append((link.name, link.mtu))

            def linkRemoved(self, link: Link) -> None:
                told.append(("gone", link.name))

            def linksMissed(self) -> None:
                told.append("missed")

        watcher: Any = Watcher()
        stop = self.netlink.watch(watcher)
        self.assertEqual(self.netlink.watched, 1)
        self.netlink.setMTU("lan0", 1400)
        self.netlink.miss()
        self.kernel.make("other0", PLAIN_TUN)
        self.device.delete()
        stop()
        self.kernel.make("late0", PLAIN_TUN)
        self.assertEqual(told, [("lan0", 1400), "missed", ("other0", 1500), ("gone", "lan0")])

    def test_answersMayWait(self) -> None:
        self.netlink.held = []
        links = self.netlink.links()
        self.assertNoResult(links)
        self.netlink.release()
        self.assertEqual([link.name for link in self.successResultOf(links)], ["lan0"])

    def test_watchingMayFail(self) -> None:
        self.netlink.watchError = OSError(EIO, os.strerror(EIO))
        watcher: Any = None
        self.assertRaises(OSError, self.netlink.watch, watcher)
