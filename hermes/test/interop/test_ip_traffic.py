"""
What applications and the kernels do with an overlay that carries IP packets: two nodes, three hosts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from typing import Any

from hermes.test.interop.ipnodes import (
    DEVICE,
    DIRECTORY,
    EXIT,
    GATEWAY,
    LANS,
    OWN,
    POOLS,
    PORT,
    SERVER,
    IPCase,
    router,
)
from hermes.test.interop.process import program
from hermes.test.namespaces import Namespace

MIB = 1 << 20


class TrafficTests(IPCase):
    """
    Programs that know nothing of a proxy.
    """

    async def test_programsWorkAsOnAnyNetwork(self) -> None:
        await self.overlay()
        await self.ping()
        await self.iperf()
        await self.download()
        await self.askNames()
        await self.bursts()

    async def ping(self) -> None:
        """
        Either end begins; large ones are cut and put together; errors on the way are told.
        """
        for version in (4, 6):
            # Either of both begins.
            for host, address in ((self.client, SERVER[version]), (self.server, await self.address(version))):
                answer = await self.on(host, "ping", "-l20", "-i10", "-s1400", "-c20", "-W20", address)
                self.assertIn("20 received, 0% packet loss", answer)
            # Cut by the sender, put together by the receiver.
            answer = await self.on(self.client, "ping", "-l5", "-i10", "-s4000", "-c5", "-W20", SERVER[version])
            self.assertIn("5 received, 0% packet loss", answer)
            # One hop for each node, one for the kernel behind the last.
            way = [await self.expired(SERVER[version], ttl) for ttl in (1, 2, 3)]
            # The kernel takes no IPv4 packet from its own address.
            first = "192.0.0.8" if version == 4 else await self.address(version)
            self.assertEqual(way, [first, OWN[version], OWN[version]])
            self.assertIsNone(await self.expired(SERVER[version], 4))

    async def address(self, version: int) -> str:
        """
        The address that the client's device was assigned.
        """
        found = [entry.partition("/")[0] for entry in self.addresses(self.client)]
        own = [entry for entry in found if (":" in entry) == (version == 6)]
        self.assertEqual(len(own), 1, found)
        return own[0]

    async def expired(self, address: str, ttl: int) -> str | None:
        """
        Who tells that a packet with this time to live has died on its way; L{None} where it has arrived.
        """
        answer = await self.on(self.client, "ping", "-n", "-c1", "-W5", "-t", str(ttl), address, status=None)
        told = re.search(
            r"^From (\S+):? icmp_seq=1 Time (?:to live exceeded|exceeded: Hop limit)", answer, re.MULTILINE
        )
        if told is None:
            self.assertIn("1 received", answer)
            return None
        return told[1].rstrip(":")

    async def iperf(self) -> None:
        """
        TCP and UDP, both ways.
        """
        program("iperf3")
        for options in (
            ("-n", "100M"),
            ("-n", "100M", "-R"),
            ("-6", "-n", "50M"),
            # Slow and small, so that what arrives while its reader has no core fits into his socket.
            ("-u", "-b", "2M", "-l", "600", "-n", "500K"),
            ("-u", "-b", "2M", "-l", "600", "-n", "500K", "-R"),
        ):
            target = SERVER[6 if "-6" in options else 4]
            serving = ("iperf3", "-s", "-1", "-B", target, "--forceflush")
            server = self.runOn(self.server, self.process("iperf3"), *serving)
            await server.said("listening")
            answer = await self.on(self.client, "iperf3", "-J", "-c", target, *options)
            await server.end()
            end: dict[str, Any] = json.loads(answer)["end"]
            if "-u" in options:
                self.assertLess(end["sum"]["lost_percent"], 5, end)
                self.assertGreater(end["sum"]["packets"], 800, end)
            else:
                wanted = 50 if "-6" in options else 100
                self.assertGreaterEqual(end["sum_received"]["bytes"], wanted * MIB * 0.8, end)

    async def download(self) -> None:
        """
        A large file is whole.
        """
        content = os.urandom(MIB) * 48
        (self.directory / "large").write_bytes(content)
        for version, host in ((4, SERVER[4]), (6, f"[{SERVER[6]}]")):
            await self.serving(self.server, "files", SERVER[version], "80", str(self.directory))
            copy = self.directory / f"copy{version}"
            asked = ("--noproxy", "*", "--max-time", "60", "-o", str(copy), f"http://{host}/large")
            await self.on(self.client, "curl", "-sS", *asked)
            self.assertEqual(
                hashlib.sha256(copy.read_bytes()).hexdigest(), hashlib.sha256(content).hexdigest(), f"IPv{version}"
            )

    async def bursts(self) -> None:
        """
        Datagrams that come at once are each as they were.
        """
        for version in (4, 6):
            await self.serving(self.server, "echo", SERVER[version], "7", "echo")
            program = (sys.executable, str(DIRECTORY / "ipservers.py"))
            await self.on(self.client, *program, "bursts", SERVER[version], "7")

    async def askNames(self) -> None:
        """
        DNS, over UDP and, for what is larger, TCP.
        """
        for version in (4, 6):
            await self.serving(self.server, "dns", SERVER[version], "53")
            for kind, answer in (("A", "192.0.2.7"), ("AAAA", "2001:db8::7"), ("TXT", "x" * 200)):
                told = await self.on(self.client, "dig", "+short", f"@{SERVER[version]}", "www.example", kind)
                self.assertIn(answer, told)

    async def test_theSmallestLinkOfThePathIsFound(self) -> None:
        await self.overlay(mtu=1400)
        for version, headers in ((4, 28), (6, 48)):
            too = re.escape(f"From {OWN[version]}") + r".*(?:Frag needed and DF set \(mtu = 1400\)|mtu=1400)"
            probe = ("ping", "-n", "-M", "do", "-c1", "-W5", "-s")
            answer = await self.on(self.client, *probe, str(1500 - headers), SERVER[version], status=None)
            self.assertRegex(answer, too)
            # The kernel has learned.
            answer = await self.on(self.client, *probe, str(1401 - headers), SERVER[version], status=None)
            self.assertRegex(answer, "message too long, mtu[=:] ?1400")
            await self.on(self.client, *probe, str(1400 - headers), SERVER[version])
            known = self.client.run("ip", "route", "get", SERVER[version])
            self.assertIn("mtu 1400", known)

        await self.streamOverSmallerLink()

    async def streamOverSmallerLink(self) -> None:
        """
        The server says that it takes more than the link before it does, so that the sender must find out.
        """
        for version in (4, 6):
            self.client.run("ip", f"-{version}", "route", "flush", "cache")
        for version, pool in zip((4, 6), POOLS, strict=True):
            route = (f"-{version}", "route", "change", pool, "via", GATEWAY[version], "advmss", "1460")
            self.server.run("ip", *route)
            target = SERVER[version]
            server = self.runOn(self.server, self.process("iperf3"), "iperf3", "-s", "-1", "-B", target, "--forceflush")
            await server.said("listening")
            answer = await self.on(self.client, "iperf3", "-J", "-c", target, "-n", "20M")
            self.assertGreaterEqual(json.loads(answer)["end"]["sum_received"]["bytes"], 16 * MIB)
            await server.end()
            self.assertIn("mtu 1400", self.client.run("ip", "route", "get", target))

    async def test_theSmallerDeviceOfBothCounts(self) -> None:
        """
        The smallest that there may be, too: what IPv6 takes for granted crosses in one piece.
        """
        self.wire()
        lan = {"type": "tun", "device": DEVICE, "address": [f"{OWN[4]}/24", f"{OWN[6]}/64"], "mtu": 1280}
        overlay = {"type": "tunnel", "bind": f"0.0.0.0:{PORT}"}
        exit = self.startOn(self.exit, "exit", self.exitConfig(listeners={"overlay": overlay, "lan": lan}))
        edge = self.startOn(self.client, "edge", self.edgeConfig())
        for node in exit, edge:
            await node.ready()
        await self.reaches(self.client, SERVER[4])
        for version, headers in ((4, 28), (6, 48)):
            probe = ("ping", "-n", "-M", "do", "-c1", "-W5", "-s")
            answer = await self.on(self.client, *probe, str(1281 - headers), SERVER[version], status=None)
            self.assertRegex(answer, r"mtu[ =:]*1280")
            await self.on(self.client, *probe, str(1280 - headers), SERVER[version])


class RefusalTests(IPCase):
    """
    What is not carried, and what its sender is told.
    """

    async def test_whatIsDeniedIsTold(self) -> None:
        self.wire()
        routes = [
            {"match": {"protocol": "ip", "target": ["10.1.0.9", "fd01::9"]}, "deny": "not for you"},
            {"match": {"protocol": "ip", "target": ["10.1.0.8", "fd01::8"]}, "deny": "quiet", "silent": True},
            {"match": {"protocol": "ip", "target": list(LANS), "transport": ["tcp"]}, "deny": "no streams"},
            {"match": {"protocol": "ip", "target": list(LANS)}, "to": "lan"},
            {"match": {"protocol": "ip", "target": list(POOLS)}},
        ]
        exit = self.startOn(self.exit, "exit", self.exitConfig(routes=routes))
        edge = self.startOn(self.client, "edge", self.edgeConfig())
        for node in exit, edge:
            await node.ready()
        await self.reaches(self.client, SERVER[4])
        for version, denied, silent, prohibited in (
            (4, "10.1.0.9", "10.1.0.8", "Packet filtered"),
            (6, "fd01::9", "fd01::8", "Destination unreachable: Administratively prohibited"),
        ):
            ping = ("ping", "-n", "-c1", "-W5")
            answer = await self.on(self.client, *ping, denied, status=1)
            self.assertRegex(answer, f"From {re.escape(OWN[version])}:? icmp_seq=1 {prohibited}")
            answer = await self.on(self.client, "ping", "-n", "-c1", "-W1", silent, status=1)
            self.assertNotIn("From", answer)
            # Allowed for one protocol, not for the other, and both programs know at once.
            await self.on(self.client, *ping, SERVER[version])
            url = f"http://{SERVER[4]}/" if version == 4 else f"http://[{SERVER[6]}]/"
            answer = await self.on(self.client, "curl", "-sS", "--noproxy", "*", "--max-time", "30", url, status=None)
            self.assertNotIn("timed out", answer)
            self.assertIn("Failed to connect", answer)

    async def test_whatIsNotThereIsToldSo(self) -> None:
        _, exit = await self.overlay()
        for version, nobody in ((4, "10.77.0.200"), (6, "fd77::200")):
            answer = await self.on(self.client, "ping", "-n", "-c1", "-W10", nobody, status=1)
            self.assertRegex(answer, f"From {re.escape(OWN[version])}:? icmp_seq=1 Destination .*nreachable")

        before = self.addresses(self.client)
        await exit.kill()
        while True:
            answer = await self.on(self.client, "ping", "-n", "-c1", "-W2", SERVER[4], status=None)
            if "nreachable" in answer:
                break
        # The device, its addresses and its routes stay, and packets cross as soon as the hop is back.
        self.assertEqual(self.addresses(self.client), before)
        again = self.startOn(self.exit, "exit", self.exitConfig())
        await again.ready()
        await self.reaches(self.client, SERVER[6])


class ChainTests(IPCase):
    """
    Three nodes.
    """

    async def test_aRelayForwardsWithoutAnyTunnelEndingAtIt(self) -> None:
        self.wire()
        relay = Namespace.forTest(self, "relay")
        relay.link(self.exit, ("10.98.0.1/24",), ("10.98.0.2/24",), device="eth1", theirDevice="eth2")
        relay.link(self.client, ("10.97.0.1/24",), ("10.97.0.2/24",), theirDevice="eth2")
        router(relay)
        exit = self.startOn(self.exit, "exit", self.exitConfig())
        middle = self.startOn(
            relay,
            "relay",
            self.config(
                "relay",
                listeners={"overlay": {"type": "tunnel", "bind": f"0.0.0.0:{PORT}"}},
                upstreams={"exit": {"type": "hermes", "endpoints": [f"10.98.0.2:{PORT}"]}},
                routes=[{"match": {"protocol": "ip", "node": "edge"}, "via": ["exit"]}],
            ),
        )
        edge = self.startOn(
            self.client,
            "edge",
            self.edgeConfig(
                upstreams={"relay": {"type": "hermes", "endpoints": [f"10.97.0.1:{PORT}"]}},
                routes=[
                    {"match": {"protocol": "ip", "listener": "lan"}, "via": ["relay", "exit"]},
                    {"match": {"protocol": "ip"}, "to": "lan"},
                ],
            ),
        )
        for node in (exit, middle, edge):
            await node.ready()
        await self.reaches(self.client, SERVER[4])
        await self.reaches(self.client, SERVER[6])
        # Edge and exit count a hop each; the relay does not look at packets.
        answer = await self.on(self.client, "ping", "-n", "-c1", "-W5", "-t", "2", SERVER[4], status=None)
        self.assertIn(f"From {OWN[4]}", answer)
        # Whole segments cross it: what was negotiated is between the two ends.
        content = os.urandom(MIB) * 16
        (self.directory / "large").write_bytes(content)
        await self.serving(self.server, "files", SERVER[4], "80", str(self.directory))
        copy = self.directory / "copy"
        await self.on(self.client, "curl", "-sS", "--noproxy", "*", "-o", str(copy), f"http://{SERVER[4]}/large")
        self.assertEqual(copy.read_bytes(), content)
        self.assertNotIn(EXIT, self.client.run("ip", "route", "show", "dev", DEVICE))
