"""
Who may send where, and by way of whom: two users at a hub, three nodes beyond it, on each of which the same addresses
answer with its name.

    alice --+         +--- one
            +-- hub --+--- two
    bob ----+         +--- wide
"""

from __future__ import annotations

import json
import sys
from typing import Any

from hermes.test.interop.ipnodes import DEVICE, POOLS, PORT, IPCase
from hermes.test.interop.processes import Node
from hermes.test.namespaces import Namespace

USERS = ("alice", "bob")
SITES = ("one", "two", "wide")
SAME = ("10.2.0.5", "fd02::5")
SHARED = ("10.2.0.6", "fd02::6")
PORTS = "10.2.0.7"
ELSEWHERE = ("10.2.9.9", "fd02:9::9")
ECHO, OTHER = 7, 77

ASK = """
import socket, sys
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
sock.connect((sys.argv[1], int(sys.argv[2])))
for _ in range(20):
    try:
        sock.send(b"is ")
        print(sock.recv(100).decode())
        break
    except TimeoutError:
        pass
    except OSError as error:
        print(error.strerror)
        break
"""
"""
Prints who answers, or why nobody does.
"""


class PolicyTests(IPCase):
    """
    Alice and Bob are users of the hub, known by their passwords.
    """

    timeout = 120

    async def begin(self) -> None:
        """
        Make the hosts and start the nodes on them.
        """
        self.hub = Namespace.forTest(self, "hub")
        self.hosts: dict[str, Namespace] = {}
        self.nodes: dict[str, Node] = {}
        for number, name in enumerate((*USERS, *SITES)):
            self.hosts[name] = host = Namespace.forTest(self, name)
            own, hub = (f"10.99.{number}.{end}/24" for end in (2, 1))
            host.link(self.hub, (own,), (hub,), device="eth0", theirDevice=name)
            if name in SITES:
                for address in (*SAME, *SHARED, PORTS, *ELSEWHERE):
                    prefix = 128 if ":" in address else 32
                    host.run("ip", "address", "add", f"{address}/{prefix}", "dev", "lo")
                    for port in (ECHO, OTHER):
                        await self.serving(host, "echo", address, str(port), name)
                self.nodes[name] = self.startOn(host, name, self.site(name))
        self.nodes["hub"] = self.startOn(self.hub, "hub", self.hubConfig(self.policy()))
        for node in self.nodes.values():
            await node.ready()
        for name in USERS:
            await self.startUser(name)

    def site(self, name: str) -> dict[str, Any]:
        """
        The configuration of a node beyond the hub: the users' addresses are the hub's.
        """
        return self.config(
            name,
            ip={"networks": {"hub": list(POOLS)}},
            listeners={
                "overlay": {"type": "tunnel", "bind": f"0.0.0.0:{PORT}"},
                "lan": {
                    "type": "tun",
                    "device": DEVICE,
                    "address": ["10.78.0.1/24", "fd78::1/64"],
                    "routes": list(POOLS),
                },
            },
            routes=[{"match": {"protocol": "ip", "node": "hub"}, "to": "lan"}],
        )

    def hubConfig(self, routes: list[dict[str, Any]]) -> dict[str, Any]:
        """
        The configuration of the hub.
        """
        sites = enumerate(SITES, len(USERS))
        return self.config(
            "hub",
            ip={"pools": list(POOLS), "leases": str(self.directory / "leases")},
            users={name: {"password": f"{name}'s"} for name in USERS},
            listeners={"overlay": {"type": "tunnel", "bind": f"0.0.0.0:{PORT}"}},
            upstreams={name: {"type": "hermes", "endpoints": [f"10.99.{number}.2:{PORT}"]} for number, name in sites},
            routes=routes,
        )

    def policy(self, **sites: str) -> list[dict[str, Any]]:
        """
        The hub's routes. The widest prefix comes first in the list.

        @param sites: where one user's packets to the same address go, if not where they usually do.
        """
        sites = {"alice": "one", "bob": "two", **sites}
        packets = {"protocol": "ip"}
        return [
            {"match": {**packets, "target": ["0.0.0.0/0", "::/0"]}, "via": ["wide"]},
            *({"match": {**packets, "user": user, "target": list(SAME)}, "via": [sites[user]]} for user in USERS),
            {"match": {**packets, "target": list(SHARED)}, "via": ["one"]},
            {"match": {**packets, "target": f"{PORTS}:{ECHO}", "transport": ["udp"]}, "via": ["two"]},
            {"match": {**packets, "target": PORTS, "user": "alice"}, "via": ["one"]},
            {"match": {**packets, "target": PORTS}, "deny": "only Alice"},
        ]

    async def startUser(self, name: str) -> None:
        """
        Start the node of a user: to the hub it is the user.
        """
        number = USERS.index(name)
        hub = {
            "type": "masque",
            "endpoints": [f"10.99.{number}.1:{PORT}"],
            "serverName": "localhost",
            "trust": self.authority.trustFile,
            "version": "2",
            "user": name,
            "password": f"{name}'s",
        }
        config = self.config(
            name,
            listeners={"lan": {"type": "tun", "device": DEVICE, "routes": ["10.2.0.0/16", "fd02::/16"]}},
            upstreams={"hub": hub},
            routes=[{"match": {"protocol": "ip", "listener": "lan"}, "via": ["hub"]}],
        )
        node = self.nodes[name] = self.startOn(self.hosts[name], name, config)
        await node.ready()
        for address in SHARED:
            await self.reaches(self.hosts[name], address)

    async def who(self, user: str, address: str, port: int = ECHO) -> str:
        """
        Who answers a user, or why nobody does.
        """
        answer = await self.on(self.hosts[user], sys.executable, "-c", ASK, address, str(port))
        return answer.strip().removeprefix("is ")

    async def test_oneAddressIsAnotherServerForEachUser(self) -> None:
        """
        Another one is the same for both, another protocol and port another way, and the rest goes to a gateway; a
        reload moves one user and not the other.
        """
        await self.begin()
        for address in SAME:
            self.assertEqual([await self.who(user, address) for user in USERS], ["one", "two"])
        for address in SHARED:
            self.assertEqual([await self.who(user, address) for user in USERS], ["one", "one"])
        for address in ELSEWHERE:
            self.assertEqual([await self.who(user, address) for user in USERS], ["wide", "wide"])
        self.assertEqual([await self.who(user, PORTS) for user in USERS], ["two", "two"])
        refused = await self.who("bob", PORTS, OTHER)
        self.assertEqual([await self.who("alice", PORTS, OTHER), refused], ["one", "No route to host"])

        hub = self.nodes["hub"]
        hub.configure(self.hubConfig(self.policy(bob="wide")))
        told = await hub.reload()
        self.assertTrue(told.startswith("reloaded"), told)
        for address in SAME:
            self.assertEqual([await self.who(user, address) for user in USERS], ["one", "wide"])
        said = {}
        for user in USERS:
            words = ("route", "get", SAME[0], "--user", user, "--admin", hub.address("admin"))
            said[user] = await self.on(self.hub, sys.executable, "-m", "hermes.cli", *words)
        self.assertIn("=> via one", said["alice"])
        self.assertIn("=> via wide", said["bob"])

    async def test_theSameUserHasTheSameAddressAfterARestart(self) -> None:
        """
        Of the hub, killed, and of his own node, which does not know what he had; whoever comes first.
        """
        await self.begin()
        before = {user: self.addresses(self.hosts[user]) for user in USERS}
        self.assertNotEqual(before["alice"], before["bob"])
        for name in ("hub", *USERS):
            await self.nodes[name].kill()
        self.nodes["hub"] = self.startOn(self.hub, "hub", json.loads(self.nodes["hub"].path.read_text()))
        await self.nodes["hub"].ready()
        for user in reversed(USERS):
            await self.startUser(user)
            self.assertEqual(self.addresses(self.hosts[user]), before[user])
        self.assertEqual([await self.who(user, SAME[0]) for user in USERS], ["one", "two"])
