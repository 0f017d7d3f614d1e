"""
Prefixes of an overlay's document: the controller has each node know where they are, and unmodified python-ndn programs
find each other. None of the nodes has a configuration of its own.
"""

from __future__ import annotations

from hermes.test.control.processoverlay import ProcessOverlay
from hermes.test.interop.ndnnodes import MEGABYTE, NDNCase
from hermes.test.processes import ports

NODES = ("one", "two", "three")


class OverlayTests(NDNCase):
    """
    Three nodes in a row, and a controller.
    """

    async def overlay(self, on: str, strategy: str = "best-route") -> ProcessOverlay:
        """
        Start them, and have C{/file} be at the nodes C{on}.
        """
        overlay = ProcessOverlay(self, NODES)
        await overlay.start()
        names = "listeners: {{names: {{type: ndn, bind: 'unix:{}'}}}}"
        nodes = "\n".join(
            f"  {name}: {{address: '127.0.0.1:{port}', {names.format(self.socket(name))}}}"
            for name, port in zip(NODES, ports(len(NODES)), strict=True)
        )
        status, said = await overlay.apply(
            f"overlay: example\nnodes:\n{nodes}\nlinks: [{{between: [one, two]}}, {{between: [two, three]}}]\n"
            f"names: {{/file: {{on: [{on}], strategy: {strategy}}}}}\n"
            "tests: []\nsettings: {trial: 1s}\n"
        )
        self.assertEqual(status, 0, said)
        return overlay

    def socket(self, node: str) -> str:
        """
        Where programs come to a node.
        """
        return f"{self.directory}/{node}.sock"

    async def test_whatIsAtOneIsReachedFromAll(self) -> None:
        await self.overlay("three")
        await self.producer(f"unix:{self.socket('three')}", "/file")
        for number, node in enumerate(NODES):
            await self.fetch(f"unix:{self.socket(node)}", "/file", MEGABYTE + number)

    async def test_whereItsProducerGoesAnotherTakesOver(self) -> None:
        """
        Also for those at the node of the first.
        """
        await self.overlay("one, three")
        producers = {node: await self.producer(f"unix:{self.socket(node)}", "/file") for node in ("one", "three")}
        for number, node in enumerate(NODES):
            await self.fetch(f"unix:{self.socket(node)}", "/file", MEGABYTE + number)
        await producers["one"].kill()
        for number, node in enumerate(NODES, 10):
            await self.fetch(f"unix:{self.socket(node)}", "/file", MEGABYTE + number)
        # With the last of them it is nowhere: whoever asks is told at once.
        await producers["three"].kill()
        consumer = self.program("ndnconsumer", f"unix:{self.socket('two')}", "/file", 1000, "--tries", 1)
        await consumer.said("segment 0 does not come")
