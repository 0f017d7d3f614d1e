"""
What changes under traffic in a chain: the relays that packets go by move and restart, and the tunnel ends behind them.

    client (edge) --- one (relay) --+
                 \\                  +--- last
                  \\- two (relay) ---+
"""

from __future__ import annotations

import signal
from typing import Any

from hermes.test.interop.ipnodes import LANS, POOLS, PORT, SERVER
from hermes.test.interop.processes import Node
from hermes.test.interop.test_ip_changes import ECHO, WHERE, FlowCase
from hermes.test.namespaces import Namespace


class ChainTests(FlowCase):
    """
    A client sends numbered packets by way of a relay.
    """

    async def begin(self) -> None:
        """
        Make the hosts and start the nodes on them.
        """
        self.client, last = (Namespace.forTest(self, label) for label in ("client", "last"))
        self.hosts: dict[str, Namespace] = {}
        for number, (name, address) in enumerate(WHERE.items()):
            self.hosts[name] = host = Namespace.forTest(self, name)
            near = address.rpartition(".")[0] + ".1/24"
            self.client.link(host, (near,), (f"{address}/24",), device=name)
            own, theirs = (f"10.96.{number}.{end}/24" for end in (1, 2))
            host.link(last, (own,), (theirs,), device="eth1", theirDevice=name)
        for version, prefix in ((4, 32), (6, 128)):
            last.run("ip", "address", "add", f"{SERVER[version]}/{prefix}", "dev", "lo")
            await self.serving(last, "echo", SERVER[version], str(ECHO), "last")
        end = self.startOn(last, "last", self.exitConfig("last"))
        self.nodes = {name: self.startRelay(name) for name in WHERE}
        upstreams: dict[str, Any] = {
            hop: {"type": "hermes", "node": "relay", "endpoints": [f"{WHERE[name]}:{PORT}" for name in names]}
            for hop, names in (("one", ["one"]), ("two", ["two"]), ("both", list(WHERE)))
        }
        # The edge never connects to it: it is reached by the relay.
        upstreams["last"] = {"type": "hermes", "endpoints": [f"192.0.2.1:{PORT}"]}
        self.edge = self.startOn(self.client, "edge", self.edgeConfig(upstreams=upstreams, routes=self.by("one")))
        for node in (end, self.edge, *self.nodes.values()):
            await node.ready()
        for version in (4, 6):
            await self.reaches(self.client, SERVER[version])

    def startRelay(self, name: str) -> Node:
        """
        Start the node on C{one} or C{two}.
        """
        number = list(WHERE).index(name)
        config = self.config(
            "relay",
            listeners={"overlay": {"type": "tunnel", "bind": f"0.0.0.0:{PORT}"}},
            upstreams={"last": {"type": "hermes", "endpoints": [f"10.96.{number}.2:{PORT}"]}},
            routes=[{"match": {"protocol": "ip", "node": "edge"}, "via": ["last"]}],
        )
        return self.startOn(self.hosts[name], name, config)

    def by(self, hop: str) -> list[dict[str, Any]]:
        """
        Routes of C{edge} by way of a relay.
        """
        return [
            {"match": {"protocol": "ip", "target": [*LANS, *POOLS], "listener": "lan"}, "via": [hop, "last"]},
            {"match": {"protocol": "ip"}, "to": "lan"},
        ]

    async def test_noPacketIsLostWhereRelaysMoveAndRestart(self) -> None:
        """
        One after the other, and each comes back.
        """
        await self.begin()
        flows = [await self.flow(4), await self.flow(6)]
        for hop in ("two", "one", "two", "both"):
            await self.reconfigure(routes=self.by(hop))
            await self.goesOn(flows[0])
        for name in WHERE:
            self.nodes[name].signal(signal.SIGTERM)
            await self.nodes[name].end()
            await self.goesOn(flows[0])
            self.nodes[name] = self.startRelay(name)
            await self.nodes[name].ready()
        for flow in flows:
            told = await self.result(flow, "relays move and restart")
            self.assertEqual((told["lost"], told["twice"]), ([], 0))

    async def test_whereARelayDiesPacketsGoByTheOther(self) -> None:
        """
        And back when that dies too.
        """
        await self.begin()
        await self.reconfigure(routes=self.by("both"))
        flow = await self.flow()
        for name in WHERE:
            await self.nodes[name].kill()
            await self.goesOn(flow)
            self.nodes[name] = self.startRelay(name)
            await self.nodes[name].ready()
        await self.goesOn(flow)
        await self.result(flow, "relays are killed")
