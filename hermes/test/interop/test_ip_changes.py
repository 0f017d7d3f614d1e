"""
What changes under traffic: routes that move, proxies that restart or die. Two nodes called C{one} and C{two} have the
same address beyond them, where an echo answers with its name.

C{benchmarks/tunchanges.py} runs the same for half a minute each, and prints what comes of it.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any

from twisted.logger import Logger

from hermes.test.interop.ipnodes import (
    DEVICE,
    DIRECTORY,
    LANS,
    OWN,
    POOLS,
    PORT,
    SERVER,
    IPCase,
)
from hermes.test.interop.process import Process
from hermes.test.interop.processes import Node
from hermes.test.namespaces import Namespace

RATE = 2000
ECHO = 7
OWN_OF_EDGE = ("10.77.0.10", "fd77::10")
KEPT = ["10.77.0.10/32", "fd77::10/128"]
WHERE = {"one": "10.99.0.2", "two": "10.98.0.2"}


class FlowCase(IPCase):
    """
    A client sends numbered packets and counts what comes back.

    @cvar marks: after how many times a tenth of a second's packets the next change comes.
    @cvar tell: called with what was measured.
    @ivar edge: the client's node.
    """

    timeout = 120
    marks = 1
    tell: Callable[[str, dict[str, Any]], None] = staticmethod(
        lambda what, result: Logger("hermes.test.changes").info("{what}: {result}", what=what, result=result)
    )
    edge: Node

    async def flow(self, version: int = 4) -> Process:
        """
        Start sending.
        """
        command = (sys.executable, str(DIRECTORY / "ipservers.py"), "flow")
        flow = self.runOn(
            self.client, Process("flow"), *command, SERVER[version], str(ECHO), str(RATE), str(self.timeout)
        )
        await flow.said("^by ")
        return flow

    async def result(self, flow: Process, what: str, **more: Any) -> dict[str, Any]:
        """
        Stop sending.

        @param more: what else was measured.
        @return: what came of it.
        """
        flow.closeInput()
        self.assertEqual(await flow.end(), 0)
        told: dict[str, Any] = json.loads(flow.stdout.splitlines()[-1])
        self.tell(what, {**told, "lost": len(told["lost"]), **more})
        self.assertGreater(told["sent"], 0)
        return told

    async def reconfigure(self, **sections: Any) -> None:
        """
        Reload C{edge} with other sections.
        """
        self.edge.configure({**json.loads(self.edge.path.read_text()), **sections})
        told = await self.edge.reload()
        self.assertTrue(told.startswith("reloaded"), told)

    async def goesOn(self, flow: Process) -> None:
        """
        Wait until some more packets have come back.
        """
        for _ in range(self.marks):
            await flow.said("^at ", len(flow.output))


class ChangeTests(FlowCase):
    """
    Two proxies lead to the same address.
    """

    async def begin(self) -> None:
        """
        Start the nodes. Both call themselves C{exit}.
        """
        self.client = Namespace.forTest(self, "client")
        self.hosts: dict[str, Namespace] = {}
        self.nodes: dict[str, Node] = {}
        for name, address in WHERE.items():
            self.hosts[name] = host = Namespace.forTest(self, name)
            near = address.rpartition(".")[0] + ".1/24"
            self.client.link(host, (near,), (f"{address}/24",), device=name)
            for version, prefix in ((4, 32), (6, 128)):
                host.run("ip", "address", "add", f"{SERVER[version]}/{prefix}", "dev", "lo")
            self.nodes[name] = self.startNamed(name)
            for version in (4, 6):
                await self.serving(host, "echo", SERVER[version], str(ECHO), name)
        upstreams = {name: self.upstream(name) for name in WHERE} | {"exit": self.upstream(*WHERE)}
        self.edge = self.startOn(self.client, "edge", self.edgeConfig(upstreams=upstreams, routes=self.by("one")))
        for node in self.edge, *self.nodes.values():
            await node.ready()
        for version in (4, 6):
            await self.reaches(self.client, SERVER[version])
        self.assertEqual(self.addresses(self.client), KEPT)

    def startNamed(self, name: str) -> Node:
        """
        Start the node on C{one} or C{two}.
        """
        plan = {
            "pools": list(POOLS),
            "leases": str(self.directory / f"{name}.leases"),
            "reserved": {"edge": list(OWN_OF_EDGE)},
        }
        return self.startOn(self.hosts[name], name, self.exitConfig("exit", ip=plan))

    def upstream(self, *names: str) -> dict[str, Any]:
        """
        An upstream of C{edge}.

        @param names: of its endpoints.
        """
        return {"type": "hermes", "node": "exit", "endpoints": [f"{WHERE[name]}:{PORT}" for name in names]}

    def by(self, hop: str) -> list[dict[str, Any]]:
        """
        Routes of C{edge} by way of an upstream.
        """
        return [
            {"match": {"protocol": "ip", "target": [*LANS, *POOLS], "listener": "lan"}, "via": [hop]},
            {"match": {"protocol": "ip"}, "to": "lan"},
        ]

    async def moves(self, flows: list[Process], name: str, **sections: Any) -> None:
        """
        Reconfigure C{edge}, and wait until C{name} answers.
        """
        since = [len(flow.output) for flow in flows]
        await self.reconfigure(**sections)
        for flow, at in zip(flows, since, strict=True):
            await flow.said(f"^by {name}$", at)
        await self.goesOn(flows[0])

    async def ended(self, flows: list[Process], what: str, most: int | None = None, **more: Any) -> None:
        """
        Stop sending, and see what came of it: the client has its addresses still, and nothing came twice.

        @param most: how many packets may be lost; L{None} for any number.
        @param more: what else was measured.
        """
        for flow in flows:
            told = await self.result(flow, what, **more)
            self.assertEqual(told["twice"], 0)
            if most is not None:
                self.assertLessEqual(len(told["lost"]), most)
        self.assertEqual(self.addresses(self.client), KEPT)

    async def test_noPacketIsLostWhereRoutesAndEndpointsMoveAndAProxyRestarts(self) -> None:
        await self.begin()
        flows = [await self.flow(4), await self.flow(6)]
        for number in range(20):
            name = ("two", "one")[number % 2]
            await self.moves(flows, name, routes=self.by(name))
            if number == 9:
                # Meanwhile the other proxy restarts gracefully; the route goes there next.
                self.nodes["two"].signal(signal.SIGTERM)
                await self.nodes["two"].end()
                self.nodes["two"] = self.startNamed("two")
                await self.nodes["two"].ready()
        await self.ended(flows, "a route moves twenty times, and a proxy restarts", 0)

        flows = [await self.flow()]
        upstreams = json.loads(self.edge.path.read_text())["upstreams"]
        for name in ("two", "one", "two", "one"):
            await self.moves(flows, name, upstreams={**upstreams, "one": self.upstream(name)})
        await self.ended(flows, "an endpoint moves four times", 0)

        await self.reconfigure(routes=self.by("exit"))
        flow = await self.flow()
        name = await self.restarts(flow, signal.SIGTERM)
        await self.nodes[name].end()
        await self.ended([flow], "a proxy restarts gracefully, another is there", 0)

    async def test_noPacketIsLostInChangesAtAwkwardMoments(self) -> None:
        """
        To a proxy that only just starts; of a device, at either end, while packets come out of it; and away from a
        proxy that has been asked to end.
        """
        await self.begin()
        flows = [await self.flow(4), await self.flow(6)]
        await self.nodes["two"].kill()
        two = self.nodes["two"] = self.startNamed("two")
        await self.moves(flows, "two", routes=self.by("two"))

        lan = json.loads(self.edge.path.read_text())["listeners"]["lan"]
        for change in {"mtu": 1400}, {"strict": True}, {"routes": [*lan["routes"], "10.0.0.0/8"]}, {}:
            await self.reconfigure(listeners={"lan": {**lan, **change}})
            await self.goesOn(flows[0])

        config = json.loads(two.path.read_text())
        for routes, mtu in (
            ([{"match": {"protocol": "ip", "target": "10.1.0.9"}, "deny": "no"}, *config["routes"]], 1400),
            (config["routes"], 1500),
        ):
            listeners = {**config["listeners"], "lan": {**config["listeners"]["lan"], "mtu": mtu}}
            two.configure({**config, "routes": routes, "listeners": listeners})
            told = await two.reload()
            self.assertTrue(told.startswith("reloaded"), told)
            await self.goesOn(flows[0])

        two.signal(signal.SIGTERM)
        await self.moves(flows, "one", routes=self.by("one"))
        await two.end()
        await self.goesOn(flows[0])
        await self.ended(flows, "changes at awkward moments", 0)

    async def restarts(self, flow: Process, number: int) -> str:
        """
        The node that answers gets a signal, and the other answers.

        @return: the name of the first.
        """
        name = flow.output.rstrip().rpartition("by ")[2]
        since = len(flow.output)
        self.nodes[name].signal(number)
        await flow.said(f"^by {'two' if name == 'one' else 'one'}$", since)
        await self.goesOn(flow)
        return name

    async def test_whereAProxyDiesPacketsCrossAgainAndAddressesAreKept(self) -> None:
        await self.begin()
        for what, number in (("killed", signal.SIGKILL), ("asked to restart", signal.SIGTERM)):
            flow = await self.flow()
            self.nodes["one"].signal(number)
            await self.nodes["one"].end()
            self.assertEqual(self.addresses(self.client), KEPT)
            since = len(flow.output)
            self.nodes["one"] = self.startNamed("one")
            await self.nodes["one"].ready()
            ready = monotonic()
            await flow.said("^again$", since)
            after = round((monotonic() - ready) * 1000, 1)
            for version in (4, 6):
                await self.reaches(self.client, SERVER[version])
            await self.goesOn(flow)
            await self.ended([flow], f"the only proxy is {what}", afterReady=after)
        # Its device is a new one, with the same addresses.
        device = self.addresses(self.hosts["one"], DEVICE)
        self.assertEqual(device, sorted((f"{OWN[4]}/24", f"{OWN[6]}/64")))

        await self.reconfigure(routes=self.by("exit"))
        flow = await self.flow()
        await self.restarts(flow, signal.SIGKILL)
        await self.ended([flow], "a proxy is killed, another is there")
