"""
Nodes with forwarders, and programs on python-ndn at them.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Coroutine
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from unittest import SkipTest

from twisted.internet.defer import Deferred, gatherResults

from hermes.test.interop.process import Process
from hermes.test.interop.processes import Node, ProcessCase
from hermes.test.processes import freePort

MEGABYTE = 1_000_000

T = TypeVar("T")


class NDNCase(ProcessCase):
    """
    A test with forwarders and programs.
    """

    timeout = 120

    def setUp(self) -> None:
        if importlib.util.find_spec("ndn") is None:
            raise SkipTest("python-ndn is not installed")
        super().setUp()
        # A Unix socket's path is short.
        short = TemporaryDirectory(prefix="ndn-")
        self.addCleanup(short.cleanup)
        self.directory = Path(short.name)

    def names(self, *bind: str, **options: Any) -> dict[str, Any]:
        """
        A listener, at C{NODE.sock} where nothing else is said.
        """
        return {"type": "ndn", "bind": list(bind), **options}

    def program(self, module: str, *arguments: object) -> Process:
        """
        Start a program.
        """
        return self.start(sys.executable, "-m", f"hermes.test.interop.{module}", *map(str, arguments))

    async def together(self, *coroutines: Coroutine[Any, Any, T]) -> list[T]:
        """
        Run all at once.

        @return: what each returns.
        """
        return await gatherResults([Deferred.fromCoroutine(each) for each in coroutines], consumeErrors=True)

    async def producer(self, face: str, prefix: str, *sizes: int) -> Process:
        """
        Start a producer, and wait until its prefix is registered.
        """
        producer = self.program("ndnproducer", face, prefix, *sizes)
        await producer.said("^ready$")
        return producer

    async def fetch(self, face: str, prefix: str, size: int, *options: object) -> dict[str, Any]:
        """
        Fetch an object, with a window of 20, and check that it is whole and the same.

        @return: what the consumer says about it.
        """
        consumer = self.program("ndnconsumer", face, prefix, size, *options)
        status = await consumer.end()
        self.assertEqual(status, 0, consumer.output)
        told: dict[str, Any] = json.loads(consumer.stdout.splitlines()[-1])
        # Needs python-ndn.
        from hermes.test.interop.ndnproducer import content

        self.assertEqual((told["bytes"], told["digest"]), (size, sha256(content(size)).hexdigest()))
        return told

    async def chain(
        self,
        edge: dict[str, Any],
        exit: dict[str, Any],
        relays: dict[str, str],
        ports: dict[str, int] | None = None,
        seen: dict[str, int] | None = None,
        hosts: dict[str, str] | None = None,
    ) -> dict[str, Node]:
        """
        Start C{edge}, C{exit} and relays between them, with mutual TLS. A flow of C{edge} for C{NAME.ndn.hermes} takes
        the relay that C{relays} has for NAME, and ends in the listener C{names} of C{exit}.

        @param edge: the listener C{names} of C{edge}.
        @param exit: the same of C{exit}.
        @param ports: where relays and C{exit} listen; any, where nothing is said.
        @param seen: where the one before finds them, where that is not the same.
        @param hosts: their addresses, where that is not this machine's own.
        """
        names = {*relays.values(), "exit"}
        ports = {name: freePort() for name in names} | (ports or {})
        seen = ports | (seen or {})
        hosts = dict.fromkeys(names, "127.0.0.1") | (hosts or {})

        def overlay(name: str) -> dict[str, Any]:
            return {"type": "tunnel", "bind": f"{hosts[name]}:{ports[name]}"}

        def hop(name: str) -> dict[str, Any]:
            return {"type": "hermes", "endpoints": [f"{hosts[name]}:{seen[name]}"], "node": name}

        nodes = {
            "exit": self.startNode(
                "exit",
                self.config(
                    "exit",
                    identity=self.identity("exit"),
                    listeners={"overlay": overlay("exit"), "names": exit},
                    routes=[{"match": {"target": "*.ndn.hermes"}, "to": "names"}],
                ),
            )
        }
        for relay in set(relays.values()):
            nodes[relay] = self.startNode(
                relay,
                self.config(
                    relay,
                    identity=self.identity(relay),
                    listeners={"overlay": overlay(relay)},
                    upstreams={"exit": hop("exit")},
                    routes=[{"match": {"any": True}, "via": ["exit"]}],
                ),
            )
        nodes["edge"] = self.startNode(
            "edge",
            self.config(
                "edge",
                identity=self.identity("edge"),
                listeners={"names": edge},
                upstreams={relay: hop(relay) for relay in set(relays.values())},
                routes=[
                    {"match": {"target": f"{name}.ndn.hermes"}, "via": [relay, "exit"]}
                    for name, relay in relays.items()
                ],
            ),
        )
        for node in nodes.values():
            await node.ready()
        return nodes

    async def rowOf(self, *names: str) -> dict[str, Node]:
        """
        Start nodes in a row, joined by faces in mutually authenticated tunnels, each dialing the next. They tell each
        other what programs register: none has a prefix in its configuration.
        """
        self.ports = {name: freePort() for name in names}
        # All at once: a face whose link can't be opened yet tries again.
        nodes = {name: self.inRow(name, names) for name in reversed(names)}
        for node in nodes.values():
            await node.ready()
        return nodes

    def inRow(self, name: str, names: tuple[str, ...]) -> Node:
        """
        Start one of a row, and do not wait for it.
        """
        at = names.index(name)
        before = names[at - 1] if at else None
        after = names[at + 1] if at + 1 < len(names) else None
        listener = self.names(f"unix:{name}.sock")
        upstreams: dict[str, Any] = {}
        routes: list[dict[str, Any]] = []
        if before is not None:
            listener["neighbours"] = [before]
            routes.append({"match": {"listener": "overlay", "target": "ndn.hermes", "node": before}, "to": "names"})
        if after is not None:
            listener["faces"] = {"next": {"to": "udp:ndn.hermes"}}
            listener["announce"] = ["next"]
            upstreams[after] = {"type": "hermes", "endpoints": [f"127.0.0.1:{self.ports[after]}"], "node": after}
            routes.append({"match": {"listener": "names", "target": "ndn.hermes"}, "via": [after]})
        overlay = {"type": "tunnel", "bind": f"127.0.0.1:{self.ports[name]}"}
        sections = {"listeners": {"overlay": overlay, "names": listener}, "upstreams": upstreams, "routes": routes}
        return self.startNode(name, self.config(name, identity=self.identity(name), **sections))
