"""
What an agent knows, and what it does in each state; L{hermes.control.agent.machine} says when.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeAlias

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hermes.control.agent.disk import Configuration, ConfigurationDisk
from hermes.control.agent.roles import IPreparedConfiguration, IRunner
from hermes.control.stops import StopAt
from hermes.control.values import READY, Answer, NodeState
from hermes.errors import HermesError

RETRY_FIRST = 1.0
RETRY_MOST = 30.0
"""
Seconds until the node tries once more to go where it belongs, or to write down what it should; doubled each time.
"""

Reply: TypeAlias = "Deferred[Answer]"
InThread: TypeAlias = "Callable[..., Deferred[Any]]"
"""
Calls a function where it may block, with arguments: one at a time, in order.
"""


@frozen
class Order:
    """
    A configuration that the controller wants the node to take.

    @ivar decide: seconds that the node waits for a decision.
    """

    configuration: Configuration
    decide: float

    @property
    def version(self) -> int:
        """
        The version's number.
        """
        return self.configuration.version


class Told(Protocol):
    """
    The inputs of the machine that tell how something ended. See L{hermes.control.agent.machine.Inputs}.
    """

    def built(self, order: Order, prepared: IPreparedConfiguration) -> None: ...

    def notBuilt(self, reasons: Sequence[str]) -> None: ...

    def swapped(self, order: Order) -> None: ...

    def notSwapped(self, reasons: Sequence[str]) -> None: ...

    def kept(self) -> None: ...

    def notKept(self, reasons: Sequence[str]) -> None: ...

    def back(self) -> None: ...

    def notBack(self, reasons: Sequence[str]) -> None: ...

    def again(self) -> None: ...


@define(eq=False)
class Core:
    """
    What an agent knows.

    @ivar running: what the node runs, or L{None}.
    @ivar confirmed: its last good configuration, or L{None}: where it belongs.
    @ivar prepared: the version that it has prepared.
    @ivar unsaved: whether C{confirmed} is not on disk yet.
    @ivar problems: what is wrong, by what it is about.
    @ivar ended: whether nothing is run any more.
    """

    log = Logger()

    name: str
    clock: IReactorTime
    runner: IRunner
    disk: ConfigurationDisk
    inThread: InThread
    stopAt: StopAt
    software: str
    running: Configuration | None = None
    confirmed: Configuration | None = None
    prepared: int | None = None
    unsaved: bool = False
    problems: dict[str, str] = field(factory=dict)
    ended: bool = False
    watchers: list[Callable[[NodeState], object]] = field(factory=list)
    _failures: int = 0
    _again: IDelayedCall | None = None
    _telling: IDelayedCall | None = None
    _told: NodeState | None = None

    # What it is

    @property
    def home(self) -> bool:
        """
        Whether it runs its last good configuration, or nothing where it has none.
        """
        return self.running == self.confirmed

    def isHomeAt(self, version: int) -> bool:
        """
        Whether C{version} is the last good one, and runs.
        """
        return self.home and self.running is not None and self.running.version == version

    @property
    def unfinished(self) -> str:
        """
        What it is busy with, in words.
        """
        if self.running is None or self.home:
            return "what it was told before"
        return f"version {self.running.version}, which is not decided"

    @property
    def state(self) -> NodeState:
        """
        What the controller is told.
        """
        running, confirmed = self.running, self.confirmed
        return NodeState(
            name=self.name,
            runs=None if running is None else running.version,
            digest="" if running is None else running.digest,
            trial=running is not None and not self.home,
            prepared=self.prepared,
            problem="; ".join(self.problems.values()) or None,
            software=self.software,
            confirmed=None if confirmed is None else confirmed.version,
            draining=self.ended,
        )

    def tell(self) -> None:
        """
        Tell whoever watches, once nothing changes any more, and before anybody is answered.
        """
        if self._telling is None:
            self._telling = self.clock.callLater(0, self._tell)

    def reply(self, answers: Sequence[Reply], answer: Answer = READY) -> None:
        """
        Answer each who asked; what has changed by it is told before.
        """
        if self._telling is not None:
            self._telling.cancel()
            self._tell()
        for each in answers:
            each.callback(evolve(answer))

    def _tell(self) -> None:
        self._telling = None
        state = self.state
        if state == self._told:
            return
        self._told = state
        for watcher in list(self.watchers):
            try:
                watcher(state)
            except Exception:
                self.log.failure("telling {watcher} of a new state failed", watcher=watcher)

    # What it does

    def work(self, activity: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
        """
        Begin something that ends by telling the machine. It can be cancelled.
        """

        def failed(failure: Any) -> None:
            if failure.check(CancelledError) is None:
                self.log.failure("the agent of {node} failed", failure, node=self.name)

        return Deferred.fromCoroutine(activity).addErrback(failed)

    async def build(self, machine: Told, order: Order) -> None:
        """
        Build a configuration and write it to disk.
        """
        prepared: IPreparedConfiguration | None = None
        try:
            await self.stopAt("agent.prepare")
            prepared = await self.runner.prepare(order.version, order.configuration.config)
            await self.stopAt("agent.prepare.built")
            await self.inThread(self.disk.stage, order.configuration)
            await self.stopAt("agent.prepare.staged")
        except Exception as error:
            if prepared is not None:
                prepared.discard()
            if isinstance(error, CancelledError):
                raise
            machine.notBuilt(self._reasons(error, f"version {order.version} can't be kept on disk"))
        else:
            machine.built(order, prepared)

    async def swap(self, machine: Told, order: Order, prepared: IPreparedConfiguration) -> None:
        """
        Run what was built, on trial.
        """
        try:
            await self.stopAt("agent.commit")
            await self.inThread(self.disk.mark, order.configuration)
            await self.stopAt("agent.commit.marked")
            await prepared.commit()
        except Exception as error:
            prepared.discard()
            machine.notSwapped(self._reasons(error, f"that version {order.version} is on trial can't be written down"))
            return
        self.running = order.configuration
        await self.stopAt("agent.commit.swapped")
        machine.swapped(order)

    async def keep(self, machine: Told) -> None:
        """
        Make what it runs the last good configuration on disk too.
        """
        assert self.confirmed is not None
        try:
            await self.stopAt("agent.confirm")
            await self.inThread(self.disk.keep, self.confirmed)
            await self.stopAt("agent.confirm.kept")
        except Exception as error:
            machine.notKept(self._reasons(error, f"version {self.confirmed.version} runs but can't be kept on disk"))
        else:
            machine.kept()

    async def goBack(self, machine: Told) -> None:
        """
        Run the last good configuration.
        """
        target = self.confirmed
        prepared: IPreparedConfiguration | None = None
        try:
            await self.stopAt("agent.return")
            if target is None:
                await self.runner.stop()
            else:
                prepared = await self.runner.prepare(target.version, target.config)
                await self.stopAt("agent.return.built")
                await prepared.commit()
        except Exception as error:
            if prepared is not None:
                prepared.discard()
            if isinstance(error, CancelledError):
                raise
            machine.notBack(self._reasons(error, "the last good configuration can't be run"))
            return
        self.running = target
        await self.stopAt("agent.return.swapped")
        await self.inThread(self.disk.forget)
        machine.back()

    def _reasons(self, error: Exception, disk: str) -> tuple[str, ...]:
        """
        For the operator.
        """
        if isinstance(error, OSError):
            return (f"{disk}: {error.strerror or error}",)
        if not isinstance(error, HermesError):
            self.log.failure("the agent of {node} failed", node=self.name)
            return (f"internal error: {error!r}",)
        return tuple(str(error).splitlines()) or (type(error).__name__,)

    # What it must try once more

    def settle(self, machine: Told) -> None:
        """
        Nothing is under way: where the node is not where it belongs, or something is not on disk, come again later.
        """
        self.tell()
        if self._again is not None or self.ended:
            return
        if self.home and not self.unsaved:
            self._failures = 0
            return

        def again() -> None:
            self._again = None
            machine.again()

        delay = min(RETRY_MOST, RETRY_FIRST * 2 ** min(self._failures, 10))
        self._failures += 1
        self._again = self.clock.callLater(delay, again)

    def unsettle(self) -> None:
        """
        Something else is under way.
        """
        again, self._again = self._again, None
        if again is not None:
            again.cancel()

    def end(self) -> None:
        """
        Nothing more is tried.
        """
        self.ended = True
        self.unsettle()
        self.tell()

    def problem(self, about: str, reasons: Sequence[str] | None) -> None:
        """
        Something is wrong, or, with L{None}, is not any more.
        """
        if reasons is None:
            self.problems.pop(about, None)
        else:
            self.problems[about] = "; ".join(reasons)
