"""
What a C{tun} listener sets up on its host, and that it goes again: with the node, with kill -9, with the next start.
"""

from __future__ import annotations

import json
import re
import signal

from hermes.test.interop.ipnodes import DEVICE, EXIT, LANS, POOLS, SERVER, IPCase, router
from hermes.test.interop.iptunnels import Eyes
from hermes.test.interop.processes import Node
from hermes.test.namespaces import Namespace

ELSEWHERE = {4: "198.51.100.7", 6: "2001:db8:7::7"}
"""
Addresses of the server in no prefix of the overlay: somewhere in the Internet.
"""
ALL = ("0.0.0.0/0", "::/0")


class SetUpTests(IPCase):
    """
    C{edge} finds C{exit} by way of its host's default route.
    """

    async def remote(self) -> None:
        """
        Make the hosts, with one more that forwards between C{client} and C{exit}, and start C{exit}.
        """
        self.client, self.exit, self.server, self.isp = (
            Namespace.forTest(self, label) for label in ("client", "exit", "server", "isp")
        )
        self.client.link(self.isp, ("10.97.0.2/24", "fd97::2/64"), ("10.97.0.1/24", "fd97::1/64"))
        self.isp.link(self.exit, ("10.99.0.1/24",), (f"{EXIT}/24",), device="eth1")
        self.exit.link(
            self.server, ("10.1.0.1/24", "fd01::1/64"), (f"{SERVER[4]}/24", f"{SERVER[6]}/64"), device="eth1"
        )
        for host in self.isp, self.exit:
            router(host)
        self.client.run("ip", "route", "add", "default", "via", "10.97.0.1")
        self.client.run("ip", "-6", "route", "add", "default", "via", "fd97::1")
        self.exit.run("ip", "route", "add", "10.97.0.0/24", "via", "10.99.0.1")
        for version, pool, gateway in ((4, POOLS[0], "10.1.0.1"), (6, POOLS[1], "fd01::1")):
            self.server.run("ip", f"-{version}", "route", "add", pool, "via", gateway)
            elsewhere = f"{ELSEWHERE[version]}/{32 if version == 4 else 128}"
            self.server.run("ip", "address", "add", elsewhere, "dev", "lo")
            self.exit.run("ip", f"-{version}", "route", "add", elsewhere, "via", SERVER[version])
        routes = [
            {"match": {"protocol": "ip", "target": list(POOLS)}},
            {"match": {"protocol": "ip"}, "to": "lan"},
        ]
        self.exitNode = self.startOn(self.exit, "exit", self.exitConfig(routes=routes))
        self.before = self.state(self.client)

    async def edgeWith(self, *routes: str) -> Node:
        """
        Start C{edge}.

        @param routes: what its device takes.
        """
        edge = self.startOn(self.client, "edge", self.edgeConfig(routes))
        await edge.ready()
        await self.reaches(self.client, SERVER[4])
        await self.reaches(self.client, SERVER[6])
        return edge

    async def stopped(self, edge: Node) -> None:
        edge.signal(signal.SIGTERM)
        await edge.end()

    def device(self, address: str) -> str:
        """
        The device by which the client's kernel sends.
        """
        told = re.search(r" dev (\S+)", self.client.run("ip", "route", "get", address))
        assert told is not None
        return told[1]

    async def test_aFullTunnelTakesAllButTheWayToTheProxy(self) -> None:
        await self.remote()
        edge = await self.edgeWith(*ALL)
        for version in (4, 6):
            self.assertEqual(self.device(SERVER[version]), DEVICE)
            self.assertEqual(self.device(ELSEWHERE[version]), DEVICE)
        # All that leaves the host is for the proxy.
        with Eyes(self.isp, "eth0") as eyes:
            for version in (4, 6):
                answer = await self.on(self.client, "ping", "-c2", "-l2", "-i10", "-W20", ELSEWHERE[version])
                self.assertIn("2 received", answer)
            last = b"and the last"
            await self.on(self.client, "ping", "-c1", "-W5", "-p", last.hex(), "-s", "64", "-I", "eth0", "10.97.0.1")
            left = [packet for packet in eyes.until(last) if packet[0] >> 4 == 4]
        self.assertTrue(left)
        self.assertEqual({packet[16:20] for packet in left}, {bytes(map(int, EXIT.split(".")))})
        await self.madeAnew()
        await self.stopped(edge)
        self.assertEqual(self.state(self.client), self.before)

    async def madeAnew(self) -> None:
        """
        A tunnel that is made anew does not run through itself.
        """
        await self.exitNode.kill()
        # What is for the tunnel goes nowhere else meanwhile.
        self.assertEqual(self.device(ELSEWHERE[4]), DEVICE)
        await self.startOn(self.exit, "exit", json.loads(self.exitNode.path.read_text())).ready()
        await self.reaches(self.client, ELSEWHERE[4])
        await self.reaches(self.client, ELSEWHERE[6])

    async def test_theNextStartRepairsWhatKillLeft(self) -> None:
        await self.remote()
        edge = await self.edgeWith(*ALL)
        await edge.kill()
        # Killed again as soon as it stands, then with another configuration, and stopped in order.
        edge = await self.edgeWith(*ALL)
        self.assertEqual(self.device(ELSEWHERE[4]), DEVICE)
        await edge.kill()
        edge = await self.edgeWith(*LANS)
        self.assertEqual(self.device(ELSEWHERE[4]), "eth0")
        self.assertEqual(self.device(ELSEWHERE[6]), "eth0")
        await self.stopped(edge)
        self.assertEqual(self.state(self.client), self.before)

    async def test_aSplitTunnelTakesItsPrefixesAndNothingElseUntilAReload(self) -> None:
        await self.remote()
        edge = await self.edgeWith(*LANS)
        for routes, device in ((LANS, "eth0"), (ALL, DEVICE), (LANS, "eth0")):
            edge.configure(self.edgeConfig(routes))
            told = await edge.reload()
            self.assertTrue(told.startswith("reloaded"), told)
            for version in (4, 6):
                await self.reaches(self.client, SERVER[version])
                self.assertEqual(self.device(SERVER[version]), DEVICE)
                self.assertEqual(self.device(ELSEWHERE[version]), device)
        self.assertEqual(self.device(EXIT), "eth0")
        await self.stopped(edge)
        self.assertEqual(self.state(self.client), self.before)
