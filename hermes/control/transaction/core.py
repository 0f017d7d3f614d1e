"""
What a transaction knows, and what it does in each state; L{hermes.control.transaction.machine} says when.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hermes.control.asking import Asking
from hermes.control.errors import NodeLost, NotLeading
from hermes.control.plans import Plan
from hermes.control.stops import StopAt
from hermes.control.transaction.inputs import Inputs
from hermes.control.transaction.trial import Watch
from hermes.control.transaction.writing import ABORTING, Record
from hermes.control.values import CONTROLLER, Answer, NodeReason, Outcome, Progress, Result, Step, VersionRecord
from hermes.interfaces.control import INodeLink, INodeLinks
from hermes.interfaces.store import IStore

MARGIN = 1.0
"""
Seconds before the first node would go back by itself from which on nothing is decided any more.
"""


@frozen(eq=False)
class Change:
    """
    What is to be changed.

    @ivar record: the version, without a number.
    @ivar plan: what it comes to.
    @ivar base: the digests of what each node has now, or should have, by its name.
    """

    record: VersionRecord
    plan: Plan
    base: Mapping[str, str]


@define(eq=False)
class Core:
    """
    What a transaction knows.

    @ivar settle: waits until nothing of an earlier transaction is left at a node.
    @ivar committed: called once it is committed, before anybody is told.
    @ivar progress: told how it goes on.
    @ivar record: its record, once it has one.
    @ivar taking: the nodes that take part, with the version that each has confirmed.
    @ivar later: the nodes that it concerns and that are not there.
    @ivar unwanted: why nobody wants it any more, where that was said before it had a number.
    @ivar missing: those that took part and whose connection was lost during the trial.
    @ivar suspect: whether the store may have a record of it that nobody has decided.
    @ivar finished: fires with what came of it.
    """

    log = Logger()

    change: Change
    store: IStore
    links: INodeLinks
    clock: IReactorTime
    stopAt: StopAt
    settle: Callable[[Sequence[INodeLink]], Deferred[None]]
    committed: Callable[[VersionRecord], object]
    progress: Callable[[Progress], object]
    record: Record | None = None
    taking: dict[str, int | None] = field(factory=dict)
    later: set[str] = field(factory=set)
    missing: set[str] = field(factory=set)
    reasons: list[NodeReason] = field(factory=list)
    unwanted: list[NodeReason] = field(factory=list)
    notes: list[NodeReason] = field(factory=list)
    result: Result = "refused"
    suspect: bool = False
    finished: Deferred[Outcome] = field(factory=Deferred)
    _beganAt: float = 0.0
    _swappingSince: float | None = None
    _watch: Watch | None = None

    def work(self, machine: Inputs, activity: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
        """
        Begin something that ends by telling the machine. It can be cancelled.
        """

        def failed(failure: Any) -> None:
            if failure.check(NotLeading):
                machine.abandon()
            elif failure.check(CancelledError) is None:
                self.log.failure("the transaction failed", failure)
                machine.failed([self.reason("decide", f"internal error: {failure.getErrorMessage()}")])

        return Deferred.fromCoroutine(activity).addErrback(failed)

    def reason(self, step: Step, text: str, node: str = CONTROLLER) -> NodeReason:
        """
        Why something went wrong.
        """
        return NodeReason(node, text, step)

    def tell(self, step: Step, text: str = "", node: str = "", done: int = 0, total: int = 0) -> None:
        """
        How it goes on.
        """
        try:
            self.progress(Progress(step, node, text, done, total))
        except Exception:
            self.log.failure("telling of progress failed")

    @property
    def settings(self) -> Any:
        """
        How it is made.
        """
        return self.change.plan.settings

    @property
    def deadline(self) -> float:
        """
        From when on nothing is decided any more.
        """
        since = self.clock.seconds() if self._swappingSince is None else self._swappingSince
        return float(since + self.settings.decide - MARGIN)

    @property
    def number(self) -> int:
        """
        Its number, once it has one.
        """
        assert self.record is not None
        return self.record.number

    # The store

    async def append(self, machine: Inputs) -> None:
        """
        Give it a number.
        """
        self._beganAt = self.clock.seconds()
        self.tell("record")
        await self.settle([link for link in self.links if link.state.trial or link.state.prepared is not None])
        await self.stopAt("apply.record")
        absent = self._chooseNodes()
        if absent:
            machine.notRecorded(
                [self.reason("record", "it is required, and not connected", name) for name in sorted(absent)]
            )
            return
        try:
            number = await self.store.appendVersion(self.change.record)
        except (CancelledError, NotLeading):
            raise
        except Exception as error:
            self.log.error("the store did not take a version: {error}", error=error)
            self.suspect = True
            machine.notRecorded([self.reason("record", f"the store did not take it: {error}")])
        else:
            machine.recorded(number)

    def _chooseNodes(self) -> set[str]:
        """
        Who takes part.

        @return: those that are required, and not there.
        """
        plan, absent = self.change.plan, set()
        for name, digest in plan.digests.items():
            link = self.links.get(name)
            if link is not None:
                if link.state.digest != digest:
                    self.taking[name] = link.state.confirmed
            elif self.change.base.get(name) != digest:
                self.later.add(name)
                if name in plan.required:
                    absent.add(name)
        return absent

    async def mark(self, machine: Inputs) -> None:
        """
        Write down that nodes swap from now on.
        """
        self.tell("trial")
        await self.stopAt("apply.trial")
        assert self.record is not None
        phase = await self.record.move("preparing", "trial", (), self.deadline)
        if phase == "trial":
            machine.marked()
        elif phase == "aborted":
            self.reasons.append(self.reason("trial", "another controller has aborted it"))
            machine.wasAborted()
        else:
            machine.failed([self.reason("trial", "the store did not take it")])

    async def decide(self, machine: Inputs) -> None:
        """
        The one write that decides.
        """
        self.tell("decide")
        await self.stopAt("apply.decide")
        if self.clock.seconds() > self.deadline:
            machine.failed([self.reason("decide", "it took so long that nodes go back by themselves")])
            return
        assert self.record is not None
        phase = await self.record.move("trial", "committed", (), self.deadline)
        if phase == "committed":
            await self.stopAt("apply.decided")
            machine.decided()
        elif phase == "aborted":
            self.reasons.append(self.reason("decide", "another controller has aborted it"))
            machine.wasAborted()
        elif phase is None:
            machine.failed([self.reason("decide", "the store did not answer in time")])
        else:
            machine.failed([self.reason("decide", "the overlay has got another version meanwhile")])

    async def abort(self, machine: Inputs) -> None:
        """
        Write down that it is taken back.
        """
        self.tell("abort", "; ".join(map(str, self.reasons)))
        await self.stopAt("apply.abort")
        assert self.record is not None
        phase = await self.record.abort(self.reasons, self.clock.seconds() + ABORTING)
        await self.stopAt("apply.aborted")
        if phase is None:
            machine.failed([self.reason("abort", "the store did not answer: it is aborted before the next change")])
        elif phase == "committed":
            # An answer was lost: it was decided before.
            machine.decided()
        else:
            machine.wasAborted()

    # The nodes

    async def prepare(self, machine: Inputs) -> None:
        """
        Have all build it.
        """
        plan, number = self.change.plan, self.number
        if self.unwanted:
            machine.failed(self.unwanted)
            return
        self.tell("prepare", total=len(self.taking))
        await self.stopAt("apply.prepare")
        self._watch = Watch(number, plan, self.links, self.clock)
        baseline = self._watch.begin(list(self.taking))
        asked = await self._ask(
            "prepare",
            lambda link: link.prepare(
                number, self.taking[link.name], plan.configs[link.name], plan.digests[link.name], plan.settings.decide
            ),
        )
        reasons = self._refusals("prepare", asked)
        for name, error in asked.failures.items():
            if isinstance(error, NodeLost) and name not in plan.required:
                # As one that was never there.
                del self.taking[name]
                self.later.add(name)
            else:
                reasons.append(self.reason("prepare", str(error), name))
        await baseline
        await self.stopAt("apply.prepared")
        if reasons:
            machine.failed(reasons)
        else:
            machine.allReady()

    async def swap(self, machine: Inputs) -> None:
        """
        Have all run it, on trial.
        """
        number = self.number
        self.tell("commit", total=len(self.taking))
        await self.stopAt("apply.commit")
        self._swappingSince = self.clock.seconds()
        asked = await self._ask("commit", lambda link: link.commit(number))
        await self.stopAt("apply.committed")
        reasons = self._refusals("commit", asked)
        for name, error in asked.failures.items():
            if isinstance(error, NodeLost):
                # It may come back, and run it.
                self.missing.add(name)
            else:
                reasons.append(self.reason("commit", str(error), name))
        if reasons:
            machine.failed(reasons)
        else:
            machine.allSwapped()

    async def watch(self, machine: Inputs) -> None:
        """
        See whether it is any good.
        """
        self.tell("probe", total=len(self.taking))
        await self.stopAt("apply.probe")
        assert self._watch is not None
        reasons = await self._watch.watch(list(self.taking), self.deadline) if self.taking else []
        if reasons:
            machine.failed(reasons)
        else:
            machine.passed()

    async def confirm(self, machine: Inputs) -> None:
        """
        Have all make it their last good one. Who can't be told now is told later, or goes back and gets it again.
        """
        number = self.number
        self.tell("confirm", total=len(self.taking))
        await self.stopAt("apply.confirm")
        asked = await self._ask("confirm", lambda link: link.confirm(number))
        await self.stopAt("apply.confirmed")
        for name, answer in asked.answers.items():
            self.notes += [self.reason("confirm", text, name) for text in answer.reasons]
        for name, error in asked.failures.items():
            self.notes.append(self.reason("confirm", str(error), name))
        machine.finished()

    async def goBack(self, machine: Inputs) -> None:
        """
        Have all go back. Who can't be told does so by itself.
        """
        number = self.number
        self.tell("rollback", total=len(self.taking))
        await self.stopAt("apply.rollback")
        asked = await self._ask("rollback", lambda link: link.rollback(number))
        await self.stopAt("apply.rolledback")
        for name, answer in asked.answers.items():
            self.notes += [self.reason("rollback", text, name) for text in answer.reasons]
        for name, error in asked.failures.items():
            self.notes.append(self.reason("rollback", str(error), name))
        machine.finished()

    def _ask(self, step: Step, call: Callable[[INodeLink], Deferred[Answer]]) -> Deferred[Asking[Answer]]:
        """
        Ask all that take part and are there.
        """
        links = {name: link for name in self.taking if (link := self.links.get(name)) is not None}
        total = len(links)

        def heard(name: str, asking: Asking[Answer]) -> None:
            answer = asking.answers.get(name)
            text = "; ".join(answer.reasons) if answer is not None else str(asking.failures.get(name))
            self.tell(step, text, name, len(asking.answers) + len(asking.failures), total)

        asking: Asking[Answer] = Asking(self.clock, lambda answer: not answer.ready, heard)
        for name in self.taking.keys() - links.keys():
            asking.failures[name] = NOT_THERE
        return asking.ask({name: _call(call, link) for name, link in links.items()}, self.settings.answer)

    def _refusals(self, step: Step, asked: Asking[Answer]) -> list[NodeReason]:
        return [
            self.reason(step, "\n".join(answer.reasons) or "refused", name)
            for name, answer in sorted(asked.answers.items())
            if not answer.ready
        ]

    # The end

    def commit(self) -> None:
        """
        It is committed.
        """
        self.committed(evolve(self.change.record, number=self.number, phase="committed"))

    def finish(self) -> None:
        """
        Tell what came of it.
        """
        self.finished.callback(
            Outcome(
                self.result,
                None if self.record is None else self.number,
                tuple(self.reasons),
                tuple(sorted(self.taking)),
                tuple(sorted(self.later)),
                tuple(self.notes),
                round(self.clock.seconds() - self._beganAt, 3),
            )
        )


NOT_THERE = NodeLost("its connection was lost")


def _call(call: Callable[[INodeLink], Deferred[Answer]], link: INodeLink) -> Callable[[], Deferred[Answer]]:
    return lambda: call(link)
