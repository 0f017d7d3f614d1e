"""
Processes under test: any program, and Hermes nodes made of a configuration.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent

import hermes
from hermes.net.authority import OverlayAuthority
from hermes.test.interop.process import Process, program
from hermes.test.processes import freePort

# Its type depends on the platform.
reactor: Any = theReactor

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile=")

# Where the run itself is killed nobody cleans up: PR_SET_PDEATHSIG has the kernel do it. It outlives the exec.
_DIES_WITH_US = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"

_LISTENING = re.compile(r"(?P<name>[\w.-]+)(?: \([\w-]+\))? on (?P<address>unix:\S+?|\S+:\d+)(?=,|\s|$)")


class Node(Process):
    """
    A Hermes node that runs. Its access log is in its output.

    @ivar path: its configuration file.
    @ivar ports: the port of each listener, C{admin} too.
    @ivar sockets: the path of each listener on a Unix socket.
    """

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self.path = path
        self.ports: dict[str, int] = {}
        self.sockets: dict[str, str] = {}

    async def ready(self) -> None:
        """
        Wait until it listens, and learn where.
        """
        match = await self.said(r"node \S+ is ready: (.*)$")
        for listening in _LISTENING.finditer(match[1]):
            address = listening["address"]
            if address.startswith("unix:"):
                self.sockets[listening["name"]] = address.removeprefix("unix:")
            else:
                self.ports[listening["name"]] = int(address.rpartition(":")[2])

    def address(self, listener: str) -> str:
        """
        Where a listener is, as C{HOST:PORT}.
        """
        return f"127.0.0.1:{self.ports[listener]}"

    def configure(self, config: Mapping[str, Any]) -> None:
        """
        Write its configuration; YAML reads JSON.
        """
        self.path.write_text(json.dumps(config))

    async def reload(self) -> str:
        """
        Have it read its configuration once more.

        @return: what it says that it did.
        """
        since = len(self.output)
        self.signal(signal.SIGHUP)
        return (await self.said(r"((?:not )?reloaded: .*)$", since))[1]

    def flows(self) -> list[dict[str, Any]]:
        """
        The entries of its access log so far.
        """
        return [json.loads(match[0]) for match in re.finditer(r'\{"time": .*\}', self.output)]

    async def flow(self, **fields: object) -> dict[str, Any]:
        """
        Wait for the first entry of its access log that has all of these fields.
        """
        since = 0
        while True:
            match = await self.said(r'\{"time": .*\}$', since)
            entry: dict[str, Any] = json.loads(match[0])
            if all(entry.get(key) == value for key, value in fields.items()):
                return entry
            since = match.end()

    async def ask(self, path: str) -> str:
        """
        Ask its admin listener.
        """
        agent = Agent(reactor)
        response = await treq.get(f"http://{self.address('admin')}{path}", agent=agent)
        return str(await treq.text_content(response))


class ProcessCase(TestCase):
    """
    A test with processes. All of them end with it, however it ends.

    @ivar directory: where their files are.
    @ivar authority: issues the certificates of nodes, once somebody has asked for one.
    """

    timeout = 30

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self._authority: OverlayAuthority | None = None
        self._processes: list[Process] = []
        self.addCleanup(self._killAll)
        # Where the run is interrupted, no cleanup is.
        trigger = reactor.addSystemEventTrigger("before", "shutdown", self._killAll)
        self.addCleanup(reactor.removeSystemEventTrigger, trigger)

    def _killAll(self) -> Deferred[Any]:
        return gatherResults([process.kill() for process in self._processes])

    @property
    def authority(self) -> OverlayAuthority:
        if self._authority is None:
            self._authority = OverlayAuthority.create(self.directory)
        return self._authority

    def run_(self, process: Process, command: Sequence[str]) -> None:
        """
        Start a process that ends with the test.
        """
        self._processes.append(process)
        variables = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        # What a program says is waited for: Python would keep it for itself, as nobody is at a terminal.
        variables["PYTHONUNBUFFERED"] = "1"
        # The code under test, wherever else one like it is installed.
        root = str(Path(hermes.__file__).parents[1])
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, (root, variables.get("PYTHONPATH"))))
        arguments = list(command)
        if sys.platform == "linux":
            arguments = [sys.executable, "-SEc", _DIES_WITH_US, *arguments]
        reactor.spawnProcess(process, arguments[0], arguments, env=variables, path=str(self.directory))

    def start(self, *command: str) -> Process:
        """
        Start any program, by its name or path.
        """
        process = Process(Path(command[0]).name)
        self.run_(process, [program(command[0]), *command[1:]])
        return process

    async def output(self, *command: str) -> str:
        """
        Run a program to its end, which must be a good one.

        @return: what it wrote to its standard output.
        """
        process = self.start(*command)
        process.closeInput()
        status = await process.end()
        self.assertEqual(status, 0, process.output)
        return process.stdout.decode("utf-8", "replace")

    def identity(self, node: str, authority: OverlayAuthority | None = None) -> dict[str, str]:
        """
        Issue a node's certificate, good for C{localhost} and 127.0.0.1 too.

        @return: the C{identity} section of its configuration.
        """
        certificate, key = (authority or self.authority).issue(node, ["localhost", "127.0.0.1"])
        return {"certificate": certificate, "key": key, "trust": self.authority.trustFile}

    def config(self, node: str, **sections: Any) -> dict[str, Any]:
        """
        A node's configuration, with an access log in its output and an admin listener on any port.
        """
        return {
            "node": node,
            "admin": {"bind": "127.0.0.1:0"},
            "accessLog": {"path": "-"},
            "drain": 20,
            **sections,
        }

    async def node(self, name: str, **sections: Any) -> Node:
        """
        Start a node and wait until it is ready.
        """
        node = self.startNode(name, self.config(name, **sections))
        await node.ready()
        return node

    def startNode(self, name: str, config: Mapping[str, Any]) -> Node:
        """
        Start a node.
        """
        node = Node(name, self.directory / f"{name}.yaml")
        node.configure(config)
        self.run_(node, [*TWISTD, "hermes-proxy", "--config", str(node.path)])
        return node

    async def pair(self, listeners: Mapping[str, Any]) -> tuple[Node, Node]:
        """
        Start two nodes, C{edge} and C{exit}, with mutual TLS between them. All that C{edge} takes goes by way of
        C{exit}, which may connect to anything.

        @param listeners: those of C{edge}.
        """
        port = freePort()
        last = self.startNode(
            "exit",
            self.config(
                "exit",
                identity=self.identity("exit"),
                listeners={"overlay": {"type": "tunnel", "bind": f"127.0.0.1:{port}"}},
                routes=[{"match": {"any": True}, "allowSpecial": True}],
            ),
        )
        first = self.startNode(
            "edge",
            self.config(
                "edge",
                identity=self.identity("edge"),
                listeners=dict(listeners),
                upstreams={"exit": {"type": "hermes", "endpoints": [f"127.0.0.1:{port}"]}},
                routes=[{"match": {"any": True}, "via": ["exit"]}],
            ),
        )
        for node in (last, first):
            await node.ready()
        return first, last


def tcp(port: int, **options: Any) -> dict[str, Any]:
    """
    A C{tcp} listener for a target on this machine.
    """
    return {"type": "tcp", "bind": "127.0.0.1:0", "target": f"127.0.0.1:{port}", **options}


def udp(port: int, **options: Any) -> dict[str, Any]:
    """
    A C{udp} listener for a target on this machine.
    """
    return {"type": "udp", "bind": "127.0.0.1:0", "target": f"127.0.0.1:{port}", **options}


def proxy(**options: Any) -> dict[str, Any]:
    """
    A C{proxy} listener.
    """
    return {"type": "proxy", "bind": "127.0.0.1:0", **options}
