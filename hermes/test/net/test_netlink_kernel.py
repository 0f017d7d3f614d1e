"""
Addresses, routes and rules of the real kernel, in namespaces of their own.
"""

from __future__ import annotations

import sys
from functools import partial
from ipaddress import ip_interface, ip_network
from typing import Any

from zope.interface.verify import verifyObject

from hermes.interfaces.kernel import (
    Add,
    Change,
    INetlink,
    Link,
    LinkAddress,
    LinkRoute,
    PolicyRule,
    Remove,
    SetLink,
)
from hermes.net.devicesetup import DeviceSetup
from hermes.net.kernelerrors import KernelError, MissingCapability
from hermes.net.kernelroutes import ALIAS, Outside
from hermes.net.netlink import Netlink
from hermes.net.netlinkcalls import makeChanges
from hermes.test.namespaces import Namespace
from hermes.test.net.tunspaces import (
    Listening,
    NamespaceNetlink,
    TunSpaceCase,
    environment,
    reactor,
    until,
    wanted,
)
from hermes.test.rights import withoutRights
from hermes.wire.offload import segment

OUTSIDE = Outside()
MARK = str(OUTSIDE.mark)


class NetlinkTests(TunSpaceCase):
    """
    What is read is what was changed.
    """

    async def test_itIsTheKernels(self) -> None:
        verifyObject(INetlink, Netlink(reactor))
        names = [link.name for link in await Netlink(reactor).links()]
        self.assertIn("lo", names)

    async def test_whatIsMadeIsThere(self) -> None:
        space = self.space()
        self.device(space, Listening())
        netlink = NamespaceNetlink(space)
        before = await netlink.state("lan0")
        self.assertEqual((before.addresses, before.routes, before.rules), (frozenset(), frozenset(), frozenset()))
        items: list[Any] = [
            LinkAddress("lan0", ip_interface("10.0.0.1/24")),
            LinkAddress("lan0", ip_interface("10.0.1.1/32"), ip_interface("10.0.1.2/32").ip),
            LinkAddress("lan0", ip_interface("fd00::1/64")),
            LinkAddress("lan0", ip_interface("fd00:1::1/128"), ip_interface("fd00:1::2/128").ip),
            LinkRoute("lan0", ip_network("10.1.0.0/16")),
            LinkRoute("lan0", ip_network("0.0.0.0/0"), 900),
            LinkRoute("lan0", ip_network("fd01::/64")),
            LinkRoute("lan0", ip_network("::/0"), 70000),
        ]
        for family in 4, 6:
            items += [
                PolicyRule(family, 600),
                PolicyRule(family, 512, mark=0x4845, goto=600),
                PolicyRule(family, 513, table=254, suppress=0),
                PolicyRule(family, 514, table=254, suppress=16),
                PolicyRule(family, 515, table=70000),
            ]
        await netlink.change([SetLink("lan0", 1400, True, 700, ALIAS, True), *map(Add, items)])
        state = await netlink.state("lan0")
        link = state.link
        assert link is not None
        self.assertEqual(link, Link(link.index, "lan0", 1400, True, True, "tun", ALIAS, 700, True))
        ours = [*filter(_isOurs, state.addresses), *filter(_isOurs, state.routes), *state.rules]
        self.assertEqual(set(ours), set(items))
        # In reverse: rules before what they lead to.
        await netlink.change([Remove(item) for item in reversed(items)])
        after = await netlink.state("lan0")
        self.assertEqual([*filter(_isOurs, after.addresses), *filter(_isOurs, after.routes), *after.rules], [])

    async def test_removingWhatIsNotThereIsNoTrouble(self) -> None:
        space = self.space()
        self.device(space, Listening())
        items: list[Any] = [
            LinkAddress("lan0", ip_interface("10.0.0.1/24")),
            LinkAddress("lan0", ip_interface("fd00::1/64")),
            LinkRoute("lan0", ip_network("10.1.0.0/16")),
            LinkRoute("lan0", ip_network("fd01::/64")),
            LinkRoute("gone0", ip_network("10.1.0.0/16")),
            PolicyRule(4, 512, table=900),
            PolicyRule(6, 512, mark=1, goto=600),
            Link(9999, "gone0"),
        ]
        await NamespaceNetlink(space).change([Remove(item) for item in items])

    async def test_aDeviceCanBeRemoved(self) -> None:
        space = self.space()
        space.run("ip", "tuntap", "add", "left0", "mode", "tun")
        netlink = NamespaceNetlink(space)
        (link,) = [link for link in await netlink.links() if link.name == "left0"]
        self.assertFalse(link.used)
        await netlink.change([Remove(link)])
        self.assertEqual([link.name for link in await netlink.links()], ["lo"])

    async def refusal(self, space: Namespace, *changes: Change) -> str:
        failure: Any = None
        try:
            await NamespaceNetlink(space).change(changes)
        except KernelError as error:
            failure = error
        self.assertIsNotNone(failure)
        return str(failure)

    async def test_aRefusalSaysWhatAndWhy(self) -> None:
        space = self.space()
        self.device(space, Listening())
        route = LinkRoute("lan0", ip_network("10.1.0.0/16"))
        said = await self.refusal(space, Add(route))
        self.assertIn("adding the route to 10.1.0.0/16 through lan0: Device for nexthop is not up", said)
        said = await self.refusal(space, SetLink("gone0", up=True))
        self.assertIn("setting up the device gone0: there is no such device", said)
        said = await self.refusal(space, SetLink("lan0", mtu=70000))
        self.assertIn("mtu greater than device maximum", said)
        space.run("ip", "link", "set", "lan0", "up")
        space.run("ip", "route", "add", "10.1.0.0/16", "dev", "lan0")
        self.assertIn("somebody else's is there already", await self.refusal(space, Add(route)))
        space.sysctl("net.ipv6.conf.lan0.disable_ipv6", 1)
        said = await self.refusal(space, Add(LinkAddress("lan0", ip_interface("fd00::1/64"))))
        self.assertIn("IPv6 is disabled", said)
        self.assertIn("disable_ipv6", said)

    async def test_withoutTheRightItIsNamed(self) -> None:
        space = self.space()
        self.device(space, Listening())
        with space.entered():
            error = self.assertRaises(MissingCapability, withoutRights, lambda: makeChanges([SetLink("lan0", up=True)]))
        self.assertIn("setting up the device lan0 needs CAP_NET_ADMIN", str(error))

    async def test_whatHappensIsTold(self) -> None:
        space = self.space()
        told: list[tuple[str, Link]] = []

        class Watcher:
            def linkChanged(self, link: Link) -> None:
                told.append(("changed", link))

            def linkRemoved(self, link: Link) -> None:
                told.append(("removed", link))

            def linksMissed(self) -> None:
                raise NotImplementedError

        watcher: Any = Watcher()
        netlink = NamespaceNetlink(space)
        stop = netlink.watch(watcher)
        space.run("ip", "tuntap", "add", "left0", "mode", "tun")
        space.run("ip", "link", "set", "left0", "mtu", "1300", "alias", "a name", "txqueuelen", "77")
        space.run("ip", "link", "set", "left0", "up")
        space.run("ip", "link", "del", "left0")
        await until(lambda: told and told[-1][0] == "removed")
        stop()
        changes = [link for what, link in told if what == "changed"]
        self.assertEqual({link.name for link in changes}, {"left0"})
        last = changes[-1]
        self.assertEqual((last.mtu, last.alias, last.queue, last.kind), (1300, "a name", 77, "tun"))
        self.assertEqual({link.up for link in changes}, {True, False})
        self.assertFalse(last.used)


def _isOurs(item: Any) -> bool:
    return bool(item.ours)


class SetupTests(TunSpaceCase):
    """
    Devices that are set up.
    """

    async def test_addressesAreExchanged(self) -> None:
        """
        Of several in one prefix the first may go: by itself, the kernel would take the others with it.
        """
        space = self.space()
        self.device(space, Listening())
        setup = await self.configured(space, wanted("10.0.0.1/24", "10.0.0.2/24", "fd00::1/64"))
        await setup.apply(wanted("10.0.0.2/24", "10.0.0.3/24", "fd00::1/48"))
        state = await NamespaceNetlink(space).state("lan0")
        there = {str(address.interface) for address in state.addresses if address.ours}
        self.assertEqual(there, {"10.0.0.2/24", "10.0.0.3/24", "fd00::1/48"})

    async def test_applyingTwiceChangesNothing(self) -> None:
        space = self.space()
        self.device(space, Listening())
        desired = wanted(
            "10.0.0.1/24",
            "fd00::1/64",
            routes=["10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "fd00::/64", "::/0"],
            outside=OUTSIDE,
            mtu=1400,
            queue=1000,
        )
        await self.configured(space, desired)
        netlink = RecordingNetlink(space)
        setup = DeviceSetup(netlink, "lan0")
        self.addCleanup(setup.remove)
        await setup.apply(desired)
        self.assertEqual(netlink.changes, [])

    async def test_routesChangeUnderTraffic(self) -> None:
        """
        Nothing is lost on the way to what stays.
        """
        space = self.space()
        receiver = Listening()
        self.device(space, receiver)
        kept = ["10.1.0.0/16", "0.0.0.0/0"]
        setup = await self.configured(
            space, wanted("10.0.0.1/24", routes=[*kept, "10.5.0.0/16"], outside=OUTSIDE, queue=10000)
        )
        sender = space.start(sys.executable, "-c", SENDER, environment=environment())
        await sender.said("^sending")
        for number in range(10):
            routes = [*kept, f"10.{10 + number}.0.0/{16 + number}"]
            await setup.apply(wanted(f"10.0.0.{1 + number % 2}/24", routes=routes, outside=OUTSIDE, queue=10000))
            before = len(receiver.frames)
            await receiver.until(partial(lambda before: len(receiver.frames) > before, before))
        sender.closeInput()
        sent = int((await sender.said(r"^sent (\d+)"))[1])
        await receiver.until(lambda: any(frame.endswith(b"%08d" % (sent - 1)) for frame in receiver.frames))
        # Those that came together came as one.
        whole = [each for frame in receiver.frames if frame[19] == 17 for each in segment(frame)]
        arrived = {bytes(frame[-8:]) for frame in whole}
        self.assertEqual(arrived, {b"%08d" % number for number in range(sent)})


SENDER = """
import select, socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent = 0
print("sending")
while not select.select([sys.stdin], [], [], 0.0005)[0]:
    for host in "10.1.0.1", "192.0.2.1":
        sock.sendto(b"%08d" % sent, (host, 9))
        sent += 1
print("sent", sent)
"""
"""
A program that sends numbers to two hosts until its input ends.
"""


class RecordingNetlink(NamespaceNetlink):
    """
    Records what is changed.
    """

    def __init__(self, namespace: Namespace) -> None:
        super().__init__(namespace)
        self.changes: list[Change] = []

    def change(self, changes: Any) -> Any:
        self.changes += changes
        return super().change(changes)
