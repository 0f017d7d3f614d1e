"""
A worker: a node that a supervisor runs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from socket import AF_UNIX
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.amp import AMP
from twisted.python.failure import Failure

from hermes.config import NodeConfig, loadNode
from hermes.errors import HermesError
from hermes.node import Node, NodeError
from hermes.service import describeListeners, describeReload
from hermes.workers.control import CONTROL_DESCRIPTOR, Plan, ReloadNode, StartNode
from hermes.workers.sockets import InheritedSockets

INDEX_VARIABLE = "HERMES_WORKER"
"""
The environment variable that makes a process a worker, and says which.
"""


def workerIndex(environment: Mapping[str, str]) -> int | None:
    """
    Which worker this process is, from 0; L{None} where it is none.
    """
    index = environment.get(INDEX_VARIABLE)
    return int(index) if index is not None and index.isdigit() else None


class Control(AMP):
    """
    The worker's end of the socket pair.
    """

    def __init__(self, service: WorkerService) -> None:
        AMP.__init__(self)
        self._service = service

    @StartNode.responder
    def startNode(self, plan: str, sockets: list[Any]) -> Deferred[dict[str, str]]:
        """
        See L{StartNode}.
        """
        return self._answer(self._service.startNode(Plan.fromText(plan), sockets))

    @ReloadNode.responder
    def reloadNode(self, plan: str, sockets: list[Any]) -> Deferred[dict[str, str]]:
        """
        See L{ReloadNode}.
        """
        return self._answer(self._service.reloadNode(Plan.fromText(plan), sockets))

    def _answer(self, done: Deferred[str]) -> Deferred[dict[str, str]]:
        def failed(failure: Failure) -> dict[str, str]:
            if failure.check(HermesError) is None:
                self._service.log.failure("a command of the supervisor failed", failure)
            raise NodeError(failure.getErrorMessage())

        return done.addCallbacks(lambda summary: {"summary": summary}, failed)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        AMP.connectionLost(self, reason)
        self._service.supervisorLost()


class _Controlled(Factory):
    """
    Gives the socket pair its protocol.
    """

    noisy = False

    def __init__(self, service: WorkerService) -> None:
        self._service = service

    def buildProtocol(self, addr: Any) -> Control:
        return Control(self._service)


class WorkerService(Service):
    """
    Does what the supervisor says; ends when it is gone.

    @ivar node: the node, once it was started.
    """

    log = Logger()
    name = "hermes-proxy"

    def __init__(
        self,
        reactor: Any,
        path: str,
        config: NodeConfig,
        makeNode: Callable[[NodeConfig, InheritedSockets], Node],
        load: Callable[[str], NodeConfig] = loadNode,
    ) -> None:
        """
        @param path: the node's file.
        @param config: what it says.
        @param makeNode: makes a node of a configuration and the sockets that it inherits.
        """
        self.node: Node | None = None
        self.inherited = InheritedSockets()
        self._reactor = reactor
        self._path = path
        self._config = config
        self._makeNode = makeNode
        self._load = load

    def startService(self) -> None:
        Service.startService(self)
        # It is the supervisor that passes it on.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._reactor.adoptStreamConnection(CONTROL_DESCRIPTOR, AF_UNIX, _Controlled(self))
        os.close(CONTROL_DESCRIPTOR)

    def supervisorLost(self) -> None:
        """
        Nobody looks after this process any more.
        """
        if self.running:
            self.log.warn("the supervisor is gone")
            self._reactor.stop()

    def startNode(self, plan: Plan, sockets: list[Any]) -> Deferred[str]:
        """
        Start the node; fires with where it listens.
        """
        return Deferred.fromCoroutine(self._startNode(plan, sockets))

    async def _startNode(self, plan: Plan, sockets: list[Any]) -> str:
        self.inherited.offer(sockets)
        node = self._makeNode(plan.applied(self._config), self.inherited)
        await node.start()
        self.node = node
        return describeListeners(node)

    def reloadNode(self, plan: Plan, sockets: list[Any]) -> Deferred[str]:
        """
        Read the file once more; fires with what that changed.
        """
        return Deferred.fromCoroutine(self._reloadNode(plan, sockets))

    async def _reloadNode(self, plan: Plan, sockets: list[Any]) -> str:
        if self.node is None:
            raise NodeError("the node has not been started")
        self.inherited.offer(sockets)
        done = await self.node.reload(plan.applied(self._load(self._path)))
        self.inherited.keep([each["bind"] for each in sockets])
        return describeReload(done)

    def stopService(self) -> Deferred[None]:
        """
        Drain.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        stopped = Service.stopService(self)
        if stopped is not None:
            await stopped
        if self.node is not None:
            finished = await self.node.drain(self.node.config.drain)
            self.log.info("drained" if finished else "stopped with flows still open")
