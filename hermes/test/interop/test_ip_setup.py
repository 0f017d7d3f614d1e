"""
What a C{tun} listener sets up on its host, and that it goes again: with the node, with kill -9, with the next start.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from typing import Any

from hermes.test.interop.ipnodes import DEVICE, EXIT, LANS, POOLS, SERVER, IPCase, router
from hermes.test.interop.iptunnels import Eyes
from hermes.test.interop.process import Process
from hermes.test.interop.processes import Node
from hermes.test.namespaces import Namespace

ELSEWHERE = {4: "198.51.100.7", 6: "2001:db8:7::7"}
"""
Addresses of the server in no prefix of the overlay: somewhere in the Internet.
"""
ALL = ("0.0.0.0/0", "::/0")

MARKER = b"not for your eyes"
SENDER = f"""
import socket, sys, time
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
print("sending", flush=True)
while True:
    try:
        sock.sendto({MARKER!r}, (sys.argv[1], 9))
    except OSError:
        pass
    time.sleep(0.002)
"""
"""
Sends all the time.
"""


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

    async def edgeWith(self, *routes: str, **options: Any) -> Node:
        """
        Start C{edge}.

        @param routes: what its device takes.
        @param options: other ones of its listener.
        """
        edge = self.startOn(self.client, "edge", self.configuration(*routes, **options))
        await edge.ready()
        await self.reaches(self.client, SERVER[4])
        await self.reaches(self.client, SERVER[6])
        return edge

    def configuration(self, *routes: str, **options: Any) -> dict[str, Any]:
        """
        That of C{edge}.

        @param routes: what its device takes.
        @param options: other ones of its listener.
        """
        config = self.edgeConfig(routes)
        config["listeners"]["lan"] |= options
        return config

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

    async def test_aStrictTunnelIsTheOnlyWayOutWhateverHappens(self) -> None:
        """
        Killed, started anew, killed again: of what is sent all the time, nothing leaves the host but in the tunnel.
        What is on the host's own network is reached, and the sender is told of the rest.
        """
        await self.remote()
        edge = await self.edgeWith(*ALL, strict=True)
        with Eyes(self.isp, "eth0") as eyes:
            for version in (4, 6):
                sender = self.runOn(self.client, Process("sender"), sys.executable, "-c", SENDER, ELSEWHERE[version])
                await sender.said("^sending$")
            for _ in range(2):
                await edge.kill()
                for version in (4, 6):
                    answer = await self.on(self.client, "ping", "-c1", "-W1", ELSEWHERE[version], status=2)
                    self.assertRegex(answer, "No route to host|Network is unreachable")
                    gateway = "10.97.0.1" if version == 4 else "fd97::1"
                    await self.on(self.client, "ping", "-c1", "-W5", gateway)
                edge = await self.edgeWith(*ALL, strict=True)
                await self.reaches(self.client, ELSEWHERE[4])
                await self.reaches(self.client, ELSEWHERE[6])
            last = b"and the last"
            await self.on(self.client, "ping", "-c1", "-W5", "-p", last.hex(), "-s", "64", "-I", "eth0", "10.97.0.1")
            seen = eyes.until(last)
        self.assertTrue(any(packet[16:20] == bytes(map(int, EXIT.split("."))) for packet in seen))
        outside = [packet for packet in seen if MARKER in packet]
        self.assertEqual(outside, [])
        # One that is not strict takes it away.
        await edge.kill()
        edge = await self.edgeWith(*LANS)
        for version in (4, 6):
            self.assertEqual(self.device(ELSEWHERE[version]), "eth0")
        # So does one that ends in order.
        edge.configure(self.configuration(*ALL, strict=True))
        told = await edge.reload()
        self.assertTrue(told.startswith("reloaded"), told)
        await self.reaches(self.client, ELSEWHERE[4])
        self.assertEqual(self.device(ELSEWHERE[4]), DEVICE)
        self.assertIn("unreachable default", " ".join(self.state(self.client)["-4 route show table all"]))
        await self.stopped(edge)
        self.assertEqual(self.state(self.client), self.before)

    async def test_aKernelThatWouldDropTheAnswersIsToldOf(self) -> None:
        """
        And what helps: it does.
        """
        await self.remote()
        self.client.sysctl("net.ipv4.conf.eth0.rp_filter", 1)
        edge = self.startOn(self.client, "edge", self.edgeConfig(ALL))
        await edge.said(r"may be dropped on eth0: .*Set net\.ipv4\.conf\.\*\.rp_filter to 2")
        await edge.said("via exit: no tunnel")
        self.client.sysctl("net.ipv4.conf.eth0.rp_filter", 2)
        await edge.said("via exit: there is a tunnel")
        await self.reaches(self.client, SERVER[4])

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
