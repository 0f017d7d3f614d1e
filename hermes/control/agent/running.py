"""
The node of an agent: none at first, then one for as long as it may go on with other configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import classImplements, implementer

import hermes
from hermes.admin.status import Status
from hermes.config import NodeConfig, loadNodeText
from hermes.control.agent.observing import TrafficObserver
from hermes.control.agent.probing import probeAll
from hermes.control.agent.roles import IPreparedConfiguration, IRunner
from hermes.control.values import Health, Probe, ProbeResult
from hermes.interfaces import IFlowObserver
from hermes.node import Node, NodeError, Prepared

# It does not know of agents.
classImplements(Prepared, IPreparedConfiguration)

MakeNode = Callable[[NodeConfig, Sequence[IFlowObserver]], Node]


@implementer(IRunner)
class NodeRunner:
    """
    See L{IRunner}.

    @ivar node: what runs, or L{None}.
    """

    def __init__(
        self,
        name: str,
        directory: str,
        makeNode: MakeNode,
        observer: TrafficObserver,
        clock: IReactorTime,
        load: Callable[..., NodeConfig] = loadNodeText,
    ) -> None:
        """
        @param name: the node's name: a configuration of another one is refused.
        @param directory: what paths in a configuration are relative to.
        @param makeNode: makes a node, not started, of a configuration and of observers of its traffic.
        @param observer: sees the traffic of each.
        @param load: reads a configuration.
        """
        self.node: Node | None = None
        self._name = name
        self._directory = directory
        self._makeNode = makeNode
        self._observer = observer
        self._clock = clock
        self._loadText = load
        self._status: Status | None = None

    @property
    def running(self) -> bool:
        return self.node is not None

    def _load(self, version: int, config: bytes) -> NodeConfig:
        try:
            text = config.decode()
        except UnicodeDecodeError as error:
            raise NodeError(f"version {version} is not UTF-8 text: byte {error.start} is wrong") from None
        loaded = self._loadText(text, f"version {version}", self._directory)
        if loaded.node != self._name:
            raise NodeError(f"the configuration is of node {loaded.node}, and this is {self._name}")
        if loaded.workers != 1:
            # A change would have to be prepared by all of them, and then taken by all.
            raise NodeError(
                f"'workers: {loaded.workers}' can't be had under a controller: there a node is one process. More "
                "nodes, each with a part of the listeners, use more cores"
            )
        return loaded

    def check(self, version: int, config: bytes) -> None:
        self._load(version, config)

    def prepare(self, version: int, config: bytes) -> Deferred[IPreparedConfiguration]:
        return Deferred.fromCoroutine(self._prepare(version, config))

    async def _prepare(self, version: int, config: bytes) -> IPreparedConfiguration:
        loaded = self._load(version, config)
        if self.node is not None:
            return cast(IPreparedConfiguration, await self.node.prepare(loaded))
        node = self._makeNode(loaded, [self._observer])
        try:
            await node.reserve()
        except BaseException:
            await node.stop()
            raise
        return _First(self, node)

    def started(self, node: Node | None) -> None:
        """
        C{node} is what runs from now on.
        """
        self.node = node
        self._status = None if node is None else Status(node, hermes.__version__, self._clock.seconds)

    def stop(self) -> Deferred[None]:
        node = self.node
        if node is None:
            return succeed(None)
        self.started(None)
        return node.stop()

    def drain(self, timeout: float) -> Deferred[bool]:
        node = self.node
        if node is None:
            return succeed(True)

        def drained(finished: bool) -> bool:
            if self.node is node:
                self.started(None)
            return finished

        # Until the end it tells its status.
        return node.drain(timeout).addCallback(drained)

    def status(self) -> Mapping[str, Any]:
        node = self.node
        if self._status is None or node is None:
            return {"node": self._name, "version": hermes.__version__}
        found = self._status.summary()
        going = [*node.flows.openFlows(), *node.requests.openRequests()]
        carried = self._observer.carrying(going, found["packets"].get("ports", ()))
        return {**found, "carried": carried, "refusals": list(self._observer.refusals())}

    def health(self) -> Health:
        problem = None
        if self.node is not None and not self.node.draining:
            silent = sorted(self.node.listeners.keys() - self.node.addresses().keys())
            if silent:
                problem = f"{', '.join(silent)}: does not listen"
        return Health(self._observer.opened, self._observer.failed, problem)

    def probe(self, probes: Sequence[Probe]) -> Deferred[Sequence[ProbeResult]]:
        if self.node is None:
            return succeed([ProbeResult(each.name, False, "the node runs nothing") for each in probes])
        return probeAll(self.node, probes, self._clock)


@implementer(IPreparedConfiguration)
class _First:
    """
    A configuration of a node that does not run yet.
    """

    def __init__(self, runner: NodeRunner, node: Node) -> None:
        self._runner = runner
        self._node: Node | None = node

    def commit(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._commit())

    async def _commit(self) -> None:
        node, self._node = self._node, None
        if node is None or self._runner.node is not None:
            raise NodeError("the node has taken another configuration since this one was prepared")
        self._runner.started(node)
        try:
            await node.start()
        except BaseException:
            if self._runner.node is node:
                self._runner.started(None)
            await node.stop()
            raise

    def discard(self) -> Deferred[None]:
        node, self._node = self._node, None
        return succeed(None) if node is None else node.stop()
