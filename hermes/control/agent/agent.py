"""
The agent: what the controller's calls reach at a node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

import hermes
from hermes.control.agent.core import Core, InThread, Order
from hermes.control.agent.disk import Configuration, ConfigurationDisk
from hermes.control.agent.inputs import Inputs
from hermes.control.agent.machine import AgentMachine
from hermes.control.agent.recentlog import RecentLog
from hermes.control.agent.revocations import Revocations
from hermes.control.agent.roles import IRunner
from hermes.control.stops import StopAt, nowhere
from hermes.control.values import Answer, Health, NodeState, Probe, ProbeResult, digestOf
from hermes.errors import HermesError
from hermes.interfaces.control import IAgentSide


@implementer(IAgentSide)
class Agent:
    """
    Keeps a node at the version of the overlay that is committed, as far as it is told: see
    L{hermes.control.agent.machine}. What carries the controller's calls here is connected after L{start} has fired.

    @ivar name: the node's name.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        clock: IReactorTime,
        runner: IRunner,
        disk: ConfigurationDisk,
        inThread: InThread,
        revocations: Revocations,
        recentLog: RecentLog,
        stopAt: StopAt = nowhere,
        software: str = hermes.__version__,
    ) -> None:
        """
        @param clock: tells time that never jumps.
        @param inThread: calls a function where it may block, one at a time, in order.
        @param software: the version of Hermes that is told.
        """
        self.name = name
        self._runner = runner
        self._disk = disk
        self._revocations = revocations
        self._recentLog = recentLog
        self._core = Core(name, clock, runner, disk, inThread, stopAt, software)
        self._machine: Inputs = AgentMachine(self._core)

    @property
    def state(self) -> NodeState:
        return self._core.state

    def watch(self, callback: Callable[[NodeState], object]) -> Callable[[], None]:
        self._core.watchers.append(callback)

        def stop() -> None:
            if callback in self._core.watchers:
                self._core.watchers.remove(callback)

        return stop

    def tellProblem(self, about: str, reasons: Sequence[str] | None) -> None:
        """
        Tell the controller what is wrong, for as long as it is.

        @param about: what it is about: a word.
        @param reasons: sentences for the operator; with L{None} it is well again.
        """
        self._core.problem(about, reasons)
        self._core.tell()

    # From start to end

    def start(self) -> Deferred[Answer]:
        """
        Run the last good configuration that is on disk. Fires once it runs, or with why it does not; then it is tried
        again and again, and a controller may send another. Nothing is on disk: nothing is run.

        It blocks while it reads the disk: nothing else happens in the process yet.

        @raise OSError: where the directory can't be read.
        """
        self._revocations.load()
        found = self._disk.open()
        if found.interrupted is not None:
            self.log.warn(
                "version {version} was on trial when the process ended: it is not run", version=found.interrupted
            )
        told: list[str] = []
        self._core.confirmed = self._lastGood(told)
        for each in told:
            self.log.error("{problem}", problem=each)
        self._core.problem("start", told or None)
        self._core.tell()
        if self._core.confirmed is None:
            return succeed(Answer(True, tuple(told)))
        answer: Deferred[Answer] = Deferred()
        self._machine.goBack([answer])
        return answer

    def _lastGood(self, told: list[str]) -> Configuration | None:
        """
        The last configuration that can be read; where none can, the last that is whole: what it lacks may come back.
        """
        whole: Configuration | None = None
        for configuration in self._disk.configurations(told):
            try:
                self._runner.check(configuration.version, configuration.config)
            except HermesError as error:
                told.append(f"version {configuration.version}, the last good one, can't be read: {error}")
                whole = whole or configuration
            else:
                return configuration
        return whole

    def stop(self) -> Deferred[None]:
        """
        Run nothing any more, at once.
        """
        self._machine.stop()
        return self._runner.stop()

    # What the controller asks

    def controllerConnected(self) -> None:
        pass

    def controllerLost(self) -> None:
        self._machine.controllerLost()

    def prepare(self, version: int, base: int | None, config: bytes, digest: str, decide: float) -> Deferred[Answer]:
        if digestOf(config) != digest:
            return succeed(Answer.refused("what arrived is not what was sent: its digest is another"))
        confirmed = self._core.confirmed
        has = None if confirmed is None else confirmed.version
        if has != base:
            return succeed(Answer.refused(f"its last good version is {has or 'none'}, not {base or 'none'}"))
        answer: Deferred[Answer] = Deferred()
        self._machine.prepare(Order(Configuration(version, config, digest), decide), answer)
        return answer

    def commit(self, version: int) -> Deferred[Answer]:
        return self._ask(self._machine.commit, version)

    def confirm(self, version: int) -> Deferred[Answer]:
        return self._ask(self._machine.confirm, version)

    def rollback(self, version: int) -> Deferred[Answer]:
        return self._ask(self._machine.rollback, version)

    def _ask(self, call: Callable[[int, Deferred[Answer]], None], version: int) -> Deferred[Answer]:
        answer: Deferred[Answer] = Deferred()
        call(version, answer)
        return answer

    def drain(self, timeout: float) -> Deferred[bool]:
        self._machine.stop()
        return self._runner.drain(timeout)

    def status(self) -> Deferred[Mapping[str, Any]]:
        return succeed(self._runner.status())

    def health(self) -> Deferred[Health]:
        return succeed(evolve(self._runner.health(), runs=self.state.runs))

    def logs(self, count: int) -> Deferred[Sequence[str]]:
        return succeed(self._recentLog.lines(count))

    def probe(self, probes: Sequence[Probe]) -> Deferred[Sequence[ProbeResult]]:
        return self._runner.probe(probes)

    def revoked(self, serials: Sequence[str]) -> Deferred[None]:
        return self._revocations.set(serials)
