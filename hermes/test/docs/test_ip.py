"""
The page on IP packets: its two nodes, and its commands, on two hosts.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from scapy.layers.inet import IP
from scapy.utils import rdpcap

from hermes.test.docs.pages import DOCS, EXAMPLES, MISSING, blocks
from hermes.test.interop.ipnodes import IPCase
from hermes.test.interop.process import Process
from hermes.test.interop.processes import TWISTD, Node
from hermes.test.namespaces import Namespace

HERMES = (sys.executable, "-m", "hermes.cli")


class IPTests(IPCase):
    """
    A laptop, and a gateway with a host behind it.
    """

    skip = MISSING

    def example(self, host: Namespace, name: str) -> Node:
        """
        Start a node of an example, as it is but for the gateway's name, which no DNS knows here.
        """
        text = (EXAMPLES / f"ip-{name}.yaml").read_text().replace("gateway.example", "10.99.0.2")
        return self.startAs(host, name, text)

    def startAs(self, host: Namespace, name: str, text: str) -> Node:
        """
        Start a node with this configuration.
        """
        node = Node(name, self.directory / f"ip-{name}.yaml")
        (self.directory / "pki").mkdir(exist_ok=True)
        for kind, file in self.identity(name).items():
            target = "overlay-ca.pem" if kind == "trust" else f"{name}.{'pem' if kind == 'certificate' else 'key'}"
            (self.directory / "pki" / target).write_bytes(Path(file).read_bytes())
        node.path.write_text(text)
        self.runOn(host, node, *TWISTD, "hermes-proxy", "--config", str(node.path))
        return node

    async def test_theLaptopReachesWhatLiesBehindTheGateway(self) -> None:
        """
        And the commands say what is going on.
        """
        self.wire()
        gateway, laptop = self.example(self.exit, "gateway"), self.example(self.client, "laptop")
        for node in gateway, laptop:
            await node.ready()
        await self.reaches(self.client, "10.1.0.2")
        self.assertEqual(self.addresses(self.client), ["10.77.0.2/32", "fd77::2/128"])

        status = await self.on(self.client, *HERMES, "status", "-c", str(laptop.path))
        self.assertRegex(status, r"via gateway +gateway +10\.77\.0\.2, fd77::2 +[1-9]")
        route = await self.on(
            self.exit, *HERMES, "route", "get", "10.1.0.2", "--node", "laptop", "-c", str(gateway.path)
        )
        self.assertIn("=> to the device lan", route)
        for host, asked, port in (
            (self.client, ("10.1.0.2", "--listener", "vpn", "--admin", "127.0.0.1:9902"), "via gateway"),
            (self.exit, ("10.1.0.2", "--node", "laptop"), "device hermes0"),
            (self.exit, ("10.77.0.2", "--node", "laptop"), "tunnel 1"),
        ):
            route = await self.on(host, *HERMES, "route", "get", *asked)
            self.assertRegex(route.rstrip(), f"   leaves by: {port}$")
        nobody = await self.on(self.exit, *HERMES, "route", "get", "10.77.0.9", "--node", "laptop", status=1)
        self.assertRegex(nobody.rstrip(), "   nobody has its address now$")
        ping = await self.on(self.client, *HERMES, "ping", "gateway", "-c", str(laptop.path), "-n", "2")
        self.assertIn("2 sent, 0 lost", ping)

        for name, host, node in (("vpn", self.client, laptop), ("laptop", self.exit, gateway)):
            file = self.directory / f"{name}.pcap"
            words = ("capture", name, "-w", str(file), "-n", "8", "-c", str(node.path))
            capture = self.runOn(host, Process("capture"), *HERMES, *words)
            await capture.said("watching")
            await self.on(self.client, "ping", "-c8", "-i0.1", "-W5", "10.1.0.2")
            self.assertEqual(await capture.end(), 0, capture.output)
            # The laptop's kernel may look for IPv6 routers meanwhile.
            seen = {(packet[IP].src, packet[IP].dst) for packet in rdpcap(str(file)) if IP in packet}
            self.assertEqual(seen, {("10.77.0.2", "10.1.0.2"), ("10.1.0.2", "10.77.0.2")})
            if shutil.which("tcpdump"):
                told = await self.on(host, "tcpdump", "-nr", str(file))
                self.assertIn("link-type RAW (Raw IP)", told)
                self.assertIn("IP 10.77.0.2 > 10.1.0.2: ICMP echo request", told)
                self.assertIn("IP 10.1.0.2 > 10.77.0.2: ICMP echo reply", told)
        unknown = await self.on(
            self.exit, *HERMES, "capture", "nobody", "-w", "/dev/null", "-c", str(gateway.path), status=1
        )
        self.assertIn("no tun listener, hop or tunnel called 'nobody'", unknown)

        await gateway.kill()
        await laptop.said("via gateway: no tunnel")
        away = ("10.1.0.2", "--listener", "vpn", "--admin", "127.0.0.1:9902")
        down = await self.on(self.client, *HERMES, "route", "get", *away, status=1)
        self.assertRegex(down.rstrip(), "   would leave by: via gateway, which is down$")

    async def test_commandsTakeAwayWhatAStrictTunnelHasLeft(self) -> None:
        """
        The page's own listener, killed; no gateway is needed for that.
        """
        pages = (DOCS / "howto" / name for name in ("ip.md", "tun-rights.md"))
        page, rights = map(blocks, pages)
        (text,) = [block.body for block in page if "strict: true" in block.body]
        (commands,) = [block.body for block in rights if "flush" in block.body]
        self.client = Namespace.forTest(self, "client")
        other = Namespace.forTest(self, "other")
        self.client.link(other)
        self.client.run("ip", "route", "add", "default", "via", "10.99.0.2")
        before = self.state(self.client)
        laptop = self.startAs(self.client, "laptop", text)
        await laptop.ready()
        self.assertIn("dev hermes0", self.client.run("ip", "route", "get", "192.0.2.1"))
        await laptop.kill()
        self.assertRaises(AssertionError, self.client.run, "ip", "route", "get", "192.0.2.1")
        for command in commands.strip().splitlines():
            self.client.run(*command.split())
        self.assertEqual(self.state(self.client), before)
