"""
What a stalled reader behind a sender that never stops costs each proxy, against the bounds that C{docs/architecture.md}
states.
"""

from __future__ import annotations

from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node, ProcessCase, tcp
from hermes.test.interop.streams import Counter, Echo, Endless, Stream

MIB = 1 << 20

# One stream: its window, then a read and what the kernel has not taken, in each of two protocols; and room for what an
# allocator does not give back.
STALLED = 24 * MIB


class StalledReaderTests(ProcessCase):
    """
    Two nodes, one connection between them, and neighbours on it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def untilPaused(self, sender: Endless, neighbour: Stream) -> None:
        """
        Wait until nobody takes anything from C{sender} any more, while a neighbour's bytes go and come: so many times
        in a row that a sender that is only slow would have been served.
        """
        sent, rounds, block = -1, 0, bytes(64 << 10)
        while rounds < 100:
            neighbour.write(block)
            await neighbour.read(len(block))
            rounds = rounds + 1 if sender.sent == sent else 0
            sent = sender.sent

    def resident(self, *nodes: Node) -> list[int]:
        """
        The memory of each node.
        """
        return [node.residentBytes() for node in nodes]

    async def test_aReaderThatStallsAtOnce(self) -> None:
        server = await self.local.server(Counter)
        echo = await self.local.server(Echo)
        edge, exit = await self.pair({"apps": tcp(server.port), "neighbour": tcp(echo.port)})
        neighbour = await self.local.connect(edge.ports["neighbour"])
        neighbour.write(bytes(MIB))
        await neighbour.read(MIB)
        before = self.resident(edge, exit)

        client = await self.local.connect(edge.ports["apps"], Counter)
        far = await server.next()
        # One sender in each direction, whose reader takes nothing.
        far.socket.pauseProducing()
        client.socket.pauseProducing()
        senders = [Endless(client), Endless(far)]
        for sender in senders:
            await self.untilPaused(sender, neighbour)
        for node, first in zip((edge, exit), before, strict=True):
            self.assertLess(node.residentBytes() - first, 2 * STALLED, node.name)

        # Nothing was lost, and all goes on.
        for sender, reader in zip(senders, (far, client), strict=True):
            reader.socket.resumeProducing()
            goal = sender.sent + 8 * MIB
            await reader.until(lambda reader=reader, goal=goal: reader.count > goal)  # type: ignore[misc]
        for node, first in zip((edge, exit), before, strict=True):
            self.assertLess(node.residentBytes() - first, 2 * STALLED, node.name)

    async def test_manyReadersThatStallAfterTheirWindowsGrew(self) -> None:
        server = await self.local.server(Counter)
        echo = await self.local.server(Echo)
        edge, exit = await self.pair({"apps": tcp(server.port), "neighbour": tcp(echo.port)})
        neighbour = await self.local.connect(edge.ports["neighbour"])
        neighbour.write(bytes(MIB))
        await neighbour.read(MIB)
        before = self.resident(edge, exit)
        senders = []
        for _ in range(8):
            client = await self.local.connect(edge.ports["apps"], Counter)
            far = await server.next()
            senders.append(Endless(client))
            await far.until(lambda far=far: far.count > 32 * MIB)  # type: ignore[misc]
            far.socket.pauseProducing()
        for sender in senders:
            await self.untilPaused(sender, neighbour)
        grown = [node.residentBytes() - first for node, first in zip((edge, exit), before, strict=True)]
        # The sending side holds a read for each; the receiving side what its connection's windows allow in all.
        self.assertLess(grown[0], 8 * 4 * MIB + STALLED)
        self.assertLess(grown[1], (64 + 32) * MIB + STALLED)
