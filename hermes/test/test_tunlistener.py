"""
Tests for L{hermes.tunlistener}: with a kernel in memory.
"""

from __future__ import annotations

from errno import ENOENT
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.bound import Bound
from hermes.config import ListenerConfig
from hermes.errors import HermesError, ListenError
from hermes.interfaces.kernel import LinkRoute
from hermes.ip.plane import PacketConfig, PacketPlane
from hermes.ip.table import PacketTable
from hermes.net.kernelerrors import KernelError, MissingCapability
from hermes.net.tunkernel import IFF_NO_PI, IFF_TUN
from hermes.test.fabric.fakenetwork import FakeContext
from hermes.test.ip.packets import MemoryChannel, rule, udp
from hermes.test.net.descriptors import DescriptorReactor
from hermes.testing.netlink import MemoryNetlink
from hermes.testing.tun import MemoryTunKernel
from hermes.tunlistener import TunListener, TunListenerType
from hermes.tunoptions import BACKLOG, TunListenerOptions


@define
class Context(FakeContext):
    """
    With a reactor that watches descriptors.
    """

    reactor: Any = field(factory=DescriptorReactor)


class TunListenerTests(SynchronousTestCase):
    """
    A device of a node.
    """

    def setUp(self) -> None:
        self.context = Context()
        self.kernel = MemoryTunKernel()
        self.netlink = MemoryNetlink(self.kernel)
        self.dialed: list[tuple[Any, Deferred[Any]]] = []
        self.plane = self.context.packets = PacketPlane(
            self.context.reactor,
            PacketConfig(PacketTable((rule([], listeners=["lan"], via=("hop",)),))),
            self.dial,
            lambda names, nested: "hop",
            lambda name: Deferred(),
        )

    def dial(self, names: tuple[str, ...], nested: bool, receiver: Any) -> Deferred[Any]:
        """
        Write it down.
        """
        dialed: Deferred[Any] = Deferred()
        self.dialed.append((receiver, dialed))
        return dialed

    def listener(self, **options: Any) -> TunListener:
        """
        A listener, not started.
        """
        options.setdefault("device", "hermes0")
        return TunListener("lan", TunListenerOptions(**options), self.context, self.kernel, self.netlink)

    def started(self, **options: Any) -> TunListener:
        """
        One that has started, and a plane that has.
        """
        listener = self.listener(**options)
        self.successResultOf(listener.start())
        self.plane.start()
        return listener

    def hop(self, *given: str, routes: tuple[tuple[str, str], ...] = ()) -> MemoryChannel:
        """
        The hop accepts the tunnel, gives addresses and says what it leads to.
        """
        receiver, dialed = self.dialed[-1]
        channel = MemoryChannel()
        channel.setReceiver(receiver)
        receiver.routesAdvertised([(ip_address(start), ip_address(end), 0) for start, end in routes])
        receiver.addressesAssigned([(number, ip_network(each)) for number, each in enumerate(given, 1)])
        dialed.callback(receiver)
        return channel

    def addresses(self) -> set[str]:
        """
        What the device has.
        """
        return {str(each.interface) for each in self.netlink.addresses}

    def routes(self) -> set[str]:
        """
        What leads to it.
        """
        return {str(each.network) for each in self.netlink.routes if isinstance(each, LinkRoute)}

    def test_packetsOfTheDeviceAreTheNodes(self) -> None:
        """
        And the other way round; it says what it is called.
        """
        listener = self.started(address=(ip_interface("10.0.0.2/24"),))
        channel = self.hop("10.0.0.2/32")
        device = self.kernel.devices["hermes0"]
        device.send(bytes(udp("10.0.0.2", "192.0.2.1"))[10:])
        self.context.reactor.turn()
        self.assertEqual([packet.dst for packet in channel.take()], ["192.0.2.1"])
        channel.receiver.datagramsReceived([udp("192.0.2.1", "10.0.0.2", 2000, 1000)])
        self.assertEqual(len(device.written), 1)
        self.assertEqual((str(listener.getHost()), self.addresses()), ("device hermes0", {"10.0.0.2/24"}))

    def test_itHasTheAddressesThatTheHopGivesAndLeadsWhereThatLeads(self) -> None:
        """
        Where it has none of its own; then the node's sockets are to stay outside.
        """
        self.started()
        self.assertEqual((self.addresses(), self.routes()), (set(), set()))
        channel = self.hop("10.0.0.7/32", "fd00::7/128", routes=(("192.0.2.0", "192.0.2.255"),))
        self.assertEqual((self.addresses(), self.routes()), ({"10.0.0.7/32", "fd00::7/128"}, {"192.0.2.0/24"}))
        self.assertTrue(TunListenerOptions("hermes0").marksSockets)
        channel.receiver.routesAdvertised([(ip_address("192.0.2.0"), ip_address("192.0.2.127"), 0)])
        self.assertEqual(self.routes(), {"192.0.2.0/25"})

    def test_oneWithAddressesOfItsOwnLeadsWhereItIsTold(self) -> None:
        """
        Nowhere, if that is nowhere: then no socket need be marked.
        """
        self.started(address=(ip_interface("10.0.0.2/24"),))
        self.hop("10.0.0.2/32", routes=(("192.0.2.0", "192.0.2.255"),))
        self.assertEqual(self.routes(), set())
        self.assertFalse(TunListenerOptions("hermes0", (ip_interface("10.0.0.2/24"),)).marksSockets)

    # Before it starts

    def reserveFails(self, listener: TunListener, *leaving: TunListener) -> str:
        """
        Why it can't have its device.
        """
        return str(self.failureResultOf(listener.reserve(leaving), HermesError).value)

    def test_theDeviceIsHeldWithNothingOnIt(self) -> None:
        listener = self.listener(address=(ip_interface("10.0.0.2/24"),), persist=True)
        giveBack = self.successResultOf(listener.reserve())
        self.assertFalse(self.kernel.devices["hermes0"].up)
        self.assertEqual((self.addresses(), self.netlink.changes), (set(), []))
        self.assertIn("something else than a TUN device without", self.reserveFails(self.listener()))
        opened = len(self.kernel.opened)
        self.successResultOf(listener.start())
        self.assertEqual((len(self.kernel.opened), self.addresses()), (opened, {"10.0.0.2/24"}))
        self.assertTrue(self.kernel.devices["hermes0"].persistent)
        giveBack()
        self.assertIn("hermes0", self.kernel.devices)

    def test_aDeviceThatIsGivenBackGoes(self) -> None:
        giveBack = self.successResultOf(self.listener(persist=True).reserve())
        giveBack()
        giveBack()
        self.assertEqual(self.kernel.devices, {})

    def test_whatTheKernelDoesNotGiveIsToldBefore(self) -> None:
        self.kernel.mayCreate = False
        self.assertIn("needs CAP_NET_ADMIN", self.reserveFails(self.listener()))
        self.kernel.mayCreate = True
        self.assertEqual(self.reserveFails(self.listener(owner="nosuchuser")), "there is no user 'nosuchuser'")
        self.assertEqual(self.reserveFails(self.listener(group="nosuchgroup")), "there is no group 'nosuchgroup'")
        self.kernel.given[7] = None
        self.assertIn("descriptor 7", self.reserveFails(self.listener(descriptor=7)))
        self.kernel.openError = ENOENT
        self.assertIn("this machine has no /dev/net/tun", self.reserveFails(self.listener()))
        self.assertEqual(self.kernel.devices, {})

    def test_aDeviceThatAListenerLeavesIsTriedOutBesideIt(self) -> None:
        before = self.started(address=(ip_interface("10.0.0.2/24"),))
        self.successResultOf(self.listener(address=(ip_interface("10.0.0.2/24"),), queues=2).reserve([before]))()
        self.assertEqual((list(self.kernel.devices), self.addresses()), (["hermes0"], {"10.0.0.2/24"}))
        self.kernel.mayCreate = False
        self.assertIn("needs CAP_NET_ADMIN", self.reserveFails(self.listener(queues=2), before))
        self.assertIn("is open in another process", self.reserveFails(self.listener()))

    def test_onlyADeviceThatGoesNeedsTheRightToMakeOne(self) -> None:
        before = self.started(persist=True)
        self.kernel.mayCreate = False
        self.successResultOf(self.listener(persist=True, offload=False).reserve([before]))()
        self.assertIn("was not made for one queue", self.reserveFails(self.listener(), before))

    def test_addressesThatAnotherDeviceHasAreToldBefore(self) -> None:
        """
        Not those of one that leaves, nor one that stands alone.
        """
        before = self.started(address=(ip_interface("10.0.0.2/24"),))
        other = self.listener(device="hermes1", address=(ip_interface("10.0.0.2/24"),))
        self.assertEqual(self.reserveFails(other), "hermes1 can't have the address 10.0.0.2: hermes0 has it")
        self.assertEqual(list(self.kernel.devices), ["hermes0"])
        self.successResultOf(other.reserve([before]))()
        self.successResultOf(self.listener(device="hermes1", address=(ip_interface("10.0.0.2/32"),)).reserve())()

    def test_addressesThatItWouldTakeWhileItRunsAreLookedAtToo(self) -> None:
        first = self.started(address=(ip_interface("10.0.0.2/24"),))
        second = TunListener("other", TunListenerOptions("hermes1"), self.context, self.kernel, self.netlink)
        self.successResultOf(second.start())
        wanted = TunListenerOptions("hermes1", (ip_interface("10.0.0.2/24"),))
        error = self.failureResultOf(second.verify(wanted, []), KernelError).value
        self.assertEqual(str(error), "hermes1 can't have the address 10.0.0.2: hermes0 has it")
        self.successResultOf(second.verify(wanted, [first]))
        self.successResultOf(second.verify(TunListenerOptions("hermes1", (ip_interface("10.0.0.3/24"),)), []))
        self.assertEqual(self.addresses(), {"10.0.0.2/24"})

    def test_itsDeviceIsAPlaceWhateverItsOptionsCallIt(self) -> None:
        listener = self.started(device="hermes%d")
        self.assertEqual(Bound(ListenerConfig("tun", TunListenerOptions()), listener).places(), {"device hermes0"})

    # Other options

    def test_addressesAndRoutesChangeWhileItRuns(self) -> None:
        """
        The device stays; another device is another listener.
        """
        listener = self.started(address=(ip_interface("10.0.0.2/24"),))
        after = TunListenerOptions("hermes0", (ip_interface("10.0.0.3/24"),), (ip_network("0.0.0.0/0"),))
        self.assertTrue(listener.reconfigurable(after))
        opened = len(self.kernel.opened)
        listener.reconfigure(after)
        self.assertEqual((self.addresses(), self.routes()), ({"10.0.0.3/24"}, {"0.0.0.0/0"}))
        self.assertEqual(len(self.kernel.opened), opened)
        self.assertIsNone(self.plane.switch.owners.get(ip_network("10.0.0.2/32")))
        self.assertIsNotNone(self.plane.switch.owners.get(ip_network("10.0.0.3/32")))
        for other in (TunListenerOptions("hermes1"), TunListenerOptions("hermes0", queues=2)):
            self.assertFalse(listener.reconfigurable(other))

    def test_aStrictOneIsTheOnlyWayAndNotOnlyWhileItRuns(self) -> None:
        """
        Killed and started again: at no time do the rules lead past it. One that is not, or is not any more, or ends in
        order leaves nothing of it.
        """
        everything: dict[str, Any] = {"routes": (ip_network("0.0.0.0/0"),), "address": (ip_interface("10.0.0.2/24"),)}
        self.started(**everything, strict=True)
        rules, nowhere = list(self.netlink.rules), [each for each in self.netlink.routes if not each.device]
        self.assertEqual((len(rules), [str(each.network) for each in nowhere]), (4, ["0.0.0.0/0"]))

        def kill() -> None:
            self.netlink._watchers.clear()
            self.kernel.devices["hermes0"].delete()
            self.assertEqual((self.netlink.rules, self.netlink.routes), (rules, nowhere))

        kill()
        changes = len(self.netlink.changes)
        again = self.listener(**everything, strict=True)
        self.successResultOf(again.reserve())
        self.successResultOf(again.start())
        touched = [
            change for change in self.netlink.changes[changes:] if getattr(change, "item", None) in (*rules, *nowhere)
        ]
        self.assertEqual(touched, [])
        self.assertEqual(len(self.netlink.routes), 2)

        loose = TunListenerOptions("hermes0", **everything)
        self.assertTrue(again.reconfigurable(loose))
        again.reconfigure(loose)
        self.assertEqual([each.device for each in self.netlink.routes], ["hermes0"])
        again.reconfigure(TunListenerOptions("hermes0", **everything, strict=True))
        kill()
        self.started(address=(ip_interface("10.0.0.2/24"),))
        self.assertEqual((self.netlink.rules, self.netlink.routes), ([], []))

    def test_aStrictOneNeedsRoutesAndAName(self) -> None:
        """
        Without them it would not be known what is to go nowhere, or whose it was.
        """
        routes = (ip_network("0.0.0.0/0"),)
        wrong: tuple[dict[str, Any], ...] = (
            {"device": "hermes0"},
            {"device": "hermes0", "routes": ()},
            {"routes": routes},
        )
        for options in wrong:
            with self.assertRaisesRegex(ValueError, "strict"):
                TunListenerOptions(**options, strict=True)
        TunListenerOptions(routes=routes, strict=True, descriptor=3)
        self.assertFalse(
            TunListener("lan", TunListenerOptions("hermes0", routes=routes, strict=True), self.context).reconfigurable(
                TunListenerOptions("hermes%d")
            )
        )

    def test_aNewDeviceHasRoomForABurstAndSomebodysHasWhatHeSays(self) -> None:
        """
        Who has made it beforehand may have given no right to change it.
        """
        listener = self.started(device="hermes0")
        device = self.kernel.devices["hermes0"]
        self.assertEqual(device.queueLength, BACKLOG)
        listener.reconfigure(TunListenerOptions("hermes0", backlog=77))
        self.assertEqual(device.queueLength, 77)
        listener.reconfigure(TunListenerOptions("hermes0"))
        self.assertEqual(device.queueLength, BACKLOG)
        made = self.kernel.make("hermes1", IFF_TUN | IFF_NO_PI)
        given: tuple[dict[str, Any], ...] = ({}, {"backlog": 4000})
        for number, options in enumerate(given):
            one = TunListener(
                f"other{number}", TunListenerOptions("hermes1", **options), self.context, self.kernel, self.netlink
            )
            self.successResultOf(one.reserve())
            self.successResultOf(one.start())
            self.assertEqual(made.queueLength, options.get("backlog", 500))
            stopping = one.stop()
            self.context.reactor.advance(10)
            self.successResultOf(stopping)

    def test_stoppingLeavesNothing(self) -> None:
        """
        No address, no rule, no device, no timer.
        """
        everything = (ip_network("0.0.0.0/0"),)
        listener = self.started(address=(ip_interface("10.0.0.2/24"),), routes=everything, strict=True)
        self.assertNotEqual(self.netlink.rules, [])
        self.plane.close()
        stopping = listener.stop()
        self.context.reactor.advance(10)
        self.successResultOf(stopping)
        self.assertEqual(
            (self.addresses(), self.routes(), self.netlink.rules, self.kernel.devices), (set(), set(), [], {})
        )
        with self.assertRaises(ListenError):
            listener.getHost()

    def test_whatTheNextProcessHasSetUpIsLeftToIt(self) -> None:
        """
        It has the persistent device open when this one stops.
        """
        listener = self.started(address=(ip_interface("10.0.0.2/24"),), persist=True)
        successor = self.started(address=(ip_interface("10.0.0.2/24"),), persist=True)
        stopping = listener.stop()
        self.context.reactor.advance(10)
        self.successResultOf(stopping)
        self.assertEqual(self.addresses(), {"10.0.0.2/24"})
        stopping = successor.stop()
        self.context.reactor.advance(10)
        self.successResultOf(stopping)
        self.assertEqual((self.addresses(), list(self.kernel.devices)), (set(), ["hermes0"]))

    def test_withoutTheRightTheCapabilityIsNamed(self) -> None:
        """
        And nothing is left.
        """
        self.kernel.mayCreate = False
        failure = self.failureResultOf(self.listener().start())
        failure.trap(MissingCapability)
        self.assertIn("CAP_NET_ADMIN", failure.getErrorMessage())

    def test_aDeviceThatCanNotBeSetUpIsClosed(self) -> None:
        """
        The node does not start.
        """
        self.netlink.failures.append(KernelError("no"))
        self.failureResultOf(self.listener(address=(ip_interface("10.0.0.2/24"),)).start()).trap(KernelError)
        self.context.reactor.advance(10)
        self.assertEqual(self.kernel.devices, {})

    def test_twoDevicesOfOneNameAreOnePlace(self) -> None:
        """
        So that a reload closes the old one before it opens the new one; a pattern is free for all.
        """
        self.assertEqual(TunListenerOptions("hermes0").places, ("device hermes0",))
        self.assertEqual(TunListenerOptions("hermes%d").places, ())
        self.assertEqual(TunListenerOptions("hermes0", descriptor=5).places, ("descriptor 5",))

    def test_packetsEndInIt(self) -> None:
        """
        So routes may name it.
        """
        self.assertEqual(TunListenerType.ends, ("ip",))
        self.assertIsInstance(TunListenerType().listener("lan", TunListenerOptions(), self.context), TunListener)
