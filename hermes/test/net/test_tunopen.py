"""
Opening TUN devices: what is asked of the kernel, and what is said where it refuses.
"""

from __future__ import annotations

import os
from errno import EACCES, EIO, ENODEV, ENOENT, EPERM
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import HermesError
from hermes.interfaces.kernel import ITunDescriptor, ITunKernel
from hermes.net.kernelerrors import KernelError, MissingCapability, NoTunDriver
from hermes.net.tunkernel import (
    IFF_MULTI_QUEUE,
    IFF_NO_PI,
    IFF_TAP,
    IFF_TUN,
    IFF_VNET_HDR,
    OFFLOADS,
    TUN_F_USO4,
    TUN_F_USO6,
    TunKernel,
)
from hermes.net.tunopen import OpenTun, TunOptions, openTun
from hermes.testing.tun import FEATURES, MemoryTunKernel


class TunOpenTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel = MemoryTunKernel()

    def open(self, **options: Any) -> OpenTun:
        opened = openTun(self.kernel, TunOptions(**options))
        self.addCleanup(opened.close)
        return opened

    def refusal(self, **options: Any) -> KernelError:
        """
        What is said. Nothing stays open.
        """
        error: KernelError = self.assertRaises(KernelError, openTun, self.kernel, TunOptions(**options))
        self.assertIsInstance(error, HermesError)
        self.assertTrue(all(descriptor.closed for descriptor in self.kernel.opened))
        return error


class OpeningTests(TunOpenTestCase):
    def test_theFakeIsAKernel(self) -> None:
        verifyObject(ITunKernel, self.kernel)
        verifyObject(ITunDescriptor, self.open().descriptors[0])
        verifyObject(ITunKernel, TunKernel())

    def test_aDeviceHasTheNameThatIsAskedFor(self) -> None:
        self.assertEqual(self.open(name="lan0").name, "lan0")
        self.assertEqual(list(self.kernel.devices), ["lan0"])

    def test_aPatternBecomesTheFirstFreeName(self) -> None:
        self.assertEqual([self.open(name="hermes%d").name for _ in range(2)], ["hermes0", "hermes1"])

    def test_itGoesWithItsDescriptor(self) -> None:
        self.open(name="lan0").close()
        self.assertEqual(self.kernel.devices, {})

    def test_segmentsAreAskedFor(self) -> None:
        opened = self.open(name="lan0")
        device = self.kernel.devices["lan0"]
        self.assertEqual(device.flags, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR)
        self.assertEqual(device.offloads, OFFLOADS[0])
        self.assertTrue(opened.header)
        self.assertTrue(opened.datagramTrains)

    def test_whatTheKernelDoesNotKnowIsLeftOut(self) -> None:
        self.kernel.knownOffloads &= ~(TUN_F_USO4 | TUN_F_USO6)
        opened = self.open(name="lan0")
        self.assertEqual(self.kernel.devices["lan0"].offloads, OFFLOADS[1])
        self.assertTrue(opened.header)
        self.assertFalse(opened.datagramTrains)

    def test_aKernelThatSegmentsNothingStillTakesFrames(self) -> None:
        self.kernel.knownOffloads = 0
        self.assertTrue(self.open(name="lan0").header)
        self.assertEqual(self.kernel.devices["lan0"].offloads, 0)

    def test_aKernelWithoutTheHeaderGivesPackets(self) -> None:
        self.kernel.features = FEATURES & ~IFF_VNET_HDR
        self.assertFalse(self.open(name="lan0").header)

    def test_aHeaderThatIsRefusedIsLeftOut(self) -> None:
        """
        As by those who say that they know it.
        """
        self.kernel.refused = IFF_VNET_HDR
        self.assertFalse(self.open(name="lan0").header)

    def test_withoutOffloadADeviceLeavesNothingToDo(self) -> None:
        """
        Not even a persistent one that was left otherwise by its last reader.
        """
        self.open(name="lan0", persist=True).close()
        self.assertEqual(self.kernel.devices["lan0"].offloads, OFFLOADS[0])
        opened = self.open(name="lan0", offload=False)
        self.assertFalse(opened.header)
        self.assertFalse(opened.datagramTrains)
        self.assertEqual(self.kernel.devices["lan0"].offloads, 0)

    def test_aPersistentDeviceStays(self) -> None:
        self.open(name="lan0", persist=True, owner=1000, group=2000).close()
        device = self.kernel.devices["lan0"]
        self.assertEqual((device.persistent, device.owner, device.group), (True, 1000, 2000))

    def test_ownersHaveNames(self) -> None:
        self.open(name="lan0", owner="root", group="root")
        device = self.kernel.devices["lan0"]
        self.assertEqual((device.owner, device.group), (0, 0))

    def test_aDeviceStaysAsPersistentAsItIs(self) -> None:
        self.open(name="lan0", persist=True).close()
        self.open(name="lan0").close()
        self.assertIn("lan0", self.kernel.devices)

    def test_aPersistentDeviceCanBeMadeAnOrdinaryOne(self) -> None:
        self.open(name="lan0", persist=True).close()
        self.open(name="lan0", persist=False).close()
        self.assertEqual(self.kernel.devices, {})

    def test_aDeviceMayHaveManyQueues(self) -> None:
        opened = self.open(name="hermes%d", queues=3)
        self.assertEqual(len(opened.descriptors), 3)
        device = self.kernel.devices["hermes0"]
        self.assertEqual(device.queues, opened.descriptors)
        self.assertTrue(device.flags & IFF_MULTI_QUEUE)

    def test_othersMayOpenMoreQueuesOfASharedDevice(self) -> None:
        self.open(name="lan0", shared=True)
        self.open(name="lan0", shared=True)
        self.assertEqual(len(self.kernel.devices["lan0"].queues), 2)

    def test_anOpenDescriptorIsTaken(self) -> None:
        device = self.kernel.make("given0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR)
        self.kernel.given[7] = device
        opened = self.open(descriptor=7)
        self.assertEqual(opened.name, "given0")
        self.assertTrue(opened.header)
        self.assertEqual(device.offloads, OFFLOADS[0])

    def test_anOpenDescriptorMayHaveNoHeader(self) -> None:
        device = self.kernel.make("given0", IFF_TUN | IFF_NO_PI)
        self.kernel.given[7] = device
        opened = self.open(descriptor=7)
        self.assertFalse(opened.header)
        self.assertEqual(device.offloads, 0)

    def test_itsOwnerNeedsNoCapability(self) -> None:
        self.kernel.make("lan0", IFF_TUN | IFF_NO_PI, owner=os.geteuid())
        self.kernel.mayCreate = False
        self.assertTrue(self.open(name="lan0").header)


class RefusalTests(TunOpenTestCase):
    def test_whoMayNotMakeADeviceIsToldWhatIsMissing(self) -> None:
        self.kernel.mayCreate = False
        error = self.refusal(name="lan0")
        self.assertIsInstance(error, MissingCapability)
        self.assertIn("the TUN device lan0", str(error))
        self.assertIn("CAP_NET_ADMIN", str(error))

    def test_aMachineWithoutTheDriverSaysSo(self) -> None:
        said = {
            ENOENT: "this machine has no /dev/net/tun",
            ENODEV: "modprobe tun",
            EACCES: "0666",
            EPERM: "container",
        }
        for number, text in said.items():
            self.kernel.openError = number
            error = self.refusal()
            self.assertIsInstance(error, NoTunDriver)
            self.assertIn(text, str(error))
            self.assertEqual(error.number, number)

    def test_anyOtherTroubleIsNamed(self) -> None:
        self.kernel.openError = EIO
        self.assertIn("Input/output error", str(self.refusal()))

    def test_aDeviceThatIsInUseIsNamed(self) -> None:
        opened = openTun(self.kernel, TunOptions(name="lan0"))
        error = self.assertRaises(KernelError, openTun, self.kernel, TunOptions(name="lan0"))
        self.assertIn("lan0 is open in another process", str(error))
        opened.close()

    def test_anotherKindOfDeviceIsNamed(self) -> None:
        self.kernel.make("tap0", IFF_TAP | IFF_NO_PI)
        self.assertIn("tap0 is there already", str(self.refusal(name="tap0")))
        self.kernel.make("many0", IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE)
        self.assertIn("without many queues", str(self.refusal(name="many0")))

    def test_anUnknownOwnerIsNamed(self) -> None:
        self.assertIn("no user 'nobody-here'", str(self.refusal(owner="nobody-here")))
        self.assertIn("no group 'nobody-here'", str(self.refusal(group="nobody-here")))

    def test_aDescriptorThatIsNotOpenIsNamed(self) -> None:
        self.assertIn("descriptor 9 is not open", str(self.refusal(descriptor=9)))

    def test_aDescriptorOfSomethingElseIsNamed(self) -> None:
        self.kernel.given[7] = None
        self.assertIn("descriptor 7 is not that of a TUN device", str(self.refusal(descriptor=7)))
        self.kernel.given[7] = self.kernel.make("tap0", IFF_TAP | IFF_NO_PI)
        self.assertIn("TAP device", str(self.refusal(descriptor=7)))
        self.kernel.given[7] = self.kernel.make("old0", IFF_TUN)
        self.assertIn("IFF_NO_PI", str(self.refusal(descriptor=7)))


class OptionTests(SynchronousTestCase):
    def test_aNameMustFit(self) -> None:
        for name in "", "x" * 16, "a b", "a/b", "a:b", "a%b", "%d%d", ".", "..", "é" * 8, "a%s":
            self.assertRaises(ValueError, TunOptions, name=name)
        for name in "x" * 15, "hermes%d", "%dx", "wg-0", "eth0.1":
            TunOptions(name=name)

    def test_queuesAreBounded(self) -> None:
        for queues in 0, 257, -1:
            self.assertRaises(ValueError, TunOptions, queues=queues)

    def test_aPersistentDeviceNeedsAName(self) -> None:
        error = self.assertRaises(ValueError, TunOptions, name="hermes%d", persist=True)
        self.assertIn("name of its own", str(error))

    def test_aDescriptorIsOneQueue(self) -> None:
        self.assertRaises(ValueError, TunOptions, descriptor=3, queues=2)
