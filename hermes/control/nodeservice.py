"""
A node that a controller configures, as a Twisted service: C{twistd hermes-proxy --controller ADDRESS}.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger, globalLogPublisher
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from hermes import garbage
from hermes.assembly import Assembly
from hermes.config import NodeConfig
from hermes.control.agent.agent import Agent
from hermes.control.agent.disk import ConfigurationDisk
from hermes.control.agent.files import Files
from hermes.control.agent.measuring import LinkMeasurer
from hermes.control.agent.observing import TrafficObserver
from hermes.control.agent.recentlog import RecentLog
from hermes.control.agent.revocations import Revocations
from hermes.control.agent.running import NodeRunner
from hermes.control.channel.reporting import LinkReporter
from hermes.control.enrolment.identity import NodeIdentity
from hermes.control.enrolment.tokens import Token
from hermes.control.membership import Membership
from hermes.control.stops import StopAt, nowhere
from hermes.errors import HermesError
from hermes.interfaces import IFlowObserver, INetwork
from hermes.interfaces.control import IAgentSide
from hermes.net.revocation import RevokedCertificates
from hermes.node import Node
from hermes.service import Signals, StartFailed, describeListeners, fail

CONFIGURATIONS = "configurations"
"""
The directory, within the node's own, of the configurations that it keeps.
"""

DRAIN = 10.0
"""
Seconds that flows have to end when the process does, where no configuration says otherwise.
"""


class ControlledNodeService(Service):
    """
    Runs a node, its agent, and its connection to a controller. What the node runs is on its disk: it starts from there
    whether there is a controller or not.

    @ivar membership: the node's part in the overlay.
    @ivar runner: runs the node, once it is known which it is.
    """

    log = Logger()
    name = "hermes-proxy"

    def __init__(
        self,
        reactor: Any,
        network: INetwork,
        directory: str,
        controllers: Sequence[str],
        token: Token | None = None,
        stopAt: StopAt = nowhere,
    ) -> None:
        """
        @param directory: the node's own: who it is, and what it runs.
        @param controllers: their addresses.
        @param token: with which the node joins where it has not yet.
        """
        self.runner: NodeRunner | None = None
        self._reactor = reactor
        self._network = network
        self._files = Files(directory)
        self._stopAt = stopAt
        self._revoked = RevokedCertificates()
        self._recentLog = RecentLog()
        self._threads = ThreadPool(0, 1, "disk")
        self._signals = Signals(reactor)
        self._agent: Agent | None = None
        self._measurer = LinkMeasurer(reactor, self._upstreams)
        reporter = LinkReporter(reactor, self._measurer)
        self._measurer.watch(reporter.measured)
        self._starting: Deferred[None] | None = None
        self._mayRaise = True
        self._problem: str | None = None
        self.membership = Membership(
            reactor,
            time.time,
            self._files,
            controllers,
            network.streamClient,
            self._makeAgent,
            self._renewed,
            token,
            told=self._told,
            connected=reporter.connected,
        )

    # Starting

    def privilegedStartService(self) -> None:
        """
        What is on disk is bound while the process may bind every port.
        """
        Service.privilegedStartService(self)
        self._start()

    def startService(self) -> None:
        Service.startService(self)
        self._start()
        self._signals.install(signal.SIGHUP, self._hangUp)

    def _start(self) -> None:
        if self._starting is not None:
            return
        globalLogPublisher.addObserver(self._recentLog)
        self._threads.start()
        self._starting = self.membership.start().addErrback(self._notStarted)
        self._mayRaise = False
        if self._problem is not None:
            raise StartFailed(self._problem)

    def _notStarted(self, failure: Failure) -> None:
        if not self.running and not self._mayRaise:
            return  # It was stopped meanwhile.
        if failure.check(HermesError, OSError) is None:
            self.log.failure("starting the node failed", failure)
        self._problem = f"hermes-proxy: {failure.getErrorMessage()}"
        if not self._mayRaise:
            fail(self._reactor, self._problem)

    def _inThread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._threads, function, *arguments)

    def _makeAgent(self, identity: NodeIdentity) -> Deferred[IAgentSide]:
        return Deferred.fromCoroutine(self._begin(identity))

    async def _begin(self, identity: NodeIdentity) -> IAgentSide:
        directory = self._files.directory
        observer = TrafficObserver(time.time)
        runner = self.runner = NodeRunner(identity.node, directory, self._makeNode, observer, self._reactor)
        agent = self._agent = Agent(
            identity.node,
            self._reactor,
            runner,
            ConfigurationDisk(Files(self._files.path(CONFIGURATIONS))),
            self._inThread,
            Revocations(self._files, self._inThread, self._revoked.set),
            self._recentLog,
            self._stopAt,
        )
        await agent.start()
        self._measurer.start()
        garbage.settle()
        if runner.node is None:
            self.log.info("node {node} waits for its first configuration", node=identity.node)
        else:
            listening = describeListeners(runner.node)
            self.log.info("node {node} is ready: {listening}", node=identity.node, listening=listening)
        return agent

    def _makeNode(self, config: NodeConfig, observers: Sequence[IFlowObserver]) -> Node:
        assembly = Assembly(self._reactor, self._network, observers=observers, revoked=self._revoked)
        return Node(self._reactor, config, assembly)

    # Running

    def _upstreams(self) -> Mapping[str, Any]:
        node = None if self.runner is None else self.runner.node
        return {} if node is None or node.draining else node.upstreams

    def _renewed(self, identity: NodeIdentity) -> None:
        """
        Connections that begin from now on are to show the new certificate.
        """
        if self.runner is not None and self.runner.node is not None:
            try:
                self.runner.node.readCertificates()
            except HermesError as error:
                self.log.error("the renewed certificate can't be used yet: {error}", error=error)

    def _told(self, problem: str | None) -> None:
        """
        There is trouble with the certificate, or no more.
        """
        if self._agent is not None:
            self._agent.tellProblem("certificate", None if problem is None else [problem])

    def _hangUp(self) -> None:
        self.log.info("the controller configures this node: there is no file to read again")

    # Stopping

    def stopService(self) -> Deferred[None]:
        """
        Drain, for as long as the configuration says.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(Service.stopService, self)
        agent, runner = self._agent, self.runner
        node = None if runner is None else runner.node
        for number in (signal.SIGINT, signal.SIGTERM):
            self._signals.install(number, self._stopNow)
        if agent is not None:
            timeout = DRAIN if node is None else node.config.drain
            if node is not None:
                self.log.info("draining, at most {timeout:g} seconds", timeout=timeout)
            finished = await agent.drain(timeout)
            if node is not None:
                self.log.info("drained" if finished else "stopped with flows still open")
        await self.membership.stop()
        self._measurer.stop()
        if self._threads.started:
            self._threads.stop()
        globalLogPublisher.removeObserver(self._recentLog)
        self._signals.restore()

    def _stopNow(self) -> None:
        node = None if self.runner is None else self.runner.node
        if node is not None:
            self.log.info("told to stop once more: ending what is open")
            node.flows.abortAll()
            node.requests.abortAll()
