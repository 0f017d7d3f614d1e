"""
A controller with nodes in memory, whose interface is served on real sockets: time passes by itself, a hundred times as
fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.protocols.policies import WrappingFactory
from twisted.trial.unittest import TestCase

from hermes.control.controller import Controller
from hermes.control.leading import Parts
from hermes.control.operator.access import digest
from hermes.control.operator.site import OperatorInterface
from hermes.control.planning import OverlayPlanner
from hermes.control.values import AuditEntry, NodeEntry, Settings
from hermes.testing.control import MemoryLinks, MemoryStore, SimulatedNode, Stops
from hermes.testing.control.overlay import FullFiles
from hermes.testing.control.process import HeapClock

reactor = cast(Any, _reactor)

TOKEN = "an operator's token"
"""
That of C{ops}.
"""

DOCUMENT = """
overlay: example
nodes:
  edge:    {address: "edge.example:8443", listeners: {apps: {type: proxy, bind: 127.0.0.1:3128}}}
  relay:   {address: "relay.example:8443"}
  gateway: {address: "gw.example:8443"}
links:
  - {between: [edge, relay], weight: 10}
  - {between: [relay, gateway], weight: 10}
  - {between: [edge, gateway], weight: 50}
services:
  db.hermes: {on: [gateway], ports: [3306], endpoints: ["10.1.0.5:3306"]}
users: {alice: {password: wonderland}, bob: {token: hush}}
groups: {admins: [alice]}
policy:
  - {allow: group:admins, to: "db.hermes:3306"}
tests:
  - {user: alice, can: ["db.hermes:3306"]}
  - {user: bob, cannot: ["db.hermes:3306"]}
settings: {trial: 4s, decide: 20s}
"""

NAMES = ("edge", "gateway", "relay")


class FakeEnrolment:
    """
    Lets in, and shuts out.
    """

    def __init__(self) -> None:
        self.shutOut: list[str] = []

    def enrol(self, node: str) -> Deferred[str]:
        return succeed(f"token-of-{node}")

    def revoke(self, node: str) -> Deferred[Any]:
        self.shutOut.append(node)
        return succeed(None)


class ControllerCase(TestCase):
    """
    A controller and nodes.

    @cvar names: of the nodes.
    @ivar statuses: what nodes say, by name, beside what they say anyway.
    @ivar lines: of their logs.
    """

    timeout = 60
    names: tuple[str, ...] = NAMES

    def setUp(self) -> Any:
        directory = mkdtemp()
        self.addCleanup(rmtree, directory)
        self.clock = HeapClock()
        self.store = MemoryStore(self.clock)
        self.links = MemoryLinks(self.clock)
        self.enrolment = FakeEnrolment()
        settings = Settings(trial=4.0, decide=20.0, answer=5.0)
        parts = Parts(self.store, self.links, OverlayPlanner(settings), self.clock, maybeDeferred, Stops(), settings)
        self.controller = Controller(parts, "controller", lambda: 1.8e9 + self.clock.seconds(), self.enrolment)
        self.nodes: dict[str, SimulatedNode] = {}
        self.statuses: dict[str, Callable[[], Mapping[str, Any]]] = {}
        for name in self.names:
            files = FullFiles(os.path.join(directory, name))
            files.create()
            self.nodes[name] = SimulatedNode(name, self.clock, files)
        self.tokens = {digest(TOKEN): "ops"}
        self.interface = OperatorInterface(
            self.controller, self.clock, lambda: self.tokens, maybeDeferred, lambda: 1.8e9 + self.clock.seconds()
        )
        passing = LoopingCall(lambda: self.pass_())
        passing.start(0.002)
        self.addCleanup(passing.stop)
        return Deferred.fromCoroutine(self._start())

    def pass_(self) -> None:
        """
        A moment passes.
        """
        self.clock.advance(0.1)

    async def _start(self) -> None:
        await self.controller.start()
        while not self.controller.leads:
            await deferLater(reactor, 0.001)
        for name, node in self.nodes.items():
            await self.store.putNode(NodeEntry(name, "ab12", 1.7e9, 1.9e9))
            self.connect(node)

    def connect(self, node: SimulatedNode) -> None:
        """
        A node starts, and connects.
        """
        node.start()
        process, agent = node.process, node.agent
        assert process is not None and agent is not None
        name = node.name
        self.patch(agent, "status", lambda: succeed({"node": name, **self.statuses.get(name, dict)()}))
        node.link = self.links.connect(agent, 0.001, lambda: not process.killed)

    async def applied(self, document: str = DOCUMENT, author: str = "ops", comment: str = "") -> Any:
        """
        A document is made the overlay's.
        """
        return await self.controller.apply(document, author, comment)

    def served(self, factory: Any) -> WrappingFactory:
        """
        What to listen with: at the end of the test, connections that a peer has left open are closed.
        """
        wrapping = WrappingFactory(factory)

        async def close() -> None:
            for connection in list(wrapping.protocols):
                connection.transport.abortConnection()
            while wrapping.protocols:
                await deferLater(reactor, 0.001)

        self.addCleanup(lambda: Deferred.fromCoroutine(close()))
        return wrapping

    def onSocket(self) -> str:
        """
        Serve on a Unix socket.

        @return: its address, for C{--controller}.
        """
        path = os.path.relpath(self.mktemp())
        port = reactor.listenUNIX(path, self.served(self.interface.local()))
        self.addCleanup(port.stopListening)
        return f"unix:{path}"

    def onPort(self) -> int:
        """
        Serve as over TLS, and without TLS.

        @return: the port, on 127.0.0.1.
        """
        port = reactor.listenTCP(0, self.served(self.interface.remote()), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def inThread(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Deferred[Any]:
        """
        Call what blocks.
        """
        return deferToThread(call, *arguments, **named)

    async def audited(self) -> list[AuditEntry]:
        """
        The audit log, once it has something.
        """
        while not self.store.state.audited:
            await deferLater(reactor, 0.001)
        return self.store.state.audited
