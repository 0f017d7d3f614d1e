"""
Tests for C{workers: N} with real processes.
"""

from __future__ import annotations

import json
import os
import re
from signal import SIGKILL, SIGTERM
from typing import Any

from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.web.client import Agent, readBody

from hermes.test.processes import freePort
from hermes.test.test_plugins import Collected, ProcessCase

reactor: Any = installedReactor


class WorkersTests(ProcessCase):
    """
    A supervisor and two workers.
    """

    async def status(self, port: int) -> dict[str, Any]:
        """
        What the admin listener says.
        """
        response = await Agent(reactor).request(b"GET", f"http://127.0.0.1:{port}/status".encode())
        found: dict[str, Any] = json.loads(await readBody(response))
        return found

    def test_workersShareListenersAndAreLookedAfter(self) -> Deferred[None]:
        """
        A port of the file's, one of the kernel's choice and a Unix socket all work; the admin listener sums; a worker
        that is killed is started anew; a reload and the end reach all.
        """
        return Deferred.fromCoroutine(self._workers())

    async def _workers(self) -> None:
        target, fixed, admin = await self.echoServer(), freePort(), freePort()
        text = f"""\
            node: edge
            workers: 2
            listeners:
              fixed: {{type: tcp, bind: '127.0.0.1:{fixed}', target: '127.0.0.1:{target}'}}
              chosen: {{type: tcp, bind: '127.0.0.1:0', target: '127.0.0.1:{target}'}}
              local: {{type: tcp, bind: 'unix:@hermes-test-{os.getpid()}', target: '127.0.0.1:{target}'}}
            routes: [{{match: {{any: true}}, allowSpecial: true}}]
            admin: {{bind: '127.0.0.1:{admin}'}}
            drain: 60
            """
        config = self.write("edge.yaml", text)
        supervisor = self.proxy(config)
        ready = await supervisor.ready()
        self.assertIn(": 2 workers, each with ", ready)
        found = re.search(r"chosen \(tcp\) on 127\.0\.0\.1:(\d+)", ready)
        assert found is not None
        for port in (fixed, int(found[1])):
            connection = await self.connect(port)
            await self.echoed(connection, b"over TCP")
            connection.transport.loseConnection()  # type: ignore[union-attr]
        endpoint = UNIXClientEndpoint(reactor, f"\0hermes-test-{os.getpid()}")
        local: Collected = await connectProtocol(endpoint, Collected())
        await self.echoed(local, b"over a Unix socket")

        status = await self.status(admin)
        self.assertEqual((status["workers"], status["flows"]["opened"]), (2, 3))

        await supervisor.printed(r"\[worker 0\].*Listening on")
        processes = self.children(supervisor.transport.pid)
        self.assertEqual(len(processes), 2)
        mark = len(supervisor.lines)
        os.kill(processes[1], SIGKILL)
        await supervisor.printed(r"worker \d was killed by signal 9: another is started in 0.5 s")
        await supervisor.printed(r"worker \d runs again", mark)
        self.assertEqual((await self.status(admin))["workers"], 2)

        self.write("edge.yaml", text.replace("fixed:", "renamed:"))
        supervisor.signal("HUP")
        for index in range(2):
            await supervisor.printed(rf"worker {index} is reloaded: kept .*chosen.*; started renamed; stopped fixed")
        again = await self.connect(fixed)
        await self.echoed(again, b"after the reload")
        again.transport.loseConnection()  # type: ignore[union-attr]
        local.transport.loseConnection()  # type: ignore[union-attr]
        supervisor.signal("TERM")
        self.assertEqual(await supervisor.ended(), -SIGTERM)
        self.assertEqual([line for line in supervisor.lines if "Traceback" in line], [])

    def children(self, pid: int) -> list[int]:
        """
        The processes that a process has started.
        """
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
