"""
Processes under test: any program, and Hermes nodes made of a configuration.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

import treq
from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent

import hermes
from hermes.net.authority import OverlayAuthority

# Its type depends on the platform.
reactor: Any = theReactor

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile=")

_LISTENING = re.compile(r"(?P<name>[\w.-]+)(?: \([\w-]+\))? on (?P<address>unix:\S+?|\S+:\d+)(?=,|\s|$)")


def program(name: str) -> str:
    """
    The path of a program.

    @raise SkipTest: where it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise SkipTest(f"{name} is not installed")
    return path


class ProcessError(AssertionError):
    """
    A process did not do what a test waited for. The text holds the end of its output.
    """


class Process(ProcessProtocol):
    """
    A program that runs.

    @ivar output: what it has written, standard output and standard error together.
    @ivar stdout: what it has written to standard output.
    @ivar status: its exit status once it has ended; negative: the signal that ended it.
    """

    log = Logger()

    def __init__(self, name: str) -> None:
        self.name = name
        self.output = ""
        self.stdout = b""
        self.status: int | None = None
        self._lines: list[tuple[re.Pattern[str], int, Deferred[re.Match[str]]]] = []
        self._ends: list[Deferred[int]] = []

    @property
    def pid(self) -> int:
        """
        Its process number.
        """
        pid: int | None = self.transport.pid  # type: ignore[union-attr]
        assert pid is not None
        return pid

    def outReceived(self, data: bytes) -> None:
        self.stdout += data
        self._received(data)

    def errReceived(self, data: bytes) -> None:
        self._received(data)

    def _received(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        self.output += text
        # Into the log of the test run: it is what there is to look at when a test fails.
        for line in text.splitlines():
            self.log.info("{name}: {line}", name=self.name, line=line)
        waiting, self._lines = self._lines, []
        for pattern, since, found in waiting:
            self._look(pattern, since, found)

    def _look(self, pattern: re.Pattern[str], since: int, found: Deferred[re.Match[str]]) -> None:
        match = pattern.search(self.output, since)
        if match is not None:
            found.callback(match)
        elif self.status is not None:
            found.errback(ProcessError(f"{self.name} ended before it said {pattern.pattern!r}:\n{self.output[-4000:]}"))
        else:
            self._lines.append((pattern, since, found))

    def processEnded(self, reason: Failure) -> None:
        value: Any = reason.value
        self.status = value.exitCode if value.exitCode is not None else -(value.signal or 0)
        self._received(b"")
        ends, self._ends = self._ends, []
        for end in ends:
            end.callback(self.status)

    def said(self, pattern: str, since: int = 0) -> Deferred[re.Match[str]]:
        """
        Wait until its output matches a regular expression (C{^} and C{$} are those of lines), beginning at C{since}.
        Errback with L{ProcessError} where it ends before.
        """
        found: Deferred[re.Match[str]] = Deferred()
        self._look(re.compile(pattern, re.MULTILINE), since, found)
        return found

    def end(self) -> Deferred[int]:
        """
        Wait until it has ended. Fires with its status.
        """
        end: Deferred[int] = Deferred()
        if self.status is not None:
            end.callback(self.status)
        else:
            self._ends.append(end)
        return end

    def write(self, data: bytes) -> None:
        """
        Write to its standard input.
        """
        self.transport.write(data)  # type: ignore[union-attr]

    def closeInput(self) -> None:
        """
        End its standard input.
        """
        self.transport.closeStdin()  # type: ignore[union-attr]

    def signal(self, number: int) -> None:
        """
        Send it a signal.
        """
        os.kill(self.pid, number)

    def kill(self) -> Deferred[int]:
        """
        End it at once, and wait for that.
        """
        if self.status is None:
            self.signal(signal.SIGKILL)
        return self.end()

    def residentBytes(self) -> int:
        """
        How much memory it has.
        """
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise ProcessError(f"{self.name} has no memory any more")


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

    def run_(self, process: Process, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """
        Start a process that ends with the test.
        """
        self._processes.append(process)
        variables = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        # The code under test, wherever else one like it is installed.
        root = str(Path(hermes.__file__).parents[1])
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, (root, variables.get("PYTHONPATH"))))
        variables |= environment or {}
        reactor.spawnProcess(process, command[0], list(command), env=variables, path=str(self.directory))

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

    async def pair(
        self,
        edge: Mapping[str, Any],
        exit: Mapping[str, Any] | None = None,
        routes: Sequence[Mapping[str, Any]] | None = None,
    ) -> tuple[Node, Node]:
        """
        Start two nodes, C{edge} and C{exit}, with mutual TLS between them. All that C{edge} takes goes by way of
        C{exit}, which may connect to anything.

        @param edge: the listeners of the first.
        @param exit: more sections of the second.
        @param routes: the routes of the first, where they are others.
        """
        last = await self.node(
            "exit",
            **{
                "identity": self.identity("exit"),
                "listeners": {"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}},
                "routes": [{"match": {"any": True}, "allowSpecial": True}],
                **(exit or {}),
            },
        )
        first = await self.node(
            "edge",
            identity=self.identity("edge"),
            listeners=edge,
            upstreams={"exit": {"type": "hermes", "endpoints": [last.address("overlay")]}},
            routes=list(routes) if routes is not None else [{"match": {"any": True}, "via": ["exit"]}],
        )
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
