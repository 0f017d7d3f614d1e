"""
A node as a Twisted service: it starts, reloads and stops with the process.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes import garbage
from hermes.admin.status import addressText
from hermes.config import ConfigError, NodeConfig, loadNode
from hermes.errors import HermesError
from hermes.node import Node, Reloaded


class StartFailed(SystemExit, Exception):
    """
    The node can't be started. Python ends with its text on standard error, as for every C{SystemExit}; twistd passes it
    on to whoever started a daemon, as it does for an C{Exception} only.
    """


class Signals:
    """
    Signals of this process, each as a call in the reactor's thread; what was there before comes back.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._before: dict[int, Any] = {}

    def install(self, number: int, handler: Callable[[], object]) -> None:
        """
        Call C{handler} for each signal. Where this is not the main thread, which alone may ask for signals, do nothing.
        """

        def received(signum: int, frame: FrameType | None) -> None:
            self._reactor.callFromThread(handler)

        try:
            before = signal.signal(number, received)
        except ValueError:
            return
        self._before.setdefault(number, before)

    def restore(self) -> None:
        """
        Put back what was there.
        """
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()


def fail(reactor: Any, message: str) -> None:
    """
    End the process with status 1 and a sentence on standard error.
    """
    print(message, file=sys.stderr, flush=True)
    # twistd ends with status 0 however its reactor stopped.
    atexit.register(os._exit, 1)
    reactor.callWhenRunning(reactor.stop)


class NodeService(Service):
    """
    Runs a node. SIGHUP reads its file once more; SIGTERM and SIGINT, by way of the reactor, drain it; a second one of
    them ends it at once.

    @ivar node: the node, once it was started.
    """

    log = Logger()
    name = "hermes-proxy"

    def __init__(
        self,
        reactor: Any,
        path: str,
        config: NodeConfig,
        makeNode: Callable[[Any, NodeConfig], Node],
        load: Callable[[str], NodeConfig] = loadNode,
    ) -> None:
        """
        @param path: the file that C{config} is from, for reloads.
        @param makeNode: makes the node, not started, of a reactor and a configuration.
        @param load: reads the file.
        """
        self.node: Node | None = None
        self._reactor = reactor
        self._path = path
        self._config = config
        self._makeNode = makeNode
        self._load = load
        self._signals = Signals(reactor)
        self._startNode: Deferred[None] | None = None
        self._starting = True
        self._problem: str | None = None

    def privilegedStartService(self) -> None:
        """
        Bind while the process may bind every port.
        """
        Service.privilegedStartService(self)
        self._start()

    def startService(self) -> None:
        Service.startService(self)
        self._start()

    def _start(self) -> None:
        if self._startNode is not None:
            return
        try:
            self.node = self._makeNode(self._reactor, self._config)
        except HermesError as error:
            raise StartFailed(f"hermes-proxy: {error}") from None
        # Before it says that it is ready: whoever reads that may hang up at once.
        self._signals.install(signal.SIGHUP, self.reload)
        self._startNode = self.node.start().addCallbacks(self._ready, self._notStarted)
        self._startNode.addErrback(lambda failure: self.log.failure("starting the node failed", failure))
        self._starting = False
        # As a rule it is known by now: then nobody is told first that all is well.
        if self._problem is not None:
            raise StartFailed(self._problem)

    def _ready(self, _: object) -> None:
        assert self.node is not None
        garbage.settle()
        self.log.info(
            "node {node} is ready: {listening}", node=self.node.config.node, listening=describeListeners(self.node)
        )

    def _notStarted(self, failure: Failure) -> None:
        if failure.check(HermesError) is None:
            self.log.failure("starting the node failed", failure)
        self._problem = f"hermes-proxy: {failure.getErrorMessage()}"
        if not self._starting:
            fail(self._reactor, self._problem)

    def reload(self) -> Deferred[bool]:
        """
        Read the file once more and run what it says now; whatever is wrong is logged and changes nothing. Fires with
        whether it was taken.
        """
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> bool:
        node = self.node
        assert node is not None
        try:
            config = self._load(self._path)
            done = await node.reload(config)
        except (ConfigError, HermesError) as error:
            for line in str(error).splitlines():
                self.log.error("not reloaded: {line}", line=line)
            return False
        except Exception:
            self.log.failure("not reloaded")
            return False
        self.log.info("reloaded: {summary}", summary=describeReload(done))
        return True

    def stopService(self) -> Deferred[None]:
        """
        Drain, for as long as the configuration says.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await _maybe(Service.stopService(self))
        node = self.node
        if node is not None:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._signals.install(number, self._stopNow)
            timeout = node.config.drain
            self.log.info("draining, at most {timeout:g} seconds", timeout=timeout)
            finished = await node.drain(timeout)
            self.log.info("drained" if finished else "stopped with flows still open")
        self._signals.restore()

    def _stopNow(self) -> None:
        if self.node is not None:
            self.log.info("told to stop once more: ending what is open")
            self.node.flows.abortAll()
            self.node.requests.abortAll()


async def _maybe(result: Deferred[None] | None) -> None:
    if result is not None:
        await result


def describeListeners(node: Node) -> str:
    """
    Each listener's name, type and address.
    """
    types = {name: f" ({listener.type})" for name, listener in node.config.listeners.items()}
    addresses = node.addresses().items()
    parts = [f"{name.strip('()')}{types.get(name, '')} on {addressText(address)}" for name, address in addresses]
    return ", ".join(parts) or "no listeners"


def describeReload(done: Reloaded) -> str:
    """
    What a reload did, in words.
    """
    parts = [
        f"{what} {', '.join(names)}"
        for what in ("kept", "changed", "started", "stopped")
        if (names := getattr(done, what))
    ]
    return "; ".join(parts) or "no listeners"
