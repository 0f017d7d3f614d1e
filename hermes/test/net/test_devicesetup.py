"""
A device is set up, stays so, and is cleaned up after.
"""

from __future__ import annotations

from errno import EPERM
from ipaddress import ip_interface, ip_network
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces.kernel import Add, ILinkWatcher, LinkAddress, LinkRoute, Remove, SetLink
from hermes.net.devicesetup import DeviceSetup, repair
from hermes.net.kernelerrors import KernelError, MissingCapability
from hermes.net.kernelroutes import BLOCK, DesiredDevice, Outside
from hermes.net.tunkernel import IFF_NO_PI, IFF_TUN
from hermes.net.tunopen import OpenTun, TunOptions, openTun
from hermes.test.net.tunspaces import wanted
from hermes.testing.netlink import MemoryNetlink

FULL = wanted("10.0.0.1/24", routes=["0.0.0.0/0", "10.1.0.0/16"], outside=Outside())


class SetupTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.netlink = MemoryNetlink()
        self.kernel = self.netlink.kernel

    def open(self, name: str = "lan0", **options: Any) -> OpenTun:
        opened = openTun(self.kernel, TunOptions(name=name, **options))
        self.addCleanup(opened.close)
        return opened

    def apply(self, setup: DeviceSetup, desired: DesiredDevice) -> list[Any]:
        """
        @return: what was changed.
        """
        before = len(self.netlink.changes)
        self.successResultOf(setup.apply(desired))
        return self.netlink.changes[before:]


class DeviceSetupTests(SetupTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.opened = self.open()
        self.setup = DeviceSetup(self.netlink, "lan0")

    def test_itWatchesLinks(self) -> None:
        verifyObject(ILinkWatcher, self.setup)

    def test_aDeviceIsSetUp(self) -> None:
        changes = self.apply(self.setup, wanted("10.0.0.1/24", routes=["10.1.0.0/16"], mtu=1400))
        self.assertEqual(
            changes,
            [
                SetLink("lan0", 1400, True),
                Add(LinkAddress("lan0", ip_interface("10.0.0.1/24"))),
                Add(LinkRoute("lan0", ip_network("10.1.0.0/16"))),
            ],
        )

    def test_onlyWhatIsDifferentIsChanged(self) -> None:
        desired = wanted("10.0.0.1/24", routes=["10.1.0.0/16"])
        self.apply(self.setup, desired)
        self.assertEqual(self.apply(self.setup, desired), [])
        self.assertEqual(
            self.apply(self.setup, wanted("10.0.0.1/24", routes=["10.2.0.0/16"])),
            [Add(LinkRoute("lan0", ip_network("10.2.0.0/16"))), Remove(LinkRoute("lan0", ip_network("10.1.0.0/16")))],
        )

    def test_allOfOursIsRemoved(self) -> None:
        self.apply(self.setup, FULL)
        self.assertTrue(self.netlink.rules)
        self.successResultOf(self.setup.remove())
        self.assertEqual((self.netlink.rules, self.netlink.routes, self.netlink.addresses), ([], [], []))
        self.assertEqual(self.netlink.watched, 0)

    def test_rulesAreRemovedThoughTheDeviceIsGone(self) -> None:
        self.apply(self.setup, FULL)
        self.opened.close()
        self.successResultOf(self.setup.remove())
        self.assertEqual(self.netlink.rules, [])

    def test_removingTwiceIsNoTrouble(self) -> None:
        self.apply(self.setup, FULL)
        for _ in range(2):
            self.successResultOf(self.setup.remove())

    def test_whatTheKernelDoesNotKeepIsDoneAgain(self) -> None:
        """
        With the first address of a prefix it removes the others.
        """
        self.apply(self.setup, wanted("10.0.0.1/24"))
        change = self.netlink.change

        def losing(changes: Any) -> Deferred[None]:
            done = change(changes)
            if any(isinstance(one, Remove) for one in changes):
                self.netlink.addresses.clear()
            return done

        self.patch(MemoryNetlink, "change", lambda netlink, changes: losing(changes))
        self.apply(self.setup, wanted("10.0.0.2/24"))
        self.assertEqual([str(address.interface) for address in self.netlink.addresses], ["10.0.0.2/24"])

    def test_whatNeverStaysIsAnError(self) -> None:
        self.apply(self.setup, wanted("10.0.0.1/24"))
        self.patch(MemoryNetlink, "change", lambda netlink, changes: netlink._answer(None))
        failure = self.failureResultOf(self.setup.apply(wanted("10.0.0.2/24")), KernelError)
        self.assertIn("does not stay", str(failure.value))
        self.assertIn("10.0.0.2", str(failure.value))

    def test_aRefusalIsToldAndCanBeOvercome(self) -> None:
        self.netlink.failures += [None, MissingCapability("adding a route", number=EPERM)]
        desired = wanted("10.0.0.1/24", routes=["10.1.0.0/16"])
        failure = self.failureResultOf(self.setup.apply(desired), MissingCapability)
        self.assertIn("CAP_NET_ADMIN", str(failure.value))
        self.assertEqual(
            self.apply(self.setup, desired),
            [Add(LinkAddress("lan0", ip_interface("10.0.0.1/24"))), Add(LinkRoute("lan0", ip_network("10.1.0.0/16")))],
        )

    def test_withoutADeviceThereIsAnError(self) -> None:
        failure = self.failureResultOf(DeviceSetup(self.netlink, "other0").apply(wanted()), KernelError)
        self.assertIn("there is no device other0", str(failure.value))

    def test_aDeviceThatComesLaterIsSetUpThen(self) -> None:
        setup = DeviceSetup(self.netlink, "other0")
        self.failureResultOf(setup.apply(wanted("10.5.0.1/24")), KernelError)
        self.open("other0")
        self.assertEqual([str(address.interface) for address in self.netlink.addresses], ["10.5.0.1/24"])

    def test_aDeviceThatIsMadeAgainIsSetUpAgain(self) -> None:
        self.apply(self.setup, FULL)
        before = (set(self.netlink.addresses), set(self.netlink.routes), set(self.netlink.rules))
        self.opened.close()
        self.assertEqual(self.netlink.routes, [])
        self.open()
        self.assertEqual((set(self.netlink.addresses), set(self.netlink.routes), set(self.netlink.rules)), before)

    def test_aDeviceThatWasDownGetsItsRoutesAgain(self) -> None:
        self.apply(self.setup, wanted("10.0.0.1/24", routes=["10.1.0.0/16"]))
        reads = self.netlink.reads
        self.netlink.setUp("lan0", False)
        # It is somebody's wish.
        self.assertEqual(self.netlink.reads, reads)
        self.assertEqual(self.netlink.routes, [])
        self.netlink.setUp("lan0", True)
        self.assertEqual(len(self.netlink.routes), 1)

    def test_whatSomebodyElseChangesStays(self) -> None:
        self.apply(self.setup, wanted("10.0.0.1/24", mtu=1400))
        reads = self.netlink.reads
        self.netlink.setMTU("lan0", 1300)
        self.open("other0")
        self.assertEqual(self.netlink.reads, reads)
        self.assertEqual(self.kernel.devices["lan0"].mtu, 1300)

    def test_missedChangesAreLookedFor(self) -> None:
        self.apply(self.setup, wanted("10.0.0.1/24"))
        self.netlink.addresses.clear()
        self.netlink.miss()
        self.assertEqual(len(self.netlink.addresses), 1)

    def test_afterItIsRemovedNothingIsSetUp(self) -> None:
        self.apply(self.setup, FULL)
        self.successResultOf(self.setup.remove())
        self.opened.close()
        self.open()
        self.assertEqual(self.netlink.addresses, [])
        self.apply(self.setup, FULL)
        self.assertEqual(len(self.netlink.addresses), 1)

    def test_oneIsDoneAfterTheOther(self) -> None:
        """
        Of what was asked for while another was done, the last counts.
        """
        self.netlink.held = []
        first = self.setup.apply(wanted("10.0.0.1/24"))
        second = self.setup.apply(wanted("10.0.0.2/24"))
        third = self.setup.apply(wanted("10.0.0.3/24"))
        self.assertEqual(self.netlink.reads, 1)
        for done in first, second, third:
            self.assertNoResult(done)
        self.netlink.release()
        for done in first, second, third:
            self.successResultOf(done)
        self.assertEqual([str(address.interface) for address in self.netlink.addresses], ["10.0.0.3/24"])
        added = [change for change in self.netlink.changes if isinstance(change, Add)]
        self.assertEqual(len(added), 1)

    def test_removingIsDoneAfterApplying(self) -> None:
        self.netlink.held = []
        applied = self.setup.apply(FULL)
        removed = self.setup.remove()
        self.netlink.release()
        self.successResultOf(applied)
        self.successResultOf(removed)
        self.assertEqual((self.netlink.rules, self.netlink.addresses), ([], []))

    def test_failingToSetUpAgainIsLogged(self) -> None:
        self.apply(self.setup, wanted("10.0.0.1/24"))
        self.opened.close()
        self.netlink.failures += [KernelError("no")]
        self.open()
        self.assertEqual(self.netlink.addresses, [])
        # The next event is another chance.
        self.netlink.miss()
        self.assertEqual(len(self.netlink.addresses), 1)

    def test_whatIsUnexpectedIsLogged(self) -> None:
        self.apply(self.setup, wanted("10.0.0.1/24"))
        self.netlink.addresses.clear()

        def fail(netlink: object, changes: object) -> None:
            raise ZeroDivisionError()

        self.patch(MemoryNetlink, "change", fail)
        self.netlink.miss()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_whatCanNotBeWatchedIsAnError(self) -> None:
        self.netlink.watchError = OSError(EPERM, "Operation not permitted")
        self.failureResultOf(self.setup.apply(wanted()), KernelError)

    def test_theOnlyWayIsGivenUpInOrder(self) -> None:
        """
        Also when the device is gone by then, or a place was all that was known of it.
        """
        self.apply(self.setup, evolve(FULL, strict=True))
        self.kernel.devices["lan0"].delete()
        self.assertEqual((len(self.netlink.rules), len(self.netlink.routes)), (6, 2))
        self.successResultOf(DeviceSetup(self.netlink, "lan0").remove())
        self.assertEqual((len(self.netlink.rules), len(self.netlink.routes)), (6, 2))
        self.successResultOf(self.setup.remove())
        self.assertEqual((self.netlink.rules, self.netlink.routes), ([], []))

    def test_strictDevicesAreWarnedOfOnce(self) -> None:
        self.netlink.strict = frozenset({"eth0"})
        with capturedLogs() as events:
            self.apply(self.setup, wanted("10.0.0.1/24"))
            self.assertEqual(events, [])
            self.apply(self.setup, FULL)
            self.apply(self.setup, FULL)
            self.netlink.strict = frozenset({"eth0", "wlan0"})
            self.apply(self.setup, FULL)
        self.assertEqual([event["strict"] for event in events], ["eth0", "eth0, wlan0"])
        self.assertIn("rp_filter", formatEvent(events[0]))


class RepairTests(SetupTestCase):
    """
    A process was killed.
    """

    def leave(self, desired: DesiredDevice, name: str = "lan0", **options: Any) -> None:
        """
        Set up a device and end without a word.
        """
        opened = self.open(name, **options)
        self.apply(DeviceSetup(self.netlink, name), evolve(desired, ours=bool(options.get("persist"))))
        self.netlink._watchers.clear()
        opened.close()

    def test_rulesThatAreLeftAreRemoved(self) -> None:
        self.leave(FULL)
        left = list(self.netlink.rules)
        self.assertEqual(len(left), 6)
        changes = self.successResultOf(repair(self.netlink, "lan0"))
        self.assertEqual(self.netlink.rules, [])
        self.assertEqual({change.item for change in changes if isinstance(change, Remove)}, set(left))

    def test_whatMakesATunnelTheOnlyWayIsRemovedWhereItIsNotToStay(self) -> None:
        self.leave(evolve(FULL, strict=True))
        rules, routes = list(self.netlink.rules), list(self.netlink.routes)
        self.assertEqual((len(rules), len(routes)), (6, 2))
        self.assertEqual(self.successResultOf(repair(self.netlink, "lan0")), [])
        self.assertEqual((self.netlink.rules, self.netlink.routes), (rules, routes))
        self.successResultOf(repair(self.netlink, "lan0", place=Outside()))
        self.assertEqual((self.netlink.rules, self.netlink.routes), ([], []))

    def test_aPersistentDeviceThatIsLeftIsRemoved(self) -> None:
        self.leave(FULL, persist=True)
        self.assertEqual((len(self.netlink.routes), len(self.netlink.addresses)), (2, 1))
        self.successResultOf(repair(self.netlink, "lan0"))
        self.assertEqual(self.kernel.devices, {})
        self.assertEqual((self.netlink.rules, self.netlink.routes, self.netlink.addresses), ([], [], []))

    def test_aPersistentDeviceMayBeKept(self) -> None:
        self.leave(FULL, persist=True)
        self.successResultOf(repair(self.netlink, "lan0", keep=True))
        self.assertEqual(list(self.kernel.devices), ["lan0"])
        self.assertEqual((self.netlink.rules, self.netlink.routes, self.netlink.addresses), ([], [], []))

    def test_allDevicesOfAPatternAreLookedAt(self) -> None:
        self.leave(wanted("10.0.0.1/24"), "hermes0", persist=True)
        self.leave(wanted("10.0.0.2/24"), "hermes1", persist=True)
        self.leave(wanted("10.0.0.3/24"), "other0", persist=True)
        self.successResultOf(repair(self.netlink, "hermes%d"))
        self.assertEqual(list(self.kernel.devices), ["other0"])

    def test_whatAnotherProcessUsesStays(self) -> None:
        self.open()
        self.apply(DeviceSetup(self.netlink, "lan0"), FULL)
        self.assertEqual(self.successResultOf(repair(self.netlink, "lan0")), [])
        self.assertEqual(len(self.netlink.rules), 6)

    def test_anotherDevicesRulesStay(self) -> None:
        self.open("other0")
        other = evolve(FULL, outside=Outside(table=900, priority=BLOCK))
        self.apply(DeviceSetup(self.netlink, "other0"), other)
        self.leave(FULL)
        self.successResultOf(repair(self.netlink, "lan0"))
        self.assertEqual(set(self.netlink.rules), other.rules())

    def test_somebodyElsesDeviceStays(self) -> None:
        device = self.kernel.make("lan0", IFF_TUN | IFF_NO_PI)
        device.alias = "somebody's"
        self.netlink.addresses.append(LinkAddress("lan0", ip_interface("10.9.0.1/24"), ours=False))
        self.assertEqual(self.successResultOf(repair(self.netlink, "lan0")), [])
        self.assertEqual(list(self.kernel.devices), ["lan0"])

    def test_aDeviceThatWasMadeForUsStays(self) -> None:
        self.kernel.make("lan0", IFF_TUN | IFF_NO_PI)
        self.leave(FULL)
        self.successResultOf(repair(self.netlink, "lan0"))
        self.assertEqual(list(self.kernel.devices), ["lan0"])
        self.assertEqual((self.netlink.rules, self.netlink.routes, self.netlink.addresses), ([], [], []))

    def test_thereMayBeNothing(self) -> None:
        self.assertEqual(self.successResultOf(repair(self.netlink, "lan0")), [])

    def test_applyingRepairsToo(self) -> None:
        self.leave(evolve(FULL, outside=Outside(table=900, priority=BLOCK)))
        self.open()
        self.apply(DeviceSetup(self.netlink, "lan0"), FULL)
        self.assertEqual(set(self.netlink.rules), FULL.rules())
