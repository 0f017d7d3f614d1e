"""
Several producers of one prefix, unmodified python-ndn programs at different nodes: which of them is asked is a matter
of the strategy at the node between.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.task import deferLater

from hermes.test.interop.ndnnodes import MEGABYTE, NDNCase
from hermes.test.interop.process import Process

# Its type depends on the platform.
reactor: Any = theReactor


class ProducersTests(NDNCase):
    """
    Three nodes in a row, a producer at either end, a consumer in the middle.
    """

    async def producers(self, strategy: str) -> dict[str, Process]:
        """
        Start them all. When this returns, the node in the middle knows two ways.
        """
        nodes = await self.rowOf("a", "b", "c")
        middle = nodes["b"]
        config = json.loads(middle.path.read_text())
        config["listeners"]["names"]["strategies"] = {"/file": strategy}
        middle.configure(config)
        await middle.reload()
        producers = {node: await self.producer(f"unix:{node}.sock", "/file") for node in ("a", "c")}
        while (
            len([hop for each in await self.status("b", "fib") if each["name"] == "/file" for hop in each["nextHops"]])
            < 2
        ):
            await deferLater(reactor, 0.1)
        return producers

    async def status(self, node: str, part: str) -> list[dict[str, Any]]:
        """
        A part of what C{hermes ndn status} tells of a node.
        """
        said = await self.output(
            sys.executable, "-m", "hermes.cli", "ndn", "status", part, "--json",
            "--forwarder", f"unix://{self.directory}/{node}.sock",
        )  # fmt: skip
        found: list[dict[str, Any]] = json.loads(said)[part]
        return found

    async def served(self) -> dict[str, int]:
        """
        How many packets of Data programs at either end have sent.
        """
        return {
            node: sum(face["inData"] for face in await self.status(node, "faces") if face["uri"].startswith("fd://"))
            for node in ("a", "c")
        }

    async def test_randomSharesTheWork(self) -> None:
        producers = await self.producers("random")
        await self.fetch("unix:b.sock", "/file", 2 * MEGABYTE)
        served = await self.served()
        self.assertEqual(sum(served.values()), 250)
        # One of two that are as likely, 250 times: a share below 32 % is one of ten million.
        self.assertGreater(min(served.values()), 80)
        await producers["a"].kill()
        await self.fetch("unix:b.sock", "/file", 2 * MEGABYTE + 1)
        self.assertEqual((await self.served())["c"], served["c"] + 251)

    async def test_bestRouteHasOneInReserve(self) -> None:
        await self.takesOver("best-route")

    async def test_asfFindsTheOther(self) -> None:
        await self.takesOver("asf")

    async def takesOver(self, strategy: str) -> None:
        """
        Kill whichever producer is asked while an object is fetched: it comes whole, from the other.
        """
        producers = await self.producers(strategy)
        await self.fetch("unix:b.sock", "/file", MEGABYTE)
        served = await self.served()
        used = max(served, key=lambda node: served[node])
        other = "c" if used == "a" else "a"
        await producers[used].kill()
        await self.fetch("unix:b.sock", "/file", MEGABYTE + 1)
        self.assertGreaterEqual((await self.served())[other], served[other] + 126)
