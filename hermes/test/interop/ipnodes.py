"""
Nodes that carry IP packets, each in a network namespace of its own, and the hosts beyond them.

    client (edge, with a TUN device) --- exit (with a TUN device) --- server

Between C{client} and C{exit} is a wire on which C{edge} finds C{exit}; the prefixes of C{server} are reached through
the tunnel only.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hermes.test.interop
from hermes.test.interop.process import Process, program
from hermes.test.interop.processes import TWISTD, Node, ProcessCase
from hermes.test.namespaces import Namespace, needTun

DIRECTORY = Path(hermes.test.interop.__file__).parent

DEVICE = "hermes0"
PORT = 8443
EXIT = "10.99.0.2"
"""
Where C{edge} finds C{exit}.
"""
POOLS = ("10.77.0.0/24", "fd77::/64")
OWN = {4: "10.77.0.1", 6: "fd77::1"}
"""
Addresses of C{exit} in its pools.
"""
LANS = ("10.1.0.0/24", "fd01::/64")
GATEWAY = {4: "10.1.0.1", 6: "fd01::1"}
SERVER = {4: "10.1.0.2", 6: "fd01::2"}


class IPCase(ProcessCase):
    """
    A test with hosts and the nodes on them.

    @ivar client: the host of C{edge}.
    @ivar exit: that of C{exit}, a router between its TUN device and the server.
    @ivar server: a host that knows nothing of Hermes.
    """

    timeout = 90

    def setUp(self) -> None:
        needTun()
        super().setUp()

    def wire(self, mtu: int = 1500) -> None:
        """
        Make the three hosts.

        @param mtu: of the wire behind C{exit}.
        """
        self.client, self.exit, self.server = (Namespace.forTest(self, label) for label in ("client", "exit", "server"))
        self.client.link(self.exit)
        own = (f"{GATEWAY[4]}/24", f"{GATEWAY[6]}/64")
        self.exit.link(self.server, own, (f"{SERVER[4]}/24", f"{SERVER[6]}/64"), device="eth1", mtu=mtu)
        router(self.exit)
        for version, pool in zip((4, 6), POOLS, strict=True):
            self.server.run("ip", f"-{version}", "route", "add", pool, "via", GATEWAY[version])

    def startOn(self, host: Namespace, name: str, config: Mapping[str, Any]) -> Node:
        """
        Start a node on a host.
        """
        node = Node(name, self.directory / f"{name}.yaml")
        node.configure(config)
        self.runOn(host, node, *TWISTD, "hermes-proxy", "--config", str(node.path))
        return node

    def runOn(self, host: Namespace, process: Process, *command: str) -> Process:
        """
        Start a program on a host. It ends with the test.
        """
        ip, *words = host.command(*command)
        self.run_(process, [program(ip), *words])
        return process

    def config(self, node: str, **sections: Any) -> dict[str, Any]:
        """
        A node's configuration, with a certificate and a short drain.
        """
        return super().config(node, **{"identity": self.identity(node), "drain": 2, **sections})

    def exitConfig(self, name: str = "exit", **sections: Any) -> dict[str, Any]:
        """
        The configuration of C{exit}: whoever it knows gets addresses and may send to the server's prefixes.
        """
        leases = self.directory / f"{name}.leases"
        return self.config(
            name,
            **{
                "ip": {"pools": list(POOLS), "leases": str(leases)},
                "listeners": {
                    "overlay": {"type": "tunnel", "bind": f"0.0.0.0:{PORT}"},
                    "lan": {"type": "tun", "device": DEVICE, "address": [f"{OWN[4]}/24", f"{OWN[6]}/64"]},
                },
                "routes": [
                    {"match": {"protocol": "ip", "target": list(LANS)}, "to": "lan"},
                    {"match": {"protocol": "ip", "target": list(POOLS)}},
                ],
                **sections,
            },
        )

    def edgeConfig(self, taking: tuple[str, ...] = (*LANS, *POOLS), **sections: Any) -> dict[str, Any]:
        """
        The configuration of C{edge}: everything that its device takes goes by way of C{exit}.

        @param taking: what the device takes.
        """
        return self.config(
            "edge",
            **{
                "listeners": {"lan": {"type": "tun", "device": DEVICE, "routes": list(taking)}},
                "upstreams": {"exit": {"type": "hermes", "endpoints": [f"{EXIT}:{PORT}"]}},
                "routes": [
                    {"match": {"protocol": "ip", "listener": "lan"}, "via": ["exit"]},
                    {"match": {"protocol": "ip"}, "to": "lan"},
                ],
                **sections,
            },
        )

    async def overlay(self, mtu: int = 1500, **edge: Any) -> tuple[Node, Node]:
        """
        Three hosts, C{edge} and C{exit}.

        @param mtu: of the wire behind C{exit}.
        @param edge: sections of the configuration of C{edge} that are others.
        """
        self.wire(mtu)
        last = self.startOn(self.exit, "exit", self.exitConfig())
        first = self.startOn(self.client, "edge", self.edgeConfig(**edge))
        for node in last, first:
            await node.ready()
        for version in (4, 6):
            await self.reaches(self.client, SERVER[version])
        return first, last

    def process(self, name: str) -> Process:
        """
        A process to give to L{runOn}.

        @raise SkipTest: where there is no such program.
        """
        program(name)
        return Process(name)

    async def reaches(self, host: Namespace, address: str) -> None:
        """
        Wait until an address answers: a tunnel is there when its first packet has come back.
        """
        while True:
            process = self.runOn(host, self.process("ping"), "ping", "-q", "-c1", "-W1", address)
            if await process.end() == 0:
                return

    async def on(self, host: Namespace, *command: str, status: int | None = 0) -> str:
        """
        Run a program on a host to its end.

        @param status: what it must end with; L{None} where that is all the same.
        @return: what it wrote.
        """
        process = self.runOn(host, self.process(command[0]), *command)
        process.closeInput()
        ended = await process.end()
        if status is not None:
            self.assertEqual(ended, status, process.output)
        return process.output

    async def serving(self, host: Namespace, role: str, *arguments: str) -> Process:
        """
        Start one of the servers in C{ipservers.py} on a host.
        """
        server = self.runOn(host, Process(role), sys.executable, str(DIRECTORY / "ipservers.py"), role, *arguments)
        await server.said("^serving$")
        return server

    def addresses(self, host: Namespace, device: str = DEVICE) -> list[str]:
        """
        The addresses of a device, with prefix lengths, but link-local ones.
        """
        found = json.loads(host.run("ip", "-j", "address", "show", "dev", device))
        return sorted(
            f"{info['local']}/{info['prefixlen']}"
            for entry in found
            for info in entry.get("addr_info", ())
            if info["scope"] != "link"
        )

    def state(self, host: Namespace) -> dict[str, list[str]]:
        """
        Everything that setting up a device could leave behind: links, addresses, routes and rules of both versions.
        """
        return {
            command: sorted(_stable(line) for line in host.run("ip", *command.split()).splitlines())
            for command in (
                "-o link show",
                "-o address show",
                "-4 route show table all",
                "-6 route show table all",
                "-4 rule show",
                "-6 rule show",
            )
        }


def _stable(line: str) -> str:
    """
    A line of C{ip}'s without what changes by itself.
    """
    return re.sub(r" (?:expires|valid_lft|preferred_lft) \S+|^\d+: |@if\d+", "", line)


def router(host: Namespace) -> None:
    """
    Have a host forward packets.
    """
    for key in "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding":
        host.sysctl(key, 1)
