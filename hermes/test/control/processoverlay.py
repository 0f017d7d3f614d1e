"""
An overlay of which each controller and each node is a process, over loopback, and the operator's command for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from io import StringIO
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from rich.console import Console
from twisted.internet import reactor as installedReactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hermes.cli import main
from hermes.test.control.forking import fork
from hermes.test.control.killable import POINT
from hermes.test.processes import PATIENCE, ProxyProcess, ports

reactor: Any = installedReactor

LOOK_AGAIN = 0.05
"""
Seconds until what is waited for is looked at again.
"""


class ProcessOverlay:
    """
    Controllers and nodes. All that run are killed at the end of the test.

    @ivar directory: of everything.
    @ivar controllers: the processes, by name; so C{nodes}.
    @ivar addresses: where nodes come, of each controller.
    @ivar store: what controllers keep the overlay in; their own, where not set.
    @ivar leader: the controller that operators ask where a test does not say which.
    """

    def __init__(self, case: TestCase, nodes: Sequence[str], controllers: Sequence[str] = ("controller",)) -> None:
        self._case = case
        self.directory = mkdtemp()
        case.addCleanup(rmtree, self.directory, ignore_errors=True)
        case.addCleanup(self.stop)
        self.names = tuple(nodes)
        self.controllers: dict[str, ProxyProcess] = {}
        self.nodes: dict[str, ProxyProcess] = {}
        self.store: str | None = None
        self.leader = controllers[0]
        self.addresses = dict(zip(controllers, (f"127.0.0.1:{port}" for port in ports(len(controllers))), strict=True))

    def path(self, *names: str) -> str:
        """
        In the directory.
        """
        return os.path.join(self.directory, *names)

    # Processes

    async def start(self) -> None:
        """
        Start everything: each node joins.
        """
        await gatherResults([Deferred.fromCoroutine(self.startController(name)) for name in self.addresses])
        await self.lead()
        await gatherResults([Deferred.fromCoroutine(self._join(name)) for name in self.names])

    async def _join(self, name: str) -> None:
        token = (await self.done("enrol", name, "--token-only")).strip()
        await self.startNode(name, "--token", token).printed("connected to the controller")

    async def startController(self, name: str) -> ProxyProcess:
        """
        Start a controller; return once it takes nodes and operators.
        """
        process = self.launchController(name)
        await process.printed("the controller is ready")
        return process

    def launchController(self, name: str) -> ProxyProcess:
        """
        Start a controller.
        """
        address = self.addresses[name]
        process = self.controllers[name] = fork(
            reactor,
            [
                *("-n", "--pidfile=", "hermes-controller", "--state", self.path(name), "--socket", self._socket(name)),
                *("--listen", address, "--address", address, "--https", "none"),
                *(("--store", self.store) if self.store else ()),
            ],
            **{POINT: self._pointOf(name)},
        )
        return process

    def startNode(self, name: str, *options: str) -> ProxyProcess:
        """
        Start a node.
        """
        known = [word for address in self.addresses.values() for word in ("--controller", address)]
        arguments = ("-n", "--pidfile=", "hermes-proxy", *known, "--state", self.path(name), *options)
        process = self.nodes[name] = fork(reactor, arguments, **{POINT: self._pointOf(name)})
        return process

    def _socket(self, controller: str) -> str:
        return self.path(f"{controller}.sock")

    def _pointOf(self, name: str) -> str:
        return self.path(f"{name}.point")

    def killAt(self, name: str, point: str, signal: str = "KILL") -> None:
        """
        Have a controller or a node kill itself when it comes to a point; with no point, nowhere.

        @param signal: what it sends itself; woken up after C{"STOP"}, it goes on.
        """
        path = self._pointOf(name)
        if not point:
            if os.path.exists(path):
                os.remove(path)
            return
        # It may be read at any moment.
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(f"{point} {signal}")
        os.rename(path + ".new", path)

    async def stop(self) -> None:
        """
        Kill all.
        """
        running = [*self.nodes.values(), *self.controllers.values()]
        await gatherResults([process.stop() for process in running])

    def said(self, count: int = 25) -> str:
        """
        The last lines of each.
        """
        everybody = {**self.controllers, **self.nodes}
        return "\n".join(f"{name}: {line}" for name, each in everybody.items() for line in each.lines[-count:])

    # Operators

    async def command(self, *arguments: str, at: str | None = None) -> tuple[int, str]:
        """
        The operator's command, in a thread.

        @param at: at which controller; the leader, where not given.
        @return: its exit status, and what it writes.
        """
        output = StringIO()
        given = ("--controller", f"unix:{self._socket(at or self.leader)}")

        def run() -> int:
            return main([*arguments, *given], Console(file=output, width=200, highlight=False))

        status: int = await deferToThread(run)
        return status, output.getvalue()

    async def done(self, *arguments: str, at: str | None = None) -> str:
        """
        One that goes well.

        @return: what it writes.
        """
        status, text = await self.command(*arguments, at=at)
        if status:
            raise AssertionError(f"hermes {' '.join(arguments)}: {status}\n{text}\n{self.said()}")
        return text

    async def apply(self, document: str, at: str | None = None) -> tuple[int, str]:
        """
        Make a change.
        """
        path = self.path("overlay.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(document)
        return await self.command("apply", path, "--yes", at=at)

    async def history(self, at: str | None = None) -> list[dict[str, Any]]:
        """
        Of each version what C{hermes history} tells, the last one first.
        """
        found = json.loads(await self.done("history", "--json", "--count", "100", at=at))
        versions: list[dict[str, Any]] = found["versions"] if isinstance(found, dict) else found
        return versions

    async def committed(self) -> int:
        """
        How many versions are committed; none is undecided.
        """
        phases = [version["phase"] for version in await self.history()]
        self._case.assertEqual(set(phases) - {"committed", "aborted"}, set())
        return phases.count("committed")

    async def lead(self, but: str | None = None) -> str:
        """
        Wait until a controller leads: that is L{leader} from now on.

        @param but: which it can't be.
        """

        async def led() -> str | None:
            for name, process in self.controllers.items():
                if name != but and process.status is None and (await self.status(name)).get("leading"):
                    return name
            return None

        self.leader = await self.until(led)
        return self.leader

    async def status(self, at: str) -> dict[str, Any]:
        """
        What a controller says of the overlay; nothing where it does not answer.
        """
        status, text = await self.command("status", "--json", at=at)
        found: dict[str, Any] = {} if status else json.loads(text)
        return found

    async def current(self, at: str | None = None) -> bool:
        """
        Whether every node is there, and runs what it should.
        """
        status, text = await self.command("nodes", "--json", at=at)
        if status:
            return False
        found = json.loads(text)
        nodes = found["nodes"] if isinstance(found, dict) else found
        return sum(bool(node["current"]) for node in nodes) == len(self.names)

    async def until(self, holds: Callable[[], Awaitable[Any]]) -> Any:
        """
        Look again and again.

        @return: what holds.
        """
        deadline = reactor.seconds() + PATIENCE
        while not (found := await holds()):
            if reactor.seconds() > deadline:
                raise AssertionError(f"it did not come true in time:\n{self.said()}")
            await deferLater(reactor, LOOK_AGAIN)
        return found
