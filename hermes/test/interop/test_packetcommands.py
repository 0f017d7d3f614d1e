"""
C{hermes ping} and C{hermes route} against real nodes.
"""

from __future__ import annotations

import sys

from hermes.test.interop.processes import ProcessCase

HERMES = (sys.executable, "-m", "hermes.cli")


class PingTests(ProcessCase):
    """
    The round trip to hops.
    """

    timeout = 60

    async def command(self, *words: str, status: int = 0) -> str:
        """
        Run C{hermes} and return what it prints.
        """
        process = self.start(*HERMES, *words)
        process.closeInput()
        self.assertEqual(await process.end(), status, process.output)
        return process.output

    async def test_eachPingComesBack(self) -> None:
        """
        Over the TLS that the node itself uses; inside a tunnel through another hop too. Nothing of it is a flow.
        """
        edge, exit = await self.pair({})
        since = exit.flows()
        ping = await self.command("ping", "exit", "-c", str(edge.path), "-n", "3", "-i", "0.01")
        self.assertRegex(ping, r"exit \(127\.0\.0\.1:\d+\): 3 sent, 0 lost")
        self.assertRegex(ping, r"round trip min/avg/max/mdev = [\d.]+/[\d.]+/[\d.]+/[\d.]+ ms")
        self.assertEqual(exit.flows(), since)

    async def test_whoIsNotThereIsTold(self) -> None:
        """
        With exit status 1; a name that is no hop with 2 and those that there are.
        """
        edge, exit = await self.pair({})
        await exit.kill()
        down = await self.command("ping", "exit", "-c", str(edge.path), status=1)
        self.assertIn("refused the connection", down)
        wrong = await self.command("ping", "exti", "-c", str(edge.path), status=2)
        self.assertIn("'exti' is no hop; there is exit", wrong)
