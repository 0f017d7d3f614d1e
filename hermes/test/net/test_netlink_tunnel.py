"""
Full tunnels of the real kernel, and what a process that was killed leaves of one.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from attrs import evolve

from hermes.net.devicesetup import repair
from hermes.net.kernelroutes import BLOCK, Outside
from hermes.net.network import Network
from hermes.test.interop.process import program
from hermes.test.net.tunspaces import (
    Listening,
    NamespaceNetlink,
    TunSpaceCase,
    environment,
    reactor,
    routed,
    wanted,
)

OUTSIDE = Outside()
MARK = str(OUTSIDE.mark)


class TunnelTests(TunSpaceCase):
    """
    A host whose everything goes through a device, and whose proxies go by the wire beside it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.host = self.space("host")
        self.world = self.space("world")
        self.host.link(self.world)
        for family, gateway in ("-4", "10.99.0.2"), ("-6", "fd99::2"):
            self.host.run("ip", family, "route", "add", "default", "via", gateway)
        for place in "198.51.100.1/32", "2001:db8::1/128":
            self.world.run("ip", "address", "add", place, "dev", "lo")
        self.world.run("ip", "route", "add", "10.77.0.0/24", "via", "10.99.0.1")

    def ways(self, *options: str) -> list[str]:
        """
        Which devices the world is reached through.
        """
        return [routed(self.host, place, *options) for place in ("198.51.100.1", "2001:db8::1", "10.99.0.2", "fd99::2")]

    async def test_everythingGoesThroughTheDeviceButTheProxies(self) -> None:
        receiver = Listening()
        self.device(self.host, receiver)
        setup = await self.configured(
            self.host, wanted("10.77.0.10/24", "fd77::10/64", routes=["0.0.0.0/0", "::/0"], outside=OUTSIDE)
        )
        # What the main table knows better stays where it is.
        self.assertEqual(self.ways(), ["lan0", "lan0", "eth0", "eth0"])
        self.assertEqual(self.ways("mark", MARK), ["eth0"] * 4)
        await setup.remove()
        self.assertEqual(self.ways(), ["eth0"] * 4)
        self.assertNotIn("proto 72", self.host.run("ip", "rule") + self.host.run("ip", "-6", "rule"))

    async def test_theProxiesSocketsReachTheWorld(self) -> None:
        receiver = Listening()
        self.device(self.host, receiver)
        await self.configured(
            self.host, wanted("10.77.0.10/24", "fd77::10/64", routes=["0.0.0.0/0", "::/0"], outside=OUTSIDE)
        )
        for place in "198.51.100.1", "2001:db8::1":
            family = socket.AF_INET6 if ":" in place else socket.AF_INET
            with self.world.entered():
                server = socket.create_server((place, 0), family=family)
            self.addCleanup(server.close)
            port = server.getsockname()[1]
            with self.host.entered():
                marked, plain = socket.socket(family), socket.socket(family)
            for sock in marked, plain:
                self.addCleanup(sock.close)
                sock.setblocking(False)
            marked.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, OUTSIDE.mark)
            marked.connect_ex((place, port))
            accepted, source = server.accept()
            accepted.close()
            self.assertIn(source[0], ("10.99.0.1", "fd99::1"))
            # Anybody else's packet comes out of the device.
            plain.connect_ex((place, port))
            wanting = port.to_bytes(2, "big")
            await receiver.until(lambda: any(wanting in frame[30:54] for frame in receiver.frames))  # noqa: B023

    async def test_whoConnectsFromTheWorldIsAnswered(self) -> None:
        """
        What a proxy listens on is marked, and so is what it accepts.
        """
        self.device(self.host, Listening())
        await self.configured(self.host, wanted("10.77.0.10/24", routes=["0.0.0.0/0"], outside=OUTSIDE))
        with self.host.entered():
            bound = Network(reactor, mark=OUTSIDE.mark)._bound("stream", "0.0.0.0:0")
        self.addCleanup(bound.close)
        bound.socket.listen()
        with self.world.entered():
            client = socket.socket()
        self.addCleanup(client.close)
        # From where only the default route leads back to.
        client.bind(("198.51.100.1", 0))
        client.settimeout(30)
        client.connect(("10.99.0.1", bound.socket.getsockname()[1]))
        accepted, _ = bound.socket.accept()
        accepted.close()

    async def test_theLongestPrefixCountsInAllTables(self) -> None:
        self.host.run("ip", "route", "add", "10.0.0.0/12", "via", "10.99.0.2")
        self.host.run("ip", "route", "add", "10.1.2.0/24", "via", "10.99.0.2")
        self.device(self.host, Listening())
        await self.configured(
            self.host, wanted("10.77.0.10/24", routes=["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32"], outside=OUTSIDE)
        )
        ways = {
            "10.200.0.1": "lan0",  # 10.0.0.0/8
            "10.2.0.1": "eth0",  # 10.0.0.0/12 of the main table
            "10.1.9.9": "lan0",  # 10.1.0.0/16
            "10.1.2.9": "eth0",  # 10.1.2.0/24 of the main table
            "10.1.2.3": "lan0",  # 10.1.2.3/32
            "10.99.0.7": "eth0",  # the wire's own prefix
            "198.51.100.1": "eth0",
        }
        self.assertEqual({place: routed(self.host, place) for place in ways}, ways)
        self.assertEqual({routed(self.host, place, "mark", MARK) for place in ways}, {"eth0"})

    async def test_aStrictDeviceIsNoticed(self) -> None:
        self.host.sysctl("net.ipv4.conf.eth0.rp_filter", 1)
        self.device(self.host, Listening())
        state = await NamespaceNetlink(self.host).state("lan0")
        self.assertEqual(state.strict, {"eth0"})
        self.host.sysctl("net.ipv4.conf.all.rp_filter", 2)
        state = await NamespaceNetlink(self.host).state("lan0")
        self.assertEqual(state.strict, frozenset())


HOLDER = """
import sys
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from hermes.net.devicesetup import DeviceSetup
from hermes.net.kernelroutes import Outside
from hermes.net.netlink import Netlink
from hermes.net.network import Network
from hermes.net.tun import TunDevice
from hermes.net.tunopen import TunOptions
from hermes.test.net.tunspaces import wanted

async def main(reactor):
    netlink = Netlink(reactor)
    persist, strict = ("persist" in sys.argv, "strict" in sys.argv)
    TunDevice(reactor, TunOptions(name="lan0", persist=persist), netlink=netlink)
    Network(reactor, mark=Outside().mark)
    routes = ["0.0.0.0/0", "::/0", "10.1.0.0/16"]
    desired = wanted("10.77.0.10/24", "fd77::10/64", routes=routes, outside=Outside(), ours=persist, strict=strict)
    await DeviceSetup(netlink, "lan0").apply(desired)
    print("set up")
    await Deferred()

react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""
"""
A process that holds a device.
"""


class KilledTests(TunSpaceCase):
    """
    A process was killed.
    """

    def setUp(self) -> None:
        super().setUp()
        self.host = self.space("host")
        self.world = self.space("world")
        self.host.link(self.world)
        self.host.run("ip", "route", "add", "default", "via", "10.99.0.2")
        # Somebody else's.
        self.host.run("ip", "rule", "add", "priority", "20000", "fwmark", "7", "lookup", "77")
        self.host.run("ip", "route", "add", "10.5.0.0/16", "via", "10.99.0.2", "table", "77")

    async def kill(self, *options: str) -> None:
        holder = self.host.start(sys.executable, "-c", HOLDER, *options, environment=environment())
        await holder.said("^set up")
        self.assertEqual(routed(self.host, "198.51.100.1"), "lan0")
        self.assertEqual(await holder.kill(), -9)

    def everything(self) -> str:
        """
        All rules, and routes and addresses of all devices.
        """
        commands = (
            ("ip", "rule"),
            ("ip", "-6", "rule"),
            ("ip", "route", "show", "table", "all"),
            ("ip", "-6", "route", "show", "table", "all"),
            ("ip", "-o", "-brief", "address"),
        )
        return "".join(self.host.run(*command) for command in commands)

    async def test_withItsDeviceGoneTheHostReachesTheWorld(self) -> None:
        before = self.everything()
        await self.kill()
        self.assertNotIn("lan0", self.host.run("ip", "link"))
        self.assertIn("proto 72", self.host.run("ip", "rule"))
        self.assertEqual(routed(self.host, "198.51.100.1"), "eth0")
        # The next start.
        await repair(NamespaceNetlink(self.host), "lan0")
        self.assertEqual(self.everything(), before)

    async def test_whereItIsTheOnlyWayTheHostReachesItsOwnNetworkAndNothingElse(self) -> None:
        """
        But for the proxies' sockets; and the device may be there, and down.
        """
        before = self.everything()
        for options in (), ("persist",):
            await self.kill("strict", *options)
            if options:
                self.assertEqual(routed(self.host, "198.51.100.1"), "lan0")
                self.host.run("ip", "link", "set", "lan0", "down")
            for place in "198.51.100.1", "10.1.0.7", "2001:db8::1":
                self.assertRaisesRegex(AssertionError, "No route to host", self.host.run, "ip", "route", "get", place)
            self.assertEqual(routed(self.host, "10.99.0.2"), "eth0")
            self.assertEqual(routed(self.host, "198.51.100.1", "mark", MARK), "eth0")
            # Another device's start leaves that.
            await repair(NamespaceNetlink(self.host), "other0", place=evolve(OUTSIDE, table=900, priority=BLOCK * 5))
            self.assertRaises(AssertionError, self.host.run, "ip", "route", "get", "198.51.100.1")
            await repair(NamespaceNetlink(self.host), "lan0", place=OUTSIDE)
            self.assertEqual(self.everything(), before)

    async def test_aPersistentDeviceIsRemoved(self) -> None:
        before = self.everything()
        await self.kill("persist")
        self.assertIn("lan0", self.host.run("ip", "link"))
        await repair(NamespaceNetlink(self.host), "lan0")
        self.assertEqual(self.everything(), before)

    async def test_aPersistentDeviceIsKeptAndCleaned(self) -> None:
        await self.kill("persist")
        self.host.run("ip", "address", "add", "10.8.0.1/24", "dev", "lan0")
        await repair(NamespaceNetlink(self.host), "lan0", keep=True)
        self.assertNotIn("proto 72", self.everything())
        self.assertNotIn("10.77.0.10", self.everything())
        # That was not ours.
        self.assertIn("10.8.0.1", self.everything())

    async def test_oneCapabilityIsEnough(self) -> None:
        """
        For all of it: device, addresses, routes, rules, marks.
        """
        only = (program("setpriv"), "--bounding-set", "-all,+net_admin", "--inh-caps", "-all,+net_admin")
        holder = self.host.start(*only, sys.executable, "-c", HOLDER, "persist", environment=environment())
        await holder.said("^set up")
        self.assertEqual(routed(self.host, "198.51.100.1"), "lan0")
        rights = Path(f"/proc/{holder.pid}/status").read_text()
        self.assertIn("CapEff:\t0000000000001000\n", rights)

    async def test_theNextStartTakesOver(self) -> None:
        """
        With another table, another place for the rules, and other addresses.
        """
        await self.kill("persist")
        self.device(self.host, Listening())
        outside = evolve(OUTSIDE, table=900, priority=BLOCK * 5)
        setup = await self.configured(self.host, wanted("10.78.0.10/24", routes=["0.0.0.0/0"], outside=outside))
        left = self.everything()
        self.assertNotIn("10.77.0.10", left)
        self.assertNotIn("18501", left)
        self.assertEqual(routed(self.host, "198.51.100.1"), "lan0")
        await setup.remove()
        self.assertNotIn("proto 72", self.everything())
        self.assertIn("20000:\tfrom all fwmark 0x7 lookup 77", self.everything())
