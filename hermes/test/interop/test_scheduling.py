"""
How the kernel schedules a node, as the kernel says.
"""

from __future__ import annotations

import os
from typing import Any
from unittest import skipUnless

from twisted.internet import reactor as theReactor
from twisted.internet.task import deferLater

from hermes.test.interop.local import Local
from hermes.test.interop.processes import ProcessCase, tcp
from hermes.test.interop.streams import Echo

# Its type depends on the platform.
reactor: Any = theReactor

BLOCK = bytes(64 << 10)


@skipUnless(hasattr(os, "SCHED_BATCH"), "this machine's system has no SCHED_BATCH")
class SchedulingTests(ProcessCase):
    """
    A pair of nodes.
    """

    async def test_inBatchesWhileItIsBusyAndNoMoreThereafter(self) -> None:
        local = Local(self)
        server = await local.server(Echo)
        edge, exit = await self.pair({"apps": tcp(server.port)})
        stream = await local.connect(edge.ports["apps"])
        policies = [os.sched_getscheduler(node.pid) for node in (edge, exit)]
        self.assertEqual(policies, [os.SCHED_OTHER] * 2)
        # Beside programs that keep the cores busy it is so for a moment only.
        seen: set[int] = set()
        while len(seen) < 2:
            stream.write(BLOCK)
            await stream.read(len(BLOCK))
            seen |= {node.pid for node in (edge, exit) if os.sched_getscheduler(node.pid) == os.SCHED_BATCH}
        for node in (edge, exit):
            while os.sched_getscheduler(node.pid) != os.SCHED_OTHER:
                # That slowly.
                await deferLater(reactor, 0.02)
                stream.write(b"x")
                await stream.read(1)
