"""
Nodes with forwarders on two machines that an Ethernet joins.
"""

from __future__ import annotations

from typing import Any

from hermes.test.interop.ndnnodes import NDNCase
from hermes.test.interop.process import program
from hermes.test.interop.processes import TWISTD, Node
from hermes.test.namespaces import Namespace


class EthernetTests(NDNCase):
    """
    UDP between them, without a word about MTUs.
    """

    async def placed(self, name: str, place: Namespace, listener: dict[str, Any]) -> Node:
        """
        A node in a namespace.
        """
        node = Node(name, self.directory / f"{name}.yaml")
        node.configure(self.config(name, listeners={"names": listener}))
        ip, *command = place.command(*TWISTD, "hermes-proxy", "--config", str(node.path))
        self.run_(node, [program(ip), *command])
        await node.ready()
        return node

    async def test_packetsThatAreLargerThanAFrameArriveFromEitherSide(self) -> None:
        here, there = Namespace.forTest(self, "here"), Namespace.forTest(self, "there")
        here.link(there)
        await self.placed(
            "there", there, self.names("unix:there.sock", "udp:10.99.0.2:6363", management={"neighbours": "anybody"})
        )
        face = {"to": "udp:10.99.0.2:6363", "direct": True}
        await self.placed(
            "here",
            here,
            self.names(
                "unix:here.sock",
                faces={"far": face},
                prefixes=[{"prefix": "/there", "face": "far"}],
                register=["far"],
            ),
        )
        await self.producer("unix:there.sock", "/there/file")
        await self.fetch("unix:here.sock", "/there/file", 200_000, "--lifetime", 2000, "--tries", 3)
        # What it has is sent by a socket that IP does not fragment for.
        await self.producer("unix:here.sock", "/here/file")
        await self.fetch("unix:there.sock", "/here/file", 200_000, "--lifetime", 1000, "--tries", 20)

    async def test_aPrefixLeadsToWhoeverIsOnTheNetwork(self) -> None:
        here, there = Namespace.forTest(self, "here"), Namespace.forTest(self, "there")
        here.link(there)
        await self.placed("there", there, self.names("unix:there.sock", multicast=["eth0"]))
        await self.placed(
            "here",
            here,
            self.names("unix:here.sock", multicast=["eth0"], prefixes=[{"prefix": "/there", "face": "eth0"}]),
        )
        # Nobody has told one of the other.
        await self.producer("unix:there.sock", "/there/file")
        await self.fetch("unix:here.sock", "/there/file", 200_000, "--lifetime", 2000, "--tries", 3)
